"""The generation work with a task and an engine that can be worked out by hand."""

from __future__ import annotations

import itertools
import os
import signal
from collections import Counter
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.engine.requests import Completion, Request
from model.engine.settings import EngineSpec
from model.errors import RecordError
from transforms import bounded
from transforms.filters.content import FilteredInput
from transforms.generation.engine import release_engines, use_engine
from transforms.generation.stages import Answers, RowStages
from transforms.generation.work import GenerationWork
from transforms.rows.columns import ColumnOverrides, RowLimits
from transforms.rows.rejections import REJECTED_SCHEMA, Rejection
from transforms.rows.row import Row, SourceRef
from transforms.scanning import ContentFilter
from transforms.tasks.base import Accepted, RejectedTarget, TaskRequest
from transforms.work import Unit, WorkBroken

SPEC = EngineSpec(model="none", max_prompt_tokens=16, max_new_tokens=4)


@dataclass(frozen=True)
class WordTask:
    """One target per word. Its prompt is the word's length; an answer is rejected if it is odd."""

    name: str = "words"
    template_version: str = "1"

    @property
    def result_schema(self):
        return pa.schema([("word", pa.large_string()), ("checks", pa.struct([("is_even", pa.bool_())]))])

    def requests(self, row):
        if row.content == "nothing":
            return
        if row.content == "refused":
            raise RecordError("refused_content", "this content is refused")
        if row.content == "bug":
            raise KeyError("a secret value that must not be stored")
        if row.content == "killer":
            os.kill(os.getpid(), signal.SIGKILL)
        for number, word in enumerate(row.content.split()):
            request = Request(prompt=(len(word),), max_new_tokens=4, stop_ids=frozenset({1}))
            yield TaskRequest(target=f"word:{number}", request=request, payload=word, prompt_format="plain")

    def accept(self, row, request, completion):
        if completion.tokens[0] % 2:
            return RejectedTarget(target=request.target, rejection=Rejection("judge", "odd_length"))
        before, after = row.content.split(request.payload, 1)
        return Accepted(
            columns={"word": request.payload, "checks": {"is_even": True}},
            written=(before, f"mail {request.payload}@corp-mail.dev" if request.payload == "mail" else "", after),
        )


class EchoEngine:
    """Answers with the prompt; refuses prompts above 5."""

    def submit(self, requests):
        return [self._answer(request) for request in requests]

    def _answer(self, request):
        future = Future()
        if request.prompt[0] > 5:
            future.set_exception(RecordError("prompt_too_long", "too long"))
        else:
            future.set_result(
                Completion(tokens=request.prompt, finish_reason="stop", stop_id=1, mean_logprob=-0.5, prompt_tokens=1)
            )
        return future

    def stats(self):
        return {"slot_occupancy": 1.0}

    def fingerprint(self):
        return {"engine": "echo"}

    def close(self):
        pass


@pytest.fixture(params=[0, 1], ids=["inline", "pooled"])
def work(request):
    use_engine(SPEC, EchoEngine())
    work = GenerationWork(
        task=WordTask(),
        engine=SPEC,
        columns=ColumnOverrides(),
        limits=RowLimits(max_content_bytes=100),
        checkpoint_sha256="c0ffee",
        row_workers=request.param,
    )
    work.open()
    yield work
    work.close()
    release_engines()


def run(work, contents):
    table = pa.table({"content": pa.array(contents, pa.string()), "stars": list(range(len(contents)))})
    unit = Unit(
        unit_id="0", uri="a.parquet", version="1", row_group=2, row_start=10, row_count=len(contents), num_bytes=1
    )
    result = work.run(unit, table, list(range(10, 10 + len(contents))))
    assert result.kept.schema == work.output_schema(table.schema)
    assert result.rejected.schema == REJECTED_SCHEMA
    assert_ledgers(result)
    return result


def assert_ledgers(result):
    counts = result.counts
    assert counts["rows_in"] == counts["rows_kept"] + counts["rows_rejected"]
    assert counts["targets"] == counts["targets_accepted"] + counts["targets_rejected"]
    kinds = result.rejected.column("kind").to_pylist()
    assert (kinds.count("row"), kinds.count("target")) == (counts["rows_rejected"], counts["targets_rejected"])
    assert result.kept.num_rows == counts["targets_accepted"]


def reasons(result):
    return [(r["kind"], r["row"], r["stage"], r["reason"]) for r in result.rejected.to_pylist()]


def test_each_accepted_target_is_a_row_with_its_source_columns_and_lineage(work):
    result = run(work, ["ab cdef", "gh"])
    rows = result.kept.to_pylist()
    assert [(row["content"], row["stars"], row["word"]) for row in rows] == [
        ("ab cdef", 0, "ab"),
        ("ab cdef", 0, "cdef"),
        ("gh", 1, "gh"),
    ]
    assert result.counts["checks/is_even/true"] == 3
    lineage = rows[1]["lineage"]
    assert (lineage["source_uri"], lineage["source_row_group"], lineage["source_row"]) == ("a.parquet", 2, 10)
    assert (lineage["target"], lineage["prompt_format"], lineage["checkpoint_sha256"]) == ("word:1", "plain", "c0ffee")
    assert lineage["engine"] == '{"engine": "echo"}'


def test_the_lineage_names_the_model_and_not_where_it_lies():
    spec = replace(SPEC, model="/home/somebody/models/codegemma-2b/")
    use_engine(spec, EchoEngine())
    work = GenerationWork(
        task=WordTask(), engine=spec, columns=ColumnOverrides(), limits=RowLimits(), checkpoint_sha256="", row_workers=0
    )
    work.open()
    try:
        (row,) = run(work, ["ab"]).kept.to_pylist()
    finally:
        work.close()
        release_engines()
    assert row["lineage"]["model"] == "codegemma-2b"


def test_a_row_is_kept_when_one_of_its_targets_is_accepted(work):
    result = run(work, ["ab abc", "abc", "toolong"])
    assert result.counts["rows_kept"] == 1
    assert reasons(result) == [
        ("target", 10, "judge", "odd_length"),
        ("row", 11, "judge", "no_target_accepted"),
        ("target", 11, "judge", "odd_length"),
        ("row", 12, "judge", "no_target_accepted"),
        ("target", 12, "generate", "prompt_too_long"),
    ]


def test_rows_that_cannot_be_read_or_asked_about_are_rejected_with_their_reason(work):
    result = run(work, [None, "", "x" * 101, "nothing", "refused", "bug", "ab"])
    assert [reason for _, _, _, reason in reasons(result)] == [
        "null_content",
        "empty_content",
        "content_too_large",
        "no_target",
        "refused_content",
        "stage_error",
    ]
    assert result.kept.num_rows == 1
    assert "secret" not in str(result.rejected.to_pylist())


def test_heartbeats_count_the_rows_and_targets_that_the_ledger_will_have(work):
    assert work.heartbeat()["targets_asked"] == 0
    result = run(work, [None, "nothing", "refused", "bug", "ab toolong odd", "be by"])
    beat = work.heartbeat()
    assert beat["rows_prepared"] == result.counts["rows_in"] == 6
    assert beat["targets_asked"] == beat["targets_done"] == result.counts["targets"] == 5


def test_a_row_whose_parser_kills_its_process_is_rejected_and_the_others_come_out():
    use_engine(SPEC, EchoEngine())
    work = GenerationWork(
        task=WordTask(), engine=SPEC, columns=ColumnOverrides(), limits=RowLimits(), checkpoint_sha256="", row_workers=1
    )
    work.open()
    try:
        result = run(work, ["ab", "killer", "cd"])
    finally:
        work.close()
        release_engines()
    assert reasons(result) == [("row", 11, "targets", "crashed_worker")]
    assert result.kept.column("word").to_pylist() == ["ab", "cd"]


class DeadEngine(EchoEngine):
    """Took the prompts and died."""

    def _answer(self, request):
        future = Future()
        future.set_exception(RuntimeError("the engine has stopped"))
        return future


def test_a_dead_engine_is_no_rows_fault():
    use_engine(SPEC, DeadEngine())
    work = GenerationWork(
        task=WordTask(), engine=SPEC, columns=ColumnOverrides(), limits=RowLimits(), checkpoint_sha256="", row_workers=0
    )
    work.open()
    try:
        with pytest.raises(WorkBroken, match="the engine failed"):
            run(work, ["ab"])
    finally:
        work.close()
        release_engines()


def test_a_bug_is_logged_with_its_place_and_without_what_it_says(caplog):
    stages = RowStages(task=WordTask())
    source = SourceRef("a.parquet", 0, 7)
    prepared = stages.prepare(Row(source=source, content="bug", content_sha256="", redacted_sha256=""))
    assert prepared.rejection == Rejection("targets", "stage_error", "KeyError")
    assert "KeyError" in caplog.text and "in requests" in caplog.text and "row=7" in caplog.text
    # The line of code is shown, including its text, but not the error's own text.
    assert caplog.text.count("must not be stored") == 1


def test_a_prepared_row_goes_back_only_where_the_filter_has_changed_it(monkeypatch):
    stages = RowStages(task=WordTask())
    row = Row(source=SourceRef("a", 0, 0), content="ab abc", content_sha256="", redacted_sha256="")
    light = stages.prepare_light(row)
    assert light.row is None and light.requests == stages.prepare(row).requests != ()
    changed = replace(row, content="ab")
    monkeypatch.setattr("transforms.generation.stages.filter_input", lambda content_filter, row: FilteredInput(changed))
    assert stages.prepare_light(row).row == changed


class CheckingTask(WordTask):
    """Has the child match a pattern for each file and each answer."""

    def requests(self, row):
        bounded.judge("the word", "matched", "search", "a", "a")
        return super().requests(row)

    def accept(self, row, request, completion):
        bounded.judge("the word", "matched", "search", "a", "a")
        return super().accept(row, request, completion)


def test_what_a_task_has_checked_for_one_row_has_a_limit_together(monkeypatch):
    monkeypatch.setattr(bounded, "ROW_TOTAL_CPU_S", 0.0)
    row = Row(source=SourceRef("a", 0, 0), content="ab abc", content_sha256="", redacted_sha256="")
    assert RowStages(task=CheckingTask()).prepare(row).rejection.reason == "check_timed_out"
    requests = RowStages(task=WordTask()).prepare(row).requests
    completion = Completion(tokens=(2,), finish_reason="stop", stop_id=1, mean_logprob=-0.5, prompt_tokens=1)
    answers = Answers(row, requests, ((completion,),) * len(requests))
    refused = RowStages(task=CheckingTask()).validate(answers).rejected
    assert {target.rejection.reason for target in refused} == {"check_timed_out"} and len(refused) == len(requests)


def test_a_column_that_has_a_results_name_stays_under_another(work):
    table = pa.table({"content": ["ab"], "word": ["mine"]})
    unit = Unit(unit_id="0", uri="a", version="1", row_group=0, row_start=0, row_count=1, num_bytes=1)
    row = work.run(unit, table, [0]).kept.to_pylist()[0]
    assert (row["input_word"], row["word"]) == ("mine", "ab")


def filtered_work(policy):
    use_engine(SPEC, EchoEngine())
    work = GenerationWork(
        task=WordTask(),
        engine=SPEC,
        columns=ColumnOverrides(),
        limits=RowLimits(),
        checkpoint_sha256="",
        content_filter=ContentFilter(policy),
        row_workers=0,
    )
    work.open()
    return work


def test_inputs_are_redacted_before_they_become_prompts_and_the_raw_text_goes_nowhere():
    address = "jane.roe" + "@" + "corp-mail.dev"
    result = run(filtered_work("default"), [f"ab {address} cd", "ab"])
    first = result.kept.to_pylist()[0]
    assert address not in str(result.kept.to_pylist()) + str(result.rejected.to_pylist())
    assert "<EMAIL_1>" in first["content"]
    assert first["lineage"]["content_sha256"] != first["lineage"]["redacted_sha256"]
    assert first["lineage"]["filter_version"].startswith("default-")
    assert (result.counts["rows_redacted"], result.counts["found/email/redact"]) == (1, 1)
    release_engines()


def test_rejected_rows_and_targets_without_a_path_have_none():
    result = run(filtered_work("default"), ["mail ab", ""])
    records = result.rejected.to_pylist()
    assert {record["kind"] for record in records} == {"row", "target"}
    assert [record["path"] for record in records] == [None] * len(records)
    release_engines()


def test_an_output_with_personal_data_is_rejected_and_named_by_its_rule():
    result = run(filtered_work("default"), ["mail ab"])
    assert reasons(result) == [("target", 10, "filter_output", "personal_data_in_output")]
    assert result.kept.column("word").to_pylist() == ["ab"]
    assert "corp-mail" not in str(result.rejected.to_pylist())
    release_engines()


def test_of_several_samples_the_likeliest_that_others_agree_with_is_kept_and_the_rest_are_counted():
    class Sampler(EchoEngine):
        """Sample 0 (seed 0) says something odd, the others say the same."""

        def submit(self, requests):
            self.seeds = [request.sampling.seed for request in requests]
            futures = []
            for request in requests:
                future = Future()
                tokens = (3,) if request.sampling.seed == 0 else request.prompt
                future.set_result(
                    Completion(tokens=tokens, finish_reason="stop", stop_id=1, mean_logprob=-1.0, prompt_tokens=1)
                )
                futures.append(future)
            return futures

    engine = Sampler()
    use_engine(SPEC, engine)
    work = GenerationWork(
        task=WordTask(),
        engine=SPEC,
        columns=ColumnOverrides(),
        limits=RowLimits(),
        checkpoint_sha256="",
        row_workers=0,
        samples=3,
    )
    work.open()
    result = run(work, ["ab"])
    assert len(set(engine.seeds)) == 3, "each sample has a seed of its own"
    row = result.kept.to_pylist()[0]
    assert row["lineage"]["sample"] == 1, (
        "sample 0 was rejected; 1 and 2 are alike, and the earlier one stands for both"
    )
    assert row["lineage"]["seed"] == engine.seeds[1]
    assert row["lineage"]["agreement"] == 1.0
    assert {k: v for k, v in result.counts.items() if k.startswith("samples/")} == {
        "samples/kept": 1,
        "samples/passed_over": 1,
        "samples/odd_length": 1,
    }
    release_engines()


class NestingWords(WordTask):
    """Puts the words that were accepted into one line."""

    @property
    def nested_schema(self):
        return pa.schema([("words", pa.large_string())])

    def nest(self, row, kept):
        if row.content.endswith("clash"):
            raise RecordError("words_clash", "they don't fit together")
        return {"words": "+".join(accepted.columns["word"] for _, accepted in kept)}


def test_nested_answers_make_one_row_a_file_and_what_does_not_fit_together_is_rejected():
    use_engine(SPEC, EchoEngine())
    work = GenerationWork(
        task=NestingWords(),
        engine=SPEC,
        columns=ColumnOverrides(),
        limits=RowLimits(),
        checkpoint_sha256="",
        row_workers=0,
        nest=True,
    )
    work.open()
    table = pa.table({"content": ["ab abc cdef", "ab clash"]})
    unit = Unit(unit_id="0", uri="a", version="1", row_group=0, row_start=0, row_count=2, num_bytes=1)
    result = work.run(unit, table, [0, 1])
    (row,) = result.kept.to_pylist()
    assert row["words"] == "ab+cdef"
    assert [lineage["target"] for lineage in row["lineage"]] == ["word:0", "word:2"]
    assert reasons(result) == [
        ("target", 0, "judge", "odd_length"),
        ("row", 1, "judge", "no_target_accepted"),
        ("target", 1, "judge", "odd_length"),
        ("target", 1, "nest", "words_clash"),
    ]
    assert (result.counts["targets_accepted"], result.counts["rows_kept"]) == (2, 1)
    release_engines()


class DistinctWords(WordTask):
    """A word may be kept once in a row."""

    def distinct_texts(self, row, columns):
        return columns["word"], "the same"


@contextmanager
def opened(task, row_workers=0, **settings):
    use_engine(SPEC, EchoEngine())
    work = GenerationWork(
        task=task,
        engine=SPEC,
        columns=ColumnOverrides(),
        limits=RowLimits(),
        checkpoint_sha256="",
        row_workers=row_workers,
        **settings,
    )
    work.open()
    try:
        yield work
    finally:
        work.close()
        release_engines()


def test_answers_of_a_row_that_repeat_an_earlier_one_are_rejected_and_name_it():
    def result_of(task, **settings):
        with opened(task, **settings) as work:
            return run(work, ["ab cdef", "ab gh ab ab gh", "ab"])

    result = result_of(DistinctWords())
    assert result.kept.column("word").to_pylist() == ["ab", "cdef", "ab", "gh", "ab"]
    assert reasons(result) == [("target", 11, "select", "near_duplicate_output")] * 3
    assert [(r["target"], r["detail"]) for r in result.rejected.to_pylist()] == [
        ("word:2", "of word:0, which is kept: edit similarity 1.00"),
        ("word:3", "of word:0, which is kept: edit similarity 1.00"),
        ("word:4", "of word:1, which is kept: edit similarity 1.00"),
    ]
    assert result_of(DistinctWords(), distinct=False).kept.num_rows == 8
    assert result_of(WordTask()).kept.num_rows == 8


@pytest.fixture(scope="module")
def pools():
    """Works with no, one and two row workers."""
    with ExitStack() as stack:
        settings = {"samples": 2, "keep": 2, "content_filter": ContentFilter("default")}
        yield [stack.enter_context(opened(DistinctWords(), workers, **settings)) for workers in (0, 1, 2)]


WORDS = st.lists(st.sampled_from(["ab", "cd", "abc", "cdef", "toolong", "mail"]), max_size=6)
CONTENTS = st.lists(WORDS.map(" ".join) | st.sampled_from(["nothing", "refused", "bug", ""]), min_size=1, max_size=12)


@given(contents=CONTENTS, data=st.data())
@settings(max_examples=60, deadline=None)
def test_rows_rejections_and_counts_do_not_depend_on_how_the_rows_were_cut(pools, contents, data):
    """Answers repeat within rows and across them; paths with the same address are redacted in several pieces."""
    people = data.draw(st.lists(st.sampled_from("ab"), min_size=len(contents), max_size=len(contents)))
    paths = [f"home/{who}@corp-mail.dev/x.py" for who in people]
    table = pa.table({"content": contents, "path": paths})
    cuts = data.draw(st.sets(st.integers(1, len(contents) - 1)) if len(contents) > 1 else st.just(set()))
    whole = _over_pieces(pools[0], table, set())
    assert _over_pieces(data.draw(st.sampled_from(pools)), table, cuts) == whole


def _over_pieces(work, table, cuts):
    """The rows, records and counts of a unit that is run in pieces."""
    unit = Unit(unit_id="0", uri="a", version="", row_group=0, row_start=0, row_count=table.num_rows, num_bytes=1)
    edges = [0, *sorted(cuts), table.num_rows]
    kept, rejected, counts = [], [], Counter()
    for begin, end in itertools.pairwise(edges):
        result = work.run(unit, table.slice(begin, end - begin), list(range(begin, end)))
        kept += result.kept.to_pylist()
        rejected += result.rejected.to_pylist()
        counts.update(result.counts)
    return kept, rejected, counts


def test_the_file_around_an_answer_is_let_go_as_soon_as_it_was_filtered():
    row = Row(source=SourceRef("a", 0, 0), content="ab " * 3, content_sha256="", redacted_sha256="")
    stages = RowStages(task=WordTask(), content_filter=ContentFilter("default"))
    stages.open()
    requests = stages.prepare(row).requests
    completion = Completion(tokens=(2,), finish_reason="stop", stop_id=1, mean_logprob=-0.5, prompt_tokens=1)
    verdict = stages._verdict(row, requests[1], completion)
    assert verdict.written[0] == verdict.written[2] == ""


def test_rejected_answers_are_kept_where_that_was_asked_for_and_the_filter_finds_nothing(
    small_vocabulary, small_tokenizer
):
    row = Row(source=SourceRef("a", 0, 0), content="ab abc", content_sha256="", redacted_sha256="")
    stages = RowStages(task=WordTask(), content_filter=ContentFilter("default"), answer_tokenizer=small_vocabulary)
    stages.open()
    requests = stages.prepare(row).requests

    def rejected_answer(text, stages=stages):
        tokens = tuple(t | 1 if n == 0 else t for n, t in enumerate(small_tokenizer.encode("a" + text)))
        completion = Completion(tokens=tokens, finish_reason="stop", stop_id=1, mean_logprob=-0.5, prompt_tokens=1)
        (refused,) = stages.validate(Answers(row, requests[:1], ((completion,),))).rejected
        return refused.answer

    assert rejected_answer(" plain words").endswith(" plain words")
    assert rejected_answer(" mail jane.roe" + "@" + "corp-mail.dev please") is None
    assert rejected_answer(" plain words", replace(stages, answer_tokenizer="")) is None


@dataclass(frozen=True)
class OriginalTask(WordTask):
    """Each word's original has a token per letter; a word of z can't be scored."""

    def requests(self, row):
        for request in super().requests(row):
            yield replace(request, original=tuple(ord(letter) for letter in request.payload))


class ScoringEngine(EchoEngine):
    """Scores each token by a hundredth of its id; refuses z."""

    def __init__(self):
        self.scored = []

    def score(self, requests):
        self.scored += requests
        return [self._score(request) for request in requests]

    def _score(self, request):
        future = Future()
        (tokens,) = request.continuations
        if ord("z") in tokens:
            future.set_exception(RecordError("prompt_too_long", "too long"))
        else:
            future.set_result((np.array(tokens, np.float32) / -100,))
        return future


def test_rows_have_the_log_probability_of_their_original_where_it_can_be_scored():
    engine = ScoringEngine()
    use_engine(SPEC, engine)
    work = GenerationWork(
        task=OriginalTask(),
        engine=SPEC,
        columns=ColumnOverrides(),
        limits=RowLimits(max_content_bytes=100),
        checkpoint_sha256="c0ffee",
        row_workers=0,
        score_original=True,
    )
    work.open()
    result = run(work, ["ab zz odd", "dddd"])
    release_engines()
    rows = [(row["word"], row["original_logprob"], row["original_tokens"]) for row in result.kept.to_pylist()]
    assert rows == [("ab", pytest.approx(-1.95), 2), ("zz", None, None), ("dddd", pytest.approx(-4.0), 4)]
    assert result.counts["original_tokens"] == 6 and result.counts["originals_not_scored"] == 1
    assert [request.prompt for request in engine.scored] == [(2,), (2,), (4,)]  # only those that are kept


def test_without_scores_a_row_has_no_columns_for_them(work):
    assert "original_logprob" not in run(work, ["ab"]).kept.column_names
