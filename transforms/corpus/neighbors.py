"""What the other files of a source are written in: the last evidence for a file that may be one of several things.

Only files count whose own encoding is declared or likely by itself: no guess rests on guesses, and what a file is taken
for depends on the source alone, not on the order of reading. A source is read once more for this, and only where one
of its files needs it.
"""

from __future__ import annotations

import posixpath
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping

from model.errors import RecordError
from transforms.corpus.encoding import DECLARED, LIKELY, decode

_MIN_FILES = 2
_MIN_SHARE = 0.9
_SAME = {
    "ISO-8859-1": "windows-1252"
}  # a text of the second that has none of its special characters is called the first

EncodingCounts = Mapping[str, Counter[str]]


class Neighbors:
    """The encodings of a source's files by folder.

    Args:
        count: Called at most once, gives how often each encoding occurs, by folder (`count_encodings`).
    """

    def __init__(self, count: Callable[[], EncodingCounts]):
        self._count = count
        self._by_folder: EncodingCounts | None = None

    def of(self, path: str) -> tuple[str, ...]:
        """The encoding that nearly all of the nearest others are written in: in its folder, or else further up."""
        if self._by_folder is None:
            self._by_folder = self._count()
        for folder in _folders(path):
            counts = self._by_folder.get(folder, Counter())
            if counts.total() >= _MIN_FILES:
                (name, count), *_ = counts.most_common(1)
                return (name,) if count >= _MIN_SHARE * counts.total() else ()
        return ()


def count_encodings(contents: Iterable[tuple[str, bytes]]) -> dict[str, Counter[str]]:
    """Counts the encodings that are declared or likely, for the folder of each file and all above it.

    Args:
        contents: Path and bytes of each of the source's files.
    """
    by_folder: dict[str, Counter[str]] = defaultdict(Counter)
    for path, data in contents:
        if data.isascii():
            continue
        try:
            decoded = decode(data)
        except RecordError:
            continue
        if decoded.confidence in (DECLARED, LIKELY) and not decoded.encoding.startswith("UTF-"):
            for folder in _folders(path):
                by_folder[folder][_SAME.get(decoded.encoding, decoded.encoding)] += 1
    return dict(by_folder)


def _folders(path: str) -> Iterator[str]:
    """The file's folder and all above it, to the source's root, "".

    >>> list(_folders("a/b/c.py"))
    ['a/b', 'a', '']
    """
    while path:
        path = posixpath.dirname(path)
        yield path
