"""A complete job without a model: it converts rows to upper case, and each line of a file is a target.

A line that contains `bad` is a rejected target; a file with `nothing` in its first line has no targets.
`python -m tests.jobs.uppercase FLAGS` is its command line. `inline_units` runs units in the caller's process, for
tests of what comes before or after them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from jobs.driver.runners import LocalRunner
from jobs.execution import supervisor
from jobs.execution.attempt import UnitRunner
from jobs.execution.orders import Orders
from jobs.execution.sample import Sample, measure
from jobs.execution.worker import RunSpec
from jobs.forgetting.returning import without_forgotten
from jobs.ledger import commits, journal
from jobs.options import CommonOptions, all_options, from_all_options, option, parse
from jobs.plan.footers import read_footer
from jobs.plan.units import read_plan
from model.errors import ConfigError
from transforms.rows.columns import ColumnOverrides, RowLimits, output_fields, resolve_columns, table_to_rows
from transforms.rows.rejections import RejectedRow, Rejection, rejected_record, rejected_table
from transforms.work import UnitResult

NAME = "tests.jobs.uppercase"
ROOT = Path(__file__).parents[2]
RESULTS = [
    pa.field("upper", pa.large_string()),
    pa.field("lines", pa.int64()),
    pa.field("source_row", pa.int64()),
]


@dataclass(frozen=True, kw_only=True)
class Options(CommonOptions):
    """Convert files to upper case."""

    mark: str = option("", help="Put in front of each text.")
    pause_s: float = option(0.0, help="Pause before each unit.", operational=True)


@dataclass
class UppercaseWork:
    options: Options
    checkpoint_sha256: str = ""
    whole_row_groups: bool = False
    spreads_rows: bool = False
    opens_first: bool = False

    @property
    def _overrides(self) -> ColumnOverrides:
        return ColumnOverrides(content=self.options.content_column)

    def output_schema(self, input_schema):
        columns = resolve_columns(input_schema, self._overrides)
        return pa.schema([*output_fields(input_schema, columns, [f.name for f in RESULTS]), *RESULTS])

    def input_columns(self, input_schema):
        return list(input_schema.names)

    def open(self):
        pass

    def run(self, unit, table, rows):
        time.sleep(self.options.pause_s)
        columns = resolve_columns(table.schema, self._overrides)
        limits = RowLimits(max_content_bytes=int(self.options.max_content_mb * 1_000_000))
        counts = Counter(rows_in=len(rows))
        picks, contents, uppers, rejected = [], [], [], []
        for index, row in enumerate(table_to_rows(table, unit, rows, columns, limits)):
            if isinstance(row, RejectedRow):
                rejected.append(row.record())
                continue
            lines = row.content.splitlines()
            if "nothing" in lines[0]:
                nothing = Rejection("targets", "no_target", "the first line says so")
                rejected.append(rejected_record(row, nothing))
                continue
            bad = [number for number, line in enumerate(lines) if "bad" in line]
            counts.update(targets=len(lines), targets_rejected=len(bad), targets_accepted=len(lines) - len(bad))
            for number in bad:
                rejected.append(rejected_record(row, Rejection("judge", "bad_line"), target=f"line:{number}"))
            picks.append(index)
            contents.append(row.content)
            uppers.append(self.options.mark + row.content.upper())
        counts["rows_kept"] = len(picks)
        counts["rows_rejected"] = len(rows) - len(picks)
        counts["tokens_out"] = sum(map(len, uppers))
        schema = self.output_schema(table.schema)
        taken = table.take(pa.array(picks, pa.int64()))
        results = {
            "upper": uppers,
            "lines": [len(c.splitlines()) for c in contents],
            "source_row": [rows[i] for i in picks],
        }
        inputs = [
            pa.array(contents, pa.large_string()) if name == columns.content else taken.column(name)
            for name in table.column_names
        ]
        arrays = [*inputs, *(pa.array(results[field.name], field.type) for field in RESULTS)]
        kept = pa.Table.from_arrays(arrays, schema=schema)
        return UnitResult(kept, rejected_table(rejected), counts)

    def heartbeat(self):
        return {}

    def close(self):
        pass


def build_work(options: Mapping[str, Any]) -> UppercaseWork:
    return UppercaseWork(from_all_options(Options, options))


def run(options: Options, beam_args: list[str]) -> int:
    from jobs.driver.driver import run_job

    return run_job(NAME, options, beam_args, build_work(all_options(options)))


def read_here(files: Sequence[tuple[str, str]]) -> list[Any]:
    """Footers read in this process, without a child."""
    return [read_footer(*file) for file in files]


def sample_here(orders: Orders, units: Sequence[Any], schema: pa.Schema) -> Sample:
    """A dry run's sample, measured in this process."""
    return measure(units, schema, orders.make_work())


def stay_here() -> None:
    """For programs that are tests of what comes before and after units: no child process is started."""
    supervisor.run_units = inline_units
    LocalRunner.read_footers = lambda self, files: read_here(files)
    LocalRunner.prepare = lambda self, orders: None


def inline_units(spec: RunSpec, orders: Orders, crew: Any = None) -> None:
    """As `jobs.execution.supervisor.run_units`, in this process and one unit after the other."""
    _run_inline(spec, build_work(orders.options))


def inline_units_of_any_job(spec: RunSpec, orders: Orders, crew: Any = None) -> None:
    """The same for the work of whichever job the orders name."""
    work = orders.make_work()
    work.open()
    _run_inline(spec, work)
    work.close()


def _run_inline(spec: RunSpec, work: Any) -> None:
    runner = UnitRunner(
        job_dir=spec.job_dir,
        work=without_forgotten(work, spec.job_dir),
        schema=spec.schema,
        config_hash=spec.config_hash,
        journal=journal.Journal(spec.job_dir, journal.new_session(supervised=True)),
        identified_by=spec.identified_by,
    )
    committed = commits.list_commits(spec.job_dir)
    for unit in read_plan(spec.job_dir):
        if unit.unit_id not in committed:
            runner.run(unit)


def inline_merges(spec: Any, shards: list) -> None:
    """As a crew of two processes, in this one."""
    from jobs.finalize.merge import MergeTasks
    from jobs.finalize.shards import encode_part, merge_shard

    tasks = MergeTasks(spec, shards, 2)
    while len(tasks):
        task = tasks.take()
        if task.part is None:
            merge_shard(spec, task.kind, task.index, encoded=task.encoded, groups=task.groups)
        else:
            tasks.end(task, encode_part(spec, task))


def command_line(argv: list[str]) -> int:
    """As `codemill` does it."""
    try:
        options, beam_args = parse(Options, argv, prog="codemill uppercase")
        return run(options, beam_args)
    except ConfigError as error:
        print(f"codemill uppercase: error: {error}", file=sys.stderr)
        return 2


# --- drivers for tests that kill them -----------------------------------------------------------------

# Reads cases as JSON lines, runs each in a separate fork, and returns how it ended. Tests don't fork themselves: they
# have JAX's and Arrow's threads, which a fork doesn't, and their locks, which it does.
FORKER = """
import json, os, sys
import apache_beam, jobs.driver.driver, jobs.finalize.merge, jobs.finalize.shards
import jobs.execution.supervisor, jobs.forgetting.command
from jobs import cli
from tests.jobs import uppercase
uppercase.stay_here()
if len(sys.argv) > 1:
    jobs.finalize.shards.ROW_GROUP_BYTES = int(sys.argv[1])
    jobs.finalize.merge.merge_all = uppercase.inline_merges
for line in sys.stdin:
    case = json.loads(line)
    pid = os.fork()
    if pid == 0:
        os.environ["CODEMILL_FAILPOINT"] = case["failpoint"]
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, 1), os.dup2(devnull, 2)
        os._exit(cli.main(case["argv"]) if case["is_command"] else uppercase.command_line(case["argv"]))
    print(os.waitpid(pid, 0)[1], flush=True)
"""


class Forker:
    """Drivers for tests that kill them, each forked from a process that has imported everything, so that it's fast.

    Args:
        group_bytes: Bytes of a row group of a shard, where a shard of few rows is to be merged in parts.
    """

    def __init__(self, group_bytes: int | None = None) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", FORKER, *([] if group_bytes is None else [str(group_bytes)])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )

    def run(self, argv: list[str], failpoint: str = "none=raise", *, is_command: bool = False) -> int:
        """The wait status of a driver in a separate process; `is_command`: of `codemill` with these words."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps({"argv": argv, "failpoint": failpoint, "is_command": is_command}) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)


# --- corpora and outputs ---------------------------------------------------------------------------


def write_corpus(path: Path, rows: int = 40, *, group: int = 10, seed: int = 0) -> Path:
    """A file whose every fifth row has a bad line and every seventh nothing to do."""
    path.parent.mkdir(parents=True, exist_ok=True)
    contents = [
        f"nothing {n}" if n % 7 == 6 else f"row {n} of {path.stem}{seed}\n" + ("bad line\n" if n % 5 == 4 else "good\n")
        for n in range(rows)
    ]
    table = pa.table({"content": contents, "path": [f"src/{n}.py" for n in range(rows)], "stars": list(range(rows))})
    pq.write_table(table, path, row_group_size=group)
    return path


def dataset(output: Path) -> dict[str, list[dict[str, Any]]]:
    """All rows of an output, by folder, in the order of the shards."""
    return {
        folder: [row for path in sorted((output / folder).glob("*.parquet")) for row in pq.read_table(path).to_pylist()]
        for folder in ("data", "rejected")
    }


def summary(output: Path) -> dict[str, Any]:
    return json.loads((output / "summary.json").read_text())


if __name__ == "__main__":
    sys.exit(command_line(sys.argv[1:]))
