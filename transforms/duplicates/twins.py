"""How a rejected record names the row that was kept instead of it.

of src/a.py, row 3 in row group 0 of corpus.parquet: similarity 0.91
"""

from __future__ import annotations

import re
from typing import Final

REASONS: Final = {"exact": "exact_duplicate", "near": "near_duplicate"}
"""The reasons of records by the kind of a duplicate."""
_NAMED: Final = re.compile(
    r"of (?:(?P<path>.*), )?row (?P<row>\d+) in row group (?P<group>\d+) of (?P<name>.*): "
    r"similarity (?P<like>[\d.e-]+)",
    re.DOTALL,
)


def twin_detail(path: str | None, name: str, row_group: int, row: int, similarity: float) -> str:
    """A record's detail: the kept row's path if it may be shown, its file's public name, row group and row.

    >>> twin_detail("src/a.py", "corpus.parquet", 0, 3, 1.0)
    'of src/a.py, row 3 in row group 0 of corpus.parquet: similarity 1.0'
    """
    twin = f"{path}, " if path else ""
    return f"of {twin}row {row} in row group {row_group} of {name}: similarity {similarity}"


def twin_named(detail: str) -> tuple[str | None, tuple[str, int, int]] | None:
    """The path that a record's detail names, and the row's place: its file, row group and row; None of another detail.

    >>> twin_named("of src/a.py, row 3 in row group 0 of corpus.parquet: similarity 1.0")
    ('src/a.py', ('corpus.parquet', 0, 3))
    """
    found = _NAMED.fullmatch(detail)
    return None if found is None else (found["path"], (found["name"], int(found["group"]), int(found["row"])))


def without_path(detail: str) -> str:
    """The same detail without the kept row's path.

    >>> without_path("of src/a.py, row 3 in row group 0 of corpus.parquet: similarity 1.0")
    'of row 3 in row group 0 of corpus.parquet: similarity 1.0'
    """
    found = _NAMED.fullmatch(detail)
    if found is None:
        return detail
    return f"of row {found['row']} in row group {found['group']} of {found['name']}: similarity {found['like']}"
