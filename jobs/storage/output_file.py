"""A file written sequentially, which counts and hashes its bytes."""

from __future__ import annotations

import hashlib
from typing import IO, Any

from jobs.storage.errors import upload_errors


class OutputFile:
    """Counts and hashes the bytes written to `file`; write errors name `path`.

    pyarrow accepts it as a file object. `bytes` and `sha256` are final once it is closed.
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
        view = memoryview(data).cast("B")
        with upload_errors(self.path):
            self._file.write(view)
        self._hash.update(view)
        self.bytes += len(view)
        return len(view)

    def tell(self) -> int:
        return self.bytes

    def flush(self) -> None:
        """Does nothing: `open_output` flushes and closes the file at the end."""

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def close(self) -> None:
        """Does nothing: `open_output` closes the file, and a writer that closes its sink early must not."""
