"""Questions and answers with the embedded model's vocabulary, against the tasks that make datasets."""

from __future__ import annotations

from dataclasses import replace

import pytest

from model.engine.requests import Completion
from model.errors import RecordError
from model.tokenizer import Tokenizer
from transforms.evaluation.asker import Asker
from transforms.evaluation.protocol import Stops, protocol_of
from transforms.evaluation.question import Question
from transforms.fim.formats import fim_prompt, fim_stop_ids
from transforms.rows.row import Row, SourceRef, content_sha256
from transforms.tasks.generate import GenerateTask
from transforms.tasks.infill import InfillTask
from transforms.tasks.shared import newline_ids, open_tokenizer

ASKER = Asker(tokenizer="embedded", max_prompt_tokens=256, max_new_tokens=32)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return open_tokenizer("embedded")


def row_of(text: str) -> Row:
    return Row(SourceRef("a.parquet", 0, 0), text, content_sha256(text), content_sha256(text), language="python")


def completion(tokenizer: Tokenizer, text: str, stop_id: int | None) -> Completion:
    ids = tuple(tokenizer.encode(text))
    reason = "length" if stop_id is None else "stop"
    return Completion(tokens=ids, finish_reason=reason, stop_id=stop_id, mean_logprob=-1.0, prompt_tokens=9)


CONTINUE = Question(form="continue", protocol="1", ending=Stops(stops=("\ndef",)))
LINE = Question(form="fill", protocol="1", suffix="    return x\n", is_line=True)
SPAN = replace(LINE, is_line=False)


def test_a_continuation_is_asked_as_generate_asks_a_base_model(tokenizer: Tokenizer) -> None:
    row = row_of("def f(x):\n")
    asked = ASKER.request(row, CONTINUE).request
    task = GenerateTask(tokenizer="embedded", what="prompt", language="python", max_prompt_tokens=256)
    (theirs,) = task.requests(row)
    assert asked.prompt == theirs.request.prompt
    assert asked.prompt[0] == tokenizer.bos
    assert asked.stop_ids == theirs.request.stop_ids == fim_stop_ids(tokenizer)


@pytest.mark.parametrize("mode", ["psm", "spm", "spm_v2"])
def test_a_hole_is_asked_as_infill_asks_it(tokenizer: Tokenizer, mode: str) -> None:
    row = row_of("def f(x):\n")
    asked = replace(ASKER, fim_format=mode).request(row, LINE)
    prefix, suffix = tokenizer.encode(row.content), tokenizer.encode(LINE.suffix)
    assert list(asked.request.prompt) == fim_prompt(tokenizer, mode, prefix, suffix)
    assert asked.prompt_format == mode
    assert asked.request.stop_ids == fim_stop_ids(tokenizer) | newline_ids("embedded")


def test_only_a_line_ends_at_its_line_break(tokenizer: Tokenizer) -> None:
    row = row_of("def f(x):\n")
    assert ASKER.request(row, SPAN).request.stop_ids == fim_stop_ids(tokenizer)
    written = completion(tokenizer, "    x += 1\n    x += 2\n", tokenizer.eos)
    assert ASKER.answer(row, LINE, written).text == "    x += 1\n"
    assert ASKER.answer(row, SPAN, written).text == "    x += 1\n    x += 2\n"


def test_a_line_has_its_line_break_whatever_ended_it(tokenizer: Tokenizer) -> None:
    row, newline = row_of("def f(x):\n"), min(newline_ids("embedded"))
    for stop_id, ended_by in ((newline, "newline"), (tokenizer.fim_suffix, "stop"), (None, "length")):
        found = ASKER.answer(row, LINE, completion(tokenizer, "    x += 1", stop_id))
        assert (found.text, found.ended_by) == ("    x += 1\n", ended_by)


def test_the_answer_is_cut_at_a_stop_and_what_was_written_is_kept(tokenizer: Tokenizer) -> None:
    text = "    return x\n\ndef g():\n    pass\n"
    found = ASKER.answer(row_of("def f(x):\n"), CONTINUE, completion(tokenizer, text, None))
    assert (found.text, found.written, found.ended_by) == ("    return x\n", text, "stop")
    uncut = ASKER.answer(row_of("def f(x):\n"), CONTINUE, completion(tokenizer, "    return x", None))
    assert (uncut.text, uncut.ended_by) == ("    return x", "length")


def test_what_a_program_needs_of_the_prompt_leads_the_answer(tokenizer: Tokenizer) -> None:
    ending = protocol_of("babelcode").ending_of("Rust", 0)
    question = Question(form="continue", protocol="1", lead="fn f() -> i32 {", ending=ending)
    found = ASKER.answer(row_of("fn f() -> i32 {"), question, completion(tokenizer, "\n    1\n}\nfn g() {}", None))
    assert found.text == "fn f() -> i32 {\n    1\n}"


def test_a_prompt_that_does_not_fit_is_refused_and_a_long_file_is_windowed() -> None:
    long = "x = 1  # some text\n" * 200
    with pytest.raises(RecordError, match="the limit is 256"):
        ASKER.request(row_of(long), CONTINUE)
    assert len(ASKER.request(row_of(long), LINE).request.prompt) <= 256


def test_a_question_survives_its_text() -> None:
    for question in (CONTINUE, LINE, replace(CONTINUE, ending=Stops(stops=("a", "b"), keeps_stop=True, closing="}"))):
        assert Question.of(question.text()) == question


def test_the_task_that_fills_in_is_the_one_that_makes_datasets() -> None:
    assert isinstance(ASKER._infill(), InfillTask)
