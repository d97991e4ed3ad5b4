from __future__ import annotations

import dataclasses
import itertools
import multiprocessing
import os
import random
import signal
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs import storage
from jobs.grouping import duplicates
from jobs.grouping.duplicates import PlannedRows, find_or_make
from jobs.grouping.signing import SigningStages
from jobs.storage.folders import JobFolder
from transforms.row_pool import CRASHED
from transforms.work import Unit

SCHEMA = pa.schema([("content", pa.large_string())])


@dataclass(frozen=True)
class Contents:
    """Takes the content as it is; what has `KILL` in it kills its process, `RAISE` raises."""

    def __call__(self, table: pa.Table) -> list[bytes | None]:
        texts = [text.encode() for text in table.column("content").to_pylist()]
        if any(b"KILL" in text for text in texts):
            os.kill(os.getpid(), signal.SIGKILL)
        if any(b"RAISE" in text for text in texts):
            raise LookupError(*texts)
        return texts


def words(seed: int, changed: int = 0) -> str:
    rng = random.Random(seed)
    return " ".join([*(f"new{n}" for n in range(changed)), *(f"w{rng.randrange(10**6)}" for _ in range(150 - changed))])


def write(path, texts: list[str], group: int = 4) -> str:
    table = pa.table({"content": pa.array(texts, pa.large_string())})
    pq.write_table(table, path, row_group_size=group, compression="none", use_dictionary=False)
    return str(path)


def unit(uri: str, group: int, start: int, count: int, **more) -> Unit:
    _, version = storage.file_info(uri)
    name = f"{os.path.basename(uri)}-{group}-{start}"
    return Unit(
        unit_id=name, uri=uri, version=version, row_group=group, row_start=start, row_count=count, num_bytes=1, **more
    )


def made(folder, units: list[Unit], *, processes: int = 1) -> dict[tuple[str, int, int], tuple]:
    """The table of clusters, by the rows' locations."""
    planned = PlannedRows(units)
    os.makedirs(folder, exist_ok=True)
    found = find_or_make(
        JobFolder(str(folder)), SCHEMA, planned, Contents(), threshold=0.7, keep="first", processes=processes
    )
    entries = {planned.place(number): entry for number, entry in found.of(np.arange(len(planned))).items()}
    found.close()
    assert not (folder / "signing").exists()
    return {
        place: (entry.kind, planned.place(entry.kept), entry.similarity, entry.cluster_size, entry.detail)
        for place, entry in entries.items()
    }


def cut(uri: str, rows_of_groups: list[int], rng: random.Random) -> list[Unit]:
    """All rows of a file, cut at random; some small row groups together in one unit."""
    units, group = [], 0
    while group < len(rows_of_groups):
        joined = rng.randrange(1, 3)
        if joined > 1 and group + joined <= len(rows_of_groups):
            rows = tuple(rows_of_groups[group : group + joined])
            units.append(unit(uri, group, 0, sum(rows), group_rows=rows))
        else:
            joined, count = 1, rows_of_groups[group]
            edges = sorted({0, count, *(rng.randrange(count + 1) for _ in range(2))})
            units += [unit(uri, group, a, b - a) for a, b in itertools.pairwise(edges)]
        group += joined
    return units


def test_clusters_depend_neither_on_units_nor_on_the_number_of_processes(tmp_path, monkeypatch):
    monkeypatch.setattr(duplicates, "MB_PER_PROCESS", 1e-9)  # several processes even for so little
    rng = random.Random(5)
    texts = [words(rng.randrange(12), rng.choice([0, 0, 5, 60])) for _ in range(40)]
    one, other = write(tmp_path / "a.parquet", texts[:22], 5), write(tmp_path / "b.parquet", texts[22:], 7)
    plans = [cut(one, [5, 5, 5, 5, 2], rng) + cut(other, [7, 7, 4], rng) for _ in range(4)]
    tables = [made(tmp_path / f"job{n}", plan, processes=1 + n % 2) for n, plan in enumerate(plans)]
    kinds = {kind for kind, *_ in tables[0].values()}
    assert kinds == {"kept", "exact", "near"}
    assert all(table == tables[0] for table in tables)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.data())
@settings(max_examples=60, deadline=None)
def test_rows_are_numbered_in_plan_order_whatever_part_of_a_unit_is_asked_for(counts, data):
    edges = [0, *itertools.accumulate(counts)]
    units = []
    for number, (begin, end) in enumerate(itertools.pairwise(edges)):
        some = data.draw(st.sets(st.integers(begin, end - 1), min_size=1)) if data.draw(st.booleans()) else None
        rows = None if some is None else tuple(sorted(some))
        first, last = (begin, end - 1) if rows is None else (rows[0], rows[-1])
        about = {"unit_id": str(number), "uri": "a", "version": "", "row_group": 0, "num_bytes": 1}
        units.append(Unit(**about, row_start=first, row_count=last - first + 1, retry_rows=rows))
    planned = PlannedRows(units)
    for position, one in enumerate(units):
        part = data.draw(st.sets(st.sampled_from(list(one.rows))))
        expected = [planned.first(position) + one.rows.index(row) for row in sorted(part)]
        assert planned.numbers(one, sorted(part)).tolist() == expected
        assert [planned.place(number)[2] for number in expected] == sorted(part)


@given(st.sets(st.integers(0, 40)), st.sets(st.integers(0, 40)))
@settings(max_examples=60, deadline=None)
def test_the_table_of_clusters_says_of_each_row_asked_for_what_was_written(tmp_path_factory, known, asked):
    folder = JobFolder(str(tmp_path_factory.mktemp("job")))
    entries = {n: duplicates.Entry(n, n // 2, "near", 0.5, n + 2, None if n % 3 else f"{n}") for n in sorted(known)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duplicates, "GROUP_ROWS", 4)
        patch.setattr(duplicates, "_CACHED_GROUPS", 2)
        duplicates._write(folder, iter(entries.values()))
        table = duplicates.Duplicates(folder.join(duplicates.FILE))
        numbers = sorted(asked)
        for _ in range(2):
            found = table.of(np.array(numbers, np.int64))
            assert found == {place: entries[n] for place, n in enumerate(numbers) if n in entries}
        table.close()


def test_a_table_of_clusters_from_before_paths_were_kept_in_it_is_read(tmp_path):
    table = pa.Table.from_pylist([dataclasses.asdict(duplicates.Entry(3, 1, "near", 0.5, 2))], duplicates.SCHEMA)
    pq.write_table(table.drop_columns(["kept_path"]), tmp_path / duplicates.FILE)
    opened = duplicates.Duplicates(str(tmp_path / duplicates.FILE))
    assert opened.of(np.array([2, 3])) == {1: duplicates.Entry(3, 1, "near", 0.5, 2, kept_path=None)}
    opened.close()


def test_a_row_that_cannot_be_signed_is_named_and_costs_itself_alone(tmp_path, caplog):
    uri = write(tmp_path / "a.parquet", [words(1), words(2) + " RAISE", words(1), words(3), words(1)], 5)
    table = made(tmp_path / "job", [unit(uri, 0, 0, 5)])
    assert table[uri, 0, 1] == ("stage_error", (uri, 0, 1), 0.0, 1, "LookupError")
    assert [table[uri, 0, row][0] for row in (0, 2, 4)] == ["kept", "exact", "exact"]
    assert (uri, 0, 3) not in table
    assert "LookupError" in caplog.text and words(2)[:20] not in caplog.text


def test_a_row_that_kills_what_signs_it_is_named_by_the_worker_after_the_one_that_died(tmp_path):
    uri = write(tmp_path / "a.parquet", [words(1), words(2) + " KILL", words(1), words(3), words(1)], 5)
    units = [unit(uri, 0, 0, 3), unit(uri, 0, 3, 2)]
    first = multiprocessing.get_context("spawn").Process(target=made, args=(tmp_path / "job", units))
    first.start()
    first.join()
    assert first.exitcode == -signal.SIGKILL
    assert (tmp_path / "job" / "signing").exists()
    table = made(tmp_path / "job", units)
    kind, *_, detail = table[uri, 0, 1]
    assert (kind, detail) == ("crashed_worker", "the process died each time it signed this row")
    assert [table[uri, 0, row][0] for row in (0, 2, 4)] == ["kept", "exact", "exact"]


def test_an_error_is_no_death_so_the_next_worker_signs_itself(tmp_path, monkeypatch):
    uri = write(tmp_path / "a.parquet", [words(1)])
    with pytest.raises(OSError, match="some storage"), monkeypatch.context() as patch:

        def fail(*_, **__):
            raise OSError(5, "some storage")

        patch.setattr(duplicates, "_make", fail)
        made(tmp_path / "job", [unit(uri, 0, 0, 1)])
    assert not (tmp_path / "job" / "signing").exists()


def test_a_damaged_row_group_costs_its_own_rows_alone(tmp_path):
    texts = [words(n // 2) for n in range(6)]  # 0 0 | 1 1 | 2 2
    uri = write(tmp_path / "a.parquet", texts, 2)
    other = write(tmp_path / "b.parquet", [words(1), words(2), words(1)], 3)
    chunk = pq.read_metadata(uri).row_group(1).column(0)
    with open(uri, "r+b") as file:
        file.seek(chunk.data_page_offset)
        file.write(b"\xff" * 40)
    table = made(tmp_path / "job", [unit(uri, 0, 0, 6, group_rows=(2, 2, 2)), unit(other, 0, 0, 3)])
    assert table[uri, 0, 1][:2] == ("exact", (uri, 0, 0))
    assert table[uri, 2, 1][:2] == ("exact", (uri, 2, 0)) and table[other, 0, 1][:2] == ("exact", (uri, 2, 0))
    assert not {(uri, 1, 0), (uri, 1, 1)} & set(table), "rows that can't be read are in no cluster"
    assert table[other, 0, 2][:2] == ("exact", (other, 0, 0)), "nothing is a duplicate of a row that can't be read"


@pytest.mark.parametrize("how", ["gone", "changed", "damaged"])
def test_nothing_is_a_duplicate_of_a_file_that_can_no_longer_be_read(tmp_path, how):
    uri = write(tmp_path / "a.parquet", [words(1), words(2)])
    other = write(tmp_path / "b.parquet", [words(1), words(1)])
    units = [unit(uri, 0, 0, 2), unit(other, 0, 0, 2)]
    if how == "gone":
        os.remove(uri)
    elif how == "changed":
        write(uri, [words(1), words(2), words(4)])
    else:
        about = os.stat(uri)
        with open(uri, "r+b") as file:
            file.write(b"\xff" * 60)
        os.utime(uri, ns=(about.st_atime_ns, about.st_mtime_ns))
    table = made(tmp_path / "job", units)
    assert set(table) == {(other, 0, 0), (other, 0, 1)}
    assert table[other, 0, 1][:2] == ("exact", (other, 0, 0))


def test_a_path_that_may_not_be_shown_is_left_out_and_each_is_scanned_once(monkeypatch):
    monkeypatch.setattr(duplicates, "_PATHS_AT_ONCE", 2)
    paths = ["a.py", "of ann.lee@gmail.com", None, "b.py", "a.py", "c.py", "d.py"]
    entries = [duplicates.Entry(n, 0, "near", 0.9, 9, kept_path=path) for n, path in enumerate(paths)]
    asked = []

    def spread(method, parts):
        assert method == "shown"
        for position, part in reversed(list(enumerate(parts))):
            asked.extend(part)
            stages = SigningStages("", SCHEMA, Contents())
            yield position, CRASHED if "d.py" in part else stages.shown(part)

    found = list(duplicates.shown_entries(iter(entries), spread))
    assert sorted(asked) == sorted({path for path in paths if path})
    assert [entry.number for entry in found] == list(range(len(paths)))
    assert [entry.kept_path for entry in found] == ["a.py", None, None, "b.py", "a.py", None, None]
