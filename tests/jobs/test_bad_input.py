"""Bad input: what the user sees, and that every good row still comes out."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.jobs import uppercase

MB = 1_000_000


@pytest.fixture(autouse=True)
def inline(monkeypatch):
    """Units and merges in this process: these tests are about the rows."""
    monkeypatch.setattr("jobs.execution.supervisor.run_units", uppercase.inline_units)
    monkeypatch.setattr("jobs.finalize.merge.merge_all", uppercase.inline_merges)


@pytest.fixture
def output(tmp_path) -> Path:
    return tmp_path / "out"


def run(inputs: Path | str, output: Path, *more: str) -> int:
    return uppercase.command_line(["--input", str(inputs), "--output", str(output), "--progress", "none", *more])


def write(file: Path, contents: list, kind: pa.DataType | None = None, **columns: list) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"content": pa.array(contents, kind or pa.string()), **columns}), file)
    return file


def rejections(output: Path) -> dict[int, str]:
    return {row["row"]: row["reason"] for row in uppercase.dataset(output)["rejected"] if row["kind"] == "row"}


def kept(output: Path) -> list[str]:
    return [row["content"] for row in uppercase.dataset(output)["data"]]


# --- files -----------------------------------------------------------------------------------------


def spoil(path: Path, how: str) -> None:
    data = write(path, ["x = 1"] * 50).read_bytes()
    match how:
        case "zero_bytes":
            path.write_bytes(b"")
        case "truncated_file":
            path.write_bytes(data[:-20])
        case "not_parquet":
            path.write_text("id,content\n")
        case "missing_column":
            pq.write_table(pa.table({"body": ["x"]}), path)
        case "schema_mismatch":
            write(path, ["x"], stars=["many"])


@pytest.mark.parametrize(
    ("how", "line"),
    [
        ("zero_bytes", "zero_bytes: the file is empty"),
        ("truncated_file", "without a footer: it was truncated"),
        ("not_parquet", "not_parquet: the file begins with b'id,c', a Parquet file with b'PAR1'"),
        ("missing_column", "no content column: looked for content, code, text"),
        ("schema_mismatch", "column stars: large_string where other files have int64"),
    ],
)
def test_a_bad_file_is_named_and_the_good_ones_come_out(tmp_path, output, capfd, how, line):
    write(tmp_path / "in" / "good.parquet", ["a = 1", "b = 2"], stars=[1, 2])
    spoil(tmp_path / "in" / "bad.parquet", how)
    assert run(tmp_path / "in", output) == 3
    said = capfd.readouterr()
    assert line in said.err and "Traceback" not in said.err
    assert f"FAILED UNITS: 1 of 2 ({how} 1)" in said.out
    assert kept(output) == ["a = 1", "b = 2"]
    told = uppercase.summary(output)
    assert told["files"] == {"bad": 1, "good": 1} and told["bad_files"][0]["reason"] == how
    assert told["failed_units"][0]["rows"] == "unknown"
    assert (output / "COMPLETED").exists()


def test_with_only_bad_files_it_is_the_users_mistake(tmp_path, output, capfd):
    spoil(tmp_path / "bad.parquet", "truncated_file")
    assert run(tmp_path / "bad.parquet", output) == 2
    said = capfd.readouterr().err
    assert said.count("\n") == 1 and "the input can't be read" in said and "bad.parquet" in said
    assert not output.exists()


@pytest.mark.parametrize("unit_rows", [256, 100])
def test_pages_that_fail_their_checksum_lose_their_row_group_and_no_other(tmp_path, output, capfd, unit_rows):
    """A row group alone in its unit makes a failed unit; in a unit with good ones its rows are rejected."""
    path = tmp_path / "a.parquet"
    contents = [f"value_{n} = {n * 7919}" for n in range(400)]
    pq.write_table(pa.table({"content": contents}), path, row_group_size=100, write_page_checksum=True)
    column = pq.ParquetFile(path).metadata.row_group(2).column(0)
    data = bytearray(path.read_bytes())
    # Without the checksum, damage that leaves the page decodable would pass for content.
    data[column.dictionary_page_offset + column.total_compressed_size // 2] ^= 0x01
    path.write_bytes(data)
    assert run(path, output, "--unit_rows", str(unit_rows)) == 3
    said = capfd.readouterr().out
    assert ("(damaged_input 1)" if unit_rows == 100 else "rejected rows: damaged_input 100") in said
    assert kept(output) == contents[:200] + contents[300:]


def test_files_with_harmlessly_different_schemas_are_read_as_one(tmp_path, output):
    folder = tmp_path / "in"
    write(folder / "a.parquet", ["a = 1"], stars=pa.array([1], pa.int32()), path=["a.py"])
    write(folder / "b.parquet", ["b = 2"], pa.large_string(), stars=[2**40])
    write(folder / "c.parquet", ["c = 3"], pa.binary(), license=["MIT"])
    assert run(folder, output) == 0
    rows = uppercase.dataset(output)["data"]
    assert [(r["content"], r["stars"], r["path"], r["license"]) for r in rows] == [
        ("a = 1", 1, "a.py", None),
        ("b = 2", 2**40, None, None),
        ("c = 3", None, None, "MIT"),
    ]


def test_an_empty_glob_is_refused_by_name(tmp_path, output, capfd):
    assert run(tmp_path / "**/*.parquet", output) == 2
    assert capfd.readouterr().err == f"codemill uppercase: error: --input: no file matches {tmp_path}/**/*.parquet\n"


# --- rows ------------------------------------------------------------------------------------------


def test_each_bad_row_is_rejected_with_its_reason_and_the_others_come_out(tmp_path, output):
    rows = [
        (b"first = 1", None),
        (None, "null_content"),
        (b"", "empty_content"),
        (b"\x7fELF\x02\x01\0\0\xfe\xff", "binary_content"),
        (b"x = '\0'", "nul_in_content"),
        ("x = 'caf\u00e9'".encode("latin-1"), "not_utf8"),
        ("x = '\udc80'".encode("utf-8", "surrogatepass"), "lone_surrogate"),
        (b"x" * (2 * MB), "content_too_large"),
        (b"last = 1", None),
    ]
    path = write(tmp_path / "a.parquet", [content for content, _ in rows], pa.binary())
    assert run(path, output, "--max_content_mb", "1") == 0
    assert rejections(output) == {number: reason for number, (_, reason) in enumerate(rows) if reason}
    assert kept(output) == ["first = 1", "last = 1"]


def test_a_row_of_fifty_megabytes_is_rejected_with_its_length_and_its_neighbours_come_out(tmp_path, output):
    path = write(tmp_path / "a.parquet", ["a = 1", "x" * (50 * MB), "b = 2"])
    assert run(path, output) == 0
    (row,) = uppercase.dataset(output)["rejected"]
    assert row["reason"] == "content_too_large"
    assert row["detail"] == "content has 50000000 bytes, the limit is 10000000; raise --max_content_mb"
    assert kept(output) == ["a = 1", "b = 2"]


def test_carriage_returns_and_byte_order_marks_come_out_as_they_went_in(tmp_path, output):
    texts = ["\ufeffa = 1\n", "b = 1\r\nc = 2\r\n", "d = 1\re = 2", "f = '\u2028'"]
    assert run(write(tmp_path / "a.parquet", texts), output) == 0
    assert kept(output) == texts


def test_a_rejected_row_never_quotes_its_content(tmp_path, output):
    path = write(tmp_path / "a.parquet", [b"pass" + b"word\0", b"ok = 1"], pa.binary())
    assert run(path, output) == 0
    everything = b"".join(
        file.read_bytes() for file in output.rglob("*") if file.is_file() and file.suffix in (".html", ".md", ".json")
    )
    assert b"pass" + b"word" not in everything
    assert "pass" + "word" not in str(uppercase.dataset(output)["rejected"])


def test_a_name_that_is_not_utf8_is_rejected_and_its_neighbours_come_out(tmp_path, output):
    names = pa.array([b"a.py", b"\xff\xfe.py"], pa.binary()).view(pa.string())
    pq.write_table(pa.table({"content": ["a = 1", "b = 2"], "path": names}), tmp_path / "a.parquet")
    assert run(tmp_path / "a.parquet", output) == 0
    assert rejections(output) == {1: "not_utf8"}
    assert kept(output) == ["a = 1"]


def test_an_input_column_with_a_result_columns_name_is_kept_under_another(tmp_path, output):
    assert run(write(tmp_path / "a.parquet", ["a = 1"], upper=["mine"]), output) == 0
    (row,) = uppercase.dataset(output)["data"]
    assert (row["upper"], row["input_upper"]) == ("A = 1", "mine")
