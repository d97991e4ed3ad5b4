"""Programs compiled on first use and counted, and calls into JAX that tell when a device lacks memory."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import jax

from model.engine.abstract_device import OutOfMemory
from model.engine.programs.compiled import EnginePrograms, ProgramKey


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
        self.count = 0
        self.seconds = 0.0
        self.last_s: dict[str, float] = {}
        self.began: float | None = None

    def __contains__(self, key: ProgramKey) -> bool:
        return key in self._compiled

    def has_kind(self, kind: str) -> bool:
        """Whether any program of a kind is compiled."""
        return any(key[0] == kind for key in self._compiled)

    def get(self, programs: EnginePrograms, key: ProgramKey) -> Callable[..., Any]:
        """The program of a key, compiled on first use. Called for every request, so it does no other work if the
        program exists.
        """
        program = self._compiled.get(key)
        if program is None:
            began = self.began = time.perf_counter()
            try:
                program = self._compiled[key] = on_device(programs.program(key).lower().compile)
            finally:
                self.began = None
            self.count += 1
            self.last_s[key[0]] = time.perf_counter() - began
            self.seconds += self.last_s[key[0]]
        return program

    @property
    def compiling_s(self) -> float:
        """Seconds for which a program is being compiled already; 0 if none is. May be read in any thread."""
        began = self.began
        return 0.0 if began is None else time.perf_counter() - began

    def keep_only(self, kind: str) -> None:
        """Forgets all programs of other kinds."""
        self._compiled = {key: program for key, program in self._compiled.items() if key[0] == kind}


def on_device(function: Callable[..., Any], *args: Any) -> Any:
    """Calls into JAX; raises OutOfMemory if the device lacks memory."""
    try:
        return function(*args)
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" in str(error):
            raise OutOfMemory(str(error).splitlines()[0]) from error
        raise
