"""What of a machine never leaves it: absolute paths and host names.

Outputs are written with public names, but the message of an error that a library raised may quote a path. A path is
replaced by its last part, a host by the words "a host". A path with blanks is known as such where it is in quotes.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable
from typing import Any, Final

from jobs.catalog import JOBS
from jobs.finalize.publishing import HOME
from jobs.storage.folders import DATA, REJECTED

_LEAST_HOST_CHARS: Final = 3
_WORDS: Final = frozenset((*JOBS, DATA, REJECTED, "train", "notice", "default", "embedded", "python", "localhost"))
"""Words of the project's own, which name no host: summary and lineage use them."""

_START: Final = r"(?<![\w/.~<\\-])(?<!:(?=//))(?:file://)?"  # not within a word or the address of a page
_END: Final = r"(?=[\s\"'<>|:,;()`]|$)"
_DRIVE: Final = r"(?<![\w\\])[A-Za-z]:\\+"
_PART: Final = r"[^\s/\"'<>|:,;()`]+"
_WINDOWS_PART: Final = r"[^\s\\/\"'<>|:,;()`*?]+"
_QUOTED_PART: Final = r"[^\"'\n/]+"  # in quotes, blanks belong to the path
_QUOTED_WINDOWS_PART: Final = r"[^\"'\n\\]+"
_REPLACEMENTS: Final = tuple(
    (re.compile(pattern), left)
    for pattern, left in (
        (rf"(?<=[\"'])(?:file://)?/(?:home|Users)/{_QUOTED_PART}/?(?=[\"'])", HOME),
        (rf"(?<=[\"'])[A-Za-z]:\\+Users\\+{_QUOTED_WINDOWS_PART}\\*(?=[\"'])", HOME),
        (rf"(?<=[\"'])(?:file://)?~?/(?:{_QUOTED_PART}/)+({_QUOTED_PART})(?=[\"'])", r"\1"),
        (rf"(?<=[\"'])[A-Za-z]:\\+(?:{_QUOTED_WINDOWS_PART}\\+)+({_QUOTED_WINDOWS_PART})(?=[\"'])", r"\1"),
        (rf"{_START}/(?:home|Users)/{_PART}/?{_END}", HOME),
        (rf"{_DRIVE}Users\\+{_WINDOWS_PART}\\*{_END}", HOME),
        (rf"{_START}(?:/|~/)(?:{_PART}/)+({_PART})", r"\1"),
        (r"(?<!\w)file://\S*/([^\s/]+)", r"\1"),
        (rf"{_DRIVE}(?:{_WINDOWS_PART}\\+)+({_WINDOWS_PART})", r"\1"),
    )
)


class Scrubber:
    """Replaces what is private in texts.

    Args:
        hosts: Names of hosts that worked on the dataset, beside this one.
    """

    def __init__(self, hosts: Iterable[str] = ()):
        found = {socket.gethostname(), *hosts}
        names = {host for host in found if len(host) >= _LEAST_HOST_CHARS and host.lower() not in _WORDS}
        joined = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
        self._hosts = re.compile(rf"(?<![\w.-])(?:{joined})(?![\w-])") if names else None

    def text(self, text: str) -> str:
        """The text without paths and hosts.

        >>> Scrubber().text("can't read /home/me/in/a.parquet: gone; see https://example.org/a/b")
        "can't read a.parquet: gone; see https://example.org/a/b"
        """
        before = ""
        while text != before and ("/" in text or "\\" in text):  # what is left may read as a path again
            before = text
            for pattern, left in _REPLACEMENTS:
                text = pattern.sub(left, text)
        return self._hosts.sub("a host", text) if self._hosts else text

    def value(self, value: Any) -> Any:
        """The same for all texts in a value as JSON has them; keys stay."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {key: self.value(one) for key, one in value.items()}
        return [self.value(one) for one in value] if isinstance(value, list) else value
