"""Reckons the scores of an evaluation from its rows, and tells them.

OUT/scores.json    per benchmark and language: pass@k with its interval, answers by reason, what could not be run;
                   beside it metrics of texts, published figures, and the score without what a training corpus has
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
from jobs.evaluation.standing import Readings, Standing, published_beside, published_line, trained_apart, trained_lines
from jobs.plan.input_paths import expand
from jobs.storage.folders import OutputFolder
from jobs.terminal.wording import counted
from model.errors import ConfigError
from transforms.evaluation.problems import NOT_RUN
from transforms.evaluation.scores import Difference, Score, compare, score

_COLUMNS: Final = ("benchmark", "language", "task_id", "passed", "executed", "measured")
Key = tuple[str, str]


@dataclass
class _Group:
    """The verdicts of one benchmark in one language."""

    answers: Counter[str] = field(default_factory=Counter)  # by problem; those that could be run
    passed: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    asked: set[str] = field(default_factory=set)
    readings: Readings = field(default_factory=Readings)

    def by_task(self) -> dict[str, tuple[int, int]]:
        return {name: (self.answers[name], self.passed[name]) for name in sorted(self.answers)}

    def problems(self) -> list[tuple[int, int]]:
        return list(self.by_task().values())

    def ks(self) -> list[int]:
        """1, and the powers of ten and the number of answers up to what every problem has."""
        least = min(self.answers.values(), default=0)
        return sorted({k for k in (1, 10, 100, least) if 0 < k <= least})


def write_scores(output: OutputFolder, standing: Standing = Standing()) -> dict[str, Any]:
    """Writes `scores.json` and returns its content.

    Args:
        output: The output, whose rows are published.
        standing: What stands beside the scores.
    """
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
                **_beside(standing, benchmark, language, group),
            }
            for (benchmark, language), group in sorted(_groups(output).items())
        ],
        "missing": _missing(output),
    }
    storage.write_bytes(output.scores, json.dumps(scores, indent=1).encode())
    return scores


def _beside(standing: Standing, benchmark: str, language: str, group: _Group) -> dict[str, Any]:
    """What stands beside a score, as far as there is any."""
    found: dict[str, Any] = {}
    if group.readings.by_metric:
        found["metrics"] = group.readings.scores()
    if (published := published_beside(standing, benchmark, language, score(group.problems()))) is not None:
        found["published"] = published
    if standing.trained is not None:
        found["trained_on"] = trained_apart(standing.trained, group.by_task())
    return found


def _missing(output: OutputFolder) -> dict[str, int]:
    """How many answers there aren't, by reason."""
    found: Counter[str] = Counter()
    for uri in expand([output.rejected]) if storage.list_names(output.rejected) else ():
        with storage.open_input(uri) as file:
            found.update(pq.read_table(file, columns=["reason"]).column("reason").to_pylist())
    return dict(found.most_common())


def _groups(output: OutputFolder) -> dict[Key, _Group]:
    groups: dict[Key, _Group] = defaultdict(_Group)
    for row in _rows(output.path):
        group = groups[row["benchmark"], row["language"]]
        group.asked.add(row["task_id"])
        group.reasons[_reason(row)] += 1
        group.readings.add(row["task_id"], row.get("measured") or ())
        if row["passed"] is not None:
            group.answers[row["task_id"]] += 1
            group.passed[row["task_id"]] += row["passed"]
    return groups


def _reason(row: Mapping[str, Any]) -> str:
    if row.get("executed") is not None:
        return str(row["executed"]["reason"])
    return {True: "passed", False: "wrong", None: "not_decided"}[row["passed"]]


def _rows(output: str) -> Iterator[dict[str, Any]]:
    # Where every answer is missing, there are no rows, and no file.
    for uri in expand([output]) if storage.list_names(OutputFolder(output).data) else ():
        with storage.open_input(uri) as file:
            opened = pq.ParquetFile(file)
            columns = [name for name in _COLUMNS if name in opened.schema_arrow.names]
            for batch in opened.iter_batches(columns=columns):
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
        lines += [f"{name}: {line}" for line in _lines_beside(one)]
    for reason, count in scores["missing"].items():
        lines.append(f"{counted(count, 'answer')} missing ({reason}): the scores are without them")
    return lines


def _of_all(one: Mapping[str, Any]) -> str:
    """What pass@1 is where problems without an answer count as failed."""
    if (found := one["pass_at"].get("1")) is None:
        return ""
    share = found["value"] * found["problems"] / (found["problems"] + one["problems_not_answered"])
    return f"; as failures they make pass@1 {share:.1%}"


def _lines_beside(one: Mapping[str, Any]) -> Iterator[str]:
    for metric, found in one.get("metrics", {}).items():
        shown = [f"{name} {_percent(Score(**value))}" for name, value in found.items() if value is not None]
        yield f"{metric}: {', '.join(shown) or 'none could be decided'}"
    if published := one.get("published"):
        yield published_line(published, one["problems_run"])
    if trained := one.get("trained_on"):
        yield from trained_lines(trained)


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
