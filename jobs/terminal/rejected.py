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
from collections.abc import Mapping
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from jobs import storage
from jobs.storage.parquet import open_parquet
from jobs.terminal.text import FAINT, GENERATED, ORIGINAL, marked, visible
from model.errors import ConfigError
from transforms.rows.cells import as_binary
from transforms.rows.columns import ColumnOverrides, resolve_columns

# A target's name ends with the byte offset of its start, or with the character range of its span.
_PLACE = re.compile(r":(\d+)(?::(\d+))?$")


def rejected_row(row: Mapping[str, Any], context_lines: int, content_column: str | None = None) -> list[RenderableType]:
    """The lines that show one rejected row or target.

    Args:
        row: A record of `transforms.rows.rejections.REJECTED_SCHEMA`.
        context_lines: Maximum lines of the source; of the answer, twice as many.
        content_column: The source's content column; None: auto-detect.
    """
    shown: list[RenderableType] = [_why(row)]
    if row.get("target"):
        if place := _source_lines(row, context_lines, content_column):
            shown.append(marked("  ", place, FAINT))
        if row.get("answer") is not None:
            shown.append(marked("+", _bounded(row["answer"], 2 * context_lines), GENERATED))
    return shown


def _why(row: Mapping[str, Any]) -> Text:
    where = row.get("path") or f"{row['uri']} group {row['row_group']} row {row['row']}"
    target = f" {row['target']}" if row.get("target") else ""
    text = Text(overflow="fold").append(visible(f"{row['stage']}/{row['reason']}"), style=ORIGINAL)
    return text.append(visible(f"  {where}{target}")).append(visible(f"  {row['detail']}"), style=FAINT)


def _source_lines(row: Mapping[str, Any], count: int, content_column: str | None) -> str:
    """The first lines of the target in the source; "" if they are not available."""
    place = _PLACE.search(row["target"])
    content = _content(row, content_column) if place is not None else None
    if place is None or content is None:
        return ""
    data = content if place[2] is None else content.decode("utf-8", "replace")[: int(place[1])].encode()
    offset = int(place[1]) if place[2] is None else len(data)
    start = content.rfind(b"\n", 0, offset) + 1
    lines = content[start:].decode("utf-8", "replace").splitlines()
    return "\n".join(lines[:count])


def _content(row: Mapping[str, Any], content_column: str | None) -> bytes | None:
    """The source row's content, if it still matches the hash in the record."""
    try:
        with storage.open_input(row["uri"]) as file, open_parquet(file) as parquet:
            name = resolve_columns(parquet.schema_arrow, ColumnOverrides(content=content_column)).content
            column = as_binary(parquet.read_row_group(row["row_group"], columns=[name]).column(name))
            content = column[row["row"]].as_py()
    except (OSError, ValueError, IndexError, ConfigError):
        return None
    return content if content and hashlib.sha256(content).hexdigest() == row["content_sha256"] else None


def _bounded(text: str, count: int) -> str:
    lines = text.splitlines()
    left = len(lines) - count
    return "\n".join(lines if left <= 0 else [*lines[:count], f"({left:,} more lines)"])
