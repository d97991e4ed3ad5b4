"""Where documentation is, and where new documentation is inserted.

*Inside* in Python: the body's first statement, a string. *Before* in other languages: the run of comments that ends
directly above the definition (no blank line between) and starts like documentation. Attributes, decorators and
directives for tools (`//go:noinline`, `// eslint-disable-next-line`) may be in between and stay where they are. A
file's own documentation is Python's module docstring, Rust's `//!`, Go's comment above `package`; in other languages a
leading documentation comment that belongs to no definition. A notice (license, generated code, `@flow`) is never
documentation.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

import tree_sitter

from transforms.languages.syntax import Source
from transforms.symbols.grammars import SymbolGrammar
from transforms.symbols.symbol import blanks_before, line_start

Node = tree_sitter.Node

NOTICE: Final = re.compile(
    rb"copyright\s+(?:\(c\)|\xc2\xa9|\d|by\b|the\b|holder)|\xc2\xa9|SPDX-License|licensed (?:under|to)\b|@licen[cs]e\b|"
    rb"@preserve\b|^[ \t/*]*@(?:no)?(?:flow|jsx\w*|jest-environment|vitest-environment)\b|"
    rb"DO NOT EDIT|all rights reserved|permission is hereby granted|use of this source code is governed",
    re.I | re.M,
)
# Directives for a compiler or a linter about the line below: Go's (go/ast: a colon without a blank before it), and
# those of the linters and formatters of the other languages.
_DIRECTIVE: Final = re.compile(
    rb"//(?:line |extern |export |[a-z0-9]+:[a-z0-9])|(?://|/\*)\s*(?:eslint|@ts-|tslint:|prettier-|biome-|istanbul |"
    rb"c8 |v8 |noinspection|NOLINT|nolint|\+build|clang-format|@formatter:|ReSharper|CHECKSTYLE|deno-|jshint|jslint|"
    rb"global |flow)"
)


@dataclass(frozen=True, slots=True)
class Place:
    """The span of the documentation, or None; where new documentation is inserted; the indentation of its lines;
    whether other code precedes it on its line. Offsets are bytes.
    """

    doc: tuple[int, int] | None
    insert_at: int
    indent: str
    is_inline_body: bool = False


def place_in_body(source: Source, body: Node, definition: Node) -> Place:
    """Python: the first statement of a definition's body."""
    statements = [child for child in body.named_children if child.type != "comment"]
    first = statements[0] if statements else body
    doc = _docstring(source.data, first)
    blanks = blanks_before(source.data, first.start_byte)
    if blanks is not None and first.start_point.row > definition.start_point.row:
        return Place(doc, first.start_byte, blanks)
    line = line_start(source.data, definition.start_byte)
    own = source.data[line : definition.start_byte]
    indent = own[: len(own) - len(own.lstrip(b" \t"))].decode()
    return Place(doc, first.start_byte, indent + ("\t" if "\t" in indent else "    "), is_inline_body=True)


def place_in_module(source: Source) -> Place:
    """Python: the first statement of the file."""
    statements = [child for child in source.tree.root_node.named_children if child.type != "comment"]
    if not statements:
        return Place(None, len(source.data), "")
    return Place(_docstring(source.data, statements[0]), statements[0].start_byte, "")


def _docstring(data: bytes, statement: Node) -> tuple[int, int] | None:
    """The span of a body's first statement if it is a plain string, as Python defines docstrings."""
    is_wrapped = statement.type == "expression_statement" and statement.named_child_count > 0
    inner = statement.named_child(0) if is_wrapped else statement
    if inner is None or inner.type not in ("string", "concatenated_string"):
        return None
    if statement.type == "expression_statement" and statement.named_child_count > 1:
        return None
    parts = inner.named_children if inner.type == "concatenated_string" else [inner]
    openings = [data[part.start_byte : part.start_byte + 3] for part in parts if part.type == "string"]
    prefixes = {opening[: min(opening.find(q) for q in (b"'", b'"') if q in opening)].lower() for opening in openings}
    return (inner.start_byte, inner.end_byte) if prefixes <= {b"", b"r", b"u"} else None


def place_before(source: Source, spec: SymbolGrammar, outer: Node) -> Place:
    """Other languages: the comments above a definition."""
    anchor = outer
    while (previous := anchor.prev_named_sibling) is not None and (
        previous.type in spec.attributes or _is_directive_above(source, spec, previous, anchor)
    ):
        anchor = previous
    block = _documentation(source, spec, anchor)
    doc = _span(source, block) if block and not _is_notice(source, block) else None
    blanks = blanks_before(source.data, anchor.start_byte)
    return Place(doc, anchor.start_byte, blanks if blanks is not None else "", is_inline_body=blanks is None)


def _documentation(source: Source, spec: SymbolGrammar, anchor: Node) -> list[Node]:
    """The comments that document the definition at `anchor`; other comments may be above and below them."""
    block = _comments_above(source, spec, anchor)
    if block and not any(_is_opener(source, spec, comment) for comment in block):
        block = _comments_above(source, spec, block[0])
    begun = itertools.dropwhile(lambda comment: not _is_opener(source, spec, comment), block)
    return list(itertools.takewhile(lambda comment: _is_opener(source, spec, comment), begun))


def place_of_file(source: Source, spec: SymbolGrammar, taken: Collection[tuple[int, int]]) -> Place | None:
    """Other languages: the file's own documentation; None in languages whose files have none.

    Args:
        source: The file.
        spec: Its grammar.
        taken: Spans of the documentation of definitions.
    """
    if not spec.module_doc_openers:
        return None
    leading, first = _leading(source, spec)
    if source.grammar == "go":
        runs = [_comments_above(source, spec, first)] if first is not None else []
    else:
        runs = _runs(source, spec, leading)
    runs = [run for run in runs if run and not _is_notice(source, run) and _span(source, run) not in taken]
    if runs:
        return Place(_span(source, runs[0]), runs[0][0].start_byte, "")
    if first is None:
        return Place(None, len(source.data), "")
    # A comment directly above the first item belongs to it, unless it is a notice.
    anchor = first
    while source.grammar != "go" and (previous := anchor.prev_named_sibling) is not None:
        if not _is_directive_above(source, spec, previous, anchor):
            break
        anchor = previous
    attached = _comments_above(source, spec, anchor)
    is_its_own = attached and not _is_notice(source, attached)
    return Place(None, attached[0].start_byte if is_its_own else anchor.start_byte, "")


def _leading(source: Source, spec: SymbolGrammar) -> tuple[list[Node], Node | None]:
    """The comments at the start of the file, and the first node that is neither a comment nor a `#!` line."""
    comments = []
    for child in source.tree.root_node.named_children:
        if child.type in spec.comments:
            comments.append(child)
        elif child.type not in ("hash_bang_line", "shebang"):
            return comments, child
    return comments, None


def _runs(source: Source, spec: SymbolGrammar, leading: Sequence[Node]) -> list[list[Node]]:
    """The leading comments that start like a file's documentation; comments on consecutive lines form one."""
    runs: list[list[Node]] = []
    for comment in leading:
        if not source.data.startswith(spec.module_doc_openers, comment.start_byte):
            continue
        is_block = source.data.startswith(b"/*", comment.start_byte)
        follows = runs and source.data[_comment_end(source, runs[-1][-1]) : comment.start_byte].count(b"\n") <= 1
        if follows and not is_block and not source.data.startswith(b"/*", runs[-1][0].start_byte):
            runs[-1].append(comment)
        else:
            runs.append([comment])
    return runs


def _is_notice(source: Source, run: Sequence[Node]) -> bool:
    return NOTICE.search(source.data, *_span(source, run)) is not None


def _is_directive(source: Source, spec: SymbolGrammar, node: Node) -> bool:
    """Whether a comment, on a separate line, is a directive for a tool."""
    is_comment = node.type in spec.comments and blanks_before(source.data, node.start_byte) is not None
    return is_comment and _DIRECTIVE.match(source.data, node.start_byte) is not None


def _is_directive_above(source: Source, spec: SymbolGrammar, node: Node, below: Node) -> bool:
    """Whether a directive is directly above; one that is followed by a blank line applies to the entire file."""
    gap = source.data[_comment_end(source, node) : below.start_byte]
    return _is_directive(source, spec, node) and gap.count(b"\n") <= 1


def _is_opener(source: Source, spec: SymbolGrammar, comment: Node) -> bool:
    return source.data.startswith(spec.doc_openers, comment.start_byte)


def _span(source: Source, run: Sequence[Node]) -> tuple[int, int]:
    return run[0].start_byte, _comment_end(source, run[-1])


def _comment_end(source: Source, comment: Node) -> int:
    """The end of a comment, without the line break that some grammars include."""
    end = comment.end_byte
    while end > comment.start_byte and source.data[end - 1 : end] in (b"\n", b"\r"):
        end -= 1
    return end


def _comments_above(source: Source, spec: SymbolGrammar, anchor: Node) -> list[Node]:
    """The run of comments, each on separate lines, that ends on the line above `anchor` (or on its line)."""
    run: list[Node] = []
    below = anchor
    while (previous := below.prev_named_sibling) is not None and previous.type in spec.comments:
        gap = source.data[_comment_end(source, previous) : below.start_byte]
        if gap.strip() or gap.count(b"\n") > 1 or gap.count(b"\r") > 1:
            break
        is_block = source.data.startswith(b"/*", previous.start_byte)
        if blanks_before(source.data, previous.start_byte) is None and (not is_block or b"\n" in gap):
            break  # it belongs to the code before it on its line
        if _is_directive(source, spec, previous):
            break
        if run and is_block != source.data.startswith(b"/*", run[0].start_byte):
            break
        run.insert(0, previous)
        if is_block:
            break
        below = previous
    return run
