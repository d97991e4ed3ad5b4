r"""Runs of complete lines that belong together: middles of the kind `multi_line`.

        for name in names:           a run starts here ...
            total += size(name)
        report(total)                ... and may end here, or where the `for` ends, but not within it
    }

A file is masked (`transforms.languages.brackets`) and cut at the line ends that no string and no comment reaches over.
A run of lines is one of siblings if

1. none of its lines is less indented than its first, and what follows it is no more indented than that;
2. its brackets are balanced;
3. neither its first line nor what follows it continues a statement (`else`, `.then(...)`, `end`, an operator), and it
   ends neither in an operator nor in an annotation or a comment of what follows.

Indentation tells this in every language and without a parse; how often the runs are siblings in a syntax tree too:
docs/benchmarks.md. Cost: one pass over the file, and some microseconds a run.
"""

from __future__ import annotations

import bisect
import itertools
import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from transforms.languages.brackets import COMMENT, follow, mask
from transforms.languages.table import Language

# What a line starts with if it goes on with a statement or closes a block.
_GOES_ON: Final = re.compile(
    r"""(?: else | elif | elsif | elseif | except | finally | catch | and | or | extends | implements | esac | endif
      | (?: end | done | fi | do | then | until | where | ensure | rescue )(?!\s*[=.,(\[:]) )\b
    | [)\]},:=?|>] | \.(?!\.) | && | [-+*/%<](?=\s) | -> | </ | \{ | \#\s*(?: else | elif | endif )\b | <<
    """,
    re.VERBOSE,
)
# What a line ends with if the next one goes on with it.
_UNFINISHED: Final = re.compile(r"(?:[-+*/%=&|<>\\.([{]|\b(?:and|or|not|in|else|new|throw|extends|then|do))$")
_FINISHED: Final = re.compile(r"(?:\+\+|--|[^=-]>)$")
# Lines that belong to what follows them: annotations and attributes. Then the conditions of a preprocessor.
_FOR_THE_NEXT: Final = re.compile(r"(?:@(?!media|import)|#!?\[|template\s*<|\[\w[^]]*\]$)")
_CONDITIONAL: Final = re.compile(r"#\s*(?:(if)|(endif)|el(?:se|if))")
# What a line ends with, or starts with, if it opens a block.
_OPENS: Final = re.compile(r"(?:[{(\[:,>|]|->|\b(?:then|do|begin|else|try|ensure|of|where|in))$")
_HEAD: Final = re.compile(
    r"(?:def|class|module|if|unless|while|until|for|case|when|function|local|begin|<|#\s*(?:if|el))"
)

# Blank lines, or lines of a comment, that are looked across.
_MAX_LOOKED_AT: Final = 50


class Line(NamedTuple):
    """A line, or several that a string or a comment joins.

    Args:
        start, end: Characters of the file, without blanks at both ends; equal for a blank line.
        indentation: Number of blanks before it.
        code: Its masked text, without a comment at its end; "" for a comment.
    """

    start: int
    end: int
    indentation: int
    code: str


class Lines:
    """The lines of a file, by its masked text.

    Args:
        text: The file.
        language: Its language; None if unknown.
    """

    def __init__(self, text: str, language: Language | None):
        # A lone carriage return ends no comment in any pattern, but is a line's end where there is no other.
        self.masked = mask(text if "\n" in text else text.replace("\r", "\n"), language)
        self.text = text
        self._has_statements = language is not None and language.kind in ("code", "script", "markup")
        lengths = (len(line) + 1 for line in self.masked.split("\n"))
        self._bounds = list(itertools.accumulate(lengths, initial=0))
        self._read: dict[int, Line] = {}

    def __len__(self) -> int:
        return len(self._bounds) - 1

    def __getitem__(self, index: int) -> Line:
        if index not in self._read:
            start, end = self._bounds[index], self._bounds[index + 1] - 1
            whole = self.text[start:end]
            if index == 0:
                whole = whole.removeprefix("\ufeff")
            stripped = whole.lstrip()
            first = end - len(stripped)
            last = first + len(stripped.rstrip())
            code = self.masked[first:last].rstrip(COMMENT + " \t")
            self._read[index] = Line(first, last, len(whole) - len(stripped), code)
        return self._read[index]

    def at(self, offset: int) -> int:
        """The index of the line that contains a character of the file."""
        return min(bisect.bisect_right(self._bounds, offset), len(self)) - 1

    def run_ends(self, first: int, max_lines: int, max_chars: int) -> Iterator[int]:
        """Yields the last lines of the runs of siblings that start with a line, the shortest first.

        Args:
            first: The first line.
            max_lines: Most lines of a run.
            max_chars: Most characters of a run.
        """
        opening, conditions, head = self[first], 0, ""
        waiting: list[str] = []  # what closes the brackets that are open
        if not self._starts_statement(first):
            return
        for index in range(first, min(len(self), first + max_lines)):
            line = self[index]
            if line.start == line.end:
                continue
            if line.indentation < opening.indentation or line.end - opening.start > max_chars:
                return
            if not follow(line.code, waiting):
                return
            if found := _CONDITIONAL.match(line.code):
                if not conditions and not found[1]:
                    return
                conditions += bool(found[1]) - bool(found[2])
            if line.indentation == opening.indentation and not _GOES_ON.match(line.code):
                head = line.code  # where what this line goes on with began
            following = self.beside(index, 1)
            if following is not None:
                if self[following].indentation > opening.indentation:
                    continue
                if self[following].indentation == opening.indentation and self._goes_on(index, head, following):
                    continue
            if not conditions and not waiting and not self._is_unfinished(line):
                yield index

    def _starts_statement(self, index: int) -> bool:
        """Whether a statement, an element or an item may start with a line."""
        line = self[index]
        if line.start == line.end:
            return False
        before = self.beside(index, -1)
        if not self._has_statements or before is None:
            return True
        code = self[before].code
        if not line.code and not code and before == index - 1:
            return False
        if _GOES_ON.match(line.code or self._code_below(index)):
            return False
        if self[before].indentation < line.indentation:
            return not code or _OPENS.search(code) is not None or _HEAD.match(code) is not None
        return not self._is_unfinished(self[before]) and not (_FOR_THE_NEXT.match(code) and code[-1] not in ";}")

    def _goes_on(self, index: int, head: str, following: int) -> bool:
        """Whether a line, equally indented, goes on with the statement that begins with `head` and ends at `index`."""
        if not self._has_statements:
            return False
        code = self[index].code
        if not code:  # a comment right above a line tells of it
            return following == index + 1
        if _FOR_THE_NEXT.match(head) and code[-1] not in ";}":
            return True
        return _GOES_ON.match(self[following].code) is not None

    def _is_unfinished(self, line: Line) -> bool:
        if not self._has_statements:
            return False
        return _UNFINISHED.search(line.code) is not None and _FINISHED.search(line.code) is None

    def _code_below(self, index: int) -> str:
        """The code of the first line below a comment that has any."""
        for _ in range(_MAX_LOOKED_AT):
            following = self.beside(index, 1)
            if following is None or self[following].code:
                return "" if following is None else self[following].code
            index = following
        return ""

    def beside(self, index: int, step: int) -> int | None:
        """The nearest line before or after one that isn't blank; None if there is none near."""
        for near in range(index + step, index + step * (_MAX_LOOKED_AT + 1), step):
            if not 0 <= near < len(self):
                return None
            if self[near].start < self[near].end:
                return near
        return None
