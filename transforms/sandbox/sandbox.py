"""A pool of slots that run programs, each in a box of its own.

    with Sandbox(slots=2) as sandbox:
        result = sandbox.run(program)             waits
        future = sandbox.submit(program)          or doesn't

A slot is a thread that lives as long as the pool, since a box ends with the thread that started it. Its files lie in a
folder that only it and its slot's user can read, and that is gone when the program has ended.

A command may name a compiler that stays (`servers`), and what is prepared once for many programs, such as a compiled
header: made by the first program that asks for it, in a box that sees no program, and read-only to all.
"""

from __future__ import annotations

import contextlib
import os
import queue
import shutil
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Final, Literal, Self, cast, get_args

from model.errors import ConfigError
from transforms.machine import available_cores
from transforms.sandbox.bubblewrap import PREPARED, WORK, Bubblewrap, user_of
from transforms.sandbox.program import Command, Limits, Outcome, Prepared, Program, Result
from transforms.sandbox.servers import Servers
from transforms.sandbox.supervise import run_bare, run_boxed
from transforms.spool import outer_root, scratch_folder

Isolation = Literal["bubblewrap", "none"]

_PREFIX: Final = "codemill-boxes-"
_PROBE: Final = ("/usr/bin/true",)
_NOTHING: Final = Command(_PROBE)


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
        self._servers: Servers | None = None
        self._preparing = threading.Lock()
        self._prepared: dict[Prepared, str | None] = {}
        self._open = contextlib.ExitStack()

    @property
    def name(self) -> str:
        """What programs run in, for the lineage: `bubblewrap 0.8.0` or `none`."""
        return "none" if self._box is None else self._box.version

    @property
    def served(self) -> int:
        """How many programs compilers that stay have compiled so far."""
        return 0 if self._servers is None else self._servers.answered

    def __enter__(self) -> Self:
        """Makes the slots, and a box to see that it can be done.

        Raises:
            ConfigError: There is no bubblewrap, or the host forbids what it needs.
        """
        with self._open as stack:
            self.root = stack.enter_context(scratch_folder(outer_root(), _PREFIX))
            os.chmod(self.root, 0o711)  # a slot's user must reach its own folder, whose name nobody else can list
            stack.callback(self._end_servers)
            self._threads = stack.enter_context(ThreadPoolExecutor(self._size, thread_name_prefix="sandbox"))
            self._slots: queue.SimpleQueue[int] = queue.SimpleQueue()
            for slot in range(self._size):
                self._slots.put(slot)
            if self._isolation == "bubblewrap":
                self._box = Bubblewrap.find()
                self._threads.submit(self._probe).result()
                self._servers = Servers(self._box, self.root, self._folders)
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
                compiled = self._compile(program, program.compile, work, slot)
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

    def _compile(self, program: Program, command: Command, work: str, slot: int) -> Outcome:
        if self._servers is not None and command.server is not None:
            if (outcome := self._servers.ask(command, work, slot)) is not None:
                return outcome
            if os.path.lexists(work):
                shutil.rmtree(work, onerror=_make_removable)  # whatever has become of it
            self._fill(work, program, slot)
        return self._command(command, work, slot, may_write=True)

    def _command(self, command: Command, work: str, slot: int, *, stdin: str = "", may_write: bool = False) -> Outcome:
        data = stdin.encode("utf-8", "surrogatepass")
        prepared = None if command.prepared is None else self._make(command.prepared, slot)
        if command.prepared is not None and prepared is not None:
            command = replace(command, argv=(*command.argv, *command.prepared.arguments))
        if self._box is None:
            argv = tuple(part.replace(WORK, work).replace(PREPARED, prepared or PREPARED) for part in command.argv)
            return run_bare(replace(command, argv=argv), work=work, stdin=data)
        return run_boxed(
            self._box,
            command,
            work=work,
            slot=slot,
            stdin=data,
            may_write=may_write,
            folders=self._folders,
            prepared=prepared,
        )

    def _make(self, prepared: Prepared, slot: int) -> str | None:
        """The folder of what programs share; None: it can't be made."""
        with self._preparing:
            if prepared not in self._prepared:
                folder = os.path.join(self.root, f"prepared-{len(self._prepared)}")
                self._fill(folder, Program(files=dict(prepared.files), run=_NOTHING), slot)
                made = self._command(Command(prepared.argv, prepared.limits), folder, slot, may_write=True)
                for path, _, names in os.walk(folder):
                    for one in (path, *(os.path.join(path, name) for name in names)):
                        os.chmod(one, 0o755)  # the users of all slots read it
                self._prepared[prepared] = folder if made.is_success else None
            return self._prepared[prepared]

    def _end_servers(self) -> None:
        if self._servers is not None:
            self._servers.close()

    def _probe(self) -> None:
        with self._slot() as slot, self._work(None, slot) as work:
            outcome = self._command(Command(_PROBE, Limits()), work, slot)
        if not outcome.is_success:
            raise Bubblewrap.explain(outcome.stderr)

    @contextlib.contextmanager
    def _slot(self) -> Iterator[int]:
        slot = self._slots.get()
        try:
            if self._servers is not None:
                self._servers.end_idle(slot)
            yield slot
        finally:
            self._slots.put(slot)

    @contextlib.contextmanager
    def _work(self, program: Program | None, slot: int) -> Iterator[str]:
        work = tempfile.mkdtemp(dir=self.root)
        try:
            self._fill(work, program, slot)
            yield work
        finally:
            shutil.rmtree(work, onerror=_make_removable)

    def _fill(self, work: str, program: Program | None, slot: int) -> None:
        os.makedirs(work, mode=0o700, exist_ok=True)
        for path, text in (program.files if program else {}).items():
            whole = os.path.join(work, path)
            os.makedirs(os.path.dirname(whole), exist_ok=True)
            with open(whole, "w", encoding="utf-8", errors="surrogatepass", newline="") as file:
                file.write(text)
        if (user := user_of(slot)) is not None and self._box is not None:
            _give(work, user)


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
