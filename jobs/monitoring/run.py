"""The run of a job as schedulers and monitors see it: it begins, is planned, makes progress, and ends in one of four
ways.

    with monitored("filter", options) as run:       what raises inside ends the run as failed or stopped
        run.planned(files=2, rows=100)
        run.progress(units_done=1, units_total=4)
        run.complete(summary)                       exit codes included

What is told goes to observers: the log (`--log_format json`), a file of metrics (`--metrics`), a copy of the summary
(`--summary`), OpenLineage (`--openlineage`). Progress comes from the driver's own look at commits and heartbeats, so no
observer costs the workers anything. An observer that fails says so once and never fails the job.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import logging
import os
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, Final, TypeVar

from jobs.errors import ReportedBug
from jobs.monitoring.observer import Observer, RunFacts, State
from jobs.monitoring.summaries import SummaryCopy, check_summary_path
from jobs.options.report import RunOptions
from jobs.system.clock import utc_now
from jobs.system.exit_codes import code_of
from jobs.terminal.escapes import is_formatted, print_line
from model.errors import ConfigError, one_line

_OBSERVERS: Final = "jobs.monitoring"
_SHOWN_INPUTS: Final = 16
_log = logging.getLogger(__name__)
_current: ContextVar[Run | None] = ContextVar("run", default=None)
Opt = TypeVar("Opt", bound=RunOptions)


class Run:
    """One run.

    Args:
        facts: What stays the same.
        observers: Who is told.
    """

    def __init__(self, facts: RunFacts, observers: list[Observer]):
        self.facts = facts
        self._observers = observers
        self._progress: dict[str, Any] = {}
        self._has_ended = False

    def begin(self) -> None:
        """The run begins."""
        self._tell(lambda one: one.begin())

    def planned(self, **totals: Any) -> None:
        """What there is to do is known."""
        self._tell(lambda one: one.planned(totals))

    def progress(self, **facts: Any) -> None:
        """How far it is."""
        self._progress = facts
        self._tell(lambda one: one.progress(facts))

    def complete(self, summary: Mapping[str, Any]) -> None:
        """The output is complete; the summary's exit codes are those of this run."""
        self._end("complete", summary)

    def stopped(self, summary: Mapping[str, Any]) -> None:
        """The run has stopped where it was told to; the same command resumes it."""
        self._end("stopped", {**summary, "progress": self._progress})

    def failed(self, error: BaseException) -> None:
        """An exception has ended the run; nothing happens if it had ended already."""
        self._end(_state_of(error), self.failure(error))

    def failure(self, error: BaseException) -> dict[str, Any]:
        """The summary of a run that an exception has ended."""
        head = self.summary(_state_of(error), [code_of(error)])
        return {**head, "error": _line_of(error), "progress": self._progress}

    def summary(self, state: State, exit_codes: Sequence[int]) -> dict[str, Any]:
        """What the summary of any run says that ends now; `exit_codes` in their order."""
        return {
            "job": self.facts.job,
            "run_id": self.facts.run_id,
            "state": state,
            "started": self.facts.started,
            "finished": utc_now(),
            "exit_codes": list(exit_codes),
        }

    def _end(self, state: State, summary: Mapping[str, Any]) -> None:
        if not self._has_ended:
            self._has_ended = True
            self._tell(lambda one: one.end(state, summary))

    def _tell(self, tell: Callable[[Observer], None]) -> None:
        for one in list(self._observers):
            try:
                tell(one)
            except ConfigError:
                raise
            except Exception as error:
                # A collector that is away, a full disk: monitoring is beside the job.
                self._observers.remove(one)
                _log.warning("%s: %s: it is told nothing more", type(one).__name__, one_line(error))


def with_run_id(options: Opt) -> Opt:
    """The options with a name for this run, unless they have one."""
    return options if options.run_id else dataclasses.replace(options, run_id=str(uuid.uuid4()))


@contextlib.contextmanager
def monitored(job: str, options: RunOptions) -> Iterator[Run]:
    """A run that lasts as long as the block; an inner block of the same run id is part of the outer one's run.

    Raises:
        ConfigError: A file for metrics or the summary can't be written, or the client of OpenLineage isn't installed.
    """
    outer = _current.get()
    if outer is not None and outer.facts.run_id == options.run_id:
        yield outer
        return
    run = _open_run(job, with_run_id(options))
    token = _current.set(run)
    try:
        run.begin()
        yield run
    except BaseException as error:
        run.failed(error)
        raise
    finally:
        _current.reset(token)


def _open_run(job: str, options: RunOptions) -> Run:
    assert options.run_id is not None
    inputs: tuple[str, ...] = getattr(options, "input", None) or getattr(options, "source", None) or ()
    facts = RunFacts(
        job=job,
        run_id=options.run_id,
        output=str(getattr(options, "output", "")),
        inputs=inputs,
        started=utc_now(),
    )
    check_summary_path(options.summary)
    if getattr(options, "dry_run", False):  # nothing runs
        return Run(facts, [])
    observers: list[Observer] = [_LogEvents(facts)] if is_formatted() else []
    if options.summary is not None:
        observers.append(SummaryCopy(options.summary))
    # What most runs don't need takes a while to import.
    if options.metrics is not None:
        observers.append(importlib.import_module(f"{_OBSERVERS}.prometheus").MetricsFile(options.metrics, facts))
    if getattr(options, "openlineage", False):
        observers.append(importlib.import_module(f"{_OBSERVERS}.lineage_events").LineageEvents(facts))
    return Run(facts, observers)


class _LogEvents(Observer):
    """Puts events with their facts into a log of JSON lines; the progress line is an event already."""

    def __init__(self, facts: RunFacts):
        self._facts = facts

    def begin(self) -> None:
        f = self._facts
        self._print("the run begins", event="start", input=f.inputs[:_SHOWN_INPUTS], output=f.output, pid=os.getpid())

    def planned(self, totals: Mapping[str, Any]) -> None:
        self._print("the job is planned", event="plan", **totals)

    def end(self, state: State, summary: Mapping[str, Any]) -> None:
        told = {name: summary[name] for name in _TOLD if name in summary}
        level = "error" if summary["exit_codes"] else "info"
        code = next(iter(summary["exit_codes"]), 0)
        self._print(f"the run ends: {state}", event="end", level=level, state=state, exit_code=code, **told)

    def _print(self, text: str, **facts: Any) -> None:
        print_line(text, **facts)


_TOLD: Final = (
    "exit_codes",
    "rows",
    "targets",
    "units",
    "seconds",
    "shards",
    "error",
    "progress",
    "files_seen",
    "steps",
)


def _state_of(error: BaseException) -> State:
    return "stopped" if isinstance(error, KeyboardInterrupt) else "failed"


def _line_of(error: BaseException) -> str:
    """What to say of the error; of a bug only its type, as its message may quote a row."""
    if isinstance(error, ConfigError):
        return one_line(error)
    if isinstance(error, ReportedBug):
        return one_line(f"{error.headline}: {error}")
    if isinstance(error, KeyboardInterrupt):
        return f"stopped by signal {code_of(error) - 128}"
    return f"a bug: {type(error).__name__}"
