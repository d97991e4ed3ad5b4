"""Checks a dataset that grew over several nights, knowing nothing of how it was made.

    python benchmarks/night_checks.py SPEC.json

Imports nothing of codemill: rows are read with pyarrow and hashed here, blobs are asked of git. `SPEC.json` has

    output        the dataset
    once          a dataset that was made at once from this night's corpus
    deduplicated  instead of `once`: the dataset of which this one has each text once, the others among its rejected
    packed        instead of `once`: the dataset whose files the rows of this one have, each once
    forgotten     {"paths": [...], "hashes": [...]}: rows with this path or SHA-256 of their content are nowhere anymore
    opted_out     repositories that the newest edition must not have
    trees         {repository: [git directory, commit]}
    snapshots     a folder, in which each edition's rows are kept as they were when it was the newest
    readers       whether datasets, DuckDB and Polars read each edition as well

Prints one line for each kind of check, with its numbers, and one for each fault; exit code 1 if there is any.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

Row = tuple[int, list[list[str]]]
"""How often there is such a row, and the path and SHA-256 of each file that it has text of."""
Rows = dict[str, Row]
"""Rows by the hash of what they say."""

_SHOWN = 5
_KEEPS_ITS_OWN = ("revision_id", "retrieved_at")  # a row that hasn't changed tells when it was first taken in


def rows_of(files: Sequence[Path]) -> Rows:
    """The rows of shards, without the place in the input that each was read from, and when."""
    found: Rows = {}
    for row in read(files):
        row = {name: value for name, value in row.items() if name not in _KEEPS_ITS_OWN}
        if "lineage" in row:  # a corpus has none
            row["lineage"] = {name: value for name, value in row["lineage"].items() if not name.startswith("source_")}
        key = hashlib.sha256(json.dumps(row, sort_keys=True, default=str).encode()).hexdigest()
        count = found[key][0] if key in found else 0
        found[key] = (count + 1, files_in(row))
    return found


def files_in(row: Mapping[str, Any]) -> list[list[str]]:
    """Path and SHA-256 of each file that a row has text of; a packed row has several."""
    if "parts" in row:
        return [[part["path"], part["content_sha256"]] for part in row["parts"]]
    return [[row["path"], sha256_of(row["content"])]]


def sha256_of(text: str) -> str:
    """The SHA-256 of a text in UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()


def read(files: Sequence[Path]) -> Iterator[dict[str, Any]]:
    """Yields the rows of Parquet files."""
    for path in sorted(files):
        with pq.ParquetFile(path) as parquet:
            for group in range(parquet.num_row_groups):
                yield from parquet.read_row_group(group).to_pylist()


def editions_of(output: Path) -> dict[int, list[Path]]:
    """The shards with the rows of each edition, by its manifest; of one that never grew those in `data/`."""
    found = {}
    for manifest in sorted(output.glob("_editions/*/manifest.json")):
        files = json.loads(manifest.read_text())["files"]
        for name, size in files.items():
            assert (output / name).stat().st_size == size, f"{manifest}: {name} has another size"
        found[int(manifest.parent.name)] = [output / name for name in files if name.split("/")[-2] == "data"]
    return found or {1: sorted((output / "data").glob("*.parquet"))}


class Checks:
    """The checks of one night; `faults` collects what is wrong."""

    def __init__(self, spec: Mapping[str, Any]):
        self.spec = spec
        self.output = Path(spec["output"])
        self.editions = editions_of(self.output)
        self.newest = rows_of(sorted((self.output / "data").glob("*.parquet")))
        self.faults: list[str] = []

    def run(self) -> None:
        """Does all of them."""
        if "deduplicated" in self.spec:
            self.compare_with_duplicates()
        elif "packed" in self.spec:
            self.compare_with_files()
        else:
            self.compare_with_once()
        self.compare_with_snapshots()
        self.search_everywhere()
        if "packed" not in self.spec:
            self.compare_with_git()
        if self.spec["readers"]:
            self.read_otherwise()

    def is_forgotten(self, row: Row) -> bool:
        """Whether a row is to be nowhere anymore."""
        forgotten = self.spec["forgotten"]
        return any(path in forgotten["paths"] or sha256 in forgotten["hashes"] for path, sha256 in row[1])

    def compare_with_once(self) -> None:
        """The newest edition has the rows of a dataset made at once, but for forgotten ones."""
        once = rows_of(sorted(Path(self.spec["once"], "data").glob("*.parquet")))
        self._same("data/", self.newest, {key: row for key, row in once.items() if not self.is_forgotten(row)})

    def compare_with_duplicates(self) -> None:
        """Each row of the other dataset is a row here or a rejected record, and no text is here twice."""
        kept, should = (_files_of(Path(folder), "data") for folder in (self.output, self.spec["deduplicated"]))
        rejected = _files_of(self.output, "rejected")
        print(f"data/: {kept.total()} rows, {rejected.total()} rejected, {should.total()} before")
        differing = (kept + rejected - should) + (should - kept - rejected)
        self._none("rows that are neither kept nor rejected, or too many", [path for path, _ in differing])
        texts = Counter(sha256 for _, sha256 in kept.elements())
        self._none("texts that are kept twice", [sha256 for sha256, count in texts.items() if count > 1])

    def compare_with_files(self) -> None:
        """The pieces of packed rows put together are the files of the other dataset, each once."""
        texts: dict[tuple[str, str, str], str] = {}
        wanted: Counter[tuple[str, str, str]] = Counter()
        for row in read(list(Path(self.spec["packed"], "data").glob("*.parquet"))):
            key = (row["repo_name"], row["path"], sha256_of(row["content"]))
            texts[key] = row["content"]
            wanted[key] += bool(row["content"])
        pieces: dict[tuple[str, str, str], list[tuple[int, int]]] = defaultdict(list)
        lost, tokens, rows = [], 0, 0
        for row in read(list((self.output / "data").glob("*.parquet"))):
            rows, tokens = rows + 1, tokens + len(row["input_ids"])
            for part in row["parts"]:
                key = (part["repo_name"], part["path"], part["content_sha256"])
                if part["role"] == "file":
                    pieces[key].append((part["start"], part["end"]))
                    lost += [] if has_text_of(part, row["text"], texts.get(key, "")) else [part["path"]]
        each = {key: is_each_once(pieces[key], len(texts.get(key, "")), wanted[key]) for key in {*wanted, *pieces}}
        full = tokens / max(1, rows)
        print(f"data/: {len(pieces)} files in {rows} rows of {full:.0f} tokens, {wanted.total()} expected")
        wrong = [key[1] for key, is_so in each.items() if not is_so]
        self._none("files that are not there as often as they should be", wrong)
        self._none("pieces without their text", lost)

    def compare_with_snapshots(self) -> None:
        """Each edition has the rows that it had, but for forgotten ones."""
        folder = Path(self.spec["snapshots"])
        for number, files in self.editions.items():
            has, path = rows_of(files), folder / f"{number}.json"
            if path.exists():
                had = {key: tuple(row) for key, row in json.loads(path.read_text()).items()}
                self._same(
                    f"edition {number}", has, {key: row for key, row in had.items() if not self.is_forgotten(row)}
                )
            else:
                self._same(f"edition {number}, just made", has, self.newest)
                path.write_text(json.dumps(has))

    def search_everywhere(self) -> None:
        """No file of the output has a forgotten row, and the newest edition none of who opted out."""
        everywhere = rows_of(list(self.output.rglob("data/*.parquet")))
        self._none("forgotten rows", [_name(row) for row in everywhere.values() if self.is_forgotten(row)])
        newest = read(sorted((self.output / "data").glob("*.parquet")))
        parts = [part for row in newest for part in row.get("parts", [row])]
        self._none("opted out", [part["path"] for part in parts if part["repo_name"] in self.spec["opted_out"]])

    def compare_with_git(self) -> None:
        """Each row's file is in its repository at this night's commit, with this content."""
        wrong, contents = [], Counter[str]()
        trees = {repository: blobs_of(*where) for repository, where in self.spec["trees"].items()}
        for row in read(sorted((self.output / "data").glob("*.parquet"))):
            if trees[row["repo_name"]].get(row["path"]) != row["blob_id"]:
                wrong.append(row["path"])
            data = row["content"].encode()
            is_same = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest() == row["blob_id"]
            contents["the blob" if is_same else f"read as {row['src_encoding']}"] += 1
        print("git: contents are", ", ".join(f"{what} {count}" for what, count in contents.most_common()))
        self._none("rows whose file git has otherwise", wrong)

    def read_otherwise(self) -> None:
        """Other readers find as many rows in each edition."""
        for number, files in {**self.editions, 0: sorted((self.output / "data").glob("*.parquet"))}.items():
            rows = sum(row[0] for row in rows_of(files).values())
            for reader, found in counts_of([str(path) for path in files]).items():
                if found != rows:
                    self.faults.append(f"{reader}: {found} rows of {rows} in edition {number or 'data/'}")
            print(f"datasets, DuckDB, Polars: {rows} rows in {f'edition {number}' if number else 'data/'}")

    def _same(self, what: str, has: Rows, should: Mapping[str, Any]) -> None:
        print(f"{what}: {sum(row[0] for row in has.values())} rows, {sum(row[0] for row in should.values())} expected")
        wrong = [key for key in {*has, *should} if has.get(key, (0,))[0] != should.get(key, (0,))[0]]
        self._none(f"{what}: rows that differ", [_name(has.get(key) or should[key]) for key in wrong])

    def _none(self, what: str, found: Sequence[str]) -> None:
        if found:
            self.faults.append(f"{what}: {len(found)}, such as {', '.join(sorted(found)[:_SHOWN])}")


def _name(row: Row) -> str:
    """What a row is called where it is told."""
    return row[1][0][0]


def has_text_of(part: Mapping[str, Any], text: str, content: str) -> bool:
    """Whether a packed row's text has a piece of a file: as it is, or parted before and behind the hole."""
    inside = text[part["text_start"] : part["text_end"]]
    cuts = [part["start"], part["end"]]
    if part["span_start"] is not None:
        cuts[1:1] = [part["span_start"], part["span_end"]]
    return all(content[start:end] in inside for start, end in itertools.pairwise(cuts))


def is_each_once(pieces: Sequence[tuple[int, int]], length: int, times: int) -> bool:
    """Whether pieces of a text of so many characters, put together, are the text so many times."""
    at: Counter[int] = Counter()
    for start, end in pieces:
        at[start] += 1
        at[end] -= 1
    at[0] -= times
    at[length] += times
    return not any(at.values())


def _files_of(output: Path, folder: str) -> Counter[tuple[str, str]]:
    """Path and hash of the content of each row or record."""
    found: Counter[tuple[str, str]] = Counter()
    for row in read(list((output / folder).glob("*.parquet"))):
        is_row = "content" in row
        sha256 = hashlib.sha256(row["content"].encode()).hexdigest() if is_row else row["content_sha256"]
        if is_row or row["reason"].endswith("_duplicate"):
            found[row["path"], sha256] += 1
    return found


def blobs_of(git: str, commit: str) -> dict[str, str]:
    """The blob of each path at a commit."""
    listed = subprocess.run(["git", "--git-dir", git, "ls-tree", "-r", "-z", commit], check=True, capture_output=True)
    entries = (line.split("\t", 1) for line in listed.stdout.decode(errors="replace").split("\0") if line)
    return {path: what.split()[2] for what, path in entries}


def counts_of(files: list[str]) -> dict[str, int]:
    """How many rows other libraries find."""
    import datasets
    import duckdb
    import polars

    datasets.disable_progress_bars()
    loaded = datasets.load_dataset("parquet", data_files=files, split="train", streaming=True)
    return {
        "datasets": sum(1 for _ in loaded),
        "duckdb": duckdb.read_parquet(files).aggregate("count(*)").fetchall()[0][0],
        "polars": polars.read_parquet(files).height,
    }


def main() -> int:
    """Runs the checks of a specification; returns the exit code."""
    checks = Checks(json.loads(Path(sys.argv[1]).read_text()))
    checks.run()
    for fault in checks.faults:
        print(f"FAULT {fault}")
    return 1 if checks.faults else 0


if __name__ == "__main__":
    sys.exit(main())
