"""What the rows of one source share, and what a row group of them holds: plain data, which takes no time to import."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

SCHEMA_VERSION: Final = "3"
"""Of a corpus's rows (`transforms.corpus.rows`). 3: `revision_id`, `repo_url` and `retrieved_at`."""

_SMALL_GROUPS: Final = 4


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a source came from; None: can't tell.

    Args:
        revision_id: The commit that is checked out.
        repo_url: The repository's page.
        retrieved_ms: When it was retrieved, in milliseconds since 1970.
    """

    revision_id: str | None = None
    repo_url: str | None = None
    retrieved_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """What the rows of one source have in common.

    Args:
        repo_name: For the column of that name.
        public_name: The source's name in rejected records.
        licenses: The licenses by folder (`Source.licenses`).
        keep_uncertain: Whether a file whose encoding is a guess is kept, and marked.
        opted_out: The entry of an opt-out list that leaves all of its files out; "" if none does.
        provenance: Where they came from, and when.
    """

    repo_name: str
    public_name: str
    licenses: Mapping[str, tuple[str, ...]]
    keep_uncertain: bool = False
    opted_out: str = ""
    provenance: Provenance = Provenance()


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
