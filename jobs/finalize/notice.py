"""The NOTICE table of a dataset, `NOTICE.parquet`: written, read, and carried on to the datasets that are made of it.

A dataset made of others that have a table gets what theirs say of the repositories that are still in its rows; only
the rows' column of repositories is read. Secrets and addresses in copyright lines are redacted, as in rows.
"""

from __future__ import annotations

import functools
import io
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from jobs import storage
from jobs.finalize.terms import is_packed
from jobs.plan.job_file import JobFile
from jobs.storage.folders import OutputFolder
from model.errors import ConfigError, one_line
from transforms.corpus.notice import NOTICE_SCHEMA, Notice, attribution_of
from transforms.rows.types import is_text_type
from transforms.scanning import ContentFilter

_BATCH_ROWS: Final = 8192


def write_notice(output: OutputFolder, notice: Notice, redact: Callable[[str], str] = lambda line: line) -> None:
    """Writes the table; a file without rows can't be loaded with `datasets`, so none is left where there are none."""
    if not notice.repositories:
        storage.remove(output.notice)
        return
    storage.write_bytes(output.notice, notice_bytes(notice, redact))


def notice_bytes(notice: Notice, redact: Callable[[str], str] = lambda line: line) -> bytes:
    """The table as a Parquet file; `redact` is applied to each copyright line."""
    sink = io.BytesIO()
    pq.write_table(notice.table(redact), sink, compression="zstd")
    return sink.getvalue()


def carry_notice(output: OutputFolder, job: JobFile, datasets: Sequence[OutputFolder]) -> None:
    """Writes the table of a finished dataset from those of the datasets that it was made of, if they have any.

    Rows of a dataset that grew may be from datasets that are no longer in its input, of which its own table tells.
    """
    tables = [found for found in map(read_notice, datasets) if found is not None]
    earlier = read_notice(output) if output.edition > 1 else None
    column = repository_column(job.final_schema, job.columns.get("repo_name"))
    if not (tables or earlier) or column is None:
        storage.remove(output.notice)
        return
    known = Notice()
    for found in tables:
        for attribution in found.repositories.values():
            known.add(attribution)
    if earlier is not None:
        _add_missing(known, earlier)
    kept = Notice()
    for repo_name, rows in _rows_of_repositories(output, column).items():
        if repo_name in known.repositories:
            known.of(repo_name).rows = rows
            kept.add(known.of(repo_name))
    write_notice(output, kept, redact_line)


def _add_missing(known: Notice, other: Notice) -> None:
    """Adds what only the other table has, behind the rest: to do it again changes nothing."""
    for name, attribution in other.repositories.items():
        if name not in known.repositories:
            known.add(attribution)
            continue
        for part in ("licenses", "copyright_lines"):
            texts: Counter[str] = getattr(known.of(name), part)
            for text in getattr(attribution, part):
                texts.setdefault(text, 0)


def repository_column(schema: pa.Schema, mapped: str | None) -> str | None:
    """The path of the column that names rows' repositories, as Parquet files are read by; None if there is none.

    Args:
        schema: Schema of the rows.
        mapped: The input column with that role, which may have been renamed.
    """
    if is_packed(schema):
        return "parts.list.element.repo_name"  # Parquet's own name of an item
    names = [f"input_{mapped}", mapped] if mapped else []
    return next((name for name in names if name in schema.names), None)


def redact_line(line: str) -> str:
    """A copyright line, redacted by the default policy."""
    return _opened_filter().filter_name(line, "redact")[0]


@functools.cache
def _opened_filter() -> ContentFilter:
    content_filter = ContentFilter("default")
    content_filter.open()
    return content_filter


def _rows_of_repositories(output: OutputFolder, column: str) -> Counter[str]:
    """How many rows name each repository; a packed row may name several."""
    counts: Counter[str] = Counter()
    for name in storage.list_names(output.data):
        with storage.open_input(storage.join(output.data, name)) as file, pq.ParquetFile(file) as parquet:
            for batch in parquet.iter_batches(_BATCH_ROWS, columns=[column]):
                counts.update(repositories_of(batch.column(0)))
    return counts


def repositories_of(column: pa.Array) -> Counter[str]:
    """How many rows name each repository, from a column of names or of packed parts."""
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        rows = pc.list_parent_indices(column)
        names = pc.list_flatten(column).field("repo_name")
        return Counter(name for _, name in set(zip(rows.to_pylist(), names.to_pylist(), strict=True)) if name)
    if not is_text_type(column.type):
        return Counter()
    counted = pc.value_counts(column)
    return Counter(
        {str(name): rows for name, rows in zip(*(part.to_pylist() for part in counted.flatten()), strict=True) if name}
    )


def read_notice(output: OutputFolder) -> Notice | None:
    """The table of a dataset; None if it has none, or another table of that name. Raises ConfigError: it is damaged."""
    try:
        data = storage.read_bytes(output.notice)
    except FileNotFoundError:
        return None
    try:
        table = pq.read_table(io.BytesIO(data))
        records = table.to_pylist() if table.schema.names == NOTICE_SCHEMA.names else None
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{output.notice} can't be read: {one_line(str(error))}; restore it, or remove it, and with it the "
            "copyright lines that it has"
        ) from None
    if records is None:
        return None
    notice = Notice()
    for record in records:
        notice.add(attribution_of(record))
    return notice
