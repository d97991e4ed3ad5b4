"""Any number of workers gives the same bytes, whatever the sources are; any size of chunks gives the same rows."""

from __future__ import annotations

import io
import os
import random
import re
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.collecting import chunks, here
from jobs.collecting.collect import Collection
from jobs.corpus import Options, run
from jobs.system.exit_codes import FAILED_UNITS
from transforms.corpus.sources import open_source

LICENSE = Path(__file__).parents[3] / "LICENSE"
DANISH = "// Læser næste linje fra filen, prøv igen på et senere tidspunkt\n".encode("cp1252")
CZECH = "// Vrátí délku největšího řetězce, soubor nelze otevřít\n".encode("cp1250")


def files_of(seed: int, count: int = 40) -> dict[str, bytes]:
    """Files of all kinds: text in several encodings, uncertain, binary, empty, large; licenses in some folders."""
    rng = random.Random(seed)
    files = {"LICENSE": LICENSE.read_bytes(), "da/a.c": DANISH, "da/b.c": DANISH, "cs/a.c": CZECH, "cs/b.c": CZECH}
    for index in range(count):
        folder = rng.choice(("", "da/", "cs/", "deep/er/", "node_modules/x/"))
        data = rng.choice(
            (b"x = %d\n" % index, b"// \xf8\n", b"\0\1", b"", DANISH, CZECH, "é\n".encode(), b"y = 1\n" * 5000)
        )
        files[f"{folder}f{index}.{rng.choice(('py', 'c', 'js', 'bin'))}"] = data
    return files


def tree(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


@pytest.fixture
def sources(tmp_path) -> list[Path]:
    plain = tree(tmp_path / "plain", files_of(1))
    (plain / "link.py").symlink_to("f1.py")
    (plain / "gone.py").symlink_to("nowhere")
    os.mkfifo(plain / "da" / "pipe")
    work_tree = tree(tmp_path / "tracked", files_of(2))
    for words in (["init", "--quiet"], ["add", "."]):
        subprocess.run(["git", "-C", str(work_tree), *words], check=True)
    (work_tree / "untracked.py").write_text("never")
    with zipfile.ZipFile(tmp_path / "z-1.0.zip", "w") as zipped:
        for name, data in files_of(3).items():
            zipped.writestr(name, data)
    packed = tree(tmp_path / "packed", files_of(4))
    for name in ("t-1.0.tar.gz", "again-1.0.tar.gz"):
        with tarfile.open(tmp_path / name, "w:gz") as tar:
            tar.add(packed, "t")
    (tmp_path / "cut-1.0.tar.gz").write_bytes((tmp_path / "t-1.0.tar.gz").read_bytes()[:400])
    (tmp_path / "single.py").write_text("x = 1\n")
    archives = [tmp_path / name for name in ("z-1.0.zip", "t-1.0.tar.gz", "cut-1.0.tar.gz", "again-1.0.tar.gz")]
    return [plain, *archives[:2], work_tree, tmp_path / "single.py", *archives[2:]]


def published(output: Path) -> dict[str, bytes]:
    """The bytes of all published files but the report; of the summary without what differs between runs."""
    names = [path.relative_to(output) for path in output.rglob("*") if path.is_file()]
    found = {str(name): (output / name).read_bytes() for name in names if name.parts[0] != "_job"}
    found["summary.json"] = re.sub(
        rb'\n "(?:run_id|finished|seconds|options|workers)": (?:"[^"]*"|[0-9.]+),?', b"", found["summary.json"]
    )
    assert found.pop("report.html").startswith(b"<!doctype html>")
    return found


def rows_of(files: dict[str, bytes]) -> list[pa.Table]:
    tables = [pq.read_table(io.BytesIO(data)) for name, data in sorted(files.items()) if "/" in name]
    assert len(tables) == 2
    return tables


def made(output: Path, sources: list[Path], **options) -> dict[str, bytes]:
    cut = {"group_rows": 7, "group_mb": 0.05, "shard_mb": 1}
    options = {"source": tuple(map(str, sources)), "output": str(output), "progress": "none", **cut, **options}
    assert run(Options(**options)) == FAILED_UNITS
    return published(output)


@pytest.mark.parametrize(("workers", "chunk_files"), [(2, 1), (2, 7), (3, 64)])
def test_any_number_of_workers_gives_the_same_bytes(
    tmp_path, sources, small_chunks, no_work_here, monkeypatch, workers, chunk_files
):
    small = rows_of(made(tmp_path / "small", sources, workers=1))
    monkeypatch.setattr(chunks, "CHUNK_FILES", chunk_files)
    alone = made(tmp_path / "alone", sources, workers=1)
    assert made(tmp_path / "together", sources, workers=workers) == alone
    assert len(alone) > 3
    assert rows_of(alone) == small


def test_row_groups_are_full_however_little_each_source_holds(tmp_path, small_chunks):
    folders = [tree(tmp_path / str(number), {"a.py": b"x = %d\n" % number}) for number in range(20)]
    output = tmp_path / "out"
    options = Options(source=tuple(map(str, folders)), output=str(output), group_rows=8, progress="none", workers=1)
    assert run(options) == 0
    metadata = pq.read_metadata(output / "data/train-00000-of-00001.parquet")
    assert [metadata.row_group(index).num_rows for index in range(metadata.num_row_groups)] == [8, 8, 4]


def test_a_collection_that_is_given_up_begins_again(tmp_path, small_chunks):
    folder = tree(tmp_path / "source", {f"{number:02}.py": b"x = 1\n" for number in range(20)})
    for workers in (1, 2):
        with Collection([(open_source(str(folder)), "source")], workers, lambda: here) as collection:
            next(collection.parts())
            assert sum(part.num_files for _, part in collection.parts()) == 20


def test_workers_may_join_at_any_time(tmp_path, sources, small_chunks):
    alone = made(tmp_path / "alone", sources, workers=1)
    # This process works on until the first of them is ready.
    assert made(tmp_path / "together", sources, workers=2) == alone


def test_the_number_of_workers_may_change_when_a_corpus_is_begun_again(tmp_path, sources, small_chunks):
    first = made(tmp_path / "out", sources, workers=1)
    (tmp_path / "out/COMPLETED").unlink()
    assert made(tmp_path / "out", sources, workers=2) == first


@pytest.mark.parametrize("bytes_at_once", [1, 20_000, 1 << 30])
def test_chunks_hold_every_file_once_in_order_and_not_too_many_bytes(sources, monkeypatch, bytes_at_once):
    monkeypatch.setattr(chunks, "CHUNK_BYTES", bytes_at_once)
    monkeypatch.setattr(chunks, "HELD_BYTES", bytes_at_once)
    for path in sources:
        opened = chunks.OpenSource(0, open_source(str(path)), None)
        found = list(chunks.chunks_of(opened))
        assert [item for chunk in found for item in chunk.items] == [item for item, _ in opened.source.items()]
        places = [0]
        for chunk in found:
            assert chunk.first_index == places[-1]
            places.append(places[-1] + len(chunk.items))
            sizes = [len(item.data) for item in chunk.items if hasattr(item, "data")]
            assert sum(sizes[:-1]) < bytes_at_once
