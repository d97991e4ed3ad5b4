"""Counts of rejected records by reason, with an example of each, while they are merged into a shard.

Per stage and reason: how many, the first record in the order of the output, and how many per language and per kind of
target. An example tells where its row is and why it was rejected. Like the record, it never quotes the row; a path or
detail in which the filters find something isn't in it.

Cost: a group-by over the records' short columns; Python sees one value per group.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from transforms.filters.showing import may_be_shown
from transforms.languages.lookup import find_language

OTHER: Final = "other"
_MAX_DETAIL_CHARS: Final = 300
_KEY: Final = ("kind", "stage", "reason")
_EXAMPLE: Final = ("path", "uri", "row_group", "row", "target", "detail")
_EXTENSION: Final = r"\.(?P<found>[A-Za-z0-9_+-]{1,12})$"
_TARGET_KIND: Final = r"^(?P<found>[a-z_]{1,40}):"


@dataclass
class RejectedTally:
    """What is counted of rejected records; keys are `kind/stage/reason`.

    Args:
        counts: The number of records.
        examples: The first record of each key.
        languages: The number of records per language, by the extension of the file's path.
        target_kinds: The number of records per kind of target, such as a span kind; only of targets.
    """

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, dict[str, Any]] = field(default_factory=dict)
    languages: dict[str, dict[str, int]] = field(default_factory=dict)
    target_kinds: dict[str, dict[str, int]] = field(default_factory=dict)

    def add(self, table: pa.Table) -> None:
        """Counts the records of a table, which follow those counted so far."""
        keys = [table.column(name) for name in _KEY]
        number = pa.chunked_array([pa.array(range(table.num_rows), pa.int64())])
        extensions, kinds = extensions_of(table.column("path")), _found(table.column("target"), _TARGET_KIND)
        columns = [*keys, extensions, kinds, number]
        grouped = pa.table(columns, [*_KEY, "extension", "target_kind", "number"]).group_by(
            [*_KEY, "extension", "target_kind"]
        )
        groups = grouped.aggregate([("number", "count"), ("number", "min")]).to_pylist()
        for group in sorted(groups, key=lambda group: group["number_min"]):
            key = "/".join(group[name] for name in _KEY)
            count = group["number_count"]
            self.counts[key] += count
            if key not in self.examples:
                self.examples[key] = _example(table.slice(group["number_min"], 1))
            _count(self.languages, key, language_of(group["extension"]), count)
            if group["kind"] == "target":
                _count(self.target_kinds, key, group["target_kind"] or OTHER, count)


def _found(texts: Any, pattern: str) -> Any:
    return pc.struct_field(pc.extract_regex(texts, pattern), "found")


def _count(counts: dict[str, dict[str, int]], key: str, name: str, count: int) -> None:
    of_key = counts.setdefault(key, {})
    of_key[name] = of_key.get(name, 0) + count


def extensions_of(paths: Any) -> Any:
    """The extension of each path, null for one without."""
    return _found(paths, _EXTENSION)


@functools.lru_cache(maxsize=4_096)  # paths may end in anything
def language_of(extension: str | None) -> str:
    """The name of the language whose files have an extension; `OTHER` if there is none."""
    found = find_language("", f"x.{extension}") if extension else None
    return OTHER if found is None else found.name


def _example(record: pa.Table) -> dict[str, Any]:
    (values,) = record.select(list(_EXAMPLE)).to_pylist()
    shown = {name: value for name, value in values.items() if value not in (None, "") and _may_be_shown(value)}
    if len(shown.get("detail", "")) > _MAX_DETAIL_CHARS:  # only now, as half of a secret isn't found
        shown["detail"] = shown["detail"][:_MAX_DETAIL_CHARS] + "..."
    return shown


def _may_be_shown(value: Any) -> bool:
    """Whether a value may leave the records: a path may hold what no answer may."""
    return not isinstance(value, str) or may_be_shown(value)


def merged(counts: Iterable[Mapping[str, Mapping[str, int]]], key: str) -> dict[str, int]:
    """The sums of several tallies' counts of one key, the largest first.

    >>> merged([{"k": {"C": 1}}, {"k": {"C": 2, "Go": 4}}, {}], "k")
    {'Go': 4, 'C': 3}
    """
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one.get(key, {}))
    return dict(sorted(total.items(), key=lambda item: (-item[1], item[0])))
