"""Scores on small random models: equal to the reference forward pass, in any order, whatever shares their rows."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.config import GemmaConfig
from model.engine import Engine, EngineOptions, EngineStopped, Request, ScoreRequest
from model.engine.abstract_device import OutOfMemory
from model.engine.requests import Scores
from model.engine.scoring.device import ScoringDevice
from model.errors import RecordError
from model.gemma import Gemma, init_weights
from model.quantize import quantize

VOCABULARY = 307
LONGEST = 72  # the longest prompt and completion
OPTIONS = EngineOptions(
    slots=2,
    prompt_buckets=(16, 48),
    max_new_tokens=LONGEST - 48,
    prefill_row_tokens=64,
    max_stop_ids=4,
    prompt_lookup="off",
)
TOLERANCE = 1e-4  # as `Engine.score` states it for float32


def model_of(kind: str) -> Gemma:
    """Each family in small: key heads for all, some or one of the query heads; weights stacked, in 8 bits."""
    kv_heads = {"mha": 4, "mqa": 1}.get(kind, 2)
    config = GemmaConfig(
        num_layers=2,
        d_model=48,
        d_ff=96,
        num_heads=4,
        num_kv_heads=kv_heads,
        head_dim=12,
        vocab_size=VOCABULARY,
        context_length=256,
    )
    weights = jax.tree.map(lambda w: w * 2.0, init_weights(jax.random.key(7), config))
    if kind == "stacked":
        weights = replace(weights, blocks=jax.tree.map(lambda *blocks: jnp.stack(blocks), *weights.blocks))
    if kind == "int8":
        weights = quantize(weights)
    return Gemma(config, weights=weights)


@pytest.fixture(scope="module", params=["fast", "exact"])
def mode(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def engine(mode: str, small_model: Gemma) -> Iterator[Engine]:
    with Engine(small_model, options=replace(OPTIONS, determinism=mode)) as engine:
        yield engine


def scores(engine: Engine, requests: Sequence[ScoreRequest]) -> list[Scores]:
    return [future.result() for future in engine.score(requests)]


def reference(model: Gemma, request: ScoreRequest) -> Scores:
    """One forward pass for each continuation alone, and a softmax in float64."""
    found = []
    for continuation in request.continuations:
        sequence = (*request.prompt, *continuation)
        padded = np.zeros((1, LONGEST), np.int32)  # one shape for all
        padded[0, : len(sequence)] = sequence
        logits = np.asarray(model(jnp.asarray(padded)))[0].astype(np.float64)
        logprobs = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
        at = len(request.prompt) - 1 + np.arange(len(continuation))
        found.append(logprobs[at, list(continuation)])
    return tuple(found)


def assert_equal(found: Sequence[Scores], expected: Sequence[Scores]) -> None:
    for ours, theirs in zip(found, expected, strict=True):
        for one, other in zip(ours, theirs, strict=True):
            assert one.dtype == np.float32
            np.testing.assert_allclose(one, other, atol=TOLERANCE, rtol=0)


def random_requests(seed: int, count: int = 12) -> list[ScoreRequest]:
    """Of random lengths up to the limit; some share a long beginning, some are the same prompt."""
    rng = np.random.default_rng(seed)

    def ids(length: int) -> tuple[int, ...]:
        return tuple(rng.integers(0, VOCABULARY, length).tolist())

    header, found = ids(24), []
    for index in range(count):
        prompt = (*(header if index % 3 == 0 else ()), *ids(int(rng.integers(1, 40))))
        if index % 4 == 3:
            prompt = found[-1].prompt
        room = LONGEST - len(prompt)
        lengths = [min(int(length), room) for length in rng.choice([0, 1, 1, 2, 5, 11, 31], rng.integers(1, 6))]
        found.append(ScoreRequest(prompt=prompt, continuations=tuple(map(ids, lengths))))
    return found


@pytest.mark.parametrize("kind", ["mha", "mqa", "some", "stacked", "int8"])
def test_scores_are_the_reference_forward_passs(kind: str, mode: str) -> None:
    model, requests = model_of(kind), random_requests(1, 24)
    with Engine(model, options=replace(OPTIONS, determinism=mode)) as engine:
        assert_equal(scores(engine, requests), [reference(model, request) for request in requests])


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), order=st.permutations(range(12)))
def test_scores_of_random_requests_are_the_references_in_any_order(engine, small_model, mode, seed, order):
    requests = random_requests(seed)
    found = scores(engine, requests)
    assert_equal(found, [reference(small_model, request) for request in requests])
    shuffled = scores(engine, [requests[i] for i in order])
    assert_equal(shuffled, [found[i] for i in order])
    if mode == "exact":
        for ours, i in zip(shuffled, order, strict=True):
            assert [one.tobytes() for one in ours] == [one.tobytes() for one in found[i]]


def test_bfloat16_scores_are_near_those_of_the_reference_forward_pass_in_bfloat16(small_model, mode):
    requests = random_requests(5)
    same = Gemma(small_model.config, weights=small_model.arrays(), dtype=jnp.bfloat16)
    with Engine(small_model, options=replace(OPTIONS, determinism=mode, dtype="bfloat16")) as engine:
        found = scores(engine, requests)
    gaps = [
        np.abs(one - other)
        for request, ours in zip(requests, found, strict=True)
        for one, other in zip(ours, reference(same, request), strict=True)
    ]
    assert 0 < np.concatenate(gaps).max() < 0.1


def computed(engine: Engine, requests: Sequence[ScoreRequest]) -> float:
    """Tokens that the engine computes for requests."""
    before = engine.stats().get("score_tokens", 0.0)
    scores(engine, requests)
    return engine.stats()["score_tokens"] - before


def test_a_prompt_is_computed_once_for_all_its_continuations(engine):
    prompt, letters = tuple(range(10, 40)), tuple((letter,) for letter in range(5))
    assert computed(engine, [ScoreRequest(prompt=prompt, continuations=letters)]) == 30
    endings = ((1, 2, 3), (4, 5, 6, 7), (8, 9), (3,))
    assert computed(engine, [ScoreRequest(prompt=prompt, continuations=endings)]) == 30 + 2 + 3 + 1
    assert computed(engine, [ScoreRequest(prompt=(5, 6, 7, 8), continuations=endings)]) == 4 + 2 + 3 + 1


def test_only_fast_mode_computes_a_prompt_once_for_several_requests(engine, mode):
    requests = [ScoreRequest(prompt=tuple(range(20)), continuations=((letter,),)) for letter in range(3)]
    assert computed(engine, requests) == (20 if mode == "fast" else 60)


def test_more_continuations_than_a_row_holds_are_scored(engine, small_model):
    rng = np.random.default_rng(2)
    continuations = tuple(tuple(rng.integers(0, VOCABULARY, 20).tolist()) for _ in range(40))
    request = ScoreRequest(prompt=tuple(rng.integers(0, VOCABULARY, 40).tolist()), continuations=continuations)
    assert_equal(scores(engine, [request]), [reference(small_model, request)])


def test_more_tokens_than_are_scored_at_once_may_follow_one_position(engine, small_model):
    request = ScoreRequest(prompt=(3, 4, 5), continuations=tuple((token,) for token in range(VOCABULARY)))
    found = scores(engine, [request])
    assert_equal(found, [reference(small_model, request)])
    assert np.exp(np.concatenate(found[0]).astype(np.float64)).sum() == pytest.approx(1, abs=1e-5)


def test_nothing_to_score_has_no_scores(engine):
    assert scores(engine, [ScoreRequest(prompt=(1, 2), continuations=())]) == [()]
    (found,) = scores(engine, [ScoreRequest(prompt=(1, 2), continuations=((), (3,)))])
    assert [one.shape for one in found] == [(0,), (1,)]


@pytest.mark.parametrize(
    ("request_", "reason", "said"),
    [
        (ScoreRequest(prompt=(), continuations=((1,),)), "prompt_empty", "the prompt is empty"),
        (
            ScoreRequest(prompt=(1,) * 70, continuations=((1,), (1, 2, 3))),
            "prompt_too_long",
            "prompt has 70 tokens and its longest continuation 3, together 73; at most 72 can be scored",
        ),
        (ScoreRequest(prompt=(1, 307), continuations=((1,),)), "token_out_of_vocabulary", "prompt has token id 307"),
        (ScoreRequest(prompt=(1,), continuations=((-1,),)), "token_out_of_vocabulary", "continuation has token id -1"),
    ],
)
def test_a_request_that_cannot_be_scored_fails_alone_and_says_why(engine, request_, reason, said):
    bad, good = engine.score([request_, ScoreRequest(prompt=(1,), continuations=((2,),))])
    with pytest.raises(RecordError, match=said) as caught:
        bad.result()
    assert caught.value.reason == reason
    assert good.result()[0].shape == (1,)


def test_the_longest_prompt_with_its_continuation_can_be_scored(engine, small_model):
    request = ScoreRequest(prompt=(9,) * 70, continuations=((1, 2), (5, 6)))
    assert_equal(scores(engine, [request]), [reference(small_model, request)])


def test_scoring_beside_generation_changes_neither(engine, small_model):
    requests = random_requests(8)
    asked = [Request(prompt=r.prompt[:48], max_new_tokens=20, stop_ids=frozenset()) for r in requests]
    alone = [future.result().tokens for future in engine.submit(asked)]
    generating = engine.submit(asked)
    found = scores(engine, requests)
    assert [future.result().tokens for future in generating] == alone
    assert_equal(found, [reference(small_model, request) for request in requests])


def test_warming_up_compiles_all_that_scoring_needs(small_model, mode):
    with Engine(small_model, options=replace(OPTIONS, determinism=mode)) as engine:
        engine.warm_up_scoring()
        before = engine.stats()["compiles"]
        scores(engine, random_requests(3, 24))
        assert engine.stats()["compiles"] == before > 0
        assert engine.stats()["score_compile_s"] == 0


def test_a_row_that_memory_does_not_hold_is_scored_in_smaller_ones(small_model, monkeypatch):
    dispatch, sizes = ScoringDevice.dispatch, []

    def scarce(device, parts):
        sizes.append(len(parts))
        if len(parts) > 2:
            raise OutOfMemory("RESOURCE_EXHAUSTED")
        return dispatch(device, parts)

    monkeypatch.setattr(ScoringDevice, "dispatch", scarce)
    requests = random_requests(4)
    with Engine(small_model, options=OPTIONS) as engine:
        assert_equal(scores(engine, requests), [reference(small_model, request) for request in requests])
    assert max(sizes) > 2


def test_an_engine_whose_scoring_fails_says_so_to_all_who_wait(small_model, monkeypatch):
    def fail(device, parts):
        raise RuntimeError("the device fell off the bus")

    monkeypatch.setattr(ScoringDevice, "dispatch", fail)
    with Engine(small_model, options=OPTIONS) as engine:
        futures = engine.score(random_requests(6))
        for future in futures:
            if future.exception(timeout=30) is not None:
                assert isinstance(future.exception(), EngineStopped)
        assert any(future.exception() for future in futures)
        with pytest.raises(EngineStopped):
            for _ in range(100):
                engine.score(random_requests(6))[0].exception(timeout=30)


def test_a_closed_engine_has_scored_its_requests_and_takes_no_more(small_model):
    engine = Engine(small_model, options=OPTIONS)
    futures = engine.score(random_requests(7))
    engine.close()
    assert all(future.done() for future in futures)
    with pytest.raises(EngineStopped):
        engine.score(random_requests(7))


def test_orders_of_many_submissions_do_not_matter(engine, small_model):
    requests = random_requests(9, 40)
    random.Random(1).shuffle(requests)
    futures = [engine.score([request])[0] for request in requests]
    assert_equal([future.result() for future in futures], [reference(small_model, request) for request in requests])
