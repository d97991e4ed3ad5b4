"""Runs trials in the sandbox, several at a time, in threads beside the engine: it never waits for a program.

    with Verifier(slots=2) as verifier:
        evidence = verifier.submit(trial).result()

A thread of the verifier follows one trial through its programs; a thread of the sandbox follows one program.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import Any, Final, Self, TypeVar

from transforms.evaluation.judge import Judge
from transforms.evaluation.problems import Problem, Verdict
from transforms.sandbox.program import Command, Limits, Outcome, Program, Result
from transforms.sandbox.sandbox import Isolation, Sandbox
from transforms.sandbox.toolchains import Toolchain, toolchains
from transforms.verification.compilers import Compiler, compilers
from transforms.verification.evidence import Evidence
from transforms.verification.trials import Trial

_MOST_KEPT: Final = 256  # outcomes, verdicts and results of calls
_VERSION_LIMITS: Final = Limits(wall_s=20.0, processes=128)

T = TypeVar("T")


class Verifier:
    """Runs trials.

    Args:
        slots: Programs at a time.
        isolation: What they run in.
    """

    def __init__(self, *, slots: int, isolation: Isolation = "bubblewrap"):
        self._slots = slots
        self._isolation = isolation
        self._known = toolchains()
        self._lock = threading.Lock()
        self._compilers = compilers()
        self._kept: dict[bytes, Any] = {}
        self._versions: dict[str, str] = {}
        self._done = 0
        self._is_closing = False
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Self:
        """Makes the sandbox. Raises ConfigError if there can be none."""
        folders = tuple({folder for one in self._known.values() if not one.missing for folder in one.folders})
        with self._open as stack:
            self._sandbox = stack.enter_context(Sandbox(slots=self._slots, isolation=self._isolation, folders=folders))
            self._threads = stack.enter_context(ThreadPoolExecutor(self._slots, thread_name_prefix="verifier"))
            self._open = stack.pop_all()
        self._judge = Judge(self._sandbox, self._known)
        return self

    def __exit__(self, *_: object) -> None:
        """Drops the trials that wait, and waits for the programs that run, but for none after them."""
        self._is_closing = True
        self._threads.shutdown(cancel_futures=True)
        self._open.close()

    @property
    def name(self) -> str:
        """What programs run in, for the lineage."""
        return self._sandbox.name

    @property
    def programs_done(self) -> int:
        """How many programs have ended."""
        return self._done

    def submit(self, trial: Trial) -> Future[Evidence]:
        """Runs a trial when there is room."""
        return self._threads.submit(trial.run, self)

    def judge(self, problem: Problem, answer: str) -> Verdict:
        """Tries an answer and waits."""
        self._check_open()
        verdict = self._judge.judge(problem, answer)
        self._count()
        return verdict

    def run(self, program: Program) -> Result:
        """Runs a program and waits."""
        self._check_open()
        result = self._sandbox.run(program)
        self._count()
        return result

    def compile(self, language: str, text: str) -> Outcome | None:
        """Compiles a text and waits; None: there is no compiler. Many answers stand in the same file."""
        compiler = self._compilers.get(language)
        if compiler is None or compiler.missing:
            return None
        return self.once(("compile", language, text), lambda: self.run(compiler.program(text)).last)

    def once(self, key: object, find: Callable[[], T]) -> T:
        """What `find` returns, or returned lately for a key of the same repr."""
        digest = hashlib.sha256(repr(key).encode()).digest()  # not the key itself, which holds whole files
        with self._lock:
            if digest in self._kept:
                found: T = self._kept[digest]
                return found
        found = find()
        with self._lock:
            if len(self._kept) >= _MOST_KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[digest] = found
        return found

    def version(self, language: str) -> str:
        """What a language's tools call themselves, or what is missing."""
        found: Toolchain | Compiler | None = self._known.get(language) or self._compilers.get(language)
        if found is None:
            return f"no toolchain for {language or 'this language'}"
        if found.missing:
            return f"missing: {', '.join(found.missing)}"
        with self._lock:
            if (known := self._versions.get(language)) is not None:
                return known
        said = self._sandbox.run(Program(files={}, run=Command(found.version, _VERSION_LIMITS))).last
        lines = (said.stdout or said.stderr).strip().splitlines()
        with self._lock:
            return self._versions.setdefault(language, lines[0] if lines else language)

    def _check_open(self) -> None:
        """Ends a trial between two of its programs, if the verifier is closed meanwhile."""
        if self._is_closing:
            raise CancelledError("the verifier was closed")

    def _count(self) -> None:
        with self._lock:
            self._done += 1
