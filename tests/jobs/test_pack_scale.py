"""`codemill pack` on a repository that is too large to be held in memory with all that is made of it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from benchmarks.pack import write_monorepo
from benchmarks.processes import watch

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_repository_of_100000_files_is_packed_in_bounded_memory(tmp_path):
    files = 100_000
    write_monorepo(str(tmp_path / "corpus.parquet"), files)
    command = [sys.executable, "-m", "jobs", "pack", "--input", str(tmp_path / "corpus.parquet")]
    usage = watch([*command, "--output", str(tmp_path / "out"), "--progress", "none"], cwd=ROOT)
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["rows"] == {**summary["rows"], "kept": files, "rejected": 0}
    # Above what the processes take with nothing to do: MAX_MB_A_THOUSAND for each thousand files.
    assert usage.peak_private_mb < BASE_MB + files / 1000 * MAX_MB_A_THOUSAND
    packed, tokens = summary["counts"]["rows_packed"], summary["counts"]["tokens_out"]
    assert tokens / packed / 8192 > 0.99
    assert earlier_share(tmp_path / "out" / "data") > 0.999


BASE_MB, MAX_MB_A_THOUSAND = 900, 10


def earlier_share(folder: Path) -> float:
    """The share of files that stand after all that they import: there are no cycles, so it should be all of them."""
    place: dict[str, int] = {}
    importers: list[tuple[int, str]] = []
    for path in sorted(folder.glob("*.parquet")):
        for batch in pq.ParquetFile(path).iter_batches(64, columns=["text", "parts"]):
            for row in batch.to_pylist():
                for part in row["parts"]:
                    place.setdefault(part["path"], len(place))
                    for line in row["text"][part["text_start"] : part["text_end"]].splitlines():
                        if line.startswith("from tree.") and " import make_" in line:
                            target = line.split()[1].replace(".", "/") + ".py"
                            importers.append((place[part["path"]], target))
    return sum(place[target] < here for here, target in importers if target in place) / len(importers)
