"""The claims of a documentation: the parameters that it names, whether it mentions a result, which types are raised.

Python's three styles are parsed by `docstring_parser`; tags (`@param`, `\\param`, `<param name="...">`) and Rust's
section lists by the expressions below. Prose is not searched for names: only what a convention marks is a claim.
"""

from __future__ import annotations

import inspect
import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Literal
from xml.etree import ElementTree

import docstring_parser
from docstring_parser.common import DocstringReturns

from transforms.documentation.sections import canonical_sections, with_colons

PythonStyle = Literal["google", "numpy", "rest", "epytext"]

# The section heads of each style, as its own guide writes them.
_STYLE_MARKS: Final[dict[PythonStyle, re.Pattern[str]]] = {
    "google": re.compile(r"^(Args|Params|Arguments|Returns|Yields|Raises|Attributes):[ \t]*$", re.M),
    "numpy": re.compile(r"^(Parameters|Other Parameters|Returns|Yields|Raises|Attributes)\n-{3,}[ \t]*$", re.M),
    "epytext": re.compile(r"^@(param|type|keyword|return|rtype|raise|raises|ivar|cvar)\b[^:\n]*:", re.M),
    "rest": re.compile(r"^:(param|parameter|arg|argument|type|returns?|rtype|raises?|except|exception)\b", re.M),
}
_PARSERS: Final = {
    "google": docstring_parser.DocstringStyle.GOOGLE,
    "numpy": docstring_parser.DocstringStyle.NUMPYDOC,
    "rest": docstring_parser.DocstringStyle.REST,
    "epytext": docstring_parser.DocstringStyle.EPYDOC,
}
_NOTHING: Final = re.compile(r"\W*(?:none|nothing)\b\W*\Z|\W*none\s*[:-]", re.I)
# JSDoc, Javadoc, KDoc, Doxygen: @param {type} [name=default] text; Doxygen also \param[in] name.
_TAG = re.compile(
    r"[@\\](?P<tag>params?|arg|argument|tparam|typeparam|template|returns?|result|retval|yields?|throws?|exception)\b"
    r"(?:\[[a-z, ]*\])?[ \t]*(?:\{(?P<type>[^{}\n]*(?:\{[^{}\n]*\}[^{}\n]*)*)\})?[ \t]*(?P<name>\S*)"
)
_XML = re.compile(
    r"<(?P<tag>param|typeparam|returns|value|exception)\b(?:\s+(?:name|cref)\s*=\s*(?P<quote>[\"'])(?P<name>.*?)(?P=quote))?"
)
# Kernel-doc and gtk-doc: `@width: how wide it is`; Doxygen's own commands may have a colon too.
_KERNEL_DOC = re.compile(
    r"^[ \t]*@(?!(?:brief|note|todo|returns?|see|sa|warning|author|file|date|since|deprecated|details|attention|bug|"
    r"pre|post|version|copyright|remarks?|section|title)\b)(?P<name>\w+):",
    re.M,
)
_RUST_SECTION = re.compile(r"^#+[ \t]*(?P<head>Arguments?|Parameters?|Returns?|Errors|Panics)\b.*$", re.M | re.I)
_RUST_ITEM = re.compile(
    r"^[ \t]*(?:[*+-][ \t]+`(?P<name>[^`]+)`|"
    r"(?:[*+-][ \t]+)?[`*]{0,3}(?P<bare>\w+)[`*]{0,3}[ \t]*(?:\([^()]*\)[ \t]*)?[-:\u2013\u2014][ \t])",
    re.M,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class DocFacts:
    """The claims of a documentation.

    Args:
        prose: All of its text, without XML tags.
        summary: Its first paragraph on one line, without tags.
        parameters: Names that it documents, in order, without stars and defaults.
        has_result: Whether it mentions a returned or yielded value.
        result_type: The type that it states for that value, as written; "" if it states none.
        raises: Types that it says are raised.
        style: The Python style of its sections, or None.
        mixed_styles: Whether it has sections of more than one Python style.
        foreign_form: The other language's form in which it is written, or "".
        is_broken: Whether its sections can't be parsed, or its XML (C#) is not well-formed.
    """

    prose: str
    summary: str
    parameters: tuple[str, ...] = ()
    has_result: bool = False
    result_type: str = ""
    raises: tuple[str, ...] = ()
    style: PythonStyle | None = None
    mixed_styles: bool = False
    foreign_form: str = ""
    is_broken: bool = False


def read_facts(text: str, grammar: str) -> DocFacts:
    """Reads a documentation's plain text (delimiters and line markers removed).

    >>> read_facts("Area.\\n\\n@param w width\\n@return the area", "java").parameters
    ('w',)
    """
    facts = _READERS.get(grammar, _tags)(text, grammar)
    return replace(facts, foreign_form=foreign_form(text, grammar))


def _go(text: str, _grammar: str) -> DocFacts:
    return DocFacts(prose=text, summary=_summary(text))


# Line starts that only one language's documentation has. They are not foreign in the languages listed with them; C and
# C++ have borrowed nearly all of them.
_FOREIGN: Final[dict[str, tuple[re.Pattern[str], tuple[str, ...]]]] = {
    "reST fields": (re.compile(r"^[ \t]*:(param|type|returns?|rtype|raises?)\b[^:\n]*:", re.M), ("python",)),
    "tags": (
        re.compile(r"^[ \t]*[@\\](param|returns?|throws|exception)\b", re.M),
        ("javascript", "typescript", "tsx", "java", "kotlin", "c", "cpp", "python"),
    ),
    # Python's epytext has the same tags, each with a colon: `@param w: The width.`
    "JSDoc tags": (
        re.compile(r"^[ \t]*[@\\](param|returns?|throws|exception)\b(?![^:\n]*:)", re.M),
        ("javascript", "typescript", "tsx", "java", "kotlin", "c", "cpp", "go", "rust", "csharp"),
    ),
    "XML tags": (re.compile(r"^[ \t]*<(summary|param name=|returns>|exception cref=)", re.M), ("csharp", "c", "cpp")),
    "NumPy sections": (
        re.compile(r"^[ \t]*(Parameters|Returns|Yields|Raises)[ \t]*\r?\n[ \t]*-{3,}[ \t]*$", re.M),
        ("python",),
    ),
    "Google sections": (
        re.compile(
            r"^[ \t]*(Args|Arguments|Params|Parameters|Returns|Raises|Throws|Yields):[ \t]*\r?\n(?:[ \t]*\r?\n)?"
            r"(?:[ \t]+\S|[-*] )",
            re.M,
        ),
        ("python", "c", "cpp"),
    ),
    "Markdown headings": (
        re.compile(r"^[ \t]*#+[ \t]*(Arguments?|Args|Param(?:eter)?s?|Returns?|Raises)\b", re.M),
        ("rust",),
    ),
    "bold headings": (
        re.compile(r"^[ \t]*\*\*(Arguments?|Args|Param(?:eter)?s?|Returns?|Raises|Throws|Errors)\b\W*$", re.M),
        (),
    ),
    "a comment's delimiters": (re.compile(r"^[ \t]*(/\*\*|\*/|///)(?=\s|$)", re.M), ("rust", "csharp", "c", "cpp")),
}


def foreign_form(text: str, grammar: str) -> str:
    """Returns the form of another language's documentation that occurs in a text; "" for none.

    >>> foreign_form("Area.\\n\\n@param w width", "python"), foreign_form("Area.\\n\\n@param w width", "java")
    ('JSDoc tags', '')
    """
    fitting = (form for form, (lines, home) in _FOREIGN.items() if grammar not in home and lines.search(text))
    return next(fitting, "")


def _summary(text: str) -> str:
    paragraph = re.split(r"\n\s*\n", text.strip(), maxsplit=1)[0]
    return " ".join(re.split(r"^\s*[@\\]\w+", paragraph, maxsplit=1, flags=re.M)[0].split())


def _python(text: str, _grammar: str) -> DocFacts:
    clean = canonical_sections(inspect.cleandoc(text))
    styles = [style for style, marks in _STYLE_MARKS.items() if marks.search(clean)]
    if not styles:
        return DocFacts(prose=text, summary=_summary(clean))
    parsed = _parsed(clean, styles[0])
    if parsed is None:
        return DocFacts(prose=text, summary=_summary(clean), style=styles[0], is_broken=True)
    names = [name for param in parsed.params if param.args[0] != "attribute" for name in _names(param.arg_name)]
    results = [item for item in parsed.meta if item.args and item.args[0] in _RESULT_WORDS and not _is_nothing(item)]
    types = [item.type_name for item in results if isinstance(item, DocstringReturns) and item.type_name]
    raises = tuple((item.type_name or "").split(".")[-1] for item in parsed.raises if item.type_name)
    return DocFacts(
        prose=text,
        summary=" ".join((parsed.short_description or "").split()),
        parameters=tuple(names),
        has_result=bool(results) or re.search(r"^:rtype:[ \t]*(?!None\b)\S", clean, re.M) is not None,
        result_type=types[0] if types else "",
        raises=raises,
        style=styles[0],
        mixed_styles=len(styles) > 1,
    )


def _parsed(clean: str, style: PythonStyle) -> docstring_parser.Docstring | None:
    for text in (clean, with_colons(clean)):
        try:
            return docstring_parser.parse(text, _PARSERS[style])
        except docstring_parser.ParseError:
            continue
    return None


def _is_nothing(item: docstring_parser.common.DocstringMeta) -> bool:
    """`Returns: None` means that there is no result."""
    told = f"{getattr(item, 'type_name', None) or ''}: {item.description or ''}".strip(": ")
    return _NOTHING.match(told) is not None


_RESULT_WORDS: Final = ("return", "returns", "yield", "yields", "rtype")


def _names(written: str) -> list[str]:
    """`w, h : int` names two, `\\*args` is `args`, `[x=1]` is `x`."""
    bare = re.sub(r"\(.*?\)", "", written).split(":")[0]
    names = (
        re.sub(r"^[-\u2022 \[`'\"\\*&.]+|[\]`'\",\\*:]+$", "", name.split("=")[0].strip()) for name in bare.split(",")
    )
    return [name for name in names if name]


def _tags(text: str, grammar: str) -> DocFacts:
    parameters: list[str] = []
    raises: list[str] = []
    has_result, result_type = False, ""
    if grammar in ("c", "cpp"):
        parameters, has_result = _c_sections(text)
    for found in _TAG.finditer(text):
        tag, name = found["tag"], found["name"]
        if tag.startswith(("param", "arg")):
            if name.startswith("<"):  # Javadoc: @param <T> describes a type parameter
                continue
            # JSDoc: @param {string} options.name describes a part of `options`.
            parameters += [n.split(".")[0].removesuffix("[]") for n in _names(name)]
        elif tag.startswith(("return", "result", "retval", "yield")):
            has_result = has_result or (found["type"] or "").strip().lower() not in ("void", "undefined")
            result_type = result_type or (found["type"] or "").strip()
        elif tag.startswith(("throw", "exception")):
            raised = found["type"] or name
            raises += [re.split(r"[.:]+", raised.strip("{}"))[-1]] if raised else []
    return DocFacts(
        prose=text,
        summary=_summary(text),
        parameters=tuple(dict.fromkeys(parameters)),
        has_result=has_result,
        result_type=result_type,
        raises=tuple(name for name in raises if name[:1].isupper() or name.endswith("_error")),
    )


def _c_sections(text: str) -> tuple[list[str], bool]:
    """Conventions that C has borrowed: kernel-doc's parameters and `Returns:`, Google's sections."""
    google = _python(text, "c")
    parameters = [m["name"] for m in _KERNEL_DOC.finditer(text)]
    return [*parameters, *(google.parameters if google.style == "google" else ())], google.has_result


def _xml(text: str, _grammar: str) -> DocFacts:
    found = list(_XML.finditer(text))
    inside = re.search(r"<summary>(.*?)(</summary>|$)", text, re.S)
    return DocFacts(
        prose=re.sub(r"<[^>]*>", "", text).strip(),
        summary=" ".join((inside[1] if inside else re.sub(r"<[^>]*>", " ", text)).split()),
        parameters=tuple(m["name"] for m in found if m["tag"] == "param" and m["name"]),
        has_result=any(m["tag"] == "returns" for m in found),
        raises=tuple(m["name"].split(".")[-1] for m in found if m["tag"] == "exception" and m["name"]),
        is_broken=not is_well_formed(text),
    )


def is_well_formed(text: str) -> bool:
    """Whether a text is well-formed as the content of an XML element.

    >>> is_well_formed("Gives <c>x</c>."), is_well_formed("Gives List<int>.")
    (True, False)
    """
    try:
        ElementTree.fromstring(f"<documentation>{text}</documentation>")
    except ElementTree.ParseError:
        return False
    return True


def _rust(text: str, _grammar: str) -> DocFacts:
    sections = list(_RUST_SECTION.finditer(text))
    parameters: list[str] = []
    has_result = False
    for section, following in itertools.zip_longest(sections, sections[1:]):
        body = text[section.end() : following.start() if following else len(text)]
        head = section["head"].lower()
        if head.startswith(("arg", "param")):
            parameters += [name for item in _RUST_ITEM.finditer(body) for name in _names(item["name"] or item["bare"])]
        elif head.startswith("return"):
            has_result = True
    return DocFacts(prose=text, summary=_summary(text), parameters=tuple(parameters), has_result=has_result)


_READERS: Final[dict[str, Callable[[str, str], DocFacts]]] = {
    "python": _python,
    "csharp": _xml,
    "rust": _rust,
    "go": _go,
}
