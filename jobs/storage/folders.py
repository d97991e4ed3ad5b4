"""The one owner of every path in an output: what is published, and the job's own records in `_job`.

    OUT/data/ OUT/rejected/                            shards, published
    OUT/README.md OUT/report.html OUT/summary.json     the pages beside them
    OUT/COMPLETED                                      written last, with the size of every shard
    OUT/_job/                                          the job's own records (`JobFolder`)

What is published names files by their public names; local paths are never published. `_job` holds them as they are.
"""

from __future__ import annotations

from dataclasses import dataclass

from jobs.storage.objects import join

JOB_FOLDER = "_job"
DATA, REJECTED = "data", "rejected"
COMPLETED = "COMPLETED"
SUMMARY, CARD, REPORT = "summary.json", "README.md", "report.html"
PAGES = (SUMMARY, CARD, REPORT)


@dataclass(frozen=True, slots=True)
class JobFolder:
    """`OUT/_job`: plan, commits, attempts, and who does what. Paths in its records are relative to it."""

    path: str

    def __str__(self) -> str:
        return self.path

    def __fspath__(self) -> str:
        return self.path

    def join(self, *parts: str) -> str:
        """A path below the folder."""
        return join(self.path, *parts)

    @property
    def job_file(self) -> str:
        """What the job is (`jobs.plan.job_file`), written last of the plan."""
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
    def commits(self) -> str:
        """One object a unit that is done or failed."""
        return self.join("commits")

    def commit(self, unit_id: str) -> str:
        """Where the unit's commit is."""
        return self.join("commits", f"{unit_id}.json")

    def voided(self, unit_id: str, attempt_id: str) -> str:
        """Where a commit that was voided is kept."""
        return self.join("voided", f"{unit_id}-{attempt_id}.json")

    @property
    def attempts(self) -> str:
        """What attempts wrote, committed or not: a folder a unit."""
        return self.join("attempts")

    def attempts_of(self, unit_id: str) -> str:
        """What attempts at one unit wrote."""
        return self.join("attempts", unit_id)

    @property
    def open_starts(self) -> str:
        """Marks of starts that haven't ended: a folder a session."""
        return self.join("journal", "open")

    def open_starts_of(self, session: str) -> str:
        """One session's marks."""
        return self.join("journal", "open", session)

    @property
    def deaths(self) -> str:
        """How workers died and what they had open."""
        return self.join("journal", "deaths")

    def death(self, session: str) -> str:
        """How one worker died."""
        return self.join("journal", "deaths", f"{session}.json")

    @property
    def heartbeats(self) -> str:
        """The last sign of life of each worker."""
        return self.join("heartbeats")

    def heartbeat(self, session: str) -> str:
        """One worker's last sign of life."""
        return self.join("heartbeats", f"{session}.json")

    @property
    def lock(self) -> str:
        """Who writes the output, by generation."""
        return self.join("lock")

    @property
    def shards(self) -> str:
        """Shard plans and merges: a folder a plan."""
        return self.join("shards")

    def shard(self, plan_id: str, *name: str) -> str:
        """A file of a shard plan, or its folder."""
        return self.join("shards", plan_id, *name)

    @property
    def grouping(self) -> str:
        """What the input was grouped into, and from what (`jobs.grouping`)."""
        return self.join("grouped.json")


@dataclass(frozen=True, slots=True)
class OutputFolder:
    """A job's output. `path` is local, or a URL that fsspec knows.

    >>> OutputFolder("gs://bucket/out").job.commit("000007-ab")
    'gs://bucket/out/_job/commits/000007-ab.json'
    """

    path: str

    def __str__(self) -> str:
        return self.path

    def __fspath__(self) -> str:
        return self.path

    def join(self, *parts: str) -> str:
        """A path below the folder."""
        return join(self.path, *parts)

    @property
    def job(self) -> JobFolder:
        """The job's own records."""
        return JobFolder(self.join(JOB_FOLDER))

    @property
    def data(self) -> str:
        """The shards of what was kept."""
        return self.join(DATA)

    @property
    def rejected(self) -> str:
        """The shards of what was rejected."""
        return self.join(REJECTED)

    @property
    def summary(self) -> str:
        """What became of everything, as JSON."""
        return self.join(SUMMARY)

    @property
    def card(self) -> str:
        """The dataset card."""
        return self.join(CARD)

    @property
    def report(self) -> str:
        """The report, a page."""
        return self.join(REPORT)

    @property
    def completed(self) -> str:
        """The mark that the output is complete."""
        return self.join(COMPLETED)
