"""Which rows of a dataset are shown: a range, a sample, those that meet conditions, the first by a value."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from jobs.viewing.conditions import Condition, find_term, holds, values_of
from jobs.viewing.places import Mark, Rows, no_mark, tables_of
from model.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What is asked for.

    Args:
        rows: How many rows, at most.
        start: The first of the rows that meet the conditions.
        seed: Draws rows at random; None takes them in their order.
        only: Conditions that all rows meet.
        sort: What they are sorted by, the largest first, the smallest if it starts with a minus; "" keeps their order.
    """

    rows: int
    start: int = 0
    seed: int | None = None
    only: Sequence[Condition] = ()
    sort: str = ""


def chosen_numbers(rows: Rows, choice: Choice, mark: Mark = no_mark) -> tuple[list[int], int]:
    """Returns the numbers of the rows to show, in the order to show them in, and how many meet the conditions.

    Raises:
        ConfigError: A name stands for nothing, or a value is of another type than its column.
    """
    if choice.sort:
        return _sorted(rows, choice, mark)
    wanted: Sequence[int] = range(rows.total) if not choice.only else _meeting(rows, choice.only, mark)
    if choice.seed is not None:
        count = min(choice.rows, len(wanted))
        return sorted(random.Random(choice.seed).sample(wanted, count)), len(wanted)
    return list(wanted[choice.start : choice.start + choice.rows]), len(wanted)


def _meeting(rows: Rows, only: Sequence[Condition], mark: Mark) -> list[int]:
    numbers: list[int] = []
    for first, table in tables_of(rows, lambda schema: _names(schema, only), mark):
        mask = holds(table, [(condition, find_term(table.schema, condition.name)) for condition in only])
        numbers += (first + place for place in pc.indices_nonzero(mask).to_pylist())
    return numbers


def _names(schema: pa.Schema, only: Sequence[Condition], sort: str = "") -> list[str]:
    terms = [find_term(schema, condition.name) for condition in only]
    terms += [find_term(schema, sort)] if sort else []
    return list(dict.fromkeys(name for term in terms for name in term.names))


def _sorted(rows: Rows, choice: Choice, mark: Mark) -> tuple[list[int], int]:
    """Sorts by value, then number; rows without a value come last. Holds as many rows as are wanted and one group."""
    name, order = choice.sort.removeprefix("-"), "ascending" if choice.sort[:1] == "-" else "descending"
    best: pa.Table | None = None
    found, wanted = 0, choice.start + choice.rows
    for first, table in tables_of(rows, lambda schema: _names(schema, choice.only, name), mark):
        numbers = pa.array(range(first, first + table.num_rows), pa.int64())
        values = values_of(table, find_term(table.schema, name))
        group = pa.table({"value": values, "number": numbers})
        if choice.only:
            group = group.filter(holds(table, [(one, find_term(table.schema, one.name)) for one in choice.only]))
        found += group.num_rows
        best = group if best is None else pa.concat_tables([best, group], promote_options="permissive")
        keys: Any = [("value", order, "at_end"), ("number", "ascending", "at_end")]
        best = best.take(pc.sort_indices(best, sort_keys=keys)).slice(0, wanted)
    return ([] if best is None else best.column("number").to_pylist()[choice.start :]), found


def reasons_in(rows: Rows, mark: Mark = no_mark) -> Counter[tuple[str, ...]] | None:
    """How many records there are of each kind, stage and reason; None if the rows are no rejected records."""
    columns, counts = ["kind", "stage", "reason"], Counter[tuple[str, ...]]()

    def names_of(schema: pa.Schema) -> list[str]:
        return columns if set(columns) <= set(schema.names) else []

    for _, table in tables_of(rows, names_of, mark):
        if table.column_names != columns:
            return None
        grouped = table.group_by(columns).aggregate([([], "count_all")])
        for record in grouped.to_pylist():
            counts[tuple(str(record[name]) for name in columns)] += record["count_all"]
    return counts


def first_of_each(rows: Rows, columns: Sequence[str]) -> dict[tuple[str, ...], int]:
    """The number of the first row with each combination of values of some columns of text."""
    found: dict[tuple[str, ...], int] = {}
    for first, table in tables_of(rows, lambda schema: columns):
        numbered = table.append_column("", pa.array(range(first, first + table.num_rows), pa.int64()))
        for group in numbered.group_by(list(columns)).aggregate([("", "min")]).to_pylist():
            key = tuple(str(group[name]) for name in columns)
            found[key] = min(group["_min"], found.get(key, group["_min"]))
    return found


def check_reason(counts: Counter[tuple[str, ...]] | None, reason: str) -> None:
    """Raises ConfigError if no record was rejected for a reason."""
    known = sorted({key[-1] for key in counts or ()})
    if reason not in known:
        names = ", ".join(known) or "none"
        raise ConfigError(f"--reason {reason}: no record has this reason; reasons are {names}")
