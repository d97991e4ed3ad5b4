"""A further edition of a corpus is published: the corpus changes as one (`jobs.finalize.rewriting`).

    data/train-00000-of-00012.parquet          of the first edition, as it was
    data/train-e0002-00000-of-00001.parquet    what the second edition added
    data/train-00003-of-00012-r0002.parquet    of the first, without rows that the second lost
    _editions/0001/                            manifest, summary, and shards that only the first edition has

Until the change is decided, the edition before is complete and untouched, and what a run leaves that is killed earlier
is removed by the next. From then on, any run of the job carries it out.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from jobs import storage
from jobs.collecting.card import card
from jobs.collecting.comparing import Night, Row, rejected_hash
from jobs.collecting.counting import COUNTED, RowCounts, count_rows, less, sum_of
from jobs.collecting.output import CorpusFiles, sweep
from jobs.collecting.report import corpus_report
from jobs.finalize.notice import notice_bytes, read_notice
from jobs.finalize.rewriting import Rewriting
from jobs.growth.editions import editions_with_manifests, manifest_text, read_manifest, rewritten_path
from jobs.monitoring.summaries import summary_text
from jobs.storage.folders import CARD, DATA, JOB_FOLDER, NOTICE, REJECTED, REPORT, SUMMARY, OutputFolder
from transforms.corpus.notice import Notice

_KEPT: Final = ("repo_name", "path", "blob_id")
_REJECTED: Final = ("uri", "path", "content_sha256", "reason")
_SUMS: Final = ("files_seen", "rows_kept", "rows_rejected", "bytes_kept")


def shards_of(output: OutputFolder) -> list[str]:
    """The paths of a corpus's shards, relative to it, in order."""
    found = [f"{folder}/{name}" for folder in (DATA, REJECTED) for name in storage.list_names(output.join(folder))]
    return sorted(path for path in found if path.endswith(".parquet"))


def rows_of(output: OutputFolder, path: str) -> Iterator[list[Row]]:
    """Yields the rows of a shard in parts, in their order."""
    names = _KEPT if path.startswith(f"{DATA}/") else _REJECTED
    with storage.open_input(output.join(path)) as file, pq.ParquetFile(file) as parquet:
        for batch in parquet.iter_batches(columns=list(names), use_threads=False):
            rows = zip(*(batch.column(name).to_pylist() for name in names), strict=True)
            if names is _KEPT:
                yield [(repo, where, blob) for repo, where, blob in rows]
            else:
                yield [(uri, where or "", rejected_hash(sha256, reason)) for uri, where, sha256, reason in rows]


@dataclass(frozen=True)
class Edition:
    """A further edition while it is made; only under the output's lock.

    Args:
        output: The corpus.
        number: The edition's number.
        night: What there is to do.
        files: The new rows, written and closed.
        job: The new content of the job file.
    """

    output: OutputFolder
    number: int
    night: Night
    files: CorpusFiles
    job: Mapping[str, Any]

    def publish(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """Makes the corpus that of this edition; returns the summary. `told` is what a run says of itself in it."""
        with Rewriting(self.output) as change:
            masks = {path: gone for path in shards_of(self.output) if (gone := self._gone(path)).any()}
            leaving = sum_of(count_rows(self.output.join(path), gone) for path, gone in masks.items())
            final = self._write_shards(change, masks)
            files = {path: storage.size_of_file(change.place_of(path)) for path in final}
            notice = self._notice(leaving.repositories)
            summary = self._summary(told, leaving, final, len(notice.repositories))
            self._write_editions(change, summary["finished"], files, masks)
            self._write_pages(change, summary, notice)
            change.write(f"{JOB_FOLDER}/job.json", json.dumps(self.job, indent=2).encode())
            done = {"edition": self.number, "finished": summary["finished"], "config_hash": "", "files": files}
            change.decide(json.dumps(done).encode())
        sweep(self.output)
        return summary

    def _gone(self, path: str) -> npt.NDArray[np.bool_]:
        """Which rows of a shard leave; each is taken off the list."""
        leaving = self.night.leaving
        rows = leaving.kept if path.startswith(f"{DATA}/") else leaving.rejected
        gone = []
        for found in rows_of(self.output, path):
            for row in found:
                if is_gone := rows.get(row, 0) > 0:
                    rows[row] -= 1
                gone.append(is_gone)
        return np.array(gone, np.bool_)

    def _write_shards(self, change: Rewriting, masks: Mapping[str, npt.NDArray[np.bool_]]) -> list[str]:
        """Prepares the shards that differ; returns the paths of all that the edition has."""
        final = [path for path in shards_of(self.output) if path not in masks]
        for path, gone in masks.items():
            storage.publish(self.output.join(path), change.new_file(self._moved(path)))
            to = rewritten_path(path, self.number)
            if change.write_shard(path, gone, to).rows:
                final.append(to)
                change.remove(path)
        for name, paths in self.files.paths.items():
            for index, path in enumerate(paths):
                to = f"{name}-e{self.number:04}-{index:05}-of-{len(paths):05}.parquet"
                storage.publish(path, change.new_file(to))
                final.append(to)
        return sorted(final)

    def _moved(self, path: str) -> str:
        """Where a shard goes that this edition doesn't have, relative to the output."""
        base = self.output.of_edition(self.number - 1)
        return f"{base.manifest.rpartition('/')[0][len(self.output.path) + 1 :]}/{path}"

    def _write_editions(
        self, change: Rewriting, finished: str, files: Mapping[str, int], masks: Mapping[str, Any]
    ) -> None:
        """Prepares the manifests, and the summary of the edition before."""
        moved = {path: self._moved(path) for path in masks}
        base = self.output.of_edition(self.number - 1)
        known = {one.edition: read_manifest(one) for one in editions_with_manifests(self.output)}
        if base.edition not in known:
            sizes = {path: storage.size_of_file(self.output.join(path)) for path in shards_of(self.output)}
            known[base.edition] = {"finished": self._before()["finished"], "files": sizes}
        known[self.number] = {"finished": finished, "files": dict(files)}
        for number, found in known.items():
            edition = self.output.of_edition(number)
            now = {moved.get(path, path): size for path, size in found["files"].items()}
            change.write(self._relative(edition.manifest), manifest_text(edition, found["finished"], "", now))
        change.write(self._relative(base.own_summary), summary_text(self._before()))

    def _relative(self, path: str) -> str:
        return path[len(self.output.path) + 1 :]

    def _before(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(storage.read_bytes(self.output.summary))
        return found

    def _notice(self, fewer: Mapping[str, int]) -> Notice:
        """The table with the new rows; a repository without rows leaves it. Texts of rows that left stay in it."""
        notice = read_notice(self.output) or Notice()
        for name, count in fewer.items():
            notice.of(name).rows -= count
        for attribution in self.files.notice.repositories.values():
            notice.add(attribution)
        notice.repositories = {name: one for name, one in notice.repositories.items() if one.rows > 0}
        return notice

    def _summary(
        self, told: Mapping[str, Any], leaving: RowCounts, final: Sequence[str], repositories: int
    ) -> dict[str, Any]:
        before, own = self._before(), self.files.summary()
        both = {name: before[name] + own[name] for name in _SUMS}
        both |= {name: Counter(before[name]) + Counter(own[name]) for name in COUNTED}
        summary = less({**before, **own, **told, **both}, leaving)
        summary["shards"] = sum(path.startswith(f"{DATA}/") for path in final)
        summary["repositories"] = repositories
        accounted = summary["rows_kept"] + summary["rows_rejected"] + summary["rows_removed"]
        assert summary["files_seen"] == accounted, f"rows were lost: {summary['files_seen']} seen, {accounted} told of"
        first = {"edition": 1, "finished": before["finished"], "rows_new": before["files_seen"]}
        news = {"rows_new": own["files_seen"], **self.night.news}
        edition = {"edition": self.number, "finished": summary["finished"], **news}
        summary["editions"] = [*before.get("editions", [first]), edition]
        return summary

    def _write_pages(self, change: Rewriting, summary: Mapping[str, Any], notice: Notice) -> None:
        if notice.repositories:
            change.write(NOTICE, notice_bytes(notice))
        else:
            change.remove(NOTICE)
        change.write(CARD, card(summary).encode())
        change.write(REPORT, corpus_report(summary).encode())
        change.write(SUMMARY, summary_text(summary))
