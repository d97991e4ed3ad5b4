"""`--metrics FILE.prom`: the state of a run as Prometheus's textfile collector reads it.

The file is replaced as a whole whenever the driver has looked at commits and heartbeats, every second or so, and stays
when the run has ended. All metrics have the labels `job` and `output`, which stay the same from night to night; the
run's name is a label of `codemill_run_info` alone, so that each night isn't a series of its own.

Source: https://github.com/prometheus/node_exporter#textfile-collector
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from prometheus_client import CollectorRegistry, write_to_textfile
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from jobs.monitoring.observer import Observer, RunFacts, State
from jobs.monitoring.summaries import check_local_file
from jobs.terminal.escapes import visible

_LABELS: Final = ("job", "output")
_PERIOD_S: Final = 0.5  # between two writes while the job runs
_STATES: Final = ("running", "complete", "failed", "stopped")


@dataclass(frozen=True)
class _Told:
    """A metric made of one fact of the progress: its name, what it says, and whether it only grows."""

    name: str
    help: str
    grows: bool = False


# By the name of the fact in `jobs.driver.progress.Snapshot`; of the plan's totals those of the same name.
_OF_PROGRESS: Final[Mapping[str, _Told]] = {
    "units_total": _Told("units_planned", "Units of work in the plan."),
    "units_done": _Told("units_done", "Units of work that are committed.", grows=True),
    "failed_units": _Told("units_failed", "Units of work that failed.", grows=True),
    "rows_total": _Told("rows_planned", "Source rows in the plan."),
    "rows_done": _Told("rows_done", "Source rows of committed units.", grows=True),
    "rejected": _Told("rows_rejected", "Source rows that were rejected.", grows=True),
    "rows_prepared": _Told("rows_prepared", "Source rows of which the targets are chosen.", grows=True),
    "files_seen": _Told("files_seen", "Files of sources that were seen.", grows=True),
    "steps_total": _Told("steps_planned", "Training steps of the run."),
    "steps_done": _Told("steps_done", "Training steps that are done.", grows=True),
    "targets_asked": _Told("targets_asked", "Targets whose prompts the engine has got.", grows=True),
    "targets_done": _Told("targets_done", "Targets that the engine has answered.", grows=True),
    "tokens_per_s": _Told("tokens_per_second", "Tokens generated a second, over the last two minutes, or trained on."),
    "slot_occupancy": _Told("slot_occupancy_ratio", "Share of the engine's slots that decode."),
    "compile_s": _Told("compile_seconds", "Seconds for which requests waited for compilation.", grows=True),
    "eta_s": _Told("remaining_seconds", "Estimate of the seconds that are left."),
    "workers": _Told("workers", "Worker processes with a heartbeat in the last half minute."),
    "rss_mb": _Told("resident_megabytes", "Resident memory of these workers."),
}


class MetricsFile(Observer):
    """Keeps the file.

    Args:
        path: The file, whose name must end in `.prom` for the collector to read it.
        facts: What stays the same during the run.
    """

    def __init__(self, path: str, facts: RunFacts):
        check_local_file("--metrics", path)
        self._path = path
        self._metrics = _Metrics(facts)
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self._metrics)
        self._written_at = 0.0

    def begin(self) -> None:
        self._write()

    def planned(self, totals: Mapping[str, Any]) -> None:
        self._metrics.progress.update(units_total=totals.get("units"), rows_total=totals.get("rows"))
        self._write()

    def progress(self, facts: Mapping[str, Any]) -> None:
        self._metrics.progress.update(facts)
        if time.monotonic() - self._written_at >= _PERIOD_S:
            self._write()

    def end(self, state: State, summary: Mapping[str, Any]) -> None:
        self._metrics.end(state, summary["exit_codes"])
        self._write()

    def _write(self) -> None:
        write_to_textfile(self._path, self._registry)  # under another name first, then renamed
        self._written_at = time.monotonic()


class _Metrics(Collector):
    """The metrics as they are now."""

    def __init__(self, facts: RunFacts):
        self._facts = facts
        self._labels = (facts.job, visible(facts.output))
        self._state = "running"
        self._began = time.time()
        self._ended: float | None = None
        self._exit_code: int | None = None
        self.progress: dict[str, Any] = {}

    def end(self, state: str, exit_codes: Sequence[int]) -> None:
        self._state, self._ended = state, time.time()
        self._exit_code = next(iter(exit_codes), 0)

    def collect(self) -> Iterator[Metric]:
        info = GaugeMetricFamily("codemill_run_info", "The run.", labels=[*_LABELS, "run_id"])
        info.add_metric([*self._labels, visible(self._facts.run_id)], 1)
        yield info
        state = GaugeMetricFamily(
            "codemill_run_state", "1 for the state that the run is in.", labels=[*_LABELS, "state"]
        )
        for name in _STATES:
            state.add_metric([*self._labels, name], float(name == self._state))
        yield state
        yield from self._gauge("start_time_seconds", "When the run began.", self._began)
        yield from self._gauge("end_time_seconds", "When the run ended.", self._ended)
        yield from self._gauge("exit_code", "Exit code of the run that has ended.", self._exit_code)
        for fact, told in _OF_PROGRESS.items():
            if told.grows and self.progress.get(fact) is not None:
                counter = CounterMetricFamily(f"codemill_{told.name}", told.help, labels=_LABELS)
                counter.add_metric(self._labels, self.progress[fact])
                yield counter
            else:
                yield from self._gauge(told.name, told.help, self.progress.get(fact))

    def _gauge(self, name: str, about: str, value: float | None) -> Iterator[Metric]:
        if value is not None:
            gauge = GaugeMetricFamily(f"codemill_{name}", about, labels=_LABELS)
            gauge.add_metric(self._labels, value)
            yield gauge
