"""What the report shows of the rows themselves: samples, languages, lengths and scores, read from published shards.

    samples          a kept row of each combination of verdicts; answers of rejected examples, if they are kept
    languages        of the kept rows
    distributions    of lengths and scores

At most `MAX_GROUPS` row groups are read, spread evenly over the shards, and of each only short columns; the content's
length is measured in `_MAX_TEXT_GROUPS` of them. So the cost doesn't grow with the output: a second or two.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from jobs import storage
from jobs.catalog import layouts
from jobs.storage.folders import OutputFolder
from jobs.viewing.blocks import GENERATED, Block, Lines, texts_in
from jobs.viewing.choosing import first_of_each
from jobs.viewing.conditions import Path, type_at, value_at
from jobs.viewing.layout import blocks_of, title_of
from jobs.viewing.places import Rows, rows_at, shards_in
from transforms.filters.showing import may_be_shown
from transforms.languages.lookup import find_language
from transforms.rows.columns import ColumnOverrides, resolve_columns

MAX_GROUPS: Final = 64
_MAX_TEXT_GROUPS: Final = 8
_MAX_SAMPLES: Final = 4  # of kept rows; fewer where the filters find something in one
_CONTEXT_LINES: Final = 4
_OTHER: Final = "other"
# Title and places of what is shown; of several places the first that the rows have.
_DISTRIBUTIONS: Final[Mapping[str, tuple[Path, ...]]] = {
    "tokens generated": (("lineage", "completion_tokens"),),
    "prompt tokens": (("lineage", "prompt_tokens"),),
    "mean log-probability": (("lineage", "mean_logprob"), ("checks", "mean_logprob")),
    "edit similarity to the original": (("checks", "edit_similarity"),),
    "rows in the cluster": (("cluster_size",),),
}


@dataclass(frozen=True)
class Sample:
    """A row as shown: its title and its blocks."""

    title: str
    blocks: Sequence[Block]


@dataclass
class Figures:
    """What was read.

    Args:
        kept: Samples of kept rows.
        answers: The answers of rejected examples, by `kind/stage/reason`.
        languages: The number of rows that were read, by language.
        distributions: Values by title.
        rows_read: How many rows these are taken from.
        rows_all: How many there are.
    """

    kept: list[Sample] = field(default_factory=list)
    answers: dict[str, Lines] = field(default_factory=dict)
    languages: Counter[str] = field(default_factory=Counter)
    distributions: dict[str, list[float]] = field(default_factory=dict)
    rows_read: int = 0
    rows_all: int = 0


def figures_of(output: OutputFolder, *, has_answers: bool) -> Figures:
    """Reads what the report shows of an output whose shards are published."""
    return read_figures(shards_in(output.data), shards_in(output.rejected), has_answers=has_answers)


def read_figures(kept: Rows, rejected: Rows, *, has_answers: bool) -> Figures:
    """Reads what the report shows.

    Args:
        kept, rejected: The published shards.
        has_answers: Whether rejected records keep answers.
    """
    figures = Figures(rows_all=kept.total)
    verdicts: dict[tuple[Any, ...], int] = {}
    for number, (first, parquet, group) in enumerate(_groups(kept)):
        _read_group(figures, parquet, group, has_text=number < _MAX_TEXT_GROUPS)
        for place, key in _verdicts(parquet, group):
            verdicts.setdefault(key, first + place)
    chosen = sorted(verdicts.values())[:_MAX_SAMPLES]
    known = layouts()
    for _, row in rows_at(kept, chosen):
        sample = Sample(title_of(row), blocks_of(row, _CONTEXT_LINES, known))
        if may_be_shown("\n".join([sample.title, *(line for block in sample.blocks for line in texts_in(block))])):
            figures.kept.append(sample)
    if has_answers:
        numbers = first_of_each(rejected, ["kind", "stage", "reason"])
        for _, row in rows_at(rejected, sorted(numbers.values())):
            if row["answer"] is not None:
                lines = [(GENERATED, line) for line in str(row["answer"]).split("\n")[: 4 * _CONTEXT_LINES]]
                figures.answers[f"{row['kind']}/{row['stage']}/{row['reason']}"] = Lines(lines)
    return figures


def _groups(rows: Rows) -> Iterator[tuple[int, pq.ParquetFile, int]]:
    """Yields row groups spread evenly over all: number of the first row, file and group."""
    groups: list[tuple[int, str, int]] = []
    first = 0
    for path, _ in rows.files:
        with storage.open_input(path) as file:
            footer = pq.read_metadata(file)
        for group in range(footer.num_row_groups):
            groups.append((first, path, group))
            first += footer.row_group(group).num_rows
    step = max(1, -(-len(groups) // MAX_GROUPS))
    for first, path, group in groups[::step]:
        with storage.open_input(path) as file, pq.ParquetFile(file) as parquet:
            yield first, parquet, group


def _read_group(figures: Figures, parquet: pq.ParquetFile, group: int, *, has_text: bool) -> None:
    schema = parquet.schema_arrow
    figures.rows_read += parquet.metadata.row_group(group).num_rows
    places = {
        title: path
        for title, paths in _DISTRIBUTIONS.items()
        if (path := next((path for path in paths if _is_number(type_at(schema, path))), None)) is not None
    }
    table = parquet.read_row_group(group, columns=[".".join(path) for path in places.values()])
    for title, path in places.items():
        values = value_at(table, path).drop_null().to_pylist()
        figures.distributions.setdefault(title, []).extend(values)
    columns = resolve_columns(schema, ColumnOverrides())
    figures.languages.update(_languages(parquet, group, columns.language, columns.path))
    if has_text and not places:
        texts = parquet.read_row_group(group, columns=[columns.content]).column(columns.content)
        if pa.types.is_string(texts.type) or pa.types.is_large_string(texts.type):
            found = figures.distributions.setdefault("bytes of text", [])
            found.extend(pc.binary_length(texts).drop_null().to_pylist())


def _is_number(kind: pa.DataType | None) -> bool:
    return kind is not None and (pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _languages(parquet: pq.ParquetFile, group: int, language: str | None, path: str | None) -> Counter[str]:
    """Counts a group's rows by language, as the corpus names it, else by the path's extension."""
    name = language or path
    if name is None:
        return Counter()
    counts: Counter[str] = Counter()
    for value, count in Counter(parquet.read_row_group(group, columns=[name]).column(name).to_pylist()).items():
        if language is not None:
            found = find_language(str(value or ""))
            counts[found.name if found else _OTHER] += count
        else:
            counts[_by_extension(str(value or "").rpartition(".")[2])] += count
    return counts


@functools.cache
def _by_extension(extension: str) -> str:
    found = find_language("", f"x.{extension}")
    return found.name if found else _OTHER


def _verdicts(parquet: pq.ParquetFile, group: int) -> Iterator[tuple[int, tuple[Any, ...]]]:
    """Yields the first row of each combination of verdicts in a group; its first row if rows have no verdicts."""
    kind = type_at(parquet.schema_arrow, ("checks",))
    names = []
    if kind is not None and pa.types.is_struct(kind):
        fields = (kind.field(index) for index in range(kind.num_fields))
        names = [field.name for field in fields if pa.types.is_boolean(field.type)]
    if not names:
        yield 0, ()
        return
    table = parquet.read_row_group(group, columns=[f"checks.{name}" for name in names])
    columns = [value_at(table, ("checks", name)).to_pylist() for name in names]
    seen = set()
    for place, key in enumerate(zip(*columns, strict=True)):
        if key not in seen:
            seen.add(key)
            yield place, key
