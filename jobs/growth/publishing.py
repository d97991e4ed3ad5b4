"""Publishes a further edition: its own shards beside those of earlier editions, of which some are written again.

    1  write shards again that lose rows (`jobs.growth.rewriting`)      in `_job/editions/N`
    2  remove COMPLETED; publish new shards and those written again     in `data/` and `rejected/`
    3  move shards that the edition doesn't have to `_editions/N-1`     linked there, named by manifests, then removed
    4  pages; manifest of the edition; COMPLETED                        with all its files

Everything follows from `before.json`, which was frozen with the plan, so each step can be repeated after a kill. The
edition before stays readable by its manifest throughout.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from jobs import storage
from jobs.growth.editions import editions_with_manifests, read_manifest, write_manifest
from jobs.growth.ledger import dead_in, grown_summary
from jobs.growth.rewriting import DeadRows, Rewritten, moved_to, rewrite_shard, where_is, write_again
from jobs.growth.rows import dead_rows
from jobs.plan.job_file import JobFile, read_job
from jobs.storage.failpoints import failpoint, register
from jobs.storage.folders import OutputFolder
from model.errors import ConfigError
from transforms.opt_out.work import MATCHED

AFTER_FIRST_REWRITTEN = register("growth.after_first_rewritten_published")
AFTER_LINKED = register("growth.after_linked")
AFTER_MANIFESTS = register("growth.after_manifests")
AFTER_MOVED = register("growth.after_moved")
AFTER_MANIFEST = register("growth.after_manifest")

_THREADS = 16


@dataclass(frozen=True)
class Carried:
    """What an edition has from the one before.

    Args:
        output: The edition.
        job: Its job.
        before: The content of `before.json`.
        dead: The rows that it leaves out.
        found: How many of them the edition before had.
        rewritten: The shards that are written again without them.
        is_other_schema: Whether it has other columns than the edition before.
    """

    output: OutputFolder
    job: JobFile
    before: Mapping[str, Any]
    dead: DeadRows
    found: int
    rewritten: tuple[Rewritten, ...]
    is_other_schema: bool

    @property
    def files(self) -> dict[str, int]:
        """The shards that it has from earlier editions, with their sizes; paths relative to the output."""
        again = {one.old for one in self.rewritten}
        kept = {path: size for path, size in self.before["completed"]["files"].items() if path not in again}
        return kept | {one.new: one.bytes for one in self.rewritten if one.new is not None}

    def publish(self) -> None:
        """Publishes the shards that are written again, and moves those that they replace."""
        if not storage.exists(self.output.manifest):  # once published, the edition before may have been dropped
            self._keep_before()
        for one in self.rewritten:
            self._publish_one(one)
            failpoint(AFTER_FIRST_REWRITTEN)
        self._move([one.old for one in self.rewritten])

    def _keep_before(self) -> None:
        base = self.output.of_edition(self.output.edition - 1)
        done = self.before["completed"]
        if not storage.exists(base.manifest):
            write_manifest(base, done["finished"], done["config_hash"], done["files"])
        storage.write_bytes(base.own_summary, json.dumps(self.before["summary"], indent=1).encode())

    def summary(self, own: Mapping[str, Any], files: Mapping[str, int]) -> dict[str, Any]:
        """The summary of the whole dataset; `own` is that of the edition's units, `files` all its shards."""
        return grown_summary(
            self.before["summary"],
            own,
            edition=self.output.edition,
            dead=self.found,
            rewritten=self.rewritten,
            files=files,
            news=self.before["news"],
            over=self.before["over"],
        )

    def matched(self, own: Mapping[str, int]) -> Counter[str]:
        """How many rows each entry of the opt-out lists has matched; `own` are the counts of the edition's units."""
        found = Counter({f"{MATCHED}{entry}": rows for entry, rows in self.before["matched"].items()})
        found.update({name: rows for name, rows in own.items() if name.startswith(MATCHED)})
        return found

    def finish(self, finished: str, files: Mapping[str, int]) -> None:
        """Writes the manifest, and removes what is published; before `COMPLETED` is written."""
        write_manifest(self.output, finished, self.job.config_hash, files)
        failpoint(AFTER_MANIFEST)
        for one in self.rewritten:
            if one.new is not None:
                storage.remove(self.output.job.rewritten(one.new))

    def _publish_one(self, one: Rewritten) -> None:
        if one.new is None:
            return
        final, written = self.output.join(one.new), self.output.job.rewritten(one.new)
        if not storage.exists(written):
            if storage.exists(final) and storage.sha256_of(final) == one.sha256:
                return  # published by an earlier run
            dead = self.dead.find_in(one.old)
            write_again(self.output, one.old, dead, self.job.final_schema, anyway=self.is_other_schema)
        storage.publish(written, final)

    def _move(self, paths: Iterable[str]) -> None:
        moved = {path: moved_to(self.output, path) for path in paths}
        for path, to in moved.items():
            if storage.exists(self.output.join(path)):
                storage.publish(self.output.join(path), self.output.join(to))
        failpoint(AFTER_LINKED)
        for edition in editions_with_manifests(self.output):
            if edition.edition < self.output.edition:
                manifest = read_manifest(edition)
                files = {moved.get(path, path): size for path, size in manifest["files"].items()}
                if files != manifest["files"]:
                    write_manifest(edition, manifest["finished"], manifest["config_hash"], files)
        failpoint(AFTER_MANIFESTS)
        for path in moved:
            storage.remove(self.output.join(path))
            failpoint(AFTER_MOVED)


def carry_over(output: OutputFolder, job: JobFile) -> Carried | None:
    """Writes the shards again that an edition has without some of their rows; None for a first edition.

    Nothing that is published changes. May be repeated.

    Raises:
        ConfigError: A shard of the edition before is missing or has another size.
        LedgerBroken: Rows that leave the dataset were not found in it.
    """
    if output.edition == 1:
        return None
    before = json.loads(storage.read_bytes(output.job.before))
    base = read_job(output.of_edition(output.edition - 1))
    is_other = base is None or base.output_schema != job.output_schema
    dead = DeadRows(dead_rows(output.job), before["differing"])
    sizes: Mapping[str, int] = before["completed"]["files"]

    def one(path: str) -> Rewritten | None:
        found = rewrite_shard(output, path, dead.find_in(path), job.final_schema, anyway=is_other)
        if found is None and storage.size_of_file(where_is(output, path)) != sizes[path]:
            raise ConfigError(f"{output.join(path)} has another size than when it was published; restore it")
        return found

    with ThreadPoolExecutor(_THREADS, thread_name_prefix="look-up") as pool:
        unchanged = not dead and not is_other
        rewritten = tuple(filter(None, pool.map(one, sizes) if unchanged else map(one, sizes)))
    found = dead_in(rewritten, dead.count, may_lack=storage.exists(output.job.forgotten))
    return Carried(output, job, before, dead, found, rewritten, is_other)
