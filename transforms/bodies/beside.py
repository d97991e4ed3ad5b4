"""Names that a chat answer binds beside the function that it was asked for, and that the function's body needs.

    import java.util.TreeMap;                    TreeMap: needed, unless the file has it
    private int twice(int x) { ... }             twice: needed
    public Map<String, Integer> count() {        the function that was asked for
        var counts = new TreeMap<...>(); ...
    }
    public static void main(...) { ... }         what it binds inside is nobody else's

A name that the file has anywhere, or that the function binds itself, isn't missing. An import of everything
(`java.util.*`, `using System.Linq`, `#include <map>`) binds what is known of it (`_KNOWN`): what answers use most.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import tree_sitter

from transforms.bodies.holes import BodyHole
from transforms.bodies.python_flow import statements
from transforms.languages.syntax import Source, captures
from transforms.symbols import Symbol

Node = tree_sitter.Node

_NAME: Final = re.compile(r"[^\W\d]\w*")
_JAVASCRIPT: Final = """
    (variable_declarator name: (_) @bound) (import_specifier) @import (namespace_import (identifier) @bound)
    (import_clause (identifier) @bound)
"""
# What binds a name: a pattern, of which every identifier counts, or an import, of which the last one does.
_BINDINGS: Final[Mapping[str, str]] = {
    "javascript": _JAVASCRIPT,
    "typescript": _JAVASCRIPT + "(type_alias_declaration name: (_) @bound)",
    "tsx": _JAVASCRIPT + "(type_alias_declaration name: (_) @bound)",
    "java": "(import_declaration) @import (variable_declarator name: (_) @bound)",
    "kotlin": "(import_header) @import (variable_declaration (simple_identifier) @bound) "
    "(type_alias (type_identifier) @bound)",
    "go": "(import_spec) @import (const_spec name: (_) @bound) (var_spec name: (_) @bound) "
    "(short_var_declaration left: (_) @bound) (range_clause left: (_) @bound)",
    "rust": "(use_declaration argument: (_) @import) (const_item name: (_) @bound) (static_item name: (_) @bound) "
    "(type_item name: (_) @bound) (macro_definition name: (_) @bound) (let_declaration pattern: (_) @bound)",
    "c": "(preproc_include) @import (preproc_def name: (_) @bound) (preproc_function_def name: (_) @bound) "
    "(type_definition declarator: (_) @bound) (init_declarator declarator: (_) @bound) "
    "(declaration declarator: (identifier) @bound)",
    "csharp": "(using_directive) @import (variable_declarator name: (_) @bound)",
}
_CPP: Final = " (alias_declaration name: (_) @bound) (using_declaration) @import"

_JAVA_UTIL: Final = (
    "List Map Set ArrayList LinkedList HashMap HashSet TreeMap TreeSet LinkedHashMap LinkedHashSet Arrays Collections "
    "Collection Deque ArrayDeque Queue PriorityQueue Optional Iterator Objects Random Scanner Stack BitSet "
    "StringJoiner UUID Comparator EnumMap Locale Date"
)
# Headers of C++ that have the name of what is in them.
_NAMED_HEADERS: Final = (
    "map set vector string unordered_map unordered_set optional array deque queue stack list regex functional "
    "tuple variant string_view"
)
# What an import of everything binds, by how it is written.
_KNOWN: Final[Mapping[str, Mapping[str, str]]] = {
    "java": {
        "java.util.*": _JAVA_UTIL,
        "java.util.stream.*": "Collectors Stream IntStream LongStream",
        "java.util.function.*": "Function Predicate Supplier Consumer BiFunction UnaryOperator",
        "java.io.*": "File IOException InputStream OutputStream Reader Writer BufferedReader FileReader",
        "java.nio.file.*": "Files Path Paths",
    },
    "kotlin": {"java.util.*": _JAVA_UTIL, "java.io.*": "File IOException InputStream", "kotlin.math.*": "abs sqrt pow"},
    "csharp": {
        "System": "Console Math Array String Convert Environment Func Action Random Guid DateTime Exception",
        "System.Linq": "Select Where Sum Any All First FirstOrDefault OrderBy OrderByDescending GroupBy ToList ToArray "
        "ToDictionary Max Min Count Aggregate Distinct Reverse Zip Enumerable",
        "System.Collections.Generic": "List Dictionary HashSet Queue Stack IEnumerable SortedDictionary KeyValuePair",
        "System.IO": "File Path Directory StreamReader StreamWriter Stream",
        "System.Threading.Tasks": "Task",
        "System.Text": "StringBuilder Encoding",
        "System.Text.RegularExpressions": "Regex Match Group",
        "System.Text.Json": "JsonSerializer JsonDocument",
        "System.Globalization": "CultureInfo NumberStyles",
    },
    "cpp": {
        "algorithm": "sort find_if transform copy_if any_of all_of none_of max_element min_element",
        "numeric": "accumulate iota gcd lcm",
        "cmath": "sqrt pow floor ceil fabs",
        "iostream": "cout cin cerr",
        "sstream": "stringstream ostringstream istringstream",
        "memory": "unique_ptr shared_ptr make_unique make_shared",
        **{name: name for name in _NAMED_HEADERS.split()},
    },
    "c": {
        "ctype.h": "isspace isalpha isdigit isalnum toupper tolower ispunct",
        "math.h": "sqrt pow floor ceil fabs sin cos",
        "stdio.h": "printf fprintf sprintf snprintf puts fopen FILE",
        "stdlib.h": "malloc calloc realloc free exit abort atoi qsort strtol",
        "string.h": "strlen strcpy strcmp strchr memcpy memset strncpy strdup strtok strstr",
        "stdbool.h": "bool",
        "stdint.h": "uint8_t uint32_t uint64_t int64_t int32_t",
    },
}
# C#'s projects may import these in every file, so they are missing only where a file imports one of them itself.
_IMPLICIT: Final = ("System", "System.Linq", "System.Collections.Generic", "System.IO", "System.Threading.Tasks")


def names_beside(source: Source, symbols: Sequence[Symbol], own: Symbol, hole: BodyHole, file: str) -> set[str]:
    """Returns the names that the answer binds outside the function, the body uses and the file doesn't have.

    Args:
        source: The answer.
        symbols: Its symbols.
        own: The function that was asked for, among them.
        hole: Its body.
        file: The code of the file that takes the body, without comments and the body that it has.
    """
    body = source.data[hole.start : hole.end].decode()
    used = set(_NAME.findall(body)) - {parameter.name for parameter in own.parameters}
    used -= set(_NAME.findall(file))
    if not used:
        return set()
    if source.grammar == "python":
        beside, inside = _python_names(source, symbols, own, body)
    else:
        beside, inside = _names(source, symbols, own, file)
    return {name for name in (beside - inside) & used if _is_used(name, body, symbols)}


def _is_used(name: str, body: str, symbols: Sequence[Symbol]) -> bool:
    """Whether the body uses a name other than as a member of something, which only a function or a class can be."""
    if any(symbol.name == name for symbol in symbols):
        return True
    return re.search(rf"(?<![\w.])(?:\w+::|std::)?{re.escape(name)}\b|\.{re.escape(name)}\(", body) is not None


# --- Python ------------------------------------------------------------------------------------------


def _python_names(source: Source, symbols: Sequence[Symbol], own: Symbol, body: str) -> tuple[set[str], set[str]]:
    """The names bound by the module and by the function's class, and those that the function binds itself."""
    beside: set[str] = set()
    for statement in statements(source.data.decode()) or ():
        beside |= set(_bound_by(statement))
    scope = own.qualified_name.rpartition(".")[0]
    siblings = {s.name for s in symbols if scope and s.qualified_name.rpartition(".")[0] == scope}
    beside |= {name for name in siblings if re.search(rf"\b(?:self|cls)\.{re.escape(name)}\b", body)}
    beside -= {own.name, *scope.split(".")}
    inside = {
        node.id
        for statement in statements(body) or ()
        for node in ast.walk(statement)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    return beside, inside


def _bound_by(statement: ast.stmt) -> Iterator[str]:
    """The names that a statement of a module imports, defines or assigns."""
    if isinstance(statement, ast.Import | ast.ImportFrom):
        yield from ((alias.asname or alias.name).split(".")[0] for alias in statement.names)
    elif isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement.name
    elif isinstance(statement, ast.Assign | ast.AnnAssign):
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                yield node.id


# --- other languages ---------------------------------------------------------------------------------


def _names(source: Source, symbols: Sequence[Symbol], own: Symbol, file: str) -> tuple[set[str], set[str]]:
    """The names bound beside the function, and those that it binds itself."""
    others = [s for s in symbols if s.kind in ("function", "method") and (s.start, s.end) != (own.start, own.end)]
    beside = {s.name for s in symbols if not _holds(s, own) and not _within(s.start, others, s) and not _holds(own, s)}
    inside = {s.name for s in symbols if _holds(own, s) and s is not own}
    query = _BINDINGS["c"] + _CPP if source.grammar == "cpp" else _BINDINGS[source.grammar]
    for kind, nodes in captures(source, query).items():
        for node in nodes:
            names = _imported(source, node, file) if kind == "import" else _NAME.findall(source.text(node))
            if own.start <= node.start_byte < own.end:
                inside |= set(names)
            elif not _within(node.start_byte, others):
                beside |= set(names)
    return beside - {own.name}, inside


def _holds(outer: Symbol, inner: Symbol) -> bool:
    return outer.start <= inner.start and inner.end <= outer.end


def _within(offset: int, functions: Sequence[Symbol], but: Symbol | None = None) -> bool:
    return any(one is not but and one.start <= offset < one.end for one in functions)


def _imported(source: Source, node: Node, file: str) -> list[str]:
    """The names that an import binds."""
    text = source.text(node)
    if source.grammar in _KNOWN:
        known = _of_everything(text, source.grammar, file)
        if known is not None:
            return known
    if source.grammar == "go":
        path = re.search(r'"([^"]*)"', text)
        alias = text.partition('"')[0].strip()
        return [alias] if alias else [_package(path[1])] if path is not None else []
    if source.grammar == "rust":
        return re.findall(r"(\w+)\s*(?=,|\}|\Z)", text)
    return _NAME.findall(text)[-1:]


def _package(path: str) -> str:
    """The name by which Go knows a package: `yaml` of `gopkg.in/yaml.v3`, `chi` of `github.com/go-chi/chi/v5`."""
    parts = [part for part in path.split("/") if not re.fullmatch(r"v\d+", part)] or [path]
    return re.sub(r"\.v\d+$", "", parts[-1]).removeprefix("go-").replace("-", "")


def _of_everything(text: str, grammar: str, file: str) -> list[str] | None:
    """What is known of an import of everything; None: it binds the name that it ends with."""
    written = re.sub(r"^(?:import|using|#\s*include)\s*(?:static\s+)?|[;<>\"\s]", "", text)
    known = _KNOWN[grammar].get(written)
    if grammar == "csharp":
        if "=" in text:
            return _NAME.findall(text.partition("=")[0])[-1:]
        is_missing = f"using {written};" not in file
        if written in _IMPLICIT:
            is_missing = is_missing and any(f"using {name};" in file for name in _IMPLICIT)
        return known.split() if known is not None and is_missing else []
    if text.lstrip().startswith("#"):
        is_missing = re.search(rf"#\s*include\s*[<\"]{re.escape(written)}[>\"]", file) is None
        return known.split() if known is not None and is_missing else []
    if written.endswith("*"):
        return known.split() if known is not None and written not in file else []
    return None
