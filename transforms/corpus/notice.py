"""The NOTICE table: what must be named when rows are passed on, one row for each repository.

    repo_name | repo_url | revision_ids | licenses | copyright_lines | lines_left_off | rows

Licenses and lines are in the order of how often they were found. A repository may have come from several sources (a
monthly snapshot, say), so it may have several revisions. Memory: the table; `MOST_LINES` bound that of a repository.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa

MOST_LINES: Final = 10_000
"""Different copyright lines that are kept of one repository; `lines_left_off` counts the rest."""

_TEXTS: Final = pa.list_(pa.field("element", pa.string()))
NOTICE_SCHEMA: Final = pa.schema(
    [
        pa.field("repo_name", pa.string(), nullable=False),
        pa.field("repo_url", pa.string()),  # null where unknown
        pa.field("revision_ids", _TEXTS, nullable=False),
        pa.field("licenses", _TEXTS, nullable=False),  # as the rows name them
        pa.field("copyright_lines", _TEXTS, nullable=False),
        pa.field("lines_left_off", pa.int64(), nullable=False),
        pa.field("rows", pa.int64(), nullable=False),
    ]
)


@dataclass(slots=True)
class Attribution:
    """What is known of one repository. Plain data, which processes pass on."""

    repo_name: str
    repo_url: str | None = None
    revision_ids: Counter[str] = field(default_factory=Counter)
    licenses: Counter[str] = field(default_factory=Counter)
    copyright_lines: Counter[str] = field(default_factory=Counter)
    lines_left_off: int = 0
    rows: int = 0

    def note(self, licenses: Iterable[str], lines: Iterable[str]) -> None:
        """Counts a row with its licenses and copyright lines."""
        self.rows += 1
        self.licenses.update(licenses)
        for line in lines:
            self._count(line, 1)

    def add(self, other: Attribution) -> None:
        """Adds what is known from other rows of the repository."""
        self.repo_url = self.repo_url or other.repo_url
        self.rows += other.rows
        self.lines_left_off += other.lines_left_off
        self.revision_ids.update(other.revision_ids)
        self.licenses.update(other.licenses)
        for line, count in other.copyright_lines.items():
            self._count(line, count)

    def _count(self, line: str, count: int) -> None:
        if line in self.copyright_lines or len(self.copyright_lines) < MOST_LINES:
            self.copyright_lines[line] += count
        else:
            self.lines_left_off += 1

    def record(self) -> dict[str, Any]:
        """Its row of `NOTICE_SCHEMA`."""
        return {
            "repo_name": self.repo_name,
            "repo_url": self.repo_url,
            "revision_ids": sorted(self.revision_ids),
            "licenses": _by_count(self.licenses),
            "copyright_lines": _by_count(self.copyright_lines),
            "lines_left_off": self.lines_left_off,
            "rows": self.rows,
        }


def attribution_of(record: Mapping[str, Any]) -> Attribution:
    """What a row of `NOTICE_SCHEMA` says; the order of licenses and lines is kept, their numbers are unknown."""
    licenses, lines = (record[name] for name in ("licenses", "copyright_lines"))
    return Attribution(
        record["repo_name"],
        record["repo_url"],
        Counter(record["revision_ids"]),
        _ranked(licenses),
        _ranked(lines),
        record["lines_left_off"],
        record["rows"],
    )


class Notice:
    """The table while it is made: attributions in, in any order and any pieces."""

    def __init__(self) -> None:
        self.repositories: dict[str, Attribution] = {}

    def of(self, repo_name: str) -> Attribution:
        """The attribution of a repository, to be added to."""
        found = self.repositories.get(repo_name)
        if found is None:
            found = self.repositories[repo_name] = Attribution(repo_name)
        return found

    def add(self, attribution: Attribution) -> None:
        """Adds what is known of a repository."""
        self.of(attribution.repo_name).add(attribution)

    def table(self, redact: Callable[[str], str] = lambda line: line) -> pa.Table:
        """The table, sorted by repository; `redact` is applied to each copyright line."""
        records = [self.repositories[name].record() for name in sorted(self.repositories)]
        for record in records:
            record["copyright_lines"] = list(dict.fromkeys(map(redact, record["copyright_lines"])))
        return pa.Table.from_pylist(records, schema=NOTICE_SCHEMA)


def _by_count(counts: Counter[str]) -> list[str]:
    return sorted(counts, key=lambda text: (-counts[text], text))


def _ranked(texts: Iterable[str]) -> Counter[str]:
    ordered = list(texts)
    return Counter({text: len(ordered) - place for place, text in enumerate(ordered)})
