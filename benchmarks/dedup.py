"""`codemill dedup` beside rensa and datatrove's MinHash, on the same rows: `python -m benchmarks.dedup`.

    --corpus GLOB     Parquet with a `content` column, as `codemill corpus` writes; default: the packages installed next
                      to this interpreter
    --mb N            how many megabytes of it, in files of 16 MB, since datatrove runs a task per file
    --rounds N        every contender runs once per round, in turns; the table has the medians
    --workers N ...   numbers of workers for `codemill dedup` and datatrove
    --others PYTHON   an interpreter with datatrove[processing] and spacy; without it, datatrove is left out

All use 5-grams, 128 permutations in 16 bands of 8 and, but for datatrove, which doesn't verify pairs, a threshold of
0.7. The tokens differ: codemill's are runs of letters, digits and underscores in lower case, the others' are words. So
the numbers of duplicates are alike, not equal.

Processor time and memory are those of all processes of a contender, its start included.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.processes import watch

_CONTENDERS = Path(__file__).parent / "contenders"
_ROOT = Path(__file__).parents[1]
_FILE_BYTES = 16_000_000
_GROUP_ROWS = 256


@dataclass(frozen=True)
class Run:
    """One run: wall and processor time in seconds, peak memory in MB, rows found to be duplicates."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    duplicates: int


@dataclass(frozen=True)
class Contender:
    """A command; `OUTPUT` stands for an empty folder of its own."""

    name: str
    command: Sequence[str]

    def run(self, folder: Path) -> Run:
        """Runs the command once. Raises CalledProcessError."""
        output = folder / "output"
        shutil.rmtree(output, ignore_errors=True)
        output.mkdir()
        command = [word.replace("OUTPUT", str(output)) for word in self.command]
        usage = watch(command, cwd=_ROOT)
        return Run(usage.seconds, usage.processor_s, usage.peak_rss_mb, _duplicates(output))


def _duplicates(output: Path) -> int:
    result = output / "result.json"
    if result.exists():
        return int(json.loads(result.read_text())["duplicates"])
    summary = json.loads((output / "job" / "summary.json").read_text())
    return sum(entry["count"] for entry in summary["rejected"] if entry["reason"].endswith("_duplicate"))


def write_corpus(source: str, folder: Path, max_bytes: float) -> tuple[int, int]:
    """Writes the rows with text, in a column `text`, in files of 16 MB; returns rows and bytes."""
    folder.mkdir()
    total_rows = total = 0
    for number, texts in enumerate(_files(source, max_bytes)):
        total_rows, total = total_rows + len(texts), total + sum(len(text.encode()) for text in texts)
        ids = [f"{number}-{place}" for place in range(len(texts))]
        table = pa.table({"text": pa.array(texts, pa.large_string()), "id": ids})
        pq.write_table(table, folder / f"{number:05}.parquet", row_group_size=_GROUP_ROWS, compression="zstd")
    return total_rows, total


def _files(source: str, max_bytes: float) -> Iterator[list[str]]:
    texts: list[str] = []
    size = total = 0
    for path in sorted(Path("/").glob(source.lstrip("/"))) if "*" in source else [Path(source)]:
        for batch in pq.ParquetFile(path).iter_batches(64, columns=["content"]):
            for text in filter(None, batch.column(0).to_pylist()):
                if total >= max_bytes:
                    break
                texts.append(text)
                length = len(text.encode())
                size, total = size + length, total + length
                if size >= _FILE_BYTES:
                    yield texts
                    texts, size = [], 0
    if texts:
        yield texts


def contenders(corpus: Path, workers: Sequence[int], others: str | None) -> list[Contender]:
    """Everything that is compared."""
    ours = [sys.executable, "-m", "jobs", "dedup", "--input", f"{corpus}/*.parquet", "--content_column", "text"]
    ours += ["--output", "OUTPUT/job", "--progress", "none"]
    found = [Contender(f"codemill dedup, --workers {n}", [*ours, "--workers", str(n)]) for n in workers]
    found.append(
        Contender("rensa, a loop", [sys.executable, str(_CONTENDERS / "rensa_loop.py"), str(corpus), "OUTPUT"])
    )
    script = str(_CONTENDERS / "datatrove_minhash.py")
    if others:
        found += [
            Contender(f"datatrove, {n} workers", [others, script, str(corpus), "OUTPUT", str(n)]) for n in workers
        ]
    return found


def table(runs: dict[str, list[Run]], num_mb: float) -> Iterator[str]:
    """The lines of a Markdown table with the medians."""
    yield "| | wall, s | processor, s | MB/s of a processor | peak memory, MB | duplicates |"
    yield "|---|---|---|---|---|---|"
    for name, some in runs.items():
        if not some:
            yield f"| {name} | failed | | | | |"
            continue
        wall, cpu, peak = (
            statistics.median(getattr(run, key) for run in some) for key in ("wall_s", "cpu_s", "peak_mb")
        )
        yield f"| {name} | {wall:.1f} | {cpu:.1f} | {num_mb / cpu:.1f} | {peak:,.0f} | {some[0].duplicates:,} |"


def own_corpus(folder: Path) -> str:
    """A corpus of the installed packages."""
    command = [sys.executable, "-m", "jobs", "corpus", sysconfig.get_paths()["purelib"]]
    watch([*command, "--output", str(folder), "--progress", "none"], cwd=_ROOT)
    return f"{folder}/data/*.parquet"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", metavar="GLOB")
    parser.add_argument("--mb", type=float, default=100, metavar="N")
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2], metavar="N")
    parser.add_argument("--others", metavar="PYTHON")
    options = parser.parse_args()
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        corpus = os.path.abspath(options.corpus) if options.corpus else own_corpus(folder / "packages")
        rows, num_bytes = write_corpus(corpus, folder / "corpus", options.mb * 1e6)
        print(f"{rows:,} rows, {num_bytes / 1e6:,.1f} MB; medians of {options.rounds} rounds\n", flush=True)
        rivals = contenders(folder / "corpus", options.workers, options.others)
        runs: dict[str, list[Run]] = {rival.name: [] for rival in rivals}
        for _ in range(options.rounds):
            for rival in rivals:
                try:
                    runs[rival.name].append(rival.run(folder))
                except Exception as error:  # one contender that fails must not cost the others' figures
                    print(f"{rival.name}: {type(error).__name__}: {error}", file=sys.stderr)
        print("\n".join(table(runs, num_bytes / 1e6)))


if __name__ == "__main__":
    main()
