"""Runs what a user's template, pattern or schema asks for in a child process with limits of time and memory.

    parent                                                         child (`transforms.bounded_child`)
    {"call": "templates.render", "arguments": [...], "cpu_s": 1} ->
                                                                <- {"value": "..."} or {"error": [reason, detail]}

Such programs can't be bounded from outside in the same process: one `"a" * 10**10` is one call in C, and a regular
expression doesn't stop for another thread. The child limits its own memory (RLIMIT_AS) and gets a signal when it has
computed for too long. The limits are in *processor* seconds, so that a busy machine rejects nothing that a quiet one
accepts; wall time ends only a child that doesn't compute at all. (Steps would be the same on every machine, but neither
`re` nor Jinja counts any.) A child that dies is replaced at the next call.

A file may have ten thousand targets, and each answer several checks: all calls for one row have a limit together, too.

There is one child per process, started at the first call: what is evidently cheap never comes here (`is_plain` of
`tasks.templates`, `tasks.patterns` and `tasks.schemas`). Cost: 0.2 s for the start, then 0.1 ms a call.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from typing import Any, Final

from model.errors import ConfigError, RecordError

_MODULE: Final = "transforms.bounded_child"
CHECK_CPU_S: Final = 5.0
"""Processor seconds for checking one template, pattern, schema or rule file, before a job starts."""
ROW_CPU_S: Final = 1.0
"""Processor seconds for one prompt, or one check of one answer."""
ROW_TOTAL_CPU_S: Final = 30.0
"""Processor seconds for all prompts of one row, and for all checks of its answers."""
MEMORY_MB: Final = 1024
_WALL_PER_CPU: Final = 20  # how long a child may be without any processor time, in units of its limit
_REPLY_BYTES: Final = 1 << 30


class LimitExceeded(Exception):
    """The call needed more time or memory than it may; the message says of what, without naming the caller's input."""


class _Child:
    def __init__(self) -> None:
        here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        path = os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])])
        self._process = subprocess.Popen(
            # -P: the child imports the same code as we do, whatever is in the current folder.
            [sys.executable, "-P", "-m", _MODULE, str(MEMORY_MB)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": path},
            process_group=0,  # Ctrl-C is for the driver; this one ends with its standard input
        )

    def ask(self, request: bytes, cpu_s: float) -> dict[str, Any]:
        """One call. Raises LimitExceeded; the child can't be used afterwards."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(request + b"\n")
            self._process.stdin.flush()
        reply = bytearray()
        began = before = self._computed_s()
        while not reply.endswith(b"\n"):
            ready = select.select([self._process.stdout], [], [], cpu_s * _WALL_PER_CPU)[0]
            if not ready and (now := self._computed_s()) != before:
                if now - began > 2 * cpu_s + 1:  # the signal that should have ended it did not
                    self.close()
                    raise LimitExceeded(f"it took more than {cpu_s:g} s of processor time")
                before = now
                continue  # it computes, however slowly
            data = os.read(self._process.stdout.fileno(), 1 << 20) if ready else b""
            if not data or len(reply) > _REPLY_BYTES:
                raise LimitExceeded(self._how_it_ended(cpu_s, is_late=not ready))
            reply += data
        found: dict[str, Any] = json.loads(reply)
        return found

    def _computed_s(self) -> float:
        """The processor time that the child has had so far; 0 where it can't be told."""
        try:
            with open(f"/proc/{self._process.pid}/stat", "rb") as file:
                used = file.read().rpartition(b")")[2].split()[11:13]  # utime, stime (proc(5), fields 14 and 15)
        except OSError:
            return 0.0
        return sum(map(int, used)) / os.sysconf("SC_CLK_TCK")

    def _how_it_ended(self, cpu_s: float, is_late: bool) -> str:
        self.close()
        code = self._process.returncode
        if is_late:
            return f"it did nothing for {cpu_s * _WALL_PER_CPU:g} s"
        if code == -signal.SIGPROF:
            return f"it took more than {cpu_s:g} s of processor time"
        if code == -signal.SIGKILL:
            return "its process was killed, possibly because memory ran out"
        return f"it made its process end ({signal.Signals(-code).name if code < 0 else f'exit code {code}'})"

    def close(self) -> None:
        """Kills the child if it hasn't ended by itself."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(0.2)
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                assert pipe is not None
                pipe.close()


_lock = threading.Lock()
_child: _Child | None = None


# What is left of `ROW_TOTAL_CPU_S`; None outside of `for_one_row`.
_left_s: ContextVar[float | None] = ContextVar("_left_s", default=None)


@contextlib.contextmanager
def for_one_row() -> Iterator[None]:
    """Bounds all `call_for_row` in the block together, by `ROW_TOTAL_CPU_S`. Also a decorator."""
    token = _left_s.set(ROW_TOTAL_CPU_S)
    try:
        yield
    finally:
        _left_s.reset(token)


def _spend(cpu_s: float) -> None:
    if (left := _left_s.get()) is not None:
        _left_s.set(left - cpu_s)


def call_for_row(function: str, *arguments: Any) -> Any:
    """`call` for a prompt or an answer: within `ROW_CPU_S`, and what is left of the row's time (`for_one_row`)."""
    left = _left_s.get()
    if left is None or left >= ROW_CPU_S:
        return call(function, arguments, cpu_s=ROW_CPU_S)
    together = f"all of the row together took more than {ROW_TOTAL_CPU_S:g} s of processor time"
    if left <= 0:
        raise LimitExceeded(together)
    try:
        return call(function, arguments, cpu_s=left)
    except LimitExceeded:
        raise LimitExceeded(together) from None


def check(where: str, did: str, function: str, *arguments: Any) -> None:
    """Has the child check what a user wrote, within `CHECK_CPU_S`.

    Args:
        where: Its key, for messages; the function's first argument.
        did: What the check does, for a message: `compiled`.
        function: A function of the child that returns a fault or None.
        arguments: Its further arguments.

    Raises:
        ConfigError: The function's fault, or that it exceeds the limits.
    """
    try:
        fault = call(function, (where, *arguments), cpu_s=CHECK_CPU_S)
    except LimitExceeded as error:
        fault = f"{where} was {did}, but {error}; simplify it"
    if fault:
        raise ConfigError(fault)


def judge(where: str, did: str, function: str, *arguments: Any) -> bool:
    """Has the child apply a user's check to an answer, within the row's limits.

    Args:
        where: The check's key, for messages.
        did: What is done, for a message: `matched against the answer`.
        function: A function of the child that returns a verdict.
        arguments: Its arguments.

    Raises:
        RecordError: `check_timed_out`: it exceeds the limits; or what the function raises.
    """
    try:
        return bool(call_for_row(function, *arguments))
    except LimitExceeded as error:
        raise RecordError("check_timed_out", f"{where} was {did}, but {error}") from None


def call(function: str, arguments: Sequence[Any], *, cpu_s: float) -> Any:
    """Calls one of the functions that the child knows, within the limits. Thread-safe; calls run one at a time.

    Args:
        function: A key of `bounded_child.FUNCTIONS`.
        arguments: Values that JSON has.
        cpu_s: Limit in processor seconds.

    Returns:
        The function's value.

    Raises:
        LimitExceeded: It took more time or memory, or its process died.
        RecordError: What the function raised.
    """
    global _child
    # ASCII only: a text of data may contain lone surrogates.
    request = json.dumps({"call": function, "arguments": list(arguments), "cpu_s": cpu_s}).encode()
    with _lock:
        child = _child or _Child()
        _child = None
        try:
            reply = child.ask(request, cpu_s)
        except BaseException:  # Ctrl-C in the middle of a reply, too: the next call must not read this one's
            child.close()
            _spend(cpu_s)
            raise
        _child = child
        _spend(reply["cpu_s"])
    if "limit" in reply:
        raise LimitExceeded(reply["limit"])
    if "error" in reply:
        raise RecordError(*reply["error"])
    return reply["value"]
