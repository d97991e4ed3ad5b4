"""`--known_text` with the engine: generated text is copied into another file, and the job reports the copy."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from transforms.duplicates.known_index import build
from transforms.duplicates.known_text import KnownFile
from transforms.rows.row import content_sha256

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

FILES = ("shlex.py", "textwrap.py", "fnmatch.py")
"""Small, and for one of them the embedded model writes more than 20 tokens."""


def infill(folder: Path, name: str, *flags: str) -> subprocess.CompletedProcess[str]:
    words = [
        *(sys.executable, "-m", "jobs.cli", "infill", "--input", str(folder / "in.parquet")),
        *("--output", str(folder / name), "--determinism", "exact", "--progress", "none"),
        *("--max_new_tokens", "96", "--max_prompt_tokens", "256", "--slots", "8"),
        *("--compile_cache", str(folder / "programs"), *flags),
    ]
    return subprocess.run(words, env={**os.environ, "JAX_PLATFORMS": "cpu"}, capture_output=True, text=True)


def rows(output: Path, part: str = "data") -> list[dict]:
    return pq.read_table(output / part).to_pylist()


def test_an_answer_found_in_another_file_is_flagged_and_by_policy_rejected(tmp_path):
    library = Path(sysconfig.get_paths()["stdlib"])
    corpus = [{"content": (library / name).read_text(), "path": name} for name in FILES]
    pq.write_table(pa.Table.from_pylist(corpus), tmp_path / "in.parquet")
    assert infill(tmp_path, "plain").returncode == 0
    written = max((row["generated_middle"] for row in rows(tmp_path / "plain")), key=len)
    copied = f"x = 1\n{written}\ny = 2\n"
    build(tmp_path / "known", [KnownFile(copied, content_sha256(copied), "copied.py", "owner/b", ("GPL-3.0-only",))])

    assert infill(tmp_path, "marked", "--known_text", str(tmp_path / "known")).returncode == 0
    marked = {row["generated_middle"]: row["verbatim_copies"] for row in rows(tmp_path / "marked")}
    assert [copy["path"] for copy in marked.pop(written)] == ["copied.py"]
    assert not any(marked.values())

    policy = tmp_path / "policy.yaml"
    policy.write_text("extends: default\nactions:\n  verbatim_copy: drop\n")
    flags = ("--known_text", str(tmp_path / "known"), "--policy", str(policy))
    assert infill(tmp_path, "refused", *flags).returncode == 0
    assert written not in {row["generated_middle"] for row in rows(tmp_path / "refused")}
    (refused,) = [row for row in rows(tmp_path / "refused", "rejected") if row["reason"] == "verbatim_copy"]
    assert "copied.py" in refused["detail"] and "GPL-3.0-only" in refused["detail"]
