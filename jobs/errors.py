"""What can go wrong in a job, as a tree. Each class says what becomes of the job that raises it.

    Exception
    |-- model.errors.ConfigError       the user's mistake: one line, exit code 2
    |   |-- StorageFull                no space left; what is committed is kept
    |   |-- DoesNotFit                 an estimate for a model or shapes that no device holds
    |-- model.errors.RecordError       one row or target is rejected, with its reason
    |   |-- UnreadableUnit             a unit can't be read: it fails, the others go on (exit code 3)
    |-- ReportedBug                    exit code 1: one line that says more than a traceback
    |   |-- LedgerBroken               rows or targets were lost or counted twice
    |   |-- IncompleteJob              a unit has no commit
    |   |-- DamagedAttempt             a committed file isn't what its commit says
    |   |-- WorkerFailed               a worker ended with a bug
    |-- SchemaMismatch                 an input file that doesn't fit the others: it is bad, the others go on
    |-- MergeCanceled                  another merge failed, or the user interrupted: nobody waits for this one
    |-- transforms.work.WorkBroken     the work itself can't go on, whatever row it is given

Any other exception of a work is the fault of the row that it was given; anywhere else it is a bug with its traceback.
"""

from __future__ import annotations

from typing import ClassVar

from model.errors import ConfigError, RecordError


class StorageFull(ConfigError):
    """No space is left where the job writes. Nothing committed is lost: free some and run the command again."""


class DoesNotFit(ConfigError):
    """An estimate that can't be made. Its message states the fact; `advice` names flags of `codemill estimate`."""

    def __init__(self, fact: str, advice: str):
        super().__init__(fact)
        self.advice = advice


class UnreadableUnit(RecordError):
    """The unit's rows can't be read; `reason` is one of those in `jobs.execution.reading`."""


class ReportedBug(Exception):
    """A bug whose one line tells more than a traceback; `headline` is what comes before the message."""

    headline: ClassVar[str]


class LedgerBroken(ReportedBug):
    """A sum is off: rows or targets were lost or counted twice. Never to be published."""

    headline = "the counts don't add up, so nothing is published (this is a bug)"


class IncompleteJob(ReportedBug):
    """A unit of the plan has no commit."""

    headline = "nothing is published (this is a bug)"


class DamagedAttempt(ReportedBug):
    """A committed file is not what its commit says; running the same command again runs its unit anew."""

    headline = "a committed file was found corrupted a second time"


class WorkerFailed(ReportedBug):
    """A worker ended with a bug; its traceback is on standard error."""

    headline = "the worker stopped with a bug; its traceback is above"


class SchemaMismatch(Exception):
    """Two schemas that no one schema can hold; the text names the column and both types."""


class MergeCanceled(Exception):
    """Another merge failed or the user interrupted: this one's result is no longer wanted."""
