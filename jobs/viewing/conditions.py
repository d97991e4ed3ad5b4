"""Conditions on rows, as people write them: `exact_match=false`, `checks.edit_similarity>=0.8`, `path~tests/`.

    = !=        equal or not; `null` stands for no value
    < <= > >=   of numbers and texts
    ~           contains, whatever the case

A name is a column, or a field of a struct as `struct.field`; that of a field of `checks` or `lineage` alone will do.
`score` is what answers are chosen by: the mean log-probability and the agreement with other samples, where there were
any. A condition without a value for a row doesn't hold for it; NaN is no value, nor are bytes that aren't UTF-8.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from model.errors import ConfigError
from transforms.rows.cells import as_binary
from transforms.rows.types import is_bytes_type

Operator: TypeAlias = Literal["=", "!=", "<", "<=", ">", ">=", "~"]

SCORE: Final = "score"
NULL: Final = "null"
_FORM: Final = re.compile(r"([^=!<>~]+?)\s*(!=|<=|>=|=|<|>|~)\s*(.*)", re.DOTALL)
_STRUCTS: Final = ("checks", "lineage")  # whose fields may be named alone
_MEAN_LOGPROB: Final = ("lineage", "mean_logprob")
_AGREEMENTS: Final = (("lineage", "behavior_agreement"), ("lineage", "agreement"))  # the first that is known counts
_COMPARE: Final = {
    "=": pc.equal,
    "!=": pc.not_equal,
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}
_MAX_NAMES: Final = 20  # in a message
_TRUTH: Final = {"true": True, "false": False}

Path: TypeAlias = tuple[str, ...]  # a column, and the fields down from there


@dataclass(frozen=True, slots=True)
class Term:
    """A value of a row that is compared or sorted by.

    Args:
        paths: The columns and fields that it is made of: one, or those of a score.
        type: Its type.
    """

    paths: tuple[Path, ...]
    type: pa.DataType

    @property
    def is_score(self) -> bool:
        """Whether it is the sum that answers are chosen by."""
        return len(self.paths) > 1 or self.paths == (_MEAN_LOGPROB,)

    @property
    def names(self) -> list[str]:
        """The names under which Parquet readers know the paths."""
        return [".".join(path) for path in self.paths]


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition as written: `name`, `operator`, `value`."""

    name: str
    operator: Operator
    value: str

    @classmethod
    def parse(cls, text: str) -> Condition:
        """Parses `NAME OPERATOR VALUE`. Raises ConfigError.

        >>> Condition.parse("checks.edit_similarity>=0.8")
        Condition(name='checks.edit_similarity', operator='>=', value='0.8')
        """
        found = _FORM.fullmatch(text.strip())
        if any("\ud800" <= char <= "\udfff" for char in text):
            raise ConfigError(f"{text!r} is not UTF-8, as all columns are")
        if found is None:
            raise ConfigError(f"{text!r} is no condition; write NAME=VALUE, or != < <= > >= ~ (contains) for =")
        return cls(found[1].strip(), found[2], found[3])  # type: ignore[arg-type]

    def __str__(self) -> str:
        return f"{self.name}{self.operator}{self.value}"

    def typed_value(self, kind: pa.DataType) -> Any:
        """The value as one of the column's type; None for `null`. Raises ConfigError if it isn't one."""
        if self.value == NULL and self.operator in ("=", "!="):
            return None
        if pa.types.is_boolean(kind):
            if self.value not in _TRUTH or self.operator not in ("=", "!="):
                raise ConfigError(f"{self}: {self.name} is true, false or null; write {self.name}=true")
            return _TRUTH[self.value]
        if pa.types.is_integer(kind) or pa.types.is_floating(kind):
            try:
                return float(self.value) if "~" not in self.operator else int("")
            except ValueError:
                raise ConfigError(f"{self}: {self.name} is a number; compare it with one by = != < <= > >=") from None
        return self.value


def find_term(schema: pa.Schema, name: str) -> Term:
    """Finds what a name stands for. Raises ConfigError, which names what there is, if it stands for nothing."""
    parts = tuple(name.split("."))
    for path in ((name,), parts, *((struct, *parts) for struct in _STRUCTS)):
        if (kind := type_at(schema, path)) is not None and not pa.types.is_nested(kind):
            return Term((path,), kind)
    if name == SCORE and type_at(schema, _MEAN_LOGPROB) is not None:
        known = [path for path in _AGREEMENTS if type_at(schema, path) is not None]
        return Term((_MEAN_LOGPROB, *known), pa.float64())
    names = names_in(schema)
    near = difflib.get_close_matches(name, [*names, *(one.rpartition(".")[2] for one in names)], n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    more = f" and {len(names) - _MAX_NAMES:,} more" if len(names) > _MAX_NAMES else ""
    raise ConfigError(f"no column or field {name}; {hint}there are {', '.join(names[:_MAX_NAMES]) or 'none'}{more}")


def names_in(schema: pa.Schema) -> list[str]:
    """All names that can be compared: columns, and fields of structs."""
    found: list[str] = []
    for field in schema:
        if pa.types.is_struct(field.type):
            kinds = (field.type.field(index) for index in range(field.type.num_fields))
            found += [f"{field.name}.{inner.name}" for inner in kinds if not pa.types.is_nested(inner.type)]
        elif not pa.types.is_nested(field.type):
            found.append(field.name)
    return found


def type_at(schema: pa.Schema, path: Path) -> pa.DataType | None:
    """The type of a column or field; None if there is none."""
    index = schema.get_field_index(path[0])
    kind: pa.DataType | None = schema.field(index).type if index >= 0 else None
    for name in path[1:]:
        if kind is None or not pa.types.is_struct(kind) or (place := kind.get_field_index(name)) < 0:
            return None
        kind = kind.field(place).type
    return kind


def values_of(table: pa.Table, term: Term) -> Any:
    """The term's value for each row of a table that has the term's columns."""
    first, *more = [_comparable(value_at(table, path)) for path in term.paths]
    if not term.is_score:
        return first
    logprob, *agreements = [pc.cast(column, pa.float64()) for column in (first, *more)]
    return pc.add(logprob, pc.coalesce(*agreements, pa.scalar(0.0, pa.float64())))


def _comparable(column: Any) -> Any:
    """A column as values of a type that Arrow compares and sorts."""
    if isinstance(column.type, pa.BaseExtensionType):
        column = column.cast(column.type.storage_type)
    if pa.types.is_string_view(column.type):
        return pc.cast(column, pa.large_string())
    if pa.types.is_floating(column.type):
        column = pc.cast(column, pa.float32()) if pa.types.is_float16(column.type) else column
        return pc.if_else(pc.is_nan(column), None, column)
    if not is_bytes_type(column.type):
        return column
    try:
        return pc.cast(as_binary(column), pa.large_string())
    except pa.ArrowInvalid:  # tells of no cell which it is
        return pa.chunked_array([pa.array([_decoded(cell) for cell in column.to_pylist()], pa.large_string())])


def _decoded(cell: bytes | None) -> str | None:
    try:
        return None if cell is None else cell.decode()
    except UnicodeDecodeError:
        return None


def value_at(table: pa.Table, path: Path) -> Any:
    """The values of a column or field."""
    column: Any = table.column(path[0])
    for name in path[1:]:
        column = pc.struct_field(column, name)
    return pc.cast(column, column.type.value_type) if pa.types.is_dictionary(column.type) else column


def holds(table: pa.Table, conditions: Sequence[tuple[Condition, Term]]) -> Any:
    """Whether all conditions hold for each row of a table that has their columns."""
    mask = pa.chunked_array([pa.array([True] * table.num_rows, pa.bool_())])
    for condition, term in conditions:
        mask = pc.and_(mask, pc.fill_null(_holds(values_of(table, term), condition, term), False))
    return mask


def _holds(values: Any, condition: Condition, term: Term) -> Any:
    value = condition.typed_value(term.type)
    if value is None:
        return pc.is_null(values) if condition.operator == "=" else pc.is_valid(values)
    if pa.types.is_integer(values.type):
        values = pc.cast(values, pa.float64(), safe=False)
    elif isinstance(value, str):
        values = pc.cast(values, pa.large_string())
    if condition.operator == "~":
        return pc.match_substring(values, value, ignore_case=True)
    return _COMPARE[condition.operator](values, pa.scalar(value, values.type))
