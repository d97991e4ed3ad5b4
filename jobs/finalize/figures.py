"""What the report shows of the rows themselves: samples, languages, lengths and scores, read from published shards.

    samples          a kept row of each combination of verdicts; answers of rejected examples, if they are kept
    languages        of the kept rows
    distributions    of lengths and scores

At most `MAX_GROUPS` row groups are read, spread evenly over the shards, and of each only short columns; the content's
length is measured in the first rows of `_MAX_TEXT_GROUPS` of them. So the cost doesn't grow with the output: a second
or two on a disk.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from jobs import storage
from jobs.catalog import layouts
from jobs.finalize.tallies import OTHER, extensions_of, language_of
from jobs.storage.parquet import open_parquet
from jobs.viewing.blocks import GENERATED, Block, Lines, texts_in
from jobs.viewing.choosing import first_of_each
from jobs.viewing.conditions import Path, type_at, value_at
from jobs.viewing.layout import blocks_of, title_of
from jobs.viewing.places import Rows, rows_at
from transforms.filters.showing import may_be_shown
from transforms.languages.lookup import find_language

MAX_GROUPS: Final = 64
_MAX_TEXT_GROUPS: Final = 8
_MAX_TEXT_ROWS: Final = 512  # of each of them
MAX_SAMPLES: Final = 4  # of kept rows; fewer where the filters find something in one
_MAX_VALUES: Final = 4_096  # of a row group, in a distribution
_MAX_VALUE: Final = 1e15  # no length or score; the width of a plot's bins has to be finite
_MAX_REJECTED_FILES: Final = 16  # in which answers of examples are looked for
_CONTEXT_LINES: Final = 4
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


def prepare_figures() -> None:
    """Loads what `read_figures` needs, which takes as long as reading does: 0.2 s. Thread-safe."""
    layouts()
    may_be_shown("")


def read_figures(kept: Rows, rejected: Rows, columns: Mapping[str, str | None], *, has_answers: bool) -> Figures:
    """Reads what the report shows.

    Args:
        kept, rejected: The published shards.
        columns: The column of each role (`transforms.rows.columns.ColumnMap`).
        has_answers: Whether rejected records keep answers.
    """
    figures = Figures(rows_all=kept.total)
    verdicts: dict[tuple[Any, ...], int] = {}
    for number, (first, parquet, group) in enumerate(_groups(kept)):
        _read_group(figures, parquet, group, columns, has_text=number < _MAX_TEXT_GROUPS)
        for key, place in _verdicts(parquet, group).items():
            verdicts.setdefault(key, first + place)
    known = layouts()
    for _, row in rows_at(kept, sorted(verdicts.values())[:MAX_SAMPLES]):
        sample = Sample(title_of(row), blocks_of(row, _CONTEXT_LINES, known))
        if may_be_shown("\n".join([sample.title, *(line for block in sample.blocks for line in texts_in(block))])):
            figures.kept.append(sample)
    if has_answers:
        figures.answers = _answers(Rows(rejected.files[:_MAX_REJECTED_FILES]))
    return figures


def _answers(rejected: Rows) -> dict[str, Lines]:
    """The answer of the first record of each kind, stage and reason, where it is kept."""
    numbers = first_of_each(rejected, ["kind", "stage", "reason"])
    found = {}
    for _, row in rows_at(rejected, sorted(numbers.values())):
        if row["answer"] is not None:
            lines = str(row["answer"]).split("\n")[: 4 * _CONTEXT_LINES]
            found[f"{row['kind']}/{row['stage']}/{row['reason']}"] = Lines([(GENERATED, line) for line in lines])
    return found


def _groups(rows: Rows) -> Iterator[tuple[int, pq.ParquetFile, int]]:
    """Yields row groups spread evenly over the files, and these over all: number of the first row, file and group."""
    step = max(1, -(-len(rows.files) // MAX_GROUPS))
    each = max(1, MAX_GROUPS // max(1, len(rows.files)))
    first = 0
    for number, (path, count) in enumerate(rows.files):
        if number % step == 0:
            with storage.open_input(path) as file, open_parquet(file) as parquet:
                sizes = [parquet.metadata.row_group(group).num_rows for group in range(parquet.num_row_groups)]
                for group in range(0, len(sizes), max(1, -(-len(sizes) // each))):
                    yield first + sum(sizes[:group]), parquet, group
        first += count


def _read_group(
    figures: Figures, parquet: pq.ParquetFile, group: int, columns: Mapping[str, str | None], *, has_text: bool
) -> None:
    schema = parquet.schema_arrow
    figures.rows_read += parquet.metadata.row_group(group).num_rows
    places = {
        title: path
        for title, paths in _DISTRIBUTIONS.items()
        if (path := next((path for path in paths if _is_number(type_at(schema, path))), None)) is not None
    }
    table = parquet.read_row_group(group, columns=[".".join(path) for path in places.values()], use_threads=False)
    for title, path in places.items():
        figures.distributions.setdefault(title, []).extend(_finite(value_at(table, path)))
    figures.languages.update(_languages(parquet, group, columns))
    content = columns.get("content")
    if has_text and not places and content and _is_text(schema, content):
        for batch in parquet.iter_batches(_MAX_TEXT_ROWS, row_groups=[group], columns=[content], use_threads=False):
            lengths = pc.binary_length(batch.column(content))
            figures.distributions.setdefault("bytes of text", []).extend(_finite(lengths))
            break


def _finite(values: Any) -> list[float]:
    """Some of the values that can be plotted, spread evenly."""
    values = pc.cast(values.drop_null(), pa.float64(), safe=False)
    values = values.filter(pc.less(pc.abs(values), _MAX_VALUE))  # of NaN, that is false
    step = max(1, -(-len(values) // _MAX_VALUES))
    found: list[float] = values.to_numpy()[::step].tolist()
    return found


def _is_number(kind: pa.DataType | None) -> bool:
    return kind is not None and (pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _is_text(schema: pa.Schema, name: str) -> bool:
    kind = type_at(schema, (name,))
    return kind is not None and (pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _languages(parquet: pq.ParquetFile, group: int, columns: Mapping[str, str | None]) -> Counter[str]:
    """Counts a group's rows by language, as the corpus names it, else by the path's extension."""
    counts: Counter[str] = Counter()
    for role in ("language", "path"):
        name = columns.get(role)
        if name is None or not _is_text(parquet.schema_arrow, name):
            continue
        texts = parquet.read_row_group(group, columns=[name], use_threads=False).column(name)
        for entry in pc.value_counts(texts if role == "language" else extensions_of(texts)).to_pylist():
            found = find_language(entry["values"] or "") if role == "language" else None
            language = language_of(entry["values"]) if role == "path" else found.name if found else OTHER
            counts[language] += entry["counts"]
        break
    return counts


def _verdicts(parquet: pq.ParquetFile, group: int) -> dict[tuple[Any, ...], int]:
    """The first row of each combination of verdicts in a group; its first row if rows have no verdicts."""
    kind = type_at(parquet.schema_arrow, ("checks",))
    names = []
    if kind is not None and pa.types.is_struct(kind):
        fields = (kind.field(index) for index in range(kind.num_fields))
        names = [field.name for field in fields if pa.types.is_boolean(field.type)]
    if not names:
        return {(): 0} if parquet.metadata.row_group(group).num_rows else {}
    table = parquet.read_row_group(group, columns=[f"checks.{name}" for name in names], use_threads=False)
    columns = [value_at(table, ("checks", name)) for name in names]
    numbered = pa.table([*columns, pa.array(range(table.num_rows), pa.int64())], [*names, ""])
    found = numbered.group_by(names).aggregate([("", "min")]).to_pylist()
    return {tuple(entry[name] for name in names): entry["_min"] for entry in found}
