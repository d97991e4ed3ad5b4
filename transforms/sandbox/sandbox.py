"""A pool of slots that run programs, each in a box of its own.

    with Sandbox(slots=2) as sandbox:
        result = sandbox.run(program)             waits
        future = sandbox.submit(program)          or doesn't

A slot is a thread that lives as long as the pool, since a box ends with the thread that started it. Its files lie in a
folder that only it and its slot's user can read, and that is gone when the program has ended.
"""

from __future__ import annotations

import contextlib
import os
import queue
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Final, Literal, Self, cast, get_args

from model.errors import ConfigError
from transforms.machine import available_cores
from transforms.sandbox.bubblewrap import WORK, Bubblewrap, user_of
from transforms.sandbox.program import Command, Limits, Outcome, Program, Result
from transforms.sandbox.supervise import run_bare, run_boxed
from transforms.spool import outer_root, scratch_folder

Isolation = Literal["bubblewrap", "none"]

_PREFIX: Final = "codemill-boxes-"
_PROBE: Final = ("/usr/bin/true",)


class Sandbox:
    """Runs programs, several at a time.

    Args:
        slots: Programs at a time; None: one per core.
        isolation: What they run in. With "none" a program may do whatever this process may; only time and output are
            bounded.
        folders: Folders outside of /usr that toolchains need, read-only.
    """

    def __init__(self, *, slots: int | None = None, isolation: Isolation = "bubblewrap", folders: tuple[str, ...] = ()):
        self._size = slots or available_cores()
        self._isolation = isolation
        self._folders = folders
        self._box: Bubblewrap | None = None
        self._open = contextlib.ExitStack()

    @property
    def name(self) -> str:
        """What programs run in, for the lineage: `bubblewrap 0.8.0` or `none`."""
        return "none" if self._box is None else self._box.version

    def __enter__(self) -> Self:
        """Makes the slots, and a box to see that it can be done.

        Raises:
            ConfigError: There is no bubblewrap, or the host forbids what it needs.
        """
        with self._open as stack:
            self.root = stack.enter_context(scratch_folder(outer_root(), _PREFIX))
            os.chmod(self.root, 0o711)  # a slot's user must reach its own folder, whose name nobody else can list
            self._threads = stack.enter_context(ThreadPoolExecutor(self._size, thread_name_prefix="sandbox"))
            self._slots: queue.SimpleQueue[int] = queue.SimpleQueue()
            for slot in range(self._size):
                self._slots.put(slot)
            if self._isolation == "bubblewrap":
                self._box = Bubblewrap.find()
                self._threads.submit(self._probe).result()
            self._open = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Waits for the programs that run, and removes what they have left."""
        self._open.close()

    def run(self, program: Program) -> Result:
        """Runs a program and returns what became of it. Raises ConfigError if there can be no box."""
        return self.submit(program).result()

    def submit(self, program: Program) -> Future[Result]:
        """Runs a program when a slot is free."""
        return self._threads.submit(self._run, program)

    def _run(self, program: Program) -> Result:
        with self._slot() as slot, self._work(program, slot) as work:
            compiled: Outcome | None = None
            if program.compile is not None:
                compiled = self._command(program.compile, work, slot, may_write=True)
                if not compiled.is_success:
                    return Result(compiled=False, last=compiled, compile_s=compiled.wall_s)
                for path in program.files:  # what was compiled need not be read again, and may not be
                    _remove(work, path)
            last = self._command(program.run, work, slot, stdin=program.stdin)
            return Result(
                compiled=None if compiled is None else True,
                last=last,
                compile_s=0.0 if compiled is None else compiled.wall_s,
            )

    def _command(self, command: Command, work: str, slot: int, *, stdin: str = "", may_write: bool = False) -> Outcome:
        data = stdin.encode("utf-8", "surrogatepass")
        if self._box is None:
            argv = tuple(part.replace(WORK, work) for part in command.argv)
            return run_bare(replace(command, argv=argv), work=work, stdin=data)
        return run_boxed(
            self._box,
            command,
            work=work,
            slot=slot,
            stdin=data,
            may_write=may_write,
            folders=self._folders,
        )

    def _probe(self) -> None:
        with self._slot() as slot, self._work(None, slot) as work:
            outcome = self._command(Command(_PROBE, Limits()), work, slot)
        if not outcome.is_success:
            raise Bubblewrap.explain(outcome.stderr)

    @contextlib.contextmanager
    def _slot(self) -> Iterator[int]:
        slot = self._slots.get()
        try:
            yield slot
        finally:
            self._slots.put(slot)

    @contextlib.contextmanager
    def _work(self, program: Program | None, slot: int) -> Iterator[str]:
        work = tempfile.mkdtemp(dir=self.root)
        try:
            for path, text in (program.files if program else {}).items():
                whole = os.path.join(work, path)
                os.makedirs(os.path.dirname(whole), exist_ok=True)
                with open(whole, "w", encoding="utf-8", errors="surrogatepass", newline="") as file:
                    file.write(text)
            if (user := user_of(slot)) is not None and self._box is not None:
                _give(work, user)
            yield work
        finally:
            shutil.rmtree(work, onerror=_make_removable)


def _give(folder: str, user: int) -> None:
    for path, folders, files in os.walk(folder):
        for name in (*folders, *files):
            os.chown(os.path.join(path, name), user, user, follow_symlinks=False)
    os.chown(folder, user, user)


def _remove(work: str, path: str) -> None:
    """Removes a file of the work folder, if it is still there: a compiler may have put a link in a folder's place."""
    *folders, name = path.split("/")
    descriptor = os.open(work, os.O_DIRECTORY)
    try:
        for folder in folders:
            inner = os.open(folder, os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        os.unlink(name, dir_fd=descriptor)
    except OSError:
        pass  # gone, a link, or a folder now: no source that could be read
    finally:
        os.close(descriptor)


def _make_removable(remove: object, path: str, _: object) -> None:
    """A compiler may leave folders without permissions; `rmtree` calls this for them."""
    os.chmod(os.path.dirname(path), 0o700)
    if os.path.isdir(path) and not os.path.islink(path):
        os.chmod(path, 0o700)
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def isolation_named(name: str) -> Isolation:
    """Checks a setting. Raises ConfigError if there is no such isolation."""
    if name in get_args(Isolation):
        return cast(Isolation, name)
    raise ConfigError(f"--sandbox is {name}; it can be bubblewrap or none")
