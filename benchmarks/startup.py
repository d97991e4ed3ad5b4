"""Where the time of a short infill job goes: start and plan, loading, compiling, the rest; by turns with cold and warm
caches of compiled programs, and without one.

    python -m benchmarks.startup CORPUS FOLDER [--rounds 3]

CORPUS is a corpus such as that of `make demo`; FOLDER gets the outputs and caches. Loading ends with the first
heartbeat of an engine, so it is exact to two seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

LENGTHS = ("--spans_per_file", "4", "--max_prompt_tokens", "384", "--max_new_tokens", "64", "--max_middle_tokens", "64")
COLUMNS = ("wall", "processor", "start", "load", "compile", "rest")


def run(corpus: str, output: Path, cache: Path, *flags: str) -> dict[str, float]:
    """Runs one job; returns seconds by column."""
    words = ["infill", "--input", corpus, "--output", str(output), "--log_format", "json", "--progress", "none"]
    command = [sys.executable, "-m", "jobs", *words, *LENGTHS, *flags]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as job:
        loaded_at = threading.Thread(target=_note_loaded, args=(output, seen := {}, job), daemon=True)
        loaded_at.start()
        assert job.stderr is not None
        for line in job.stderr:
            if json.loads(line)["event"] == "plan":
                seen["plan"] = time.monotonic()
    assert job.returncode == 0, f"the job has ended with {job.returncode}"
    ended = time.monotonic()
    loaded_at.join()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    compile_s = json.loads((output / "summary.json").read_text())["engine"]["compile_s"]
    return {
        "wall": ended - began,
        "processor": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "start": seen["plan"] - began,
        "load": seen["loaded"] - seen["plan"],
        "compile": compile_s,
        "rest": ended - seen["loaded"] - compile_s,
    }


def _note_loaded(output: Path, seen: dict[str, float], job: subprocess.Popen[str]) -> None:
    """Notes when the first heartbeat of an engine was written."""
    while "loaded" not in seen and job.poll() is None:
        for path in output.glob("_job/heartbeats/*.json"):
            if json.loads(path.read_text())["figures"]:
                seen["loaded"] = time.monotonic()
        time.sleep(0.05)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    cache = options.folder / "cache"
    found: dict[str, list[dict[str, float]]] = {"cold": [], "warm": [], "none": []}
    for number in range(options.rounds):
        for programs in cache.glob("codemill/xla-*"):  # the scanner's rules stay
            shutil.rmtree(programs)
        for kind in found:
            flags = ("--compile_cache", "none") if kind == "none" else ()
            found[kind].append(run(options.corpus, options.folder / f"{kind}{number}", cache, *flags))
    print(f"| programs | {' | '.join(COLUMNS)} |")
    print(f"|---|{'--:|' * len(COLUMNS)}")
    for kind, runs in found.items():
        print(f"| {kind} | {' | '.join(f'{statistics.median(one[name] for one in runs):.1f}' for name in COLUMNS)} |")


if __name__ == "__main__":
    main()
