"""`codemill inspect OUT`: shows rows of a dataset in the terminal.

A filled-in middle stands in its place, between the end of its prefix and the start of its suffix; what was there
originally stands below. Lines with generated text begin with `+`, the original ones with `-`, so that no
colour is needed. Any other Parquet is shown column by column.

What rows hold is untrusted: control characters, terminal escapes and characters that reorder text are made visible.
Cost: the footers, and the row groups of the rows shown.
"""

from __future__ import annotations

import random
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from jobs.options import OptionSet, option
from model.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

_FIM_COLUMNS = ("prefix", "generated_middle", "suffix")
_GENERATED, _ORIGINAL, _CONTEXT, _FAINT = "bold green", "red", "default", "bright_black"
# C0 and C1 controls but for tab and newline, the characters that reorder text, and lone surrogates.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200e\u200f\ud800-\udfff]")
_MAX_VALUE_CHARS = 100_000  # of one value, before it is cut to lines
_LOCATED_ROWS = 1 << 20  # enough for any terminal


@dataclass(frozen=True, kw_only=True)
class Options(OptionSet):
    """Show rows of a dataset in the terminal."""

    path: str = option(help="A job's output, finished or not; or a Parquet file, folder or glob.", positional=True)
    rows: int = option(5, help="How many rows.", minimum=1, maximum=_LOCATED_ROWS)
    start: int = option(0, help="The first row, from 0.", minimum=0, metavar="ROW")
    seed: int | None = option(None, help="Draw the rows at random with this seed instead.", minimum=0)
    rejected: bool = option(False, help="What was rejected, counted by reason, instead of what was kept.")
    context_lines: int = option(
        6, help="Lines shown before and after a middle, and of any other long text.", minimum=1, metavar="LINES"
    )
    color: Literal["auto", "always", "never"] = option("auto", help="Colours; auto: in a terminal, unless NO_COLOR.")


def run(options: Options, beam_args: Sequence[str] = ()) -> int:
    """Prints the rows. Raises ConfigError where there are none."""
    from rich.console import Console

    if beam_args:
        raise ConfigError(f"inspect runs without Beam, so nothing can follow --; got {' '.join(beam_args)}")
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
    console = Console(
        highlight=False,
        force_terminal=True if options.color == "always" else None,
        color_system=None if options.color == "never" else "auto",
    )
    files = _parquet_files(options)
    total = sum(count for _, count in files)
    if options.rejected:
        _print_reasons(console, [path for path, _ in files])
    shown = 0
    for number, row in _chosen_rows(files, options):
        console.print(*_shown_row(number, row, options), sep="\n")
        shown += 1
    console.print(f"{shown:,} of {total:,} rows in {len(files):,} file{'s' if len(files) != 1 else ''}", style=_FAINT)
    return 0


# --- which rows --------------------------------------------------------------------------------------


def _parquet_files(options: Options) -> list[tuple[str, int]]:
    """The files to show and their numbers of rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from jobs import storage

    files = []
    for path in _candidates(options):
        with storage.open_input(path) as file:
            try:
                files.append((path, pq.read_metadata(file).num_rows))
            except pa.ArrowInvalid as error:
                raise ConfigError(f"{path} is not Parquet: {str(error).splitlines()[0]}") from None
    if not files:
        kind = "rejected rows" if options.rejected else "rows"
        raise ConfigError(f"no {kind} at {options.path}; give a job's output, or a Parquet file, folder or glob")
    return files


def _candidates(options: Options) -> list[str]:
    from jobs import storage

    folder = "rejected" if options.rejected else "data"
    if found := storage.glob(storage.join(options.path, folder, "*.parquet")):
        return found
    job_dir = storage.join(options.path, "_job")
    if storage.exists(storage.join(job_dir, "commits")):  # not finished: what is committed so far
        from jobs.commits import read_commits

        kind = "rejected" if options.rejected else "kept"
        return [storage.join(job_dir, c.files[kind].path) for c in read_commits(job_dir) if kind in c.files]
    return storage.glob([options.path, storage.join(options.path, "**", "*.parquet")])


def _chosen_rows(files: Sequence[tuple[str, int]], options: Options) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The rows to show with their numbers in the dataset, in its order."""
    total = sum(count for _, count in files)
    if options.seed is None:
        numbers = list(range(options.start, min(options.start + options.rows, total)))
    else:
        numbers = sorted(random.Random(options.seed).sample(range(total), min(options.rows, total)))
    first = 0
    for path, count in files:
        inside = [number - first for number in numbers if first <= number < first + count]
        for offset, row in _rows_at(path, inside):
            yield first + offset, row
        first += count


def _rows_at(path: str, offsets: Sequence[int]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The rows at these places of a file (ascending), by reading only their row groups."""
    import pyarrow.parquet as pq

    from jobs import storage

    if not offsets:
        return
    with storage.open_input(path) as file, pq.ParquetFile(file) as parquet:
        first = 0
        for group in range(parquet.num_row_groups):
            count = parquet.metadata.row_group(group).num_rows
            inside = [offset for offset in offsets if first <= offset < first + count]
            if inside:
                table = parquet.read_row_group(group)
                for offset in inside:
                    yield offset, {name: table.column(name)[offset - first].as_py() for name in table.column_names}
            first += count


# --- how they look -----------------------------------------------------------------------------------


def visible(text: str) -> str:
    r"""The text with every character that could act on a terminal, or deceive its reader, written out.

    >>> visible("a\x1b[31mb")
    'a\\x1b[31mb'
    """
    return _UNSAFE.sub(lambda found: found.group().encode("unicode_escape").decode("ascii"), text)


def _shown_row(number: int, row: Mapping[str, Any], options: Options) -> list[RenderableType]:
    from rich.rule import Rule

    if options.rejected and "reason" in row:
        return [_rejected_line(row)]
    title = visible(" ".join(str(row[name]) for name in ("repo_name", "path") if row.get(name)))
    heading = Rule(f"row {number:,}  {title}".replace("[", "\\["), align="left", style=_FAINT, characters="-")
    if all(isinstance(row.get(name), str) for name in _FIM_COLUMNS):
        return [heading, *_fim_row(row, options.context_lines)]
    return [heading, *_any_row(row, options.context_lines)]


def _fim_row(row: Mapping[str, Any], context_lines: int) -> Iterator[RenderableType]:
    from rich.text import Text

    facts = [str(row[name]) for name in ("span_kind", "fim_mode") if row.get(name)]
    yield Text(visible("  ".join(facts)), style=_FAINT)
    before = "".join(row["prefix"].splitlines(keepends=True)[-context_lines:])
    after = "".join(row["suffix"].splitlines(keepends=True)[:context_lines])
    original, generated = row.get("original_middle"), row["generated_middle"]
    yield _code(before, generated, after, mark="+", style=_GENERATED)
    if original == generated:
        yield Text("  = the original", style=_FAINT)
    elif original is not None:
        # Only the lines that the original touches: the rest stands above.
        line_before = before.rsplit("\n", 1)[-1]
        line_after = after.split("\n", 1)[0] if not original.endswith("\n") else ""
        yield _code(line_before, original, line_after, mark="-", style=_ORIGINAL)
    if isinstance(row.get("checks"), Mapping):
        yield _checks(row["checks"])


def _code(before: str, middle: str, after: str, *, mark: str, style: str) -> RenderableType:
    """The three parts as they follow each other, with `mark` at each line that has a part of the middle."""
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=0)
    grid.add_column(width=2)
    grid.add_column(overflow="fold")
    text = Text()
    for part, part_style in ((before, _CONTEXT), (middle, style), (after, _CONTEXT)):
        text.append(visible(part.replace("\r\n", "\n")), style=part_style)
    text.expand_tabs(4)
    for line in text.split("\n", allow_blank=not text.plain.endswith("\n")):
        is_middle = any(span.style == style for span in line.spans)
        grid.add_row(Text(mark, style=style) if is_middle else Text(), line)
    return grid


def _checks(checks: Mapping[str, Any]) -> Text:
    """`ok parses  NO exact_match  edit_similarity 0.83`; what could not be checked is left out."""
    from rich.text import Text

    text = Text()
    for name, value in checks.items():
        if isinstance(value, bool):
            text.append(("ok " if value else "NO ") + name, style="green" if value else "red").append("  ")
        elif value is not None:
            shown = f"{value:.2f}" if isinstance(value, float) else str(value)
            text.append(visible(f"{name} {shown}"), style=_FAINT).append("  ")
    return text


def _any_row(row: Mapping[str, Any], max_lines: int) -> Iterator[RenderableType]:
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 1))
    grid.add_column(style=_FAINT, overflow="fold", max_width=24)
    grid.add_column(overflow="fold")
    for name, value in _flat(row):
        shown = "null" if value is None else str(value)
        lines = visible(shown[:_MAX_VALUE_CHARS]).split("\n")
        text = Text("\n".join(lines[:max_lines]), style=_FAINT if value is None else _CONTEXT)
        if (left := shown.count("\n") + 1 - max_lines) > 0:
            text.append(f"\n({left:,} more lines)", style=_FAINT)
        grid.add_row(Text(visible(name)), text)
    yield grid


def _flat(row: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in row.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


# --- the rejected ------------------------------------------------------------------------------------


def _print_reasons(console: Console, paths: Sequence[str]) -> None:
    """How many rows and targets were rejected for what reason."""
    import pyarrow.parquet as pq
    from rich.table import Table
    from rich.text import Text

    from jobs import storage

    columns = ["kind", "stage", "reason"]
    counts: Counter[tuple[str, ...]] = Counter()
    for path in paths:
        with storage.open_input(path) as file, pq.ParquetFile(file) as parquet:
            if not set(columns) <= set(parquet.schema_arrow.names):
                return
            for batch in parquet.iter_batches(columns=columns):
                counts.update(zip(*(batch.column(name).to_pylist() for name in columns), strict=True))
    table = Table(*columns, "count", box=None, header_style="bold", pad_edge=False)
    for key, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        table.add_row(*(Text(visible(part)) for part in key), f"{count:,}")
    console.print(table)
    console.print()


def _rejected_line(row: Mapping[str, Any]) -> Text:
    from rich.text import Text

    where = row.get("path") or f"{row['uri']} group {row['row_group']} row {row['row']}"
    target = f" {row['target']}" if row.get("target") else ""
    text = Text(overflow="fold").append(visible(f"{row['stage']}/{row['reason']}"), style=_ORIGINAL)
    return text.append(visible(f"  {where}{target}")).append(visible(f"  {row['detail']}"), style=_FAINT)
