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
from transforms.tasks.chat import chat_stop_ids
from transforms.tasks.generate import GenerateTask
from transforms.tasks.infill import InfillTask
from transforms.tasks.shared import newline_ids, open_tokenizer

ASKER = Asker(tokenizer="embedded", max_prompt_tokens=256, max_new_tokens=32)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return open_tokenizer("embedded")


def row_of(text: str) -> Row:
    return Row(SourceRef("a.parquet", 0, 0), text, content_sha256(text), content_sha256(text), language="Python")


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


TURN = Question(form="turn", protocol="1/chat", answer="code", lead="def f(x):\n", ending=Stops(stops=("\ndef",)))
TOLD = Question(form="turn", protocol="1/chat", ending=Stops(stops=("Question:",)))
CHAT = Question(form="conversation", protocol="1/chat", answer="code")


@pytest.mark.parametrize(
    ("what", "question", "content"),
    [
        ("prompt", TURN, "Write f."),
        ("prompt", TOLD, "Question: 1 + 1?\nAnswer:"),
        (
            "chat",
            CHAT,
            '[{"role": "user", "content": "a"}, {"role": "model", "content": "b"}, {"role": "user", "content": "c"}]',
        ),
    ],
)
def test_chat_is_asked_as_generate_asks_an_instruction_tuned_model(
    tokenizer: Tokenizer, what: str, question: Question, content: str
) -> None:
    asked = ASKER.request(row_of(content), question)
    task = GenerateTask(tokenizer="embedded", what=what, is_chat=True, language="python", max_prompt_tokens=256)
    (theirs,) = task.requests(row_of(content))
    assert asked.request.prompt == theirs.request.prompt
    assert asked.request.prompt[:2] == (tokenizer.bos, tokenizer.start_of_turn)
    assert asked.request.stop_ids == theirs.request.stop_ids == chat_stop_ids(tokenizer)
    assert asked.prompt_format == theirs.prompt_format == "chat"


def test_generation_ends_at_the_stops_that_cut_the_answer_and_no_others(tokenizer: Tokenizer) -> None:
    for question, texts in ((CONTINUE, ("\ndef",)), (TOLD, ("Question:",)), (TURN, None), (LINE, None)):
        stops = ASKER.request(row_of("def f(x):\n"), question).request.stop_texts
        assert (None if stops is None else stops.texts) == texts


def test_code_is_taken_out_of_a_turn_and_no_stop_cuts_it(tokenizer: Tokenizer) -> None:
    code = "def f(x):\n    return g(x)\n\ndef g(x):\n    return x\n"
    found = ASKER.answer(row_of("Write f."), TURN, completion(tokenizer, f"Here:\n```python\n{code}```", 1))
    assert (found.text, found.ended_by) == (code, "stop")
    body = ASKER.answer(row_of("Write f."), TURN, completion(tokenizer, "```python\n    return 1\n```\n", 1))
    assert body.text == "def f(x):\n    return 1\n"
    told = ASKER.answer(row_of("1 + 1?"), TOLD, completion(tokenizer, "It is 2.\nQuestion: 2 + 2?", None))
    assert (told.text, told.ended_by) == ("It is 2.\n", "stop")


def test_a_text_that_ended_generation_gives_the_answer_that_cutting_gives(tokenizer: Tokenizer) -> None:
    whole = completion(tokenizer, "    return x\n\ndef g():\n    pass\n", None)
    stops = ASKER.request(row_of("def f(x):\n"), CONTINUE).request.stop_texts
    assert stops is not None
    end = stops.watch().end(whole.tokens)
    assert end is not None and end < len(whole.tokens)
    early = replace(whole, tokens=whole.tokens[:end], finish_reason="stop_text")
    first, second = (ASKER.answer(row_of("def f(x):\n"), CONTINUE, one) for one in (whole, early))
    assert (first.text, first.ended_by) == (second.text, second.ended_by)
    assert first.written.startswith(second.written) and second.written.endswith("\ndef")


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
    for question in (
        CONTINUE,
        LINE,
        TURN,
        CHAT,
        replace(CONTINUE, ending=Stops(stops=("a", "b"), keeps_stop=True, closing="}")),
    ):
        assert Question.of(question.text()) == question


def test_the_task_that_fills_in_is_the_one_that_makes_datasets() -> None:
    assert isinstance(ASKER._infill(), InfillTask)
