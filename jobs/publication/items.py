"""The files of a publication: the dataset's own, and pages written anew without what is private.

`PUBLISHED.json`, the manifest, lists all others with size and hash. The same dataset gives the same manifest, so a
publication that was interrupted finds what it has done, and one that is repeated finds that there is nothing to do.
"""

from __future__ import annotations

import json
import os
import posixpath
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from jobs import storage
from jobs.collecting.card import card as corpus_card
from jobs.collecting.report import corpus_report
from jobs.finalize.card import dataset_card
from jobs.finalize.notice import notice_bytes, redact_line
from jobs.finalize.report import html_report
from jobs.ledger.heartbeat import read_heartbeats
from jobs.monitoring.summaries import summary_text
from jobs.publication.card import Wording, published_card
from jobs.publication.dataset import Dataset
from jobs.publication.facts import Facts, all_models, survey
from jobs.publication.private import Scrubber
from jobs.storage.folders import CARD, NOTICE, PUBLISHED, REMOVALS, REPORT, SCORES, SUMMARY
from model.errors import ConfigError

_THREADS: Final = 8


@dataclass(frozen=True, slots=True)
class Item:
    """A file that is published: its name below the target, where its bytes are, their number and hash."""

    name: str
    path: str
    num_bytes: int
    sha256: str


def items_of(dataset: Dataset, wording: Wording, name: str, folder: str) -> list[Item]:
    """All files of a publication, the manifest last.

    Args:
        dataset: What is published.
        wording: What the user says about it.
        name: The last part of where it is published.
        folder: A local folder for what is written anew.

    Raises:
        ConfigError: A file can't be read, or contains what is private and can't be left out.
    """
    scrubber = Scrubber(beat.host for beat in read_heartbeats(dataset.output.job))
    facts = survey(dataset, scrubber)
    paths = {shard: dataset.output.join(shard) for shard in dataset.shards}
    for shard in dataset.rejected:
        paths[shard] = _clean_rejected(dataset.output.join(shard), scrubber, os.path.join(folder, shard))
    for other in (SCORES, REMOVALS):
        if storage.exists(dataset.output.join(other)):
            found = json.loads(storage.read_bytes(dataset.output.join(other)))
            told = scrubber.value(found)
            paths[other] = dataset.output.join(other) if told == found else _written(folder, other, summary_text(told))
    for page, data in _pages(dataset, facts, wording, name, scrubber).items():
        paths[page] = _written(folder, page, data)
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="hash") as pool:
        items = list(pool.map(_item, paths, paths.values()))
    manifest = _written(folder, PUBLISHED, manifest_of(dataset, items))
    return [*items, _item(PUBLISHED, manifest)]


def manifest_of(dataset: Dataset, items: Sequence[Item]) -> bytes:
    """The manifest, as JSON: what was published, and its files."""
    files = {item.name: {"bytes": item.num_bytes, "sha256": item.sha256} for item in items}
    return json.dumps({"job": dataset.job, "rows": dataset.rows, "files": files}, indent=1, sort_keys=True).encode()


def _item(name: str, path: str) -> Item:
    return Item(name, path, storage.size_of_file(path), storage.sha256_of(path))


def _written(folder: str, name: str, data: bytes) -> str:
    path = os.path.join(folder, name)
    storage.write_bytes(path, data, durable=False)
    return path


def _pages(dataset: Dataset, facts: Facts, wording: Wording, name: str, scrubber: Scrubber) -> dict[str, bytes]:
    """Card, report, summary and NOTICE, made again of a summary without what is private."""
    told = scrubber.value(dict(dataset.summary)) | {"models": all_models(dataset.summary, facts)}
    try:
        if dataset.job == "corpus":
            base, report = corpus_card(told), corpus_report(told)
        else:
            base, report = dataset_card(told, dataset.schema, told["options"]), html_report(told)
    except KeyError as error:
        raise ConfigError(
            f"{dataset.output}: summary.json has no {error}, so an earlier codemill made it; make it again with "
            "another --output, then publish that"
        ) from error
    pages = {
        SUMMARY: summary_text(told),
        CARD: published_card(base, dataset, facts, wording, name).encode(),
        REPORT: report.encode(),
    }
    if facts.notice.repositories:
        # Rows of a corpus are as they were found, and so are its lines.
        more = () if dataset.job == "corpus" else (redact_line,)
        pages[NOTICE] = notice_bytes(facts.notice, *more)
    return pages


def _clean_rejected(path: str, scrubber: Scrubber, copy: str) -> str:
    """The file, or where a detail of a record names a path or host, a copy at `copy` that doesn't; returns which."""
    try:
        with storage.open_input(path) as file, pq.ParquetFile(file) as parquet:
            if not any(_cleaned(batch, scrubber) for batch in parquet.iter_batches(columns=["detail"])):
                return path
        os.makedirs(posixpath.dirname(copy), exist_ok=True)
        with storage.open_input(path) as file, pq.ParquetFile(file) as parquet:
            schema = parquet.schema_arrow
            with pq.ParquetWriter(copy, schema, compression="zstd") as writer:
                for batch in parquet.iter_batches():
                    details = pa.array(map(scrubber.text, batch.column("detail").to_pylist()), pa.large_string())
                    table = pa.Table.from_batches([batch])
                    writer.write_table(
                        table.set_column(schema.get_field_index("detail"), schema.field("detail"), details)
                    )
    except (pa.ArrowException, OSError, KeyError) as error:
        raise ConfigError(f"{path} can't be read: {error}; run the command that makes it again") from None
    return copy


def _cleaned(batch: pa.RecordBatch, scrubber: Scrubber) -> bool:
    return any(scrubber.text(detail) != detail for detail in batch.column(0).unique().to_pylist())
