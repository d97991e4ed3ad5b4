"""Compiles and runs the accepted answers of rows, between their validation and the choice among them.

    [pool: judge] -> trials -> [verifier, beside the engine] -> evidence -> [pool: choose]

Rows wait for their programs in the thread of their unit; the engine and the other units go on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Final

import pyarrow as pa

from model.errors import ConfigError
from transforms.generation.stages import Answers, Judged, Tried
from transforms.machine import available_cores
from transforms.row_pool import CRASHED, RowPool
from transforms.rows.rejections import Rejection, stage_error
from transforms.rows.row import Row
from transforms.sandbox.sandbox import Isolation
from transforms.tasks.base import Accepted, RejectedTarget
from transforms.verification.evidence import Evidence
from transforms.verification.repository_tests import Corpus, RepositoryTests
from transforms.verification.trials import Trial
from transforms.verification.verifier import Verifier

TESTS_COLUMN: Final = "tests"
_CHUNKS_AT_A_TIME: Final = 16  # which only wait


@dataclass(frozen=True, slots=True)
class TrialRuns:
    """Runs the trials of rows.

    Args:
        verifier: Runs them.
        threads: Wait for them.
        repository: Where tests of rows that bring none are looked up.
    """

    verifier: Verifier
    threads: ThreadPoolExecutor
    repository: RepositoryTests | None = None

    @classmethod
    def open(cls, isolation: Isolation, tests: Corpus | None = None, *, slots: int | None = None) -> TrialRuns:
        """Makes the sandbox, by default with one slot per core, and reads a corpus of tests, if one is named.

        Raises:
            ConfigError: There can be no sandbox, or the corpus can't be read.
        """
        repository = RepositoryTests(tests) if tests is not None else None
        try:
            verifier = Verifier(slots=slots or available_cores(), isolation=isolation).__enter__()
        except ConfigError as error:
            raise ConfigError(f"{error}, or leave answers unverified by --verify parse") from error
        return cls(verifier, ThreadPoolExecutor(_CHUNKS_AT_A_TIME, thread_name_prefix="trying"), repository)

    def close(self) -> None:
        """Ends the sandbox."""
        self.verifier.__exit__()
        self.threads.shutdown()

    @property
    def programs_done(self) -> int:
        """How many programs have ended."""
        return self.verifier.programs_done

    def tests_of(self, row: Row, brought: str | None) -> str | None:
        """The tests of a row: those that it brings, else those of its repository."""
        if brought is not None or self.repository is None or not row.path:
            return brought
        return self.repository.of(row.repo_name, row.path)

    def validate(self, pool: RowPool, answers: Sequence[Answers]) -> Callable[[], list[Any]]:
        """As the pool's `validate`, with what is to be run: returns what waits for the results."""
        return self.threads.submit(self._finish, pool, answers, pool.apply("judge", answers)).result

    def _finish(self, pool: RowPool, answers: Sequence[Answers], call: Callable[[], list[Any]]) -> list[Any]:
        judged = call()
        started = [None if one is CRASHED else self._start(one) for one in judged]
        tried = [
            (number, Tried(answers[number], self._verdicts(answers[number], one, futures)))
            for number, (one, futures) in enumerate(zip(judged, started, strict=True))
            if futures is not None
        ]
        results = dict(zip([n for n, _ in tried], pool.apply("choose", [one for _, one in tried])(), strict=True))
        return [results.get(number, CRASHED) for number in range(len(answers))]

    def _start(self, judged: Judged) -> Mapping[Trial, Future[Evidence]]:
        """Starts a row's trials; equal answers are tried once."""
        wanted = dict.fromkeys(trial for row in judged.trials for trial in row if trial is not None)
        return {trial: self.verifier.submit(trial) for trial in wanted}

    def _verdicts(
        self, answers: Answers, judged: Judged, futures: Mapping[Trial, Future[Evidence]]
    ) -> tuple[tuple[Accepted | RejectedTarget, ...], ...]:
        pairs = zip(answers.requests, judged.verdicts, judged.trials, strict=True)
        return tuple(
            tuple(
                verdict if trial is None else self._with(request.target, verdict, futures[trial])
                for verdict, trial in zip(verdicts, trials, strict=True)
            )
            for request, verdicts, trials in pairs
        )

    def _with(
        self, target: str, verdict: Accepted | RejectedTarget, future: Future[Evidence]
    ) -> Accepted | RejectedTarget:
        assert isinstance(verdict, Accepted), "only accepted answers are tried"
        try:
            found = future.result()
        except ConfigError:  # there can be no box any more
            raise
        except Exception as error:
            rejection = stage_error("verify", error, "the trial of an answer to %s failed", target)
            return RejectedTarget(target=target, rejection=rejection)
        if found.fault is not None:
            return RejectedTarget(target=target, rejection=Rejection("verify", *found.fault))
        return replace(
            verdict,
            columns={**verdict.columns, "checks": {**verdict.columns["checks"], **found.checks}},
            verification=json.dumps({"sandbox": self.verifier.name, "toolchain": found.toolchain}),
            outputs=found.outputs,
        )


def tests_of(table: pa.Table) -> dict[int, str]:
    """The tests that rows bring in the column `tests`, by the row's position: a text, or a list of statements."""
    if TESTS_COLUMN not in table.column_names:
        return {}
    found = {}
    for index, value in enumerate(table.column(TESTS_COLUMN).to_pylist()):
        text = "\n".join(map(str, value)) if isinstance(value, list) else value
        if isinstance(text, str) and text.strip():
            found[index] = text
    return found
