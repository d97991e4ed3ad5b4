"""Reckons the scores of an evaluation from its rows, and tells them.

OUT/scores.json    per benchmark and language: pass@k with its interval, answers by reason, what could not be run
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import pyarrow.parquet as pq

from jobs import storage
from jobs.evaluation.prepare import not_answered
from jobs.plan.input_paths import expand
from jobs.storage.folders import OutputFolder
from jobs.terminal.wording import counted
from model.errors import ConfigError
from transforms.evaluation.problems import NOT_RUN
from transforms.evaluation.scores import Difference, Score, compare, score

_COLUMNS: Final = ["benchmark", "language", "task_id", "passed", "executed"]
Key = tuple[str, str]


@dataclass
class _Group:
    """The verdicts of one benchmark in one language."""

    answers: Counter[str] = field(default_factory=Counter)  # by problem; those that could be run
    passed: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    asked: set[str] = field(default_factory=set)

    def problems(self) -> list[tuple[int, int]]:
        return [(self.answers[name], self.passed[name]) for name in sorted(self.answers)]

    def ks(self) -> list[int]:
        """1, and the powers of ten and the number of answers up to what every problem has."""
        least = min(self.answers.values(), default=0)
        return sorted({k for k in (1, 10, 100, least) if 0 < k <= least})


def write_scores(output: OutputFolder) -> dict[str, Any]:
    """Writes `scores.json` and returns its content."""
    missing = not_answered(output.job)
    scores = {
        "scores": [
            {
                "benchmark": benchmark,
                "language": language,
                "problems": len(group.asked),
                "problems_run": len(group.answers),
                "problems_not_answered": missing.get((benchmark, language), 0),
                "pass_at": {
                    str(k): asdict(found) for k in group.ks() if (found := score(group.problems(), k)) is not None
                },
                "answers": dict(group.reasons.most_common()),
            }
            for (benchmark, language), group in sorted(_groups(output).items())
        ]
    }
    storage.write_bytes(output.scores, json.dumps(scores, indent=1).encode())
    return scores


def _groups(output: OutputFolder) -> dict[Key, _Group]:
    groups: dict[Key, _Group] = defaultdict(_Group)
    for row in _rows(output.path):
        group = groups[row["benchmark"], row["language"]]
        group.asked.add(row["task_id"])
        group.reasons[row["executed"]["reason"]] += 1
        if row["passed"] is not None:
            group.answers[row["task_id"]] += 1
            group.passed[row["task_id"]] += row["passed"]
    return groups


def _rows(output: str) -> Iterator[dict[str, Any]]:
    for uri in expand([output]):
        with storage.open_input(uri) as file:
            for batch in pq.ParquetFile(file).iter_batches(columns=_COLUMNS):
                yield from batch.to_pylist()


def score_lines(scores: Mapping[str, Any]) -> list[str]:
    """The lines that a finished evaluation prints."""
    lines = []
    for one in scores["scores"]:
        name = f"{one['benchmark']}, {one['language']}"
        lines += [
            f"{name}: pass@{k} {_percent(Score(**found))} over {found['problems']:,} problems"
            for k, found in one["pass_at"].items()
        ]
        if missing := one["problems_not_answered"]:
            lines.append(f"{name}: {counted(missing, 'problem')} without an answer not counted{_of_all(one)}")
        if missing := sum(one["answers"].get(reason, 0) for reason in NOT_RUN):
            lines.append(f"{name}: {missing:,} answers could not be run here and count neither way")
        reasons = [f"{reason} {count:,}" for reason, count in one["answers"].items() if reason != "passed"]
        if reasons:
            lines.append(f"{name}: {', '.join(reasons)}")
    return lines


def _of_all(one: Mapping[str, Any]) -> str:
    """What pass@1 is where problems without an answer count as failed."""
    if (found := one["pass_at"].get("1")) is None:
        return ""
    share = found["value"] * found["problems"] / (found["problems"] + one["problems_not_answered"])
    return f"; as failures they make pass@1 {share:.1%}"


def _percent(found: Score) -> str:
    return f"{found.value:.1%} ({found.low:.1%} to {found.high:.1%})"


def compare_runs(first: str, second: str) -> list[str]:
    """Lines on how the second of two evaluations differs from the first, by benchmark and language.

    Raises:
        ConfigError: One isn't a finished evaluation, or they have nothing in common.
    """
    a, b = (_shares(path) for path in (first, second))
    common = sorted(a.keys() & b.keys())
    if not common:
        raise ConfigError(f"--compare: {first} and {second} have no benchmark and language in common")
    lines = []
    for key in common:
        try:
            lines.append(_difference_line(key, compare(a[key], b[key])))
        except ValueError as error:
            raise ConfigError(f"--compare: {', '.join(key)}: {error}") from error
    return lines


def _shares(path: str) -> dict[Key, dict[str, float]]:
    output = OutputFolder(path)
    if not storage.exists(output.completed) or not storage.exists(output.scores):
        raise ConfigError(f"--compare: {path} is no finished output of codemill evaluate")
    groups = _groups(output)
    return {
        key: {name: group.passed[name] / count for name, count in group.answers.items()}
        for key, group in groups.items()
    }


def _difference_line(key: Sequence[str], found: Difference) -> str:
    return (
        f"{', '.join(key)}: {found.value:+.1%} ({found.low:+.1%} to {found.high:+.1%}) over {found.problems:,} "
        f"problems; only the first solves {found.only_a:,}, only the second {found.only_b:,}; "
        f"McNemar p = {found.p_value:.3g}"
    )
