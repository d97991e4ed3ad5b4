"""What the rows of one source share, and what a row group of them holds: plain data, which takes no time to import."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

SCHEMA_VERSION: Final = "2"
"""Of a corpus's rows (`transforms.corpus.rows`)."""

_SMALL_GROUPS: Final = 4


@dataclass(frozen=True, slots=True)
class Origin:
    """What the rows of one source have in common.

    Args:
        repo_name: For the column of that name.
        public_name: The source's name in rejected records.
        licenses: The licenses by folder (`Source.licenses`).
        keep_uncertain: Whether a file whose encoding is a guess is kept, and marked.
        opted_out: The entry of an opt-out list that leaves all of its files out; "" if none does.
    """

    repo_name: str
    public_name: str
    licenses: Mapping[str, tuple[str, ...]]
    keep_uncertain: bool = False
    opted_out: str = ""


@dataclass(frozen=True, slots=True)
class GroupLimits:
    """What a row group holds, at most.

    Args:
        rows: Rows.
        num_bytes: Bytes of the files as they were found, unless a single one has more.
    """

    rows: int = 256
    num_bytes: float = 16e6

    def is_small(self, rows: int, num_bytes: int) -> bool:
        """Whether several groups like this one would fit into one."""
        return rows * _SMALL_GROUPS < self.rows and num_bytes * _SMALL_GROUPS < self.num_bytes
