"""Five nights of a corpus that grows: revisions of real repositories, opt-outs, kills, a deletion, and a checker.

    python -m benchmarks.five_nights GIT_DIRECTORY GIT_DIRECTORY GIT_DIRECTORY --work FOLDER [--months 6]

Each night checks out every repository as it was so many months before the next night, makes a corpus of them, and grows
a dataset of it with `filter --grow --drop_gone`:

    night 1  the first edition
    night 2  what has changed since
    night 3  one repository opts out (the last one named)
    night 4  the job is killed (SIGKILL, its whole process group) a few times, at moments drawn from how long it takes
    night 5  before it grows, two paths and two contents are forgotten; they must not come back
    then     `retain` drops all but two editions, and the same command says that there is nothing to do

Beside it, a chain of four steps grows over the same nights, each on what the one before it has grown to: `corpus
--grow`, `filter --grow`, `dedup --grow` and `pack --grow`. It has the same opt-out, kills and deletion (`forget
--cascade`).

After each step `benchmarks/night_checks.py`, which imports nothing of codemill, compares the rows with those of a
dataset that was made at once from the same corpus, with git, and each edition with what it was. With `--readers PYTHON`
that program runs it, and datasets, DuckDB and Polars read every edition too. Exit code 1 if anything differs.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

ROOT = Path(__file__).parents[1]
NIGHTS = 5
NIGHT_OF_KILLS, KILLS = 4, 3
GROW = ("--grow", "--drop_gone")
_FLAGS = ("--progress", "none", "--workers", "1")
_PACK = ("--policy", "none", "--context_length", "2048")
_FILTER = ("--policy", "none", "--no-decontaminate")


@dataclass
class Nights:
    """The simulation.

    Args:
        work: Its folder.
        repositories: The git directory of each repository, by its name.
        python: The program that runs the checks; None: this one, without other readers.
        forgotten, opted_out: What the dataset must not have.
        faults: How many checks have failed.
    """

    work: Path
    repositories: dict[str, Path]
    python: str | None = None
    forgotten: dict[str, list[str]] = field(default_factory=lambda: {"paths": [], "hashes": []})
    opted_out: list[str] = field(default_factory=list)
    faults: int = 0

    @property
    def output(self) -> Path:
        """The dataset that grows."""
        return self.work / "clean"

    def corpus(self, night: int, commits: dict[str, str]) -> None:
        """Makes the corpus of a night."""
        for name, commit in commits.items():
            tree = self.work / "trees" / name
            if not tree.exists():
                _run("git", "clone", "-q", "--no-checkout", str(self.repositories[name]), str(tree))
            _run("git", "-C", str(tree), "checkout", "-q", "--force", commit)
        trees = [str(self.work / "trees" / name) for name in commits]
        self.command(
            f"night {night}: corpus", "corpus", *trees, "--output", str(self.work / f"corpus-{night}"), *_FLAGS
        )

    def filter(self, night: int, what: str, output: Path, *more: str) -> None:
        """Runs `filter` on the corpus of a night."""
        self.command(what, *self.filter_words(self.work / f"corpus-{night}", output), *more)

    def filter_words(self, corpus: Path, output: Path) -> list[str]:
        """The command line of `filter`."""
        return ["filter", "--input", str(corpus), "--output", str(output), *_FILTER, *_FLAGS, *self.opt_out]

    @property
    def opt_out(self) -> list[str]:
        """The option of a job, if anybody has opted out."""
        if not self.opted_out:
            return []
        path = self.work / "opt_out.txt"
        path.write_text("\n".join(self.opted_out) + "\n")
        return ["--opt_out", str(path)]

    def command(self, what: str, *words: str) -> None:
        """Runs a command of codemill to its end, and says how long it took."""
        began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
        ended = subprocess.run([sys.executable, "-m", "jobs", *words], cwd=ROOT, capture_output=True, text=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        told = [line for line in (ended.stdout + ended.stderr).splitlines() if _is_telling(line)]
        print(f"{what}: exit code {ended.returncode}, {time.monotonic() - began:.1f} s, processor {cpu_s:.1f} s")
        print(*(f"    {line}" for line in told), sep="\n", flush=True)
        if ended.returncode:
            self.faults += 1
            print(ended.stdout, ended.stderr)

    def killed(self, night: int, times: int, *words: str) -> None:
        """Starts the night's growth and kills it, again and again, ever later."""
        draw = random.Random(night)
        for number in range(times):
            job = subprocess.Popen(
                [sys.executable, "-m", "jobs", *words],
                cwd=ROOT,
                start_new_session=True,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            time.sleep(draw.uniform(1.0, 3.0) * (number + 1))
            was_running = job.poll() is None
            if was_running:
                os.killpg(job.pid, signal.SIGKILL)
            job.wait()
            ended = "killed" if was_running else f"ended with {job.returncode}"
            print(f"night {night}: {words[0]}: {ended}, try {number + 1}")

    def once(self, night: int) -> Path:
        """The dataset of a night's corpus made at once."""
        once = self.work / "once"
        shutil.rmtree(once, ignore_errors=True)
        self.filter(night, f"night {night}: made at once", once)
        return once

    def check(self, output: Path, commits: dict[str, str], **compared: str) -> None:
        """Compares a dataset with another one, and with what it was. `compared` tells with what (`night_checks`)."""
        snapshots = self.work / "snapshots" / output.name
        snapshots.mkdir(exist_ok=True, parents=True)
        spec = {
            "output": str(output),
            **compared,
            "forgotten": self.forgotten,
            "opted_out": self.opted_out,
            "trees": {name: [str(self.repositories[name]), commit] for name, commit in commits.items()},
            "snapshots": str(snapshots),
            "readers": self.python is not None,
        }
        path = self.work / "spec.json"
        path.write_text(json.dumps(spec))
        checked = subprocess.run([self.python or sys.executable, str(ROOT / "benchmarks/night_checks.py"), str(path)])
        self.faults += checked.returncode != 0

    def forget(self) -> list[str]:
        """Forgets two paths and two contents that several editions have; returns the options that name them."""
        shards = sorted((self.output / "data").glob("*.parquet"))
        rows = [row for path in shards for row in _rows(path) if row["repo_name"] not in self.opted_out]
        some = random.Random(5).sample(rows, 4)
        paths = [row["path"] for row in some[:2]]
        hashes = [row["lineage"]["content_sha256"] for row in some[2:]]
        words = ["--path", *paths, "--content_hash", *hashes]
        self.command("night 5: forget", "forget", str(self.output), *words)
        self.forgotten = {"paths": paths, "hashes": hashes}
        return words


@dataclass
class Chain:
    """Four steps that grow on each other.

    Args:
        nights: The simulation that it is part of.
    """

    nights: Nights

    @property
    def folder(self) -> Path:
        """The folder of its outputs."""
        return self.nights.work / "steps"

    def commands(self, commits: dict[str, str]) -> dict[str, list[str]]:
        """The command line of each step by its output."""
        nights, steps = self.nights, self.folder
        trees = [str(nights.work / "trees" / name) for name in commits]
        return {
            "corpus": ["corpus", *trees, "--output", str(steps / "corpus"), *_FLAGS, *nights.opt_out, *GROW],
            "filtered": [*nights.filter_words(steps / "corpus", steps / "filtered"), *GROW],
            "unique": ["dedup", "--input", str(steps / "filtered"), "--output", str(steps / "unique"), *_FLAGS, *GROW],
            "packed": [
                "pack",
                "--input",
                str(steps / "unique"),
                "--output",
                str(steps / "packed"),
                *_PACK,
                *_FLAGS,
                *GROW,
            ],
        }

    def grow(self, night: int, commits: dict[str, str]) -> None:
        """Grows all steps; in the fourth night they are killed before."""
        for name, words in self.commands(commits).items():
            if night == NIGHT_OF_KILLS:
                self.nights.killed(night, KILLS, *words)
            self.nights.command(f"night {night}: grow {name}", *words)

    def check(self, once: Path, commits: dict[str, str]) -> None:
        """Compares each step with what it should be; the corpus with one that is made at once."""
        nights, made = self.nights, self.nights.work / "corpus-once"
        shutil.rmtree(made, ignore_errors=True)
        trees = [str(nights.work / "trees" / name) for name in commits]
        nights.command("corpus made at once", "corpus", *trees, "--output", str(made), *_FLAGS, *nights.opt_out)
        nights.check(self.folder / "corpus", commits, once=str(made))
        nights.check(self.folder / "filtered", commits, once=str(once))
        nights.check(self.folder / "unique", commits, deduplicated=str(self.folder / "filtered"))
        nights.check(self.folder / "packed", commits, packed=str(self.folder / "unique"))

    def forget(self, words: Sequence[str]) -> None:
        """Forgets in all of them."""
        corpus = str(self.folder / "corpus")
        self.nights.command("night 5: forget in all steps", "forget", corpus, *words, "--cascade", str(self.folder))


def _rows(path: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(path, columns=["path", "repo_name", "lineage"]).to_pylist()
    return rows


def _is_telling(line: str) -> bool:
    return any(word in line for word in ("rows: ", "edition", "removed", "dropped", "nothing to do"))


def _run(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


def commits_of(git: Path, months: int) -> list[str]:
    """Commits of the five nights, the newest last; all on the main line."""
    newest = int(_run("git", "--git-dir", str(git), "log", "-1", "--format=%ct", "HEAD"))
    ages = [months * (NIGHTS - 1 - night) * 30 * 86_400 for night in range(NIGHTS)]
    found = [
        _run("git", "--git-dir", str(git), "rev-list", "-1", "--first-parent", f"--before={newest - age}", "HEAD")
        for age in ages
    ]
    if not all(found):
        raise SystemExit(f"{git} is younger than {months * (NIGHTS - 1)} months; pass fewer --months")
    return found


def simulate(nights: Nights, months: int) -> None:
    """All nights."""
    history = {name: commits_of(git, months) for name, git in nights.repositories.items()}
    chain = Chain(nights)
    for night in range(1, NIGHTS + 1):
        commits = {name: found[night - 1] for name, found in history.items()}
        nights.corpus(night, commits)
        if night == 3:
            nights.opted_out = [list(nights.repositories)[-1]]
        if night == NIGHT_OF_KILLS:
            nights.killed(night, KILLS, *nights.filter_words(nights.work / f"corpus-{night}", nights.output), *GROW)
        if night == NIGHTS:
            chain.forget(nights.forget())
        nights.filter(night, f"night {night}: grow", nights.output, *GROW)
        nights.check(nights.output, commits, once=str(nights.once(night)))
        chain.grow(night, commits)
        chain.check(nights.work / "once", commits)
    nights.command("retain", "retain", str(nights.output), "--editions", "2")
    nights.filter(NIGHTS, "the same once more", nights.output, *GROW)
    nights.check(nights.output, commits, once=str(nights.once(NIGHTS)))


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the simulation; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repositories", nargs=3, type=Path, help="git directories")
    parser.add_argument("--work", type=Path, required=True, help="a folder for all that is made, empty or new")
    parser.add_argument("--months", type=int, default=6, help="between two nights (default: 6)")
    parser.add_argument("--readers", help="a Python that has datasets, duckdb and polars")
    options = parser.parse_args(argv)
    options.work.mkdir(parents=True, exist_ok=True)
    names = {(path.parent.name if path.name == "repo" else path.stem).split("+")[-1]: path for path in
             options.repositories}  # fmt: skip
    nights = Nights(options.work.resolve(), names, options.readers)
    simulate(nights, options.months)
    print(f"{nights.faults} faults")
    return 1 if nights.faults else 0


if __name__ == "__main__":
    sys.exit(main())
