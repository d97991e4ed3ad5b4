"""Jobs over one machine's cores: wall and processor time, memory, speed-up, the driver's own share.

    python -m benchmarks.one_machine --corpus CORPUS --mb 90 --jobs filter dedup pack --workers 1 2 --rounds 3
    python -m benchmarks.one_machine --corpus CORPUS --mb 30 90 293 --share 0.9 --jobs pack --workers 2 --rounds 1
    python -m benchmarks.one_machine --corpus CORPUS --mb 30 90 293 --same_files --jobs filter    memory by size alone
    python -m benchmarks.one_machine --corpus CORPUS --mb 30 90 293 --sampled --rounds 1    memory, composition alike
    python -m benchmarks.one_machine --corpus CORPUS --mb 90 --jobs filter --others PYTHON     datatrove beside it

The corpus is one that `codemill corpus` has made; of it, the given megabytes of text are taken, repeated in other
repositories if there is less, with `--share` of them in a single repository. With `--same_files` every size has the
same files, those of the smallest size, drawn at random with the largest file among them, and repeated; with `--sampled`
each size has files of its own, drawn in the same way, so that all are composed alike. Settings take turns within each
round, and the table shows medians. `--others` names an interpreter in which datatrove is installed: it reads the same
rows through its own quality and repetition filters, with as many tasks as there are workers.
"""

from __future__ import annotations

import argparse
import itertools
import random
import shutil
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.processes import Usage, watch

REPOSITORY_MB = 2
GROUP_ROWS = 1024
SEED = 14
DATATROVE = Path(__file__).parent / "contenders" / "datatrove_filters.py"
HEAD = (
    "| job | MB of text | workers | wall s | speed-up | MB/s | processor s | s a MB | driver s a MB | peak MB | "
    "private MB | PSS, MB | largest, MB |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", required=True)
    parser.add_argument("--mb", type=int, nargs="+", default=[90])
    parser.add_argument("--share", type=float, default=0.0)
    parser.add_argument("--same_files", action="store_true")
    parser.add_argument("--sampled", action="store_true")
    parser.add_argument("--jobs", nargs="+", default=["filter", "dedup", "pack"])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sources", nargs="+", default=[], help="folders and archives for the job corpus")
    parser.add_argument("--others")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="one-machine-") as folder:
        results: dict[tuple[str, int, int], list[Usage]] = defaultdict(list)
        files = dict.fromkeys(asked.mb, asked.corpus)
        if asked.same_files:
            files = dict.fromkeys(asked.mb, sample(asked.corpus, min(asked.mb), Path(folder, "sample")))
        elif asked.sampled:
            files = {mb: sample(asked.corpus, mb, Path(folder, f"sample-{mb}")) for mb in asked.mb}
        inputs = {mb: make_input(files[mb], Path(folder, f"{mb}.parquet"), mb, asked.share) for mb in asked.mb}
        jobs = [*asked.jobs, *(["datatrove filters"] if asked.others else [])]
        for _ in range(asked.rounds):
            for job, mb, workers in itertools.product(jobs, asked.mb, asked.workers):
                output = Path(folder, "out")
                words = command(job, inputs[mb], output, workers, asked)
                results[job, mb, workers].append(watch(words))
                shutil.rmtree(output, ignore_errors=True)
    print(HEAD)
    for (job, mb, workers), usages in results.items():
        print(line(job, mb, workers, usages, results[job, mb, asked.workers[0]]))


def sample(corpus: str, mb: int, folder: Path) -> str:
    """Writes about so many megabytes of the corpus's files, drawn at random, with its largest; returns the folder."""
    table = pa.concat_tables(pq.read_table(file) for file in sorted(Path(corpus).glob("*.parquet")))
    sizes = table.column("length_bytes").to_pylist()
    largest = max(range(len(sizes)), key=sizes.__getitem__)
    drawn, left = [largest], mb * 1_000_000 - sizes[largest]
    for row in random.Random(SEED).sample(range(len(sizes)), len(sizes)):
        if left <= 0:
            break
        if row != largest:
            drawn.append(row)
            left -= sizes[row]
    folder.mkdir()
    pq.write_table(table.take(pa.array(sorted(drawn))), folder / "sample.parquet")
    return str(folder)


def make_input(corpus: str, path: Path, mb: int, share: float) -> Path:
    """Writes so many megabytes of text, `share` of them in one repository, in rows of the corpus's columns."""
    left = mb * 1_000_000
    large = share * left
    with pq.ParquetWriter(path, pq.read_schema(next(Path(corpus).glob("*.parquet")))) as writer:
        for turn, table in _tables(corpus):
            names, taken = [], 0
            for number, size in enumerate(table.column("length_bytes").to_pylist()):
                if left <= 0:
                    break
                names.append("large" if large > 0 else f"small-{turn}-{left // (REPOSITORY_MB * 1_000_000)}")
                large, left, taken = large - size, left - size, number + 1
            writer.write_table(_with_column(table.slice(0, taken), "repo_name", names), GROUP_ROWS)
            if left <= 0:
                return path
    raise AssertionError("unreachable")


def _tables(corpus: str) -> Iterator[tuple[int, pa.Table]]:
    """The corpus's rows, over and over; in each turn their paths and texts differ a little."""
    for turn in itertools.count():
        for file in sorted(Path(corpus).glob("*.parquet")):
            for batch in pq.ParquetFile(file).iter_batches(GROUP_ROWS):
                table = pa.Table.from_batches([batch])
                if turn:
                    for name, form in (("path", f"turn{turn}/{{}}"), ("content", f"{{}}\n{turn}\n")):
                        texts = [form.format(text) for text in table.column(name).to_pylist()]
                        table = _with_column(table, name, texts)
                yield turn, table


def _with_column(table: pa.Table, name: str, texts: Sequence[str]) -> pa.Table:
    """The table with other texts in a column, of the same type."""
    place = table.schema.get_field_index(name)
    field = table.schema.field(place)
    return table.set_column(place, field, pa.array(texts, field.type))


def command(job: str, source: Path, output: Path, workers: int, asked: argparse.Namespace) -> list[str]:
    """The command of a job, or of the other tool."""
    if job == "datatrove filters":
        return [asked.others, "-W", "ignore", str(DATATROVE), str(source), str(output), str(workers)]
    words = [sys.executable, "-m", "jobs", job, "--output", str(output), "--workers", str(workers)]
    if job == "corpus":
        return [*words, *asked.sources]
    return [*words, "--input", str(source), *([] if job == "index" else ["--progress", "none"])]


def line(job: str, mb: int, workers: int, usages: list[Usage], first: list[Usage]) -> str:
    """One row of the table."""

    def middle(name: str, of: list[Usage] = usages) -> float:
        return statistics.median(getattr(usage, name) for usage in of)

    wall, processor = middle("seconds"), middle("processor_s")
    values = [
        *(job, str(mb), str(workers), f"{wall:.1f}", f"{middle('seconds', first) / wall:.2f}", f"{mb / wall:.1f}"),
        *(f"{processor:.1f}", f"{processor / mb:.3f}", f"{middle('leader_processor_s') / mb:.4f}"),
        *(f"{middle('peak_rss_mb'):,.0f}", f"{middle('peak_private_mb'):,.0f}"),
        *(f"{middle('peak_pss_mb'):,.0f}", f"{middle('largest_rss_mb'):,.0f}"),
    ]
    return f"| {' | '.join(values)} |"


if __name__ == "__main__":
    main()
