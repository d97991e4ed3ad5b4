"""Renews what tells of a grown dataset's editions when rows of them are forgotten.

    _editions/N/manifest.json, summary.json   of each edition, without the rows; of one without any row left they go
    _job/editions/N/before.json               from which the newest edition is published again after a lost page
    _job/editions/N/rewritten/*.json          and which of its shards were written again from which
    _job/..., _job/editions/M/...             of earlier ones only which units they had, and which rows of which files

Numbers stay such that the newest edition's summary, made again from these, is the one that `forget` writes.
"""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from jobs import storage
from jobs.finalize.rewriting import Rewriting
from jobs.forgetting.editions import Remaining
from jobs.forgetting.ledger import Loss
from jobs.forgetting.summaries import lessened
from jobs.growth.editions import rewritten_path
from jobs.growth.rewriting import Rewritten as Carried
from jobs.growth.rewriting import moved_to
from jobs.storage.folders import DATA, JobFolder

PURGED = ("attempts", "voided", "journal", "logs", "claims", "grouped", "problems")
_OF_EARLIER = ("shards/", "rewritten/", "live.parquet", "dead.parquet", "before.json")


@dataclass(frozen=True)
class Renewal(Remaining):
    """What a removal changes in the editions of an output.

    Args:
        losses: What leaves each shard that is written again.
        unnamed: Reasons of records, as `kind/stage/reason`, of which some no longer name the row kept instead.
    """

    losses: Mapping[str, Loss]
    unnamed: frozenset[str]

    def loss(self, paths: Iterable[str]) -> Loss:
        """What leaves these shards."""
        return sum((self.losses[path] for path in paths if path in self.losses), Loss())

    def summary(self, summary: Mapping[str, Any], loss: Loss, files: Mapping[str, int]) -> dict[str, Any]:
        """The summary of an edition without what leaves it; `files` are the shards that are left."""
        hidden = {key for each in self.losses.values() for key, count in each.tally.items() if count}
        rows = {number: self.loss(of_it).rows[DATA] for number, of_it in self.editions.files.items()}
        return lessened(summary, loss, files, hidden=hidden, unnamed=self.unnamed, output_rows=rows)

    def write(self, change: Rewriting) -> None:
        """Prepares all of it."""
        self.write_manifests(change, self._told)
        self._write_before(change)
        for number in range(1, self.output.edition + 1):
            job_dir = self.output.of_edition(number).job
            is_earlier = number < self.output.edition
            for name in (*(f"{name}/" for name in PURGED), *(_OF_EARLIER if is_earlier else ())):
                change.remove(self.relative(job_dir.join(name)))
        for name in storage.list_names(self.output.job_editions):
            if name.isdigit() and int(name) > self.output.edition:  # of a run that was ended before it had a plan
                change.remove(self.relative(storage.join(self.output.job_editions, name, "")))

    def _told(self, summary: dict[str, Any], number: int) -> dict[str, Any]:
        files = self.editions.files[number]
        return self.summary(summary, self.loss(files), self.left(files))

    def _write_before(self, change: Rewriting) -> None:
        if self.output.edition == 1:
            return
        job_dir = self.output.job
        before = json.loads(storage.read_bytes(job_dir.before))
        files: dict[str, int] = {}
        loss = Loss()
        for path, size in before["completed"]["files"].items():
            new, place = rewritten_path(path, self.output.edition), self._place(path)
            loss += self.loss([new if place is None else place])
            sizes = [size] if place is None else self.left({place: size}).values()
            files.update((path, one) for one in sizes)
            self._write_carried(change, job_dir, new, place)
        before["completed"]["files"] = files
        before["summary"] = self.summary(before["summary"], loss, files)
        change.write(self.relative(job_dir.before), json.dumps(before).encode())

    def _place(self, path: str) -> str | None:
        """Where a shard of the edition before is; None if no edition that can be read has it."""
        moved = moved_to(self.output, path)
        kept = self.kept | set(self.written)
        return path if path in kept else moved if moved in kept else None

    def _write_carried(self, change: Rewriting, job_dir: JobFolder, new: str, place: str | None) -> None:
        """What is recorded of a shard that the newest edition wrote again from one of the edition before."""
        path = job_dir.rewritten(f"{new}.json")
        if not storage.exists(path):
            return
        record = Carried(**json.loads(storage.read_bytes(path)))
        if place is not None:
            less = self.loss([place]) - self.loss([new])
            tally = Counter(record.tally)
            tally.subtract(less.tally)
            record = dataclasses.replace(
                record,
                dropped=record.dropped - less.rows.total(),
                sources=record.sources - less.source_rows,
                tally={key: count for key, count in tally.items() if count},
            )
        if (written := self.written.get(new)) is not None:
            record = dataclasses.replace(
                record,
                new=new if written.rows else None,
                rows=written.rows,
                bytes=written.bytes,
                sha256=written.sha256,
            )
        change.write(self.relative(path), json.dumps(dataclasses.asdict(record)).encode())
