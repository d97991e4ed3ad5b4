"""The state of one unit's rows during generation, and their rejections at the end.

Near duplicates: an answer is rejected if an earlier answer of the unit is a near duplicate of it and is about
near-duplicate code. A unit is frozen in the plan and committed atomically, so the answers that stay don't
depend on the order of processing, the number of workers, or resumes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any

from model.engine.requests import Completion
from transforms.generation.selection import find_repeats
from transforms.generation.stages import Prepared, Validated
from transforms.rows.rejections import Rejection
from transforms.rows.row import Row
from transforms.tasks.base import DistinctTask, RejectedTarget


@dataclass
class RowState:
    """One source row during generation; `index` is its position in the unit's table."""

    index: int
    row: Row
    prepared: Prepared | None = None
    futures: list[list[Future[Completion]]] = field(default_factory=list)  # per request, per sample
    completions: list[tuple[Completion | Rejection, ...]] = field(default_factory=list)
    validated: Validated = field(default_factory=lambda: Validated((), ()))
    rejection: Rejection | None = None


def reject_repeats(task: DistinctTask, states: Sequence[RowState]) -> None:
    """Rejects answers that repeat an earlier one of the unit: near duplicates in both question and answer."""
    kept = [(state, item) for state in states for item in state.validated.kept]
    repeats = find_repeats([task.distinct_texts(state.row, item.accepted.columns) for state, item in kept])
    gone: dict[int, dict[int, str]] = {}  # row index -> position in `kept` -> rejection detail
    first = 0
    for state in states:
        for offset in range(len(state.validated.kept)):
            if (stays := repeats.get(first + offset)) is not None:
                other, item = kept[stays]
                assert other.prepared is not None
                target = other.prepared.requests[item.request].target
                gone.setdefault(state.index, {})[offset] = f"of {target} in row {other.row.source.row}, which is kept"
        first += len(state.validated.kept)
    for state in states:
        if state.index in gone:
            state.validated = _without_repeats(state, gone[state.index])


def _without_repeats(state: RowState, gone: Mapping[int, str]) -> Validated:
    """Removes a row's repeated answers; a target that loses its last answer is rejected."""
    assert state.prepared is not None
    validated = state.validated
    left = tuple(item for offset, item in enumerate(validated.kept) if offset not in gone)
    lost = {validated.kept[offset].request: detail for offset, detail in gone.items()}
    left_requests = {item.request for item in left}
    refused = [
        RejectedTarget(
            target=state.prepared.requests[number].target,
            rejection=Rejection("select", "near_duplicate_output", detail),
        )
        for number, detail in sorted(lost.items())
        if number not in left_requests
    ]
    fates = Counter(validated.sample_fates)
    if fates:
        fates.update({"kept": -len(gone), "near_duplicate_output": len(gone)})
    return replace(validated, kept=left, rejected=(*validated.rejected, *refused), sample_fates=fates)


def verdict_names(columns: Mapping[str, Any]) -> Iterator[str]:
    """Names an accepted answer's verdicts, one per check: `checks/parses/true`, `checks/raises_agree/unknown`."""
    for name, verdict in (columns.get("checks") or {}).items():
        if verdict is None or isinstance(verdict, bool):
            yield f"checks/{name}/{'unknown' if verdict is None else str(verdict).lower()}"


def row_rejection(state: RowState, refused: Sequence[RejectedTarget]) -> Rejection:
    """Why a row without accepted targets was rejected: its own fault, or a summary of its targets' rejections."""
    if state.rejection is not None:
        return state.rejection
    reasons = Counter(item.rejection.reason for item in refused)
    detail = ", ".join(f"{reason} {count}" for reason, count in sorted(reasons.items()))
    return Rejection("judge", "no_target_accepted", detail)
