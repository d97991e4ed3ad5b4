"""What tells of packed rows which of their parts are trained on, of which files, and which were packed together."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping
from typing import Any, Final

import pyarrow as pa

TRAINED: Final = "file"
"""The role of a part that is trained on; the others repeat, as context, what it needs."""
UNIT: Final = "unit"
PACKED_TOGETHER: Final = pa.field(UNIT, pa.int32(), nullable=False)
"""The number of the unit in which a row was packed: rows of different units share no file. In a dataset that grew, it
counts within one edition, which the shard's name tells."""
FILE: Final = ("repo_name", "path", "content_sha256")
"""What names a part's file."""


class Copies:
    """Tells files apart that the input has several times: each is a copy of its own, with a piece that begins it.

    The parts of a unit come in their order. A piece goes on with a copy that ended where it begins; one whose first
    pieces were forgotten begins another.
    """

    def __init__(self) -> None:
        self._found = Counter[Hashable]()
        self._ended: dict[Hashable, list[int]] = defaultdict(list)

    def of(self, parts: Iterable[Mapping[str, Any]]) -> frozenset[Hashable]:
        """The files, each with the number of its copy, that a row's parts are pieces of; context doesn't count."""
        return frozenset(self._of(part) for part in parts if part.get("role", TRAINED) == TRAINED)

    def _of(self, part: Mapping[str, Any]) -> Hashable:
        file = tuple(part.get(name) for name in FILE)
        ended = self._ended[file, part["start"]]
        if part["start"] and ended:
            copy = ended.pop()
        else:
            self._found[file] += 1
            copy = self._found[file]
        self._ended[file, part["end"]].append(copy)
        return *file, copy
