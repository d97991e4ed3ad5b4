"""Reads the claims of a documentation (`facts`) in the conventions of its language.

Python's styles are parsed by `docstring_parser`; tags (`@param`, `\\param`, `<param name="...">`) and Rust's section
lists by the expressions below.
"""

from __future__ import annotations

import inspect
import itertools
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Final
from xml.etree import ElementTree

import docstring_parser
from docstring_parser.common import DocstringParam, DocstringReturns

from transforms.documentation.examples import without_examples
from transforms.documentation.facts import DocFacts, PythonStyle, names_of, stated_defaults, summary_of
from transforms.documentation.foreign import foreign_form
from transforms.documentation.sections import canonical_sections, with_colons

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
# `Nothing.`, `void`, `None: it writes a file`
_NO_VALUE: Final = re.compile(
    r"\W*(?:(?:none|nothing|void|no (?:value|result)|unit|does(?: not|n't) return\b[^.\n]*)"
    r"[ \t]*(?:[.:;,(\n]|\Z)|\(\)\s)",
    re.I,
)
_NOTHING: Final = re.compile(r"\W*(?:none|nothing)\b\W*\Z|\W*none\s*[:-]", re.I)
# JSDoc, Javadoc, KDoc, Doxygen: @param {type} [name=default] text; Doxygen also \param[in] name.
_TAG = re.compile(
    r"[@\\](?P<tag>params?|arg|argument|tparam|typeparam|typeParam|template|property|returns?|result|retval|yields?|"
    r"throws?|exception)\b"
    r"(?:\[[a-z, ]*\])?[ \t]*(?:\{(?P<type>[^{}\n]*(?:\{[^{}\n]*\}[^{}\n]*)*)\})?[ \t]*(?P<name>\S*)"
)
_XML = re.compile(
    r"<(?P<tag>param|typeparam|returns|value|exception)\b(?:\s+(?:name|cref)\s*=\s*(?P<quote>[\"'])(?P<name>.*?)(?P=quote))?"
)
_XML_PARAMETER = re.compile(r"<param\s+name\s*=\s*[\"'](?P<name>\w+)[\"']\s*>(?P<text>.*?)</param>", re.S)
_XML_NAMED = re.compile(r"\s*<(?:type)?param\s+name\s*=\s*[\"'](\w+)[\"']\s*>")
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


def read_facts(text: str, grammar: str) -> DocFacts:
    """Reads a documentation's plain text (delimiters and line markers removed).

    >>> read_facts("Area.\\n\\n@param w width\\n@return the area", "java").parameters
    ('w',)
    """
    bare = without_examples(text, grammar)
    # Sections and XML are read as they are written: an example is one of their parts.
    facts = _READERS.get(grammar, _tags)(text if grammar in ("python", "csharp") else bare, grammar)
    told = _without_tags(_XML_NAMED.sub(r"\n@param \1 ", bare)) if grammar == "csharp" else bare
    prose = facts.prose if grammar == "csharp" else text
    return replace(facts, prose=prose, told=told, foreign_form=foreign_form(bare, grammar))


def _go(text: str, _grammar: str) -> DocFacts:
    return DocFacts(prose=text, summary=summary_of(text))


def _python(text: str, _grammar: str) -> DocFacts:
    clean = canonical_sections(inspect.cleandoc(text))
    styles = [style for style, marks in _STYLE_MARKS.items() if marks.search(clean)]
    if not styles:
        return DocFacts(prose=text, summary=summary_of(clean))
    parsed = _parsed(clean, styles[0])
    if parsed is None:
        return DocFacts(prose=text, summary=summary_of(clean), style=styles[0], is_broken=True)
    described = [
        (name, param) for param in parsed.params if param.args[0] != "attribute" for name in names_of(param.arg_name)
    ]
    results = [item for item in parsed.meta if item.args and item.args[0] in _RESULT_WORDS and not _is_nothing(item)]
    returned = [item for item in results if isinstance(item, DocstringReturns) and item.type_name]
    types = [item.type_name for item in returned if item.type_name and not item.is_generator]
    types += _RTYPE.findall(clean) if not returned else []
    raises = tuple((item.type_name or "").split(".")[-1] for item in parsed.raises if item.type_name)
    return DocFacts(
        prose=text,
        summary=" ".join((parsed.short_description or "").split()),
        parameters=tuple(name for name, _ in described),
        parameter_types={name: param.type_name for name, param in described if param.type_name},
        defaults=stated_defaults({name: _description(param) for name, param in described}),
        has_result=bool(results) or _RTYPE.search(clean) is not None,
        result_type=types[0] if len(types) == 1 else "",  # NumPy names the items of a tuple one by one
        raises=raises,
        mentioned=frozenset(_MARKED.findall(clean)),
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


_RTYPE: Final = re.compile(r"^:rtype:[ \t]*(?!None\b)(\S.*)$", re.M)
_RESULT_WORDS: Final = ("return", "returns", "yield", "yields", "rtype")


def _description(param: DocstringParam) -> str:
    """All that is said of a parameter; NumPy's `int, default 3` is read apart by the parser."""
    default = f" Default: {param.default}." if param.default else ""
    return f"{param.type_name or ''}. {param.description or ''}{default}"


def _tags(text: str, grammar: str) -> DocFacts:
    parameters, has_result = _c_sections(text) if grammar in ("c", "cpp") else ([], False)
    type_parameters: list[str] = []
    raises: list[str] = []
    properties: list[str] = []
    types: dict[str, str] = {}
    told: dict[str, str] = {}
    result_type = ""
    found = list(_TAG.finditer(text))
    for tag, following in itertools.zip_longest(found, found[1:]):
        kind, name, type_name = tag["tag"], tag["name"], (tag["type"] or "").strip()
        description = text[tag.end() : following.start() if following else len(text)]
        if kind in _TYPE_TAGS or (kind == "param" and name.startswith("<")):
            type_parameters += _TYPE_NAME.findall(_TYPE_NAMES.match(name + description)[0])  # type: ignore[index]
        elif kind == "property":
            properties += names_of(name)
        elif kind.startswith(("param", "arg")):
            # JSDoc: @param {string} options.name describes a part of `options`.
            own = [n.split(".")[0].removesuffix("[]") for n in names_of(name)]
            parameters += own
            if "." not in name and len(own) == 1:
                types |= {own[0]: type_name} if type_name else {}
                told[own[0]] = f"default: {name.strip('[]').partition('=')[2]}. " if "=" in name else ""
                told[own[0]] += _BLANK_LINE.split(description, maxsplit=1)[0]
        elif kind.startswith(("return", "result", "retval", "yield")):
            told_result = name + description
            is_nothing = type_name.lower() in _NO_RESULT or (not type_name and _NO_VALUE.match(told_result) is not None)
            has_result = has_result or not is_nothing
            result_type = result_type or (type_name if not kind.startswith("yield") else "")
        elif kind.startswith(("throw", "exception")):
            raised = tag["type"] or name
            raises += [re.split(r"[.:]+", raised.strip("{}"))[-1]] if raised else []
    return DocFacts(
        prose=text,
        summary=summary_of(text),
        parameters=tuple(dict.fromkeys(parameters)),
        parameter_types=types,
        defaults=stated_defaults(told),
        type_parameters=tuple(dict.fromkeys(type_parameters)),
        mentioned=frozenset([*properties, *_MARKED.findall(text)]),
        has_result=has_result,
        result_type=result_type,
        raises=tuple(name for name in raises if name[:1].isupper() or name.endswith("_error")),
    )


_TYPE_TAGS: Final = ("tparam", "typeparam", "typeParam", "template")
# `T`, `<T>`, `K, V`, `...Args`
_TYPE_NAMES: Final = re.compile(r"[<\[.]*[\w$]*[>\].]*(?:[ \t]*,[ \t]*[\w$]+(?=[\s,]))*")
_TYPE_NAME: Final = re.compile(r"[\w$]+")
_BLANK_LINE: Final = re.compile(r"\n[ \t]*\n")
_NO_RESULT: Final = ("void", "undefined", "promise<void>", "promise<undefined>", "promise.<void>")
# A name that is marked as code: Markdown's `name`, KDoc's [name], Javadoc's {@code name}.
_MARKED: Final = re.compile(r"(?:`|\[|\{@code +|<code>)(\w+)(?:`|\]|\}|</code>)")


def _c_sections(text: str) -> tuple[list[str], bool]:
    """Conventions that C has borrowed: kernel-doc's parameters and `Returns:`, Google's sections."""
    google = _python(text, "c")
    parameters = [m["name"] for m in _KERNEL_DOC.finditer(text)]
    return [*parameters, *(google.parameters if google.style == "google" else ())], google.has_result


def _xml(text: str, _grammar: str) -> DocFacts:
    found = list(_XML.finditer(text))
    inside = re.search(r"<summary>(.*?)(</summary>|$)", text, re.S)
    described = {m["name"]: _without_tags(m["text"]) for m in _XML_PARAMETER.finditer(text)}
    return DocFacts(
        prose=_without_tags(text),
        summary=" ".join((inside[1] if inside else re.sub(r"<[^>]*>", " ", text)).split()),
        parameters=tuple(m["name"] for m in found if m["tag"] == "param" and m["name"]),
        defaults=stated_defaults(described),
        type_parameters=tuple(m["name"] for m in found if m["tag"] == "typeparam" and m["name"]),
        has_result=any(m["tag"] == "returns" for m in found),
        raises=tuple(m["name"].split(".")[-1] for m in found if m["tag"] == "exception" and m["name"]),
        is_broken=not is_well_formed(text) or _NESTED_XML.search(text) is not None,
    )


# A tag that belongs beside the summary, in one that wasn't closed before it.
_NESTED_XML: Final = re.compile(r"<summary>(?:(?!</summary>).)*<(?:param|typeparam|returns|exception)\b", re.S)
_REFERENCE: Final = re.compile(
    r"<(?:see|seealso|paramref|typeparamref)\s+(?:cref|name|langword)\s*=\s*\"([^\"]*)\"\s*/>"
)


def _without_tags(text: str) -> str:
    """Plain text; what a tag refers to stays as its name."""
    return re.sub(r"<[^>]*>", "", _REFERENCE.sub(r"\1", text)).strip()


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
            parameters += [
                name for item in _RUST_ITEM.finditer(body) for name in names_of(item["name"] or item["bare"])
            ]
        elif head.startswith("return"):
            has_result = _NO_VALUE.match(body) is None
    heads = tuple(section["head"].lower() for section in sections)
    return DocFacts(
        prose=text,
        summary=summary_of(text),
        parameters=tuple(parameters),
        mentioned=frozenset(_MARKED.findall(text)),
        sections=tuple(head for head in heads if head in ("errors", "panics")),
        has_result=has_result,
    )


_READERS: Final[dict[str, Callable[[str, str], DocFacts]]] = {
    "python": _python,
    "csharp": _xml,
    "rust": _rust,
    "go": _go,
}
