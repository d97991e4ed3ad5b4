"""The state of one unit's rows during generation, and their rejections at the end.

Near duplicates: an answer is rejected if an earlier answer of its row is a near duplicate of it and is about
near-duplicate code. Rows are not compared with each other, so the answers that stay don't depend on how the input
was cut into units and pieces, on the number of workers, or on resumes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from model.engine.requests import Completion
from transforms.checks import edit_similarity
from transforms.generation.selection import find_repeats
from transforms.generation.stages import Prepared, Validated
from transforms.rows.rejections import Rejection
from transforms.rows.row import Row
from transforms.tasks.base import DistinctTask, RejectedTarget


class OriginalScore(NamedTuple):
    """The sum of an original's log-probabilities, and its number of tokens."""

    logprob: float
    tokens: int


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
    original_scores: dict[int, OriginalScore] = field(default_factory=dict)  # by request
    tests: str | None = None  # that the row brings


def reject_repeats(task: DistinctTask, states: Iterable[RowState]) -> None:
    """Rejects answers that repeat an earlier one of their row: near duplicates in both question and answer."""
    for state in states:
        kept = state.validated.kept
        pairs = [task.distinct_texts(state.row, item.accepted.columns) for item in kept]
        repeats = find_repeats(pairs)
        if repeats:
            assert state.prepared is not None
            targets = [state.prepared.requests[item.request].target for item in kept]
            gone = {
                offset: f"of {targets[stays]}, which is kept: edit similarity "
                f"{edit_similarity(pairs[offset][1], pairs[stays][1]):.2f}"
                for offset, stays in repeats.items()
            }
            state.validated = _without_repeats(state, gone)


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
