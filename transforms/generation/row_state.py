"""The rows of one unit on their way through generation, and what is told of them in the end.

Repeats: an answer that says nearly the same of nearly the same as an earlier one of the unit is taken out. A unit is
frozen in the plan and committed whole, so what stays doesn't depend on order, workers or resumes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any

from model.engine.requests import Completion
from transforms.generation.selection import find_repeats
from transforms.generation.stages import Judged, Prepared
from transforms.rows.rejections import Rejection
from transforms.rows.row import Row
from transforms.tasks.base import DistinctTask, RejectedTarget


@dataclass
class RowState:
    """One source row on its way through the unit; `index` is its place in the unit's table."""

    index: int
    row: Row
    prepared: Prepared | None = None
    futures: list[list[Future[Completion]]] = field(default_factory=list)  # of each request, its samples
    completions: list[tuple[Completion | Rejection, ...]] = field(default_factory=list)
    judged: Judged = field(default_factory=lambda: Judged((), ()))
    rejection: Rejection | None = None


def reject_repeats(task: DistinctTask, states: Sequence[RowState]) -> None:
    """Takes out what repeats an earlier answer of the unit: near duplicates of both the question and the answer."""
    kept = [(state, item) for state in states for item in state.judged.kept]
    repeats = find_repeats([task.distinct_texts(state.row, item.accepted.columns) for state, item in kept])
    gone: dict[int, dict[int, str]] = {}  # of which row, which kept item -> what stays for it
    first = 0
    for state in states:
        for offset in range(len(state.judged.kept)):
            if (stays := repeats.get(first + offset)) is not None:
                other, item = kept[stays]
                assert other.prepared is not None
                target = other.prepared.requests[item.request].target
                gone.setdefault(state.index, {})[offset] = f"of {target} in row {other.row.source.row}, which is kept"
        first += len(state.judged.kept)
    for state in states:
        if state.index in gone:
            state.judged = _without_repeats(state, gone[state.index])


def _without_repeats(state: RowState, gone: Mapping[int, str]) -> Judged:
    """What is left of a row's answers; a target that loses its last one is rejected."""
    assert state.prepared is not None
    judged = state.judged
    left = tuple(item for offset, item in enumerate(judged.kept) if offset not in gone)
    lost = {judged.kept[offset].request: detail for offset, detail in gone.items()}
    left_requests = {item.request for item in left}
    refused = [
        RejectedTarget(
            target=state.prepared.requests[number].target,
            rejection=Rejection("select", "near_duplicate_output", detail),
        )
        for number, detail in sorted(lost.items())
        if number not in left_requests
    ]
    fates = Counter(judged.sample_fates)
    if fates:
        fates.update({"kept": -len(gone), "near_duplicate_output": len(gone)})
    return replace(judged, kept=left, rejected=(*judged.rejected, *refused), sample_fates=fates)


def verdict_names(columns: Mapping[str, Any]) -> Iterator[str]:
    """What the checks of an accepted answer said, one by one: `checks/parses/true`, `checks/raises_agree/unknown`."""
    for name, verdict in (columns.get("checks") or {}).items():
        if verdict is None or isinstance(verdict, bool):
            yield f"checks/{name}/{'unknown' if verdict is None else str(verdict).lower()}"


def row_rejection(state: RowState, refused: Sequence[RejectedTarget]) -> Rejection:
    """Why a row without an accepted target was rejected: its own fault, or the sum of its targets'."""
    if state.rejection is not None:
        return state.rejection
    reasons = Counter(item.rejection.reason for item in refused)
    detail = ", ".join(f"{reason} {count}" for reason, count in sorted(reasons.items()))
    return Rejection("judge", "no_target_accepted", detail)
