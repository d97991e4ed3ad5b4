"""Reads footers in a child process, which a damaged file may kill without killing the job.

    parent                                   child (`jobs.execution.child`)
    {"read": [number, uri, name]} ... ->     many at once, in threads
                                      <-     {"number": ..., "file": ..., "schema": ..., "groups": ...}

When the child dies or hangs, the files that it may have been reading are read again, each alone in a child; one that
kills it alone is a bad file with the signal's name. The others go on. The child is started once and can become the
job's first worker, so that a job doesn't pay for two starts.

Cost: a process (0.3 s, beside the driver's own start), and a few hundred bytes a file through a pipe.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence

from jobs.execution.process import ChildProcess
from jobs.plan.footers import Footer, InputFile, bad, parse_answer

# Reads the footers of (URI, public name), in order.
ReadFooters = Callable[[Sequence[tuple[str, str]]], Iterable[tuple[InputFile, Footer | None]]]

READ_AT_ONCE = 32  # threads of the child
TIMEOUT_S = 120.0  # without a word from the child, though it has something to read
_WINDOW = 512  # files sent and not answered: enough to keep the child busy, few enough for the pipe

Answer = tuple[InputFile, Footer | None]


class FooterReader:
    """Reads footers in a child, a new one after each death. Use `open_reader` for one that is closed."""

    def __init__(self, timeout_s: float = TIMEOUT_S):
        self._timeout_s = timeout_s
        self._child: ChildProcess | None = None

    def __call__(self, files: Sequence[tuple[str, str]]) -> Iterator[Answer]:
        """The files' footers, in order. Raises ConfigError where the storage doesn't answer."""
        answers: dict[int, Answer] = {}
        waiting = list(range(len(files)))[::-1]  # the next is last
        sent: list[int] = []
        for number in range(len(files)):
            while number not in answers:
                while waiting and len(sent) < _WINDOW:
                    sent.append(waiting.pop())
                    self._ask(sent[-1], files)
                how = self._take_answer(answers, sent)
                if how is None:
                    continue
                # The child works in the order in which it was asked, so only these can be at fault.
                suspects = sorted(sent)[:READ_AT_ONCE]
                answers |= {suspect: self._read_alone(files[suspect]) for suspect in suspects}
                waiting += sorted(set(sent) - set(suspects), reverse=True)
                sent.clear()
            yield answers.pop(number)

    def prepare(self) -> None:
        """The child is to be a worker soon: it may import what that takes."""
        if self._child is None:
            self._child = ChildProcess()
        self._child.send({"prepare": True})

    def take_child(self) -> ChildProcess | None:
        """The child that is there, for the job's first worker; this reader starts another if it needs one."""
        child, self._child = self._child, None
        return child

    def close(self) -> None:
        """Ends the child."""
        if (child := self.take_child()) is not None:
            child.close()

    def _ask(self, number: int, files: Sequence[tuple[str, str]]) -> None:
        if self._child is None:
            self._child = ChildProcess()
        self._child.send({"read": [number, *files[number]]})

    def _take_answer(self, answers: dict[int, Answer], sent: list[int]) -> str | None:
        """Waits for an answer; how the child ended, where it did."""
        assert self._child is not None
        try:
            answer = self._child.hear(self._timeout_s)
        except TimeoutError:
            self.close()
            return "timeout"
        if answer is None:
            return self._bury()
        answers[answer["number"]] = parse_answer(answer)
        sent.remove(answer["number"])
        return None

    def _bury(self) -> str:
        child = self.take_child()
        assert child is not None
        how = child.end()
        child.close()
        return how

    def _read_alone(self, file: tuple[str, str]) -> Answer:
        """One file with nothing beside it: if the child dies of it, it is at fault."""
        alone: dict[int, Answer] = {}
        sent = [0]
        self._ask(0, [file])
        how = self._take_answer(alone, sent)
        if how is None:
            return alone[0]
        uri, name = file
        if how == "timeout":
            detail = f"reading its footer took more than {self._timeout_s:g} s"
            return bad(InputFile(uri=uri, name=name), "timeout", detail), None
        detail = f"reading its footer killed the process that read it ({how})"
        return bad(InputFile(uri=uri, name=name), "damaged_footer", detail), None


@contextlib.contextmanager
def open_reader() -> Iterator[ReadFooters]:
    """A reader with a child of its own, which ends with the block."""
    reader = FooterReader()
    try:
        yield reader
    finally:
        reader.close()
