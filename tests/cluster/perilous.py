"""A job without a model, whose units pause and whose poison rows kill their worker: `python -m tests.cluster.perilous`.

It is `tests.jobs.uppercase` otherwise, so its rows can be worked out.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from jobs.driver.driver import run_job
from jobs.options import all_options, from_all_options, parse
from model.errors import ConfigError
from tests.jobs.uppercase import Options, UppercaseWork

NAME = "tests.cluster.perilous"
POISON = "this row kills its worker"


@dataclass
class PerilousWork(UppercaseWork):
    def run(self, unit: Any, table: pa.Table, rows: Any) -> Any:
        if any(POISON in text for text in table["content"].to_pylist()):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().run(unit, table, rows)


def build_work(options: Mapping[str, Any]) -> PerilousWork:
    return PerilousWork(from_all_options(Options, options))


def write_input(folder: Path, rows: int, *, poison: int | None = None) -> None:
    """So many rows of one line; the row `poison` is one."""
    folder.mkdir(parents=True)
    texts = [POISON if number == poison else f"row {number}" for number in range(rows)]
    table = pa.table({"content": texts, "path": [f"src/{number}.py" for number in range(rows)]})
    pq.write_table(table, folder / "rows.parquet")


def main(argv: list[str]) -> int:
    """The job's command line."""
    try:
        options, beam_args = parse(Options, argv, prog="codemill perilous")
        return run_job(NAME, options, beam_args, build_work(all_options(options)))
    except ConfigError as error:
        print(f"codemill perilous: error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
