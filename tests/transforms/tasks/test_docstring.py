"""The docstring task: the removed original comes back, mutants are rejected for their reason, code never changes."""

from __future__ import annotations

import ast
import json
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest

from model.engine.requests import Completion
from model.errors import ConfigError, RecordError
from transforms.rows.row import Row, SourceRef, content_sha256
from transforms.tasks.base import Accepted, RejectedTarget, TaskRequest
from transforms.tasks.docstring import NESTED_SCHEMA, RESULT_SCHEMA, DocstringTask

GOOGLE = """Scale a rectangle.

    Args:
        width: How wide it is, in metres.
        height: How high it is.

    Returns:
        The scaled area.

    Raises:
        ValueError: The width is negative.
    """
PYTHON = f'''\
import math


def scale(width, height=1) -> int:
    """{GOOGLE}"""
    if width < 0:
        raise ValueError(width)
    return math.prod([width, height])


def one_liner(x): return x + 1


class Shape:

    @property
    def area(self):
        return 1
'''

# language -> (file with a documented function, the text between its opener and closer)
BLOCK = "Scales a shape.\n * @param width how wide\n * @param height how high\n * @return the area"
OTHER_FILES = {
    "javascript": ("/**\n * %s\n */\nfunction scale(width, height) {\n  return width * height;\n}\n", BLOCK),
    "typescript": ("/**\n * %s\n */\nexport function scale(width: number, height = 1): number { return 1; }\n", BLOCK),
    "kotlin": ("/**\n * %s\n */\nfun scale(width: Int, height: Int): Int = width * height\n", BLOCK),
    "c": ("/**\n * %s\n */\nint scale(int width, int height) { return width * height; }\n", BLOCK),
    "cpp": (
        "/**\n * %s\n */\ntemplate <typename T>\nT scale(T width, const T& height) { return width * height; }\n",
        BLOCK,
    ),
    "java": (
        "class Shape {\n  /**\n   * %s\n   */\n  int scale(int width, int height) { return width * height; }\n}\n",
        BLOCK.replace("\n *", "\n   *"),
    ),
    "go": (
        "package a\n\n// Scale %s\nfunc Scale(width, height int) int { return width * height }\n",
        "gives the area\n// of a shape.",
    ),
    "rust": (
        "/// %s\n#[inline]\npub fn scale(width: i32, height: i32) -> i32 { width * height }\n",
        "Scales a shape.\n///\n/// # Arguments\n///\n/// * `width` - how wide\n/// * `height` - how high",
    ),
    "csharp": (
        "class Shape {\n    /// <summary>\n    /// %s\n    int Scale(int width, int height) => width * height;\n}\n",
        'Scales a shape.\n    /// </summary>\n    /// <param name="width">How wide.</param>\n'
        '    /// <param name="height">How high.</param>\n    /// <returns>The area.</returns>',
    ),
}


def row_of(content, language="python"):
    sha = content_sha256(content)
    return Row(SourceRef("corpus.parquet", 0, 0), content, sha, sha, language=language)


@pytest.fixture
def task(small_vocabulary):
    return DocstringTask(tokenizer=small_vocabulary, targets="all", max_prompt_tokens=4096)


@pytest.fixture
def answer(small_tokenizer):
    """Validates a text as the answer to a request, or for the symbol of a name."""

    def validate(task, row, name, text, *, finish_reason="stop", mean_logprob=-0.5):
        request = name
        if isinstance(name, str):
            asked = [r for r in task.requests(row) if isinstance(r, TaskRequest)]
            (request,) = [r for r in asked if r.payload[0].qualified_name == name]
        completion = Completion(
            tokens=tuple(small_tokenizer.encode(text)),
            finish_reason=finish_reason,
            stop_id=1 if finish_reason == "stop" else None,
            mean_logprob=mean_logprob,
            prompt_tokens=len(request.request.prompt),
        )
        return task.accept(row, request, completion)

    return validate


def reason(verdict):
    assert isinstance(verdict, RejectedTarget), verdict
    return verdict.rejection.reason


def test_the_removed_original_is_accepted_and_gives_the_file_back(task, answer):
    accepted = answer(task, row_of(PYTHON), "scale", GOOGLE)
    assert isinstance(accepted, Accepted)
    assert set(accepted.columns) == set(RESULT_SCHEMA.names)
    assert accepted.columns["code_documented"] in PYTHON
    assert accepted.columns["original_documentation"] == f'"""{GOOGLE}"""'
    assert '"""' not in accepted.columns["code"]
    assert accepted.columns["checks"]["edit_similarity"] == pytest.approx(1.0)


MUTANTS = {
    "a parameter renamed": (("height:", "depth:"), "invented_parameter"),
    "a parameter invented": (("height:", "colour: Its colour.\n        height:"), "invented_parameter"),
    "a parameter dropped": (("        height: How high it is.\n", ""), "missing_parameter"),
    "a result that it gives again, cut": (("The scaled area.", "The scaled area of the"), "cut_off"),
    "another style mixed in": (("Scale a rectangle.", "Scale a rectangle.\n\n    :param width: x"), "wrong_form"),
    "nothing": ((GOOGLE, ""), "empty_documentation"),
    "only blanks": ((GOOGLE, "\n    "), "empty_documentation"),
    "the name": ((GOOGLE, "Scale."), "repeats_the_name"),
    "prose of a chat": ((GOOGLE, "Sure, here is the docstring you asked for."), "chatter"),
    "a loop": ((GOOGLE, "\n".join(["    It scales the thing."] * 5)), "repeats_itself"),
    "code": ((GOOGLE, "area = width * height\n    return area"), "code_for_documentation"),
    "code of another language": ((GOOGLE, "const area = width * height;\n    return area;"), "code_for_documentation"),
    "a fence": ((GOOGLE, "```python\n    scale(1)\n    ```"), "code_for_documentation"),
    "tags of another language": ((GOOGLE, "Scale it.\n\n    @param width how wide\n    @return it"), "wrong_form"),
    "another type of result": (("The scaled area.", "str: The scaled area."), "result_disagrees"),
    "an open code fence": ((GOOGLE, "Scale it.\n\n    ```python\n    scale(1)"), "cut_off"),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_mutant_is_rejected_for_its_reason(mutant, task, answer):
    (old, new), wanted = MUTANTS[mutant]
    text = GOOGLE.replace(old, new)
    assert text != GOOGLE
    # the cut mutant ends where generation stopped
    text = text.split("The scaled area of the")[0] + "The scaled area of the" if "of the" in new else text
    assert reason(answer(task, row_of(PYTHON), "scale", text)) == wanted


def test_a_result_or_a_raised_type_that_the_code_does_not_have_is_rejected(task, answer):
    row = row_of("def reset(state):\n    state = None\n")
    told = "Reset the state.\n\n    Args:\n        state: What to reset.\n\n    {}:\n        {}: The old one.\n    "
    assert reason(answer(task, row, "reset", told.format("Returns", "int"))) == "result_disagrees"
    assert reason(answer(task, row, "reset", told.format("Raises", "KeyError"))) == "raises_disagree"


def test_a_class_is_held_to_its_constructor(task, answer):
    row = row_of("class Shape:\n    def __init__(self, width, height):\n        self.size = width * height\n")
    told = "A shape of a size.\n\n    Args:\n        width: How wide.\n        {}: How high.\n    "
    assert isinstance(answer(task, row, "Shape", told.format("height")), Accepted)
    assert reason(answer(task, row, "Shape", told.format("depth"))) == "invented_parameter"
    assert reason(answer(task, row, "Shape", told.replace("        {}: How high.\n", ""))) == "missing_parameter"


def test_what_an_operator_or_a_call_may_raise_is_undecided(task, answer):
    told = "Look it up.\n\n    Args:\n        d: Where.\n\n    Raises:\n        KeyError: It isn't there.\n    "
    for body, wanted in [("d[1]", None), ("find(d)", None), ("d", False)]:
        row = row_of(f"def look(d):\n    return {body}\n")
        verdict = answer(task, row, "look", told)
        if wanted is None:
            assert verdict.columns["checks"]["raises_agree"] is None
        else:
            assert reason(verdict) == "raises_disagree"


def test_an_answer_that_is_cut_by_its_limit_or_unlikely_is_rejected(task, answer):
    assert reason(answer(task, row_of(PYTHON), "scale", GOOGLE, finish_reason="length")) == "cut_off"
    strict = replace(task, min_score=-0.4)
    assert reason(answer(strict, row_of(PYTHON), "scale", GOOGLE)) == "unlikely"


def test_an_answer_that_would_change_the_code_is_rejected(task, answer):
    row = row_of(PYTHON)
    assert reason(answer(task, row, "scale", 'Scale the thing with a \\"quote at the end\\')) == "code_changed"
    assert reason(answer(task, row, "scale", "Scale the thing \\N{nonsense} now.")) == "code_changed"


def test_the_forms_own_closer_ends_the_answer(task, answer):
    accepted = answer(task, row_of(PYTHON), "one_liner", 'Add one to a number."""\n    return x + 1')
    assert accepted.columns["ended_by"] == "closer"
    assert accepted.columns["documentation"] == '"""Add one to a number."""'


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("name", ["", "scale", "one_liner", "Shape", "Shape.area"])
def test_documentation_is_spliced_in_at_every_kind_of_place(name, newline, task, answer):
    content = PYTHON.replace("\n", newline)
    accepted = answer(task, row_of(content), name, "Say something true of it.")
    assert isinstance(accepted, Accepted), accepted
    documented = content.replace(accepted.columns["code"], accepted.columns["code_documented"])
    holder = ast.parse(documented)
    for part in filter(None, name.split(".")):
        holder = next(node for node in holder.body if getattr(node, "name", "") == part)
    if not name:
        assert accepted.columns["code_documented"].startswith('"""Say something true of it."""')
    elif accepted.columns["original_documentation"] is None:
        assert ast.get_docstring(holder) == "Say something true of it."


def test_tabs_decorators_comments_and_strings_around_a_body_stay_as_they_are(task, answer):
    content = 'class A:\n\t@deco("x")\n\tdef f(self):\n\t\t# why\n\t\treturn """no doc"""\n'
    accepted = answer(task, row_of(content), "A.f", "Give the text back.")
    assert accepted.columns["code_documented"] == (
        '\t@deco("x")\n\tdef f(self):\n\t\t# why\n\t\t"""Give the text back."""\n\t\treturn """no doc"""'
    )


@pytest.mark.parametrize("language", OTHER_FILES)
def test_in_other_languages_the_original_comes_back_and_mutants_are_rejected(language, task, answer):
    template, text = OTHER_FILES[language]
    content = template % text
    row = row_of(content, language)
    name = {"java": "Shape.scale", "csharp": "Shape.Scale", "go": "Scale"}.get(language, "scale")
    accepted = answer(task, row, name, text)
    assert isinstance(accepted, Accepted), accepted
    assert accepted.columns["code_documented"] in content
    assert reason(answer(task, row, name, "")) in ("empty_documentation", "repeats_the_name")
    if language != "go":
        assert reason(answer(task, row, name, text.replace("height", "depth"))) == "invented_parameter"
    if accepted.columns["form"] == "block":
        assert reason(answer(task, row, name, "Scales it.\nwithout a star")) == "wrong_form"
        assert answer(task, row, name, "Scales it. */ int evil() {} /*").columns["ended_by"] == "closer"
    else:
        assert reason(answer(task, row, name, f"{text}\nint evil;")) == "wrong_form"


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("go", "gives it.\n//go:generate rm -rf /\n// And more."),
        ("go", "gives it.\n// +build linux"),
        ("typescript", "Scales it.\n * @ts-ignore"),
        ("javascript", "@jsx h"),
    ],
)
def test_documentation_that_would_tell_a_compiler_to_do_something_is_rejected(language, text, task, answer):
    content = OTHER_FILES[language][0] % "Old text."
    name = "Scale" if language == "go" else "scale"
    assert reason(answer(task, row_of(content, language), name, text)) == "tool_directive"


@pytest.mark.parametrize("language", OTHER_FILES)
def test_in_other_languages_new_documentation_goes_above_and_code_stays(language, task, answer):
    template, text = OTHER_FILES[language]
    documented = template % text
    name = {"java": "Shape.scale", "csharp": "Shape.Scale", "go": "Scale"}.get(language, "scale")
    bare = answer(task, row_of(documented, language), name, text).columns["code"]
    content = documented.replace(
        answer(task, row_of(documented, language), name, text).columns["code_documented"], bare
    )
    assert "how" not in content.lower()
    accepted = answer(task, row_of(content, language), name, text)
    assert isinstance(accepted, Accepted), accepted
    assert accepted.columns["original_documentation"] is None


def test_nesting_puts_all_accepted_texts_into_one_file(task, answer):
    row = row_of(PYTHON)
    wanted = [r for r in task.requests(row) if r.payload[0].name in ("one_liner", "area", "scale")]
    kept = [(r, answer(task, row, r, f"Text number {number}.")) for number, r in enumerate(wanted)]
    nested = task.nest(row, kept)
    assert set(nested) == set(NESTED_SCHEMA.names)
    assert [item["symbol_name"] for item in nested["documented"]] == ["scale", "one_liner", "Shape.area"]
    tree = ast.parse(nested["content_documented"])
    found = [ast.get_docstring(n) for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
    assert sorted(filter(None, found)) == ["Text number 0.", "Text number 1.", "Text number 2."]


def test_a_chat_model_is_asked_for_the_text_and_its_fences_and_delimiters_are_taken_off(task, answer, small_tokenizer):
    chat = replace(task, is_chat=True)
    row = row_of(PYTHON)
    (request,) = [r for r in chat.requests(row) if r.payload[0].name == "one_liner"]
    assert request.request.prompt[-2:] != ()
    assert request.prompt_format == "chat"
    assert small_tokenizer.end_of_turn in request.request.stop_ids
    fenced = '```python\n"""Add one to x.\n\nArgs:\n    x: A number.\n"""\n```'
    accepted = answer(chat, row, "one_liner", fenced)
    assert accepted.columns["documentation_text"] == "Add one to x.\n\nArgs:\n    x: A number."
    documented = 'def one_liner(x):\n    """Add one to x.\n\n    Args:\n        x: A number.\n    """\n    return x\n'
    whole = f"Here:\n```python\n{documented}```"
    assert answer(chat, row, "one_liner", whole).columns["documentation_text"] == accepted.columns["documentation_text"]
    java, _ = OTHER_FILES["java"]
    told = "/**\n * Scales it.\n * @param width w\n * @param height h\n */"
    accepted = answer(chat, row_of(java % "Old text.", "java"), "Shape.scale", told)
    assert "   * @param width w\n" in accepted.columns["code_documented"]


def test_a_function_longer_than_the_context_is_asked_about_by_its_first_lines_and_marked(task):
    long = "def long(x):\n" + "".join(f"    x = x + {i}\n" for i in range(500)) + "    return x\n"
    for is_chat in (False, True):
        short = replace(task, is_chat=is_chat, max_prompt_tokens=400, kinds=("function",))
        (request,) = short.requests(row_of(long))
        assert len(request.request.prompt) <= 400
        assert request.payload[1], "it is marked as windowed"


def test_what_can_not_be_documented_is_rejected_with_its_reason(task):
    for content, language, wanted in [
        ("x = 1", "cobol", "unsupported_language"),
        ("x = 1\0", "python", "unparsable"),
    ]:
        with pytest.raises(RecordError) as error:
            list(task.requests(row_of(content, language)))
        assert error.value.reason == wanted
    with pytest.raises(RecordError) as error:
        list(replace(task, kinds=("class",)).requests(row_of("x = 1\n")))
    assert error.value.reason == "no_symbol"
    with pytest.raises(ConfigError, match="unknown kind"):
        replace(task, kinds=("gadget",))


def test_symbols_beyond_the_limit_are_rejected_not_dropped(task):
    many = "".join(f"def f{i}():\n    return {i}\n" for i in range(5))
    asked = list(replace(task, max_symbols=3, kinds=("function",)).requests(row_of(many)))
    assert [isinstance(item, RejectedTarget) for item in asked] == [False] * 3 + [True] * 2
    assert reason(asked[-1]) == "too_many_symbols"


@pytest.mark.parametrize("folder", ["json", "importlib"])
def test_every_original_of_the_standard_library_comes_back_without_a_change_of_code(folder, task, answer):
    for file in sorted((Path(json.__file__).parent.parent / folder).glob("*.py")):
        content = file.read_text(encoding="utf-8")
        row = row_of(content)
        for request in task.requests(row):
            symbol = request.payload[0]
            if symbol.doc is None:
                continue
            literal = content.encode()[slice(*symbol.doc)].decode()
            if not literal.startswith('"""'):
                continue
            verdict = answer(task, row, request, literal[3:-3])
            if isinstance(verdict, Accepted):
                assert verdict.columns["code_documented"] in content
            else:
                assert verdict.rejection.reason != "code_changed", (file, symbol)


def test_the_dedented_text_is_what_a_reader_sees(task, answer):
    accepted = answer(task, row_of(PYTHON), "scale", GOOGLE)
    assert accepted.columns["documentation_text"] == textwrap.dedent("    " + GOOGLE).strip()


@pytest.mark.parametrize("is_chat", [False, True])
@pytest.mark.parametrize(
    ("content", "language", "name"),
    [
        ("def f(a):\r\n    return a\r\n", "python", "f"),
        ("class A:\n\tdef f(self):\n\t\treturn 1\n", "python", "A.f"),
        ("class A {\r\n\tint f() { return 1; }\r\n}\r\n", "java", "A.f"),
        ("class A {\n    int F() { return 1; }\n}\n", "csharp", "A.F"),
        ("package a\r\n\r\nfunc F() {}\r\n", "go", "F"),
    ],
)
def test_an_answer_takes_the_files_line_breaks_and_indentation(content, language, name, is_chat, task, answer):
    task, row = replace(task, is_chat=is_chat), row_of(content, language)
    second = {"python": "More of it.", "java": "* More of it.", "go": "// More of it."}.get(language, "/// More of it.")
    text = "Tells of it.\nMore of it." if is_chat else f"Tells of it.\n{second}"
    if language == "csharp":
        text += "</summary>"
    accepted = answer(task, row, name, text)
    documented = "".join(accepted.written)
    assert documented.count("\n") == documented.count("\r\n") or "\r" not in documented
    (line,) = [line for line in accepted.columns["code_documented"].splitlines() if "More" in line]
    indent = {"python": "\t\t" if name == "A.f" else "    ", "java": "\t ", "csharp": "    ", "go": ""}[language]
    assert line.removesuffix('"""') == indent + second + "</summary>" * (language == "csharp")


def test_backslashes_make_a_docstring_raw_where_they_are_text_or_no_escapes(task, answer):
    row, chat = row_of(PYTHON), replace(task, is_chat=True)
    assert answer(task, row, "one_liner", r"Match \d in it.").columns["documentation"] == r'r"""Match \d in it."""'
    assert answer(task, row, "one_liner", r"Split at \n too.").columns["documentation"] == r'"""Split at \n too."""'
    assert answer(chat, row, "one_liner", r"Split at \n too.").columns["documentation"] == r'r"""Split at \n too."""'
    source = '"""Split at \\\\n too."""'
    assert answer(chat, row, "one_liner", source).columns["documentation"] == source
    assert answer(chat, row, "one_liner", 'Scale "it"').columns["documentation_text"] == 'Scale "it"'


@pytest.mark.parametrize("character", ["\0", "\x07", "\x0c", "\x85", "\u2028", "\u202e", "\ufffd"])
def test_a_character_that_no_text_has_is_rejected(character, task, answer):
    content = OTHER_FILES["csharp"][0] % "Old text."
    verdict = answer(task, row_of(content, "csharp"), "Shape.Scale", f"Scales{character}int x;</summary>")
    assert reason(verdict) == "wrong_form"


def test_a_control_token_or_its_name_is_rejected(task, answer, small_tokenizer):
    row = row_of(PYTHON)
    assert reason(answer(task, row, "one_liner", "Adds one.<|fim_middle|>")) == "control_token_in_output"
    (request,) = [r for r in task.requests(row) if r.payload[0].name == "one_liner"]
    tokens = (*small_tokenizer.encode("Adds "), small_tokenizer.start_of_turn, *small_tokenizer.encode("one to it."))
    completion = Completion(tokens=tokens, finish_reason="stop", stop_id=1, mean_logprob=-0.5, prompt_tokens=9)
    assert reason(task.accept(row, request, completion)) == "control_token_in_output"


@pytest.mark.parametrize(
    ("language", "text"),
    [("java", r"Gives \u002a/ int evil; it."), ("java", r"Lies in C:\users now."), ("c", "Gives it. \\ ")],
)
def test_what_a_compiler_reads_before_it_knows_comments_is_a_change_of_code(language, text, task, answer):
    content = {"java": OTHER_FILES["java"][0] % "Old.", "c": "/// Old.\nint scale(int w);\n"}[language]
    name = {"java": "Shape.scale", "c": "scale"}[language]
    assert reason(answer(task, row_of(content, language), name, text)) == "code_changed"


def test_a_harmless_escape_of_java_is_text(task, answer):
    row = row_of(OTHER_FILES["java"][0] % "Old.", "java")
    assert isinstance(answer(task, row, "Shape.scale", r"Gives {@code \u0000} back."), Accepted)


def test_a_chat_answers_constructor_does_not_document_the_class_of_its_name(task, answer):
    chat, row = replace(task, is_chat=True), row_of("class Shape {\n  Shape(int w) {}\n}\n", "java")
    text = "```java\nclass Shape {\n  /** Makes one of a width. */\n  Shape(int w) {}\n}\n```"
    assert reason(answer(chat, row, "Shape", text)) == "code_for_documentation"
    accepted = answer(chat, row, "Shape.Shape", text)
    assert accepted.columns["documentation_text"] == "Makes one of a width."
