"""A corpus that changes each night, and a job that grows over it, in drivers that may be killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).parents[3]
SIGKILL = 9
FILTER = ("filter", "--policy", "none", "--no-decontaminate", "--no-quality")

# Reads cases as JSON lines, runs each in a fork of its own, and says how it ended.
_FORKER = """
import json, os, sys, traceback
import jobs.dedup, jobs.driver.driver, jobs.filter, jobs.finalize.merge, jobs.forgetting.command
import jobs.grouping.depending, jobs.collecting.growing, transforms.filters.work, transforms.opt_out.work
import jobs.collecting.seen
from jobs import cli
from jobs.driver.runners import LocalRunner
from jobs.execution import supervisor
from tests.jobs import uppercase
uppercase.stay_here()
supervisor.run_units = uppercase.inline_units_of_any_job
jobs.finalize.merge.merge_all = uppercase.inline_merges
jobs.collecting.seen.SETTLED_S = 0.0  # nights follow each other within a second
exec(sys.argv[1])
for line in sys.stdin:
    case = json.loads(line)
    pid = os.fork()
    if pid == 0:
        os.environ["CODEMILL_FAILPOINT"] = case["failpoint"]
        code = 99
        try:
            log = os.open(case["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(log, 1), os.dup2(log, 2)
            code = cli.main(case["argv"])
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    print(case["number"], os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""

Row = tuple[str, str, str]
"""Repository, path and content."""


class Nights:
    """Runs a job over the corpus `folder/in`: its name and options. `prepare` is what the forker runs before."""

    def __init__(self, *job: str, prepare: str = "") -> None:
        self._job = job or FILTER
        self._number = 0
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", _FORKER, prepare],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )

    def run(self, folder: Path, *more: str, output: str = "out", failpoint: str = "none=raise") -> int:
        """The exit code of a run, -9 if it was killed."""
        argv = [*self._job, "--input", str(folder / "in"), "--output", str(folder / output)]
        argv += ["--progress", "none", "--unit_rows", "3", *more]
        return self.call(folder, argv, failpoint)

    def call(self, folder: Path, argv: list[str], failpoint: str = "none=raise") -> int:
        """The exit code of a command line, -9 if it was killed."""
        self._number += 1
        case = {"argv": argv, "failpoint": failpoint, "log": str(folder / "log"), "number": self._number}
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(case) + "\n")
        self._process.stdin.flush()
        while True:  # an answer to a run that a test didn't wait for is skipped
            number, code = map(int, self._process.stdout.readline().split())
            if number == self._number:
                return code

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)


def write_corpus(folder: Path, files: Mapping[str, Iterable[Row]]) -> None:
    """Makes `folder/in` have exactly these files; one whose rows are the same isn't touched."""
    folder = folder / "in"
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if path.stem not in files:
            path.unlink()
    for name, rows in files.items():
        repositories, paths, contents = zip(*rows, strict=True)
        table = pa.table({"content": contents, "path": paths, "repo_name": repositories})
        path = folder / f"{name}.parquet"
        if not path.exists() or pq.read_table(path) != table:
            pq.write_table(table, path, row_group_size=2)


def dataset(output: Path) -> Counter[str]:
    """The rows of a dataset, without the places that they were read from."""
    return Counter(json.dumps(_without_place(row)) for row in _rows(output / "data", "train"))


def rejections(output: Path) -> Counter[tuple[str, str]]:
    """Path and reason of rejected rows, but of those that opted out."""
    found = Counter((str(row["path"]), str(row["reason"])) for row in _rows(output / "rejected", "rejected"))
    return Counter({key: count for key, count in found.items() if key[1] != "repository_opted_out"})


def files_of(output: Path) -> set[str]:
    """The shards that are there, as `COMPLETED` names them."""
    return {f"{name}/{path.name}" for name in ("data", "rejected") for path in (output / name).glob("*.parquet")}


def completed(output: Path) -> dict[str, Any]:
    return json.loads((output / "COMPLETED").read_text())


def _rows(folder: Path, kind: str) -> list[dict[str, Any]]:
    return [row for path in sorted(folder.glob(f"{kind}-*.parquet")) for row in pq.read_table(path).to_pylist()]


def _without_place(row: dict[str, Any]) -> dict[str, Any]:
    lineage = {name: value for name, value in row["lineage"].items() if not name.startswith("source_")}
    return {**row, "lineage": lineage}
