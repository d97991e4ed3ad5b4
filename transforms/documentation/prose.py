"""Checks that a text is prose worth keeping: not chatter, not code, not cut off, not just the name, not repetitive.

Pure functions of texts, in any script: words are defined by Unicode.
"""

from __future__ import annotations

import ast
import inspect
import keyword
import re
import warnings
from collections import Counter
from typing import Final

from transforms.documentation.statements import is_annotation, is_call, is_code

# Placeholder texts: editors' templates, and models that return one.
_TEMPLATE = re.compile(
    r"\A\W*(?-i:TODO|FIXME|TBD|XXX)\b|"
    r"\A\W*(?:description|summary|docstring|documentation)"
    r"(?: (?:of|for)(?: the)? (?:function|method|class|module))?(?: goes)?(?: here)?\W*\Z|"
    # A text that says that there is none.
    r"\A\W*(?:(?:this|the)\b[^.\n]{0,60} (?:is|was|has|have) (?:not(?: yet)? (?:been )?(?:documented|described)|"
    r"undocumented|no (?:documentation|description|docstring|comments?))|(?:undocumented|not (?:yet )?documented)|"
    r"[\w.]+(?:\(\))? (?:is|was|has) (?:not(?: yet)? (?:been )?documented|undocumented|no documentation)|"
    r"no (?:documentation|description|docs|docstring|summary|comment)(?: (?:is|was))?(?: yet)?"
    r"(?: (?:available|provided|given|found|yet|here|needed|necessary))?|to be (?:documented|written|described))"
    r"(?: yet| here| (?:for|of) [^.\n]{0,60})?\W*\Z|"
    r"\A\W*(?:insert|add|write|put|enter)\b[^.\n]{0,30}"
    r"\b(?:docstring|documentation|description|comment|summary|docs?) here\W*\Z|"
    r"\A\W*(?:auto-?generated (?:\w+ )?(?:stub|block)|nolint|noqa)\W*\Z|"
    r"\A\W*(?:this|the) (?:function|method|class) (?:does|performs) (?:something|stuff|things)\W*\Z",
    re.I,
)
# The question, asked once more: `Write a docstring for the function area.`
_ASKS_AGAIN: Final = re.compile(
    r"\A\W*(?:(?:write|add|generate|create|provide|complete|produce|give)\b[^.\n]{0,30}\b(?:docstrings?|documentation|"
    r"(?:doc )?comments?|javadoc|kdoc|jsdoc|tsdoc|rustdoc|godoc|description)s?\b[^.\n]{0,20}\b(?:for|of|to)|"
    r"document|describe)"
    r"\s+(?:(?P<here>this|(?:the|your) (?:following|given|above|below))|the)\s+(?:\w+\s+)?(?:function|method|class|"
    r"code|module|file|type|struct|interface|enum|trait)\b[\s`'\"]*(?P<name>\w*)",
    re.I,
)
_TO_FILL_IN: Final = re.compile(r"(?<!\w)_(?:summary|description|type)_(?!\w)", re.I)
# A text that ends with one of these is unfinished.
_UNFINISHED = re.compile(
    r"(?:[,;(\[{:\-/&+=<]|(?<![-\w])(?:a|an|and|as|at|be|but|by|for|from|if|in|into|is|of|on|or|than|that|the|this|to|when|where|"
    r"which|whose|with|(?:the|an?) (?:given|specified|provided|corresponding|respective|resulting)|"
    r"their|our|your|its|every|via|between|among|during|because|although|unless|whether|than|"
    r"(?:it|they|one|that|which) (?:has|have|will|would|should|must))\b)\s*$",
    re.I,
)
# `the visitor to call back on`, `what to look for`
_INFINITIVE: Final = re.compile(
    r"\bto (?!(?:the|an?|this|that|its|their|be)\b)[a-z]+ (?:[a-z]+ )?(?:as|at|by|for|from|in|into|of|on|to|with)\s*$",
    re.I,
)
# A head with nothing below it, or a tag with nothing after it.
_EMPTY_SECTION = re.compile(
    r"^[ \t]*(?:(?:Args|Arguments|Parameters|Returns|Raises|Yields):|"
    r"#+ (?:Arguments|Parameters|Returns|Errors|Panics|Safety)|"
    r"(?:Parameters|Returns|Raises|Yields)[ \t]*\n[ \t]*-{3,}|"
    r"[@\\](?:param|returns?|throws|exception)|"
    r"[:@](?:param|returns?|raises?)[^:\n]*:)[ \t]*\Z",
    re.M,
)
_WORDS = re.compile(r"[^\W_]+")
# Words that make a sentence out of a name.
_SMALL_WORDS = """
    a an the this that which is function method class module for of documentation docs doc docstring comment comments
    javadoc jsdoc tsdoc kdoc rustdoc godoc description summary
"""
_AROUND_A_NAME: Final = frozenset(_SMALL_WORDS.split())
_AROUND_CHARS: Final = 200  # a text that is longer than the name by so much says more
# `Documentation for ...`
_ABOUT: Final = re.compile(
    r"\A\W*(?:the )?(?:documentation|docs?|docstring|comment|description|summary|\w*docs?) (?:for|of) ", re.I
)
# Code in a line, where `[a, b)` is a range.
_CODE_SPAN: Final = re.compile(r"`[^`\n]*`|\[[^\[\]()\n]*\)")
_NAME_PARTS = re.compile(r"[0-9]+|[^\W\d_]+")
# Between `read` and `The`, and between `HTTP` and `Server`, in any script with capitals.
_HUMP = re.compile(r"(?<=[^\W\d_A-Z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_PARAMETER: Final = re.compile(
    r"^[ \t]*(?:[@\\]param(?:\[[a-z, ]*\])?[ \t]+(?:\{[^{}\n]*\}[ \t]*)?(?P<name>[\w$.\[\]=]+)(?P<said>.*)|"
    r":param[ \t]+(?:[^:\n]*[ \t])?(?P<field>\w+):(?P<told>.*))$",
    re.M,
)
_REPEATED_LINE = 3  # the same line this many times is a loop
_NGRAM = 4
_LEAST_NOVELTY = 0.5  # at least half of the text's 4-grams are distinct
# A decorator (a tag with nothing after it), a definition, an assignment, a call on `self` or the like.
_PYTHON_LINE: Final = re.compile(
    r"@[\w.]+[ \t]*(?:\(|$)|(?:async )?def \w+[(:]|class \w+[(:]|(?:return|yield|await) (?:['\"\[({]|\w+[.(\[])|"
    r"[\w.]+(?:[ \t]+[-+*/|&]?=(?!=)|[-+*/|&]?=(?!=)[^ \n]*$)|(?:self|cls)(?:\.[\w.]+\(|, )",
    re.M,
)
_PYTHON_COMMENT: Final = re.compile(r"\s*#(?!\d)")  # `#12` is an issue
_IS_MEMBER: Final = re.compile(r"\.\s*\w+\Z")
_OUTSIDE_A_WORD: Final = re.compile(r"\A\W+|\W+\Z")
_FENCE_LINE: Final = re.compile(r"^[ \t]*(?:[-*>] )?```", re.M)
_TOOL_COMMENT: Final = re.compile(r"//\w+:\w")  # `//go:noinline`
_STARTS_WITH_FENCE: Final = re.compile("```|~~~")
_INLINE_TAG: Final = re.compile(r"\{@[^{}]*\}|\b[BCILMU]\{[^{}]*\}")  # of Javadoc and JSDoc, of epytext
_PARAGRAPH_END: Final = re.compile(r"\n\s*\n|^\s*[@\\<]\w", re.M)


def is_template(text: str) -> bool:
    """Whether a text is a placeholder for one that still has to be written.

    >>> is_template("_summary_"), is_template("TODO: describe it."), is_template("Summary of all sales.")
    (True, True, False)
    """
    return _TEMPLATE.match(text) is not None or _TO_FILL_IN.search(text) is not None


def asks_again(name: str, text: str) -> bool:
    """Whether a text repeats what was asked for: to document this definition.

    >>> asks_again("area", "Write a docstring for the function area."), asks_again("area", "Write texts for a row.")
    (True, False)
    """
    asked = _ASKS_AGAIN.match(text)
    return asked is not None and (asked["here"] is not None or (bool(name) and asked["name"] == name))


def copies_code(text: str, code: str) -> bool:
    """Whether a text is lines of the code that it is to document, and nothing else.

    >>> copies_code("sum := 0", "func f() {\\n\\tsum := 0\\n}"), copies_code("Sums up.", "func f() {\\n\\tsum := 0\\n}")
    (True, False)
    """
    lines = [stripped for line in text.splitlines() if (stripped := line.strip())]
    if not lines or lines[0] not in code:  # without the cost of comparing lines
        return False
    return {line.rstrip(" {;,") for line in lines} <= {line.strip().rstrip(" {;,") for line in code.splitlines()}


def reads_as_code(text: str, grammar: str) -> bool:
    """Whether a text is code where prose is expected: it starts with a fence, is only a member or a call, or its first
    paragraph consists of statements.

    >>> reads_as_code("return width * height", "python"), reads_as_code("Return the width.", "python")
    (True, False)
    >>> reads_as_code("self.width", "python"), reads_as_code("package.module\\n\\nHolds shapes.", "python")
    (True, False)
    """
    stripped = text.strip()
    if _STARTS_WITH_FENCE.match(stripped) or _is_lone_expression(stripped):
        return True
    if is_annotation(stripped) or _TOOL_COMMENT.match(stripped):
        return True
    first, *rest = _PARAGRAPH_END.split(stripped, maxsplit=2)
    if rest and "\n" not in first and is_call(first):  # the signature above the text, as NumPy and C have it
        first = rest[0]
    if grammar == "python" and (_is_python(first) or _is_python(inspect.cleandoc(first)) or _is_like_python(stripped)):
        return True
    lines = [line for line in _INLINE_TAG.sub("tag", first).splitlines() if line.strip()]
    return bool(lines) and is_code(lines, grammar)


def _is_python(text: str) -> bool:
    """Whether a text parses as Python and can't be a sentence, unlike `Note: this` or `global state`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            statements = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return any(not isinstance(node, ast.Expr) and not _could_be_words(node) for node in statements)


def _is_like_python(text: str) -> bool:
    """Whether a text that need not parse is comments, starts with a decorator or an assignment, or contains no word."""
    if text.startswith((">>>", "{@")):
        return False
    lines = text.splitlines()
    is_comment = all(_PYTHON_COMMENT.match(line) for line in lines if line.strip())
    if is_comment or _PYTHON_LINE.match(text):
        return True
    words = (_OUTSIDE_A_WORD.sub("", word) for word in text.split())
    return not any(word.isalpha() and not keyword.iskeyword(word) and word != "self" for word in words)


def _is_lone_expression(text: str) -> bool:
    """Whether the full text is a member, a call or an element, as `self.width`; most languages write them alike."""
    if text[-1:] not in tuple(")];") and "#" not in text and not _IS_MEMBER.search(text):
        return False  # without the cost of a parse
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            body = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return len(body) == 1 and isinstance(body[0], ast.Expr) and isinstance(
        body[0].value, ast.Attribute | ast.Call | ast.Subscript
    )  # fmt: skip


def _could_be_words(node: ast.stmt) -> bool:
    if isinstance(node, ast.AnnAssign):
        return node.value is None
    return isinstance(node, ast.Global | ast.Nonlocal)


def is_unfinished(text: str) -> bool:
    """Whether the text stops in the middle: an open bracket or code fence, a comma, a word that requires another.

    >>> is_unfinished("Returns the"), is_unfinished("Returns the area.")
    (True, False)
    """
    stripped = text.rstrip()
    if not stripped:
        return False
    if stripped.count("```") % 2 and len(_FENCE_LINE.findall(stripped)) % 2:
        return True
    prose = re.sub(r"```.*?```", "", stripped, flags=re.S)
    last_paragraph = re.split(r"\n\s*\n", prose)[-1]
    if _has_open_bracket(last_paragraph) and _has_open_bracket(_CODE_SPAN.sub("", last_paragraph)):
        return True
    if _EMPTY_SECTION.search(stripped):
        return True
    last_line = stripped.splitlines()[-1].strip()
    if re.fullmatch(r"[-=~#*>`:.|+]+|(?:>>>|\.\.\.|`|>|\.\.).*|\S+:|:[\w ]+:|.*\w://\S+", last_line):
        return False  # rules, code, quotations, heads, fields and addresses may end in any way
    return _UNFINISHED.search(last_line) is not None and _INFINITIVE.search(last_line) is None


def _has_open_bracket(text: str) -> bool:
    return any(text.count(opening) > text.count(closing) for opening, closing in ("()", "[]"))


def repeats_name(name: str, text: str) -> bool:
    """Whether the text adds nothing to the symbol's name.

    >>> repeats_name("readTheFile", "Read the file."), repeats_name("area", "Area of a rectangle.")
    (True, False)
    """
    if not name or len(text) > 2 * len(name) + _AROUND_CHARS:
        return False
    parts = [part.lower() for part in _NAME_PARTS.findall(_HUMP.sub(" ", name))]
    words = [word.lower() for word in _WORDS.findall(_ABOUT.sub("", text))]
    whole = "".join(parts)
    said = {whole, whole * 2, "".join(_bare(parts)), "".join(_bare(parts * 2))} - {""}
    said |= {f"{one}{ending}" for one in said for ending in ("s", "es")}  # Close: `closes`
    return bool(words) and ("".join(words) in said or "".join(_bare(words)) in said)


def _bare(words: list[str]) -> list[str]:
    return [word for word in words if word not in _AROUND_A_NAME]


def _once(text: str) -> str:
    """A text in which what is said alike of several parameters is said once."""
    told: dict[str, str] = {}  # what is said -> the name of which it is said first

    def of_first(found: re.Match[str]) -> str:
        name, said = (found[one] or found[other] or "" for one, other in (("name", "field"), ("said", "told")))
        said = " ".join(said.split())
        return found[0] if not said or told.setdefault(said, name) == name else ""

    return _PARAMETER.sub(of_first, text)


def repeats_itself(text: str) -> bool:
    """Whether the text is repetitive: one line three times, or less than half of its 4-grams distinct."""
    text = _once(text) if text.count("param") > 1 else text
    if text.count("\n") + 1 >= _REPEATED_LINE:
        bare = (line.strip() for line in text.splitlines())
        lines = Counter(line for line in bare if len(line) > 3 and not line.startswith(".. "))
        if lines and max(lines.values()) >= _REPEATED_LINE and not all(set(line) <= set("-=~ ") for line in lines):
            return True
    words = _WORDS.findall(text.lower())
    count = len(words) - _NGRAM + 1
    # Each word begins a 4-gram of its own where it stands first, but for the last three.
    if count < 2 * _NGRAM or len(set(words)) - _NGRAM + 1 >= _LEAST_NOVELTY * count:
        return False
    grams = {tuple(words[i : i + _NGRAM]) for i in range(count)}
    return len(grams) < _LEAST_NOVELTY * count
