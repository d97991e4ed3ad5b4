"""Shows a rejected target in `codemill inspect --rejected`: reason, place in the source, and the answer if kept.

    judge/invented_parameter  shapes.py function:area:120
      1 of 3 documented names are no parameters, of which it has 2; 41 tokens were generated, ended by closer
      def area(width, height):
          return width * height
    + Gives the area ...

The source is read again from the location in the record. If it is missing, or its content has changed, only the record
is shown.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa
from rich.console import RenderableType
from rich.text import Text

from jobs import storage
from jobs.storage.parquet import open_parquet
from jobs.terminal.escapes import one_line, shown_lines
from jobs.terminal.text import FAINT, GENERATED, ORIGINAL, marked
from jobs.terminal.wording import counted
from model.errors import ConfigError
from transforms.rows.cells import as_binary
from transforms.rows.columns import ColumnOverrides, resolve_columns
from transforms.rows.rejections import REJECTED_SCHEMA

# A target's name ends with the byte offset of its start, or with the character range of its span.
_PLACE = re.compile(r":(\d{1,18})(?::(\d{1,18}))?$")


def rejected_row(
    row: Mapping[str, Any], context_lines: int, content_column: str | None, mark: Callable[[str], None]
) -> list[RenderableType] | None:
    """The lines that show one rejected row or target; None if the row isn't such a record.

    Args:
        row: A record of `transforms.rows.rejections.REJECTED_SCHEMA`.
        context_lines: Maximum lines of the source; of the answer, twice as many.
        content_column: The source's content column; None: auto-detect.
        mark: Gets the source file before it is read.
    """
    if any(not isinstance(row.get(field.name), str) for field in REJECTED_SCHEMA if _must_be_text(field)):
        return None
    shown: list[RenderableType] = [_why(row)]
    if row.get("target"):
        if place := _source_lines(row, context_lines, content_column, mark):
            shown.append(marked("  ", place, FAINT))
        if row.get("answer") is not None:
            shown.append(marked("+", _bounded(str(row["answer"]), 2 * context_lines), GENERATED))
    return shown


def _must_be_text(field: pa.Field) -> bool:
    return not field.nullable and field.type in (pa.string(), pa.large_string())


def _why(row: Mapping[str, Any]) -> Text:
    where = row.get("path") or f"{row['uri']} group {row.get('row_group')} row {row.get('row')}"
    target = f" {row['target']}" if row.get("target") else ""
    text = Text(overflow="fold").append(one_line(f"{row['stage']}/{row['reason']}"), style=ORIGINAL)
    return text.append(one_line(f"  {where}{target}")).append(one_line(f"  {row['detail']}"), style=FAINT)


def _source_lines(row: Mapping[str, Any], count: int, content_column: str | None, mark: Callable[[str], None]) -> str:
    """The first lines of the target in the source; "" if they are not available."""
    place = _PLACE.search(str(row["target"]))
    if place is not None:
        mark(row["uri"])
    content = _content(row, content_column) if place is not None else None
    if place is None or content is None:
        return ""
    data = content if place[2] is None else content.decode("utf-8", "replace")[: int(place[1])].encode()
    offset = int(place[1]) if place[2] is None else len(data)
    start = content.rfind(b"\n", 0, offset) + 1
    lines = shown_lines(content[start:].decode("utf-8", "replace"))
    return "\n".join(lines[:count])


def _content(row: Mapping[str, Any], content_column: str | None) -> bytes | None:
    """The source row's content, if it still matches the hash in the record."""
    try:
        with storage.open_input(row["uri"]) as file, open_parquet(file) as parquet:
            name = resolve_columns(parquet.schema_arrow, ColumnOverrides(content=content_column)).content
            column = as_binary(parquet.read_row_group(row["row_group"], columns=[name]).column(name))
            content = column[row["row"]].as_py()
    except (OSError, ValueError, IndexError, KeyError, TypeError, pa.ArrowException, ConfigError):
        return None
    return content if content and hashlib.sha256(content).hexdigest() == row["content_sha256"] else None


def _bounded(text: str, count: int) -> str:
    lines = shown_lines(text)
    left = len(lines) - count
    return "\n".join(lines if left <= 0 else [*lines[:count], f"({counted(left, 'more line')})"])
