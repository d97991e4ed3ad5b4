"""All paths in an output folder: published files, and the job's internal records in `_job`.

    OUT/data/ OUT/rejected/                            shards, published
    OUT/README.md OUT/report.html OUT/summary.json     pages about the dataset
    OUT/NOTICE.parquet                                 repositories, their licenses and copyright lines
    OUT/REMOVALS.json                                  what was removed since, as hashes
    OUT/COMPLETED                                      written last, with the size of every shard
    OUT/PUBLISHED.json                                 of a published copy, which has neither COMPLETED nor _job
    OUT/_editions/0002/                                what an edition of a grown dataset consists of
    OUT/_job/                                          the job's internal records (`JobFolder`)

Published files use public names; local paths are never published. `_job` contains paths unchanged.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from jobs.storage.objects import join

JOB_FOLDER, GROUPED = "_job", "grouped"
DATA, REJECTED = "data", "rejected"
EDITIONS = "editions"
COMPLETED = "COMPLETED"
SUMMARY, CARD, REPORT = "summary.json", "README.md", "report.html"
SCORES = "scores.json"
NOTICE = "NOTICE.parquet"
PUBLISHED = "PUBLISHED.json"
PUBLISHING = "_publishing"
"""Markers beside a copy that is being published to a bucket."""
REMOVALS = "REMOVALS.json"
PAGES = (SUMMARY, CARD, REPORT)


@dataclass(frozen=True, slots=True)
class _Folder:
    path: str

    def __str__(self) -> str:
        return self.path

    def __fspath__(self) -> str:
        return self.path

    def join(self, *parts: str) -> str:
        """A path below the folder."""
        return join(self.path, *parts)


@dataclass(frozen=True, slots=True)
class JobFolder(_Folder):
    """`OUT/_job`: plan, commits, attempts, journal, heartbeats and lock. Paths in its records are relative to it."""

    @property
    def output(self) -> OutputFolder:
        """The output folder that this one is in, with its edition."""
        return OutputFolder(self.path.rpartition(f"/{JOB_FOLDER}")[0], self.edition)

    @property
    def edition(self) -> int:
        """The edition whose records these are.

        >>> OutputFolder("out", 2).job.edition, OutputFolder("out").job.edition
        (2, 1)
        """
        found = re.search(rf"/{JOB_FOLDER}/{EDITIONS}/(\d+)$", self.path)
        return int(found[1]) if found else 1

    @property
    def job_file(self) -> str:
        """The frozen job (`jobs.plan.job_file`); written after the rest of the plan."""
        return self.join("job.json")

    @property
    def plan(self) -> str:
        """The units, in the order of the output."""
        return self.join("plan.parquet")

    @property
    def inputs(self) -> str:
        """Each input file and its state."""
        return self.join("inputs.parquet")

    @property
    def sources(self) -> str:
        """The input files of a job whose units read files that were made of them; in the form of `inputs`."""
        return self.join("sources.parquet")

    @property
    def opt_out(self) -> str:
        """How many rows each entry of the opt-out lists matched."""
        return self.join("opt_out.json")

    @property
    def rewrites(self) -> str:
        """Changes of a complete output: what is prepared, and what is decided (`jobs.finalize.rewriting`)."""
        return self.join("rewrites")

    @property
    def forgotten(self) -> str:
        """What was forgotten and must not come back (`jobs.forgetting`), in any edition."""
        return self.output.first_job.join("forgotten.json")

    @property
    def commits(self) -> str:
        """One object per unit that is done or failed."""
        return self.join("commits")

    def commit(self, unit_id: str) -> str:
        """The unit's commit."""
        return self.join("commits", f"{unit_id}.json")

    def voided(self, unit_id: str, attempt_id: str) -> str:
        """The record of a voided commit."""
        return self.join("voided", f"{unit_id}-{attempt_id}.json")

    @property
    def attempts(self) -> str:
        """The files of attempts, committed or not: one folder per unit."""
        return self.join("attempts")

    def attempts_of(self, unit_id: str) -> str:
        """The files of the attempts at one unit."""
        return self.join("attempts", unit_id)

    @property
    def open_starts(self) -> str:
        """Start records of starts that haven't ended: one folder per worker session."""
        return self.join("journal", "open")

    def open_starts_of(self, session: str) -> str:
        """The start records of one worker session."""
        return self.join("journal", "open", session)

    @property
    def deaths(self) -> str:
        """The deaths of workers, with what was in flight."""
        return self.join("journal", "deaths")

    def death(self, session: str) -> str:
        """The death of one worker session."""
        return self.join("journal", "deaths", f"{session}.json")

    @property
    def heartbeats(self) -> str:
        """The heartbeats of all worker sessions."""
        return self.join("heartbeats")

    def heartbeat(self, session: str) -> str:
        """The heartbeat of one worker session."""
        return self.join("heartbeats", f"{session}.json")

    @property
    def stop_reason(self) -> str:
        """Why a host of a Beam runner stopped the job (`jobs.hosts.stopping`)."""
        return self.join("stop_reason")

    @property
    def probe(self) -> str:
        """A random word by which a worker tells that it sees this folder, and not another of the same name."""
        return self.join("probe")

    @property
    def runner_job(self) -> str:
        """The job of a Beam runner that runs the units."""
        return self.join("runner_job.json")

    @property
    def orders(self) -> str:
        """What a worker on another machine needs beside the plan (`jobs.sharing.invitation`)."""
        return self.join("orders.json")

    @property
    def claims(self) -> str:
        """The claims of all ranges of units (`jobs.ledger.claims`)."""
        return self.join("claims")

    def claim(self, span: str, generation: int) -> str:
        """One claim of a range of units."""
        return self.join("claims", f"{span}.{generation}")

    @property
    def claimants(self) -> str:
        """The heartbeats of all claimants."""
        return self.join("claimants")

    def claimant(self, claimant_id: str) -> str:
        """The heartbeat of one claimant."""
        return self.join("claimants", f"{claimant_id}.json")

    @property
    def logs(self) -> str:
        """The last lines that each claimant printed."""
        return self.join("logs")

    def log(self, claimant_id: str) -> str:
        """The last lines that one claimant printed."""
        return self.join("logs", f"{claimant_id}.txt")

    @property
    def fused(self) -> str:
        """What fused steps made of rows in a first pass (`jobs.fusing.results`): one folder per step."""
        return self.join("fused")

    def fused_result(self, step: str, unit_id: str, row: int) -> str:
        """What a fused step made of rows of a unit, the first of which is this one."""
        return self.join("fused", step, f"{unit_id}.{row}")

    @property
    def only_while_units_run(self) -> tuple[str, ...]:
        """Folders that nothing needs once all units are committed. Lines that hosts printed may quote rows."""
        return self.logs, self.claims, self.fused

    @property
    def lock(self) -> str:
        """The lock on the output, by lock generation."""
        return self.join("lock")

    @property
    def problems(self) -> str:
        """Problems joined with answers, which an evaluation's units read: one folder per attempt to write them."""
        return self.join("problems")

    @property
    def problems_manifest(self) -> str:
        """The folder of `problems` that was written completely, and the hash of its rows."""
        return self.join("problems.json")

    @property
    def shards(self) -> str:
        """Shard plans and merges: one folder per shard plan."""
        return self.join("shards")

    def shard(self, plan_id: str, *name: str) -> str:
        """A file of a shard plan, or its folder."""
        return self.join("shards", plan_id, *name)

    @property
    def rows(self) -> str:
        """The identities of the rows that committed units read: one file per attempt (`jobs.growth.rows`)."""
        return self.join("rows")

    def rows_of(self, unit_id: str, attempt_id: str) -> str:
        """The identities of the rows that one attempt read."""
        return self.join("rows", f"{unit_id}.{attempt_id}.parquet")

    @property
    def live(self) -> str:
        """The rows of earlier editions that are in this one as well."""
        return self.join("live.parquet")

    @property
    def dead(self) -> str:
        """The rows of earlier editions that are not in this one."""
        return self.join("dead.parquet")

    @property
    def representatives(self) -> str:
        """The rows that `dedup` kept, by which a further edition knows what is new (`jobs.growth.representatives`)."""
        return self.join("representatives.parquet")

    @property
    def before(self) -> str:
        """`COMPLETED` and the summary of the edition that this one grows from."""
        return self.join("before.json")

    def rewritten(self, *name: str) -> str:
        """Shards of earlier editions that are written again without some of their rows."""
        return self.join("rewritten", *name)

    @property
    def grouping(self) -> str:
        """The manifest of grouping: its input and its result (`jobs.grouping`)."""
        return self.join("grouped.json")

    @property
    def chosen(self) -> str:
        """Which rows of the input a further edition has grouped (`jobs.grouping.restoring`)."""
        return self.join("chosen.parquet")

    @property
    def grouped(self) -> str:
        """The grouped files, which contain the input's text as it is: removed when the job is complete."""
        return self.join(GROUPED)


@dataclass(frozen=True, slots=True)
class OutputFolder(_Folder):
    """A job's output folder. `path` is local, or a URL that fsspec supports; `edition` is the one that is meant.

    >>> OutputFolder("gs://bucket/out").job.commit("000007-ab")
    'gs://bucket/out/_job/commits/000007-ab.json'
    >>> OutputFolder("out", 2).job.plan
    'out/_job/editions/0002/plan.parquet'
    """

    edition: int = 1

    @property
    def job(self) -> JobFolder:
        """The edition's internal records."""
        first = self.first_job
        return first if self.edition == 1 else JobFolder(first.join(EDITIONS, f"{self.edition:04d}"))

    @property
    def first_job(self) -> JobFolder:
        """The internal records of the first edition, which have the lock of all."""
        return JobFolder(self.join(JOB_FOLDER))

    @property
    def job_editions(self) -> str:
        """The internal records of later editions: one folder per edition."""
        return self.first_job.join(EDITIONS)

    def of_edition(self, edition: int) -> OutputFolder:
        """The same folder, with another edition meant."""
        return OutputFolder(self.path, edition)

    @property
    def earlier(self) -> str:
        """Of each edition its manifest, and the shards that only earlier editions have: one folder per edition."""
        return self.join(f"_{EDITIONS}")

    @property
    def manifest(self) -> str:
        """The files that the edition consists of."""
        return self.join(f"_{EDITIONS}", f"{self.edition:04d}", "manifest.json")

    @property
    def own_summary(self) -> str:
        """The edition's own copy of the summary."""
        return self.join(f"_{EDITIONS}", f"{self.edition:04d}", SUMMARY)

    @property
    def data(self) -> str:
        """The shards of output rows."""
        return self.join(DATA)

    @property
    def rejected(self) -> str:
        """The shards of rejected records."""
        return self.join(REJECTED)

    @property
    def summary(self) -> str:
        """The summary, as JSON."""
        return self.join(SUMMARY)

    @property
    def card(self) -> str:
        """The dataset card."""
        return self.join(CARD)

    @property
    def report(self) -> str:
        """The report, as HTML."""
        return self.join(REPORT)

    @property
    def removals(self) -> str:
        """What was removed from the dataset after it was published: hashed names, dates, numbers of rows."""
        return self.join(REMOVALS)

    @property
    def scores(self) -> str:
        """The scores of an evaluation, as JSON."""
        return self.join(SCORES)

    @property
    def notice(self) -> str:
        """The NOTICE table (`transforms.corpus.notice`)."""
        return self.join(NOTICE)

    @property
    def published(self) -> str:
        """Which files a published copy has, with their sizes and hashes."""
        return self.join(PUBLISHED)

    @property
    def publishing(self) -> str:
        """Exists while a published copy is being written to a bucket."""
        return self.join(PUBLISHING, "begun")

    @property
    def completed(self) -> str:
        """The file that marks the output as complete."""
        return self.join(COMPLETED)
