"""What of a machine never leaves it: absolute paths and host names.

Outputs are written with public names, but the message of an error that a library raised may quote a path. A path is
replaced by its last part, a host by the words "a host".
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable
from typing import Any, Final

_LEAST_HOST_CHARS: Final = 3
_START: Final = r"(?<![\w/.~<\\-])(?<!:(?=//))(?:file://)?"  # not within a word or the address of a page
_HOME: Final = re.compile(_START + r"/(?:home|Users)/[^\s/\"'<>|:,;()`]+/?(?=[\s\"'<>|:,;()`]|$)")
_PATH: Final = re.compile(
    _START + r"(?:/|~/)(?:[^\s/\"'<>|:,;()`]+/)+([^\s/\"'<>|:,;()`]+)|(?<!\w)file://\S*/([^\s/]+)"
)


class Scrubber:
    """Replaces what is private in texts.

    Args:
        hosts: Names of hosts that worked on the dataset, beside this one.
    """

    def __init__(self, hosts: Iterable[str] = ()):
        names = {host for host in {socket.gethostname(), *hosts} if len(host) >= _LEAST_HOST_CHARS}
        joined = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
        self._hosts = re.compile(rf"(?<![\w.-])(?:{joined})(?![\w-])") if names - {"localhost"} else None

    def text(self, text: str) -> str:
        """The text without paths and hosts.

        >>> Scrubber().text("can't read /home/me/in/a.parquet: gone; see https://example.org/a/b")
        "can't read a.parquet: gone; see https://example.org/a/b"
        """
        text = _HOME.sub("a home folder", text)  # its last part is a user's name
        text = _PATH.sub(lambda found: found[1] or found[2], text)
        return self._hosts.sub("a host", text) if self._hosts else text

    def value(self, value: Any) -> Any:
        """The same for all texts in a value as JSON has them; keys stay."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {key: self.value(one) for key, one in value.items()}
        return [self.value(one) for one in value] if isinstance(value, list) else value
