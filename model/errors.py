"""The two errors that a user or a row can cause; everything else is a bug.

They stand in the lowest layer because all three layers raise them. A broken
invariant is neither: it is an `assert`.
"""

from __future__ import annotations


class ConfigError(Exception):
    """A set-up that can't work: refused in one line before any work starts (exit code 2)."""


class RecordError(Exception):
    """A row or a request that can't be done: it is kept, with this reason, among the rejected.

    Args:
        reason: The fault as a snake_case word that stays the same between versions, such as
            `prompt_too_long`; reports count by it.
        detail: One line for a person: what it got, what the limit is, what to do next.
            Never the row's content, never a secret's value.
    """

    def __init__(self, reason: str, detail: str = ""):
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}" if self.detail else self.reason


_MESSAGE_CHARS = 1000


def one_line(text: object) -> str:
    """Foreign text, such as a name from a file, as a line of bounded length: what can't be printed is escaped.

    >>> one_line("layers\\n.norm")
    'layers\\\\n.norm'
    """
    whole = str(text)
    shown = (char if char.isprintable() else char.encode("unicode_escape").decode() for char in whole[:_MESSAGE_CHARS])
    return "".join(shown) + ("..." if len(whole) > _MESSAGE_CHARS else "")
