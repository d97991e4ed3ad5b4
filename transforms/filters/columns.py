"""Secrets and personal data in an input's other text columns: paths, repository names, and whatever else it has.

    table -> the texts of each text column, scanned one by one -> the table, with redacted cells where the policy
             (its `columns`) says so, and the findings

This runs before rows are made of a unit's table, so that prompts, training rows, output columns and rejected records
all have the same path. A redacted cell keeps its type, and equal cells stay equal (`redaction.redact_name`). Text in
nested columns, such as lists of licenses, is not scanned.

Cost: about 5 us per distinct text of a unit, most of them searched at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from transforms.row_pool import Crashed
from transforms.rows.cells import texts_of
from transforms.rows.columns import ColumnMap
from transforms.scanning import ContentFilter
from transforms.scanning.findings import Finding
from transforms.scanning.policy import OFF

_TEXTS_PER_ITEM: Final = 256


@dataclass(frozen=True, slots=True)
class Names:
    """Distinct texts of one column, and the policy's action for that column."""

    column: str
    action: str
    texts: tuple[str, ...]


Filtered = Sequence[tuple[str, tuple[Finding, ...]]]
"""For each text: the text after redaction, and its findings."""

Apply = Callable[[Sequence[Names]], Sequence[Filtered | Crashed]]


@dataclass(frozen=True, slots=True)
class FilteredColumns:
    """The result for a unit's table.

    Args:
        table: The table with redacted cells.
        findings: The findings in each row's columns, by position; only rows that have some.
        counts: The number of findings per `found_in/COLUMN/TYPE/ACTION`.
    """

    table: pa.Table
    findings: Mapping[int, tuple[Finding, ...]]
    counts: Counter[str]


def filter_names(content_filter: ContentFilter, names: Names) -> Filtered:
    """Scans and redacts texts; runs in the row pool."""
    found = content_filter.filter_names(names.texts, names.action)
    return [(text, tuple(f._replace(column=names.column) for f in findings)) for text, findings in found]


def filter_columns(
    content_filter: ContentFilter | None,
    table: pa.Table,
    column_map: ColumnMap,
    apply: Apply,
    *,
    unscanned: Collection[str] = (),
) -> FilteredColumns:
    """Scans a table's text columns except the content.

    Args:
        content_filter: The filter; it need not be open in this process. None changes nothing.
        table: The unit's columns.
        column_map: The input column for each role.
        apply: Runs `filter_names` on each item, where the filter is open.
        unscanned: Columns that are not the corpus's own.
    """
    if content_filter is None:
        return FilteredColumns(table, {}, Counter())
    actions = _actions(content_filter, table.schema, column_map, unscanned)
    texts = {name: texts_of(table, name) for name in actions}
    asked = []
    for name, action in actions.items():
        distinct = sorted({text for text in texts[name] if text})
        for at in range(0, len(distinct), _TEXTS_PER_ITEM):
            asked.append(Names(name, action, tuple(distinct[at : at + _TEXTS_PER_ITEM])))
    found: dict[tuple[str, str], tuple[str, tuple[Finding, ...]]] = {}
    for item, results in zip(asked, apply(asked), strict=True):
        if isinstance(results, Crashed):
            raise RuntimeError(f"scanning column {item.column} crashed its process")  # narrowed down to the row
        found |= {(item.column, text): result for text, result in zip(item.texts, results, strict=True) if result[1]}
    return _applied(table, texts, found)


def _actions(
    content_filter: ContentFilter, schema: pa.Schema, column_map: ColumnMap, unscanned: Collection[str]
) -> dict[str, str]:
    roles = {column_map.path: "path", column_map.repo_name: "repo_name"}
    actions = {
        field.name: content_filter.policy.column_action(field.name, roles.get(field.name, ""))
        for field in schema
        if field.name != column_map.content
        and field.name not in unscanned
        and (_is_string(field.type) or (field.name in roles and _is_bytes(field.type)))
    }
    return {name: action for name, action in actions.items() if action != OFF}


def _applied(
    table: pa.Table,
    texts: Mapping[str, Sequence[str]],
    found: Mapping[tuple[str, str], tuple[str, tuple[Finding, ...]]],
) -> FilteredColumns:
    findings: dict[int, tuple[Finding, ...]] = {}
    counts: Counter[str] = Counter()
    for name, cells in texts.items():
        changed: dict[int, str] = {}
        for index, text in enumerate(cells):
            if (result := found.get((name, text))) is None:
                continue
            findings[index] = (*findings.get(index, ()), *result[1])
            counts.update(f"found_in/{name}/{finding.type}/{finding.action}" for finding in result[1])
            if result[0] != text:
                changed[index] = result[0]
        if changed:
            position = table.schema.get_field_index(name)
            field = table.schema.field(position)
            table = table.set_column(position, field, _with_cells(table.column(position), changed))
    return FilteredColumns(table, findings, counts)


def _with_cells(column: Any, cells: Mapping[int, str]) -> Any:
    """The column with other texts at some positions. The other cells' bytes are not looked at."""
    kind = column.type
    plain = kind.value_type if pa.types.is_dictionary(kind) else kind
    wide = pa.large_binary() if _is_bytes(plain) else pa.large_string()
    array = pa.chunked_array(column.chunks, kind).cast(plain).cast(wide).combine_chunks()
    mask = pa.array([index in cells for index in range(len(array))], pa.bool_())
    values = [cells[index].encode("utf-8", "surrogatepass") for index in sorted(cells)]
    replaced = pc.replace_with_mask(array, mask, pa.array(values, pa.large_binary()).cast(wide)).cast(plain)
    return replaced.dictionary_encode().cast(kind) if pa.types.is_dictionary(kind) else replaced


def _is_string(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_string(kind.value_type)
    return any(test(kind) for test in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view))


def _is_bytes(kind: pa.DataType) -> bool:
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
