"""The imports of one file, as written: a reader for each grammar.

They are read from the syntax tree, so imports in comments, strings and templates don't count. C++'s modules, whose
statements the grammar doesn't know, are found by expressions.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import tree_sitter

from transforms.languages import syntax


@dataclass(frozen=True, slots=True)
class Import:
    """One import as written.

    Args:
        target: The module, namespace or path, without quotes; "" for Python's `from . import x`.
        names: The imported names: those of a from-import, Go's name for the package if it is given one, else empty.
        form: The kind of statement, in the language's own terms: `from`, `wildcard`, `mod`, `angle`, ...
        level: Number of Python's leading dots.
        is_nested: Whether it is in a function or under `if TYPE_CHECKING`, and so doesn't run when the file is loaded.
    """

    target: str
    names: tuple[str, ...] = ()
    form: str = ""
    level: int = 0
    is_nested: bool = False


Found = tuple[Import, int]  # with the line it is on, from 0


def captured(source: syntax.Source, query: str, name: str = "x") -> list[tree_sitter.Node]:
    """The nodes that a query captures under a name, in the order of the file."""
    return syntax.captures(source, query).get(name, [])


def _python(source: syntax.Source) -> list[Found]:
    found = []
    for node in captured(source, "[(import_statement)(import_from_statement)] @x"):
        line, is_nested = node.start_point[0], _is_nested(source, node)
        names = [_unaliased(source, child) for child in node.children_by_field_name("name")]
        if node.type == "import_statement":
            found += [(Import(name, form="import", is_nested=is_nested), line) for name in names]
            continue
        module = node.child_by_field_name("module_name")
        dots = source.text(module)
        target = dots.lstrip(". \t")
        level = dots[: len(dots) - len(target)].count(".")
        is_wildcard = any(child.type == "wildcard_import" for child in node.children)
        form = "wildcard" if is_wildcard else "from"
        found.append((Import(target, tuple(names), form, level, is_nested), line))
    if b"import_module" in source.data or b"__import__" in source.data:
        found += _python_calls(source)
    return found


_IMPORT_CALLS: Final = frozenset({"import_module", "importlib.import_module", "__import__"})


def _python_calls(source: syntax.Source) -> list[Found]:
    """`importlib.import_module("a.b")`, and `".b"` of the package that the file is in."""
    found = []
    for node in captured(source, "(call arguments: (argument_list . (string))) @x"):
        arguments = node.child_by_field_name("arguments")
        literal = arguments.named_children[0] if arguments is not None else None
        if literal is None or source.text(node.child_by_field_name("function")) not in _IMPORT_CALLS:
            continue
        written = re.fullmatch(r"""(['"])(\.*)([\w.]*)\1""", source.text(literal))
        if written and (written.group(2) or written.group(3)):
            dots, target = written.group(2), written.group(3)
            package = source.text(arguments)
            if dots and "__package__" not in package and "__name__" not in package:
                continue  # of a package that isn't known
            form = "import" if target else "from"
            is_nested = _is_nested(source, node)
            found.append((Import(target, (), form, len(dots), is_nested), node.start_point[0]))
    return found


def _unaliased(source: syntax.Source, node: tree_sitter.Node) -> str:
    return source.text(node.child_by_field_name("name")) if node.type == "aliased_import" else source.text(node)


def _is_nested(source: syntax.Source, node: tree_sitter.Node) -> bool:
    parent = node.parent
    while parent is not None and parent.type != "module":
        if parent.type == "function_definition":
            return True
        if (
            parent.type == "if_statement"
            and b"TYPE_CHECKING" in source.data[parent.start_byte : parent.start_byte + 40]
        ):
            return True
        parent = parent.parent
    return False


def _javascript(source: syntax.Source) -> list[Found]:
    query = (
        "(import_statement source: (string) @x) (export_statement source: (string) @x) "
        "(call_expression function: (import) arguments: (arguments . (string) @x)) "
        "(call_expression function: (identifier) @f arguments: (arguments . (string) @r))"
    )
    if source.grammar != "javascript":
        query += " (import_require_clause source: (string) @x)"
    captured = syntax.captures(source, query)
    strings = list(captured.get("x", []))
    callers = {node.end_byte: source.text(node) for node in captured.get("f", [])}
    for node in captured.get("r", []):
        call = node.parent.parent if node.parent is not None else None
        caller = call.child_by_field_name("function") if call is not None else None
        if caller is not None and callers.get(caller.end_byte) == "require":
            strings.append(node)
    strings = sorted(strings, key=lambda node: node.start_byte)
    return [(Import(source.text(node).strip("\"'`"), form="module"), node.start_point[0]) for node in strings]


def _java(source: syntax.Source) -> list[Found]:
    found = []
    for node in captured(source, "(import_declaration) @x"):
        words = source.text(node).rstrip("; \t").split()
        target = "".join(word for word in words if word not in ("import", "static"))
        is_wildcard = target.endswith(".*")
        form = "static" if "static" in words else ("wildcard" if is_wildcard else "name")
        found.append((Import(target.removesuffix(".*"), form=form), node.start_point[0]))
    return found


def _kotlin(source: syntax.Source) -> list[Found]:
    found = []
    for node in captured(source, "(import_header) @x"):
        name = next((child for child in node.children if child.type == "identifier"), None)
        is_wildcard = any(child.type == "wildcard_import" for child in node.children)
        found.append((Import(source.text(name), form="wildcard" if is_wildcard else "name"), node.start_point[0]))
    return found


def _go(source: syntax.Source) -> list[Found]:
    found = []
    for node in captured(source, "(import_spec) @x"):
        path, alias = node.child_by_field_name("path"), node.child_by_field_name("name")
        names = (source.text(alias),) if alias is not None and alias.type == "package_identifier" else ()
        found.append((Import(source.text(path).strip('"`'), names, "package"), node.start_point[0]))
    return found


def _rust(source: syntax.Source) -> list[Found]:
    return [*_rust_items(source, [], 0), *_rust_inline(source)]


def _rust_items(source: syntax.Source, outer: list[str], depth: int) -> list[Found]:
    """`mod` and `use`, also of items that are passed to a macro, as `cfg_net! { mod net; }`."""
    found = []
    for node in captured(source, "[(mod_item !body)(use_declaration)(extern_crate_declaration)] @x"):
        line = node.start_point[0]
        if node.type == "extern_crate_declaration":
            found.append((Import(_name(source, node), form="crate"), line))
        elif node.type == "mod_item":
            path = _path_attribute(source, node)
            if path:
                found.append((Import(path, form="path"), line))
            else:
                found.append(
                    (
                        Import("::".join([*outer, *_enclosing_modules(source, node), _name(source, node)]), form="mod"),
                        line,
                    )
                )
        else:
            argument = node.child_by_field_name("argument")
            tree = re.sub(r"\s+", " ", source.text(argument))
            paths = _use_paths(tree) if _use_depth(tree) <= _MAX_USE_DEPTH else []
            found += [(Import(path, form="use"), line) for path in paths]
    if depth < _MAX_MACRO_DEPTH and _RUST_ITEM.search(source.data):
        for node in captured(source, "(macro_invocation (token_tree) @x)"):
            found += _rust_macro(source, node, outer, depth)
    return found


def _path_attribute(source: syntax.Source, node: tree_sitter.Node) -> str:
    """The file of `#[path = "unix/mod.rs"] #[cfg(unix)] mod imp;`, "" without one."""
    place = node.prev_named_sibling
    while place is not None and place.type in ("attribute_item", "line_comment", "block_comment"):
        written = re.search(r'\bpath\s*=\s*"([^"]+)"', source.text(place))
        if written:
            return written.group(1)
        place = place.prev_named_sibling
    return ""


# What macros get isn't parsed with the file. Items stand in macros of one or two levels.
_MAX_MACRO_DEPTH: Final = 4
_RUST_ITEM: Final = re.compile(rb"\b(?:mod\s+\w+\s*;|use\s+[\w:]|extern\s+crate\s)")


def _rust_macro(source: syntax.Source, node: tree_sitter.Node, outer: list[str], depth: int) -> list[Found]:
    inner = source.data[node.start_byte + 1 : node.end_byte - 1]
    parent = node.parent.parent if node.parent is not None else None
    if parent is not None and parent.type == "expression_statement":
        parent = parent.parent
    is_item = parent is not None and (parent.type == "source_file" or _is_module_body(parent))
    if not is_item or not _RUST_ITEM.search(inner):
        return []
    parsed = syntax.parse(inner, "rust")
    if parsed is None:
        return []
    line = node.start_point[0]
    items = _rust_items(parsed, [*outer, *_enclosing_modules(source, node)], depth + 1)
    return [(item, line + offset) for item, offset in items]


def _is_module_body(node: tree_sitter.Node) -> bool:
    return node.type == "declaration_list" and node.parent is not None and node.parent.type == "mod_item"


def _rust_inline(source: syntax.Source) -> list[Found]:
    """Paths that start at the crate or a module above and stand in the code: `crate::a::b()`."""
    if not any(start in source.data for start in (b"crate::", b"super::", b"self::")):
        return []
    found: dict[str, int] = {}
    for node in captured(source, "[(scoped_identifier)(scoped_type_identifier)] @x"):
        parent = node.parent
        is_outermost = parent is None or parent.type not in _RUST_PATHS
        path = source.text(node) if is_outermost else ""
        if path.startswith(("crate::", "super::", "self::")) and re.fullmatch(r"\w+(?:::\w+)+", path):
            found.setdefault(path, node.start_point[0])
    return [(Import(path, form="use", is_nested=True), line) for path, line in found.items()]


# Paths in these are parts of longer ones, or of an import that is read as a whole.
_RUST_PATHS: Final = frozenset(
    {
        "scoped_identifier",
        "scoped_type_identifier",
        "scoped_use_list",
        "use_declaration",
        "use_list",
        "use_as_clause",
        "use_wildcard",
        "visibility_modifier",
    }
)


def _name(source: syntax.Source, node: tree_sitter.Node) -> str:
    return source.text(node.child_by_field_name("name"))


def _enclosing_modules(source: syntax.Source, node: tree_sitter.Node) -> list[str]:
    names = []
    parent = node.parent
    while parent is not None:
        if parent.type == "mod_item":
            names.append(_name(source, parent))
        parent = parent.parent
    return names[::-1]


# A use tree is read once per level; real ones have about four.
_MAX_USE_DEPTH: Final = 50


def _use_depth(tree: str) -> int:
    braces = (1 if brace == "{" else -1 for brace in re.findall(r"[{}]", tree))
    return max(itertools.accumulate(braces), default=0)


def _use_paths(tree: str) -> list[str]:
    """The paths of a use tree, with braces expanded.

    >>> _use_paths("crate::x::{y, z::*, w as v, self}")
    ['crate::x::y', 'crate::x::z', 'crate::x::w', 'crate::x']
    """
    tree = tree.strip()
    if "{" not in tree:
        path = tree.split(" as ")[0].strip().removesuffix("::*").removesuffix("::self").strip(": ")
        return [path] if path and path != "*" else []
    head, _, rest = tree.partition("{")
    paths = []
    for part in _split_top(rest.rsplit("}", 1)[0]):
        for path in _use_paths(part) or ([""] if part.strip() in ("*", "self") else []):
            paths.append(head.strip() + path if path != "self" else head.strip())
    return [path.strip().removesuffix("::") for path in paths]


def _split_top(text: str) -> list[str]:
    """Splits at commas outside braces."""
    parts, depth, start = [], 0, 0
    for index, char in enumerate(text):
        depth += (char == "{") - (char == "}")
        if char == "," and depth == 0:
            parts.append(text[start:index])
            start = index + 1
    return [part for part in [*parts, text[start:]] if part.strip()]


def _c(source: syntax.Source) -> list[Found]:
    found = []
    for node in captured(source, "(preproc_include path: [(string_literal)(system_lib_string)] @x)"):
        if _is_left_out(source, node):
            continue
        form = "quote" if node.type == "string_literal" else "angle"
        found.append((Import(source.text(node).strip('"<>'), form=form), node.start_point[0]))
    return found


def _is_left_out(source: syntax.Source, node: tree_sitter.Node) -> bool:
    """Whether a node is what `#if 0` leaves out; what stands after its `#else` is not."""
    child, parent = node, node.parent
    while parent is not None:
        if parent.type == "preproc_if":
            is_other = child.type in ("preproc_else", "preproc_elif")
            if not is_other and source.text(parent.child_by_field_name("condition")).strip() in ("0", "false"):
                return True
        child, parent = parent, parent.parent
    return False


_MODULE_IMPORT: Final = re.compile(rb"^[ \t]*(?:export[ \t]+)?import[ \t]+(:?[\w.]+(?::[\w.]+)?)[ \t]*;", re.MULTILINE)
_MODULE: Final = re.compile(rb"^[ \t]*(export[ \t]+)?module[ \t]+([\w.]+(?:[ \t]*:[ \t]*[\w.]+)?)[ \t]*;", re.MULTILINE)
_C_COMMENT: Final = re.compile(rb"//[^\n]*|/\*.*?(?:\*/|\Z)", re.DOTALL)


def _cpp(source: syntax.Source) -> list[Found]:
    """Includes, and the modules of C++20, whose statements the grammar doesn't know."""
    found = _c(source)
    if b"import" not in source.data and b"module" not in source.data:
        return found
    code = _C_COMMENT.sub(lambda comment: b"\n" * comment.group().count(b"\n"), source.data)
    own, is_interface = cpp_module(source)
    if own and not is_interface:  # `module a;` implements what `export module a;` declares
        found.append((Import(own.partition(":")[0], form="module"), 0))
    for match in _MODULE_IMPORT.finditer(code):
        name = match.group(1).decode()
        target = own.partition(":")[0] + name if name.startswith(":") else name
        found.append((Import(target, form="module"), code.count(b"\n", 0, match.start())))
    return found


def cpp_module(source: syntax.Source) -> tuple[str, bool]:
    """The module that a file is part of, as `name` or `name:partition`, and whether others can import it."""
    if b"module" not in source.data:
        return "", False
    match = _MODULE.search(_C_COMMENT.sub(b"", source.data))
    if match is None:
        return "", False
    name = re.sub(rb"\s", b"", match.group(2)).decode()
    return name, bool(match.group(1)) or ":" in name


def _csharp(source: syntax.Source) -> list[Found]:
    found = []
    for node in captured(source, "(using_directive) @x"):
        text = source.text(node).rstrip("; ")
        target = re.sub(r"\s|<.*", "", text.split("=")[-1] if "=" in text else text.split("using", 1)[-1])
        is_static = " static " in text
        target = target.removeprefix("static") if is_static else target
        form = "name" if is_static or "=" in text else "wildcard"
        found.append((Import(target, form=form), node.start_point[0]))
    return found


def _php(source: syntax.Source) -> list[Found]:
    found = []
    for node in captured(source, "(namespace_use_declaration) @x"):
        text = re.sub(r"\s+", " ", source.text(node)).removeprefix("use ").rstrip("; ")
        text = re.sub(r"^(function|const) ", "", text)
        prefix, brace, group = text.partition("{")
        for part in (group.rstrip("} ") if brace else text).split(","):
            name = re.sub(r" as \w+$", "", part.strip())
            target = ((prefix if brace else "") + name).strip("\\ ").replace("\\", ".")
            found.append((Import(target, form="name"), node.start_point[0]))
    query = "[(require_expression)(require_once_expression)(include_expression)(include_once_expression)] @x"
    for node in captured(source, query):
        literal = re.search(r"""["']([^"']+)["']""", source.text(node))
        if literal:
            found.append((Import(literal.group(1).lstrip("/"), form="require"), node.start_point[0]))
    return found


def _ruby(source: syntax.Source) -> list[Found]:
    found = []
    for node in captured(source, "(call method: (identifier) arguments: (argument_list (string))) @x"):
        method = source.text(node.child_by_field_name("method"))
        if method not in ("require", "require_relative", "load", "autoload") or node.child_by_field_name("receiver"):
            continue
        arguments = node.child_by_field_name("arguments")
        literals = [child for child in arguments.named_children if child.type == "string"] if arguments else []
        if literals:
            found.append((Import(source.text(literals[0]).strip("\"'"), form=method), node.start_point[0]))
    return found


READERS: Final[dict[str, Callable[[syntax.Source], list[Found]]]] = {
    "python": _python,
    "javascript": _javascript,
    "typescript": _javascript,
    "tsx": _javascript,
    "java": _java,
    "kotlin": _kotlin,
    "go": _go,
    "rust": _rust,
    "c": _c,
    "cpp": _cpp,
    "csharp": _csharp,
    "php": _php,
    "ruby": _ruby,
}
