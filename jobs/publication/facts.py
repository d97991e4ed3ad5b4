"""What a card says about the rows themselves: counts by language and license, models, who is to be named, samples.

All rows are read once, so that what is published has been seen to be readable. Memory: one batch of rows, and the
NOTICE table.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from jobs import storage
from jobs.finalize.notice import read_notice, repositories_of
from jobs.finalize.terms import is_packed
from jobs.publication.dataset import Dataset
from jobs.publication.private import Scrubber
from model.errors import ConfigError
from transforms.corpus.copyrights import copyright_lines
from transforms.corpus.notice import Attribution, Notice
from transforms.rows.types import is_list_type, is_text_type

_BATCH_ROWS: Final = 512
SAMPLES: Final = 3


@dataclass(slots=True)
class Facts:
    """What was found in the rows.

    Args:
        languages: Rows by language; None as a key: unknown. Empty if the rows have no such column.
        licenses: Rows by license; a row may have several. None as a key: none.
        models: Name and hash of each model that a row's lineage names.
        notice: Who is to be named.
        unnamed: Rows, of packed ones parts, that name no repository.
        samples: Some rows from start, middle and end.
    """

    languages: Counter[str | None] = field(default_factory=Counter)
    licenses: Counter[str | None] = field(default_factory=Counter)
    models: set[tuple[str, str]] = field(default_factory=set)
    notice: Notice = field(default_factory=Notice)
    unnamed: int = 0
    samples: list[dict[str, Any]] = field(default_factory=list)


def survey(dataset: Dataset, scrubber: Scrubber) -> Facts:
    """Reads all rows. Raises ConfigError if they can't be read, or if one names a path of this machine."""
    facts = Facts()
    carried = read_notice(dataset.output)
    columns = _Columns.of(dataset)
    wanted = {(dataset.rows - 1) * place // (SAMPLES - 1) for place in range(SAMPLES)}
    rows = 0
    for batch in _batches(dataset):
        _check_lineage(batch, scrubber, facts)
        if columns.language:
            _count(facts.languages, batch.column(columns.language).to_pylist())
        licenses = _licenses(batch, columns.license)
        for names in licenses:
            facts.licenses.update(names or (None,))
        _note(facts, batch, columns, licenses, told=carried.repositories if carried else ())
        for row in sorted(place - rows for place in wanted if rows <= place < rows + batch.num_rows):
            facts.samples.append(batch.slice(row, 1).to_pylist()[0])
        rows += batch.num_rows
    if not columns.license:
        facts.licenses.clear()
    if carried is not None:
        _take_over(facts.notice, carried, keeps_licenses=not columns.license)
    return facts


@dataclass(frozen=True, slots=True)
class _Columns:
    """The rows' columns by role; None: there is none."""

    language: str | None
    license: str | None
    repo_name: str | None
    path: str | None
    content: str | None

    @classmethod
    def of(cls, dataset: Dataset) -> _Columns:
        schema, mapped = dataset.schema, dataset.summary.get("columns") or {}

        def find(role: str, *more: str, usable: Callable[[pa.DataType], bool] = is_text_type) -> str | None:
            name = mapped.get(role)
            # An input column whose name a result column has is renamed.
            names = [*more, *((f"input_{name}", name) if name else ())]
            return next((one for one in names if one in schema.names and usable(schema.field(one).type)), None)

        own = ("licenses",) if dataset.job == "filter" else ()
        return cls(
            find("language"),
            find("license", *own, usable=lambda kind: is_text_type(kind) or is_list_type(kind)),
            "parts" if is_packed(schema) else find("repo_name"),
            find("path"),
            find("content"),
        )


def _batches(dataset: Dataset) -> Iterator[pa.RecordBatch]:
    for name in dataset.shards:
        path = dataset.output.join(name)
        try:
            with storage.open_input(path) as file, pq.ParquetFile(file) as parquet:
                yield from parquet.iter_batches(_BATCH_ROWS)
        except (pa.ArrowException, OSError) as error:
            raise ConfigError(f"{path} can't be read: {error}; run the command that makes it again") from None


def _count(counts: Counter[str | None], values: Iterable[Any]) -> None:
    counts.update(str(value) if value else None for value in values)


def _licenses(batch: pa.RecordBatch, column: str | None) -> list[list[str]]:
    if column is None:
        return [[]] * batch.num_rows
    cells = batch.column(column).to_pylist()
    return [[str(one) for one in (cell if isinstance(cell, list) else [cell]) if one] for cell in cells]


def _note(
    facts: Facts, batch: pa.RecordBatch, columns: _Columns, licenses: list[list[str]], *, told: Collection[str]
) -> None:
    """Notes the batch's repositories; copyright lines only of those that no table tells of already (`told`)."""
    if columns.repo_name is None:
        return
    repositories = batch.column(columns.repo_name)
    if is_list_type(repositories.type):
        for repo_name, rows in repositories_of(repositories).items():
            facts.notice.of(repo_name).rows += rows
        facts.unnamed += pc.list_flatten(repositories).field("repo_name").null_count
        return
    paths, contents = (batch.column(name) if name else None for name in (columns.path, columns.content))
    for row, (repo_name, names) in enumerate(zip(repositories.to_pylist(), licenses, strict=True)):
        if not repo_name:
            facts.unnamed += 1
            continue
        lines: list[str] = []
        if contents is not None and repo_name not in told:
            path = paths[row].as_py() if paths is not None else None
            lines = copyright_lines(path or "", contents[row].as_py() or "")
        facts.notice.of(str(repo_name)).note(names, lines)


def _take_over(notice: Notice, carried: Notice, *, keeps_licenses: bool) -> None:
    """Adds what the dataset's own table says of the repositories that are in its rows."""
    for repo_name, found in notice.repositories.items():
        if (known := carried.repositories.get(repo_name)) is not None:
            licenses = known.licenses if keeps_licenses else Counter[str]()
            found.add(Attribution(
                repo_name, known.repo_url, known.revision_ids, licenses, known.copyright_lines, known.lines_left_off
            ))  # fmt: skip


def _check_lineage(batch: pa.RecordBatch, scrubber: Scrubber, facts: Facts) -> None:
    for place, name in enumerate(batch.schema.names):
        kind = batch.schema.field(place).type
        if not name.endswith("lineage") or not pa.types.is_struct(kind):
            continue
        column = batch.column(place)
        fields = {one.name: pc.struct_field(column, one.name) for one in kind if is_text_type(one.type)}
        for text_name, texts in fields.items():
            for text in pc.unique(texts).to_pylist():
                if text and scrubber.text(text) != text:
                    raise ConfigError(
                        f"the column {name}.{text_name} names a path or host of this machine: {text}; "
                        "nothing was published"
                    )
        if {"model", "checkpoint_sha256"} <= fields.keys():
            pairs = zip(*(fields[one].to_pylist() for one in ("model", "checkpoint_sha256")), strict=True)
            facts.models.update((model, sha256) for model, sha256 in set(pairs) if model)


def all_models(summary: Mapping[str, Any], facts: Facts) -> list[dict[str, str]]:
    """The models that wrote text: those that the summary carries, and those that rows name."""
    known = {(model["name"], model["checkpoint_sha256"]) for model in summary.get("models", ())}
    return [{"name": name, "checkpoint_sha256": sha256} for name, sha256 in sorted(known | facts.models)]
