"""Infilling by models without infilling tokens: what they are asked, and where their middle ends."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.engine.requests import Completion
from model.errors import ConfigError
from model.sentencepiece_proto import Vocabulary, encode_model
from model.tokenizer import Tokenizer
from tests.model.checkpoint.written import pieces_of
from transforms.fim.formats import fim_stop_ids, has_fim_tokens, strip_final_separator
from transforms.rows.row import Row, SourceRef, content_sha256
from transforms.tasks.base import Accepted, RejectedTarget
from transforms.tasks.docstring import DocstringTask
from transforms.tasks.generate import GenerateTask
from transforms.tasks.infill import InfillTask
from transforms.tasks.infill_forms import MARK, middle_of_turn, suffix_stop

CONTENT = (
    "import os\n\n\ndef area(width, height):\n    size = width * height\n    report(size, width)\n"
    "    return size\n\n\nprint(area(2, 3))\n"
)


@pytest.fixture(scope="module")
def plain_vocabulary(small_tokenizer, tmp_path_factory) -> str:
    """The small vocabulary without CodeGemma's own control tokens, as Gemma 3's is."""
    pieces, scores, types = pieces_of(small_tokenizer)
    pieces = [f"<unused{id_}>" if piece.startswith("<|") else piece for id_, piece in enumerate(pieces)]
    roles = {name: getattr(small_tokenizer, name) for name in ("unk", "bos", "eos", "pad")}
    path = tmp_path_factory.mktemp("plain") / "tokenizer.model"
    path.write_bytes(encode_model(Vocabulary(pieces=pieces, scores=scores, types=types, **roles)))
    return str(path)


def row_of() -> Row:
    sha = content_sha256(CONTENT)
    return Row(SourceRef("corpus.parquet", 0, 0), CONTENT, sha, sha, path="src/area.py", language="python")


def task_of(vocabulary: str, form: str, kind: str) -> InfillTask:
    return InfillTask(
        tokenizer=vocabulary, fim_format=form, span_kinds=(kind,), spans_per_file=1, max_prompt_tokens=2048
    )


def completion_of(tokens, finish_reason="stop") -> Completion:
    return Completion(
        tokens=tuple(tokens), finish_reason=finish_reason, stop_id=None, mean_logprob=-0.5, prompt_tokens=9
    )


def test_a_vocabulary_without_fim_tokens_has_only_the_end_of_sequence_to_stop_at(plain_vocabulary, small_tokenizer):
    plain = Tokenizer.load(plain_vocabulary)
    assert has_fim_tokens(small_tokenizer) and not has_fim_tokens(plain)
    assert fim_stop_ids(plain) == {plain.eos}
    assert strip_final_separator(plain, [5, 6, plain.eos]) == [5, 6]


def test_a_prefix_prompt_has_the_text_before_the_hole_and_stops_where_the_suffix_begins(plain_vocabulary):
    task, tokenizer, row = task_of(plain_vocabulary, "prefix", "statement"), Tokenizer.load(plain_vocabulary), row_of()
    asked = (next(replace(task, job_seed=seed).requests(row)) for seed in range(20))
    request = next(one for one in asked if one.request.stop_texts is not None)  # not the file's last statement
    span = request.payload.span
    assert list(request.request.prompt) == [tokenizer.bos, *tokenizer.encode(CONTENT[: span.start])]
    assert request.prompt_format == "prefix"
    stop = suffix_stop(CONTENT[span.end :])
    assert request.request.stop_texts.texts == (stop,)
    original = CONTENT[span.start : span.end]
    verdict = task.accept(row, request, completion_of(tokenizer.encode(original + stop + "more"), "stop_text"))
    assert isinstance(verdict, Accepted)
    assert (verdict.columns["generated_middle"], verdict.columns["ended_by"]) == (original, "suffix")
    assert (verdict.columns["suffix"], verdict.columns["fim_mode"]) == ("", "prefix")


def test_a_chat_prompt_shows_the_file_with_a_mark_and_the_middle_is_that_of_the_answers_block(plain_vocabulary):
    task, tokenizer, row = task_of(plain_vocabulary, "chat", "statement"), Tokenizer.load(plain_vocabulary), row_of()
    (request,) = task.requests(row)
    span = request.payload.span
    shown = tokenizer.decode(request.request.prompt)
    assert f"{CONTENT[: span.start]}{MARK}{CONTENT[span.end :]}" in shown
    assert request.prompt_format == "chat" and tokenizer.end_of_turn in request.request.stop_ids
    original = CONTENT[span.start : span.end]
    verdict = task.accept(row, request, completion_of(tokenizer.encode(f"```python\n{original}\n```")))
    assert isinstance(verdict, Accepted)
    assert verdict.columns["generated_middle"] == original
    assert verdict.columns["ended_by"] == "stop"


@pytest.mark.parametrize(
    ("before", "answer", "after", "middle"),
    [
        ("x = ", "x = 1", "\n", "1"),
        ("    x = ", "```\n    x = 1\n```", "\ny\n", "1"),
        ("    ", "```\n    return 1\n```", "\ny\n", "return 1"),
        ("def f():\n", "```\n    return 1\n```", "y\n", "    return 1\n"),
        ("f(", "```\nf(a, b)\n```", ")\n", "a, b"),
        ("f(", "a, b", ")\n", "a, b"),
    ],
)
def test_what_a_model_repeats_of_the_line_around_the_mark_is_left_out(before, answer, after, middle):
    assert middle_of_turn(answer, before, after, ends_line=middle.endswith("\n")) == middle


@given(st.text(alphabet="ab(\n ", max_size=40))
def test_a_stop_is_the_beginning_of_the_suffix_and_shows_something(suffix):
    stop = suffix_stop(suffix)
    assert (stop is None) == (not suffix.strip()) or len("".join(suffix.split())) == 0
    assert stop is None or (suffix.startswith(stop) and stop.strip())


def test_originals_are_not_scored_in_a_chat(plain_vocabulary):
    with pytest.raises(ConfigError, match="can't be scored in a chat"):
        replace(task_of(plain_vocabulary, "chat", "statement"), score_original=True)


def test_a_model_without_infilling_tokens_documents_what_stands_before_the_hole(plain_vocabulary):
    task = DocstringTask(tokenizer=plain_vocabulary, kinds=("function", "module"), max_prompt_tokens=512)
    tokenizer = Tokenizer.load(plain_vocabulary)
    module, function = sorted(task.requests(row_of()), key=lambda one: one.target.startswith("function"))
    assert isinstance(module, RejectedTarget) and module.rejection.reason == "hidden_context"
    asked = tokenizer.decode(function.request.prompt)
    assert asked.endswith('def area(width, height):\n    """') and function.prompt_format == "prefix"
    assert function.request.stop_texts.texts == ('"""',)
    written = tokenizer.encode('Area of a rectangle.\n\n    It is reported, too.\n    """\n    more')
    verdict = task.accept(row_of(), function, completion_of(written, "stop_text"))
    assert isinstance(verdict, Accepted) and verdict.columns["ended_by"] == "closer"
    assert verdict.columns["documentation_text"] == "Area of a rectangle.\n\nIt is reported, too."


def test_documentation_before_its_definition_is_not_asked_of_a_model_that_would_not_see_it(plain_vocabulary):
    content = "package a\n\nfunc area(width int, height int) int {\n\treturn width * height\n}\n"
    row = replace(row_of(), content=content, language="go", path="a.go")
    (asked,) = DocstringTask(tokenizer=plain_vocabulary, kinds=("function",)).requests(row)
    assert isinstance(asked, RejectedTarget) and asked.rejection.reason == "hidden_context"


@pytest.mark.parametrize("finish_reason", ["length", "stop"])
def test_the_body_of_a_model_that_goes_on_ends_where_other_code_begins(finish_reason, plain_vocabulary):
    task = GenerateTask(tokenizer=plain_vocabulary, what="body", only_documented=False, max_prompt_tokens=512)
    tokenizer = Tokenizer.load(plain_vocabulary)
    (asked,) = task.requests(row_of())
    prompt = tokenizer.decode(asked.request.prompt)
    assert asked.prompt_format == "prefix" and CONTENT.startswith(prompt) and "size = " not in prompt
    body = "    total = 0\n    for _ in range(height):\n        total += width\n    return total\n"
    rest = "\n\ndef volume(a, b, c):\n    return"
    written = tokenizer.encode(f"\n{body}{rest}"[len(prompt.partition("height):")[2]) :])
    verdict = task.accept(row_of(), asked, completion_of(written, finish_reason))
    assert isinstance(verdict, Accepted)
    assert "volume" not in verdict.columns["generated_code"] and "return total" in verdict.columns["generated_code"]
    assert verdict.columns["checks"]["not_cut_off"]
    cut = task.accept(row_of(), asked, completion_of(tokenizer.encode("\n    total = 0\n    for"), "length"))
    assert isinstance(cut, RejectedTarget) and cut.rejection.reason == "cut_off"
