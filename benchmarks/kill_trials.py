"""One trial of `benchmarks/kills.py`: which signals it draws, and how they are sent.

A job is started in a process group of its own with a TMPDIR of its own. All of its processes are found by a variable in
their environment, whatever group or session they are in.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks import kill_inputs
from benchmarks.kill_checks import faults_of
from benchmarks.processes import with_environment

ROOT = Path(__file__).parents[1]
MARK = "CODEMILL_KILLS_TRIAL"  # in the environment of every process of a trial
STAGES = ("start", "group", "plan", "units", "merge", "publish", "complete")
GRACE_S = 10.0  # in which every process of a job must have ended after its driver
END_S = 120.0  # in which a driver must have ended after a signal; generous, for machines that do other work
MAX_HIT_TRIES = 8


@dataclass(frozen=True)
class Job:
    """A job as it is killed.

    Args:
        flags: Its options, besides input and output.
        targets: The processes that it has, apart from the driver.
        stages: Those at which a strike can aim.
        share: Of all trials, in proportion to the other jobs.
    """

    make_input: kill_inputs.MakeInput
    flags: Sequence[str] = ()
    targets: Sequence[str] = ()
    stages: Sequence[str] = ("plan", "units", "merge", "publish", "complete")
    share: int = 5
    inputs: int = 2


@dataclass(frozen=True)
class Strike:
    """One signal. It is sent at a share of the job's usual duration after the start (or after the last strike, if that
    one left the job running), or so many seconds after a stage was reached.

    Args:
        target: `driver`: its process group; `all`: every process; `worker`, `pool`: one process of that kind.
    """

    target: str
    signal: signal.Signals
    share: float
    stage: str | None = None
    delay_s: float = 0.0

    def __str__(self) -> str:
        return f"{self.signal.name} to {self.target}"


def strikes_of(name: str, job: Job, seed: int, number: int) -> tuple[Strike, ...]:
    """The strikes of a trial, which depend on seed, job and number alone.

    A row-pool process is killed at most once and a worker at most twice: from then on, codemill rightly blames the row
    that was in flight.
    """
    draw = random.Random(f"{seed}:{name}:{number}")
    weights = {("driver", signal.SIGKILL): 5, ("all", signal.SIGKILL): 4, ("driver", signal.SIGTERM): 2}
    weights |= {("driver", signal.SIGINT): 2} | {(target, signal.SIGKILL): 3 for target in job.targets}
    left = {"pool": 1, "worker": 2}
    strikes = []
    for _ in range(draw.choices((1, 2, 3), (5, 3, 2))[0]):
        possible = {key: weight for key, weight in weights.items() if left.get(key[0], 1) > 0}
        target, number_of_signal = draw.choices(list(possible), list(possible.values()))[0]
        if target in left:
            left[target] -= 1
        stage = draw.choice(list(job.stages)) if draw.random() < 1 / 3 else None
        if target in ("worker", "pool") and stage is not None:
            stage = "units"  # the one in which they exist
        strikes.append(Strike(target, number_of_signal, draw.random(), stage, draw.uniform(0, 0.05)))
    return tuple(strikes)


def stage_of(output: Path) -> str:
    """How far a job has come, by what it has written."""
    job = output / "_job"
    if (output / "COMPLETED").exists():
        return "complete"
    if (output / "data").exists() or (output / "rejected").exists():
        return "publish"
    if (job / "shards").exists():
        return "merge"
    if (job / "job.json").exists():
        return "units"
    if (job / "grouped.json").exists():
        return "plan"
    if (job / "grouped").exists():
        return "group"
    return "plan" if job.exists() else "start"


def explains(strike: Strike, code: int, usual: int) -> bool:
    """Whether a run that was struck may have ended with this exit code: as if nothing had been (it was at its end, or a
    worker was replaced), by the signal itself (it came before the handler), or as the handler does.

    >>> explains(Strike("driver", signal.SIGTERM, 0.5), 143, 0), explains(Strike("driver", signal.SIGTERM, 0.5), 1, 0)
    (True, False)
    """
    if code == usual:
        return True
    return strike.target in ("driver", "all") and code in (-strike.signal, 128 + strike.signal)


# --- runs --------------------------------------------------------------------------------------------


@dataclass
class Place:
    """The folders of one trial, and how its job runs."""

    folder: Path
    command: Sequence[str]
    usual_s: float = 0.0
    usual_code: int = 0
    runs: int = 0
    process: subprocess.Popen[bytes] | None = None

    @property
    def output(self) -> Path:
        return self.folder / "out"

    @property
    def scratch(self) -> Path:
        return self.folder / "tmp"

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Starts the command, unless it still runs."""
        if self.is_running:
            return
        self.scratch.mkdir(parents=True, exist_ok=True)
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        environment = {**os.environ, MARK: str(self.folder), "TMPDIR": str(self.scratch), "PYTHONPATH": path}
        self.runs += 1
        with open(self.folder / f"run-{self.runs}.log", "wb") as log:
            self.process = subprocess.Popen(
                self.command, cwd=self.folder, env=environment, stdout=log, stderr=log, process_group=0
            )

    def wait(self, timeout_s: float) -> int | None:
        """The exit code; None where it didn't end in time."""
        assert self.process is not None
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def processes(self) -> dict[int, str]:
        """All processes of the trial, with their commands."""
        return with_environment(f"{MARK}={self.folder}")

    def await_silence(self) -> list[str]:
        """Waits until no process is left; the commands of those that are there after all."""
        deadline = time.monotonic() + GRACE_S
        while alive := self.processes():
            if time.monotonic() > deadline:
                return list(alive.values())
            time.sleep(0.05)
        return []

    def end(self) -> None:
        """Kills whatever is left of the trial."""
        for pid in self.processes():
            _send(pid, signal.SIGKILL)
        if self.process is not None:
            self.process.wait()


@dataclass
class Outcome:
    """What became of a trial: each strike that hit with its stage, and what is wrong."""

    hits: list[tuple[Strike, str]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0


def run_trial(place: Place, strikes: Sequence[Strike], reference: Path, draw: random.Random) -> Outcome:
    """One trial. Where the job ended before any strike, it is repeated, with no strike aimed at a stage."""
    began, outcome = time.monotonic(), Outcome()
    for attempt in range(MAX_HIT_TRIES):
        for strike in strikes:
            _strike(place, replace(strike, stage=None) if attempt else strike, outcome, draw)
            if not outcome.hits:
                break
        if outcome.hits or outcome.faults:
            break
        shutil.rmtree(place.output)
    limit_s = 60 + 10 * place.usual_s
    if place.is_running and (code := place.wait(limit_s)) not in (place.usual_code, None) and not _gave_up(place, code):
        outcome.faults.append(f"run {place.runs} went on after its worker's death and ended with {code}")
    place.start()
    code = place.wait(limit_s)
    if code != place.usual_code:
        outcome.faults.append(f"the last run {'did not end' if code is None else f'ended with {code}'}")
    outcome.faults += [f"still alive after the end: {command}" for command in place.await_silence()]
    outcome.faults += _tracebacks(place.folder)
    if code == place.usual_code:
        outcome.faults += faults_of(place.output, reference, place.scratch)
    outcome.seconds = time.monotonic() - began
    return outcome


def _strike(place: Place, strike: Strike, outcome: Outcome, draw: random.Random) -> None:
    place.start()
    assert place.process is not None
    began = time.monotonic()
    if not _await_moment(place, strike):
        if not outcome.hits:  # the machine has become faster
            place.usual_s = time.monotonic() - began
        return
    pids = _targets(place, strike.target, draw)
    stage = stage_of(place.output)
    if not pids or not place.is_running:
        return
    for pid in pids:
        _send(pid, strike.signal)
    outcome.hits.append((strike, stage))
    if strike.target not in ("driver", "all"):
        return
    code = place.wait(END_S)
    if code is None:
        outcome.faults.append(f"{strike} at {stage}: alive {END_S:g} s later")
        place.end()
    elif not explains(strike, code, place.usual_code) and not _was_starting(place):
        outcome.faults.append(f"{strike} at {stage}: run {place.runs} ended with {code}")
    if draw.random() < 0.5:  # otherwise the next run starts at once, maybe beside processes that still end
        outcome.faults += [f"{strike} at {stage}: still alive: {command}" for command in place.await_silence()]


def _await_moment(place: Place, strike: Strike) -> bool:
    """Waits for the strike's moment; False if the run ended before."""
    assert place.process is not None
    if strike.stage is None:
        return place.wait(strike.share * place.usual_s) is None
    while place.is_running:
        if STAGES.index(stage_of(place.output)) >= STAGES.index(strike.stage):
            time.sleep(strike.delay_s)
            return place.is_running
        time.sleep(0.004)
    return False


def _targets(place: Place, target: str, draw: random.Random) -> list[int]:
    """The processes to be struck (negative: a group); waits for one to appear while the job runs."""
    assert place.process is not None
    if target == "driver":
        return [-place.process.pid]
    while place.is_running:
        found = {"worker": [], "pool": [], "all": []}
        for pid, command in place.processes().items():
            found["all"].append(pid)
            if "jobs.execution.child" in command:
                found["worker"].append(pid)
            elif "multiprocessing.spawn" in command:
                found["pool"].append(pid)
        if found[target]:
            draw.shuffle(found[target])
            return found[target] if target == "all" else found[target][:1]
        time.sleep(0.01)
    return []


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(-pid, number) if pid < 0 else os.kill(pid, number)


def _gave_up(place: Place, code: int) -> bool:
    """Whether the supervisor ended the job, as it does after two deaths before any unit; committed work is kept."""
    log = (place.folder / f"run-{place.runs}.log").read_text(errors="replace")
    return code == 2 and "before starting any unit" in log


def _was_starting(place: Place) -> bool:
    """Whether the interpreter itself was still starting, which then ends with 1 before codemill's first line."""
    return "init_import_site" in (place.folder / f"run-{place.runs}.log").read_text(errors="replace")


def _tracebacks(folder: Path) -> Iterator[str]:
    """The runs that printed a traceback, other than the interpreter's for Ctrl-C before codemill has started."""
    for log in sorted(folder.glob("run-*.log")):
        text = log.read_text(errors="replace")
        if "Traceback (most recent call last)" in text and not text.rstrip().endswith("KeyboardInterrupt"):
            yield f"{log.name} has a traceback: {text.strip().splitlines()[-1]}"
