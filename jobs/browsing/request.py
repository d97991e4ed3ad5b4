"""What a page is asked for, as its address says it, so that an address is a filter to share.

/?table=rejected&where=reason=cut_off&where=path~tests/&q=text&sort=-row&start=50
/row?table=kept&number=1204
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias
from urllib.parse import urlencode

from jobs.viewing.conditions import Condition
from model.errors import ConfigError

Table: TypeAlias = Literal["kept", "rejected"]

TABLES: Final[tuple[Table, ...]] = ("kept", "rejected")
ROWS_PER_PAGE: Final = 25
_MAX_CONDITIONS: Final = 20
MAX_CHARS: Final = 1_000  # of one value
_MAX_START: Final = 1 << 40
_MAX_DIGITS: Final = 13


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A list of rows.

    Args:
        table: Kept rows or rejected records.
        where: Conditions that all rows meet, as written.
        text: What the path or the main text contains; "" for anything.
        sort: As `codemill inspect --sort`.
        start: The first row shown, of those that meet the conditions.
    """

    table: Table = "kept"
    where: tuple[str, ...] = ()
    text: str = ""
    sort: str = ""
    start: int = 0

    @property
    def conditions(self) -> list[Condition]:
        """The conditions. Raises ConfigError if one can't be understood."""
        return [Condition.parse(text) for text in self.where]

    @property
    def query(self) -> str:
        """The part of the address after the question mark."""
        pairs = [("table", self.table), *(("where", text) for text in self.where)]
        optional = {"q": self.text, "sort": self.sort, "start": str(self.start or "")}
        return urlencode([*pairs, *((name, value) for name, value in optional.items() if value)])

    def adding(self, condition: str) -> Asked:
        """The same from its first row on, with one more condition."""
        where = self.where if condition in self.where else (*self.where, condition)
        return replace(self, where=where, start=0)

    def without(self, condition: str) -> Asked:
        """The same from its first row on, without a condition."""
        return replace(self, where=tuple(text for text in self.where if text != condition), start=0)


def read_asked(values: Mapping[str, Sequence[str]]) -> Asked:
    """Reads the parameters of an address. Raises ConfigError if one is not understood."""
    where = tuple(text for text in values.get("where", ()) if text.strip())
    if len(where) > _MAX_CONDITIONS:
        raise ConfigError(f"{len(where)} conditions; at most {_MAX_CONDITIONS} can be given")
    for text in (value for name in values for value in values[name]):
        if len(text) > MAX_CHARS or "\0" in text:
            raise ConfigError(f"a value of {len(text)} characters; at most {MAX_CHARS} can be given, without NUL")
    return Asked(
        table=read_table(values),
        where=where,
        text=_one(values, "q"),
        sort=_one(values, "sort").strip(),
        start=read_number(values, "start"),
    )


def read_table(values: Mapping[str, Sequence[str]]) -> Table:
    """The table that is asked for. Raises ConfigError."""
    name = _one(values, "table") or TABLES[0]
    if name not in TABLES:
        raise ConfigError(f"no table {name}; there are {' and '.join(TABLES)}")
    return name


def read_number(values: Mapping[str, Sequence[str]], name: str) -> int:
    """A number that is asked for; 0 by default. Raises ConfigError."""
    text = _one(values, name) or "0"
    if not (text.isascii() and text.isdecimal()) or len(text) > _MAX_DIGITS or int(text) > _MAX_START:
        raise ConfigError(f"{name}={text[:_MAX_DIGITS]} is no row number")
    return int(text)


def _one(values: Mapping[str, Sequence[str]], name: str) -> str:
    return next(iter(values.get(name, ())), "")
