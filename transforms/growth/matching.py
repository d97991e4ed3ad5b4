"""Matches the rows that a dataset has with those that its input has now.

    rows of the dataset whose file has changed or is gone        rows of new and changed files
                          |---------------- the same identity ----------------|
    no partner: replaced, if its key is there with other         no partner: new
    content, else gone                                            partner: known, only its place is another

Rows in files that haven't changed take no part, so the cost follows what has. Equal rows are counted: where the input
has a row twice, the dataset has it twice, as if it were made at once.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

REPLACED: Final = "replaced"
GONE: Final = "gone"
OPTED_OUT: Final = "opted_out"
"""Why a row is no longer in the dataset."""


@dataclass(frozen=True)
class Matches:
    """The result of a comparison.

    Args:
        partners: For each row of the dataset the row of the input that is the same; None if there is none.
        reasons: For each row of the dataset without a partner `REPLACED` or `GONE`, else "".
        is_new: For each row of the input, whether the dataset doesn't have it.
    """

    partners: Sequence[int | None]
    reasons: Sequence[str]
    is_new: Sequence[bool]


def match_rows(held: pa.Table, present: pa.Table) -> Matches:
    """Compares rows by their identities.

    Args:
        held: Rows of the dataset, with the columns `key` and `content`.
        present: Rows of the input, with the same columns.
    """
    keys = present["key"].to_pylist()
    waiting: dict[tuple[bytes | None, bytes | None], deque[int]] = defaultdict(deque)
    for index, identity in enumerate(zip(keys, present["content"].to_pylist(), strict=True)):
        waiting[identity].append(index)
    known_keys = {key for key in keys if key is not None}
    is_new = [True] * present.num_rows
    partners: list[int | None] = []
    reasons: list[str] = []
    for identity in zip(held["key"].to_pylist(), held["content"].to_pylist(), strict=True):
        partner = None
        if same := waiting.get(identity):
            partner = same.popleft()
            is_new[partner] = False
        partners.append(partner)
        reasons.append("" if partner is not None else REPLACED if identity[0] in known_keys else GONE)
    return Matches(partners, reasons, is_new)
