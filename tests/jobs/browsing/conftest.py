"""A dataset to browse, and a server of it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from transforms.rows.rejections import REJECTED_SCHEMA

ROOT = Path(__file__).parents[3]
MARKUP = "<script>alert(1)</script><img src=x onerror=alert(2)>"


def kept_row(number: int) -> dict:
    return {
        "path": f"src/file_{number}.py",
        "language": "Python" if number % 2 else "Go",
        "prefix": "def f():\n    return ",
        "generated_middle": f"{number} {MARKUP}" if number % 10 == 0 else f"{number} + 1",
        "original_middle": f"{number}",
        "suffix": "\n",
        "checks": {"exact_match": number % 5 == 0, "parses": True},
        "lineage": {"mean_logprob": -number / 100, "agreement": None},
    }


def write_dataset(folder: Path) -> Path:
    """Sixty kept rows in two files, and forty rejected records, in a folder whose name looks like a glob."""
    (folder / "data").mkdir(parents=True)
    (folder / "rejected").mkdir()
    for shard in range(2):
        rows = [kept_row(number) for number in range(30 * shard, 30 * shard + 30)]
        path = folder / f"data/train-{shard:05d}-of-00002.parquet"
        pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=7)
    base = {"kind": "target", "uri": "in.parquet", "row_group": 0, "stage": "judge", "detail": MARKUP}
    reasons = ["cut_off", "does_not_parse"]
    rows = [base | {"row": number, "reason": reasons[number % 4 == 0], "path": f"{number}.py"} for number in range(40)]
    rows[3] |= {"answer": f"x = {MARKUP}", "target": "single_line:1:2"}
    table = pa.Table.from_pylist(rows, REJECTED_SCHEMA)
    pq.write_table(table, folder / "rejected/rejected-00000-of-00001.parquet")
    (folder / "COMPLETED").write_text("{}")
    return folder


@pytest.fixture(scope="session")
def dataset(tmp_path_factory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("browse") / "out [1] *")


@pytest.fixture(scope="session")
def server_errors(tmp_path_factory) -> Path:
    """The file with the server's standard error."""
    return tmp_path_factory.mktemp("server") / "stderr"


@pytest.fixture(scope="session")
def address(dataset, server_errors) -> Iterator[str]:
    """The address that the command prints, with the token."""
    words = [sys.executable, "-m", "jobs", "browse", str(dataset), "--port", "0"]
    with (
        server_errors.open("w") as errors,
        subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True) as server,
    ):
        try:
            yield re.search(r"http\S+", server.stdout.readline())[0]
        finally:
            server.terminate()
            assert server.wait(timeout=60) == 0
