"""Parses source with tree-sitter and finds the nodes that can be spans, with bounds on size, work and time.

A parse is refused (None: the caller falls back to lines) for
- more than `MAX_PARSE_BYTES`, or a NUL byte (measured: the Bash scanner takes 38 s for 50 KB of NULs, and
  never calls back);
- more than one progress call per `BYTES_PER_CALL` bytes: tree-sitter calls about every hundred steps, which is 200
  bytes of ordinary code and 80 of shuffled tokens, so this bound stops runaway error recovery, and it does so at the
  same point on every machine;
- more than `MAX_OPEN_ANGLES` open `<` in one statement: some grammars (of Java, Dart, Scala, ...) keep every reading of
  `a<a<a<...` and compare them at its end in one step, which nothing interrupts (Java: 26 s for 60 KB);
- `MAX_PARSE_S` seconds. Only if this bound applies does the result depend on the machine;
- a tree that is costly to search (`MAX_SEARCH_STEPS`), unless the caller only asks whether it has errors. A query can't
  be interrupted (the binding's progress callback crashes the process), so its cost is measured beforehand, by count:

      steps to later siblings   the parts of an error are one flat list, and at each of them a query looks for a later
                                named sibling: 100 KB of `(` take 7 s a query
      nodes x mean depth        `Node.parent` descends from the root: 60 KB of nested calls took 50 s

Cost: parsing runs at 4 to 7 MB/s, measuring a sound tree takes 0.1 ms, a query for one kind of node runs at about
20 MB/s. Offsets are bytes here; `transforms.fim.spans` converts them to characters.
"""

from __future__ import annotations

import functools
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import tree_sitter
import tree_sitter_language_pack

from transforms.languages.grammars import DOC_OPENERS, query_source

MAX_PARSE_BYTES: Final = 1_000_000
BYTES_PER_CALL: Final = 25
SPARE_CALLS: Final = 200
MAX_PARSE_S: Final = 5.0
MAX_OPEN_ANGLES: Final = 1_000
# About 30 ms a query, and 1.5 s where every node is asked for its parent.
MAX_SEARCH_STEPS: Final = 20_000_000
MAX_DEPTH_SAMPLES: Final = 512

_PART_BYTES: Final = 1 << 16  # at least those of one character
_parts = threading.local()

_STATEMENT_END: Final = re.compile(rb"[;{}]")
_BLANK: Final = b" \t\r\n\f\v"
_CLOSERS: Final = {b"(": b")", b"{": b"}", b"[": b"]"}
_LINE_COMMENT_CHARS: Final = b"#/-;!"


@dataclass(frozen=True, slots=True)
class Source:
    """A file as parsed by tree-sitter: its UTF-8 bytes, the grammar's name, and the tree."""

    data: bytes
    grammar: str
    tree: tree_sitter.Tree

    def text(self, node: tree_sitter.Node | None) -> str:
        """A node's text, "" for None. Never use `node.text`: the binding crashes on trees read by a callback."""
        if node is None:
            return ""
        return self.data[node.start_byte : node.end_byte].decode("utf-8", "replace")

    @property
    def is_sound(self) -> bool:
        """Whether the grammar accepts the file."""
        return not self.tree.root_node.has_error

    @property
    def num_errors(self) -> int:
        """Number of nodes that are errors or missing."""
        if self.is_sound:
            return 0
        return max(1, len(captures(self, "(ERROR) @x (MISSING) @x").get("x", ())))


@functools.cache
def _compiled(grammar: str, source: str) -> tree_sitter.Query:
    return tree_sitter.Query(_language(grammar), source)


@functools.cache
def _language(grammar: str) -> tree_sitter.Language:
    return tree_sitter_language_pack.get_language(grammar)  # type: ignore[arg-type]


def keywords(grammar: str) -> list[str]:
    """The words that a grammar gives a meaning of their own, in alphabetic order."""
    language = _language(grammar)
    kinds = {
        str(language.node_kind_for_id(number))
        for number in range(language.node_kind_count)
        if not language.node_kind_is_named(number)
    }
    return sorted(kind for kind in kinds if kind.isidentifier())


def parse(data: bytes, grammar: str, *, max_bytes: int = MAX_PARSE_BYTES, is_searched: bool = True) -> Source | None:
    """Parses a file's UTF-8 bytes; None if it is too large, too hard to parse or to search, or contains NUL bytes.

    Args:
        data: The file.
        grammar: The grammar's name.
        max_bytes: Larger files are refused.
        is_searched: Whether the tree's nodes are wanted; if not, only `Source.is_sound` may be used.
    """
    if len(data) > max_bytes or b"\0" in data or _num_open_angles(data) > MAX_OPEN_ANGLES:
        return None
    calls_left = len(data) // BYTES_PER_CALL + SPARE_CALLS
    deadline_s = time.monotonic() + MAX_PARSE_S

    def is_over(_offset: int, _has_error: bool) -> bool:
        nonlocal calls_left
        calls_left -= 1
        return calls_left < 0 or time.monotonic() > deadline_s

    try:
        tree = tree_sitter.Parser(_language(grammar)).parse(_reader(data), progress_callback=is_over)
    except ValueError:  # py-tree-sitter raises this for a canceled parse
        return None
    # Both parts of the estimate are at most the square of the number of nodes: small trees needn't be measured.
    may_be_costly = 2 * tree.root_node.descendant_count**2 > MAX_SEARCH_STEPS
    if is_searched and may_be_costly and search_steps(tree) > MAX_SEARCH_STEPS:
        return None
    return Source(data, grammar, tree)


def _reader(data: bytes) -> Callable[[int, object], bytearray]:
    """What tree-sitter reads a file with.

    The binding (0.26.1) never releases what a read returns, which would be the file. So it is always the same object,
    into which a part of the file is copied; tree-sitter doesn't look at an earlier part any more.
    """
    if not hasattr(_parts, "part"):
        _parts.part = bytearray()
    part: bytearray = _parts.part

    def read(offset: int, _point: object) -> bytearray:
        part[:] = data[offset : offset + _PART_BYTES]
        return part

    return read


def _num_open_angles(data: bytes) -> int:
    """The largest number of `<` without a `>` in one statement."""
    if data.count(b"<") <= MAX_OPEN_ANGLES:
        return 0
    return max(part.count(b"<") - part.count(b">") for part in _STATEMENT_END.split(data))


def search_steps(tree: tree_sitter.Tree) -> int:
    """Estimates the cost of searching a tree, in steps (see the module); counting stops above `MAX_SEARCH_STEPS`."""
    steps = _steps_up(tree)
    return steps + _steps_aside(tree.root_node) if steps <= MAX_SEARCH_STEPS else steps


def _steps_up(tree: tree_sitter.Tree) -> int:
    """Number of nodes times mean depth, from the depths of nodes at equal distances."""
    count = tree.root_node.descendant_count
    samples = min(MAX_DEPTH_SAMPLES, max(16, count // 64))
    cursor, total = tree.walk(), 0
    for sample in range(samples):
        cursor.goto_descendant(count * sample // samples)
        total += cursor.depth
        if total * count > MAX_SEARCH_STEPS * samples:
            break
    return total * count // samples


def _steps_aside(root: tree_sitter.Node) -> int:
    """Sum of the distances to the next named sibling, in nodes with errors: all others are balanced."""
    steps, stack = 0, [root] if root.has_error else []
    while stack and steps <= MAX_SEARCH_STEPS:
        distance = 0
        for child in reversed(stack.pop().children):
            steps += distance
            distance = 0 if child.is_named else distance + 1
            if child.child_count and child.has_error:
                stack.append(child)
    return steps


def nodes(source: Source, kind: str, within: tuple[int, int] | None = None) -> list[tree_sitter.Node]:
    """Returns the nodes of a kind of span (`transforms.languages.grammars.SYNTAX_KINDS`), in file order.

    Args:
        source: The file.
        kind: The kind of span.
        within: Only nodes that start in this range of bytes; None returns all.
    """
    query = query_source(source.grammar, kind)
    if not query:
        return []
    found = captures(source, query, within).get("x", [])
    return found if within is None else [node for node in found if within[0] <= node.start_byte < within[1]]


def captures(source: Source, query: str, within: tuple[int, int] | None = None) -> dict[str, list[tree_sitter.Node]]:
    """Returns the captures of a tree-sitter query, by capture name, each in file order.

    The binding returns captures in an order that varies between runs, so they are sorted: outer before inner.

    Args:
        source: The file.
        query: In tree-sitter's query language.
        within: Only nodes that overlap this range of bytes; None searches the full file.
    """
    cursor = tree_sitter.QueryCursor(_compiled(source.grammar, query))
    if within is not None:
        cursor.set_byte_range(*within)
    found = cursor.captures(source.tree.root_node)
    return {name: sorted(nodes, key=_file_order) for name, nodes in found.items()}


def _file_order(node: tree_sitter.Node) -> tuple[int, int, int]:
    return node.start_byte, -node.end_byte, node.kind_id


def hole(source: Source, kind: str, node: tree_sitter.Node) -> tuple[int, int] | None:
    """Returns the byte range to cut out for a node; None if the node is not of that kind after all.

    Brackets, quotes and comment markers that delimit a node stay with prefix and suffix, as does the whitespace next to
    them, so that the suffix starts at a token, a bracket or a line's end. The result is None for a node that contains a
    syntax error.
    """
    if node.has_error or (kind == "statement" and node.type in ("comment", "string")):
        return None
    data, start, end = source.data, node.start_byte, node.end_byte
    if kind in ("docstring", "comment"):
        if source.grammar == "python" and kind == "docstring":
            return _inside_quotes(data, node)
        openers = DOC_OPENERS.get(source.grammar)
        if kind == "docstring" and not (openers and data.startswith(openers, start)):
            return None
        return _inside_comment(data, start, end)
    if kind in ("argument_list", "block", "function_body", "class_body"):
        start, end = _inside_delimiters(data, start, end)
    return _trimmed(data, start, end)


def _trimmed(data: bytes, start: int, end: int) -> tuple[int, int] | None:
    while start < end and data[start] in _BLANK:
        start += 1
    while end > start and data[end - 1] in _BLANK:
        end -= 1
    return (start, end) if start < end else None


def _inside_delimiters(data: bytes, start: int, end: int) -> tuple[int, int]:
    """The range without the brackets around a body or a list, or the `do ... done` of a shell."""
    closer = _CLOSERS.get(data[start : start + 1])
    if closer and data[end - 1 : end] == closer:
        return start + 1, end - 1
    if data.startswith(b"do", start) and data.endswith(b"done", start, end):
        return start + 2, end - 4
    if data.startswith(b"=", start):  # Kotlin: fun f() = expression
        return start + 1, end
    return start, end


def _inside_quotes(data: bytes, node: tree_sitter.Node) -> tuple[int, int] | None:
    opening, closing = node.child(0), node.child(node.child_count - 1)
    if opening is None or opening.type != "string_start" or closing is None or closing.type != "string_end":
        return None
    return _trimmed(data, opening.end_byte, closing.start_byte)


def _inside_comment(data: bytes, start: int, end: int) -> tuple[int, int] | None:
    if data.startswith(b"/*", start):
        start += 2
        while start < end and data[start] in b"*!":
            start += 1
        return _trimmed(data, start, end - 2 if data.endswith(b"*/", start, end) else end)
    if data.startswith(b"=begin", start):
        return _trimmed(data, start + 6, end - 4 if data.endswith(b"=end", start, end) else end)
    while start < end and data[start] in _LINE_COMMENT_CHARS:
        start += 1
    return _trimmed(data, start, end)
