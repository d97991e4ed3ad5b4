"""Forgets rows of a complete corpus (`codemill corpus`), which has no units: its summary is counted again."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from jobs import storage
from jobs.collecting.card import card
from jobs.collecting.report import corpus_report
from jobs.finalize.rewriting import Rewriting
from jobs.forgetting.lists import Asked, read_forgotten, removals
from jobs.forgetting.notices import renew_notice
from jobs.forgetting.searching import Found, search_data, search_rejected
from jobs.monitoring.summaries import summary_text
from jobs.storage.folders import DATA, JOB_FOLDER, REJECTED, OutputFolder
from jobs.system.clock import utc_now
from model.errors import ConfigError
from transforms.opt_out.selection import FileColumns, Selection

_COLUMNS = FileColumns("path", "repo_name", "content", is_raw=True)
_COUNTED = ("language", "src_encoding_confidence", "length_bytes", "detected_licenses")
_BATCH_ROWS = 1024


@dataclass(frozen=True)
class Corpus:
    """A complete corpus."""

    output: OutputFolder

    def search(self, selection: Selection) -> Found:
        """Finds what is to be forgotten. A rejected record's repository isn't known."""
        found = search_data(self.output, self._shards(DATA), _COLUMNS, selection)
        search_rejected(self.output, self._shards(REJECTED), selection, found, (), _COLUMNS)
        return found

    def rows(self) -> int:
        """How many rows it has."""
        return int(self._read_summary()["rows_kept"])

    def forget(self, found: Found, asked: Asked) -> None:
        """Removes what was found. Requires the lock."""
        with Rewriting(self.output) as change:
            for path, gone in found.gone.items():
                change.write_shard(path, gone)
            summary = self._summary(found)
            notice = renew_notice(change, self.output, found, "repo_name")
            if notice is not None:
                summary["repositories"] = len(notice.repositories)
            change.write("summary.json", summary_text(summary))
            change.write("README.md", card(summary).encode())
            change.write("report.html", corpus_report(summary).encode())
            change.write(f"{JOB_FOLDER}/forgotten.json", (read_forgotten(self.output.job) + asked).to_json())
            rows = {folder: found.rows(folder) for folder in (DATA, REJECTED)}
            entry = {"date": utc_now(), "rows": rows, "asked": asked.hashed()}
            change.write("REMOVALS.json", removals(self.output, entry))
            change.remove(f"{JOB_FOLDER}/attempts/")
            change.decide(b"")

    def _summary(self, found: Found) -> dict[str, Any]:
        summary = self._read_summary()
        less: dict[str, Counter[str]] = {name: Counter() for name in ("language", "license", "confidence", "reason")}
        num_bytes = 0
        for path, gone in found.gone.items():
            for row in self._gone_rows(path, gone):
                if path.startswith(f"{REJECTED}/"):
                    less["reason"][row["reason"]] += 1
                    continue
                less["language"][row["language"] or "unknown"] += 1
                less["confidence"][row["src_encoding_confidence"]] += 1
                less["license"].update(row["detected_licenses"])
                num_bytes += row["length_bytes"]
        kept, rejected = found.rows(DATA), found.rows(REJECTED)
        return {
            **summary,
            "rows_kept": summary["rows_kept"] - kept,
            "rows_rejected": summary["rows_rejected"] - rejected,
            "rows_removed": summary.get("rows_removed", 0) + kept + rejected,
            "bytes_kept": summary["bytes_kept"] - num_bytes,
            "shards": len(set(self._shards(DATA)) - {path for path, gone in found.gone.items() if gone.all()}),
            "languages": _less(summary["languages"], less["language"]),
            "licenses": _less(summary["licenses"], less["license"]),
            "src_encoding_confidence": _less(summary["src_encoding_confidence"], less["confidence"]),
            "rejected": _less(summary["rejected"], less["reason"]),
        }

    def _gone_rows(self, path: str, gone: npt.NDArray[np.bool_]) -> Iterator[dict[str, Any]]:
        names = ["reason"] if path.startswith(f"{REJECTED}/") else list(_COUNTED)
        start = 0
        with storage.open_input(self.output.join(path)) as file, pq.ParquetFile(file) as parquet:
            for batch in parquet.iter_batches(_BATCH_ROWS, columns=names, use_threads=False):
                here = gone[start : start + batch.num_rows]
                start += batch.num_rows
                yield from pa.Table.from_batches([batch]).filter(pa.array(here)).to_pylist()

    def _read_summary(self) -> dict[str, Any]:
        summary: dict[str, Any] = json.loads(storage.read_bytes(self.output.summary))
        return summary

    def _shards(self, folder: str) -> Sequence[str]:
        names = storage.list_names(self.output.join(folder))
        return [f"{folder}/{name}" for name in names if name.endswith(".parquet")]


def open_corpus(output: OutputFolder) -> Corpus:
    """Opens a corpus. Raises ConfigError if it isn't complete."""
    if not (storage.exists(output.completed) and storage.exists(output.summary)):
        raise ConfigError(f"{output} is not complete; run codemill corpus again first")
    if storage.list_names(output.earlier) or storage.list_names(output.job_editions):
        raise ConfigError(
            f"{output} has several editions, in which rows can't be forgotten; make the corpus anew in another "
            "--output, with --opt_out"
        )
    return Corpus(output)


def _less(counts: Mapping[str, int], gone: Mapping[str, int]) -> dict[str, int]:
    return {name: left for name, count in counts.items() if (left := count - gone.get(name, 0))}
