"""Facts about one file: its imports, its package, and the names it declares.

Facts are read from the syntax tree, so imports in comments, strings and templates don't count. They are small (a few
hundred bytes per file), so that a repository's graph can be built without its contents in memory. By default, only
imports at the top of the file count, as in arXiv 2406.11409 (section "Multi-file packing").

Cost: a parse; of the top lines only, unless the language's packages are found by the names that files declare.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import tree_sitter

from transforms.languages import syntax
from transforms.languages.grammars import grammar_name
from transforms.packing.imports import READERS, Import, captured, cpp_module

# The number of top lines in which imports count; the paper says "the top N lines" without N.
TOP_LINES: Final = 200

# A file has a few hundred names, a generated one may have more.
_MAX_USES: Final = 2000


@dataclass(frozen=True, slots=True)
class FileFacts:
    """The facts about a file that import resolution needs.

    Args:
        path: Path in the repository, with `/`.
        grammar: `transforms.languages.grammars.grammar_name`, or "".
        imports: In the order of the file.
        package: Declared package or namespace, with `.`; the module that a C++ file exports.
        declares: Names of top-level types and functions (Java, Kotlin, C#, PHP), and what a Go file exports.
        uses: Names in the text that may be declared in files which it doesn't import one by one: types, in Kotlin also
            what is called, in Go with the package, as `money.Total`. Only where a package or a wildcard import makes
            them relevant; sorted.
    """

    path: str
    grammar: str = ""
    imports: tuple[Import, ...] = ()
    package: str = ""
    declares: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()


def read_facts(path: str, text: str, language: str = "", *, top_lines: int | None = TOP_LINES) -> FileFacts:
    """Reads a file's facts; a file that can't be parsed, or whose language has no reader, has only a path.

    Args:
        path: Path in the repository.
        text: The file.
        language: The corpus's name of its language; "" to use the path.
        top_lines: Imports below this line don't count; None counts all.
    """
    grammar = grammar_name(language, path) or ""
    reader = READERS.get(grammar)
    if reader is None:
        return FileFacts(path, grammar)
    is_named, whole = grammar in _NAMED, text
    if top_lines is not None and not is_named:
        text = _head(text, top_lines)
    source = syntax.parse(text.encode("utf-8", "surrogatepass"), grammar)
    if source is None:
        return FileFacts(path, grammar)
    imports = [found for found, line in reader(source) if top_lines is None or line < top_lines]
    if grammar == "go":
        return _go_facts(path, whole, imports)
    if grammar == "cpp":
        module, is_interface = cpp_module(source)
        return FileFacts(path, grammar, tuple(imports), module if is_interface else "")
    if not is_named:
        return FileFacts(path, grammar, tuple(imports))
    package, declares = _declared(source)
    is_relevant = grammar in SHARED_PACKAGES or any(found.form == "wildcard" for found in imports)
    uses = _uses(text, grammar) - set(declares) if is_relevant else ()
    return FileFacts(path, grammar, tuple(imports), package, declares, tuple(sorted(uses)))


# Files of a package see each other's declarations without an import.
SHARED_PACKAGES: Final = frozenset({"java", "kotlin"})

_COMMENT_OR_STRING: Final = re.compile(r'"""[\s\S]*?(?:"""|\Z)|"(?:[^"\\\n]|\\.)*"|//[^\n]*|/\*[\s\S]*?(?:\*/|\Z)')
_TYPE_NAME: Final = re.compile(r"\b[A-Z]\w*")
_CALLED_NAME: Final = re.compile(r"(?<![.\w])[a-z_]\w*(?=\s{0,4}[({<])")  # not `x.name()`: most such are members
_KOTLIN_FUNCTION: Final = re.compile(
    r"\bfun\s{1,9}(?:<[^>]{0,200}>\s{0,9})?(?:[\w<>?, ]{1,200}\.)?(\w{1,200})\s{0,9}\("
)


def _uses(text: str, grammar: str) -> set[str]:
    code = _COMMENT_OR_STRING.sub(" ", text)
    names = _TYPE_NAME.findall(code)
    if grammar == "kotlin":
        own = set(_KOTLIN_FUNCTION.findall(code))
        names += [name for name in _CALLED_NAME.findall(code) if name not in own]
    return set(itertools.islice(dict.fromkeys(names), _MAX_USES))


def _head(text: str, lines: int) -> str:
    end = -1
    for _ in range(lines):
        end = text.find("\n", end + 1)
        if end < 0:
            return text
    return text[: end + 1]


_GO_PACKAGE: Final = re.compile(r"^package[ \t]+(\w+)", re.MULTILINE)
_GO_DECLARED: Final = re.compile(
    r"^(?:func|type|var|const)[ \t]+([A-Z]\w*)|^(?:type|var|const)[ \t]*\(([^\n]*(?:\n(?!\)).*)*)", re.MULTILINE
)
# Lines of a group that is in parentheses; fields of a struct in it are further in.
_GO_GROUPED: Final = re.compile(r"^(?:\t| {1,4})([A-Z]\w*(?:[ \t]*,[ \t]*\w+)*)", re.MULTILINE)
_GO_USED: Final = re.compile(r"(?:(?<![.\w])|(?<=\.\.\.))(\w+\.[A-Z]\w*)")  # `...money.Sum` has the type of many


def _go_facts(path: str, text: str, imports: Sequence[Import]) -> FileFacts:
    """A package is imported as a whole: which of its files are meant follows from the names that are used of it."""
    package = _GO_PACKAGE.search(text)
    uses = set(itertools.islice(dict.fromkeys(_GO_USED.findall(text)), _MAX_USES)) if imports else set()
    return FileFacts(
        path, "go", tuple(imports), package.group(1) if package else "", _go_declares(text), tuple(sorted(uses))
    )


def _go_declares(text: str) -> tuple[str, ...]:
    names: dict[str, None] = {}
    for single, group in _GO_DECLARED.findall(text):
        if single:
            names[single] = None
        for line in _GO_GROUPED.findall(group):
            names.update(dict.fromkeys(name for name in re.split(r"[ \t,]+", line) if name[:1].isupper()))
    return tuple(itertools.islice(names, _MAX_USES))


# Languages whose imports name declarations in files: query of the package, query of the declarations.
_NAMED: Final[dict[str, tuple[str, str]]] = {
    "java": (
        "(package_declaration (_) @x)",
        "(program [(class_declaration)(interface_declaration)(enum_declaration)(record_declaration)"
        "(annotation_type_declaration)] @x)",
    ),
    "kotlin": (
        "(package_header (identifier) @x)",
        "(source_file [(class_declaration)(object_declaration)(function_declaration)(property_declaration)"
        "(type_alias)] @x)",
    ),
    "csharp": (
        "(namespace_declaration name: (_) @x) (file_scoped_namespace_declaration name: (_) @x)",
        "[(class_declaration)(interface_declaration)(struct_declaration)(enum_declaration)(record_declaration)"
        "(delegate_declaration)] @x",
    ),
    "php": (
        "(namespace_definition name: (_) @x)",
        "[(class_declaration)(interface_declaration)(trait_declaration)(enum_declaration)(function_definition)] @x",
    ),
}
_NAME_TYPES: Final = ("type_identifier", "simple_identifier", "identifier", "name")


def _declared(source: syntax.Source) -> tuple[str, tuple[str, ...]]:
    package_query, names_query = _NAMED[source.grammar]
    packages = captured(source, package_query)
    package = source.text(packages[0]).replace("\\", ".").replace(" ", "") if packages else ""
    return package, tuple(filter(None, (_declared_name(source, node) for node in captured(source, names_query))))


def _declared_name(source: syntax.Source, node: tree_sitter.Node) -> str:
    named = node.child_by_field_name("name")
    if named is not None:
        return source.text(named)
    for child in node.children:
        if child.type == "variable_declaration" and child.named_children:
            child = child.named_children[0]
        if child.type in _NAME_TYPES:
            return source.text(child)
    return ""
