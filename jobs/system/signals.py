"""How a command ends by SIGINT (Ctrl-C) or SIGTERM: with one line, and nothing left behind.

    end_at_once()         from the first line of the command: prints the line and ends the process
    raise_on_signals()    from where there is something to clean up: raises an exception

An exception is no use while modules are being imported: code in C turns it into an ImportError or loses it, a callback
prints it with its traceback. There is nothing to clean up at that time either.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any, NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Terminated(KeyboardInterrupt):
    """SIGTERM."""


def end_at_once() -> None:
    """Has both signals end the process with their line, except one that the process was started to ignore."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)


def raise_on_signals() -> None:
    """Has SIGTERM raise `Terminated`, and SIGINT KeyboardInterrupt; does nothing outside of the main thread."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _terminate)
        if signal.getsignal(signal.SIGINT) is _end:
            signal.signal(signal.SIGINT, signal.default_int_handler)


@contextlib.contextmanager
def handlers_restored() -> Iterator[None]:
    """Gives both signals their present handlers back when the block ends. May be nested."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = [(number, signal.getsignal(number)) for number in SIGNALS]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


@contextlib.contextmanager
def signals_raised() -> Iterator[None]:
    """Has both signals raise exceptions while the block runs. May be nested."""
    with handlers_restored():
        raise_on_signals()
        yield


@contextlib.contextmanager
def interrupts_noted() -> Iterator[list[KeyboardInterrupt]]:
    """As `signals_raised`; the list gets what was raised, for code of others that turns exceptions into text."""
    noted: list[KeyboardInterrupt] = []

    def note(number: int, frame: Any) -> NoReturn:
        noted.append(Terminated() if number == signal.SIGTERM else KeyboardInterrupt())
        raise noted[-1]

    with handlers_restored():
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    signal.signal(number, note)
        yield noted


def how_it_ended(interrupt: KeyboardInterrupt) -> tuple[str, int]:
    """What to say of an interrupt, and its exit code: 128 and the signal's number, as shells have it."""
    number = signal.SIGTERM if isinstance(interrupt, Terminated) else signal.SIGINT
    return _word(number), 128 + number


def _word(number: int) -> str:
    return "terminated" if number == signal.SIGTERM else "interrupted"


def _terminate(number: int, frame: Any) -> NoReturn:
    raise Terminated


def _end(number: int, frame: Any) -> NoReturn:
    name = next(iter(sys.argv[1:]), "")
    prog = f"codemill {name}" if name.isascii() and name.isalpha() else "codemill"
    with contextlib.suppress(OSError):
        os.write(2, f"{prog}: {_word(number)}\n".encode())  # not through sys.stderr, which may be in use
    os._exit(128 + number)
