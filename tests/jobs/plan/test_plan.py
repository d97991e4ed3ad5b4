from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs import storage
from jobs.plan import cutting
from jobs.plan.cutting import FEW_UNITS, UnitBounds, make_plan
from jobs.plan.footers import Footer, InputFile, RowGroup, read_footer
from jobs.plan.freezing import plan_job
from jobs.plan.input_paths import expand, public_names
from jobs.plan.inputs import Inputs, read_inputs
from jobs.plan.units import (
    NO_ROW_GROUP,
    plan_to_parquet,
    planned_rows,
    read_plan,
    rejected_rows,
)
from jobs.storage.folders import JobFolder, OutputFolder
from model.errors import ConfigError
from tests.jobs.toy import ToyWork
from tests.jobs.uppercase import Options
from transforms.rows.columns import ColumnMap, ColumnOverrides
from transforms.rows.rejections import REJECTED_SCHEMA
from transforms.work import UnitFile

SCHEMA = pa.schema([("content", pa.large_string())])


def write(path: Path, rows: int = 4, *, group: int = 100, **columns: list) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table({"content": [f"{path.name} {n}" for n in range(rows)], **columns})
    pq.write_table(table, path, row_group_size=group)
    return path


def inputs_of(*paths: Path, overrides: ColumnOverrides | None = None) -> Inputs:
    return read_inputs([str(path) for path in paths], overrides or ColumnOverrides())


def names(found: list[str]) -> list[str]:
    return [os.path.basename(name) for name in found]


# --- names -----------------------------------------------------------------------------------------


def test_a_folder_is_its_parquet_files_at_any_depth_in_order_of_name(tmp_path):
    for name in ["b.parquet", "a/z.parquet", "a/notes.txt", "_job/x.parquet", ".hidden/y.parquet"]:
        write(tmp_path / name)
    assert names(expand([str(tmp_path)])) == ["z.parquet", "b.parquet"]


def test_globs_match_at_any_depth_and_each_file_counts_once(tmp_path):
    for name in ["b.parquet", "a/z.parquet", "a/b/y.parquet"]:
        write(tmp_path / name)
    found = expand([str(tmp_path / "b.parquet"), f"{tmp_path}/**/*.parquet"])
    assert names(found) == ["b.parquet", "y.parquet", "z.parquet"]


@pytest.mark.parametrize("mark", ["_job/job.json", "COMPLETED"])
def test_the_output_of_a_job_stands_for_its_data(tmp_path, mark):
    for name in ["data/train-00000-of-00001.parquet", "rejected/rejected-00000-of-00001.parquet", "_job/plan.parquet"]:
        write(tmp_path / name)
    (tmp_path / mark).write_text("{}")
    assert names(expand([str(tmp_path)])) == ["train-00000-of-00001.parquet"]


def test_a_relative_path_becomes_absolute_so_that_a_job_resumes_from_anywhere(tmp_path, monkeypatch):
    write(tmp_path / "a.parquet")
    monkeypatch.chdir(tmp_path)
    assert expand(["a.parquet"]) == [str(tmp_path / "a.parquet")]


def test_a_file_whose_name_looks_like_a_glob_is_a_file(tmp_path):
    path = write(tmp_path / "part[0].parquet")
    assert expand([str(path)]) == [str(path)]


def test_links_give_no_file_twice(tmp_path):
    write(tmp_path / "in" / "a.parquet")
    (tmp_path / "in" / "again").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "0.parquet").symlink_to("a.parquet")
    assert len(expand([str(tmp_path / "in")])) == 1
    named = str(tmp_path / "in" / "a.parquet")
    assert expand([named, str(tmp_path / "**" / "*.parquet")]) == [named]


def test_a_name_that_is_no_utf8_is_one_bad_file_with_a_printable_name(tmp_path):
    for name in ("a.parquet", "b.parquet"):
        write(tmp_path / name)
    os.rename(tmp_path / "a.parquet", os.fsencode(tmp_path) + b"/\xff.parquet")
    files = {file.name: file for file in read_inputs(expand([str(tmp_path)]), ColumnOverrides()).files}
    assert (files["b.parquet"].state, files[r"\xff.parquet"].state) == ("good", "bad")
    assert files[r"\xff.parquet"].reason == "name_not_utf8" and files[r"\xff.parquet"].uri.endswith(r"/\xff.parquet")


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        ("nothing/*.parquet", "no file matches"),
        ("nothing.parquet", "no such file"),
        ("empty", "there is no Parquet file in"),
    ],
)
def test_an_input_that_names_nothing_is_refused_by_name(tmp_path, pattern, line):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=line) as error:
        expand([str(tmp_path / pattern)])
    assert pattern in str(error.value) and "\n" not in str(error.value)


def output_of_a_job(folder: Path) -> Path:
    for name in ["data/train-00000-of-00001.parquet", "rejected/rejected-00000-of-00001.parquet", "_job/plan.parquet"]:
        write(folder / name)
    for name in ("COMPLETED", "README.md", "report.html", "summary.json", "_job/job.json"):
        (folder / name).write_text("{}")
    return folder


def test_a_glob_over_an_output_takes_its_data_and_a_line_says_what_it_skipped(tmp_path):
    output_of_a_job(tmp_path / "corpus")
    said: list[str] = []
    assert names(expand([f"{tmp_path}/corpus/**"], said.append)) == ["train-00000-of-00001.parquet"]
    (line,) = said
    assert f"skipped 7 files of {tmp_path}/corpus outside its data/: COMPLETED, README.md, _job/job.json, ..." in line


@pytest.mark.parametrize("pattern", ["", "/**", "/**/*.parquet", "/*/rejected/*", "/*/*/*.parquet"])
def test_no_wildcard_and_no_folder_takes_rejected_rows_for_input(tmp_path, pattern):
    output_of_a_job(tmp_path / "one")
    write(tmp_path / "two" / "rejected" / "mine.parquet")
    said: list[str] = []
    found = names(expand([f"{tmp_path}{pattern}"], said.append))
    assert "mine.parquet" in found and not any(name.startswith(("rejected-", "plan")) for name in found)
    assert len(said) == 1 and f"of {tmp_path}/one outside its data/" in said[0]


def test_what_is_named_outright_is_taken_at_the_users_word(tmp_path):
    folder = output_of_a_job(tmp_path / "one") / "rejected"
    for pattern in (folder, folder / "*.parquet", folder / "rejected-00000-of-00001.parquet"):
        assert names(expand([str(pattern)], pytest.fail)) == ["rejected-00000-of-00001.parquet"]


paths = st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=4), min_size=1, unique_by=tuple)


@given(paths)
def test_public_names_distinguish_files_and_are_ends_of_their_paths(parts):
    files = ["/home/me/" + "/".join(one) for one in parts]
    found = public_names(files)
    assert len(set(found)) == len(files)
    assert all(path.endswith("/" + name) or path == "/" + name for path, name in zip(files, found, strict=True))


def test_a_lone_files_public_name_says_nothing_of_its_location():
    assert public_names(["/home/me/secret/a.parquet"]) == ["a.parquet"]


# --- limits ----------------------------------------------------------------------------------------


@pytest.fixture
def footers(monkeypatch) -> list[str]:
    """Names of the files whose footers are read; three at a time."""
    read: list[str] = []
    monkeypatch.setattr("jobs.plan.inputs._FILES_AT_ONCE", 3)

    def note(files):
        read.extend(os.path.basename(uri) for uri, _ in files)
        return [read_footer(*file) for file in files]

    monkeypatch.setattr("jobs.plan.inputs.open_reader", lambda: contextlib.nullcontext(note))
    return read


def test_a_limit_reads_only_the_footers_that_it_takes(tmp_path, footers):
    for number in range(20):
        write(tmp_path / f"{number:02d}.parquet", rows=4)
    inputs = read_inputs(expand([str(tmp_path)]), ColumnOverrides(), limit=10)
    assert len(footers) == 3 and len(inputs.files) == 3
    assert make_plan(inputs, columns=["content"], bounds=UnitBounds(), limit=10).rows == 10


def test_files_that_turn_out_bad_dont_count_towards_a_limit(tmp_path, footers):
    for number in range(4):
        pq.write_table(pa.table({"other": [1, 2, 3, 4]}), tmp_path / f"{number:02d}.parquet")
    for number in range(4, 20):
        write(tmp_path / f"{number:02d}.parquet", rows=4)
    inputs = read_inputs(expand([str(tmp_path)]), ColumnOverrides(), limit=5)
    assert [file.state for file in inputs.files] == ["bad"] * 4 + ["good"] * 2 and len(footers) == 6


@given(st.lists(st.sampled_from(["good", "odd", "bad", "empty"]), min_size=1, max_size=8), st.integers(1, 20))
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_how_many_footers_are_read_at_once_changes_nothing(tmp_path_factory, monkeypatch, kinds, limit):
    folder = tmp_path_factory.mktemp("in")
    for number, kind in enumerate(kinds):
        path = folder / f"{number}.parquet"
        if kind == "bad":
            path.write_bytes(b"")
        else:
            columns = {"stars": ["many"] * 3} if kind == "odd" else {"stars": [1] * (3 if kind == "good" else 0)}
            write(path, rows=0 if kind == "empty" else 3, **columns)
    answers = []
    for at_once in (1, 2, 9):
        monkeypatch.setattr("jobs.plan.inputs._FILES_AT_ONCE", at_once)
        try:
            answers.append(read_inputs(expand([str(folder)]), ColumnOverrides(), limit=limit).files)
        except ConfigError as error:
            answers.append(str(error))
    assert answers[0] == answers[1] == answers[2]


# --- bad files -------------------------------------------------------------------------------------


def spoil(path: Path, how: str) -> None:
    data = write(path).read_bytes()
    match how:
        case "zero_bytes":
            path.write_bytes(b"")
        case "truncated_file":
            path.write_bytes(data[: len(data) // 2])
        case "not_parquet":
            path.write_bytes(b"id,content\n1,x\n")
        case "damaged_footer":
            path.write_bytes(data[:-40] + b"\xff" * 32 + data[-8:])
        case "missing_column":
            pq.write_table(pa.table({"other": [1]}), path)
        case "schema_mismatch":
            pq.write_table(pa.table({"content": ["x"], "stars": ["many"]}), path)
        case "duplicate_column":
            pq.write_table(pa.Table.from_arrays([pa.array(["x"])] * 2, names=["content", "content"]), path)


FAULTS = [
    "zero_bytes",
    "truncated_file",
    "not_parquet",
    "damaged_footer",
    "missing_column",
    "schema_mismatch",
    "duplicate_column",
]


@pytest.mark.parametrize("how", FAULTS)
def test_a_bad_file_is_named_with_its_fault_and_the_good_ones_are_planned(tmp_path, how):
    good = write(tmp_path / "good.parquet", stars=[1, 2, 3, 4])
    spoil(tmp_path / "bad.parquet", how)
    inputs = inputs_of(tmp_path / "bad.parquet", good)
    first, second = inputs.files
    assert (first.state, first.reason, second.state) == ("bad", how, "good")
    assert first.detail and "\n" not in first.detail
    plan = make_plan(inputs, columns=["content"], bounds=UnitBounds())
    assert [(unit.row_group, planned_rows(unit)) for unit in plan.units] == [(NO_ROW_GROUP, 0), (0, 4)]


@pytest.mark.parametrize("how", [fault for fault in FAULTS if fault != "schema_mismatch"])
def test_with_nothing_but_bad_files_the_first_fault_is_the_users_answer(tmp_path, how):
    spoil(tmp_path / "bad.parquet", how)
    with pytest.raises(ConfigError, match="the input can't be read") as error:
        inputs_of(tmp_path / "bad.parquet")
    assert "bad.parquet" in str(error.value) and "\n" not in str(error.value)


def test_a_file_without_rows_is_empty_and_not_bad(tmp_path):
    inputs = inputs_of(write(tmp_path / "empty.parquet", rows=0), write(tmp_path / "good.parquet"))
    assert [file.state for file in inputs.files] == ["empty", "good"]
    assert len(make_plan(inputs, columns=["content"], bounds=UnitBounds()).units) == 1


def test_schemas_that_differ_harmlessly_become_one(tmp_path):
    a, b = tmp_path / "a.parquet", tmp_path / "b.parquet"
    pq.write_table(pa.table({"content": ["x"], "stars": pa.array([1], pa.int32())}), a)
    pq.write_table(pa.table({"stars": [2**40], "content": pa.array(["y"]).dictionary_encode(), "path": ["p"]}), b)
    inputs = inputs_of(a, b)
    assert {file.state for file in inputs.files} == {"good"}
    assert dict(zip(inputs.schema.names, inputs.schema.types, strict=True)) == {
        "content": pa.large_string(),
        "stars": pa.int64(),
        "path": pa.large_string(),
    }


def test_the_schema_of_most_rows_wins_over_the_first(tmp_path):
    odd, good = tmp_path / "a.parquet", write(tmp_path / "b.parquet", stars=[1, 2, 3, 4])
    pq.write_table(pa.table({"content": ["x"], "stars": ["many"]}), odd)
    assert [file.state for file in inputs_of(odd, good).files] == ["bad", "good"]


def test_a_column_that_the_user_names_must_be_in_some_file(tmp_path):
    path = write(tmp_path / "a.parquet")
    with pytest.raises(ConfigError, match="--path_column where: no such column"):
        inputs_of(path, overrides=ColumnOverrides(path="where"))


# --- units -----------------------------------------------------------------------------------------


def fake_inputs(groups: list[list[int]], bytes_per_row: int = 10) -> Inputs:
    files, footers = [], {}
    for number, rows in enumerate(groups):
        uri = f"f{number}"
        state = "good" if sum(rows) else "empty"
        files.append(InputFile(uri=uri, version="1", rows=sum(rows), state=state))
        footers[uri] = Footer(SCHEMA, tuple(RowGroup(n, {"content": n * bytes_per_row}) for n in rows))
    return Inputs(tuple(files), footers, SCHEMA, ColumnMap(content="content"))


corpora = st.lists(st.lists(st.integers(0, 40), max_size=4), min_size=1, max_size=4)


@given(corpora, st.integers(1, 50), st.integers(1, 300), st.none() | st.integers(1, 80))
@settings(deadline=None)
def test_units_contain_each_row_once_in_order_up_to_the_limit(groups, max_rows, max_bytes, limit):
    plan = make_plan(
        fake_inputs(groups), columns=["content"], bounds=UnitBounds(rows=max_rows, bytes=max_bytes), limit=limit
    )
    seen = [unit.place(row) for unit in plan.units for row in range(unit.row_start, unit.row_start + unit.row_count)]
    everything = [
        (f"f{number}", group, row)
        for number, rows in enumerate(groups)
        for group, count in enumerate(rows)
        for row in range(count)
    ]
    assert seen == everything[:limit]
    assert all(unit.row_count <= max_rows for unit in plan.units)
    assert all(unit.num_bytes <= max(max_bytes, 10) for unit in plan.units)
    assert [unit.unit_id for unit in plan.units] == sorted(unit.unit_id for unit in plan.units)


@given(corpora, st.integers(1, 50), st.data())
@settings(deadline=None)
def test_a_retry_plan_contains_the_rejected_rows_and_no_others(groups, max_rows, data):
    everything = [
        (f"f{number}", group, row)
        for number, rows in enumerate(groups)
        for group, count in enumerate(rows)
        for row in range(count)
    ]
    wanted = sorted(data.draw(st.sets(st.sampled_from(everything)))) if everything else []
    retry: dict[tuple[str, int], list[int]] = {}
    for uri, group, row in wanted:
        retry.setdefault((uri, group), []).append(row)
    plan = make_plan(fake_inputs(groups), columns=["content"], bounds=UnitBounds(rows=max_rows), retry=retry)
    assert [u.place(row) for u in plan.units for row in u.rows] == wanted
    for unit in plan.units:
        assert unit.rows[0] == unit.row_start and unit.rows[-1] == unit.row_start + unit.row_count - 1


def test_small_row_groups_share_a_unit_up_to_its_bounds_and_big_ones_keep_their_own():
    plan = make_plan(
        fake_inputs([[1] * 100, [3, 0, 4, 90, 5, 5]]), columns=["content"], bounds=UnitBounds(rows=40, bytes=10_000)
    )
    assert [(u.uri, u.row_group, u.row_count) for u in plan.units] == [
        ("f0", 0, 40),
        ("f0", 40, 40),
        ("f0", 80, 20),
        ("f1", 0, 7),
        ("f1", 3, 30),
        ("f1", 3, 30),
        ("f1", 3, 30),
        ("f1", 4, 10),
    ]
    assert [u.group_rows for u in plan.units[3:]] == [(3, 0, 4), None, None, None, (5, 5)]


def test_units_can_be_limited_to_their_row_groups():
    plan = make_plan(fake_inputs([[1] * 5]), columns=["content"], bounds=UnitBounds(join=False))
    assert [(u.row_group, u.group_rows) for u in plan.units] == [(group, None) for group in range(5)]


def test_small_files_share_a_unit_up_to_its_bounds_and_large_or_bad_ones_stand_alone():
    inputs = fake_inputs([[3], [2, 0, 2], [], [3], [90], [5], [1], [1, 1]])
    files = [file._replace(state="bad") if file.uri == "f6" else file for file in inputs.files]
    inputs = replace(inputs, files=tuple(files))
    plan = make_plan(inputs, columns=["content"], bounds=UnitBounds(rows=40, bytes=80))
    assert [(unit.title, unit.row_count, unit.num_bytes) for unit in plan.units if unit.uri != "f4"] == [
        ("f0 and 1 more file", 7, 70),
        ("f3", 3, 30),
        ("f5", 5, 50),
        ("f6", 0, 0),
        ("f7", 2, 20),
    ]
    first = plan.units[0]
    assert first.group_rows == (3,) and first.more == (
        UnitFile(uri="f1", version="1", name="", row_group=0, group_rows=(2, 0, 2)),
    )
    assert len([unit for unit in plan.units if unit.uri == "f4"]) == 12
    assert {unit.more for unit in plan.units[1:]} == {()}


def test_a_unit_of_one_file_has_the_id_that_it_always_had():
    def ids(max_rows):
        plan = make_plan(fake_inputs([[9, 4]]), columns=["content"], bounds=UnitBounds(rows=max_rows))
        return [unit.unit_id for unit in plan.units]

    assert (ids(9), ids(90)) == (["000000-1635d4c4", "000001-2a7ff9ff"], ["000000-77cbb892"])


def test_units_of_row_groups_hold_one_file_each():
    plan = make_plan(fake_inputs([[1], [1]]), columns=["content"], bounds=UnitBounds.row_groups())
    assert [unit.title for unit in plan.units] == ["f0", "f1"]


@given(corpora, st.integers(1, 50), st.data())
@settings(deadline=None)
def test_a_unit_split_by_file_has_the_same_rows(groups, max_rows, data):
    retry = None
    if data.draw(st.booleans()):
        retry = {
            (f"f{n}", g): list(range(0, rows, 2)) for n, counts in enumerate(groups) for g, rows in enumerate(counts)
        }
    plan = make_plan(fake_inputs(groups), columns=["content"], bounds=UnitBounds(rows=max_rows), retry=retry)
    for unit in plan.units:
        files = unit.by_file()
        assert [first + row for first, file in files for row in file.rows] == list(unit.rows)
        assert [file.place(row) for _, file in files for row in file.rows] == [unit.place(row) for row in unit.rows]
        assert len({file.uri for _, file in files}) == len(files) and not any(file.more for _, file in files)


def test_a_unit_is_bounded_by_tokens_too():
    plan = make_plan(fake_inputs([[8]], bytes_per_row=340), columns=["content"], bounds=UnitBounds(tokens=200))
    assert [unit.row_count for unit in plan.units] == [2, 2, 2, 2]


def rows_of(plan):
    return [unit.place(row) for unit in plan.units for row in unit.rows]


def plan_few(inputs, bounds=UnitBounds(), **more):
    return make_plan(inputs, columns=["content"], bounds=bounds, few_rows_in_several_units=True, **more)


@pytest.mark.parametrize(
    ("groups", "counts"),
    [
        ([[82]], [10, 10, 10, 11, 10, 10, 10, 11]),
        ([[7]], [3, 4]),
        ([[3]], [3]),
        ([[6]] * 10, [6] * 10),  # no two of these files fit into 8 rows
        ([[2] * 40], [10] * 8),
        ([[600], [600]], [150] * 8),
        ([[2048]], [256] * 8),
    ],
)
def test_few_rows_are_cut_into_about_eight_units(groups, counts):
    plan = plan_few(fake_inputs(groups))
    assert [unit.row_count for unit in plan.units] == counts
    assert rows_of(plan) == rows_of(make_plan(fake_inputs(groups), columns=["content"], bounds=UnitBounds()))


@given(corpora, st.integers(1, 50), st.none() | st.integers(1, 80), st.booleans())
@settings(deadline=None)
def test_cutting_few_rows_again_keeps_each_row_and_makes_the_same_plan_each_time(groups, max_rows, limit, retries):
    retry = None
    if retries:
        retry = {
            (f"f{n}", g): list(range(0, rows, 3)) for n, counts in enumerate(groups) for g, rows in enumerate(counts)
        }
    more = {"bounds": UnitBounds(rows=max_rows, bytes=200), "limit": limit, "retry": retry}
    once = make_plan(fake_inputs(groups), columns=["content"], **more)
    again = plan_few(fake_inputs(groups), **more)
    assert again == plan_few(fake_inputs(groups), **more)
    assert rows_of(again) == rows_of(once) and again.files == once.files
    assert len(again.units) >= len(once.units)
    if len(once.units) >= FEW_UNITS:
        assert again == once


def test_bad_files_dont_make_a_plan_of_few_rows_one_of_many_units():
    inputs = fake_inputs([[16], *[[1]] * FEW_UNITS])
    files = (inputs.files[0], *(file._replace(state="bad") for file in inputs.files[1:]))
    plan = plan_few(replace(inputs, files=files))
    assert [unit.row_count for unit in plan.units] == [4] * 4 + [0] * FEW_UNITS


def test_rows_beyond_the_limit_are_not_cut(monkeypatch):
    made = []
    monkeypatch.setattr(cutting, "_unit", lambda *what, make=cutting._unit: made.append(what) or make(*what))
    assert plan_few(fake_inputs([[10_000_000]], bytes_per_row=1), limit=10).rows == 10
    assert len(made) <= 4


def test_only_a_job_with_slow_rows_and_no_unit_rows_of_its_own_cuts_few_rows_again(tmp_path):
    class Slow(ToyWork):
        spreads_rows = True

    class SlowWhole(Slow):
        whole_row_groups = True

    path = write(tmp_path / "a.parquet", 40)
    options = Options(input=(str(path),), output=str(tmp_path / "out"))

    def counts(work, **given):
        planned = plan_job(replace(options, **given), work({}))
        return [unit.row_count for unit in planned.plan.units]

    assert counts(Slow) == [5] * 8
    assert counts(Slow, unit_rows=256) == counts(ToyWork) == counts(SlowWhole) == [40]
    assert counts(Slow, unit_rows=20) == [20, 20]


def test_the_plan_survives_its_file_and_has_the_same_bytes_each_time(tmp_path):
    retry = {("f0", 0): [3, 7], ("f1", 1): [0]}
    for wanted in (None, retry):
        plan = make_plan(fake_inputs([[9, 4], [3, 5]]), columns=["content"], bounds=UnitBounds(rows=4), retry=wanted)
        data = plan_to_parquet(plan.units)
        assert data == plan_to_parquet(plan.units)
        (tmp_path / "plan.parquet").write_bytes(data)
        assert tuple(read_plan(JobFolder(str(tmp_path)))) == plan.units


def test_only_a_finished_job_can_be_retried(tmp_path):
    with pytest.raises(ConfigError, match="not the output of a finished job"):
        rejected_rows(OutputFolder(str(tmp_path)))


def test_a_job_that_rejected_nothing_leaves_nothing_to_retry(tmp_path):
    (tmp_path / "COMPLETED").write_text("{}")
    (tmp_path / "rejected").mkdir()
    pq.write_table(REJECTED_SCHEMA.empty_table(), tmp_path / "rejected" / "rejected-00000-of-00001.parquet")
    with pytest.raises(ConfigError, match="did not reject any rows"):
        rejected_rows(OutputFolder(str(tmp_path)))


def test_a_corpus_that_rejected_files_has_no_rows_to_retry(tmp_path):
    (tmp_path / "COMPLETED").write_text("")
    (tmp_path / "rejected").mkdir()
    record = {"kind": "row", "uri": "/src", "row_group": 0, "row": 3, "stage": "read", "reason": "link", "detail": ""}
    table = pa.Table.from_pylist([record], schema=REJECTED_SCHEMA)
    pq.write_table(table, tmp_path / "rejected" / "rejected-00000-of-00001.parquet")
    with pytest.raises(ConfigError, match="are not rows of Parquet"):
        rejected_rows(OutputFolder(str(tmp_path)))


def test_a_planned_version_is_the_one_that_reading_will_compare(tmp_path):
    path = write(tmp_path / "a.parquet")
    (unit,) = make_plan(inputs_of(path), columns=["content"], bounds=UnitBounds()).units
    assert unit.version == storage.file_info(str(path))[1]
