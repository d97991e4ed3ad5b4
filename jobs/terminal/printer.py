"""Prints data in a child process, so that a file that crashes its reader ends the command with one line.

    parent                                          child, `python -m MODULE ANSWERS_FD PARENT_PID ORDER`
    waits                                           reads and prints to the same standard output
                                                 <- {"reading": file} before each file
                                                 <- {"code": 0}, {"error": line} or another outcome, at the end

The child's standard error is held back until it ends: what C++ code prints when it aborts would bury the line that
names the file. Cost: the start of an interpreter, about 0.05 s, since only the child imports what reads and prints.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any

from jobs.system.child_process import ending_of, own_environment
from jobs.terminal.escapes import print_text
from model.errors import ConfigError

_MAX_HELD_BYTES = 1 << 16  # of the child's standard error

Mark = Callable[[str], None]  # tells which file is read from now on


# --- the parent --------------------------------------------------------------------------------------


def print_in_child(module: str, order: Mapping[str, Any]) -> int:
    """Runs a module that calls `answer` in a child; returns the exit code.

    Call it in the main thread: the child ends with the thread that started it.

    Args:
        module: The module, as `python -m` takes it.
        order: What it is to print; JSON values.

    Raises:
        ConfigError: The child raised it, or died of a file.
        BrokenPipeError: Nobody reads standard output any more.
    """
    sys.stdout.flush()
    read, write = os.pipe()
    with os.fdopen(read, "rb") as answers:
        try:
            child = subprocess.Popen(
                [sys.executable, "-P", "-m", module, str(write), str(os.getpid()), json.dumps(order)],
                stdin=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=[write],
                env=own_environment(),
            )
        finally:
            os.close(write)
        assert child.stderr is not None
        held = bytearray()
        holder = threading.Thread(target=_hold, args=(child.stderr, held), name="child-errors", daemon=True)
        holder.start()
        try:
            reading, outcome = _follow(answers)
            code = child.wait()
        finally:
            child.kill()  # after Ctrl-C; does nothing to one that has ended
            child.wait()
            holder.join(timeout=5)
    return _conclude(reading, outcome, code, held.decode("utf-8", "replace"))


def _hold(errors: IO[bytes], held: bytearray) -> None:
    for line in errors:
        held += line
        del held[:-_MAX_HELD_BYTES]


def _follow(answers: IO[bytes]) -> tuple[str | None, dict[str, Any]]:
    """Listens until the child ends: the file that it read last, and its outcome, which is empty if it died."""
    reading = None
    for line in answers:
        with contextlib.suppress(ValueError):  # it died within the line
            answer = json.loads(line)
            if "reading" not in answer:
                return reading, answer
            reading = answer["reading"]
    return reading, {}


def _conclude(reading: str | None, outcome: Mapping[str, Any], code: int, errors: str) -> int:
    if "error" in outcome:
        raise ConfigError(outcome["error"])
    if outcome.get("reader_gone"):
        raise BrokenPipeError
    if not outcome and reading is not None:
        raise ConfigError(
            f"{reading} killed the process that read it ({ending_of(code)}): the file is damaged, or memory ran out"
        )
    print_text(errors, sys.stderr)
    if not outcome:
        print_text(f"the process that prints has died ({ending_of(code)})", sys.stderr)
    return int(outcome.get("code", 1))


# --- the child ---------------------------------------------------------------------------------------


def answer(argv: Sequence[str], print_order: Callable[[Mapping[str, Any], Mark], int]) -> None:
    """Carries out the order and ends the process; the child's `main`.

    Args:
        argv: The words after the module's name.
        print_order: Prints what was ordered, and calls the second argument with each file that it reads, before.
    """
    answers_fd, order = int(argv[0]), json.loads(argv[2])

    def tell(value: Mapping[str, Any]) -> None:
        os.write(answers_fd, json.dumps(value).encode() + b"\n")

    try:
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
        code = print_order(order, lambda file: tell({"reading": file}))
        sys.stdout.flush()
        tell({"code": code})
    except ConfigError as error:
        with contextlib.suppress(BrokenPipeError):
            sys.stdout.flush()
        tell({"error": str(error)})
    except BrokenPipeError:
        tell({"reader_gone": True})
    except Exception:
        traceback.print_exc()
        sys.stderr.flush()
        tell({"code": 1})
    os._exit(0)  # nothing is left to do, and a pipe without a reader would be flushed again
