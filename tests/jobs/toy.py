"""A job small enough to kill: each row states what happens to the process that runs it.

"kill"      SIGKILL to the worker          "exit"    os._exit(70)      "kill_once": only the first time
"segfault"  SIGSEGV from C code            "eat"     allocates `eat_mb` in steps, notes it in `mark`, and waits
"raise"     an exception that quotes it    "refuse"  a RecordError
"reject"    a rejected row                 "sleep"   a pause of `sleep_s`
"stuck_once"  a pause of minutes, only the first time
"hang"      a pause without an end         "memory"  an allocation that fails; "memory_once": only the first time
otherwise kept, with its length
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable

import pyarrow as pa
import pyarrow.parquet as pq

from jobs import storage
from jobs.execution.attempt import UnitRunner
from jobs.execution.crew import Crew
from jobs.execution.dispatch import Dispatcher
from jobs.execution.orders import Orders
from jobs.execution.supervisor import run_source, run_units
from jobs.execution.worker import RunSpec
from jobs.ledger import commits, journal
from jobs.plan.units import plan_to_parquet, read_plan
from jobs.storage.folders import JobFolder, OutputFolder
from model.errors import ConfigError, RecordError
from transforms.rows.rejections import REJECTED_SCHEMA
from transforms.work import Unit, UnitResult

SCHEMA = pa.schema([pa.field("content", pa.large_string())])
OUTPUT_SCHEMA = pa.schema(
    [pa.field("content", pa.large_string()), pa.field("length", pa.int64()), pa.field("row", pa.int64())]
)
CONFIG_HASH = "c0ffee"


class ToyWork:
    whole_row_groups = False
    spreads_rows = False
    opens_first = False

    def __init__(self, options: dict):
        self.options = options
        self.checkpoint_sha256 = options.get("weights", "")

    def output_schema(self, input_schema):
        return OUTPUT_SCHEMA

    def input_columns(self, input_schema):
        return ["content"]

    def open(self):
        self._log(f"opens {os.getpid()}", "processes")
        time.sleep(self.options.get("open_s", 0))
        if self._dies_on_open():
            os._exit(71)
        self._log(f"open {os.getpid()}", "processes")
        if self.options.get("die_on_open"):
            os._exit(71)
        if self.options.get("refuse_on_open"):
            raise ConfigError("the toy has no batteries; put some in")

    def run(self, unit, table, rows):
        kept, rejected = [], []
        for row, content in zip(rows, table["content"].to_pylist(), strict=True):
            self._log(f"{unit.unit_id}:{row}")
            self._log(f"{unit.unit_id} {os.getpid()}", "processes")
            word = content.split()[0] if content else ""
            if word == "kill" or (word == "kill_once" and self._is_first()):
                os.kill(os.getpid(), signal.SIGKILL)
            if word == "segfault":
                ctypes.string_at(0)
            if word == "eat":
                self._eat()
            if word == "exit":
                os._exit(70)
            if word == "raise":
                raise ValueError(f"can't stand {content}")
            if word == "refuse":
                raise RecordError("toy_refused", "a refused row")
            if word == "sleep":
                time.sleep(self.options.get("sleep_s", 0.5))
            if word == "stuck_once" and self._is_first():
                time.sleep(600)
            if word == "hang":
                threading.Event().wait()
            if word == "memory" or (word == "memory_once" and self._is_first()):
                raise pa.ArrowMemoryError("no memory")
            if word == "reject":
                rejected.append(rejected_row(unit, row))
            else:
                kept.append({"content": content, "length": len(content), "row": row})
        return UnitResult(
            pa.Table.from_pylist(kept, schema=OUTPUT_SCHEMA),
            pa.Table.from_pylist(rejected, schema=REJECTED_SCHEMA),
            Counter(rows_in=len(rows), rows_kept=len(kept), rows_rejected=len(rejected)),
        )

    def heartbeat(self):
        return {"tokens_out": 7.0}

    def close(self):
        pass

    def _dies_on_open(self):
        """Whether another process has opened the work before, and all but the first are to die."""
        if not (mark := self.options.get("others_die_on_open")):
            return False
        try:
            os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return True
        return False

    def _eat(self):
        """As a row that needs too much memory: it comes to its end by another's hand, or after a while."""
        held = [b"x" * 20_000_000 for _ in range(self.options.get("eat_mb", 0) // 20) if not time.sleep(0.02)]
        if mark := self.options.get("mark"):
            open(mark, "w").close()
        time.sleep(self.options.get("eat_s", 60))
        del held

    def _is_first(self):
        """Whether no process has asked before."""
        seen = os.path.exists(self.options["seen"])
        open(self.options["seen"], "w").close()
        return not seen

    def _log(self, line, name="log"):
        """Records the rows that ran, for tests that count them, and the processes that did it."""
        if log := self.options.get(name):
            with open(log, "a", encoding="utf-8") as file:
                file.write(line + "\n")


def build_work(options: dict) -> ToyWork:
    return ToyWork(options)


def rejected_row(unit: Unit, row: int) -> dict:
    return {
        "kind": "row",
        "uri": unit.uri,
        "row_group": unit.row_group,
        "row": row,
        "stage": "toy",
        "reason": "toy_rejected",
        "detail": "",
    }


def make_job(root: str, groups: list[list[str]], unit_rows: int = 1000) -> JobFolder:
    """Writes an input file with these row groups, and its plan; returns the job's folder."""
    uri = storage.join(root, "in.parquet")
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, SCHEMA) as writer:
        for contents in groups:
            writer.write_table(pa.table({"content": contents}, schema=SCHEMA))
    storage.write_bytes(uri, sink.getvalue().to_pybytes())
    _, version = storage.file_info(uri)
    units = []
    for group, contents in enumerate(groups):
        for start in range(0, len(contents), unit_rows):
            count = min(unit_rows, len(contents) - start)
            units.append(
                Unit(
                    unit_id=f"{len(units):06d}-toy",
                    uri=uri,
                    version=version,
                    row_group=group,
                    row_start=start,
                    row_count=count,
                    num_bytes=100 * count,
                )
            )
    job_dir = OutputFolder(storage.join(root, "out")).job
    storage.write_bytes(job_dir.plan, plan_to_parquet(units))
    return job_dir


def run_here(job_dir: JobFolder, only: set[str] | None = None, **options) -> list[commits.CommitRecord]:
    """Runs what isn't committed in this process, one unit after the other."""
    session = journal.new_session(supervised=True)
    runner = UnitRunner(
        job_dir=job_dir,
        work=ToyWork(options),
        schema=SCHEMA,
        config_hash=CONFIG_HASH,
        journal=journal.Journal(job_dir, session),
        suspects=journal.diagnose(journal.read_deaths(job_dir)),
    )
    committed = commits.list_commits(job_dir)
    left = [unit for unit in read_plan(job_dir) if unit.unit_id not in committed]
    return [runner.run(unit) for unit in left if only is None or unit.unit_id in only]


def run_supervised(
    job_dir: JobFolder,
    *,
    options: dict | None = None,
    workers: int | Callable[[], int] = 1,
    max_units_in_flight: int = 2,
    checkpoint_sha256: str = "",
    row_timeout_s: float = 1800.0,
    opens_first: bool = False,
) -> None:
    """Runs the job as a driver does on this machine: in worker processes under the supervisor."""
    orders = Orders(
        job_name="tests.jobs.toy",
        options=options or {},
        checkpoint_sha256=checkpoint_sha256,
        row_timeout_s=row_timeout_s,
        opens_first=opens_first,
    )
    spec = RunSpec(job_dir=job_dir, schema=SCHEMA, config_hash=CONFIG_HASH, max_units_in_flight=max_units_in_flight)
    crew = Crew(1 if callable(workers) else workers)
    try:
        if callable(workers):
            source = Dispatcher(read_plan(job_dir), {}, in_flight=max_units_in_flight)
            run_source(spec, orders, crew, source, workers=workers)
        else:
            run_units(spec, orders, crew)
    finally:
        crew.close()


def outcome(job_dir: JobFolder) -> tuple[list[tuple], list[tuple]]:
    """The committed rows, in plan order: kept rows and rejected rows."""
    kept: list[tuple] = []
    rejected: list[tuple] = []
    for record in commits.read_commits(job_dir):
        assert commits.verify_commit(job_dir, record, full=True) is None
        for name, rows, columns in (
            ("kept", kept, ["row", "content", "length"]),
            ("rejected", rejected, ["row_group", "row", "stage", "reason", "detail"]),
        ):
            if name in record.files:
                data = storage.read_bytes(job_dir.join(record.files[name].path))
                table = pq.read_table(pa.BufferReader(data))
                rows += [(record.unit_id, *(row[column] for column in columns)) for row in table.to_pylist()]
    return kept, rejected


def main(folder: str, how: str, options: str, workers: str = "1") -> None:
    """A driver for tests that kill it: `here` in this process, `supervised` with the supervisor; options as JSON."""
    job_dir = JobFolder(folder)
    if how == "here":
        run_here(job_dir, **json.loads(options))
    else:
        run_supervised(job_dir, options=json.loads(options), workers=int(workers))


if __name__ == "__main__":
    main(*sys.argv[1:])
