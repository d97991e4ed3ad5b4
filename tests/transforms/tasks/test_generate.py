"""The generate task: originals come back, code that leaves its place or isn't code is rejected for its reason."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from model.engine.requests import Completion
from model.errors import ConfigError, RecordError
from transforms.bodies.placeholders import is_placeholder
from transforms.rows.row import Row, SourceRef, content_sha256
from transforms.tasks.base import Accepted, RejectedTarget
from transforms.tasks.generate import RESULT_SCHEMA, GenerateTask
from transforms.verification.behavior import ObserveCalls
from transforms.verification.trials import InTurn

PYTHON = '''\
"""Sizes of shapes."""

class Shape:
    def area(self, width, height):
        """Gives the area."""
        size = width * height
        return size

    def undocumented(self):
        return 2

def todo(x):
    """Comes later."""
    raise NotImplementedError("todo")
'''
BRACES = {
    "javascript": "/** Gives the area. */\nfunction area(w, h) {\n  const size = w * h;\n  return size;\n}\n",
    "java": "class A {\n  /** Gives the area. */\n  int area(int w, int h) {\n    int size = w * h;\n"
    "    return size;\n  }\n}\n",
    "go": "package a\n\n// area gives it.\nfunc area(w, h int) int {\n\tsize := w * h\n\treturn size\n}\n",
    "rust": "/// Gives the area.\nfn area(w: i32, h: i32) -> i32 {\n    let size = w * h;\n    size\n}\n",
    "c": "/** Gives the area. */\nint area(int w, int h) {\n  int size = w * h;\n  return size;\n}\n",
    "csharp": "class A {\n  /// <summary>Area.</summary>\n  int area(int w, int h) {\n    int size = w * h;\n"
    "    return size;\n  }\n}\n",
    "kotlin": "/** Gives the area. */\nfun area(w: Int, h: Int): Int {\n  val size = w * h\n  return size\n}\n",
}


def row_of(content=PYTHON, language="python", path=""):
    sha = content_sha256(content)
    return Row(SourceRef("corpus.parquet", 0, 0), content, sha, sha, path=path, language=language)


@pytest.fixture
def task(small_vocabulary):
    return GenerateTask(tokenizer=small_vocabulary, max_prompt_tokens=4096, reject_copies=False)


@pytest.fixture
def answer(small_tokenizer):
    def validate(task, row, text, finish_reason="stop", number=0):
        request = list(task.requests(row))[number]
        completion = Completion(
            tokens=tuple(small_tokenizer.encode(text)),
            finish_reason=finish_reason,
            stop_id=1,
            mean_logprob=-0.5,
            prompt_tokens=9,
        )
        return task.accept(row, request, completion)

    return validate


def reason(verdict):
    assert isinstance(verdict, RejectedTarget), verdict
    return verdict.rejection.reason


def test_the_original_body_comes_back_with_its_description(task, answer):
    accepted = answer(task, row_of(), "size = width * height\n        return size")
    assert isinstance(accepted, Accepted), accepted
    assert set(accepted.columns) == set(RESULT_SCHEMA.names)
    assert accepted.columns["symbol_name"] == "Shape.area"
    assert accepted.columns["description"].strip().endswith('"""Gives the area."""')
    assert accepted.columns["original_code"] == "size = width * height\n        return size"
    assert accepted.columns["checks"]["not_a_copy"] is False
    assert reason(answer(replace(task, reject_copies=True), row_of(), accepted.columns["original_code"])) == (
        "copy_of_original"
    )


REJECTED = {
    "nothing": ("", "empty_code"),
    "pass": ("pass", "placeholder_body"),
    "an ellipsis with a comment": ("...  # later", "placeholder_body"),
    "not implemented": ('raise NotImplementedError("x")', "placeholder_body"),
    "prose": ("The function multiplies both of them.", "does_not_parse"),
    "more functions": ("return width\n\n    def evil(self):\n        return 1", "signature_changed"),
    "code outside the class": ("return width\n\nimport os", "does_not_parse"),
}


@pytest.mark.parametrize("name", REJECTED)
def test_what_is_no_body_is_rejected_for_its_reason(name, task, answer):
    text, wanted = REJECTED[name]
    assert reason(answer(task, row_of(), text)) == wanted


def test_a_body_that_was_cut_is_rejected(task, answer):
    assert reason(answer(task, row_of(), "return width", finish_reason="length")) == "cut_off"


def test_documented_functions_are_asked_for_unless_all_are_wanted_and_placeholders_never(task):
    asked = list(task.requests(row_of()))
    assert [getattr(item, "target", "").split(":")[1] for item in asked] == ["Shape.area", "todo"]
    assert reason(asked[1]) == "no_body"
    everything = list(replace(task, only_documented=False).requests(row_of()))
    assert len(everything) == 3


@pytest.mark.parametrize("language", BRACES)
def test_in_languages_with_braces_bodies_come_back_and_escapes_are_rejected(language, task, answer):
    row = row_of(BRACES[language], language)
    (request,) = task.requests(row)
    target = request.payload
    original = BRACES[language][target.start : target.end]
    assert "size" in original and "{" not in original
    assert isinstance(answer(task, row, original), Accepted)
    escape = {"go": "return 1\n}\n\nfunc evil() int {\n\treturn 2", "rust": "1\n}\n\nfn evil() -> i32 {\n    2"}.get(
        language, "return 1;\n}\n\nint evil(int x) {\n  return 2;"
    )
    assert reason(answer(task, row, escape)) in ("signature_changed", "does_not_parse")


def test_a_file_is_asked_for_by_its_path_and_heading(task, answer):
    whole = replace(task, what="file")
    row = row_of(path="shapes/sizes.py")
    accepted = answer(whole, row, "\n\ndef area(w, h):\n    return w * h\n")
    assert accepted.columns["description"] == '"""Sizes of shapes."""\n\n'
    assert accepted.columns["original_code"].startswith("class Shape")
    with pytest.raises(RecordError) as error:
        list(whole.requests(row_of("x = 1\n")))
    assert error.value.reason == "no_heading"


def test_an_instruction_is_answered_by_its_first_fence(task, answer):
    chat = replace(task, what="prompt", is_chat=True, language="python")
    row = row_of("Write a function that adds two numbers.", "")
    accepted = answer(chat, row, "Sure:\n```python\ndef add(a, b):\n    return a + b\n```\nDone.")
    assert accepted.columns["generated_code"] == "def add(a, b):\n    return a + b\n"
    assert reason(answer(chat, row, "I can't do that.")) == "no_code"


def test_a_chat_answer_gives_the_body_of_the_function_of_that_name(task, answer):
    chat = replace(task, is_chat=True)
    told = "```python\ndef area(self, width, height):\n    total = width\n    return total * height\n```"
    accepted = answer(chat, row_of(), told)
    assert accepted.columns["generated_code"] == "total = width\n        return total * height"
    assert reason(answer(chat, row_of(), "```python\ndef other(): return 1\n```")) == "no_such_function"
    assert reason(answer(chat, row_of(), told.replace("height)", "depth)"))) == "signature_changed"


def test_code_in_another_language_than_was_asked_for_is_rejected(task, answer):
    chat = replace(task, is_chat=True)
    assert (
        reason(answer(chat, row_of(), "```javascript\nfunction area(w, h) { return w * h; }\n```")) == "other_language"
    )
    free = replace(chat, what="prompt", language="go")
    assert reason(answer(free, row_of("Add two numbers.", ""), "```python\nx = 1\n```")) == "other_language"
    both = "```text\nout\n```\n```go\npackage a\n```"
    assert answer(free, row_of("Add two numbers.", ""), both).columns["generated_code"] == "package a\n"


def test_without_a_language_the_fence_names_it_and_prose_is_rejected(task, answer):
    chat = replace(task, what="prompt", is_chat=True)
    row = row_of("Add two numbers.", "")
    accepted = answer(chat, row, "```js\nconst add = (a, b) => a + b;\n```")
    assert accepted.columns["generated_language"] == "javascript"
    assert accepted.columns["checks"]["parses"] is True
    assert reason(answer(chat, row, "```js\nconst add = (a, b => a + b;\n```")) == "does_not_parse"
    assert reason(answer(chat, row, "You add the one to the other.")) == "no_code"
    assert reason(answer(chat, row, "")) == "empty_code"
    assert answer(chat, row_of("Add.", "python"), "x = 1").columns["generated_language"] == "python"


def test_a_conversation_is_continued_and_its_last_answer_compared_with(task, answer, small_tokenizer):
    chat = replace(task, what="chat", is_chat=True)
    turns = [
        {"role": "system", "content": "Write Python."},
        {"role": "user", "content": "Add two numbers."},
        {"role": "assistant", "content": "Sure:\n```python\ndef add(a, b):\n    return a + b\n```"},
        {"role": "user", "content": "And now three."},
        {"role": "assistant", "content": "```python\ndef add(a, b, c):\n    return a + b + c\n```"},
    ]
    row = row_of(json.dumps(turns), "")
    (request,) = chat.requests(row)
    text = small_tokenizer.decode(request.request.prompt)
    assert "Write Python.\n\nAdd two numbers." in text and "three" in text and "a + b + c" not in text
    accepted = answer(chat, row, "```python\ndef add(*numbers):\n    return sum(numbers)\n```")
    assert accepted.columns["description"] == "And now three."
    assert accepted.columns["original_code"] == "def add(a, b, c):\n    return a + b + c\n"
    assert reason(answer(replace(chat, reject_copies=True), row, turns[-1]["content"])) == "copy_of_original"


@pytest.mark.parametrize(
    "content",
    [
        "no JSON",
        "{}",
        '["a"]',
        '[{"role": "robot", "content": "x"}]',
        '[{"role": "user"}]',
        '[{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]',
    ],
)
def test_turns_that_are_no_conversation_are_rejected(content, task):
    with pytest.raises(RecordError) as error:
        list(replace(task, what="chat", is_chat=True).requests(row_of(content, "")))
    assert error.value.reason == "bad_turns"


def test_a_file_that_does_not_compile_still_has_its_functions_compiled(task, answer):
    row = row_of("print 'two'\n" + PYTHON.partition("\n\n")[2])
    assert answer(task, row, "return width * height").columns["checks"]["parses"] is True
    assert reason(answer(task, row, "print width")) == "does_not_parse"
    whole = replace(task, what="file")
    broken = row_of('"""Sizes."""\nprint 2\n', path="a.py")
    assert reason(answer(whole, broken, "print 3")) == "does_not_parse"
    assert isinstance(answer(whole, broken, "print(3)"), Accepted)


@pytest.mark.parametrize("language", ["python", "javascript", "java"])
def test_in_a_large_file_a_function_is_validated_by_what_contains_it(language, task, answer):
    filler = {"python": "x = 1\n", "javascript": "let x = 1;\n", "java": "class B { int x; }\n"}[language] * 12_000
    content = filler + (PYTHON if language == "python" else BRACES[language])
    row = row_of(content, language)
    request = next(iter(task.requests(row)))
    original = content[request.payload.start : request.payload.end]
    assert isinstance(answer(task, row, original), Accepted)
    outside = "return width\n\nimport os" if language == "python" else "return 1;\n}\n\nint evil(int x) {\n  return 2;"
    assert reason(answer(task, row, outside)) in ("signature_changed", "does_not_parse")
    assert reason(answer(task, row, "return (")) == "does_not_parse"


def test_bad_set_ups_are_refused(task):
    with pytest.raises(ConfigError, match="no parser for it"):
        replace(task, what="prompt", language="klingon")
    with pytest.raises(ConfigError, match="need an instruction-tuned model"):
        replace(task, what="chat")
    with pytest.raises(ConfigError, match="body, file, prompt"):
        replace(task, what="poem")
    with pytest.raises(RecordError) as error:
        list(task.requests(row_of("x = 1\n")))
    assert error.value.reason == "no_function"


@pytest.mark.parametrize(
    ("language", "content", "escape"),
    [
        ("javascript", "function f(w) {\n  return w * 2;\n}\n", "return 1;\n}\nfunction g() {\n  return 2;"),
        ("javascript", "const f = (w) => {\n  return w * 2;\n};\n", "return 1;\n}, g = () => {\n  return 2;"),
        ("c", "int f(int w) {\n  return w * 2;\n}\n", "return 1;\n}\nint g(int w) {\n  return 2;"),
        ("go", "func f(w int) int {\n\treturn w * 2\n}\n", "return 1\n}\nfunc g() int {\n\treturn 2"),
        ("kotlin", "fun f(w: Int): Int {\n  return w * 2\n}\n", "return 1\n}\nfun g(): Int {\n  return 2"),
    ],
)
def test_a_function_that_is_all_of_its_file_keeps_what_is_written_inside_its_brackets(
    language, content, escape, answer, task
):
    everything = replace(task, only_documented=False)
    row = row_of(content, language)
    assert isinstance(answer(everything, row, escape.split("\n")[0]), Accepted)
    assert reason(answer(everything, row, escape)) == "signature_changed"


@pytest.mark.parametrize(
    ("language", "body"),
    [
        ("python", '"""Gives the area."""'),
        ("python", '"""Gives the area."""\n        pass'),
        ("python", "pass\n        return None"),
        ("python", 'raise Exception("not implemented yet")'),
        ("python", "raise NotImplementedError\n        x = f()"),
        ("python", "assert False"),
        ("python", "Sure"),
        ("javascript", 'throw new Error("TODO");'),
        ("go", 'panic("unimplemented")'),
        ("csharp", "throw new System.NotImplementedException();"),
        ("java", 'throw new RuntimeException("Not implemented yet");'),
    ],
)
def test_a_body_that_does_nothing_or_is_still_to_be_written_is_a_placeholder(language, body):
    assert is_placeholder(body, language)


@pytest.mark.parametrize(
    ("language", "body"),
    [
        ("python", "return w // h"),
        ("python", "if not w:\n            raise NotImplementedError\n        return w"),
        ("python", "return {}"),
        ("rust", "size"),
        ("c", "#include <math.h>"),
        ("javascript", "if (!w) throw new Error('TODO');\n  return w;"),
    ],
)
def test_a_body_that_does_something_is_none(language, body):
    assert not is_placeholder(body, language)


def test_a_chat_answers_strings_keep_their_lines_when_the_body_takes_the_files_indentation(task, answer):
    text = '```python\ndef area(self, width, height):\n    x = """\nzero\n    four\n"""\n    return x\n```'
    accepted = answer(replace(task, is_chat=True), row_of(), text)
    assert accepted.columns["generated_code"] == 'x = """\nzero\n    four\n"""\n        return x'


def test_a_body_that_needs_what_the_answer_defines_beside_it_is_rejected(task, answer):
    chat = replace(task, is_chat=True)
    body = "def area(self, width, height):\n    return math.prod([width, height])\n"
    with_import = f"```python\nimport math\n```\nThen:\n```python\n{body}```"
    assert reason(answer(chat, row_of(), with_import)) == "needs_other_code"
    assert isinstance(answer(chat, row_of(PYTHON + "\nimport math\n"), with_import), Accepted)


def test_an_answer_with_one_parameter_more_is_not_taken_for_a_method(task, answer):
    chat = replace(task, is_chat=True)
    text = "```js\nfunction area(x, w, h) {\n  return x;\n}\n```"
    assert reason(answer(chat, row_of(BRACES["javascript"], "javascript"), text)) == "signature_changed"


@pytest.mark.parametrize("text", ["I cannot help with that", "This script lists files", "Sure", "I hope this helps"])
def test_prose_is_no_code_where_it_parses(text, task, answer):
    for language in ("bash", "php", "python"):
        asked = replace(task, what="prompt", is_chat=True, language=language)
        assert reason(answer(asked, row_of("List all files.", ""), text)) in ("no_code", "does_not_parse")


def test_what_nothing_names_the_language_of_is_not_accepted_unchecked(task, answer):
    asked = replace(task, what="prompt", is_chat=True)
    for text in ("```\nx = = 1\n```", "```cobol\nMOVE X\n```"):
        assert reason(answer(asked, row_of("Write it.", ""), text)) == "unknown_language"


@pytest.mark.parametrize(
    ("content", "is_heading"),
    [
        ('r"""Sizes."""\n\nx = 1\n', True),
        ("#!/usr/bin/env python\n# Sizes of shapes.\nx = 1\n", True),
        ("# Copyright 2020 by all.\n# More of it.\n\n# Sizes of shapes.\n\nx = 1\n", True),
        ('"".join([])\n\nx = 1\n', False),
        ("#!/usr/bin/env python\n# -*- coding: utf-8 -*-\nx = 1\n", False),
        ("# Copyright 2020 by all.\n# More of it.\n\nx = 1\n", False),
    ],
)
def test_a_heading_describes_the_file(content, is_heading, task):
    whole = replace(task, what="file")
    if is_heading:
        assert list(whole.requests(row_of(content)))
    else:
        with pytest.raises(RecordError) as error:
            list(whole.requests(row_of(content)))
        assert error.value.reason == "no_heading"


@pytest.mark.parametrize("text", ["", " ", "\n\t \u3000", "\u200b\ufeff", "\u2060 \u200d"])
@pytest.mark.parametrize("is_chat", [False, True])
def test_an_instruction_of_blanks_is_not_asked(text, is_chat, task):
    for what, content in (("prompt", text), ("chat", json.dumps([{"role": "user", "content": text}]))):
        asked = replace(task, what=what, is_chat=True if what == "chat" else is_chat, language="python")
        with pytest.raises(RecordError, match="empty_instruction"):
            list(asked.requests(row_of(content, language="")))


def test_a_base_model_is_asked_only_for_code_in_a_known_language(task, answer):
    asked = replace(task, what="prompt")
    with pytest.raises(RecordError, match="unknown_language"):
        list(asked.requests(row_of("Add two numbers", language="")))
    with pytest.raises(RecordError, match="unknown_language"):
        list(asked.requests(row_of("Add two numbers", language="no such language")))
    verdict = answer(replace(asked, language="python"), row_of("Add two numbers", language=""), "total = 1 + 2\n")
    assert verdict.columns["checks"]["parses"] is True


UNDECIDABLE = "#if A\nint f( {\n#else\nint f() {\n#endif\n  return 1;\n}\n"  # the grammar reads both branches


def test_code_of_which_no_parser_can_tell_is_rejected_as_not_verifiable(task, answer):
    asked = replace(task, what="prompt", language="c")
    assert reason(answer(asked, row_of("Write f", language=""), UNDECIDABLE)) == "not_verifiable"


LOADER = """class Loader:
    def load(self, x: int):
        \"\"\"Loads it.\"\"\"
        return x + 1

def load(x: int):
    \"\"\"Loads another.\"\"\"
    return x * 3
"""


@pytest.mark.parametrize(("number", "is_called"), [(0, False), (1, True)])
def test_a_method_is_not_compared_by_a_function_of_its_name(number, is_called, task, answer):
    asked, row = replace(task, verify="run"), row_of(LOADER)
    accepted = answer(asked, row, "return x - 1", number=number)
    request = list(asked.requests(row))[number]
    trial = asked.trial(row, request, accepted.columns, tests=None, is_compared=True)
    trials = trial.trials if isinstance(trial, InTurn) else (trial,)
    assert any(isinstance(one, ObserveCalls) for one in trials) is is_called
