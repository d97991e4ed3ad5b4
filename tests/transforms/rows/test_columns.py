from __future__ import annotations

import json
import pickle

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.errors import ConfigError
from transforms.rows.columns import (
    ColumnMap,
    ColumnOverrides,
    RowLimits,
    output_fields,
    renamed_inputs,
    resolve_columns,
    table_to_rows,
)
from transforms.rows.rejections import REJECTED_SCHEMA, RejectedRow
from transforms.rows.row import Row, content_sha256
from transforms.work import Unit

UNIT = Unit(
    unit_id="00000000-ab", uri="corpus.parquet", version="v", row_group=3, row_start=0, row_count=9, num_bytes=1
)
CONTENT = ColumnMap(content="content")


def strings(*names: str) -> pa.Schema:
    return pa.schema([(name, pa.string()) for name in names])


def rows_of(contents: list, kind: pa.DataType | None = None, limit: int = 1000, **columns: list) -> list:
    table = pa.table({"content": pa.array(contents, kind or pa.string()), **columns})
    column_map = resolve_columns(table.schema)
    return table_to_rows(table, UNIT, list(range(len(contents))), column_map, RowLimits(max_content_bytes=limit))


def reason_of(cell: object, kind: pa.DataType | None = None, limit: int = 1000) -> str:
    (row,) = rows_of([cell], kind, limit)
    return row.rejection.reason if isinstance(row, RejectedRow) else "kept"


@pytest.mark.parametrize(
    ("names", "preset", "content", "path", "language"),
    [
        (
            ["hexsha", "content", "lang", "max_stars_repo_path", "max_stars_repo_name"],
            "stack-v1",
            "content",
            "max_stars_repo_path",
            "lang",
        ),
        (["blob_id", "path", "repo_name", "language", "content"], "stack-v2", "content", "path", "language"),
        (["code", "repo_name", "path", "language", "license", "size"], "github-code", "code", "path", "language"),
        (["text", "file_name"], "custom", "text", "file_name", None),
        (["id", "contents"], "custom", "contents", None, None),
    ],
)
def test_known_layouts_are_detected(names, preset, content, path, language):
    found = resolve_columns(strings(*names))
    assert (found.preset, found.content, found.path, found.language) == (preset, content, path, language)


def test_an_override_wins_over_what_is_found():
    found = resolve_columns(strings("content", "path", "repo_name", "body"), ColumnOverrides(content="body"))
    assert (found.content, found.path) == ("body", "path")


def test_a_missing_content_column_is_one_line_that_lists_what_is_there():
    with pytest.raises(
        ConfigError, match=r"no content column.*the input has alpha \(string\), beta \(string\)"
    ) as error:
        resolve_columns(strings("alpha", "beta"))
    assert "\n" not in str(error.value)


def test_an_override_that_names_no_column_lists_what_is_there():
    with pytest.raises(ConfigError, match=r"--path_column nowhere: no such column; the input has content"):
        resolve_columns(strings("content"), ColumnOverrides(path="nowhere"))


def test_a_content_column_of_numbers_is_refused():
    with pytest.raises(ConfigError, match="content column content is int64, not text"):
        resolve_columns(pa.schema([("content", pa.int64())]))


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        (None, "null_content"),
        (b"", "empty_content"),
        (b"x" * 1001, "content_too_large"),
        (b"a\0b", "nul_in_content"),
        (b"\x7fELF\0\0\xff\xfe", "binary_content"),
        ("x = 'a'".encode("utf-16"), "binary_content"),
        ("caf\u00e9".encode("latin-1"), "not_utf8"),
        ("x = '\ud800'".encode("utf-8", "surrogatepass"), "lone_surrogate"),
        (b"x" * 1000, "kept"),
        (b"def f():\n    pass\n", "kept"),
    ],
)
def test_each_fault_of_a_cell_is_a_rejection_with_its_reason(cell, reason):
    assert reason_of(cell, pa.binary()) == reason


def test_carriage_returns_and_byte_order_marks_come_through_unchanged():
    text = "\ufeffx = 1\r\ny = 2\rz = '\u2028'\n"
    (row,) = rows_of([text])
    assert row.content == text and row.content_sha256 == content_sha256(text)


def test_a_string_column_whose_bytes_are_not_utf8_rejects_only_those_rows():
    # Parquet doesn't check the bytes of a STRING column.
    bad = pa.array([b"ok", b"\xff\xfe", b"fine"], pa.binary()).view(pa.string())
    table = pa.table({"content": bad})
    rows = table_to_rows(table, UNIT, [4, 5, 6], CONTENT, RowLimits(max_content_bytes=100))
    assert [type(row) for row in rows] == [Row, RejectedRow, Row]
    assert rows[1].source.row == 5 and rows[1].rejection.reason == "not_utf8"


def test_a_row_that_is_too_large_states_its_length_and_the_limit():
    (row,) = rows_of(["x" * 50], limit=40)
    assert row.rejection.detail == "content has 50 bytes, the limit is 40; raise --max_content_mb"
    assert row.content_sha256 == content_sha256("x" * 50)


def test_rejected_rows_fit_the_rejected_schema_and_hold_no_content():
    (row,) = rows_of(["secret\0"], path=["a.py"])
    table = pa.Table.from_pylist([row.record()], schema=REJECTED_SCHEMA)
    assert table.num_rows == 1 and "secret" not in str(table.to_pylist())


@pytest.mark.parametrize(
    "kind",
    [pa.large_string(), pa.large_binary(), pa.binary(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())],
)
def test_every_text_type_gives_the_same_rows(kind):
    cells = ["a", None, "b\u00e9"]
    plain = pa.array(cells, pa.string())
    array = plain.dictionary_encode() if pa.types.is_dictionary(kind) else pa.array(cells).cast(kind)
    rows = table_to_rows(pa.table({"content": array}), UNIT, [0, 1, 2], CONTENT, RowLimits(max_content_bytes=100))
    assert [getattr(row, "content", None) for row in rows] == cells


def test_other_columns_are_there_by_name_and_travel_as_plain_values():
    (row,) = rows_of(["x"], path=["a.py"], language=["Python"], stars=[7])
    assert (row.path, row.language, dict(row.columns)) == ("a.py", "python", {"stars": 7})
    traveled = pickle.loads(pickle.dumps(row))  # noqa: S301
    assert traveled.columns == {"stars": 7}
    with pytest.raises(KeyError):
        row.columns["content"]


@given(st.lists(st.one_of(st.none(), st.binary(max_size=12), st.text(max_size=8).map(lambda t: t.encode("utf-8")))))
def test_every_cell_is_either_a_row_with_its_bytes_or_rejected(cells):
    rows = rows_of(cells, pa.binary(), limit=10)
    assert len(rows) == len(cells)
    for index, (cell, row) in enumerate(zip(cells, rows, strict=True)):
        assert row.source.row == index
        if isinstance(row, Row):
            assert row.content.encode("utf-8") == cell
        else:
            assert (row.content_sha256 is None) == (cell is None)


def test_an_input_column_whose_name_is_taken_stays_under_another():
    names = ["content", "lineage", "checks", "input_checks"]
    assert renamed_inputs(names, ["middle", "checks", "lineage"]) == {
        "content": "content",
        "lineage": "input_lineage",
        "checks": "input_input_checks",
        "input_checks": "input_checks",
    }


names = st.lists(st.sampled_from(["a", "b", "input_a", "input_b", "input_input_a"]), unique=True)


@given(names, names)
def test_output_names_never_collide(inputs, results):
    outputs = [*renamed_inputs(inputs, results).values(), *results]
    assert len(set(outputs)) == len(outputs)


def test_output_keeps_the_inputs_columns_with_large_text():
    schema = pa.schema([("content", pa.binary()), ("stars", pa.int64()), ("middle", pa.large_string())])
    fields = output_fields(schema, CONTENT, ["middle", "checks"])
    assert [(field.name, field.type) for field in fields] == [
        ("content", pa.large_string()),
        ("stars", pa.int64()),
        ("input_middle", pa.large_string()),
    ]


def test_times_that_python_has_no_value_for_travel_as_text():
    (row,) = rows_of(["x"], at=pa.array([1], pa.timestamp("ns")), years=pa.array([10**18], pa.timestamp("us")))
    traveled = pickle.loads(pickle.dumps(row))  # noqa: S301
    assert traveled.columns["at"] == "1970-01-01 00:00:00.000000001"
    assert isinstance(traveled.columns["years"], str)


def test_a_text_inside_a_list_or_struct_that_is_no_utf8_rejects_its_row():
    names = pa.array([b"ok", b"\xff", b"fine"], pa.binary()).view(pa.string())
    lists = pa.ListArray.from_arrays([0, 1, 2, 3], names)
    structs = pa.StructArray.from_arrays([names], ["name"])
    for column in (lists, structs):
        rows = rows_of(["a", "b", "c"], names=column)
        assert [type(row) for row in rows] == [Row, RejectedRow, Row]
        assert rows[1].rejection.detail == "column names contains text that is not valid UTF-8"


def test_a_column_of_conversations_is_read_as_their_json_and_stays_text_in_the_output():
    turns = [{"role": "user", "content": "Grüße"}, {"role": "assistant", "content": "x = 1"}]
    table = pa.table({"messages": [turns, None, []]})
    columns = resolve_columns(table.schema, ColumnOverrides(content="messages"))
    first, *others = table_to_rows(table, UNIT, [0, 1, 2], columns, RowLimits())
    assert json.loads(first.content) == turns
    assert [isinstance(row, RejectedRow) for row in others] == [True, False]
    (field,) = output_fields(table.schema, columns, [])
    assert field.type == pa.large_string()
    with pytest.raises(ConfigError, match="not text"):
        resolve_columns(pa.schema([("content", pa.list_(pa.string()))]))


FILES = [("path", pa.string()), ("blob_id", pa.string()), ("language", pa.string())]
COMMIT = ["commit", "old_file", "new_file", "old_contents", "new_contents", "subject", "message", "lang", "repos"]
FUNCTION = ["repository_name", "func_path_in_repository", "func_name", "whole_func_string", "language"]
FUNCTION_JSON = ["repo", "path", "func_name", "original_string", "language", "code", "docstring"]


@pytest.mark.parametrize(
    ("names", "preset", "content", "path", "repo_name", "language"),
    [
        (COMMIT, "commitpack", "new_contents", "new_file", "repos", "lang"),
        (
            FUNCTION, "codesearchnet", "whole_func_string", "func_path_in_repository", "repository_name", "language",
        ),
        (FUNCTION_JSON, "codesearchnet-json", "original_string", "path", "repo", "language"),
    ],
)  # fmt: skip
def test_published_layouts_are_recognized(names, preset, content, path, repo_name, language):
    found = resolve_columns(pa.schema([(name, pa.string()) for name in names]))
    assert (found.preset, found.content, found.path) == (preset, content, path)
    assert (found.repo_name, found.language) == (repo_name, language)


@pytest.mark.parametrize("lists", [pa.list_, pa.large_list, pa.list_view])
def test_a_row_that_is_a_repository_is_refused_with_the_way_to_unnest_it(lists):
    nested = [("repo_name", pa.string()), ("files", lists(pa.struct([*FILES, ("content", pa.string())])))]
    with pytest.raises(ConfigError, match=r"a row is a repository with a list of files .* unnest it first") as error:
        resolve_columns(pa.schema(nested))
    assert "blob_id" not in str(error.value)
    with pytest.raises(ConfigError, match=r"unnest it first.*; then the rows name files \(`blob_id`\) without"):
        resolve_columns(pa.schema([("repo_name", pa.string()), ("files", lists(pa.struct(FILES)))]))


def test_rows_that_name_files_without_their_text_are_refused_with_where_to_get_it():
    with pytest.raises(ConfigError, match="s3://softwareheritage/content/<blob_id>"):
        resolve_columns(pa.schema(FILES))


def test_any_other_layout_without_a_content_column_is_told_which_names_were_looked_for():
    for odd in ([("files", pa.string())], [("files", pa.list_(pa.string()))], [("body", pa.string())]):
        with pytest.raises(ConfigError, match="no content column: looked for content, code, text"):
            resolve_columns(pa.schema(odd))
