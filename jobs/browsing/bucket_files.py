"""The files of a dataset in a bucket, as DuckDB reads them: through Python, one request for each part that it reads.

    codemill://kept-000000.parquet  ->  gs://bucket/out/data/train-00000-of-00004.parquet

DuckDB knows these names alone, so it asks a bucket for nothing but the dataset's files, with the credentials that all
jobs use. Nothing is read ahead or kept, so memory doesn't grow with the number or size of the files.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from fsspec import AbstractFileSystem

from jobs import storage

_ALWAYS: Final = datetime(2000, 1, 1, tzinfo=UTC)  # the dataset is taken as it was when it was opened


class BucketFiles(AbstractFileSystem):
    """A file system of a few files, for reading.

    Args:
        scheme: Of the names.
        urls: By the name of a file, with the scheme, where it is.
    """

    cachable = False

    def __init__(self, scheme: str, urls: Mapping[str, str]):
        super().__init__()
        self.protocol = scheme
        self._urls = {name.removeprefix(f"{scheme}://"): url for name, url in urls.items()}
        self._sizes: dict[str, int] = {}

    def glob(self, path: str, **_: Any) -> list[str]:
        """The name itself: none is a pattern."""
        name = self._name_of(path)
        return [name] if name in self._urls else []

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """The file's size, asked for once. Raises FileNotFoundError."""
        name = self._name_of(path)
        if name not in self._sizes:
            self._sizes[name] = storage.size_of_file(self._urls[name])
        return {"name": name, "type": "file", "size": self._sizes[name]}

    def modified(self, path: str) -> datetime:
        """A constant."""
        return _ALWAYS

    def open(self, path: str, mode: str = "rb", *_: Any, **__: Any) -> _Part:
        """The file. Raises FileNotFoundError."""
        assert mode == "rb", mode
        return _Part(self._urls[self._name_of(path)], self.info(path)["size"])

    def _name_of(self, path: str) -> str:
        return path.removeprefix(f"{self.protocol}://")


class _Part(io.RawIOBase):
    """A file at a place in it; reading sends a request."""

    def __init__(self, url: str, size: int):
        super().__init__()
        self._url, self._size, self._at = url, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def read(self, size: int = -1) -> bytes:
        end = self._size if size < 0 else min(self._size, self._at + size)
        data = storage.read_part(self._url, self._at, end) if end > self._at else b""
        self._at += len(data)
        return data
