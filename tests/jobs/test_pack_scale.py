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
    assert earlier_share(tmp_path / "corpus.parquet", tmp_path / "out" / "data") == 1.0


BASE_MB, MAX_MB_A_THOUSAND = 600, 8


def earlier_share(corpus: Path, folder: Path) -> float:
    """The share of imports whose target starts earlier: there are no cycles, so it should be all of them."""
    place: dict[str, int] = {}
    for path in sorted(folder.glob("*.parquet")):
        for batch in pq.ParquetFile(path).iter_batches(64, columns=["parts"]):
            for parts in batch.column("parts").to_pylist():
                for part in parts:
                    place.setdefault(part["path"], len(place))
    found = []
    for row in pq.read_table(corpus, columns=["content", "path"]).to_pylist():
        targets = [line.split()[1] for line in row["content"].splitlines() if line.startswith("from tree.")]
        found += [place[target.replace(".", "/") + ".py"] < place[row["path"]] for target in targets]
    return sum(found) / len(found)
