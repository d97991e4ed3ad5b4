"""One job on one machine, on Flink, and with `codemill work`: rows, wall and processor time, what a kill costs.

    python -m benchmarks.clusters run --corpus FILE --way local --results RESULTS.json
    python -m benchmarks.clusters run --corpus FILE --way work flink --kills host driver --results RESULTS.json
    python -m benchmarks.clusters table RESULTS.json

    local    a driver with two worker processes
    work     a driver with `--run_units elsewhere`, and two `codemill work` with one worker process each
    flink    a cluster of two TaskManagers that is up before the clock starts, a worker process in each

`run` filters the first `--mb` of the corpus as few and as many units (the difference is what a unit costs), has
infill complete a few of its rows, and sends SIGKILL after a third of the units; results are appended, so that a long
measurement can be divided. Rows are compared by a hash of all sorted rows. Processor time is that of all processes:
what they and those for which they have waited have used, the JVMs of Flink included. This process adopts orphans, so
the children of what was killed count as well.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import resource
import signal
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow.parquet as pq

from tests.cluster import machines, parts
from tests.cluster.commands import CHILD, HARNESS, MARK, Command, Host, commits_in, rows_sha256, until, workers

FEW, MANY = 256, 8  # rows of a unit
CLAIM_TIMEOUT_S = 10  # after which a host that is gone is missed, as Flink's heartbeat timeout here
FILTER = ("filter", "--progress", "none")
INFILL = (
    *("infill", "--limit", "12", "--unit_rows", "3", "--determinism", "exact", "--spans_per_file", "1"),
    *("--slots", "4", "--max_prompt_tokens", "128", "--max_new_tokens", "16", "--progress", "none"),
)
_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


@dataclass(frozen=True)
class Result:
    """A run of a job.

    Args:
        way: Which of `WAYS`.
        job: `filter, few units`, ...
        kill: What was killed; empty if nothing.
        units: Number of units.
        wall_s: From the driver's start to the end of the last process; the restart of a killed driver included.
        processor_s: Processor time of all processes.
        rows_sha256: A hash of the sorted rows, kept and rejected.
    """

    way: str
    job: str
    kill: str
    units: int
    wall_s: float
    processor_s: float
    rows_sha256: str


class Place:
    """Where the runs of one way are made. Use it as a context.

    Args:
        folder: For outputs.
        corpus: The input.
    """

    name = "local"
    worker_flags: tuple[str, ...] = ("--workers", "2")
    kinds = ("worker", "driver")  # what can be killed

    def __init__(self, folder: Path, corpus: Path):
        self.folder, self.corpus = folder, corpus
        self.mark = uuid.uuid4().hex
        os.environ[MARK] = self.mark  # of all that is started from here

    def __enter__(self) -> Place:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def beam_flags(self) -> Sequence[str]:
        """Beam's flags of a job."""
        return ()

    def servers(self) -> list[int]:
        """Processes that are there before and after a run."""
        return []

    @contextlib.contextmanager
    def helpers(self, output: Path) -> Iterator[None]:
        """What is started beside a driver, and has ended with the block."""
        yield

    def strike(self, kind: str) -> None:
        """Kills something other than the driver."""
        self._kill_one({"worker": CHILD, "harness": HARNESS}[kind])

    def _kill_one(self, part: str) -> None:
        until(lambda: bool(workers(self.mark, part)))
        os.kill(workers(self.mark, part)[0], signal.SIGKILL)


class Hosts(Place):
    """A driver that waits for two `codemill work`."""

    name = "work"
    worker_flags = ("--run_units", "elsewhere", "--claim_timeout_s", str(CLAIM_TIMEOUT_S))
    kinds = ("worker", "host", "driver")
    _running: tuple[Host, ...] = ()

    @contextlib.contextmanager
    def helpers(self, output: Path) -> Iterator[None]:
        self._running = tuple(Host(output, name, self.mark) for name in ("one", "two"))
        try:
            yield
            for host in self._running:
                host.wait()
        finally:
            for host in self._running:
                host.kill()

    def strike(self, kind: str) -> None:
        self._running[0].kill() if kind == "host" else super().strike(kind)


class Flink(Place):
    """A cluster of two TaskManagers."""

    name = "flink"
    worker_flags = ("--workers", "1")
    kinds = ("worker", "harness", "TaskManager", "driver")

    def __enter__(self) -> Place:
        (folder := self.folder / "flink").mkdir()
        self._cluster = machines.FlinkCluster(folder, flink=parts.flink(), job_server=parts.job_server_jar())
        self._boot = machines.write_boot(folder, JAX_PLATFORMS="cpu", **{MARK: self.mark})
        return self

    def __exit__(self, *exc: object) -> None:
        self._cluster.close()

    def beam_flags(self) -> Sequence[str]:
        return self._cluster.beam_flags(self._boot)

    def servers(self) -> list[int]:
        cluster = self._cluster
        return [one.pid for one in (cluster.job_manager, cluster.job_server, *cluster.task_managers)]

    @contextlib.contextmanager
    def helpers(self, output: Path) -> Iterator[None]:
        yield
        until(lambda: not workers(self.mark, HARNESS))

    def strike(self, kind: str) -> None:
        if kind == "TaskManager":
            self._cluster.task_managers.pop(0).kill()
            self._cluster.add_task_manager()
        else:
            super().strike(kind)


WAYS: dict[str, type[Place]] = {place.name: place for place in (Place, Hosts, Flink)}


def run_once(place: Place, job: str, words: Sequence[str], kill: str = "") -> Result:
    """Runs a job, with a kill in its middle if one is named. Raises AssertionError if it fails."""
    output = place.folder / uuid.uuid4().hex[:8]
    command = [*words, *place.worker_flags, "--input", str(place.corpus)]
    reap_orphans()
    before, began = processor_s(place.servers()), time.monotonic()
    driver = Command(command, output, place.beam_flags())
    with place.helpers(output):
        if kill:
            driver.wait_for_commits(max(1, planned_units(driver) // 3))
            if kill == "driver":
                driver.kill()
                driver = Command(command, output, place.beam_flags())
            else:
                place.strike(kind=kill)
        assert driver.wait() == 0, driver.said
    wall_s = time.monotonic() - began
    reap_orphans()
    used = processor_s(place.servers()) - before
    rows = rows_sha256(output)
    return Result(place.name, job, kill, commits_in(output), wall_s, used, f"{rows['data']} {rows['rejected']}")


def planned_units(driver: Command) -> int:
    """The number of units of a job, once its plan is frozen."""
    plan = driver.output / "_job" / "plan.parquet"
    until(lambda: plan.exists() or not driver.is_running)
    assert driver.is_running, driver.said
    return int(pq.read_metadata(plan).num_rows)


def processor_s(servers: Sequence[int]) -> float:
    """Processor time so far of all children that have ended, with theirs, and of servers, with theirs."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime + sum(map(_used_s, servers))


def reap_orphans() -> None:
    """Waits for the children that ended; whatever has a `Popen` here must have been waited for."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _used_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def make_corpus(source: Path, folder: Path, mb: float) -> Path:
    """Writes about so many megabytes of the source's text, in row groups of `FEW` rows."""
    left, path = mb * 1e6, folder / "corpus.parquet"
    with pq.ParquetWriter(path, pq.read_schema(source)) as writer:
        for batch in pq.ParquetFile(source).iter_batches(FEW):
            if left <= 0:
                break
            writer.write_batch(batch, FEW)
            left -= sum(map(len, batch.column("content").to_pylist()))
    return path


# --- the command -----------------------------------------------------------------------------------------


def run(asked: argparse.Namespace) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    jobs = {
        "filter, few units": (*FILTER, "--unit_rows", str(FEW)),
        "filter, many units": (*FILTER, "--unit_rows", str(MANY)),
        "infill": INFILL,
    }
    for way in asked.way:
        with tempfile.TemporaryDirectory(prefix="clusters-") as name:
            corpus = make_corpus(asked.corpus, Path(name), asked.mb)
            with WAYS[way](Path(name), corpus) as place:
                for job in asked.jobs:
                    add(asked.results, run_once(place, job, jobs[job]))
                for kill in filter(place.kinds.__contains__, asked.kills):
                    add(asked.results, run_once(place, "filter, many units", jobs["filter, many units"], kill))


def add(file: Path, result: Result) -> None:
    print(f"{result.way:6} {result.job:20} {result.kill:12} {result.units:5} units {result.wall_s:7.1f} s wall "
          f"{result.processor_s:7.1f} s processor", flush=True)  # fmt: skip
    found = json.loads(file.read_text()) if file.exists() else []
    file.write_text(json.dumps([*found, asdict(result)], indent=1) + "\n")


def table(file: Path) -> Iterator[str]:
    """The lines of the tables: what jobs took, and what kills cost. Medians of the runs there are."""
    results = [Result(**entry) for entry in json.loads(file.read_text())]
    ways = [way for way in WAYS if any(result.way == way for result in results)]

    def middle(way: str, job: str, of: Callable[[Result], float], kill: str = "") -> float:
        found = [of(one) for one in results if (one.way, one.job, one.kill) == (way, job, kill)]
        return statistics.median(found) if found else float("nan")

    hashes = {(one.job.partition(",")[0], one.rows_sha256) for one in results}
    yield f"rows equal: {len(hashes) == len({job for job, _ in hashes})} in {len(results)} runs"
    yield "| job, units | " + " | ".join(f"{way}: wall, s | processor, s" for way in ways) + " |"
    yield "|---|" + "---:|---:|" * len(ways)
    for job in dict.fromkeys(result.job for result in results):
        units = next(result.units for result in results if result.job == job)
        cells = (f"{middle(way, job, _wall):.1f} | {middle(way, job, _used):.1f}" for way in ways)
        yield f"| {job} ({units}) | {' | '.join(cells)} |"
    few, many = "filter, few units", "filter, many units"
    units = max(one.units for one in results if one.job == many) - max(one.units for one in results if one.job == few)
    cells = (
        f"{1000 * (middle(way, many, of) - middle(way, few, of)) / units:.1f}" for way in ways for of in (_wall, _used)
    )
    yield f"| *ms a unit* | {' | '.join(cells)} |"
    for kill in dict.fromkeys(result.kill for result in results if result.kill):
        costs = (f"{middle(way, many, of, kill) - middle(way, many, of):+.1f}" for way in ways for of in (_wall, _used))
        yield f"| *SIGKILL of a {kill}* | {' | '.join(costs).replace('+nan', '')} |"


def _wall(result: Result) -> float:
    return result.wall_s


def _used(result: Result) -> float:
    return result.processor_s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("run")
    command.set_defaults(do=run)
    command.add_argument("--corpus", type=Path, required=True)
    command.add_argument("--mb", type=float, default=30)
    command.add_argument("--way", nargs="+", choices=list(WAYS), default=list(WAYS))
    command.add_argument("--jobs", nargs="*", default=["filter, few units", "filter, many units", "infill"])
    command.add_argument("--kills", nargs="*", default=["worker", "harness", "TaskManager", "host", "driver"])
    command.add_argument("--results", type=Path, required=True)
    command = commands.add_parser("table")
    command.set_defaults(do=lambda asked: print("\n".join(table(asked.results))))
    command.add_argument("results", type=Path)
    asked = parser.parse_args()
    asked.do(asked)


if __name__ == "__main__":
    main()
