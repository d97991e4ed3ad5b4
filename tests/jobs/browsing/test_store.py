"""Searching a dataset: pages, counts and facets."""

from __future__ import annotations

import re
import shutil
from html import unescape
from urllib.parse import parse_qs

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import storage
from jobs.browsing.pages import list_page
from jobs.browsing.request import ROWS_PER_PAGE, Asked, read_asked
from jobs.browsing.store import Store
from jobs.ledger.commits import commit_unit, new_attempt_id
from jobs.storage.folders import OutputFolder
from jobs.viewing.choosing import Choice, chosen_numbers
from jobs.viewing.conditions import Condition
from jobs.viewing.places import find_rows
from model.errors import ConfigError
from tests.gcs import new_bucket
from transforms.rows.rejections import REJECTED_SCHEMA
from transforms.work import Unit, UnitResult

duckdb = pytest.importorskip("duckdb", reason="the extra browse is not installed")


@pytest.fixture(scope="module")
def store(dataset, tmp_path_factory) -> Store:
    return Store(str(dataset), 256, str(tmp_path_factory.mktemp("links")))


def numbers(page) -> list[int]:
    return [number for number, _ in page.rows]


def test_pages_follow_each_other_through_all_files(store):
    found, start = [], 0
    while True:
        page = store.page(Asked(start=start))
        found += numbers(page)
        start += ROWS_PER_PAGE
        if not page.has_more:
            break
    assert found == list(range(60)) and page.count == 60


def test_conditions_text_and_order_choose_rows(store):
    page = store.page(Asked(where=("exact_match=true", "language=Go")))
    assert numbers(page) == [0, 10, 20, 30, 40, 50] and page.count == 6
    assert numbers(store.page(Asked(where=("exact_match=true",), sort="score")))[:3] == [0, 5, 10]
    assert numbers(store.page(Asked(where=("exact_match=true",), sort="-score")))[:3] == [55, 50, 45]
    assert numbers(store.page(Asked(text="FILE_17.py"))) == [17]
    assert numbers(store.page(Asked(text="17 + 1"))) == [17]
    assert numbers(store.page(Asked(text="%"))) == []
    assert numbers(store.page(Asked(table="rejected", text="x = <script"))) == [3]
    assert numbers(store.page(Asked(table="rejected", text="alert(1)"))) == list(range(25))


def test_a_list_tells_facts_and_verdicts_apart(store):
    asked = Asked(where=("path=src/file_0.py",))
    page = list_page(store, asked, store.page(asked))
    assert '<div class="soft">language Go</div>' in page and "1 row; 1 to 1 shown" in page
    assert '<span class="yes">ok exact_match</span> <span class="yes">ok parses</span>' in page


def test_facets_count_what_meets_the_conditions(store):
    facets = store.page(Asked(where=("exact_match=true",))).facets
    assert facets == {"language": [("Go", 6), ("Python", 6)]}
    assert store.page(Asked(table="rejected")).facets["reason"] == [("cut_off", 30), ("does_not_parse", 10)]


def test_a_text_is_no_condition_on_rows_without_a_column_to_search(tmp_path):
    (tmp_path / "links").mkdir()
    pq.write_table(pa.table({"input_ids": [[1], [2]]}), tmp_path / "a.parquet")
    store = Store(str(tmp_path / "a.parquet"), 256, str(tmp_path / "links"))
    with pytest.raises(ConfigError, match="no column here is searched for a text"):
        store.page(Asked(text="x"))


def test_each_link_of_a_facet_shows_the_rows_that_it_counts(tmp_path):
    (tmp_path / "links").mkdir()
    values = [" a", "a ", "a", "null", "", "a=b", "~x", None, "x\ty", "x\ny", "%", "x" * 1_000]
    pq.write_table(pa.table({"language": values * 2}), tmp_path / "a.parquet")
    store = Store(str(tmp_path / "a.parquet"), 256, str(tmp_path / "links"))
    page = list_page(store, Asked(), store.page(Asked()))
    links = re.findall(r'<li><a href="/\?([^"]*)">[^<]*</a><span>(\d+)</span>', page)
    assert len(links) == 8 and page.count("<li><span>") == 4  # blanks at an end, a text `null`, too long a text
    for query, count in links:
        assert store.page(read_asked(parse_qs(unescape(query), keep_blank_values=True))).count == int(count) == 2


def test_rows_are_read_whole_by_their_number(store):
    assert store.row("kept", 31)["path"] == "src/file_31.py"
    assert store.row("rejected", 3)["answer"].startswith("x = ")
    with pytest.raises(ConfigError, match="no row 60; kept has 60 rows"):
        store.row("kept", 60)


def test_duckdb_reads_these_files_and_nothing_else(store, tmp_path):
    other = tmp_path / "other.csv"
    other.write_text("a\n1\n")
    for statement in (
        f"SELECT * FROM read_csv('{other}')",
        f"COPY (SELECT 1) TO '{tmp_path}/written.csv'",
        "INSTALL httpfs",
        "SET enable_external_access = true",
        f"ATTACH '{tmp_path}/a.db'",
    ):
        with pytest.raises(duckdb.Error):
            store._db.cursor().execute(statement)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other.csv"]


def test_a_search_that_takes_too_long_is_one_line(store, monkeypatch):
    monkeypatch.setattr("jobs.browsing.store._PAGE_TIMEOUT_S", 0.5)
    endless = "(SELECT count(*) FROM range(1000000000000) AS t(i) WHERE i % 7 = 3)"
    monkeypatch.setattr("jobs.browsing.sql.name_of", lambda path: endless)
    with pytest.raises(ConfigError, match=r"the search took longer than 0\.5 s; search fewer columns or rows"):
        store.page(Asked(text="x"))


def test_a_file_alone_has_no_rejected_rows(dataset, tmp_path):
    store = Store(str(next((dataset / "data").iterdir())).replace("[", "[[]").replace("*", "[*]"), 256, str(tmp_path))
    assert store.tables["kept"].total == 30 and store.tables["rejected"].total == 0
    assert store.page(Asked(table="rejected")).rows == []


@pytest.mark.parametrize(
    ("copied", "totals"), [("data", {"kept": 60, "rejected": 0}), ("rejected", {"kept": 0, "rejected": 40})]
)
def test_shards_of_one_table_alone_are_that_table_alone(dataset, tmp_path, copied, totals):
    (tmp_path / "links").mkdir()
    shutil.copytree(dataset / copied, tmp_path / "copy" / copied)
    store = Store(str(tmp_path / "copy"), 256, str(tmp_path / "links"))
    assert {table: rows.total for table, rows in store.tables.items()} == totals
    with pytest.raises(ConfigError, match="no rejected rows at" if copied == "data" else "no rows at"):
        find_rows(str(tmp_path / "copy"), rejected=copied == "data")


def test_nan_and_bytes_that_are_no_text_are_no_value_in_files_either(tmp_path):
    (tmp_path / "links").mkdir()
    values = [1.0, float("nan"), 3.0, float("inf"), None]
    table = pa.table({"size": values, "path": [b"a", "é".encode(), b"\xff", None, b"b"]})
    pq.write_table(table, tmp_path / "a.parquet")
    store = Store(str(tmp_path / "a.parquet"), 256, str(tmp_path / "links"))
    for where, found in (("size>2", [2, 3]), ("size=null", [1, 4]), ("path~É", [1]), ("path=null", [2, 3])):
        assert numbers(store.page(Asked(where=(where,)))) == found
        assert chosen_numbers(store.tables["kept"], Choice(rows=9, only=[Condition.parse(where)]))[0] == found
    assert numbers(store.page(Asked(sort="size"))) == [3, 2, 0, 1, 4] and numbers(store.page(Asked(text="É"))) == [1]


def test_nothing_to_show_is_one_line(tmp_path):
    with pytest.raises(ConfigError, match="no rows at"):
        Store(str(tmp_path / "nowhere"), 256, str(tmp_path))
    with pytest.raises(ConfigError, match="storage scheme xy:// is not supported"):
        Store("xy://bucket/out", 256, str(tmp_path))


def test_an_address_says_what_is_asked_for_and_nothing_else():
    asked = Asked(table="rejected", where=("a=b&c", "path~é "), text="x y", sort="-row", start=50)
    assert read_asked(parse_qs(asked.query)) == asked
    for values in ({"table": ["pg_catalog"]}, {"start": ["-1"]}, {"start": ["9" * 30]}, {"q": ["\0"]}):
        with pytest.raises(ConfigError):
            read_asked(values)


def test_an_unfinished_output_is_browsed_as_far_as_it_is_committed(tmp_path):
    output = OutputFolder(str(tmp_path / "out"))
    for number in range(2):
        unit = Unit(unit_id=f"{number}-a", uri="u", version="v", row_group=0, row_start=0, row_count=1, num_bytes=1)
        result = UnitResult(kept=pa.table({"path": [f"{number}.py"]}), rejected=REJECTED_SCHEMA.empty_table())
        commit_unit(output.job, unit, new_attempt_id(), result, config_hash="h")
    (tmp_path / "links").mkdir()
    store = Store(output.path, 256, str(tmp_path / "links"))
    assert store.tables["kept"].units == 2 and store.tables["rejected"].files == []
    assert numbers(store.page(Asked(where=("path=1.py",)))) == [1]
    assert "unfinished: 2 units committed" in list_page(store, Asked(), store.page(Asked()))


# --- in a bucket -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def in_bucket(dataset, gcs_emulator, tmp_path_factory) -> Store:
    root = new_bucket(gcs_emulator)
    for path in sorted(file for file in dataset.rglob("*") if file.is_file()):
        storage.write_bytes(f"{root}/out [1]/{path.relative_to(dataset)}", path.read_bytes())
    return Store(f"{root}/out [1]", 256, str(tmp_path_factory.mktemp("no links")))


@pytest.mark.parametrize(
    "asked",
    [
        Asked(start=25),
        Asked(where=("exact_match=true", "language=Go"), sort="-score"),
        Asked(text="17 + 1"),
        Asked(table="rejected", text="x = <script"),
        Asked(table="rejected", where=("reason=cut_off",)),
    ],
    ids=str,
)
def test_a_dataset_in_a_bucket_has_the_pages_of_a_local_one(store, in_bucket, asked):
    assert in_bucket.page(asked) == store.page(asked)
    assert in_bucket.row("kept", 31) == store.row("kept", 31)


def test_duckdb_reads_no_other_file_of_a_bucket(in_bucket):
    name = next(iter(in_bucket._first["kept"]))
    assert in_bucket._db.execute("SELECT count(*) FROM read_parquet(?)", [name]).fetchall() == [(30,)]
    for other in ("codemill://other.parquet", in_bucket.tables["kept"].files[0][0]):
        with pytest.raises(duckdb.Error, match="disabled by configuration"):
            in_bucket._db.execute("SELECT count(*) FROM read_parquet(?)", [other])


def test_a_file_that_left_the_bucket_is_told_in_one_line(dataset, gcs_emulator, tmp_path):
    root = new_bucket(gcs_emulator)
    for path in sorted((dataset / "data").iterdir()):
        storage.write_bytes(f"{root}/data/{path.name}", path.read_bytes())
    store = Store(root, 256, str(tmp_path))
    storage.remove(store.tables["kept"].files[1][0])
    with pytest.raises(ConfigError, match=r"^can't read the bucket: FileNotFoundError: .*train-00001"):
        store.page(Asked(where=("language=Go",), sort="score"))
