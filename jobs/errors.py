"""The exceptions of a job, as a tree. Each class states the consequence for the job that raises it.

    Exception
    |-- model.errors.ConfigError       a mistake in the command, its options or the setup: one line, exit code 2
    |   |-- StorageFull                no space left; committed work is kept
    |   |-- DoesNotFit                 an estimate for a model or shapes that fit no device
    |-- model.errors.RecordError       one row or target is rejected, with its reason
    |   |-- UnreadableUnit             a unit or part of one can't be read: it fails, the rest continues (exit code 3)
    |-- ReportedBug                    exit code 1: one line that explains more than a traceback
    |   |-- LedgerBroken               rows or targets were lost or counted twice
    |   |-- IncompleteJob              a unit has no commit
    |   |-- EveryRowFailed             every row ended in the same error of a stage
    |   |-- DamagedAttempt             a committed file differs from its commit
    |   |-- WorkerFailed               a worker ended with a bug
    |-- OSError
    |   |-- UploadLost                 an upload ended without its object: the attempt is repeated under a new name
    |-- OutOfMemory                    an allocation failed while other units were in flight: the unit runs again, alone
    |-- SchemaMismatch                 an input file that doesn't match the others: it is bad, the others continue
    |-- MergeCanceled                  another merge failed, or the user interrupted: this result is not needed
    |-- transforms.work.WorkBroken     the work can't continue, whichever row it gets

Any other exception raised by a work is attributed to the row it was running. Raised anywhere else, it is a bug and its
traceback is printed.
"""

from __future__ import annotations

from typing import ClassVar, Final

from model.errors import ConfigError, RecordError


class StorageFull(ConfigError):
    """No space is left where the job writes. No committed work is lost: free some space and run the command again."""


class DoesNotFit(ConfigError):
    """No estimate is possible. The message states the fact; `advice` names flags of `codemill estimate`."""

    def __init__(self, fact: str, advice: str):
        super().__init__(fact)
        self.advice = advice


class UnreadableUnit(RecordError):
    """The unit's rows can't be read; `jobs.execution.reading` lists the values of `reason`."""


RUN_STAGE: Final = "run"
"""Stage of a row for which the job's work as a whole failed."""
OUT_OF_MEMORY: Final = "out_of_memory"
"""Reason of a row, file or unit for which the memory that there was is too little."""

UNREADABLE: Final = frozenset(
    {
        "crashed_on_read",
        "damaged_input",
        "input_changed",
        "input_missing",
        "input_unreadable",
        OUT_OF_MEMORY,
        "timeout",
    }
)
"""Reasons why rows of a unit can't be read, of stage `READ_STAGE` where the unit has others that can: exit code 3."""


class OutOfMemory(Exception):
    """An allocation failed while other units were in flight, so it says nothing about this unit."""


class ReportedBug(Exception):
    """A bug that one line explains better than a traceback; `headline` precedes the message."""

    headline: ClassVar[str]


class LedgerBroken(ReportedBug):
    """The sums differ: rows or targets were lost or counted twice. The output must not be published."""

    headline = "the counts don't add up, so nothing is published (this is a bug)"


class IncompleteJob(ReportedBug):
    """A unit of the plan has no commit."""

    headline = "nothing is published (this is a bug)"


class EveryRowFailed(ReportedBug):
    """Every row ended in the same error of a stage, which is therefore a fault of the job and not of its rows."""

    headline = "nothing is published (this is a bug, or a set-up that can't work)"


class DamagedAttempt(ReportedBug):
    """A committed file differs from its commit; running the same command again reruns its unit."""

    headline = "a committed file was found corrupted a second time"


class WorkerFailed(ReportedBug):
    """A worker ended with a bug; its traceback is on standard error."""

    headline = "the worker stopped with a bug; its traceback is above"


class UploadLost(OSError):
    """The storage no longer knows an upload that was under way: all of it must be written again."""


class SchemaMismatch(Exception):
    """Two schemas that can't be unified; the message names the column and both types."""


class MergeCanceled(Exception):
    """Another merge failed or the user interrupted: this merge's result is no longer needed."""
