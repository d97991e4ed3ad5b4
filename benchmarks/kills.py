"""Kills jobs at random moments, runs the same command again, and compares the dataset with an uninterrupted run's.

    python -m benchmarks.kills [--trials 300] [--jobs filter dedup pack corpus infill docstring] [--seed 1]

For each job and each of its inputs (`benchmarks/kill_inputs.py`) one run without a kill is the reference. A trial
starts the same command in a process group of its own and strikes one to three times: SIGKILL, SIGTERM or SIGINT to the
driver's group, SIGKILL to every process of the job, to a worker alone, or to a row-pool process. Two thirds of the
strikes fall at a random moment of the job's usual duration, the others right after a stage was reached, since some
last for milliseconds only. Then the command runs to its end, and `benchmarks/kill_checks.py` compares what is there.

A trial also fails if a run ends with an exit code that its signal doesn't explain or prints a traceback, if the last
run doesn't end as the reference did, or if a process is alive ten seconds after the job's end. What the draws are
depends on the seed, the job and the trial's number alone; when exactly a signal arrives depends on the machine. The
folder of a trial that failed stays. Exit code 1 if any failed.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import kill_inputs
from benchmarks.kill_checks import faults_of
from benchmarks.kill_trials import STAGES, Job, Outcome, Place, run_trial, strikes_of

SLOWER = 1.05  # a job is taken to last so much longer each time, until one ends before its strike
SMALL = (
    *("--determinism", "exact", "--unit_rows", "1", "--slots", "4"),
    *("--max_prompt_tokens", "128", "--max_new_tokens", "16"),
)

JOBS: Mapping[str, Job] = {
    "filter": Job(kill_inputs.files_with_odd_ones, ("--unit_rows", "5"), ("worker", "pool"), share=6),
    "dedup": Job(kill_inputs.files_with_copies, ("--unit_rows", "8"), ("worker",)),
    "pack": Job(
        kill_inputs.repositories,
        ("--context_length", "2048"),
        ("worker", "pool"),
        stages=("group", "plan", "units", "merge", "publish", "complete"),
    ),
    "corpus": Job(
        kill_inputs.sources, ("--group_rows", "32"), stages=("plan", "units", "publish", "complete"), share=10
    ),
    "infill": Job(kill_inputs.few_files, SMALL, ("worker", "pool"), share=4),
    "docstring": Job(kill_inputs.few_files, SMALL, ("worker", "pool"), share=2),
}
DEFAULT_JOBS = ("filter", "dedup", "pack", "corpus", "infill")


def shares_of(names: Sequence[str], trials: int) -> dict[str, int]:
    """The number of trials of each job: by its share, rounded so that the sum is `trials`.

    >>> shares_of(["filter", "dedup", "pack", "corpus", "infill"], 300)
    {'filter': 60, 'dedup': 50, 'pack': 50, 'corpus': 100, 'infill': 40}
    """
    total = sum(JOBS[name].share for name in names)
    ends = [round(trials * sum(JOBS[name].share for name in names[: end + 1]) / total) for end in range(len(names))]
    return {name: end - begin for name, begin, end in zip(names, [0, *ends], ends, strict=False)}


@dataclass
class Reference:
    """An input of a job, and what an uninterrupted run over it gives. `seconds` follows the machine's load."""

    command: Sequence[str]
    output: Path
    seconds: float
    code: int


def make_reference(work: Path, name: str, job: Job, seed: int, variant: int) -> Reference:
    """Makes an input and runs the job over it without a kill, the first time twice.

    Raises:
        RuntimeError: The two runs differ, or failed.
    """
    data = work / "inputs" / f"{name}-{variant}"
    job.make_input(data, random.Random(f"{seed}:{name}:input {variant}"))
    words = [str(path) for path in sorted(data.iterdir())] if name == "corpus" else ["--input", str(data)]
    shared = ["--compile_cache", str(work / "programs")] if "--slots" in job.flags else []
    command = [sys.executable, "-m", "jobs", name, *words, "--output", "out", "--progress", "none", *job.flags, *shared]
    folders = [work / "references" / f"{name}-{variant}-{number}" for number in range(1 if variant else 2)]
    places = [Place(folder, command) for folder in folders]
    for place in places:
        place.folder.mkdir(parents=True)
        began = time.monotonic()
        place.start()
        place.usual_code = place.wait(600) or 0
        place.usual_s = time.monotonic() - began
    first, last = places[0], places[-1]
    if (faults := faults_of(last.output, first.output, last.scratch)) or first.usual_code not in (0, 3):
        raise RuntimeError(f"{name}: two runs without a kill, exit code {first.usual_code}, differ: {faults}")
    return Reference(command, first.output, last.usual_s, last.usual_code)


def table(outcomes: Mapping[str, Sequence[Outcome]]) -> str:
    """A line for each job: trials, signals by kind and by stage, and how many of its trials are equal."""
    lines = ["| job | trials | signals | of them | at stage | equal |", "|---|---|---|---|---|---|"]
    for name, trials in outcomes.items():
        hits = [hit for trial in trials for hit in trial.hits]
        kinds, stages = Counter(str(strike) for strike, _ in hits), Counter(stage for _, stage in hits)
        by_kind = ", ".join(f"{kind} {count}" for kind, count in kinds.most_common())
        by_stage = ", ".join(f"{stage} {stages[stage]}" for stage in STAGES if stages[stage])
        equal = sum(not trial.faults for trial in trials)
        lines.append(f"| {name} | {len(trials)} | {len(hits)} | {by_kind} | {by_stage} | {equal} of {len(trials)} |")
    return "\n".join(lines)


def kill_job(work: Path, name: str, numbers: Sequence[int], seed: int) -> Iterator[Outcome]:
    """Runs the job's trials of these numbers, and prints a line for each."""
    job = JOBS[name]
    references = [make_reference(work, name, job, seed, variant) for variant in range(job.inputs)]
    usual = ", ".join(f"{reference.seconds:.1f} s (exit code {reference.code})" for reference in references)
    print(f"{name}: uninterrupted runs take {usual}", flush=True)
    for number in numbers:
        reference = references[number % job.inputs]
        place = Place(work / "trials" / f"{name}-{number}", reference.command, reference.seconds, reference.code)
        place.folder.mkdir(parents=True)
        draw = random.Random(f"{seed}:{name}:{number}:processes")
        try:
            outcome = run_trial(place, strikes_of(name, job, seed, number), reference.output, draw)
        finally:
            place.end()
        reference.seconds = place.usual_s * SLOWER
        struck = ", ".join(f"{strike} ({stage})" for strike, stage in outcome.hits)
        verdict = f"DIFFERS: {'; '.join(outcome.faults)}" if outcome.faults else "equal"
        print(f"{name} {number}: {struck}: {verdict}; {outcome.seconds:.1f} s", flush=True)
        if outcome.faults:
            print(f"  repeat: --jobs {name} --seed {seed} --number {number}; kept: {place.folder}", flush=True)
        else:
            shutil.rmtree(place.folder)
        yield outcome


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=300, help="of all jobs together (default: 300)")
    parser.add_argument("--jobs", nargs="+", choices=JOBS, default=DEFAULT_JOBS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--number", type=int, help="only the trial of this number")
    parser.add_argument("--work", type=Path, help="folder for inputs and trials (default: a temporary one)")
    options = parser.parse_args(argv)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background of a shell, it is ignored by children
    work = Path(tempfile.mkdtemp(prefix="kills-", dir=options.work))
    outcomes: dict[str, list[Outcome]] = {}
    with contextlib.suppress(KeyboardInterrupt):  # the table tells of the trials that have ended
        for name, trials in shares_of(options.jobs, options.trials).items():
            numbers = range(trials) if options.number is None else [options.number]
            for outcome in kill_job(work, name, numbers, options.seed):
                outcomes.setdefault(name, []).append(outcome)
    print(table(outcomes))
    failed = sum(bool(trial.faults) for trials in outcomes.values() for trial in trials)
    if not failed:
        shutil.rmtree(work)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
