"""Runs one boxed command: reads its output, watches its deadlines and what its processes use in sum, and ends it.

The kernel limits each process by itself, so a command of many could use many times as much. Their sum is read every few
milliseconds from /proc: the box's first process and all its descendants, of which none can leave, since the first
process of a process namespace inherits orphans. Whatever happens, all are gone when `run_boxed` returns: killing the
first process of the namespace kills the others.

A deadline is of time that the command had: what it waited for a processor isn't counted (`usage`), so that a loaded
machine gives the same verdicts as an idle one, up to `_LONGEST` times the limit.

bubblewrap reports {"child-pid": ...} and {"exit-code": ...}; a box of which there is no exit code could not be made,
or was killed. It also ends with its starter: with the *thread* that started it, so slots are threads that stay.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any, Final

from model.errors import ConfigError
from transforms.sandbox.bubblewrap import PATH, Bubblewrap
from transforms.sandbox.program import MB, Command, Outcome
from transforms.sandbox.syscalls import filter_program
from transforms.sandbox.usage import Meter

_END_BYTES: Final = 4_096
_FIRST_LOOK_S: Final = 0.005
_LONGEST_LOOK_S: Final = 0.05
_GONE_S: Final = 5.0
_LONGEST: Final = 10.0  # times the deadline, by the wall clock
_CHUNK: Final = 65_536


@dataclass(slots=True)
class _Stream:
    """What a command writes: its beginning, its end, and how much there was."""

    limit: int
    keep: int
    head: bytearray = field(default_factory=bytearray)
    end: bytes = b""
    total: int = 0

    def take(self, data: bytes) -> None:
        self.total += len(data)
        self.head += data[: max(0, self.keep - len(self.head))]
        self.end = (self.end + data)[-_END_BYTES:]

    @property
    def is_over(self) -> bool:
        return self.total > self.limit

    def text(self) -> str:
        return self.head.decode("utf-8", "replace")

    def end_text(self) -> str:
        return self.end.decode("utf-8", "replace")


def run_boxed(
    box: Bubblewrap,
    wanted: Command,
    *,
    work: str,
    slot: int,
    stdin: bytes = b"",
    may_write: bool = False,
    folders: Sequence[str] = (),
    prepared: str | None = None,
) -> Outcome:
    """Runs a command in a box and returns when all its processes are gone. See `Bubblewrap.command`.

    Raises:
        ConfigError: The box could not be made.
    """
    process, status = start_boxed(
        box, wanted, work=work, slot=slot, may_write=may_write, folders=folders, prepared=prepared
    )
    with status:
        run = _Run(process, status, wanted, stdin)
        outcome = run.outcome()
    if not run.has_started and not run.was_killed:
        raise box.explain(outcome.stderr)
    return outcome


def start_boxed(
    box: Bubblewrap,
    wanted: Command,
    *,
    work: str,
    slot: int,
    may_write: bool,
    folders: Sequence[str],
    prepared: str | None = None,
) -> tuple[subprocess.Popen[bytes], IO[bytes]]:
    """Starts a command in a box; returns bubblewrap and what it reports. See `Bubblewrap.command`."""
    reading, writing = os.pipe()
    seccomp = _memory_file(filter_program())
    try:
        command = box.command(
            wanted.argv,
            work=work,
            limits=wanted.limits,
            slot=slot,
            seccomp=seccomp,
            status=writing,
            may_write=may_write,
            folders=folders,
            prepared=prepared,
        )
        process = _start(command, (writing, seccomp))
    except BaseException:
        os.close(reading)
        raise
    finally:
        os.close(writing)
        os.close(seccomp)
    return process, open(reading, "rb", buffering=0)


def run_bare(wanted: Command, *, work: str, stdin: bytes = b"") -> Outcome:
    """Runs a command with deadlines and bounded output, and without any isolation.

    Raises:
        ConfigError: There is no such command.
    """
    try:
        # The tools that a box would have, and not others of the same name that come first here.
        path = f"{PATH}:{os.environ.get('PATH', '')}"
        process = _start(wanted.argv, (), cwd=work, env={**os.environ, "PATH": path})
    except OSError as error:
        raise ConfigError(f"{wanted.argv[0]} can't be run: {error.strerror}") from error
    return _Run(process, None, wanted, stdin).outcome()


def _start(
    command: Sequence[str],
    descriptors: Sequence[int],
    cwd: str | None = None,
    env: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=descriptors,
        start_new_session=True,
        cwd=cwd,
        env=env,
    )


class _Run:
    """A command that runs. Without a `status` to read from, the process started is the first of its processes."""

    def __init__(self, process: subprocess.Popen[bytes], status: IO[bytes] | None, wanted: Command, stdin: bytes):
        self._process = process
        self._status = status
        self._limits = limits = wanted.limits
        self._stdin = memoryview(stdin)
        self._began = time.monotonic()
        self._said = bytearray()
        self._meter: Meter | None = None if status else Meter(process.pid, self._began)
        self._handle: int | None = None  # of the box's first process: a number could be another's by now
        self._exit: int | None = None
        self._killed_for = ""
        output = int(limits.output_mb * MB)
        self._stdout, self._stderr = _Stream(output, wanted.keep_bytes), _Stream(output, wanted.keep_bytes)

    @property
    def has_started(self) -> bool:
        """Whether the command itself was started, in its box."""
        return self._exit is not None

    @property
    def was_killed(self) -> bool:
        """Whether this ended it."""
        return bool(self._killed_for)

    def outcome(self) -> Outcome:
        """Follows the command to its end."""
        try:
            with selectors.DefaultSelector() as selector:
                self._follow(selector)
        finally:
            self._end()
        exit_code, name = self._how_it_ended()
        return Outcome(
            exit=exit_code,
            signal=name,
            timed_out=self._killed_for == "time" or name == "SIGXCPU",
            out_of_memory=self._killed_for == "memory",
            too_much_output=self._killed_for == "output",
            wall_s=time.monotonic() - self._began,
            stdout=self._stdout.text(),
            stderr=self._stderr.text(),
            stdout_end=self._stdout.end_text(),
        )

    def _follow(self, selector: selectors.BaseSelector) -> None:
        self._register(selector)
        look_s, looked = _FIRST_LOOK_S, self._began
        while not self.was_killed:
            for key, _ in selector.select(look_s) if selector.get_map() else self._pause(look_s):
                if not key.data():
                    selector.unregister(key.fileobj)
            now = time.monotonic()
            if now - looked >= look_s:
                look_s, looked = min(2 * look_s, _LONGEST_LOOK_S), now
                self._killed_for = self._over(now)
            if self._stdout.is_over or self._stderr.is_over:
                self._killed_for = "output"
            if self._process.poll() is not None:
                # What it wrote last may still be in the pipes; nobody holds their other ends any more.
                self._drain()
                return

    def _pause(self, look_s: float) -> tuple[()]:
        """Waits for a command that has closed its output."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(look_s)
        return ()

    def _register(self, selector: selectors.BaseSelector) -> None:
        for pipe, stream in ((self._process.stdout, self._stdout), (self._process.stderr, self._stderr)):
            assert pipe is not None
            os.set_blocking(pipe.fileno(), False)
            selector.register(pipe, selectors.EVENT_READ, _reader(pipe, stream.take))
        if self._status is not None:
            os.set_blocking(self._status.fileno(), False)
            selector.register(self._status, selectors.EVENT_READ, _reader(self._status, self._hear))
        assert self._process.stdin is not None
        os.set_blocking(self._process.stdin.fileno(), False)
        selector.register(self._process.stdin, selectors.EVENT_WRITE, self._write)

    def _write(self) -> bool:
        pipe = self._process.stdin
        assert pipe is not None
        is_read = True
        try:
            while self._stdin:
                self._stdin = self._stdin[os.write(pipe.fileno(), self._stdin[:_CHUNK]) :]
        except BlockingIOError:
            pass
        except BrokenPipeError:
            is_read = False
        if not self._stdin or not is_read or self._process.poll() is not None:
            pipe.close()
            return False
        return True

    def _hear(self, data: bytes) -> None:
        self._said += data
        for line in bytes(self._said).split(b"\n"):
            with contextlib.suppress(ValueError):
                said: dict[str, Any] = json.loads(line)
                self._exit = said.get("exit-code", self._exit)
                if self._meter is None and (first := said.get("child-pid")) is not None:
                    self._began = time.monotonic()  # making the box isn't its time
                    # From bubblewrap down: what makes the box may wait for a processor, too.
                    self._meter = Meter(self._process.pid, self._began)
                    with contextlib.suppress(ProcessLookupError):
                        self._handle = os.pidfd_open(first)

    def _over(self, now: float) -> str:
        """What it has used too much of, if anything."""
        limits = self._limits
        if now - self._began > _LONGEST * limits.wall_s:
            return "time"
        if self._meter is None:
            return ""
        used = self._meter.look(now)
        if max(used.cpu_s, now - self._began - used.waited_s) > limits.wall_s:
            return "time"
        most = limits.memory_mb * MB
        return "memory" if used.memory > most and self._meter.exact_memory() > most else ""

    def _drain(self) -> None:
        for pipe, take in (
            (self._process.stdout, self._stdout.take),
            (self._process.stderr, self._stderr.take),
            (self._status, self._hear),
        ):
            if pipe is not None:
                _reader(pipe, take)()

    def _end(self) -> None:
        """Kills what is left, waits until it is gone, and closes the pipes."""
        if self._handle is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)
            os.close(self._handle)
        if self._status is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            # bubblewrap ends by itself once the box's first process has.
            self._process.wait(0.2 if self._status is not None else _GONE_S)
        self._process.kill()
        self._process.wait(_GONE_S)
        if self._status is not None:
            _reader(self._status, self._hear)()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            assert pipe is not None
            with contextlib.suppress(OSError):
                pipe.close()

    def _how_it_ended(self) -> tuple[int | None, str | None]:
        if self.was_killed:
            return None, None
        code = self._process.returncode if self._status is None else self._exit
        if code is None:
            return None, None
        number = -code if code < 0 else code - 128
        if 0 < number < signal.NSIG and (code < 0 or self._status is not None):
            with contextlib.suppress(ValueError):
                return None, signal.Signals(number).name
        return code, None


def _reader(pipe: IO[bytes], take: Callable[[bytes], None]) -> Callable[[], bool]:
    """Returns a function that reads what there is, and says whether more may come."""

    def read() -> bool:
        with contextlib.suppress(BlockingIOError):
            # A bounded number of reads, so that a writer without end can't hold up the deadlines.
            for _ in range(16):
                if not (data := os.read(pipe.fileno(), _CHUNK)):
                    return False
                take(data)
        return True

    return read


def _memory_file(data: bytes) -> int:
    descriptor = os.memfd_create("seccomp")
    os.write(descriptor, data)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
