"""What stands beside a score: published figures, the metrics of texts, and the same score without problems that a
training corpus has.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from transforms.evaluation.published import figure_of
from transforms.evaluation.scores import Score, beside, score

Pairs = Sequence[tuple[int, int]]
"""Of each problem, how many answers there are, and how many of them are right."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What a run's scores are held against.

    Args:
        published: The model whose published figures stand beside them; None: no model's.
        trained: The problems that stand in a training corpus; None: none was searched.
    """

    published: str | None = None
    trained: frozenset[str] | None = None


@dataclass
class Readings:
    """The metrics of answers that are texts: by metric and problem, what was extracted and whether it is right."""

    by_metric: dict[str, dict[str, list[tuple[str | None, bool | None]]]] = field(default_factory=dict)

    def add(self, task_id: str, measured: Sequence[Mapping[str, Any]]) -> None:
        """Takes the column `measured` of one row."""
        for one in measured:
            by_task = self.by_metric.setdefault(one["metric"], defaultdict(list))
            by_task[task_id].append((one["extracted"], one["correct"]))

    def scores(self) -> dict[str, Any]:
        """By metric: the share of right answers and, with several samples, of right majorities."""
        return {metric: _metric(by_task) for metric, by_task in self.by_metric.items()}


def _metric(by_task: Mapping[str, Sequence[tuple[str | None, bool | None]]]) -> dict[str, Any]:
    found = {"mean": _score([_counted(readings) for _, readings in sorted(by_task.items())])}
    samples = min(map(len, by_task.values()))  # what every problem has; where one has more, the first of them vote
    if samples > 1:
        voted = [_counted([majority(readings[:samples])]) for _, readings in sorted(by_task.items())]
        found[f"maj@{samples}"] = _score(voted)
    return found


def _counted(readings: Sequence[tuple[str | None, bool | None]]) -> tuple[int, int]:
    decided = [correct for _, correct in readings if correct is not None]
    return len(decided), sum(decided)


def majority(readings: Sequence[tuple[str | None, bool | None]]) -> tuple[str | None, bool | None]:
    """The reading that most samples agree on, the first of several; nothing was read where no sample has any.

    >>> majority([("1", False), (None, False), ("2", True), ("2", True)])
    ('2', True)
    """
    votes = Counter(text for text, _ in readings if text is not None)
    if not votes:
        return None, False
    most = votes.most_common(1)[0][0]  # insertion order decides among equals
    return next(reading for reading in readings if reading[0] == most)


def _score(problems: Pairs) -> dict[str, Any] | None:
    found = score([pair for pair in problems if pair[0]])
    return None if found is None else asdict(found)


def published_beside(standing: Standing, benchmark: str, language: str, ours: Score | None) -> dict[str, Any] | None:
    """The published figure with the difference to ours; None if there is none."""
    if standing.published is None or ours is None:
        return None
    figure = figure_of(standing.published, benchmark, language)
    if figure is None:
        return None
    found = {**asdict(figure), "difference": ours.value - figure.share}
    if figure.problems is not None:
        _, low, high = beside(ours, figure.share, figure.problems)
        found |= {"low": low, "high": high}
    return found


def published_line(found: Mapping[str, Any], problems: int) -> str:
    """One line on a published figure."""
    line = f"published for {found['model']}: {found['share']:.1%}"
    if found["problems"] is None:
        return f"{line}, ours {found['difference']:+.1%}"
    interval = f"({found['low']:+.1%} to {found['high']:+.1%}, as of independent samples)"
    few = f"; ours is over {problems:,} of {found['problems']:,} problems" if problems < found["problems"] else ""
    return f"{line}, ours {found['difference']:+.1%} {interval}{few}"


def trained_apart(trained: Collection[str], by_task: Mapping[str, tuple[int, int]]) -> dict[str, Any]:
    """The score of the problems that a training corpus has, and of the others."""
    inside = sorted(by_task.keys() & set(trained))
    outside = sorted(by_task.keys() - set(trained))
    return {
        "problems": inside,
        "inside": _score([by_task[name] for name in inside]),
        "outside": _score([by_task[name] for name in outside]),
    }


def trained_lines(found: Mapping[str, Any]) -> Iterator[str]:
    """Lines on the problems that a training corpus has."""
    yield f"{len(found['problems']):,} problems stand in the training corpus"
    for where, said in (("inside", "those alone"), ("outside", "without them")):
        if found["problems"] and found[where] is not None:
            one = Score(**found[where])
            yield f"pass@1 of {said} {one.value:.1%} ({one.low:.1%} to {one.high:.1%}) over {one.problems:,} problems"
