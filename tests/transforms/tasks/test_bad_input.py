"""What a user sees of hard input, whichever task it goes through: what can be done is done, the rest has its reason."""

from __future__ import annotations

from dataclasses import replace

import pytest

from model.engine.requests import Completion
from transforms.generation.stages import Answers, RowStages
from transforms.rows.row import Row, SourceRef, content_sha256
from transforms.scanning import ContentFilter
from transforms.tasks.annotate import AnnotateTask
from transforms.tasks.base import RejectedTarget, TaskRequest
from transforms.tasks.docstring import DocstringTask
from transforms.tasks.generate import GenerateTask
from transforms.tasks.task_file import load_annotation

LIMIT = 700


def row_of(content, language="python"):
    sha = content_sha256(content)
    return Row(SourceRef("corpus.parquet", 0, 0), content, sha, sha, language=language)


@pytest.fixture
def tasks(small_vocabulary):
    """Each task, asked in chat form and, where it can be, with a hole."""
    common = {"tokenizer": small_vocabulary, "max_prompt_tokens": LIMIT}
    document = DocstringTask(**common, targets="all", kinds=("function", "method"))
    return {
        "docstring": document,
        "docstring in chat": replace(document, is_chat=True),
        "generate": GenerateTask(**common),
        "generate in chat": GenerateTask(**common, is_chat=True),
        "annotate": AnnotateTask(**common, spec=load_annotation("explain")),
    }


@pytest.fixture
def validate(small_tokenizer):
    """The outcome of a row whose targets all get the same answer."""

    def validated(task, row, text):
        stages = RowStages(task=task, content_filter=ContentFilter("default"))
        stages.open()
        prepared = stages.prepare(row)
        tokens = tuple(small_tokenizer.encode(text))
        completion = Completion(tokens=tokens, finish_reason="stop", stop_id=1, mean_logprob=-0.5, prompt_tokens=1)
        answers = Answers(prepared.row, prepared.requests, tuple((completion,) for _ in prepared.requests))
        return prepared, stages.validate(answers)

    return validated


ANSWERS = {
    "docstring": "Gives back what it got.",
    "docstring in chat": "Gives back what it got.",
    "generate": "return a + a",
    "generate in chat": "```python\ndef %s(a):\n    return a + a\n```",
    "annotate": "It gives back what it was given, and nothing else happens.",
}
ALL = pytest.mark.parametrize("name", ANSWERS)


@ALL
def test_in_a_file_with_syntax_errors_the_targets_that_parse_are_done(name, tasks, validate):
    good = 'def good(a):\n    """Echo."""\n    return a\n'
    row = row_of(f"{good}\ndef bad(:\n    pass\n\nprint 'two'\n")
    _, validated = validate(tasks[name], row, ANSWERS[name].replace("%s", "good"))
    assert [item.accepted.columns["symbol_name"] for item in validated.kept] == ["good"]
    assert not validated.rejected


@ALL
def test_symbols_nested_ten_deep_are_done_in_their_place(name, tasks, validate):
    lines = [f'{"    " * i}def f{i}(a):\n{"    " * (i + 1)}"""Level {i}."""\n' for i in range(10)]
    row = row_of("".join(lines) + "    " * 10 + "return a\n")
    _, validated = validate(tasks[name], row, ANSWERS[name].replace("%s", "f9"))
    deepest = [item.accepted.columns for item in validated.kept if item.accepted.columns["symbol_name"].endswith("f9")]
    assert len(deepest) == 1 and deepest[0]["symbol_name"].count(".") == 9
    if name == "docstring":
        assert deepest[0]["code_documented"].splitlines()[1] == "    " * 10 + '"""Gives back what it got."""'


@ALL
def test_names_and_texts_in_other_scripts_are_kept_and_placed_by_characters(name, tasks, validate):
    content = 'größe = "日本"\n\n\ndef площадь(ширина):\n    """Площадь."""\n    return ширина\n'
    answer = {"generate": "return ширина + 1", "generate in chat": "```python\ndef площадь(ширина):\n    return 2\n```"}
    _, validated = validate(
        tasks[name], row_of(content), answer.get(name, "Gibt die Fläche zurück: 面积 площади, ganz.")
    )
    (item,) = validated.kept
    columns = item.accepted.columns
    assert columns["symbol_name"] == "площадь"
    start = next(columns[key] for key in ("symbol_start", "code_start", "target_start") if key in columns)
    assert content[start:].startswith("return" if name.startswith("generate") else "def площадь")


@ALL
def test_what_is_longer_than_the_context_is_reduced_and_marked_and_keeps_signature_and_documentation(
    name, tasks, validate, small_tokenizer
):
    filler = "".join(f"    a = a + {i}\n" for i in range(300))
    content = (
        f'{filler.replace("    ", "")}\n\ndef long(a,\n         b=1):\n    """Adds a lot."""\n{filler}    return a\n'
    )
    task = tasks[name]
    (request,) = [item for item in task.requests(row_of(content)) if isinstance(item, TaskRequest)]
    assert len(request.request.prompt) <= LIMIT
    prompt = small_tokenizer.decode(request.request.prompt)
    assert "def long(a,\n         b=1):" in prompt
    assert "Adds a lot." in prompt or name.startswith("docstring")
    _, validated = validate(task, row_of(content), ANSWERS[name].replace("%s(a)", "long(a, b=1)"))
    # A chat prompt doesn't include the body: there is nothing to omit.
    is_windowed = [item.accepted.columns["is_windowed"] for item in validated.kept]
    assert is_windowed == [name != "generate in chat"]


@ALL
def test_a_signature_or_documentation_that_does_not_fit_is_rejected_as_too_long(name, tasks):
    names = ", ".join(f"parameter_{i}" for i in range(200))
    signature = "def long(" + names.replace(", ", ",\n         ")
    content = f'{signature}):\n    """Adds a lot."""\n    return 1\n'
    (refused,) = tasks[name].requests(row_of(content))
    assert isinstance(refused, RejectedTarget)
    assert refused.rejection.reason == "prompt_too_long"
    assert "raise --max_prompt_tokens" in refused.rejection.detail


BAD_ANSWERS = {
    "nothing": ("", {"empty_documentation", "empty_code", "no_such_function", "empty_answer"}),
    "blanks": (" \n\n ", {"empty_documentation", "empty_code", "no_such_function", "empty_answer", "does_not_parse"}),
    "prose of a chat": (
        "I'm sorry, but I can't do that: as an AI I have no access to your files.",
        {"chatter", "does_not_parse", "no_code", "refusal"},
    ),
    "an e-mail address": (
        "Ask jane.roe" + "@" + "corp-mail.dev for what this gives back, and for nothing else.",
        {"personal_data_in_output", "does_not_parse", "no_such_function"},
    ),
}


@ALL
@pytest.mark.parametrize("kind", BAD_ANSWERS)
def test_a_bad_answer_is_rejected_with_its_reason_and_the_row_stays(name, kind, tasks, validate):
    row = row_of('def f(a):\n    """Echo."""\n    return a\n')
    text, reasons = BAD_ANSWERS[kind]
    prepared, validated = validate(tasks[name], row, text)
    assert prepared.row.content == row.content
    assert not validated.kept
    (refused,) = validated.rejected
    assert refused.rejection.reason in reasons
    assert refused.target == prepared.requests[0].target


OTHER_LANGUAGE = "```rust\nfn f(a: i32) -> i32 { a }\n```"


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("docstring", "code_for_documentation"),
        ("docstring in chat", "code_for_documentation"),
        ("generate", "does_not_parse"),
        ("generate in chat", "other_language"),
    ],
)
def test_a_fence_with_another_language_is_rejected(name, wanted, tasks, validate):
    _, validated = validate(tasks[name], row_of('def f(a):\n    """Echo."""\n    return a\n'), OTHER_LANGUAGE)
    assert [item.rejection.reason for item in validated.rejected] == [wanted]


@pytest.mark.slow
@ALL
@pytest.mark.parametrize("language", ["python", "javascript"])
def test_five_thousand_functions_in_a_file_are_all_done(name, language, tasks, validate):
    form = {
        "python": 'def f{0}(a):\n    """Echo."""\n    return a\n\n',
        "javascript": "/** Echo. */\nfunction f{0}(a) {{\n  return a;\n}}\n\n",
    }[language]
    row = row_of("".join(form.format(i) for i in range(5000)), language)
    answer = ANSWERS[name].replace("%s", "f1")
    if language == "javascript" and name.startswith("generate"):
        in_chat = "```js\nfunction f1(a) {\n  return a + a;\n}\n```"
        answer = in_chat if name == "generate in chat" else "return a + a;"
    prepared, validated = validate(tasks[name], row, answer)
    assert len(prepared.requests) == 5000
    assert len(validated.kept) == (1 if name == "generate in chat" else 5000)
