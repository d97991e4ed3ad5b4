"""A file being written from start to end, which counts and hashes what goes by."""

from __future__ import annotations

import hashlib
from typing import IO, Any

from jobs.storage.errors import clear_errors


class OutputFile:
    """Counts and hashes what is written to `file`; a failure to write names `path`.

    pyarrow takes it as a file object. `bytes` and `sha256` are right once it is closed.
    """

    def __init__(self, path: str, file: IO[bytes]):
        self.path = path
        self.bytes = 0
        self._file = file
        self._hash = hashlib.sha256()

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    @property
    def closed(self) -> bool:
        return self._file.closed

    def write(self, data: Any) -> int:
        with clear_errors(self.path):
            view = memoryview(data).cast("B")
            self._file.write(view)
        self._hash.update(view)
        self.bytes += len(view)
        return len(view)

    def tell(self) -> int:
        return self.bytes

    def flush(self) -> None:
        """Nothing to do before the end: what counts is the close by `open_output`."""

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def close(self) -> None:
        """`open_output` closes the file: a writer that closes its sink must not do it in mid-air."""
