"""Measures `codemill browse` on a dataset of a million rows: time to the first page, to others, and memory.

python benchmarks/browsing.py /tmp/million            # writes the dataset on first use: 1.2 GB of text
"""

from __future__ import annotations

import argparse
import random
import re
import subprocess
import sys
import time
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from transforms.rows.rejections import REJECTED_SCHEMA

SHARDS, ROWS_PER_SHARD, ROWS_PER_GROUP = 20, 50_000, 12_500
LANGUAGES = ["Python", "Go", "Rust", "Java", "C", "TypeScript"]
REASONS = ["does_not_parse", "cut_off", "suffix_echo", "empty_middle"]
PAGES = {
    "first page": "/",
    "row 500,000": "/row?table=kept&number=500000",
    "page 20,000": "/?table=kept&start=500000",
    "a verdict": "/?table=kept&where=exact_match%3Dtrue",
    "a rare condition": "/?table=kept&where=" + quote("lineage.completion_tokens>=199"),
    "sorted by score": "/?table=kept&sort=score",
    "rejects of a reason": "/?table=rejected&where=reason%3Dcut_off",
    "a path": "/?table=kept&where=path~file_777777",
    "a rare text": "/?table=kept&where=content~needle_in_row_999999",
}


def write(folder: Path) -> None:
    """Writes kept rows and half as many rejected records, in the form of an infill job's output."""
    rng = random.Random(1)
    words = [f"name_{number}" for number in range(5_000)]
    known = [f"    {' = '.join(rng.choices(words, k=3))}" for _ in range(20_000)]
    for shard in range(SHARDS):
        rows = []
        for number in range(shard * ROWS_PER_SHARD, (shard + 1) * ROWS_PER_SHARD):
            start = rng.randrange(len(known) - 30)
            lines = known[start : start + 30]
            text = "\n".join([f"def function_{number}():", *lines])
            if number == SHARDS * ROWS_PER_SHARD - 1:
                text += "\n    needle_in_row_999999 = 1"
            lineage = {"mean_logprob": rng.random() - 1, "agreement": None, "completion_tokens": rng.randrange(200)}
            rows.append(
                {
                    "path": f"repo_{number % 997}/src/file_{number}.py",
                    "language": rng.choice(LANGUAGES),
                    "content": text,
                    "prefix": text[:200],
                    "generated_middle": lines[5],
                    "original_middle": lines[6],
                    "suffix": text[400:600],
                    "checks": {"parses": True, "exact_match": rng.random() < 0.01, "edit_similarity": rng.random()},
                    "lineage": lineage,
                }
            )
        table = pa.Table.from_pylist(rows)
        name = f"{shard:05d}-of-{SHARDS:05d}.parquet"
        (folder / "data").mkdir(parents=True, exist_ok=True)
        (folder / "rejected").mkdir(exist_ok=True)
        pq.write_table(table, folder / "data" / f"train-{name}", row_group_size=ROWS_PER_GROUP, compression="zstd")
        records = [
            {
                "kind": "target",
                "uri": "in.parquet",
                "row_group": 0,
                "row": number,
                "path": f"src/file_{number}.py",
                "target": f"single_line:{number}:{number + 9}",
                "stage": "judge",
                "reason": rng.choice(REASONS),
                "detail": f"line {number % 90 + 1}, column 1: invalid syntax",
            }
            for number in range(ROWS_PER_SHARD // 2)
        ]
        pq.write_table(
            pa.Table.from_pylist(records, REJECTED_SCHEMA), folder / "rejected" / f"rejected-{name}", compression="zstd"
        )
    (folder / "COMPLETED").write_text("{}")


def resident_mb(pid: int) -> tuple[float, float]:
    """Resident memory of a process now and at most, in megabytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    now, most = (int(re.search(rf"{name}:\s+(\d+)", status)[1]) / 1024 for name in ("VmRSS", "VmHWM"))  # type: ignore[index]
    return now, most


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    if not (folder / "COMPLETED").exists():
        write(folder)
    started = time.perf_counter()
    words = [sys.executable, "-m", "jobs", "browse", str(folder), "--port", "0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        address = re.search(r"http\S+", server.stdout.readline())[0]  # type: ignore[index]
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        print(f"| page | seconds | resident MB |\n|---|--:|--:|\n| ready | {time.perf_counter() - started:.2f} | |")
        browser.open(address).read()
        first = time.perf_counter() - started
        print(f"| first page, from the command on | {first:.2f} | {resident_mb(server.pid)[0]:,.0f} |")
        for name, path in PAGES.items():
            begun = time.perf_counter()
            body = browser.open(address.split("/?")[0] + path).read().decode()
            taken = time.perf_counter() - begun
            assert "sample" in body, name
            print(f"| {name} | {taken:.2f} | {resident_mb(server.pid)[0]:,.0f} |", flush=True)
        print(f"| peak | | {resident_mb(server.pid)[1]:,.0f} |")
        server.terminate()


if __name__ == "__main__":
    main()
