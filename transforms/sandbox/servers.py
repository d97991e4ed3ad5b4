"""Compilers that stay, one a slot: a program's files are moved into the compiler's box, compiled, and moved back.

A compiler that starts anew for each program spends most of its time on its own start (Kotlin's: nine tenths). One that
stays has compiled other programs before, and nothing of them may show:

- It only compiles: no program's code runs in its box, which has no other program's files either.
- Only an ordinary answer counts: that it compiles, or what is wrong with it. Whatever else a program does to its
  compiler (it crashes, hangs, runs out of memory, finds a fault in itself), the compiler is ended, and the program is
  compiled by itself in a new box, as if there were no server. So no limit is met but by a program's own doing.
- A compiler is replaced after `_MOST_ASKED` programs, and ended when its slot has had no work for it for a while.
"""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Final

from transforms.sandbox.bubblewrap import Bubblewrap
from transforms.sandbox.program import MB, Command, Outcome, Server
from transforms.sandbox.supervise import start_boxed
from transforms.sandbox.usage import Meter

PROGRAM: Final = "program"  # the folder of a server's box that a program's files lie in
_MOST_ASKED: Final = 200
_IDLE_S: Final = 60.0
_LOOK_S: Final = 0.05
_GONE_S: Final = 5.0
_LONGEST: Final = 10.0  # times the limit, by the wall clock
_LINE: Final = re.compile(rb"(\d+) (\d+)\n")
# What a compiler says of itself and not of the program.
_OWN_FAULT: Final = re.compile(r"^(?:exception|error: .*\bException\b)|internal (?:compiler )?error", re.M | re.I)


class Servers:
    """The servers of a sandbox, each used by the thread that has its slot.

    Args:
        box: What they run in.
        root: The folder in which theirs are made.
        folders: Folders outside of /usr that toolchains need.
    """

    def __init__(self, box: Bubblewrap, root: str, folders: Sequence[str]):
        self._box = box
        self._root = root
        self._folders = folders
        self._of_slot: dict[int, _Serving] = {}
        # A box ends with the thread that started it, and the slots' threads end before the servers.
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="servers")
        self.answered = 0

    def ask(self, wanted: Command, work: str, slot: int) -> Outcome | None:
        """Has a program compiled; None: it must be compiled by itself, from its files as they were.

        Args:
            wanted: The command that the server stands for.
            work: The program's folder, in which the server leaves what it makes.
            slot: The slot's number.
        """
        assert wanted.server is not None
        serving = self._of_slot.get(slot)
        if serving is None or serving.server != wanted.server or serving.asked >= _MOST_ASKED:
            self._end(slot)
            made = self._starter.submit(_Serving, self._box, wanted.server, self._root, slot, self._folders)
            serving = self._of_slot[slot] = made.result()
        outcome = serving.ask(wanted, work)
        if outcome is None:
            self._end(slot)
        else:
            self.answered += 1
        return outcome

    def end_idle(self, slot: int) -> None:
        """Ends a slot's server that has had nothing to do for a while, since it holds memory."""
        serving = self._of_slot.get(slot)
        if serving is not None and time.monotonic() - serving.used > _IDLE_S:
            self._end(slot)

    def close(self) -> None:
        """Ends all servers."""
        for slot in list(self._of_slot):
            self._end(slot)
        self._starter.shutdown()

    def _end(self, slot: int) -> None:
        if (serving := self._of_slot.pop(slot, None)) is not None:
            serving.close()


class _Serving:
    """A server in its box."""

    def __init__(self, box: Bubblewrap, server: Server, root: str, slot: int, folders: Sequence[str]):
        self.server = server
        self.asked = 0
        self.used = time.monotonic()
        self._work = tempfile.mkdtemp(dir=root)
        for name, text in server.files:
            with open(path := os.path.join(self._work, name), "w", encoding="utf-8") as file:
                file.write(text)
            os.chmod(path, 0o644)  # as root, its slot's user reads this and the program's folder, and writes only there
        os.chmod(self._work, 0o711)
        self._process, self._status = start_boxed(
            box, Command(server.argv, server.limits), work=self._work, slot=slot, may_write=True, folders=folders
        )
        assert self._process.stdin and self._process.stdout and self._process.stderr
        self._stdin: IO[bytes] = self._process.stdin
        self._pipes: tuple[IO[bytes], IO[bytes]] = (self._process.stdout, self._process.stderr)
        for pipe in (*self._pipes, self._status):
            os.set_blocking(pipe.fileno(), False)
        self._meter = Meter(self._process.pid, self.used)
        self._handle: int | None = None  # of the box's first process, once it is known to live

    def ask(self, wanted: Command, work: str) -> Outcome | None:
        """See `Servers.ask`."""
        self.asked += 1
        place = os.path.join(self._work, PROGRAM)
        os.rename(work, place)
        began = time.monotonic()
        answer = None
        try:
            answer = self._answer(wanted, began)
        finally:
            is_back = _moved_back(place, work)
            self.used = time.monotonic()
        if answer is None or not is_back:
            return None
        if self._handle is None:
            self._find_first_process()
        code, said = answer
        if code not in self.server.trusted or (code and _OWN_FAULT.search(said)):
            return None
        return Outcome(exit=code, wall_s=self.used - began, stderr=said[: wanted.keep_bytes])

    def _answer(self, wanted: Command, began: float) -> tuple[int, str] | None:
        """Exit code and what is said; None: the server ended, or used more than the program may."""
        before = self._meter.look(began)
        limits = wanted.limits
        found = bytearray()
        try:
            self._stdin.write(b"\n")
            self._stdin.flush()
        except OSError:
            return None
        with selectors.DefaultSelector() as selector:
            for pipe in self._pipes:
                selector.register(pipe, selectors.EVENT_READ)
            while len(found) <= limits.output_mb * MB:
                for key, _ in selector.select(_LOOK_S):
                    data = os.read(key.fd, 65_536)
                    if not data:
                        return None
                    if key.fileobj is self._pipes[0]:
                        found += data
                if (line := _LINE.match(found)) and len(found) >= line.end() + int(line[2]):
                    said = bytes(found[line.end() : line.end() + int(line[2])])
                    return int(line[1]), said.decode("utf-8", "replace")
                now = time.monotonic()
                used = self._meter.look(now)
                passed_s = now - began
                own_s = max(used.cpu_s - before.cpu_s, passed_s - (used.waited_s - before.waited_s))
                if own_s > limits.wall_s or passed_s > _LONGEST * limits.wall_s or used.memory > limits.memory_mb * MB:
                    return None
        return None

    def _find_first_process(self) -> None:
        with contextlib.suppress(OSError):
            if first := re.search(rb'"child-pid": *(\d+)', os.read(self._status.fileno(), 65_536)):
                self._handle = os.pidfd_open(int(first[1]))

    def close(self) -> None:
        """Kills it, waits until it is gone, and removes its folder."""
        if self._handle is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)
            os.close(self._handle)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(0.2)  # bubblewrap ends by itself then
        self._process.kill()  # and all of its box with it
        self._process.wait(_GONE_S)
        for pipe in (self._stdin, *self._pipes, self._status):
            with contextlib.suppress(OSError):
                pipe.close()
        shutil.rmtree(self._work, ignore_errors=True)


def _moved_back(place: str, work: str) -> bool:
    """Moves a program's folder back; False: the server has put something else in its place."""
    try:
        os.rename(place, work)
        if stat.S_ISDIR(os.lstat(work).st_mode):
            return True
        os.unlink(work)  # a link would lead the program's own box to wherever it points
    except OSError:
        pass
    return False
