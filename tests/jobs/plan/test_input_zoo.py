"""Kinds of input as they lie around: what each one gives, or the line that the user sees for it."""

from __future__ import annotations

import glob
import os
import socket
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.driver.estimates import read_input_source
from jobs.execution.reading import read_unit
from jobs.grouping.on_disk import group_on_disk
from jobs.grouping.repositories import group_by_repository
from jobs.options import from_all_options
from jobs.options.estimate import EstimateOptions
from jobs.plan.footers import read_footer
from jobs.plan.input_paths import expand
from jobs.plan.local_files import find_files
from jobs.plan.partitions import partition_values
from jobs.plan.schemas import canonical_type, fit_table
from jobs.storage import file_info
from jobs.storage.folders import OutputFolder
from jobs.training.data import read_files
from tests.jobs import uppercase
from transforms.duplicates.known_text import known_files
from transforms.rows.columns import ColumnOverrides
from transforms.work import Unit, UnitResult


@pytest.fixture(autouse=True)
def inline(monkeypatch):
    """Everything in this process: these tests are about what is read."""
    monkeypatch.setattr("jobs.execution.supervisor.run_units", uppercase.inline_units)
    monkeypatch.setattr("jobs.finalize.merge.merge_all", uppercase.inline_merges)


def run(inputs: Path | str, output: Path, *more: str) -> int:
    return uppercase.command_line(["--input", str(inputs), "--output", str(output), "--progress", "none", *more])


def write(file: Path, *contents: str, **columns) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"content": contents or ("strange",), **columns}), file)
    return file


def texts(output: Path) -> list[str]:
    return sorted(row["content"] for row in uppercase.dataset(output)["data"])


# --- what a listing finds ----------------------------------------------------------------------------


def dangling_file(folder: Path) -> None:
    (folder / "x.parquet").symlink_to("../../blobs/0123abcd")


def dangling_folder(folder: Path) -> None:
    (folder / "2024").symlink_to("/nowhere/cache")


def link_loop(folder: Path) -> None:
    (folder / "x.parquet").symlink_to("x.parquet")


def fifo(folder: Path) -> None:
    os.mkfifo(folder / "x.parquet")


def unix_socket(folder: Path) -> None:
    here = os.getcwd()
    os.chdir(folder)  # a socket's path has at most 107 bytes
    try:
        with socket.socket(socket.AF_UNIX) as opened:
            opened.bind("x.parquet")
    finally:
        os.chdir(here)


def device(folder: Path) -> None:
    (folder / "x.parquet").symlink_to("/dev/null")


def name_not_utf8(folder: Path) -> None:
    os.rename(write(folder / "x.parquet"), os.fsencode(folder) + b"/caf\xe9.parquet")


def folder_not_utf8(folder: Path) -> None:
    write(folder / "sub" / "x.parquet")
    os.rename(folder / "sub", os.fsencode(folder) + b"/\xfc")


def twice_the_same_partition(folder: Path) -> None:
    write(folder / "year=1" / "year=2" / "x.parquet")


def partition_not_utf8(folder: Path) -> None:
    write(folder / "language=%FF" / "x.parquet")


def partition_of_another_type(folder: Path) -> None:
    write(folder / "year=2024" / "x.parquet")


def empty_file(folder: Path) -> None:
    (folder / "x.parquet").write_bytes(b"")


def text_file(folder: Path) -> None:
    (folder / "x.parquet").write_text("content\nx = 1\n")


def git_lfs_pointer(folder: Path) -> None:
    (folder / "x.parquet").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")


BAD = {
    dangling_file: "x.parquet: dangling_link: the file is a link to one that is not there; fetch the data first",
    dangling_folder: "2024: dangling_link: the file is a link to one that is not there",
    link_loop: "x.parquet: dangling_link: the file is a link that leads nowhere",
    fifo: "x.parquet: not_a_file: it is a FIFO, not a file",
    unix_socket: "x.parquet: not_a_file: it is a socket, not a file",
    device: "x.parquet: not_a_file: it is a device, not a file",
    name_not_utf8: r"caf\xe9.parquet: name_not_utf8: its name or a folder's is not valid UTF-8; rename it",
    folder_not_utf8: r"\xfc/x.parquet: name_not_utf8",
    twice_the_same_partition: "x.parquet: bad_partition: two of its folders define the same column",
    partition_not_utf8: "x.parquet: bad_partition: the folder language=%FF is not valid UTF-8",
    partition_of_another_type: "x.parquet: schema_mismatch: column year: large_string where other files have int64",
    empty_file: "x.parquet: zero_bytes: the file is empty",
    text_file: "x.parquet: not_parquet: the file begins with b'cont'",
    git_lfs_pointer: "x.parquet: not_parquet: the file begins with b'vers'",
}


@pytest.mark.parametrize("make", BAD, ids=lambda make: make.__name__)
def test_what_cannot_be_read_is_one_bad_file_and_the_good_ones_come_out(tmp_path, capfd, make):
    folder = tmp_path / "in"
    write(folder / "good.parquet", "a = 1", "b = 2", year=[1, 2])
    make(folder)
    assert run(folder, tmp_path / "out") == 3
    said = capfd.readouterr()
    assert BAD[make] in said.err + said.out and "Traceback" not in said.err
    assert "FAILED UNITS: 1 of 2" in said.out
    assert texts(tmp_path / "out") == ["a = 1", "b = 2"]
    (bad,) = [f for f in pq.read_table(tmp_path / "out/_job/inputs.parquet").to_pylist() if f["state"] == "bad"]
    assert bad["reason"] in BAD[make] and bad["detail"]


@pytest.mark.parametrize("make", [dangling_file, link_loop, fifo, device], ids=lambda make: make.__name__)
@pytest.mark.parametrize("pattern", ["in/*.parquet", "in/x.parquet", "*/*.parquet", "in/**"])
def test_a_glob_or_a_name_tells_it_as_a_folder_does(tmp_path, capfd, make, pattern):
    write(tmp_path / "in" / "good.parquet", "a = 1")
    make(tmp_path / "in")
    assert run(tmp_path / pattern, tmp_path / "out") == (2 if pattern == "in/x.parquet" else 3)
    assert BAD[make].rpartition(": ")[2] in capfd.readouterr().err


def test_an_estimate_names_what_it_does_not_count(tmp_path, capfd):
    write(tmp_path / "good.parquet", "a = 1")
    dangling_file(tmp_path)
    assert read_input_source(EstimateOptions(input=(str(tmp_path),))).rows == 1
    assert "x.parquet: dangling_link" in capfd.readouterr().err


@pytest.mark.parametrize("pattern", ["in", "in/**/*.parquet", "in/*/*.parquet"])
def test_a_folder_that_cannot_be_listed_is_a_bad_file(tmp_path, capfd, monkeypatch, pattern):
    write(tmp_path / "in" / "open" / "good.parquet", "a = 1")
    closed = write(tmp_path / "in" / "closed" / "x.parquet").parent
    listing = os.scandir

    def refuse(path):
        if str(path) == str(closed):  # permissions don't bind the user that runs tests in a container
            raise PermissionError(13, "Permission denied", str(path))
        return listing(path)

    monkeypatch.setattr("jobs.plan.local_files.os.scandir", refuse)
    assert run(tmp_path / pattern, tmp_path / "out") == 3
    said = capfd.readouterr()
    assert "closed: unreadable_folder: the folder can't be listed" in said.out
    assert texts(tmp_path / "out") == ["a = 1"]


def test_a_file_without_permission_says_so(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr("jobs.storage.open_input", refuse)
    file, _ = read_footer(str(write(tmp_path / "x.parquet")))
    assert (file.state, file.reason) == ("bad", "unreadable_file")
    assert file.detail == "Permission denied; give this user the right to read it"


def upper_case(folder: Path) -> None:
    write(folder / "X.PARQUET")


def mixed_case(folder: Path) -> None:
    write(folder / "x.Parq")


def short_suffix(folder: Path) -> None:
    write(folder / "x.PQ")


def link_to_a_file(folder: Path) -> None:
    (folder / "x.parquet").symlink_to(write(folder.parent / "blobs" / "0123abcd"))


def link_to_a_folder(folder: Path) -> None:
    (folder / "sub").symlink_to(write(folder.parent / "cache" / "deep" / "x.parquet").parents[1])


def folder_that_links_to_itself(folder: Path) -> None:
    write(folder / "sub" / "x.parquet")
    (folder / "sub" / "again").symlink_to(folder)


def folder_named_like_a_file(folder: Path) -> None:
    write(folder / "x.parquet" / "part-0.parquet")


def brackets_in_a_name(folder: Path) -> None:
    write(folder / "x[0].parquet")


def newline_in_a_name(folder: Path) -> None:
    write(folder / "a\nb.parquet")


def other_files_beside(folder: Path) -> None:
    write(folder / "x.parquet")
    for name in ("_SUCCESS", "README.md", ".x.parquet.crc", "x.json"):
        (folder / name).write_text("no input")


def hidden_folders_beside(folder: Path) -> None:
    write(folder / "x.parquet")
    for name in ("_temporary", ".cache", "_delta_log"):
        write(folder / name / "y.parquet", "not this")


def no_rows_beside(folder: Path) -> None:
    write(folder / "x.parquet")
    pq.write_table(pa.table({"content": pa.array([], pa.string())}), folder / "y.parquet")


GOOD = [
    upper_case,
    mixed_case,
    short_suffix,
    link_to_a_file,
    link_to_a_folder,
    folder_that_links_to_itself,
    folder_named_like_a_file,
    brackets_in_a_name,
    newline_in_a_name,
    other_files_beside,
    hidden_folders_beside,
    no_rows_beside,
]


@pytest.mark.parametrize("make", GOOD, ids=lambda make: make.__name__)
def test_what_can_be_read_is_read_once(tmp_path, make):
    folder = tmp_path / "in"
    write(folder / "good.parquet", "a = 1")
    make(folder)
    assert run(folder, tmp_path / "out") == 0
    assert texts(tmp_path / "out") == ["a = 1", "strange"]


@pytest.mark.parametrize("pattern", ["*", "**", "**/*.parquet", "a/*", "*/x.parquet", "a/x.parquet", "?/[xy].*"])
def test_a_search_finds_what_glob_finds(tmp_path, pattern):
    for name in ("x.parquet", "a/x.parquet", "a/b/y.parquet", "a/.hidden.parquet", ".h/x.parquet", "b/z.txt"):
        write(tmp_path / name)
    wanted = {str(path) for path in map(Path, glob.glob(f"{tmp_path}/{pattern}", recursive=True))}
    assert find_files(str(tmp_path), pattern) == sorted(path for path in wanted if os.path.isfile(path))


def test_a_bucket_lists_suffixes_in_any_case():
    bucket = fsspec.filesystem("memory")
    for name in ("a/x.parquet", "a/b/Y.PARQUET", "a/z.Pq", "a/n.txt"):
        bucket.pipe_file(f"/zoo/{name}", b"")
    found = [uri.rpartition("/")[2] for uri in expand(["memory://zoo/a"])]
    assert sorted(found) == ["Y.PARQUET", "x.parquet", "z.Pq"]


# --- columns in the names of folders -----------------------------------------------------------------


PARTITIONED = {
    "language=Python/x.parquet": {"language": "Python"},
    "language=Python/license=mit/x.parquet": {"language": "Python", "license": "mit"},
    f"language={quote('C++/CLI', safe='')}/x.parquet": {"language": "C++/CLI"},
    "language=__HIVE_DEFAULT_PARTITION__/x.parquet": {"language": None},
    "language=/x.parquet": {"language": ""},
    "a=b=c/x.parquet": {"a": "b=c"},
    "year=2024/x.parquet": {"year": "2024"},
    "disk=1/corpus/language=Go/x.parquet": {"language": "Go"},
    "disk=1/corpus/x.parquet": {},
    "=1/x.parquet": {},
    "plain/a=1.parquet": {},
}


@pytest.mark.parametrize("name", PARTITIONED)
def test_the_folders_directly_above_a_file_give_columns(tmp_path, name):
    write(tmp_path / name, "x = 1")
    assert partition_values(f"gs://bucket/{name}") == PARTITIONED[name]
    assert run(tmp_path, tmp_path / "out") == 0
    (row,) = uppercase.dataset(tmp_path / "out")["data"]
    assert {key: row[key] for key in row if key not in ("content", "upper", "lines", "source_row")} == PARTITIONED[name]


def test_a_column_of_the_file_wins_over_the_folders_and_files_without_either_are_null(tmp_path):
    write(tmp_path / "in/language=Python/a.parquet", "a", language=["Go"])
    write(tmp_path / "in/language=Python/b.parquet", "b")
    write(tmp_path / "in/c.parquet", "c")
    assert run(tmp_path / "in", tmp_path / "out") == 0
    rows = {row["content"]: row["language"] for row in uppercase.dataset(tmp_path / "out")["data"]}
    assert rows == {"a": "Go", "b": "Python", "c": None}


def test_rows_that_are_retried_have_their_partition(tmp_path):
    path = write(tmp_path / "language=Python/x.parquet", "a", "b", "c")
    _, version = file_info(str(path))
    unit = Unit(
        unit_id="0", uri=str(path), version=version, row_group=0, row_start=1, row_count=2, num_bytes=1, retry_rows=(2,)
    )
    table, rows = read_unit(unit, pa.schema([("content", pa.large_string()), ("language", pa.large_string())]))
    assert table.to_pylist() == [{"content": "c", "language": "Python"}] and rows == [2]


def test_grouping_by_repository_reads_the_folders_columns(tmp_path):
    write(tmp_path / "in/repo_name=x/y.parquet", "import os", "x = 1", path=["a.py", "b.py"])
    grouped = group_by_repository(
        [str(tmp_path / "in")], OutputFolder(str(tmp_path / "out")).job, ColumnOverrides(), spread=group_on_disk
    )
    (file,) = Path(grouped.folder).iterdir()
    assert [row["repo_name"] for row in pq.read_table(file).to_pylist()] == ["x", "x"]


def test_an_index_and_training_read_the_folders_columns(tmp_path):
    path = write(tmp_path / "repo_name=x/language=Python/y.parquet", "import os\n" * 20, path=["a.py"])
    assert [(row.repo_name, row.language) for row in read_files([str(tmp_path)])] == [("x", "python")]
    with pq.ParquetFile(path) as parquet:
        (known,) = known_files(parquet, ColumnOverrides(), partition_values(str(path)))
    assert (known.repo_name, known.path) == ("x", "a.py")


# --- types -------------------------------------------------------------------------------------------

PAIR = pa.list_(pa.int8(), 2)
TENSOR = pa.fixed_shape_tensor(pa.float32(), [2, 2])
SIXTEEN = bytes(range(16))

# Type, values as they are written, values as they come out where that differs.
TYPES = {
    "list": (pa.list_(pa.int32()), [[1], None, [2, None]]),
    "large_list": (pa.large_list(pa.int32()), [[1], None, [2, 3]]),
    "list_view": (pa.list_view(pa.int32()), [[1], None, [2, 3]]),
    "large_list_view": (pa.large_list_view(pa.string()), [["a"], None, ["b", None]]),
    "list_of_views": (pa.list_(pa.list_view(pa.int32())), [[[1], [2, 3]], None, [None]]),
    "fixed_size_list": (pa.list_(pa.int32(), 3), [[1, 2, 3], None, [4, 5, None]]),
    "fixed_size_list_of_them": (pa.list_(PAIR, 2), [[[1, 2], [3, 4]], None, [None, [5, 6]]]),
    "list_of_fixed_size": (pa.list_(PAIR), [[[1, 2]], None, [None]]),
    "struct_of_fixed_size": (pa.struct([("x", PAIR)]), [{"x": [1, 2]}, None, {"x": None}]),
    "deep_fixed_size": (pa.struct([("a", pa.struct([("b", pa.list_(PAIR))]))]), [{"a": {"b": [[1, 2], None]}}, None]),
    "map": (pa.map_(pa.string(), pa.int32()), [[("a", 1)], None, []], [[{"key": "a", "value": 1}], None, []]),
    "map_of_fixed_size": (
        pa.map_(pa.string(), PAIR),
        [[("a", [1, 2]), ("b", None)], None],
        [[{"key": "a", "value": [1, 2]}, {"key": "b", "value": None}], None],
    ),
    "struct_of_map": (
        pa.struct([("m", pa.map_(pa.int64(), pa.string()))]),
        [{"m": [(1, "x")]}, None],
        [{"m": [{"key": 1, "value": "x"}]}, None],
    ),
    "struct_of_dictionary": (pa.struct([("d", pa.dictionary(pa.int8(), pa.string()))]), [{"d": "x"}, None]),
    "list_of_dictionary": (pa.list_(pa.dictionary(pa.int8(), pa.string())), [["x", "y"], None]),
    "string_view": (pa.string_view(), ["x", None]),
    "list_of_string_view": (pa.list_(pa.string_view()), [["x"], None]),
    "binary_view": (pa.binary_view(), [b"x", None]),
    "fixed_size_binary": (pa.binary(2), [b"xy", None]),
    "struct_of_fixed_size_binary": (pa.struct([("b", pa.binary(2))]), [{"b": b"xy"}, None]),
    "half": (pa.float16(), [0.5, None]),
    "decimal32": (pa.decimal32(5, 2), [None, None]),
    "decimal256": (pa.decimal256(50, 2), [None, None]),
    "duration": (pa.duration("ms"), [None, None]),
    "struct_of_duration": (pa.struct([("d", pa.duration("us")), ("x", PAIR)]), [{"d": None, "x": [1, 2]}]),
    "null": (pa.null(), [None, None]),
    "struct_of_null": (pa.struct([("n", pa.null())]), [{"n": None}, None]),
    "list_of_null": (pa.list_(pa.null()), [[None], None]),
}


def come_out(folder: Path, array: pa.Array) -> pa.ChunkedArray:
    pq.write_table(pa.table({"content": [f"x = {n}" for n in range(len(array))], "odd": array}), folder / "x.parquet")
    assert run(folder / "x.parquet", folder / "out") == 0
    (shard,) = (folder / "out" / "data").iterdir()
    return pq.read_table(shard).column("odd")


@pytest.mark.parametrize("name", TYPES)
def test_every_type_that_parquet_holds_comes_out_in_its_canonical_form(tmp_path, name):
    kind, values, *other = TYPES[name]
    column = come_out(tmp_path, pa.array(values, kind))
    assert column.to_pylist() == (other[0] if other else values)
    assert column.type == canonical_type(column.type)


def extension(kind: pa.BaseExtensionType, values: list) -> pa.Array:
    return pa.ExtensionArray.from_storage(kind, pa.array(values, kind.storage_type))


EXTENSIONS = {
    "tensor": (TENSOR, [[1.0, 2.0, 3.0, 4.0], None]),
    "uuid": (pa.uuid(), [SIXTEEN, None]),
    "json": (pa.json_(pa.string()), ['{"a": 1}', None]),
    "bool8": (pa.bool8(), [1, 0, None]),
    "opaque": (pa.opaque(pa.binary(), "geometry", "someone"), [b"x", None]),
}


@pytest.mark.parametrize("name", EXTENSIONS)
@pytest.mark.parametrize("is_nested", [False, True])
def test_an_extension_type_comes_out_as_what_it_is_stored_as(tmp_path, name, is_nested):
    kind, values = EXTENSIONS[name]
    array = extension(kind, values)
    if is_nested:
        array = pa.StructArray.from_arrays([array], names=["x"])
    column = come_out(tmp_path, array)
    kept = column.combine_chunks().field("x") if is_nested else column
    assert kept.to_pylist() == values
    assert kept.type == (pa.bool_() if name == "bool8" else canonical_type(kind.storage_type))


def test_a_content_column_of_json_and_of_views_is_text(tmp_path):
    array = pa.table(
        {"content": extension(pa.json_(pa.string()), ['{"a": 1}']), "note": pa.array(["n"], pa.string_view())}
    )
    pq.write_table(array, tmp_path / "x.parquet")
    assert run(tmp_path / "x.parquet", tmp_path / "out") == 0
    assert texts(tmp_path / "out") == ['{"a": 1}']


def test_columns_that_parquet_cannot_hold_are_one_line_before_any_row_runs(tmp_path, capfd, monkeypatch):
    write(tmp_path / "x.parquet", "x = 1")
    schema = pa.schema([("content", pa.large_string()), ("when", pa.month_day_nano_interval())])
    monkeypatch.setattr(uppercase.UppercaseWork, "output_schema", lambda self, inputs: schema)
    assert run(tmp_path / "x.parquet", tmp_path / "out") == 2
    assert "column when (month_day_nano_interval) can't be written to Parquet" in capfd.readouterr().err
    assert not (tmp_path / "out" / "_job" / "commits").exists()


class PairWork(uppercase.UppercaseWork):
    """Adds a column of fixed-size lists, which Parquet can write with a null but not read."""

    def output_schema(self, input_schema):
        return super().output_schema(input_schema).append(pa.field("pair", PAIR))

    def run(self, unit, table, rows):
        result = uppercase.UppercaseWork(self.options).run(unit, table, rows)
        pairs = pa.array([None if text == "odd" else [1, 2] for text in result.kept["content"].to_pylist()], PAIR)
        kept = result.kept.append_column(pa.field("pair", PAIR), pairs)
        return UnitResult(kept, result.rejected, result.counts)


def test_an_attempt_that_cannot_be_read_back_is_a_failed_unit_and_the_others_come_out(tmp_path, capfd, monkeypatch):
    """A fixed-size list with a null can be written but not read: without the check, finalizing fails for good."""
    write(tmp_path / "in" / "a.parquet", "fine")
    write(tmp_path / "in" / "b.parquet", "odd")
    monkeypatch.setattr(uppercase, "build_work", lambda options: PairWork(from_all_options(uppercase.Options, options)))
    assert run(tmp_path / "in", tmp_path / "out", "--unit_rows", "1") == 3
    said = capfd.readouterr().out
    assert "FAILED UNITS: 1 of 2 (output_unreadable 1)" in said and "can't be read back: Expected all lists" in said
    assert texts(tmp_path / "out") == ["fine"]


def test_work_on_five_thousand_columns_grows_with_their_number():
    """Counts the calls into Arrow: a look-up of all names for each column would be millions."""
    names = [f"c{number}" for number in range(5000)]
    table = pa.table({name: [1] for name in names})
    schema = pa.schema([(name, pa.int64()) for name in reversed(names)])
    looked_up = 0

    class Counted:
        def __init__(self, name: str):
            self.name = name

        def __eq__(self, other):
            nonlocal looked_up
            looked_up += 1
            return self.name == other

        def __hash__(self):
            return hash(self.name)

    counted = SimpleNamespace(num_rows=1, column_names=[Counted(name) for name in names], columns=table.columns)
    assert fit_table(counted, schema).column_names == names[::-1]
    assert looked_up <= 2 * len(names)
