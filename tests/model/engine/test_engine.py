"""The engine on a small random model: bit-identical in `exact`, compared with the reference forward pass in `fast`."""

from __future__ import annotations

import itertools
import random
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.engine import Completion, Engine, EngineOptions, EngineStopped, Request, Sampling
from model.engine.jax_device import JaxDevice
from model.engine.programs.attention import slot_attention
from model.engine.stopping import StopTexts
from model.engine.switching import DraftSwitch
from model.errors import RecordError
from model.gemma import Gemma

OPTIONS = EngineOptions(
    slots=4,
    prompt_buckets=(16, 48),
    max_new_tokens=24,
    burst_steps=7,
    prefill_row_tokens=64,
    max_stop_ids=16,
    prompt_lookup="off",
)


def run(model: Gemma, options: EngineOptions, requests: list[Request]) -> list[Completion]:
    with Engine(model, options=options) as engine:
        return [future.result() for future in engine.submit(requests)]


@pytest.fixture(scope="module")
def exact(small_model: Gemma) -> Iterator[Engine]:
    with Engine(small_model, options=replace(OPTIONS, determinism="exact")) as engine:
        yield engine


@pytest.fixture(scope="module")
def fast(small_model: Gemma) -> Iterator[Engine]:
    with Engine(small_model, options=OPTIONS) as engine:
        yield engine


def ask(engine: Engine, requests: list[Request]) -> list[Completion]:
    return [future.result() for future in engine.submit(requests)]


@pytest.fixture(scope="module")
def exact_completions(exact: Engine, mixed_requests: list[Request]) -> list[Completion]:
    return ask(exact, mixed_requests)


def test_exact_yields_the_same_bits_alone_as_in_full_slots(exact, mixed_requests, exact_completions):
    assert [ask(exact, [request])[0] for request in mixed_requests] == exact_completions


def test_exact_yields_the_same_bits_in_any_order_and_slot(exact, mixed_requests, exact_completions):
    order = list(range(len(mixed_requests)))
    random.Random(5).shuffle(order)
    assert ask(exact, [mixed_requests[i] for i in order]) == [exact_completions[i] for i in order]


def test_exact_yields_the_same_bits_with_pipelined_bursts(small_model, mixed_requests, exact_completions):
    options = replace(OPTIONS, determinism="exact", pipeline_bursts=True, burst_steps=3)
    assert run(small_model, options, mixed_requests) == exact_completions


def test_exact_yields_the_same_bits_alone_with_a_tpus_attention(small_model, mixed_requests, monkeypatch):
    monkeypatch.setattr("model.engine.programs.compiled.slot_attention", lambda platform: slot_attention("tpu"))
    with Engine(small_model, options=replace(OPTIONS, determinism="exact")) as engine:
        together = ask(engine, mixed_requests)
        assert [ask(engine, [request])[0] for request in mixed_requests] == together


def test_mixed_requests_cover_both_finish_reasons_and_both_kinds_of_sampling(mixed_requests, exact_completions):
    assert {c.finish_reason for c in exact_completions} == {"stop", "length"}
    assert {r.sampling.temperature > 0 for r in mixed_requests} == {True, False}


def test_completions_keep_to_their_request(mixed_requests, exact_completions):
    for request, completion in zip(mixed_requests, exact_completions, strict=True):
        num_generated = len(completion.tokens) + (completion.stop_id is not None)
        assert 0 < num_generated <= request.max_new_tokens
        assert not set(completion.tokens) & request.stop_ids
        assert completion.stop_id in (request.stop_ids if completion.finish_reason == "stop" else {None})
        assert completion.prompt_tokens == len(request.prompt)


def reference_logits(model: Gemma, request: Request, completion: Completion) -> np.ndarray:
    """Logits of one forward pass at each generated token: teacher forcing."""
    generated = completion.tokens + (() if completion.stop_id is None else (completion.stop_id,))
    sequence = request.prompt + generated
    padded = np.zeros((1, 72), np.int32)  # one shape for all
    padded[0, : len(sequence)] = sequence
    return np.asarray(model(jnp.asarray(padded)))[0, len(request.prompt) - 1 : len(sequence) - 1]


@pytest.mark.parametrize("determinism", ["exact", "fast"])
def test_greedy_tokens_are_the_reference_forward_passs_best_except_for_near_ties(
    small_model, mixed_requests, determinism, exact, fast
):
    engine = {"exact": exact, "fast": fast}[determinism]
    requests = [replace(request, sampling=Sampling()) for request in mixed_requests]
    for request, completion in zip(requests, ask(engine, requests), strict=True):
        generated = completion.tokens + (() if completion.stop_id is None else (completion.stop_id,))
        logits = reference_logits(small_model, request, completion)
        chosen = logits[np.arange(len(generated)), list(generated)]
        np.testing.assert_allclose(chosen, logits.max(axis=-1), atol=1e-4)
        logprobs = chosen - np.log(np.exp(logits.astype(np.float64)).sum(axis=-1))
        assert completion.mean_logprob == pytest.approx(logprobs.mean(), abs=1e-4)


def test_fast_samples_the_tokens_that_exact_samples(fast, mixed_requests, exact_completions):
    for ours, theirs in zip(ask(fast, mixed_requests), exact_completions, strict=True):
        assert (ours.tokens, ours.stop_id) == (theirs.tokens, theirs.stop_id)
        assert ours.mean_logprob == pytest.approx(theirs.mean_logprob, abs=1e-4)


def test_prompts_with_a_shared_prefix_are_continued_as_if_they_had_none(small_model, exact):
    rng = np.random.default_rng(11)
    file = tuple(rng.integers(0, 307, 40).tolist())
    requests = [
        Request(prompt=(*file[:cut], 5, cut), max_new_tokens=6, stop_ids=frozenset()) for cut in (40, 12, 33, 25, 38, 8)
    ]
    alone = [ask(exact, [request])[0] for request in requests]
    with Engine(small_model, options=replace(OPTIONS, min_shared_prefix=4)) as engine:
        shared = [future.result() for future in engine.submit(requests)]
    assert engine.stats()["prefill_tokens_shared"] > 40
    assert [c.tokens for c in shared] == [c.tokens for c in alone]
    assert [c.mean_logprob for c in shared] == pytest.approx([c.mean_logprob for c in alone], abs=1e-4)


@pytest.mark.parametrize("fails_in", ["prefill", "insert", "burst"])
def test_fast_continues_with_half_the_slots_when_memory_runs_out(
    small_model, mixed_requests, exact_completions, fails_in, monkeypatch
):
    """The allocator's error is real except for its origin: it is raised once, at the call of the named program."""
    calls = Counter()
    program_of = JaxDevice._program

    def failing(device, kind, *shape):
        program = program_of(device, kind, *shape)
        calls[kind] += 1
        if kind != fails_in or calls[kind] != 5:
            return program

        def fail(*_):
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate")

        return fail

    monkeypatch.setattr(JaxDevice, "_program", failing)
    options = replace(OPTIONS, prefill_row_tokens=48)
    with Engine(small_model, options=options) as engine:
        completions = [future.result() for future in engine.submit(mixed_requests)]
    monkeypatch.undo()
    assert engine.stats()["shrinks"] == 1
    assert engine.stats()["slots"] == 2
    assert [c.tokens for c in completions] == [c.tokens for c in exact_completions]


def test_drafts_change_no_token_and_save_steps(small_model, mixed_requests, exact, exact_completions):
    """Greedy and sampled: a draft is accepted only if the model samples that very token."""
    loop = Request(prompt=(9, 8, 7, 6) * 8, max_new_tokens=24, stop_ids=frozenset())
    with Engine(small_model, options=replace(OPTIONS, prompt_lookup="always", draft_tokens=3)) as engine:
        drafted = ask(engine, [*mixed_requests, loop])
        stats = engine.stats()
    for ours, theirs in zip(drafted, [*exact_completions, *ask(exact, [loop])], strict=True):
        assert (ours.tokens, ours.stop_id) == (theirs.tokens, theirs.stop_id)
        assert ours.mean_logprob == pytest.approx(theirs.mean_logprob, abs=1e-4)
    assert stats["tokens_per_slot_step"] > 1
    assert stats["slot_occupancy"] <= 1


class Letters:
    """A vocabulary of six letters."""

    def decode_bytes(self, ids, *, keep_control=False):
        return bytes(97 + id_ % 6 for id_ in ids)


@pytest.mark.parametrize(
    "changes",
    [
        {"determinism": "exact"},
        {"determinism": "exact", "pipeline_bursts": True, "burst_steps": 3},
        {"determinism": "fast"},
        {"determinism": "fast", "prompt_lookup": "always"},
    ],
)
def test_stop_texts_cut_completions_and_change_no_token(small_model, mixed_requests, exact, exact_completions, changes):
    requests = [replace(request, stop_texts=StopTexts(("ab", "fce", "d"), Letters())) for request in mixed_requests]
    options = replace(OPTIONS, **changes)
    with Engine(small_model, options=options) as engine:
        completions = ask(engine, requests)
        alone = [ask(engine, [request])[0] for request in requests[:6]] if options.determinism == "exact" else None
    assert alone is None or alone == completions[:6], "the number of tokens and their log-probability are the request's"
    stopped = 0
    for request, whole, completion in zip(requests, exact_completions, completions, strict=True):
        end = request.stop_texts.watch().end(whole.tokens)
        if end is None:
            assert (completion.tokens, completion.finish_reason) == (whole.tokens, whole.finish_reason)
            continue
        stopped += 1
        assert (completion.tokens, completion.finish_reason) == (whole.tokens[:end], "stop_text")
        (same,) = ask(exact, [replace(request, stop_texts=None, max_new_tokens=end, stop_ids=frozenset())])
        assert completion.mean_logprob == pytest.approx(same.mean_logprob, abs=1e-5)
    assert 3 < stopped < len(requests)


@pytest.mark.parametrize("is_stacked", [False, True])
def test_switching_between_plain_steps_and_drafts_changes_no_token(
    small_model, mixed_requests, exact_completions, monkeypatch, is_stacked
):
    """The cache changes its order repeatedly, in the middle of requests."""
    turns = itertools.cycle([False, True, True, False, False, True])
    monkeypatch.setattr(DraftSwitch, "drafts", property(lambda self: next(turns)))
    weights = small_model.arrays()
    if is_stacked:
        weights = replace(weights, blocks=jax.tree.map(lambda *blocks: jnp.stack(blocks), *weights.blocks))
    options = replace(OPTIONS, prompt_lookup="auto", draft_tokens=3, burst_steps=3)
    with Engine(Gemma(small_model.config, weights=weights), options=options) as engine:
        completions = ask(engine, mixed_requests)
        stats = engine.stats()
    assert [c.tokens for c in completions] == [c.tokens for c in exact_completions]
    assert 0 < stats["steps_drafted"] < stats["steps"]


class Alternating(DraftSwitch):
    """Plain steps and drafts in turns."""

    turns = itertools.cycle([False, True, True, False])

    @property
    def drafts(self) -> bool:
        return next(self.turns)


def test_columns_move_into_the_ring_when_the_first_burst_of_all_has_drafted(small_model, mixed_requests, exact):
    """As after `shrink`, which empties the caches while drafts are in use."""
    options = replace(OPTIONS, prompt_lookup="auto", draft_tokens=3, burst_steps=2)
    with Engine(small_model, options=options) as engine:
        engine.start()
        switch = Alternating("auto")
        switch.turns = itertools.repeat(True)
        engine._replicas._schedulers[0]._switch = switch
        ask(engine, [replace(mixed_requests[0], max_new_tokens=1)])  # the ring's column is ahead of all slots from here
        requests = [replace(request, max_new_tokens=12) for request in mixed_requests[:4]]
        switch.turns = itertools.chain([True] * 4, itertools.repeat(False))
        assert [c.tokens for c in ask(engine, requests)] == [c.tokens for c in ask(exact, requests)]


@pytest.fixture(scope="module", params=["plain", "alternating", "stacked", "8 bits"])
def narrowing(request, small_model: Gemma) -> Iterator[tuple[str, Engine]]:
    """Engines that decode the first 2 or 1 slots alone whenever they can, in each form of caches and steps."""
    model, weights = small_model, small_model.arrays()
    options = replace(OPTIONS, prompt_lookup="auto" if request.param == "alternating" else "off", draft_tokens=3)
    if request.param == "8 bits":
        options = replace(options, prompt_cache="int8")
    if request.param == "stacked":
        stacked = jax.tree.map(lambda *blocks: jnp.stack(blocks), *weights.blocks)
        model = Gemma(small_model.config, weights=replace(weights, blocks=stacked))
    with Engine(model, options=options) as engine:
        engine.start()
        scheduler = engine._replicas._schedulers[0]
        scheduler._device._pays = lambda *_: True
        if request.param == "alternating":
            scheduler._switch = Alternating("auto")
        yield request.param, engine


@settings(max_examples=6)
@given(order=st.permutations(range(24)), count=st.integers(1, 24), limits=st.lists(st.integers(1, 24), min_size=24))
def test_the_last_requests_keep_their_tokens_in_few_slots(
    narrowing, small_model, mixed_requests, exact, order, count, limits
):
    """Greedy and sampled, over random lengths; one at a time in exact mode gives the tokens to expect."""
    form, engine = narrowing
    requests = [replace(mixed_requests[i], max_new_tokens=limits[i]) for i in order[:count]]
    if form == "8 bits":
        expected = ask(engine, requests[:1])  # alone, it is always decoded in the first slots
        assert ask(engine, requests)[0].tokens == expected[0].tokens
        return
    before = engine.stats()
    ours, theirs = ask(engine, requests), ask(exact, requests)
    assert [(c.tokens, c.stop_id) for c in ours] == [(c.tokens, c.stop_id) for c in theirs]
    done = {name: engine.stats()[name] - before[name] for name in ("steps", "slot_steps")}
    assert done["slot_steps"] <= min(4, 1 << (count - 1).bit_length()) * done["steps"]


@pytest.mark.parametrize("determinism", ["exact", "fast"])
def test_only_fast_mode_narrows_its_bursts(small_model, mixed_requests, determinism, monkeypatch):
    monkeypatch.setattr(JaxDevice, "_pays", lambda *_: True)
    with Engine(small_model, options=replace(OPTIONS, determinism=determinism)) as engine:
        ask(engine, mixed_requests)
        stats = engine.stats()
    assert (stats["slot_steps"] < 4 * stats["steps"]) == (determinism == "fast")


def test_a_narrow_burst_is_compiled_only_if_it_saves_more_than_that_takes(small_model, monkeypatch):
    requests = [Request(prompt=(5, i), max_new_tokens=24, stop_ids=frozenset()) for i in range(4)]
    widths = {}
    for step_s in (0.0, 1e6):
        monkeypatch.setattr(
            JaxDevice, "_full_step_s", property(lambda self, s=step_s: s, lambda self, new: None), False
        )
        with Engine(small_model, options=OPTIONS) as engine:
            ask(engine, requests)  # all slots
            before = engine.stats()
            ask(engine, requests[:2])
            after = engine.stats()
        widths[step_s] = (after["slot_steps"] - before["slot_steps"]) / (after["steps"] - before["steps"])
    assert widths == {0.0: 4, 1e6: 2}


def test_a_job_of_few_requests_starts_narrow(small_model):
    requests = [Request(prompt=(5, i), max_new_tokens=4, stop_ids=frozenset()) for i in range(4)]
    with Engine(small_model, options=OPTIONS) as engine:
        ask(engine, requests[:1])
        stats = engine.stats()
        assert stats["slot_steps"] == stats["steps"]
        ask(engine, requests)
        assert engine.stats()["slot_steps"] - stats["slot_steps"] == 4 * (engine.stats()["steps"] - stats["steps"])


def test_exact_mode_never_drafts_though_it_may_be_asked_to_try(small_model, mixed_requests, exact_completions):
    options = replace(OPTIONS, determinism="exact", prompt_lookup="auto")
    with Engine(small_model, options=options) as engine:
        assert ask(engine, mixed_requests) == exact_completions
        assert engine.stats()["steps_drafted"] == 0


@pytest.mark.parametrize("determinism", ["exact", "fast"])
@pytest.mark.parametrize("is_stacked", [False, True])
def test_a_prompt_cache_of_8_bits_stays_near_the_full_one(small_model, mixed_requests, is_stacked, determinism):
    """Compares probabilities of the same tokens: a request's first token is the only possible one."""
    weights = small_model.arrays()
    if is_stacked:
        weights = replace(weights, blocks=jax.tree.map(lambda *blocks: jnp.stack(blocks), *weights.blocks))
    model = Gemma(small_model.config, weights=weights)
    first = [replace(request, max_new_tokens=1, sampling=Sampling()) for request in mixed_requests]
    options = replace(OPTIONS, determinism=determinism)
    full, small = (run(model, replace(options, prompt_cache=kind), first) for kind in ("auto", "int8"))
    same = [(a, b) for a, b in zip(full, small, strict=True) if a.tokens == b.tokens and a.stop_id == b.stop_id]
    assert len(same) >= 0.8 * len(first)
    differences = [abs(a.mean_logprob - b.mean_logprob) for a, b in same]
    assert 0 < max(differences) < 0.05


def test_an_exact_engine_with_a_prompt_cache_of_8_bits_yields_the_same_bits_alone(small_model, mixed_requests):
    options = replace(OPTIONS, determinism="exact", prompt_cache="int8")
    with Engine(small_model, options=options) as engine:
        together = ask(engine, mixed_requests)
        assert [ask(engine, [request])[0] for request in mixed_requests[:6]] == together[:6]


def test_weights_stacked_for_a_scan_generate_what_unrolled_ones_do(small_model, mixed_requests, exact_completions):
    weights = small_model.arrays()
    stacked = jax.tree.map(lambda *blocks: jnp.stack(blocks), *weights.blocks)
    scanned = Gemma(small_model.config, weights=replace(weights, blocks=stacked))
    completions = run(scanned, OPTIONS, mixed_requests)
    assert [c.tokens for c in completions] == [c.tokens for c in exact_completions]


def test_the_same_seed_samples_the_same_and_another_seed_another(exact):
    request = Request(
        prompt=(5, 6, 7), max_new_tokens=20, stop_ids=frozenset(), sampling=Sampling(temperature=1.0, seed=1)
    )
    other = replace(request, sampling=Sampling(temperature=1.0, seed=2))
    first, second, third = ask(exact, [request, other, request])
    assert first == third
    assert first.tokens != second.tokens


def test_requests_of_many_threads_each_get_their_own_completion(exact, mixed_requests, exact_completions):
    answers: dict[int, Completion] = {}

    def ask_one(index: int) -> None:
        answers[index] = ask(exact, [mixed_requests[index]])[0]

    threads = [threading.Thread(target=ask_one, args=(index,)) for index in range(len(mixed_requests))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answers[index] for index in range(len(mixed_requests))] == exact_completions


@pytest.mark.parametrize(
    ("change", "reason", "said"),
    [
        ({"prompt": tuple([1] * 49)}, "prompt_too_long", "prompt has 49 tokens, the longest bucket is 48"),
        ({"prompt": ()}, "prompt_empty", "the prompt is empty"),
        ({"prompt": (1, 307)}, "token_out_of_vocabulary", "token id 307, valid ids are 0 to 306"),
        ({"max_new_tokens": 25}, "max_new_tokens_out_of_range", "max_new_tokens is 25"),
        ({"max_new_tokens": 0}, "max_new_tokens_out_of_range", "max_new_tokens is 0"),
        ({"stop_ids": frozenset(range(17))}, "too_many_stop_ids", "17 stop ids, the limit is 16"),
        ({"sampling": Sampling(temperature=-1.0)}, "sampling_out_of_range", "temperature -1.0"),
    ],
)
def test_a_request_that_cannot_be_run_fails_alone_and_says_why(fast, change, reason, said):
    good = Request(prompt=(1, 2), max_new_tokens=2, stop_ids=frozenset())
    bad_future, good_future = fast.submit([replace(good, **change), good])
    with pytest.raises(RecordError, match=said) as caught:
        bad_future.result()
    assert caught.value.reason == reason
    assert len(good_future.result().tokens) == 2


def test_a_closed_engine_has_finished_its_requests_and_takes_no_more(small_model, mixed_requests):
    engine = Engine(small_model, options=OPTIONS)
    futures = engine.submit(mixed_requests[:6])
    engine.close()
    assert all(future.done() for future in futures)
    with pytest.raises(EngineStopped):
        engine.submit(mixed_requests[:1])


def test_an_engine_that_never_started_closes(small_model):
    engine = Engine(small_model, options=OPTIONS)
    assert engine.stats() == {}
    engine.close()


def test_statistics_match_the_work_done(small_model, mixed_requests):
    with Engine(small_model, options=OPTIONS) as engine:
        completions = ask(engine, mixed_requests)
        stats = engine.stats()
    assert stats["requests_done"] == len(mixed_requests)
    assert stats["tokens_in"] == sum(len(request.prompt) for request in mixed_requests)
    assert stats["tokens_out"] == sum(len(c.tokens) + (c.stop_id is not None) for c in completions)
    assert stats["tokens_out"] == stats["tokens_decoded"] == stats["busy_slot_steps"]
    assert stats["slot_occupancy"] == stats["tokens_decoded"] / (stats["slots"] * stats["steps"]) <= 1
    # A prompt's last token is the first decode input; a shared prefix is prefilled once.
    cached = stats["tokens_in"] - len(mixed_requests) - stats["prefill_tokens_shared"]
    assert stats["prefill_tokens"] == cached
    assert stats["padding_waste"] == stats["prefill_positions"] / cached >= 1
    assert stats["compiles"] >= 3  # a row, an insert, a burst
    assert 0 < stats["compile_s"] < stats["busy_s"]
    assert stats["tokens_out_per_s"] == stats["tokens_out"] / (stats["busy_s"] - stats["compile_s"])
    assert stats["floor_share"] == stats["floor_s"] / (stats["busy_s"] - stats["compile_s"]) > 0


@pytest.mark.parametrize("changes", [{}, {"determinism": "exact"}, {"prompt_lookup": "auto"}], ids=str)
def test_warm_up_compiles_all_that_requests_need(small_model, mixed_requests, changes):
    with Engine(small_model, options=replace(OPTIONS, **changes)) as engine:
        engine.start(warm_up=True)
        before = engine.stats()["compiles"]
        assert engine.stats()["programs"] == before, "no more are ever compiled"
        for future in engine.submit(mixed_requests):
            future.result()
        assert engine.stats()["compiles"] == before
        assert engine.stats()["compile_s"] == 0


def test_fingerprint_names_versions_device_and_shapes(small_model):
    fingerprint = Engine(small_model, options=OPTIONS).fingerprint()
    assert fingerprint["slots"] == 4
    assert fingerprint["prompt_buckets"] == [16, 48]
    assert fingerprint["platform"] == "cpu"
    assert {"jax", "jaxlib", "device_kind", "determinism", "dtype"} <= fingerprint.keys()


def test_a_short_job_compiles_one_burst_and_one_insert_whatever_its_prompts(small_model, monkeypatch):
    monkeypatch.setattr(JaxDevice, "_full_step_s", property(lambda self: 1e-9, lambda self, new: None), False)
    prompts = [(5,) * length for length in (4, 4, 4, 4, 40, 40, 4, 12, 4, 4)]
    requests = [Request(prompt=prompt, max_new_tokens=4, stop_ids=frozenset()) for prompt in prompts]
    with Engine(small_model, options=OPTIONS) as engine:
        for few in (requests[:1], requests[:2], requests, requests):
            ask(engine, few)
        compiled = engine._devices[0]._compiled._compiled
        assert sum(key[0] == "insert" for key in compiled) == 1
        assert [key[1] for key in compiled if key[0] == "burst" and key[-1] == 4] == [48]
        assert [c.tokens for c in ask(engine, requests)][:4] == [ask(engine, requests[:1])[0].tokens] * 4
