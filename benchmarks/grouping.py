"""Three ways to group a corpus by repository on one machine: time and memory of each.

    python benchmarks/grouping.py [--copies 6] [--passes 4]

    disk        the way of `codemill pack` without a runner: rows are spooled to local disk by hash
    one pass    Beam's `GroupByKey` on the local runner, as `codemill pack` uses it on other runners
    passes      the same with the buckets in several passes, so that the runner holds a part of the corpus at a time

The corpus is the standard library and the packages installed next to this one, several times under different names.
All three produce the same rows, which is checked.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.pack import installed_packages, standard_library  # noqa: E402
from benchmarks.processes import watch  # noqa: E402

RUNNER = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"


def write_corpus(folder: Path, copies: int) -> float:
    """Writes the corpus in one file per copy; returns its megabytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    repositories = {"python/cpython": standard_library(), **installed_packages(24)}
    folder.mkdir()
    total = 0
    for copy in range(copies):
        rows = [
            {"content": text, "path": path, "repo_name": f"{name}-{copy}", "language": "Python"}
            for name, files in repositories.items()
            for path, text in files.items()
        ]
        total += sum(len(row["content"]) for row in rows)
        pq.write_table(pa.Table.from_pylist(rows), folder / f"{copy}.parquet", row_group_size=500)
    return total / 1e6


def group(corpus: str, output: str, how: str, passes: int) -> None:
    """Groups in this process, in one of the three ways."""
    from jobs.driver.runners import runner_for
    from jobs.grouping import reading, repositories
    from jobs.storage.folders import JobFolder
    from transforms.rows.columns import ColumnOverrides

    reading.BUCKET_MB = 32  # type: ignore[misc]  # gives a small corpus as many buckets as a large one
    if how == "passes":
        in_passes(corpus, output, passes)
        return
    beam_args = ["--runner", RUNNER] if how == "one pass" else []
    repositories.group_by_repository([corpus], JobFolder(output), ColumnOverrides(), spread=runner_for(beam_args).group)


def in_passes(corpus: str, output: str, passes: int) -> None:
    """`jobs.grouping.by_beam` with the buckets of one pass at a time; each pass reads the input again."""
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner

    from jobs.grouping.by_beam import ReadPieces, WriteBuckets
    from jobs.grouping.reading import GroupSettings, pieces, reading_of
    from jobs.hosts.checks import driver_facts
    from jobs.plan.input_paths import expand
    from jobs.plan.inputs import read_inputs
    from jobs.storage.folders import JobFolder
    from transforms.rows.columns import ColumnOverrides

    inputs = read_inputs(expand([corpus]), ColumnOverrides())
    read, facts = reading_of(inputs), driver_facts(JobFolder(output))
    for number in range(passes):
        with beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions([])) as pipeline:
            (
                pipeline
                | beam.Create(list(pieces(inputs, None)))
                | beam.Reshuffle()
                | beam.ParDo(ReadPieces(read, facts))
                | beam.Filter(lambda pair, number=number: pair[0] % passes == number)
                | beam.GroupByKey()
                | beam.ParDo(WriteBuckets(output, GroupSettings(), facts))
            )


def digest(output: Path) -> str:
    """A hash of all grouped rows."""
    import pyarrow.parquet as pq

    rows = [str(row) for path in sorted(output.rglob("*.parquet")) for row in pq.read_table(path).to_pylist()]
    return hashlib.sha256("".join(sorted(rows)).encode()).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--copies", type=int, default=6)
    parser.add_argument("--passes", type=int, default=4)
    parser.add_argument("--group", nargs=3, metavar=("CORPUS", "OUTPUT", "HOW"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.group:
        group(*options.group, options.passes)
        return
    with tempfile.TemporaryDirectory() as folder:
        megabytes = write_corpus(Path(folder, "corpus"), options.copies)
        print(f"| {megabytes:,.0f} MB in {options.copies} files | seconds | peak memory, MB | of it private, MB |")
        print("|---|---|---|---|")
        digests = set()
        for how in ("disk", "one pass", "passes"):
            output = Path(folder, how.replace(" ", "-"))
            command = [sys.executable, __file__, "--passes", str(options.passes), "--group", f"{folder}/corpus"]
            try:
                usage = watch([*command, str(output), how])
            except subprocess.CalledProcessError as error:
                print(f"| {how} | ended with {error.returncode} | | |", flush=True)
                continue
            digests.add(digest(output))
            name = f"{how} ({options.passes})" if how == "passes" else how
            print(
                f"| {name} | {usage.seconds:.1f} | {usage.peak_rss_mb:,.0f} | {usage.peak_private_mb:,.0f} |",
                flush=True,
            )
        assert len(digests) == 1, "the three ways differ"


if __name__ == "__main__":
    main()
