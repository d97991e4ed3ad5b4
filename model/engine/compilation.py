"""Programs compiled on first use and counted, and calls into JAX that tell when a device lacks memory.

A program that is surely needed soon may be compiled ahead, beside other work. Of programs that do the same for
different lengths, a longer one that exists is used until that has cost as much time as compiling the shorter one: so a
small job compiles few, and no job loses more by waiting than it would have by compiling at once.
"""

from __future__ import annotations

import logging
import math
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import jax

from model.engine.abstract_device import OutOfMemory
from model.engine.programs.compiled import EnginePrograms, ProgramKey

_log = logging.getLogger(__name__)


class CompiledPrograms:
    """The compiled programs of one device. Not thread-safe: each thread that runs programs has its own.

    Attributes:
        count: Number of programs compiled.
        seconds: Time of those for which requests waited.
        last_s: Time of the last one of each kind.
        began: When the one that is being compiled was begun, by `time.perf_counter`; None if none is.
    """

    def __init__(self) -> None:
        self._compiled: dict[ProgramKey, Callable[..., Any]] = {}
        self._ahead: dict[ProgramKey, Future[tuple[Callable[..., Any], float]]] = {}
        self._lost_s: defaultdict[ProgramKey, float] = defaultdict(float)
        self.count = 0
        self.seconds = 0.0
        self.last_s: dict[str, float] = {}
        self.began: float | None = None

    def __contains__(self, key: ProgramKey) -> bool:
        return key in self._compiled

    def has_kind(self, kind: str) -> bool:
        """Whether any program of a kind is compiled, or begun ahead."""
        return any(key[0] == kind for key in (*self._compiled, *self._ahead))

    def exists(self, key: ProgramKey) -> bool:
        """Whether a program is compiled, or begun ahead."""
        return key in self._compiled or key in self._ahead

    def begin(self, programs: EnginePrograms, key: ProgramKey) -> None:
        """Compiles a program in a thread of its own, for a `get` that follows."""
        if self.exists(key):
            return
        pool = ThreadPoolExecutor(1, thread_name_prefix="compile-ahead")
        self._ahead[key] = pool.submit(_compile, programs, key)
        pool.shutdown(wait=False)

    def choose(self, keys: Sequence[ProgramKey], lost_s: Callable[[ProgramKey], float]) -> ProgramKey:
        """The program to use now, of those that do: the first one, or the first of the longer ones that exists.

        Args:
            keys: The program that fits, then longer ones, ascending.
            lost_s: How many seconds a longer one takes more.
        """
        fitting, *longer = keys
        if self.exists(fitting):
            return fitting
        found = next(filter(self.exists, longer), None)
        if found is None:
            return fitting
        self._lost_s[fitting] += lost_s(found)
        return fitting if self._lost_s[fitting] > self.last_s.get(fitting[0], math.inf) else found

    def get(self, programs: EnginePrograms, key: ProgramKey) -> Callable[..., Any]:
        """The program of a key, compiled on first use. Called for every request, so it does no other work if the
        program exists.
        """
        program = self._compiled.get(key)
        if program is None:
            began = self.began = time.perf_counter()
            try:
                ahead = self._ahead.pop(key, None)
                program, self.last_s[key[0]] = _compile(programs, key) if ahead is None else ahead.result()
                self._compiled[key] = program
            finally:
                self.began = None
            self.count += 1
            _log.info("compiled %s: %.2f s", key, self.last_s[key[0]])
            self.seconds += time.perf_counter() - began
        return program

    @property
    def compiling_s(self) -> float:
        """Seconds for which a program is being compiled already; 0 if none is. May be read in any thread."""
        began = self.began
        return 0.0 if began is None else time.perf_counter() - began

    def keep_only(self, kind: str) -> None:
        """Forgets all programs of other kinds."""
        self._compiled = {key: program for key, program in self._compiled.items() if key[0] == kind}
        self._ahead.clear()


def _compile(programs: EnginePrograms, key: ProgramKey) -> tuple[Callable[..., Any], float]:
    """A compiled program, and how many seconds that took."""
    began = time.perf_counter()
    program = on_device(programs.program(key).lower().compile)
    return program, time.perf_counter() - began


def on_device(function: Callable[..., Any], *args: Any) -> Any:
    """Calls into JAX; raises OutOfMemory if the device lacks memory."""
    try:
        return function(*args)
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" in str(error):
            raise OutOfMemory(str(error).splitlines()[0]) from error
        raise
