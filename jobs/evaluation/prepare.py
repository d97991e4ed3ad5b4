"""Joins problems and answers into the rows that the units of `codemill evaluate` read.

    benchmark's file + answers     by id (and language, where an id is asked in several); those without one are counted
    benchmark's file alone         its own reference solutions, where it has some (`--reference`)
    --tests, with or without answers in the rows

The rows are written once, in `_job/problems`; a resumed job reads the same ones.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import secrets
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from jobs import storage
from jobs.evaluation.tables import checked_rows, read_rows
from jobs.storage.folders import JobFolder
from jobs.terminal.escapes import print_line
from jobs.terminal.wording import counted
from model.errors import ConfigError
from transforms.evaluation.benchmarks.base import Benchmark
from transforms.evaluation.benchmarks.own_tests import OWN_TESTS
from transforms.evaluation.columns import reading_row
from transforms.evaluation.problems import Problem
from transforms.evaluation.texts.problem import TextProblem, distinct_ids
from transforms.evaluation.work import PREPARED_SCHEMA, problem_text
from transforms.sandbox.toolchains import require, toolchain_of

_ROWS_PER_GROUP: Final = 1_024
_IDS: Final = ("task_id", "qid", "id")
_SHOWN: Final = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Sources:
    """Where problems and answers stand.

    Args:
        benchmark: The benchmark; None: the user's own tests.
        data: Its file, or the file with the user's tests.
        answers: The file with the answers; None: they stand beside the problems.
        reference: Whether the benchmark's own solutions are the answers.
        limit: Only the first so many problems.
        languages: Only problems in these languages, by their Linguist names; (): in all.
    """

    benchmark: Benchmark | None
    data: str
    answers: str | None
    reference: bool
    limit: int | None
    languages: tuple[str, ...] = ()

    @property
    def flag(self) -> str:
        """The option that names the file, for messages."""
        return "--data" if self.benchmark else "--tests"


@dataclass(frozen=True, slots=True)
class Found:
    """A problem with its row.

    Args:
        problem: The problem.
        row: What it was read from.
        where, what: For messages, as in `reading_row`.
    """

    problem: Problem | TextProblem
    row: Mapping[str, Any]
    where: str
    what: str

    def reading(self) -> AbstractContextManager[None]:
        """Turns what the row's other values cause into one line; see `reading_row`."""
        return reading_row(self.where, self.what)


def join_rows(sources: Sources) -> list[dict[str, Any]]:
    """Joins problems and answers; writes nothing. A problem without an answer is a row whose `content` is None.

    Raises:
        ConfigError: A file can't be read, has another layout, or gives no answer to any problem.
    """
    rows = list(_joined(sources))
    if all(row["content"] is None for row in rows):
        raise ConfigError(f"{sources.data}: no problem has an answer")
    return rows


def write_rows(rows: Sequence[Mapping[str, Any]], job_dir: JobFolder, schema: pa.Schema = PREPARED_SCHEMA) -> str:
    """Writes the rows that have an answer, unless they are written already; returns their folder.

    Raises:
        ConfigError: They have changed since the job was planned.
    """
    digest = hashlib.sha256(json.dumps(rows, sort_keys=True).encode("utf-8", "surrogatepass")).hexdigest()
    if storage.exists(job_dir.problems_manifest):
        written = json.loads(storage.read_bytes(job_dir.problems_manifest))
        if written["sha256"] != digest:
            raise ConfigError(
                f"the problems or answers have changed since {job_dir} was planned; choose another --output"
            )
        return job_dir.join(written["folder"])
    not_answered = [row for row in rows if row["content"] is None]
    rows = answered(rows)
    # A folder of its own per attempt: files of an interrupted one are never read.
    name = storage.join("problems", secrets.token_hex(6))
    write_table(rows, job_dir.join(name, "problems.parquet"), schema)
    written = {"folder": name, "sha256": digest, "rows": len(rows), "not_answered": _counted_groups(not_answered)}
    storage.write_bytes(job_dir.problems_manifest, json.dumps(written).encode())
    return job_dir.join(name)


def answered(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The rows that have an answer, which are those that units read."""
    return [row for row in rows if row["content"] is not None]


def _counted_groups(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    counts = Counter((row["benchmark"], row["language"]) for row in rows)
    return [{"benchmark": key[0], "language": key[1], "problems": count} for key, count in sorted(counts.items())]


def not_answered(job_dir: JobFolder) -> dict[tuple[str, str], int]:
    """Numbers of problems that have no answer, by benchmark and language."""
    if not storage.exists(job_dir.problems_manifest):
        return {}
    groups = json.loads(storage.read_bytes(job_dir.problems_manifest)).get("not_answered", ())
    return {(one["benchmark"], one["language"]): one["problems"] for one in groups}


def write_table(rows: Sequence[Mapping[str, Any]], uri: str, schema: pa.Schema) -> None:
    """Writes rows to one file, in row groups that several units share."""
    with storage.open_output(uri) as output, pq.ParquetWriter(output, schema) as writer:
        for start in range(0, len(rows), _ROWS_PER_GROUP):
            writer.write_table(pa.Table.from_pylist(rows[start : start + _ROWS_PER_GROUP], schema))


def _joined(sources: Sources) -> Iterator[dict[str, Any]]:
    benchmark = sources.benchmark or OWN_TESTS
    name = benchmark.name
    answers = _Answers.read(sources.answers) if sources.answers else None
    problems = read_problems(sources)
    if answers is None and not sources.reference:
        _check_own_answers(sources, problems)
    for one in problems:
        problem = one.problem
        if isinstance(problem, TextProblem):
            raise ConfigError(f"--benchmark {name} is answered by --model alone")
        found = _own_answers(sources, one) if answers is None else answers.of(problem, one.row)
        for sample, answer in enumerate(found or [None]):
            yield {
                "content": None if answer is None else benchmark.code(answer, one.row),
                "task_id": problem.problem_id,
                "sample": sample,
                "language": problem.language,
                "benchmark": name,
                "problem": problem_text(problem),
            }
    if answers is not None:
        answers.check_all_used(sources)


def read_problems(sources: Sources) -> list[Found]:
    """The problems of a benchmark, or the user's own; equal questions of texts have different ids.

    Raises:
        ConfigError: The file can't be read, has another layout, or has a row that is no problem.
    """
    found = list(itertools.islice(_read_problems(sources), sources.limit))
    ids = distinct_ids([one.problem.problem_id for one in found])
    return [
        dataclasses.replace(one, problem=dataclasses.replace(one.problem, problem_id=name))
        if isinstance(one.problem, TextProblem)
        else one
        for one, name in zip(found, ids, strict=True)
    ]


def _read_problems(sources: Sources) -> Iterator[Found]:
    benchmark = sources.benchmark or OWN_TESTS
    for where, row in checked_rows(sources.data, sources.flag, benchmark.check_columns):
        with reading_row(where, what := f"problem of {benchmark.name}"):
            problem = benchmark.problem(row)
            _check_texts(problem)
        if problem is not None and (not sources.languages or problem.language in sources.languages):
            yield Found(problem, row, where, what)


def _check_texts(problem: Problem | TextProblem | None) -> None:
    """Raises TypeError if what must be text isn't: JSON has numbers and nulls as well."""
    if isinstance(problem, TextProblem):
        texts = [("problem_id", problem.problem_id), *(("answer", gold) for gold in problem.gold)]
    else:
        names = ("problem_id", "test", "setup", "prefix", "suffix", "entry_point", "entry_class")
        texts = [(name, getattr(problem, name)) for name in names if problem is not None]
    for name, value in texts:
        if not isinstance(value, str):
            raise TypeError(f"{name} must be text, is {type(value).__name__}")


def _check_own_answers(sources: Sources, problems: Sequence[Found]) -> None:
    """Raises ConfigError if no row could have an answer of its own. In JSON lines, some rows may lack the column."""
    if problems and not any(
        isinstance(one.problem, TextProblem) or "answer" in one.row or "messages" in one.row for one in problems
    ):
        raise ConfigError(
            f"{sources.data} has no column answer; give --model, --answers, or --reference for the benchmark's own "
            "solutions"
        )


def _own_answers(sources: Sources, one: Found) -> list[str]:
    if sources.reference:
        assert sources.benchmark is not None
        with one.reading():
            reference = sources.benchmark.reference(one.row)
        return [] if reference is None else [_text(reference, one.where)]
    row = one.row
    answer = row.get("answer") if sources.benchmark else OWN_TESTS.reference(row)
    return [] if answer is None else [_text(answer, one.where)]


def _text(answer: Any, where: str) -> str:
    if not isinstance(answer, str):
        raise ConfigError(f"{where}: the answer must be text, is {type(answer).__name__}")
    return answer


@dataclass
class _Answers:
    """Answers by id, and by id and language; several of one are samples, in the file's order."""

    path: str
    by_id: Mapping[tuple[str, str], list[str]]
    used: set[tuple[str, str]]

    @classmethod
    def read(cls, path: str) -> _Answers:
        found: dict[tuple[str, str], list[str]] = defaultdict(list)
        for row in read_rows(path, "--answers"):
            given = next((str(row[name]) for name in _IDS if row.get(name) is not None), None)
            if given is None or row.get("answer") is None:
                raise ConfigError(
                    f"--answers {path} needs the columns task_id (or qid, id) and answer; it has {', '.join(row)}"
                )
            found[given, _language(row.get("language"))].append(_text(row["answer"], f"--answers {path}, id {given}"))
        return cls(path, found, set())

    def of(self, problem: Problem, row: Mapping[str, Any]) -> list[str]:
        """The answers to a problem: by its own id or one of its row's, for its language or for any."""
        ids = [problem.problem_id, *(str(row[name]) for name in (*_IDS, "title") if row.get(name) is not None)]
        for given in dict.fromkeys(ids):
            for language in (problem.language, ""):
                if (key := (given, language)) in self.by_id:
                    self.used.add(key)
                    return self.by_id[key]
        return []

    def check_all_used(self, sources: Sources) -> None:
        """Says which answers are to problems that aren't asked in this run.

        Raises:
            ConfigError: An answer belongs to no problem at all: a typing error must not lower a score silently.
        """
        if not (left := sorted(self.by_id.keys() - self.used)):
            return
        # Problems beyond --limit, and those that aren't part of the benchmark, as MBPP's below id 11.
        rows = read_rows(sources.data, sources.flag)
        known = {str(row[name]) for row in rows for name in (*_IDS, "title") if row.get(name) is not None}
        left_out = [key for key in left if known & {key[0], key[0].rpartition("/")[2]}]
        if left_out:
            print_line(
                f"--answers {self.path}: {counted(len(left_out), 'id')} left out, whose problems aren't asked here: "
                f"{_shown(left_out)}",
                sys.stderr,
            )
        if left := [key for key in left if key not in left_out]:
            raise ConfigError(
                f"--answers {self.path}: {counted(len(left), 'id')} of {len(self.by_id):,} belong to no problem: "
                f"{_shown(left)}"
            )


def _shown(keys: Sequence[tuple[str, str]]) -> str:
    words = [" ".join(filter(None, key)) for key in keys[:_SHOWN]]
    return ", ".join(words) + (", ..." if len(keys) > _SHOWN else "")


def named_languages(names: Sequence[str]) -> tuple[str, ...]:
    """The Linguist names of languages. Raises ConfigError if the sandbox doesn't run one of them."""
    require(words := [word for name in names for word in name.split(",") if word])
    return tuple(dict.fromkeys(_language(word) for word in words))


def _language(name: Any) -> str:
    """A language's Linguist name; what the sandbox doesn't run stays as it is."""
    toolchain = toolchain_of(str(name)) if name else None
    return toolchain.language if toolchain else str(name or "")
