"""Forgets rows of a complete corpus (`codemill corpus`), which has no units: its summaries are counted again.

    search the shards of all editions -> write them without the rows -> summaries, manifests, pages -> one change

A file is told by its repository, path, content or git blob. The content of a row is the text that was decoded, so a row
that only its text names is noted by its blob: a later growth compares files as they are found.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from jobs import storage
from jobs.collecting.card import card
from jobs.collecting.counting import RowCounts, count_rows, less, sum_of
from jobs.collecting.editions import shards_of
from jobs.collecting.report import corpus_report
from jobs.collecting.seen import FILE as SEEN
from jobs.finalize.rewriting import Rewriting
from jobs.forgetting.editions import Editions, Remaining, read_editions
from jobs.forgetting.ledger import folder_of
from jobs.forgetting.lists import Asked, read_forgotten, removals
from jobs.forgetting.notices import renew_notice
from jobs.forgetting.searching import Found, search_data, search_rejected
from jobs.ledger.completed import missing_files, read_completed
from jobs.monitoring.summaries import summary_text
from jobs.storage.folders import CARD, DATA, JOB_FOLDER, REJECTED, REPORT, SUMMARY, OutputFolder
from jobs.system.clock import utc_now
from model.errors import ConfigError
from transforms.opt_out.selection import File, FileColumns, Selection

_COLUMNS: Final = FileColumns("path", "repo_name", "content", is_raw=True)
_NAMES: Final = ("repo_name", "path", "blob_id")
_SHOWN: Final = 3  # names in a message


@dataclass(frozen=True)
class Corpus:
    """A complete corpus.

    Args:
        output: Its folder.
        editions: Its editions, and their shards.
        done: The content of COMPLETED; None: it never grew.
    """

    output: OutputFolder
    editions: Editions
    done: Mapping[str, Any] | None

    def search(self, selection: Selection) -> Found:
        """Finds what is to be forgotten. A rejected record's repository isn't known."""
        kept, rejected = (
            sorted(path for path in self.editions.shards if folder_of(path) == folder) for folder in (DATA, REJECTED)
        )
        found = search_data(self.output, kept, _COLUMNS, selection)
        search_rejected(self.output, rejected, selection, found, (), _COLUMNS)
        found.emptied = self.editions.emptied_by(found.gone)
        return found

    def rows(self) -> int:
        """How many rows it has."""
        return int(self._read_summary()["rows_kept"])

    def forget(self, found: Found, asked: Asked) -> None:
        """Removes what was found. Requires the lock."""
        with Rewriting(self.output) as change:
            kept = self.editions.shards_without(found.emptied)
            gone = {path: mask for path, mask in found.gone.items() if path in kept}
            counts = {path: count_rows(self.output.join(path), mask) for path, mask in gone.items()}
            written = {path: change.write_shard(path, mask) for path, mask in gone.items()}
            left = Remaining(self.editions, found.emptied, written)

            def told(summary: dict[str, Any], number: int) -> dict[str, Any]:
                return self._summary(summary, number, counts, left, change)

            left.write_manifests(change, told)
            newest = self.editions.output.edition
            self._write_pages(change, told(self._read_summary(), newest))
            renew_notice(change, self.output, found, "repo_name")
            self._write_lists(change, found, asked)
            for name in ("attempts/", SEEN):
                change.remove(f"{JOB_FOLDER}/{name}")
            done = {**self.done, "files": left.left(self.editions.files[newest])} if self.done else None
            change.decide(json.dumps(done).encode() if done else b"")

    def _summary(
        self,
        summary: Mapping[str, Any],
        number: int,
        counts: Mapping[str, RowCounts],
        left: Remaining,
        change: Rewriting,
    ) -> dict[str, Any]:
        """The summary of an edition without the rows that leave its shards."""
        files = self.editions.files[number]
        found = less(summary, sum_of(counts[path] for path in files if path in counts))
        data = [path for path in left.left(files) if folder_of(path) == DATA]
        found["shards"] = len(data)
        if "repositories" in summary:
            found["repositories"] = len(set(_repositories(change.place_of(path) for path in data)))
        return found

    def _write_pages(self, change: Rewriting, summary: Mapping[str, Any]) -> None:
        change.write(SUMMARY, summary_text(summary))
        change.write(CARD, card(summary).encode())
        change.write(REPORT, corpus_report(summary).encode())

    def _write_lists(self, change: Rewriting, found: Found, asked: Asked) -> None:
        blobs = Asked(blobs=tuple(sorted(self._blobs_named_by_text(found, asked.selection()))))
        forgotten = read_forgotten(self.output.job) + asked + blobs
        change.write(f"{JOB_FOLDER}/forgotten.json", forgotten.to_json())
        change.write(
            "REMOVALS.json", removals(self.output, {"date": utc_now(), **found.told(), "asked": asked.hashed()})
        )

    def _blobs_named_by_text(self, found: Found, selection: Selection) -> set[str]:
        """The blobs of rows that go for the hash of their text alone: another than that of the file as it was found."""
        blobs = set()
        for path, gone in found.gone.items():
            if folder_of(path) != DATA:
                continue
            start = 0
            for batch in _batches(self.output.join(path), _NAMES):
                here = gone[start : start + batch.num_rows]
                start += batch.num_rows
                for row in batch.take(np.flatnonzero(here)).to_pylist():
                    file = File((row["repo_name"],), row["path"], blob=row["blob_id"])
                    if not selection.names(file):
                        blobs.add(row["blob_id"])
        return blobs

    def _read_summary(self) -> dict[str, Any]:
        summary: dict[str, Any] = json.loads(storage.read_bytes(self.output.summary))
        return summary


def open_corpus(output: OutputFolder) -> Corpus:
    """Opens a corpus with all of its editions. Raises ConfigError if it isn't complete, or lacks a file."""
    if not (storage.exists(output.completed) and storage.exists(output.summary)):
        raise ConfigError(f"{output} is not complete; run codemill corpus again first")
    done = read_completed(output)
    if done is None:
        files = {path: storage.size_of_file(output.join(path)) for path in shards_of(output)}
        return Corpus(output, Editions(output, {1: files}), None)
    if missing := missing_files(output, done):
        raise ConfigError(
            f"{output} lacks {', '.join(missing[:_SHOWN])}; restore it, since a corpus that grew can't be made again"
        )
    return Corpus(output, read_editions(output.of_edition(done["edition"]), done), done)


def _repositories(paths: Iterator[str]) -> Iterator[str]:
    for path in paths:
        for batch in _batches(path, ("repo_name",)):
            yield from pc.unique(batch.column(0)).to_pylist()


def _batches(path: str, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
    with storage.open_input(path) as file, pq.ParquetFile(file) as parquet:
        yield from parquet.iter_batches(columns=list(names), use_threads=False)
