"""Reads footers in a child process, which a damaged file may kill without killing the job.

    parent                                       child (`jobs.execution.child`)
    {"read": [[number, uri, name], ...]} ... ->  many lines at once, in threads
                                             <-  {"answers": [[number, {"file": ..., "schema": ..., "groups": ...}]]}

When the child dies or hangs, the files that it may have been reading are read again one by one; one that kills it
then is a bad file with the signal's name. The others go on. The child is started once and can become the
job's first worker, so that a job doesn't pay for two starts.

Cost: a process (0.3 s, beside the driver's own start), and a few hundred bytes a file through a pipe.
"""

from __future__ import annotations

import contextlib
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence

from jobs.plan.footers import Footer, InputFile, bad, parse_answer
from jobs.storage import is_local
from jobs.system.child_process import ChildProcess, next_child
from model.errors import ConfigError

# Reads the footers of (URI, public name), in order.
ReadFooters = Callable[[Sequence[tuple[str, str]]], Iterable[tuple[InputFile, Footer | None]]]

READ_AT_ONCE = 32  # threads of the child
TIMEOUT_S = 120.0  # without a word from the child, though it has something to read
LONE_TRIES = 3  # a file that ends so many children, alone in each, is bad
MAX_FAILED_STARTS = 3
_NOT_STARTED = "not started"  # the child died before it could read anything, so no file is at fault
_LINES_SENT = 64  # and not answered: enough to keep the child busy
_LOCAL_FILES_A_LINE = 16  # a local footer is read in less time than a line takes

Answer = tuple[InputFile, Footer | None]
Line = list[tuple[int, str, str]]


class FooterReader:
    """Reads footers in a child, a new one after each death. Use `open_reader` for one that is closed."""

    def __init__(self, timeout_s: float = TIMEOUT_S):
        self._timeout_s = timeout_s
        self._child: ChildProcess | None = None
        self._failed_starts = 0  # in a row

    def __call__(self, files: Sequence[tuple[str, str]]) -> Iterator[Answer]:
        """The files' footers, in order. Raises ConfigError where the storage doesn't answer."""
        answers: dict[int, Answer] = {}
        waiting = deque(_lines(files))
        sent: deque[Line] = deque()
        for number in range(len(files)):
            while number not in answers:
                while waiting and len(sent) < _LINES_SENT:
                    sent.append(waiting.popleft())
                    self._ask(sent[-1])
                how = self._take_answers(answers, sent)
                if how is None:
                    continue
                if how == _NOT_STARTED:
                    waiting.extendleft(reversed(sent))
                    sent.clear()
                    continue
                # The child works in the order in which it was asked, so only the first ones can be at fault.
                for line in [sent.popleft() for _ in range(min(READ_AT_ONCE, len(sent)))]:
                    for suspect in line:
                        answers[suspect[0]] = self._read_alone(suspect)
                waiting.extendleft(reversed(sent))
                sent.clear()
            yield answers.pop(number)

    @property
    def child(self) -> ChildProcess:
        """The child; started if there is none."""
        if self._child is None:
            self._child = next_child()
        return self._child

    def prepare(self, orders: str) -> None:
        """The child is to be a worker soon: it may import what these orders take."""
        self.child.send({"prepare": orders})

    def take_child(self) -> ChildProcess | None:
        """The child that is there, for the job's first worker; this reader starts another if it needs one."""
        child, self._child = self._child, None
        return child

    def close(self) -> None:
        """Ends the child."""
        if (child := self.take_child()) is not None:
            child.close()

    def _ask(self, line: Line) -> None:
        self.child.send({"read": line})

    def _take_answers(self, answers: dict[int, Answer], sent: deque[Line]) -> str | None:
        """Waits for a line of answers; how the child ended, where it did."""
        assert self._child is not None
        try:
            said = self._child.hear(self._timeout_s)
        except TimeoutError:
            self.close()
            return "timeout"
        if said is None:
            return self._bury()
        answers.update({number: parse_answer(answer) for number, answer in said["answers"]})
        sent.remove(next(line for line in sent if line[0][0] == said["answers"][0][0]))
        return None

    def _bury(self) -> str:
        child = self.take_child()
        assert child is not None
        how = child.end()
        child.close()
        if child.is_ready:
            self._failed_starts = 0
            return how
        self._failed_starts += 1
        if self._failed_starts >= MAX_FAILED_STARTS:
            raise ConfigError(
                f"the process that reads input files ended {self._failed_starts} times in a row before it could start "
                f"({how}); the last that it printed: {child.last_words or 'nothing'}"
            )
        return _NOT_STARTED

    def _read_alone(self, file: tuple[int, str, str]) -> Answer:
        """One file with nothing beside it: if children die of it again and again, it is at fault."""
        number, uri, name = file
        alone: dict[int, Answer] = {}
        deaths = 0
        # One death may be an accident: somebody killed the child, or memory ran out for another reason.
        while deaths < LONE_TRIES:
            self._ask([file])
            how = self._take_answers(alone, deque([[file]]))
            if how is None:
                return alone[number]
            deaths += how != _NOT_STARTED
            if how == "timeout":
                break
        if how == "timeout":
            detail = f"reading its footer took more than {self._timeout_s:g} s"
            return bad(InputFile(uri=uri, name=name), "timeout", detail), None
        detail = f"reading its footer killed the process that read it ({how})"
        return bad(InputFile(uri=uri, name=name), "damaged_footer", detail), None


def _lines(files: Sequence[tuple[str, str]]) -> Iterator[Line]:
    """The files, numbered, as they are sent: local ones several at once, remote ones each in a thread of its own."""
    numbered = [(number, uri, name) for number, (uri, name) in enumerate(files)]
    for is_here, run in itertools.groupby(numbered, lambda file: is_local(file[1])):
        some = list(run)
        size = _LOCAL_FILES_A_LINE if is_here else 1
        yield from (some[at : at + size] for at in range(0, len(some), size))


@contextlib.contextmanager
def open_reader() -> Iterator[ReadFooters]:
    """A reader with a child of its own, which ends with the block."""
    reader = FooterReader()
    try:
        yield reader
    finally:
        reader.close()
