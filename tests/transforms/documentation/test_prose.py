"""Prose or not: what a model writes where documentation should be."""

from __future__ import annotations

import pytest

from transforms.documentation.foreign import foreign_form
from transforms.documentation.prose import (
    is_template,
    is_unfinished,
    reads_as_code,
    repeats_itself,
    repeats_name,
)
from transforms.documentation.reading import read_facts
from transforms.documentation.types import types_agree
from transforms.talk import is_chatter


@pytest.mark.parametrize(
    ("text", "grammar"),
    [
        ("return width * height", "python"),
        ("x = 1\ny = 2", "python"),
        ("import os\n\nGives the area.", "python"),
        ("for x in y:\n    print(x)", "python"),
        ("const a = 1;\nreturn a;", "javascript"),
        ("int x = 1;", "c"),
        ("```\nanything\n```", "go"),
        ("function f(x) {\n  return x;\n}", "python"),
        ("self.width", "python"),
        ("area(w, h)", "javascript"),
        ("return value", "python"),
        ("return False", "python"),
        ("return ''" + "'", "python"),
        ("raise NotImplementedError", "python"),
        ("pass", "python"),
        ("@dataclass", "python"),
        ("@visit(m.SimpleString())", "python"),
        ("# limitations under the License.", "python"),
        ("# See the License for the\n# specific language.", "python"),
        ('pass = {"Tree,,,', "python"),
        ("with self.module", "python"),
        ("self.assertIn(self.d, new)))", "python"),
        ("def test_it: x[0] + y[0]", "python"),
    ],
)
def test_code_is_no_prose(text, grammar):
    assert reads_as_code(text, grammar)


@pytest.mark.parametrize(
    "text",
    [
        "Return the width.",
        "Returns value",
        "global state",
        "# Areas\n\nOf shapes.",
        "@param w: the width",
        "Alias of `area`",
        "Tests for L{area}",
        "Deprecated",
        "Note: this",
        "area(w, h) -> the area",
        ">>> area(1, 2)\n2",
        "Parse a file;\nthen close it.",
        "Usage:\n\n    x = area(1, 2)\n",
        "The class that holds all of it",
        "package.module\n\nHolds shapes.",
        "Width",
        "{@inheritDoc}",
        "Gibt die Fläche zurück.",
        "返回面积。",
    ],
)
@pytest.mark.parametrize("grammar", ["python", "javascript", "go"])
def test_prose_is_no_code(text, grammar):
    assert not reads_as_code(text, grammar)


def test_epytext_is_read_as_pythons_fourth_style():
    facts = read_facts(
        "Area.\n\n@param w: The width.\n@type w: C{int}\n@return: It.\n@raise KeyError: Never.", "python"
    )
    assert (facts.parameters, facts.has_result, facts.raises, facts.style) == (("w",), True, ("KeyError",), "epytext")


def test_names_and_words_of_other_scripts_are_read_as_such():
    assert repeats_name("größe", "Größe.")
    assert repeats_name("читатьФайл", "читатьфайл")
    assert repeats_name("read_HTTPServer2", "Read HTTP server 2.")
    assert not repeats_name("größe", "Die Größe eines Rechtecks.")
    assert not repeats_name("面积", "返回矩形的面积。")
    assert repeats_itself("он читает этот файл " * 6)
    assert not is_unfinished("返回矩形的面积。")


@pytest.mark.parametrize(
    ("text", "grammar", "wanted"),
    [
        ("Area.\n\n@param w width", "python", "JSDoc tags"),
        ("Area.\n\n@param w: The width.\n@type w: C{int}", "python", ""),
        ("Area.\n\n@param w width", "go", "tags"),
        ("Area.\n\n:param w: width", "java", "reST fields"),
        ("Area.\n\nArgs:\n    w: width", "javascript", "Google sections"),
        ("Area.\n\nParameters\n----------\nw", "rust", "NumPy sections"),
        ("<summary>Area.</summary>", "kotlin", "XML tags"),
        ("/** Area. */", "python", "a comment's delimiters"),
        ("Area.\n\n@param w width", "cpp", ""),
        ("Area.\n\nArgs:\n    w: width", "python", ""),
        ("Sends mail to @param of anybody.", "python", ""),
    ],
)
def test_the_form_of_another_language_is_named(text, grammar, wanted):
    assert foreign_form(text, grammar) == wanted


@pytest.mark.parametrize(
    ("documented", "real", "grammar", "wanted"),
    [
        ("int", ["str"], "python", False),
        ("a str", ["str"], "python", None),
        ("string", ["str"], "python", True),
        ("int or None", ["Optional[int]"], "python", True),
        ("bool", ["int"], "python", True),
        ("list of str", ["List[str]"], "python", True),
        ("dict", ["list[dict]"], "python", False),
        ("Shape", ["Shape"], "python", None),
        ("int", ["Shape"], "python", None),
        ("int", ["int | Shape"], "python", None),
        ("number", ["string"], "typescript", False),
        ("string[]", ["Array<string>"], "typescript", True),
        ("?string", ["string | null"], "typescript", True),
    ],
)
def test_types_are_compared_where_both_can_be_read(documented, real, grammar, wanted):
    assert types_agree(documented, real, grammar) is wanted


@pytest.mark.parametrize(
    "section",
    [
        "Args: colour: Its colour.",
        "args:\n    colour: Its colour.",
        "Params:\n    colour (str): Its colour.",
        "Keyword Args:\n    colour: Its colour.",
        "Parameters:\n- `colour`: Its colour.",
        "    Args:\n        colour: Its colour.",
        "    :param colour: Its colour.",
        "    Parameters\n    ----------\n    colour : str\n        Its colour.",
    ],
)
def test_a_parameter_is_read_however_its_section_is_written(section):
    assert read_facts(f"Area of it.\nAnd more.\n\n{section}\n", "python").parameters == ("colour",)


@pytest.mark.parametrize(
    ("text", "grammar"),
    [
        ("Area.\n\n# Arguments\n\n* colour - Its colour.", "rust"),
        ("Area.\n\n# Arguments\n\n`colour`: Its colour.", "rust"),
        ("Area.\n\n@colour: Its colour.", "c"),
        ("Area.\n\nArgs:\n  colour: Its colour.", "cpp"),
        ("<summary>Area.</summary>\n<param name='colour'>Its colour.</param>", "csharp"),
    ],
)
def test_other_languages_forms_of_a_parameter_are_read(text, grammar):
    assert read_facts(text, grammar).parameters == ("colour",)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Resets.\n\nReturns: the old area.", True),
        ("Resets.\n\n:rtype: int", True),
        ("Resets.\n\nReturns:\n    None", False),
        ("Resets.\n\n:returns: None.", False),
        ("Resets.\n\nReturns\n-------\nNone", False),
    ],
)
def test_a_result_is_documented_unless_it_is_none(text, wanted):
    assert read_facts(text, "python").has_result is wanted


@pytest.mark.parametrize(
    ("text", "grammar"),
    [
        ("Area.\n\nParameters:\n  colour: x", "javascript"),
        ("Area.\n\nParameters:\n- colour: x", "go"),
        ("Area.\n\n### Parameters\n- colour: x", "python"),
        ("Area.\n\n**Parameters:**\n- colour: x", "rust"),
    ],
)
def test_sections_that_are_not_read_are_another_languages_form(text, grammar):
    assert foreign_form(text, grammar)


@pytest.mark.parametrize(
    ("text", "grammar", "wanted"),
    [
        ("<summary>Gives List<int>.</summary>", "csharp", True),
        ("<summary>Gives it.", "csharp", True),
        ("<summary>Gives <c>it</c>.</summary>", "csharp", False),
        ("Area.\n\nArgs:\nwidth: how wide", "python", True),
        ("Area.\n\nArgs:\n    width", "python", False),
    ],
)
def test_what_can_not_be_read_is_broken(text, grammar, wanted):
    assert read_facts(text, grammar).is_broken is wanted


@pytest.mark.parametrize(
    "text",
    [
        "Area.\n\n:param width: how wide it is, in",
        "Area.\n\n:param width:",
        "Fits, so that\n\n- it has the width of",
        "Area.\n\nReturns\n-------",
        "Area.\n\n# Errors",
        "Area.\n@param width w\n@returns",
    ],
)
def test_a_text_that_stops_in_a_field_an_item_or_a_section_is_unfinished(text):
    assert is_unfinished(text)


def test_rules_code_and_quotations_may_end_a_text():
    for text in (
        "Area.\n\n>>> area(1,\n... 2) -",
        "A table\n\n| a | b |\n|---|",
        "Area.\n\n```\nf(\n```",
        "Area.\n\n    Note:",
    ):
        assert not is_unfinished(text), text


def test_words_to_who_asked_are_chatter_wherever_they_stand_and_the_same_words_in_prose_are_none():
    assert is_chatter("Gives the area.\n\nLet me know if you need anything else!")
    assert is_chatter("Gives the area. I hope this helps.")
    assert is_chatter("Sure here is the docstring")
    assert not is_chatter("Absolutely positions the element on its page.")
    assert not is_chatter("Okay button of a dialogue.")


def test_a_template_that_is_still_to_be_filled_in_is_none_of_a_documentation():
    assert is_template("_summary_\n\nArgs:\n    width (_type_): _description_")
    assert is_template("[Description of the function]")
    assert is_template("TODO: describe it")
    assert not is_template("Todo list of a user.")
    assert not is_template("Description of all shapes that are sold.")


def test_the_name_with_nothing_but_small_words_around_it_says_no_more():
    assert repeats_name("scale", "This is the scale function.")
    assert not repeats_name("scale", "Scale a function.\n\nIn two ways.")
    assert not repeats_name("is_a", "Tells of a class.")


@pytest.mark.parametrize(
    ("text", "grammar"),
    [
        ("fun <T> retry(times: Int, action: () -> T): T", "kotlin"),
        ("public static <K> Map<K, List<V>> groups(Collection<V> values)", "java"),
        ("=> Is(LogEventLevel.Error)", "csharp"),
        ("(left.consume(item), right)", "rust"),
        ("if key not in self.tags:\nreturn value", "python"),
        ("with open(startup) as f:\nrun(f)", "python"),
        ('return "context value " + k.name', "go"),
        ("if constexpr (N == 0)", "cpp"),
        ("self.count.load(Ordering::Relaxed) == 0 || self.base.full()", "rust"),
    ],
)
def test_heads_and_expressions_of_bodies_read_as_code(text, grammar):
    assert reads_as_code(text, grammar)


@pytest.mark.parametrize(
    ("text", "grammar"),
    [
        ("=> is used for the key, -> for the value.", "kotlin"),
        ("if the key is known:\n    the value", "python"),
        ('"Smart" quotes are kept.', "java"),
        ("(Deprecated, see close.)", "go"),
        ("Use this for all sizes:\nwidth = 2 * height", "go"),
    ],
)
def test_sentences_with_signs_of_code_do_not(text, grammar):
    assert not reads_as_code(text, grammar)


@pytest.mark.parametrize("text", ["The visitor to call back on", "What to look for", "The stream to write to"])
def test_an_infinitive_may_end_with_a_preposition(text):
    assert not is_unfinished(text)


def test_what_is_said_alike_of_several_parameters_is_no_circle():
    said = "Object positionally formatted into the message template."
    text = "Writes an event.\n\n" + "\n".join(f"@param value{number} {said}" for number in range(4))
    assert not repeats_itself(text)
    assert repeats_itself("Writes an event.\n\n" + f"@param value {said}\n" * 4)
