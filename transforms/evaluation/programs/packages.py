"""Packages that a test asks for and that aren't here: a test that can't be run says nothing about an answer.

Python's, JavaScript's and Go's modules are asked of their tools in the sandbox (`Toolchain.modules`); elsewhere an
import tells by its form that it isn't of the standard library. Imports are read from the syntax tree or from the code
without comments and strings, so that prose names no packages.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Final

from transforms.evaluation.problems import Problem
from transforms.evaluation.programs.layouts import code_of
from transforms.evaluation.programs.native import go_imports
from transforms.languages import syntax

# What a trial itself brings: the module that holds the answer.
_OWN: Final = {"Python": frozenset({"solution", "__future__", "__main__"}), "JavaScript": frozenset()}


def third_party(problem: Problem, modules: Callable[[], Collection[str]]) -> str | None:
    """A package that the test asks for and that isn't there, if there is one.

    Args:
        problem: The problem; the answer's own imports are its own affair.
        modules: The names of the modules that the language's tools find; called for some languages only.
    """
    # Where a span was left out, the prefix may end, and the suffix begin, in the middle of an import or of a text.
    whole_lines = problem.prefix[: problem.prefix.rfind("\n") + 1]
    parts = [part for part in (problem.setup, whole_lines, problem.test) if part]
    if (imported := _INTERPRETED.get(problem.language)) is not None:
        names = [name for part in parts for name in imported(part)]
        here = {*modules(), *_OWN[problem.language]} if names else set()
        return next((name for name in names if name not in here), None)
    if problem.language == "Go":
        paths = [line.split('"')[1] for part in parts for line in go_imports(part)[0]]
        here = set(modules()) if paths else set()
        return next((path for path in paths if path not in here), None)
    if (pattern := _FOREIGN.get(problem.language)) is None:
        return None
    code = "\n".join(code_of(part, problem.language) for part in parts)
    text = "\n".join(parts)
    names = [text[slice(*found.span(found.lastindex or 0))] for found in pattern.finditer(code)]
    own = _OWN_NAMES.get(problem.language, r"(?!)")
    return next((name for name in names if not re.search(own.replace("NAME", re.escape(name)), code)), None)


_FOREIGN: Final[Mapping[str, re.Pattern[str]]] = {
    "Rust": re.compile(r"^\s*(?:extern crate (\w+)|use (?!(?:std|core|alloc|crate|self|super)::)([a-z]\w*)::)", re.M),
    "C++": re.compile(r"^\s*#\s*include\s*<((?:gtest|gmock|catch2?|boost|doctest|absl|openssl)/[^>]+)>", re.M),
    "Java": re.compile(
        r"^\s*import\s+(?:static\s+)?((?!javax?\.|jdk\.|org\.w3c\.|org\.xml\.)[a-z]\w*(?:\.\w+)+)", re.M
    ),
    "Kotlin": re.compile(r"^\s*import\s+((?!javax?\.|kotlin\.(?!test))[a-z]\w*(?:\.\w+)+)", re.M),
    "C#": re.compile(r"^\s*using\s+(?:static\s+)?((?:NUnit|Xunit|Microsoft\.VisualStudio|Newtonsoft)[\w.]*)", re.M),
}
_OWN_NAMES: Final = {"Rust": r"\b(?:mod|enum|use\s[\w:]*)\s*NAME\b(?!::)"}


def _python_imports(text: str) -> Iterator[str]:
    """The outermost packages that a text imports; what is tried, and may fail, doesn't count."""
    source = syntax.parse(text.encode("utf-8", "replace"), "python")
    if source is None:
        return
    waiting = [source.tree.root_node]
    while waiting:
        node = waiting.pop(0)
        if node.type == "import_from_statement":
            if (module := node.child_by_field_name("module_name")) is not None and module.type == "dotted_name":
                yield source.text(module).partition(".")[0]
        elif node.type == "import_statement":
            for name in node.children_by_field_name("name"):
                yield source.text(name.child_by_field_name("name") or name).partition(".")[0]
        elif node.type != "try_statement":
            waiting += node.named_children


def _javascript_imports(text: str) -> Iterator[str]:
    source = syntax.parse(text.encode("utf-8", "replace"), "javascript")
    if source is None:
        return
    for node in syntax.captures(source, "(import_statement source: (string) @x)").get("x", ()):
        yield _module_of(source.text(node))
    for call in syntax.captures(source, "(call_expression) @x").get("x", ()):
        given = call.child_by_field_name("arguments")
        first = given.named_children[:1] if given is not None else []
        if source.text(call.child_by_field_name("function")) == "require" and [one.type for one in first] == ["string"]:
            yield _module_of(source.text(first[0]))


def _module_of(quoted: str) -> str:
    """The name that node lists a built-in module by, `fs/promises` as `fs`."""
    name = quoted.strip("'\"`").removeprefix("node:")
    return name if name.startswith((".", "/", "@")) else name.partition("/")[0]


_INTERPRETED: Final[Mapping[str, Callable[[str], Iterator[str]]]] = {
    "JavaScript": _javascript_imports,
    "Python": _python_imports,
}
