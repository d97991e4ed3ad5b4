"""Shows a packed row: its parts, each with its description, its first and its last lines.

A part laid out for FIM ends with the middle, after `<|fim_middle|>`, so its two ends are the places to check.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jobs.terminal.escapes import one_line, shown_lines
from jobs.terminal.wording import counted
from jobs.viewing.blocks import CONTEXT, HEADING, Block, Lines, note
from transforms.packing.parts import TRAINED

COLUMNS = ("input_ids", "segment_ids", "parts", "text")


def packed_row(row: Mapping[str, Any], max_lines: int) -> Iterator[Block]:
    """Yields the blocks that show one packed row."""
    segments = row["segment_ids"][-1] if row["segment_ids"] else 0
    yield note(f"{len(row['input_ids']):,} tokens, {segments} segments, {len(row['parts'])} parts")
    for part in row["parts"]:
        segment = row["segment_ids"][part["token_start"]]
        facts = f"segment {segment}  tokens {part['token_start']:,} to {part['token_end']:,}  {part['fim_mode']}"
        if part.get("role", TRAINED) != TRAINED:
            facts += f"  context without loss: {part['role']}"
        if part["span_kind"] is not None:
            facts += f" {part['span_kind']} at {part['span_start']:,} to {part['span_end']:,}"
        where = f"{part['repo_name']} {part['path']} [{part['start']:,} to {part['end']:,}]"
        lines = shown_lines(row["text"][part["text_start"] : part["text_end"]])
        if len(lines) > 2 * max_lines:
            left = len(lines) - 2 * max_lines
            lines = [*lines[:max_lines], f"({counted(left, 'more line')})", *lines[-max_lines:]]
        yield Lines([(HEADING, one_line(f"- {where}  {facts}")), *((CONTEXT, line) for line in lines)])
