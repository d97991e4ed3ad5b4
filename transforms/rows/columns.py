"""Column layouts: detects the role of each input column, turns table rows into `Row`s, and names output columns.

Column layouts are detected automatically (Stack v1 and v2, github-code, commitpack, CodeSearchNet, `text` and
`contents` derivatives), and each role can be overridden. Layouts whose rows aren't files are refused with what to do.
A row is passed on unchanged (CRLF and byte-order marks included) or rejected with its reason (`transforms.rows.cells`).
No row is repaired and none is dropped silently. A column of conversations (lists of structs with `role` and `content`)
is read as JSON.

`output_fields` is the only place that decides the names of output columns:

    input columns in their order | result columns | checks | lineage

Result columns always keep their names. An input column whose name collides with a result column is renamed to
`input_<name>`; `input_` is prepended until the name is free. The content column keeps its name and contains the text
after redaction.

Cost: one pass over the content's bytes each for UTF-8, NUL and SHA-256.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from model.errors import ConfigError
from transforms.rows.cells import READ_STAGE as READ_STAGE  # re-exported: code that reads units rejects with this stage
from transforms.rows.cells import (
    ColumnsOfRow,
    as_binary,
    is_turns_type,
    texts_of,
    validate_content,
    validate_other_texts,
)
from transforms.rows.rejections import RejectedRow
from transforms.rows.row import Row, SourceRef
from transforms.rows.types import is_list_type, is_text_type
from transforms.work import Unit

TAKEN_PREFIX = "input_"


@dataclass(frozen=True, kw_only=True)
class ColumnMap:
    """The input column for each role. None means that the corpus has no such column."""

    content: str
    path: str | None = None
    repo_name: str | None = None
    language: str | None = None
    license: str | None = None
    preset: str = "custom"


@dataclass(frozen=True, kw_only=True)
class ColumnOverrides:
    """The user's choice of columns; None means that the column is detected automatically."""

    content: str | None = None
    path: str | None = None
    repo_name: str | None = None
    language: str | None = None
    license: str | None = None


@dataclass(frozen=True, kw_only=True)
class RowLimits:
    """Limits for one row. A row with more than `max_content_bytes` bytes of content is rejected; the detail states both
    lengths."""

    max_content_bytes: int = 10_000_000


# Each layout as published: huggingface.co/datasets/bigcode/the-stack (v1), bigcode/the-stack-v2,
# codeparrot/github-code, bigcode/commitpack, code_search_net. A layout is recognized by the combination of its content,
# path and repository columns.
PRESETS: tuple[ColumnMap, ...] = (
    ColumnMap(
        preset="stack-v1",
        content="content",
        path="max_stars_repo_path",
        repo_name="max_stars_repo_name",
        language="lang",
        license="max_stars_repo_licenses",
    ),
    ColumnMap(
        preset="stack-v2",
        content="content",
        path="path",
        repo_name="repo_name",
        language="language",
        license="detected_licenses",
    ),
    ColumnMap(
        preset="github-code", content="code", path="path", repo_name="repo_name", language="language", license="license"
    ),
    # A row is a file as one commit left it; `repos` lists repositories, separated by commas.
    ColumnMap(
        preset="commitpack",
        content="new_contents",
        path="new_file",
        repo_name="repos",
        language="lang",
        license="license",
    ),
    # A row is a function with its documentation. First as on the Hugging Face Hub, then as first published in JSON.
    ColumnMap(
        preset="codesearchnet",
        content="whole_func_string",
        path="func_path_in_repository",
        repo_name="repository_name",
        language="language",
    ),
    ColumnMap(
        preset="codesearchnet-json", content="original_string", path="path", repo_name="repo", language="language"
    ),
)

# Layouts whose rows are no files with a text: the columns by which they are recognized, and what to do.
_UNNEST = (
    "a row is a repository with a list of files (`files`), and jobs read one file a row; unnest it first, for example "
    "with duckdb: COPY (SELECT repo_name, unnest(files, recursive := true) FROM 'in/*.parquet') TO 'files.parquet'"
)
_DOWNLOAD = (
    "the rows name files (`blob_id`) without their text; download each from "
    "s3://softwareheritage/content/<blob_id> (gzip, in `src_encoding`) into a `content` column first"
)

# Other corpora: for each role, the first of these names that the schema contains.
CANDIDATES: Mapping[str, tuple[str, ...]] = {
    "content": ("content", "code", "text", "contents", "source", "source_code"),
    "path": ("path", "max_stars_repo_path", "file_path", "filepath", "file_name", "filename"),
    "repo_name": ("repo_name", "max_stars_repo_name", "repo", "repository", "repository_name"),
    "language": ("language", "lang", "programming_language"),
    "license": ("detected_licenses", "max_stars_repo_licenses", "license", "licenses"),
}
_FLAGS = {
    "content": "--content_column",
    "path": "--path_column",
    "repo_name": "--repo_column",
    "language": "--language_column",
    "license": "--license_column",
}


def resolve_columns(schema: pa.Schema, overrides: ColumnOverrides = ColumnOverrides()) -> ColumnMap:
    """Assigns input columns to roles.

    Args:
        schema: The corpus's schema.
        overrides: The user's choice for each role.

    Raises:
        ConfigError: There is no content column, an override names a column that doesn't exist, or the content column
            can't contain text.

    >>> resolve_columns(pa.schema([("code", pa.string()), ("path", pa.string())])).content
    'code'
    """
    given = {part: name for part, name in dataclasses.asdict(overrides).items() if name is not None}
    for part, name in given.items():
        if name not in schema.names:
            raise ConfigError(f"{_FLAGS[part]} {name}: no such column; the input has {_listed(schema)}")
    found = _find_preset(schema)
    if "content" in given:
        found["content"] = given["content"]
    if found.get("content") is None:
        if advice := _advice_for(schema):
            raise ConfigError(f"no content column: {advice}")
        raise ConfigError(
            f"no content column: looked for {', '.join(CANDIDATES['content'])}; the input has {_listed(schema)}; "
            "name it with --content_column"
        )
    column_map = ColumnMap(**(found | given))
    kind = schema.field(column_map.content).type
    is_readable = is_text_type(kind) or is_turns_type(kind)
    if not is_readable and not pa.types.is_null(kind):  # null type: every row is rejected as `null_content`
        raise ConfigError(
            f"content column {column_map.content} is {kind}, not text; name another with --content_column"
        )
    return column_map


def _find_preset(schema: pa.Schema) -> dict[str, Any]:
    """The first layout whose content, path and repository columns exist; its other columns are None if missing."""
    names = set(schema.names)
    for preset in PRESETS:
        if {preset.content, preset.path, preset.repo_name} <= names:
            parts = dataclasses.asdict(preset)
            return {part: name if part == "preset" or name in names else None for part, name in parts.items()}
    parts = {
        part: next((name for name in candidates if name in names), None) for part, candidates in CANDIDATES.items()
    }
    return parts | {"preset": "custom"}


def _advice_for(schema: pa.Schema) -> str | None:
    """What to do with The Stack v2 as published: a list of files in each row, or file names without text."""
    if (place := schema.get_field_index("files")) >= 0 and is_list_type(schema.field(place).type):
        files = schema.field(place).type.value_type
        if pa.types.is_struct(files):
            names = {field.name for field in files}
            if names & {*CANDIDATES["content"], "blob_id"}:
                return _UNNEST if names & set(CANDIDATES["content"]) else f"{_UNNEST}; then {_DOWNLOAD}"
    return _DOWNLOAD if "blob_id" in schema.names else None


def _listed(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name} ({field.type})" for field in schema) or "no columns"


def table_to_rows(
    table: pa.Table, unit: Unit, rows: Sequence[int], column_map: ColumnMap, limits: RowLimits
) -> list[Row | RejectedRow]:
    """Turns a table into rows, one for one and in order. A row that can't be processed becomes a `RejectedRow`.

    Reasons: `null_content`, `empty_content`, `content_too_large`, `nul_in_content`, `binary_content` (not UTF-8 and
    with NUL bytes), `lone_surrogate` (UTF-16 surrogates encoded as if they were UTF-8), `not_utf8`.

    Args:
        table: The unit's columns.
        unit: The unit that the rows come from.
        rows: For each row of `table`, its row number in the unit.
        column_map: The input column for each role.
        limits: Limits for one row.
    """
    assert table.num_rows == len(rows)
    data = as_binary(table.column(column_map.content))
    lengths = pc.binary_length(data).to_pylist()
    paths, repos, languages = (
        texts_of(table, name) for name in (column_map.path, column_map.repo_name, column_map.language)
    )
    rejections, texts = validate_content(data, lengths, limits.max_content_bytes)
    rejections |= validate_other_texts(table, column_map.content)
    used = {column_map.content, column_map.path, column_map.repo_name, column_map.language}
    others = table.select([name for name in table.column_names if name not in used])
    found: list[Row | RejectedRow] = []
    for index, row in enumerate(rows):
        source = SourceRef(*unit.place(row))
        sha256 = None if lengths[index] is None else hashlib.sha256(data[index].as_buffer()).hexdigest()
        if (rejection := rejections.get(index)) is not None:
            found.append(RejectedRow(source, rejection, sha256, paths[index]))
            continue
        assert sha256 is not None
        found.append(
            Row(
                source=source,
                content=texts[index],
                content_sha256=sha256,
                redacted_sha256=sha256,
                path=paths[index],
                repo_name=repos[index],
                language=languages[index].lower(),
                columns=ColumnsOfRow(others, index),
            )
        )
    return found


# --- columns out -----------------------------------------------------------------------------------


def renamed_inputs(input_names: Sequence[str], result_names: Sequence[str]) -> dict[str, str]:
    """The output name of each input column: its own, or `input_<name>` if a result column has that name.

    >>> renamed_inputs(["content", "lineage"], ["middle", "lineage"])
    {'content': 'content', 'lineage': 'input_lineage'}
    """
    taken = {*result_names, *input_names}
    renamed = {}
    for name in input_names:
        output = name
        if name in result_names:
            while output in taken:
                output = TAKEN_PREFIX + output
            taken.add(output)
        renamed[name] = output
    return renamed


def output_fields(input_schema: pa.Schema, column_map: ColumnMap, result_names: Sequence[str]) -> list[pa.Field]:
    """The input columns' fields in the output schema, in the input's order: renamed on collision, content as
    `large_string`.

    `large_string` avoids the 2 GiB limit of `string` offsets in a shard.
    """
    renamed = renamed_inputs(input_schema.names, result_names)
    return [
        pa.field(
            renamed[field.name], pa.large_string() if field.name == column_map.content else field.type, field.nullable
        )
        for field in input_schema
    ]
