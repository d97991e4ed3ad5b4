"""A child process from its parent's side: started, fed lines, heard, and ended together with its descendants.

Lines of JSON go to its standard input and come back on a descriptor of their own, on which
`multiprocessing.connection.wait` can wait for several children at once; what it prints goes to our standard
error, which the progress line knows how to share. The child asks the kernel to kill it when its parent dies
(PR_SET_PDEATHSIG, which Linux ties to the *thread* that started it): start children in a thread that lives as long as
the process, such as the main thread.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from jobs.terminal.escapes import is_formatted, print_unkept, visible

CHILD_MODULE = "jobs.execution.child"
_LAST_LINES = 3  # of what a child printed, for the message about one that can't start
_PR_SET_PDEATHSIG = 1


class ChildProcess:
    """One child. Not thread-safe.

    Args:
        environment: Of the child; ours where None, with the path of the code that runs here.
        folder: The child's current folder; None: ours.
    """

    def __init__(self, environment: Mapping[str, str] | None = None, folder: str | None = None):
        read, write = os.pipe()
        self._said = os.fdopen(read, "rb", buffering=0)
        self._unread = b""  # the beginning of a line
        self._lines: deque[bytes] = deque()
        self._printed: deque[str] = deque(maxlen=_LAST_LINES)
        self.is_ready = False  # it has said so: it could start
        self.is_gone = False  # nothing more can be heard from it
        environment = dict(own_environment() if environment is None else environment)
        try:
            self._process = subprocess.Popen(
                # -P: the child imports the same code as we do, whatever is in the current folder.
                [sys.executable, "-P", "-m", CHILD_MODULE, str(write), str(os.getpid())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=[write],
                cwd=folder,
                env=environment,
                process_group=0,  # so that Ctrl-C reaches the driver alone, which ends the group
            )
        finally:
            os.close(write)
        self._is_quiet = True
        self._environment = environment
        assert self._process.stdout is not None
        self._echo = threading.Thread(
            target=self._pass_on, args=(self._process.stdout,), name="child-output", daemon=True
        )
        self._echo.start()

    def speak(self) -> None:
        """From now on, what the child prints is passed on. What a decoder prints before it aborts tells a user nothing:
        the file at fault is named."""
        self._is_quiet = False

    @property
    def last_words(self) -> str:
        """The last lines that the child printed, as one."""
        return " | ".join(filter(None, (line.strip() for line in self._printed)))

    def send(self, value: Mapping[str, Any]) -> None:
        """Sends one line. A child that has died is noticed when it is listened to."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(value).encode() + b"\n")
            self._process.stdin.flush()

    def update_environment(self, environment: Mapping[str, str] | None = None) -> None:
        """Tells the child what has changed in its environment, ours by default, since it was told last."""
        now = dict(own_environment() if environment is None else environment)
        changed: dict[str, str | None] = {
            name: value for name, value in now.items() if self._environment.get(name) != value
        }
        changed |= dict.fromkeys(self._environment.keys() - now.keys())
        if changed:
            self.send({"environment": changed})
        self._environment = now

    def end_input(self) -> None:
        """Tells the child that nothing more comes."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()

    def hear(self, timeout_s: float) -> dict[str, Any] | None:
        """The next line that the child says; None where it has died.

        Raises:
            TimeoutError: It said nothing for so long, in seconds.
        """
        deadline = time.monotonic() + timeout_s
        while (found := self._next_line()) is None:
            if self.is_gone:
                return None
            if not self._receive(max(0.0, deadline - time.monotonic())) and not self.is_gone:
                raise TimeoutError(f"nothing was heard for {timeout_s:g} s")
        return found

    def heard(self) -> Iterator[dict[str, Any]]:
        """What has arrived so far, without waiting; `is_gone` says whether more can come."""
        while self._receive(0):
            pass
        while (found := self._next_line()) is not None:
            yield found

    def fileno(self) -> int:
        """The descriptor on which the child is heard."""
        return self._said.fileno()

    @property
    def pid(self) -> int:
        """The process's id, which is that of its process group as well."""
        return self._process.pid

    def has_ended(self) -> bool:
        """Whether the process has ended."""
        return self._process.poll() is not None

    def _receive(self, timeout_s: float) -> bool:
        """Waits for data and takes it in; returns whether there was any."""
        if self.is_gone or not select.select([self._said], [], [], timeout_s)[0]:
            return False
        data = self._said.read(1 << 16)
        if not data:
            self.is_gone = True
            return False
        *whole, self._unread = (self._unread + data).split(b"\n")
        self._lines.extend(whole)
        return True

    def _next_line(self) -> dict[str, Any] | None:
        while self._lines:
            found: dict[str, Any] = json.loads(self._lines.popleft())
            if "ready" not in found:
                return found
            self.is_ready = True
        return None

    def end(self) -> str:
        """Kills the child and all that it has started; returns how it had ended: a signal's name or an exit code."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        code = self._process.wait()
        self._echo.join(timeout=5)
        return ending_of(code)

    def close(self) -> None:
        """Ends the child and closes what connects us."""
        self.end()
        self.end_input()
        self._said.close()

    def _pass_on(self, output: IO[bytes]) -> None:
        for line in output:
            # Tracebacks, logs and messages of libraries may quote names and texts from data.
            text = visible(line.decode("utf-8", "replace"))
            self._printed.append(text)
            if self._is_quiet:
                continue
            if is_formatted():
                print_unkept(text.rstrip("\n"), sys.stderr, event="worker_output")
            else:
                sys.stderr.write(text)


_ahead: deque[ChildProcess] = deque()


@contextlib.contextmanager
def started_ahead(modules: Sequence[str], count: int = 1) -> Iterator[None]:
    """Starts children that import modules while the driver imports its own; ends those that are not taken.

    A child dies with the thread that has started it: this is for the one that lives longest.

    Args:
        modules: What they import.
        count: How many; `new_child` returns the first, `next_ahead` any.
    """
    started = [ChildProcess() for _ in range(count)]
    for child in started:
        child.send({"preload": list(modules)})
    _ahead.extend(started)
    try:
        yield
    finally:
        for child in started:
            if child in _ahead:
                _ahead.remove(child)
                child.close()


def new_child() -> ChildProcess:
    """A child with our environment as it is now: one that was started ahead, if there is still one."""
    return next_ahead() or ChildProcess()


def next_ahead(environment: Mapping[str, str] | None = None) -> ChildProcess | None:
    """A child that was started ahead; None if there is none left.

    Args:
        environment: What it is to have; ours by default.
    """
    if not _ahead:
        return None
    child = _ahead.popleft()
    child.update_environment(environment)
    return child


def tell_ahead(value: Mapping[str, Any]) -> None:
    """Sends a line to all children that were started ahead and not taken yet."""
    for child in _ahead:
        child.update_environment()
        child.send(value)


def end_ahead() -> None:
    """Ends the children that were started ahead and not taken: nobody needs them any more."""
    while _ahead:
        _ahead.pop().close()


class Bell:
    """Wakes a thread that waits for children: `ring` makes `fileno` readable until it is silenced. Thread-safe."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)

    def ring(self) -> None:
        """Wakes the one that waits, now or when it waits next."""
        with contextlib.suppress(BlockingIOError):  # it rings already
            os.write(self._write, b"!")

    def silence(self) -> None:
        """Forgets all rings so far."""
        with contextlib.suppress(BlockingIOError):
            while os.read(self._read, 4096):
                pass

    def fileno(self) -> int:
        """The descriptor that is readable while it rings."""
        return self._read

    def close(self) -> None:
        """Closes the descriptors; nobody may ring or wait any more."""
        os.close(self._read)
        os.close(self._write)


def ending_of(code: int) -> str:
    """How a process with this exit code ended: the name of a signal, or the code."""
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def die_with(parent_pid: int) -> None:
    """Has the kernel kill this process when its parent dies, in whatever way. Call it before any slow import."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:  # the parent died before the call above
        os._exit(1)


def own_environment() -> dict[str, str]:
    """Our environment, with the path of the code that runs here first."""
    here = str(Path(__file__).resolve().parents[2])
    path = [here, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
