"""Joins problems and answers into the rows that the units of `codemill evaluate` read.

    benchmark's file + answers     by id (and language, where an id is asked in several)
    benchmark's file alone         its own reference solutions, where it has some (`--reference`)
    --tests, with or without answers in the rows

The rows are written once, in `_job/problems`; a resumed job reads the same ones.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from jobs import storage
from jobs.evaluation.tables import read_rows
from jobs.storage.folders import JobFolder
from jobs.terminal.wording import counted
from model.errors import ConfigError, RecordError
from transforms.evaluation.benchmarks.base import Benchmark
from transforms.evaluation.benchmarks.own_tests import OWN_TESTS
from transforms.evaluation.problems import Problem
from transforms.evaluation.texts.problem import TextProblem
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


def join_rows(sources: Sources) -> list[dict[str, Any]]:
    """Joins problems and answers; writes nothing.

    Raises:
        ConfigError: A file can't be read, has another layout, or gives no answer to any problem.
    """
    if not (rows := list(_joined(sources))):
        raise ConfigError(f"{sources.data}: no problem has an answer")
    return rows


def write_rows(rows: Sequence[Mapping[str, Any]], job_dir: JobFolder, schema: pa.Schema = PREPARED_SCHEMA) -> str:
    """Writes the rows, unless they are written already; returns their folder.

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
    # A folder of its own per attempt: files of an interrupted one are never read.
    name = storage.join("problems", secrets.token_hex(6))
    write_table(rows, job_dir.join(name, "problems.parquet"), schema)
    written = {"folder": name, "sha256": digest, "rows": len(rows)}
    storage.write_bytes(job_dir.problems_manifest, json.dumps(written).encode())
    return job_dir.join(name)


def write_table(rows: Sequence[Mapping[str, Any]], uri: str, schema: pa.Schema) -> None:
    """Writes rows to one file, in row groups that several units share."""
    with storage.open_output(uri) as output, pq.ParquetWriter(output, schema) as writer:
        for start in range(0, len(rows), _ROWS_PER_GROUP):
            writer.write_table(pa.Table.from_pylist(rows[start : start + _ROWS_PER_GROUP], schema))


def _joined(sources: Sources) -> Iterator[dict[str, Any]]:
    name = sources.benchmark.name if sources.benchmark else "tests"
    answers = _Answers.read(sources.answers) if sources.answers else None
    for problem, row in read_problems(sources):
        if isinstance(problem, TextProblem):
            raise ConfigError(f"--benchmark {name} is answered by --model alone")
        found = _own_answers(sources, row) if answers is None else answers.of(problem, row)
        for sample, answer in enumerate(found):
            yield {
                "content": answer,
                "task_id": problem.problem_id,
                "sample": sample,
                "language": problem.language,
                "benchmark": name,
                "problem": problem_text(problem),
            }
    if answers is not None:
        answers.check_all_used()


def read_problems(sources: Sources) -> Iterator[tuple[Problem | TextProblem, Mapping[str, Any]]]:
    """Yields the problems of a benchmark, or the user's own, each with its row.

    Raises:
        ConfigError: The file can't be read, has another layout, or has a row that is no problem.
    """
    benchmark = sources.benchmark or OWN_TESTS
    flag = "--data" if sources.benchmark else "--tests"
    number = 0
    for row in read_rows(sources.data, flag):
        if not number:
            benchmark.check_columns(list(row))
        try:
            problem = benchmark.problem(row)
        except RecordError as error:
            raise ConfigError(f"{flag} {sources.data}, row {number + 1}: {error.reason}: {error.detail}") from error
        if problem is None or (sources.languages and problem.language not in sources.languages):
            continue
        number += 1
        yield problem, row
        if number == sources.limit:
            return


def _own_answers(sources: Sources, row: Mapping[str, Any]) -> list[str]:
    if sources.reference:
        assert sources.benchmark is not None
        reference = sources.benchmark.reference(row)
        return [reference] if reference else []
    answer = row.get("answer")
    if answer is None:
        raise ConfigError(
            f"{sources.data} has no column answer; give --model, --answers, or --reference for the benchmark's own "
            "solutions"
        )
    return [answer]


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
            found[given, _language(row.get("language"))].append(str(row["answer"]))
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

    def check_all_used(self) -> None:
        """Raises ConfigError if an answer belongs to no problem: a typing error must not lower a score silently."""
        if left := sorted(self.by_id.keys() - self.used):
            shown = ", ".join(" ".join(filter(None, key)) for key in left[:_SHOWN])
            raise ConfigError(
                f"--answers {self.path}: {counted(len(left), 'id')} of {len(self.by_id):,} belong to no problem: "
                f"{shown}"
            )


def named_languages(names: Sequence[str]) -> tuple[str, ...]:
    """The Linguist names of languages. Raises ConfigError if the sandbox doesn't run one of them."""
    require(words := [word for name in names for word in name.split(",") if word])
    return tuple(dict.fromkeys(_language(word) for word in words))


def _language(name: Any) -> str:
    """A language's Linguist name; what the sandbox doesn't run stays as it is."""
    toolchain = toolchain_of(str(name)) if name else None
    return toolchain.language if toolchain else str(name or "")
