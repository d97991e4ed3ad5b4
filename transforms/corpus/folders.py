"""Reads files below a folder without ever following a link, in any component of a path and at any time.

A folder is opened from the root down, each component by its name in the folder before it (`openat`, O_NOFOLLOW), or
from a folder on its way that has been opened so and still is. A link that takes a folder's place, even while it is
read, is refused and not followed. The root's own path is the caller's.

A folder that is itself a git repository without a work tree (a bare or mirror clone, a `.git` under another name) is
no source: its `config` may hold a password. It is refused as a whole.
Memory: one folder's names. Cost: one `open` a file, and for each folder some more.
"""

from __future__ import annotations

import os
import stat
from collections import OrderedDict
from collections.abc import Iterator
from types import TracebackType

from model.errors import RecordError
from transforms.corpus.entries import Refused, Stamp

_OPEN_FOLDERS = 16
_CHUNK_BYTES = 1 << 16
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Not to follow a link, nor to wait for a pipe, that was put there since.
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
BARE_HINT = "take a work tree of it: git clone, or git worktree add"


class Folders:
    """The folders below a root; the last ones used stay open. Use with `with`.

    Args:
        root: A path whose own components may be links.
    """

    def __init__(self, root: str):
        self._root = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._open: OrderedDict[str, int] = OrderedDict()

    def __enter__(self) -> Folders:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for descriptor in (*self._open.values(), self._root):
            os.close(descriptor)
        self._open.clear()

    def read(self, path: str, max_bytes: int) -> bytes:
        """The bytes of the file at a relative path.

        Raises:
            RecordError: `link`, `dangling_link`, `not_a_file`, `unreadable`, `content_too_large`, `bare_repository`.
        """
        return self.read_stamped(path, max_bytes)[0]

    def read_stamped(self, path: str, max_bytes: int) -> tuple[bytes, Stamp | None]:
        """As `read`, and the file's stamp; None if it has changed meanwhile."""
        folder, _, name = path.rpartition("/")
        try:
            within = self._folder(folder)
            _check_kind(os.stat(name, dir_fd=within, follow_symlinks=False).st_mode, name, within)
            return _read_file(os.open(name, _FILE_FLAGS, dir_fd=within), max_bytes)
        except OSError as error:
            raise RecordError("unreadable", str(error.strerror)) from None

    def stamp(self, path: str) -> Stamp | None:
        """The stamp of the file at a relative path; None where there is no file, or it can't be told."""
        folder, _, name = path.rpartition("/")
        try:
            status = os.stat(name, dir_fd=self._folder(folder), follow_symlinks=False)
        except (OSError, ValueError, RecordError):  # reading it says why
            return None
        return _stamp(status) if stat.S_ISREG(status.st_mode) else None

    def num_bytes(self, path: str) -> int:
        """The bytes that the file at a relative path has now; 0 where that can't be told."""
        folder, _, name = path.rpartition("/")
        try:
            status = os.stat(name, dir_fd=self._folder(folder), follow_symlinks=False)
        except (OSError, ValueError, RecordError):  # reading it says why
            return 0
        return status.st_size if stat.S_ISREG(status.st_mode) else 0

    def names(self, folder: str) -> list[tuple[str, bool]]:
        """Name and whether it is a folder, of all in a folder (`""`: the root), in code-point order.

        Raises:
            RecordError: As `read` does.
        """
        try:
            with os.scandir(self._folder(folder)) as entries:
                return sorted((entry.name, _is_folder(entry)) for entry in entries)
        except OSError as error:
            raise RecordError("unreadable", f"the folder can't be listed: {error.strerror}") from None

    def _folder(self, path: str) -> int:
        """A descriptor of the folder, opened from the nearest one above it that is open, else from the root down."""
        if not path:
            return self._root
        if path in self._open:
            self._open.move_to_end(path)
            return self._open[path]
        names = path.split("/")
        depth = len(names) - 1
        while depth and "/".join(names[:depth]) not in self._open:
            depth -= 1
        descriptor = self._folder("/".join(names[:depth]))
        for end in range(depth + 1, len(names) + 1):
            descriptor = self._open["/".join(names[:end])] = _open_folder(names[end - 1], descriptor)
            if len(self._open) > _OPEN_FOLDERS:
                os.close(self._open.popitem(last=False)[1])
        return descriptor


def walk(folders: Folders) -> Iterator[str | Refused]:
    """Relative paths of all that isn't a folder below the root, depth first; `.git` is passed over.

    Names stand in code-point order, a folder's files before its folders. A folder that can't be listed is a refusal.
    """
    below = [""]
    while below:
        folder = below.pop()
        try:
            names = folders.names(folder)
        except RecordError as error:
            yield Refused(shown(f"{folder}/"), error.reason, error.detail)
            continue
        prefix = f"{folder}/" if folder else ""
        names = [(name, is_folder) for name, is_folder in names if name != ".git"]
        yield from (prefix + name for name, is_folder in names if not is_folder)
        below += reversed([prefix + name for name, is_folder in names if is_folder])


def is_bare_repository(folder: int | str) -> bool:
    """Whether a folder (path or descriptor) is what git keeps for itself: `HEAD`, `objects`, `refs`."""
    at, within = (".", folder) if isinstance(folder, int) else (folder, None)
    try:
        kinds = [stat.S_IFMT(os.stat(f"{at}/{name}", dir_fd=within).st_mode) for name in ("objects", "refs", "HEAD")]
    except OSError:
        return False
    return kinds == [stat.S_IFDIR, stat.S_IFDIR, stat.S_IFREG]


def shown(path: str) -> str:
    """A path that may not be UTF-8, for people."""
    return path.encode("utf-8", "backslashreplace").decode("utf-8")


def _open_folder(name: str, above: int) -> int:
    try:
        descriptor = os.open(name, _FOLDER_FLAGS, dir_fd=above)
    except NotADirectoryError:
        if stat.S_ISLNK(os.stat(name, dir_fd=above, follow_symlinks=False).st_mode):
            raise RecordError("link", "a folder in its path is a symbolic link") from None
        raise
    if is_bare_repository(descriptor):
        os.close(descriptor)
        raise RecordError("bare_repository", f"a bare or mirror clone of git; {BARE_HINT}")
    return descriptor


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False  # reading it says why


def _check_kind(mode: int, name: str, within: int) -> None:
    if stat.S_ISREG(mode):
        return
    if stat.S_ISLNK(mode):
        try:
            os.stat(name, dir_fd=within)
        except OSError:
            raise RecordError("dangling_link", "a symbolic link to nothing") from None
        raise RecordError("link", "a symbolic link")
    if stat.S_ISDIR(mode):
        raise RecordError("not_a_file", "a folder: a submodule that is not checked out, or it has replaced the file")
    kind = "a pipe" if stat.S_ISFIFO(mode) else "a socket" if stat.S_ISSOCK(mode) else "a device"
    raise RecordError("not_a_file", kind)


def _stamp(status: os.stat_result) -> Stamp:
    return Stamp(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


def _too_large(max_bytes: int) -> RecordError:
    return RecordError("content_too_large", f"more than {max_bytes} bytes, the limit; raise --max_content_mb")


def _read_file(descriptor: int, max_bytes: int) -> tuple[bytes, Stamp | None]:
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise RecordError("not_a_file", "it became a pipe, socket or device")
        if status.st_size > max_bytes:
            raise _too_large(max_bytes)
        # One more than there should be: it may grow, or the system says nothing of its size, as in /proc.
        data = os.read(descriptor, status.st_size + 1)
        while len(data) != status.st_size and len(data) <= max_bytes and (more := os.read(descriptor, _CHUNK_BYTES)):
            data += more
        stamp, before = _stamp(os.fstat(descriptor)), _stamp(status)
    finally:
        os.close(descriptor)
    if len(data) > max_bytes:
        raise _too_large(max_bytes)
    return data, stamp if stamp == before and len(data) == stamp.num_bytes else None
