"""The infill task: prompts that fit, middles that end where they should, verdicts that reject what they say."""

from __future__ import annotations

import pickle
from dataclasses import replace

import pyarrow as pa
import pytest

from model.engine.requests import Completion
from model.errors import ConfigError, RecordError
from model.tokenizer import Tokenizer
from transforms.fim.formats import fim_prompt
from transforms.rows.row import Row, SourceRef, content_sha256
from transforms.tasks.base import Accepted, RejectedTarget, TaskRequest
from transforms.tasks.infill import InfillTask
from transforms.tasks.middles.verdicts import REJECTION_REASONS

CONTENT = (
    "import os\n\n\ndef area(width, height):\n    size = width * height\n    report(size, width)\n"
    "    return size\n\n\nprint(area(2, 3))\n"
)


def row_of(content=CONTENT, path="src/area.py", language="python") -> Row:
    sha = content_sha256(content)
    return Row(SourceRef("corpus.parquet", 0, 0), content, sha, sha, path=path, language=language)


@pytest.fixture
def task(small_vocabulary) -> InfillTask:
    return InfillTask(tokenizer=small_vocabulary, spans_per_file=6, fim_format="psm", max_prompt_tokens=2048)


def asked(task, row) -> list[TaskRequest]:
    requests = list(task.requests(row))
    assert all(isinstance(request, TaskRequest) for request in requests)
    return requests


def completion_of(tokens, finish_reason="stop", stop_id=1) -> Completion:
    return Completion(
        tokens=tuple(tokens), finish_reason=finish_reason, stop_id=stop_id, mean_logprob=-0.5, prompt_tokens=9
    )


def one_of_kind(task, kind, row=None) -> tuple[Row, TaskRequest]:
    row = row or row_of()
    return row, asked(replace(task, span_kinds=(kind,), spans_per_file=1), row)[0]


def answer(task, tokenizer, text, *, kind="statement", row=None, **completion) -> Accepted | RejectedTarget:
    row, request = one_of_kind(task, kind, row)
    return task.accept(row, request, completion_of(tokenizer.encode(text), **completion))


def test_the_original_middle_is_accepted_as_an_exact_match(task, small_tokenizer):
    row = row_of()
    for request in asked(task, row):
        span = request.payload.span
        middle = row.content[span.start : span.end]
        verdict = task.accept(row, request, completion_of(small_tokenizer.encode(middle)))
        assert isinstance(verdict, Accepted)
        assert verdict.columns["generated_middle"] == verdict.columns["original_middle"] == middle
        checks = verdict.columns["checks"]
        assert checks["exact_match"] and checks["parses"] and checks["edit_similarity"] == 1.0


def test_columns_are_those_of_the_schema(task, small_tokenizer):
    verdict = answer(task, small_tokenizer, "size = 1")
    assert isinstance(verdict, Accepted)
    table = pa.Table.from_pylist([dict(verdict.columns)], schema=task.result_schema)
    (read,) = table.to_pylist()
    assert list(verdict.columns) == table.schema.names
    assert {**read, "checks": None} == {**verdict.columns, "checks": None}
    assert set(verdict.columns["checks"]) == {field.name for field in task.result_schema.field("checks").type}


def test_prefix_middle_and_suffix_are_the_file(task, small_tokenizer):
    verdict = answer(task, small_tokenizer, "size = 1")
    columns = verdict.columns
    assert columns["prefix"] + columns["original_middle"] + columns["suffix"] == CONTENT
    assert not columns["is_windowed"]


def test_the_prompt_is_what_the_columns_say(task, small_tokenizer):
    encode = small_tokenizer.encode
    for fim_format in ("psm", "spm", "spm_v2"):
        _, request = one_of_kind(replace(task, fim_format=fim_format, path_line=True), "statement")
        span = request.payload.span
        expected = fim_prompt(
            small_tokenizer,
            fim_format,
            encode(CONTENT[: span.start]),
            encode(CONTENT[span.end :]),
            path_line=encode("src/area.py\n"),
        )
        assert list(request.request.prompt) == expected
        assert request.prompt_format == fim_format


def test_mixed_gives_both_layouts_and_the_same_ones_again(task):
    mixed = replace(task, fim_format="mixed")
    rows = [row_of(CONTENT + f"x = {n}\n") for n in range(30)]
    modes = [request.prompt_format for row in rows for request in asked(mixed, row)]
    assert 0.35 < modes.count("spm") / len(modes) < 0.65
    assert modes == [request.prompt_format for row in rows for request in asked(mixed, row)]


def test_a_long_file_is_windowed_and_every_prompt_fits(task):
    content = "".join(f"value_{n} = compute({n})\n" for n in range(400))
    row = row_of(content)
    for request in asked(replace(task, max_prompt_tokens=200, span_kinds=("single_line",)), row):
        target = request.payload
        assert len(request.request.prompt) <= 200
        assert target.is_windowed and 0 < target.suffix_end - target.prefix_start < len(content)


def test_a_hole_that_fits_no_prompt_is_rejected_with_its_length(task):
    row = row_of("x = [" + "1, " * 300 + "]\n")
    found = list(replace(task, span_kinds=("random_chars",), max_prompt_tokens=50, max_chars=20).requests(row))
    assert {item.rejection.reason for item in found} == {"prompt_too_long"}
    assert "the limit is 46" in found[0].rejection.detail


def test_a_middle_over_the_token_limit_is_rejected(task):
    (found,) = replace(task, span_kinds=("function_body",), spans_per_file=1, max_middle_tokens=5).requests(row_of())
    assert isinstance(found, RejectedTarget) and found.rejection.reason == "middle_too_long"


def test_a_single_line_ends_at_the_model_s_line_break(task, small_tokenizer):
    row, request = one_of_kind(task, "single_line")
    (newline,) = small_tokenizer.encode("\n")
    assert newline in request.request.stop_ids
    verdict = task.accept(row, request, completion_of(small_tokenizer.encode("import os"), stop_id=newline))
    assert verdict.columns["ended_by"] == "newline"


def test_other_kinds_and_the_option_off_do_not_stop_at_a_line_break(task, small_tokenizer):
    (newline,) = small_tokenizer.encode("\n")
    assert newline not in one_of_kind(task, "statement")[1].request.stop_ids
    off = replace(task, stop_at_newline=False)
    assert newline not in one_of_kind(off, "single_line")[1].request.stop_ids
    verdict = answer(off, small_tokenizer, "import os\nimport sys", kind="multi_line")
    assert verdict.columns["ended_by"] == "stop" and "\n" in verdict.columns["generated_middle"]


def test_every_line_break_of_the_shipped_vocabulary_is_a_token_that_begins_with_it():
    tokenizer = Tokenizer.load("embedded")
    assert tokenizer.splits_at_newlines, "so a line ends in the engine by stop ids alone"


def test_final_separators_are_stripped(task, small_tokenizer):
    row, request = one_of_kind(task, "statement")
    ids = [*small_tokenizer.encode("size = 1"), small_tokenizer.file_separator]
    assert task.accept(row, request, completion_of(ids)).columns["generated_middle"] == "size = 1"


@pytest.mark.parametrize(
    ("text", "completion", "reason"),
    [
        ("", {}, "empty_middle"),
        ("  \n", {}, "empty_middle"),
        ("x = '<|fim_suffix|>'", {}, "control_token_in_output"),
        ("size = 1", {"finish_reason": "length", "stop_id": None}, "cut_off"),
        ("size = (1", {}, "does_not_parse"),
    ],
)
def test_bad_middles_are_rejected_with_their_reason(task, small_tokenizer, text, completion, reason):
    verdict = answer(task, small_tokenizer, text, **completion)
    assert isinstance(verdict, RejectedTarget)
    assert (verdict.rejection.stage, verdict.rejection.reason) == ("judge", reason)


def test_a_control_id_is_a_leak(task, small_tokenizer):
    row, request = one_of_kind(task, "statement")
    ids = [*small_tokenizer.encode("size = "), small_tokenizer.start_of_turn, *small_tokenizer.encode("1")]
    assert task.accept(row, request, completion_of(ids)).rejection.reason == "control_token_in_output"


def test_an_echo_of_the_suffix_is_rejected(task, small_tokenizer):
    row = row_of("def f(a):\n    total = a\n    return combine(a, 1)\n")
    request = next(r for r in asked(task, row) if row.content[r.payload.span.end :].startswith("\n    return"))
    ids = small_tokenizer.encode("total = a\n    return combine(a, 1)")
    verdict = replace(task, stop_at_newline=False).accept(row, request, completion_of(ids))
    assert verdict.rejection.reason == "suffix_echo"


def test_a_check_that_is_not_required_rejects_nothing_and_is_recorded(task, small_tokenizer):
    verdict = answer(replace(task, require=()), small_tokenizer, "size = (1")
    assert isinstance(verdict, Accepted)
    assert verdict.columns["checks"]["parses"] is False


def test_what_can_not_be_checked_is_rejected_unless_the_check_is_not_required(task, small_tokenizer):
    row = row_of("print 'old'\n")  # neither the file nor the statement compiles, so nothing can be said of the middle
    assert answer(task, small_tokenizer, "print 'new'", row=row).rejection.reason == "not_verifiable"
    unchecked = replace(task, require=("not_empty", "not_cut_off"))
    verdict = answer(unchecked, small_tokenizer, "print 'new'", row=row)
    assert isinstance(verdict, Accepted)
    assert verdict.columns["checks"]["parses"] is None


@pytest.mark.parametrize(("path", "language"), [("notes.unknown", "no such language"), ("notes.txt", "Text"), ("", "")])
def test_a_file_that_no_parser_can_check_is_not_asked_about(path, language, task):
    row = row_of(path=path, language=language)
    with pytest.raises(RecordError, match="not_verifiable"):
        list(task.requests(row))
    assert asked(replace(task, require=("not_empty",)), row)


def test_a_fault_elsewhere_in_the_file_excuses_no_middle(task, small_tokenizer):
    row = row_of("print 'old'\nx = 1\ny = 2\n")
    assert answer(task, small_tokenizer, "x = (", row=row).rejection.reason == "does_not_parse"
    assert answer(task, small_tokenizer, "x = 3", row=row).columns["checks"]["parses"] is True


@pytest.mark.parametrize(
    ("content", "reason"),
    [("", "nothing_to_infill"), (" \n\n", "nothing_to_infill"), ("x = '\ud800'\n", "lone_surrogate")],
)
def test_rows_that_offer_nothing_are_refused(task, content, reason):
    with pytest.raises(RecordError) as raised:
        task.requests(row_of(content))
    assert raised.value.reason == reason


def test_requests_are_the_same_in_another_process_s_copy(task):
    row = row_of()
    copy = pickle.loads(pickle.dumps(task))  # noqa: S301 - of our own object, as the row pool does
    assert asked(copy, row) == asked(task, row)
    seeds = [request.request.sampling.seed for request in asked(task, row)]
    assert len(set(seeds)) == len(seeds)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"fim_format": "pms"},
            "fim_format is 'pms', expected one of mixed, psm, spm, spm_v2, prefix, chat; did you mean ",
        ),
        ({"require": ("parse",)}, "unknown check parse; checks are not_empty"),
        ({"spans_per_file": 0}, "spans_per_file is 0"),
        ({"max_prompt_tokens": 4}, "max_prompt_tokens is 4, the minimum is 16"),
        ({"span_kinds": ("lines",)}, "unknown span kind lines"),
        ({"span_kinds": ("block=lots",)}, "span_kinds block=lots: expected KIND=WEIGHT"),
    ],
)
def test_bad_options_are_refused_before_any_work(options, message):
    with pytest.raises(ConfigError, match=message):
        InfillTask(tokenizer="unused", **options)


def test_every_check_has_a_verdict_and_a_reason(task):
    verdicts = {field.name for field in task.result_schema.field("checks").type}
    assert set(REJECTION_REASONS) <= verdicts
