"""Storage errors that a user can fix: no space, no permission, no response.

`clear_errors` turns errors of the operating system and of remote clients into one line each. `is_unanswered`
distinguishes a storage that does not respond from a fault of a file's content, because only the former may be retried.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator

from jobs.errors import StorageFull
from model.errors import ConfigError, one_line

_FULL = {errno.ENOSPC, errno.EDQUOT}
_FORBIDDEN = {errno.EROFS, errno.EACCES, errno.EPERM}
_IMPOSSIBLE = {errno.ENAMETOOLONG, errno.ENOTDIR, errno.ELOOP}


def is_local(path: str) -> bool:
    """Whether `path` is in the local file system (`file://` URLs included)."""
    return "://" not in path or path.startswith("file://")


@contextlib.contextmanager
def clear_errors(path: str) -> Iterator[None]:
    """Turns errors that a user can fix into one line each."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StorageFull(
                f"no space left while writing {path}; free some space and run the same command again; "
                "committed work is kept"
            ) from error
        if error.errno in _IMPOSSIBLE:
            raise _impossible(path, error) from error
        if error.errno in _FORBIDDEN or str(error).startswith("Forbidden: "):
            why = os.strerror(error.errno).lower() if error.errno else "no permission"
            raise ConfigError(f"can't write {path}: {why}; choose another --output or fix its permissions") from error
        if isinstance(error, FileNotFoundError) and not is_local(path):
            raise ConfigError(f"can't write {path}: not found; does the bucket exist?") from error
        raise


def check_output_path(path: str) -> None:
    """Checks that there can be a local folder of this name; nothing is made.

    Raises:
        ConfigError: A file stands where a folder must be, a name is too long, or links form a circle.
    """
    if not is_local(path):
        return
    try:
        os.stat(os.path.abspath(path.removeprefix("file://")))
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        raise _impossible(path, error) from error


def make_folders(folder: str) -> None:
    """Makes a local folder and those above it. Raises ConfigError where the file system takes none, such as /proc."""
    try:
        os.makedirs(folder or ".", exist_ok=True)
    except (FileNotFoundError, FileExistsError) as error:
        raise _impossible(folder, error) from error


def _impossible(path: str, error: OSError | ValueError) -> ConfigError:
    why = (error.strerror if isinstance(error, OSError) else str(error)) or type(error).__name__
    return ConfigError(f"can't make {one_line(path)}: {one_line(why.lower())}; choose another --output")


# Packages whose own exceptions (not OSError or other built-in ones) mean that a request failed.
_CLIENT_PACKAGES = {"aiohttp", "botocore", "fsspec", "gcsfs", "google", "requests", "s3fs", "urllib3"}


def is_unanswered(error: BaseException) -> bool:
    """Whether `error` means that a remote storage did not respond or denied access, not that its content is faulty."""
    package = type(error).__module__.partition(".")[0]
    return (
        package in _CLIENT_PACKAGES
        or isinstance(error, ConnectionError | TimeoutError)
        or (isinstance(error, OSError) and str(error).startswith("Forbidden: "))
    )


def unanswered_line(error: BaseException) -> str:
    """The message to the user for such an error."""
    said = " ".join(str(error).split())[:300]
    return (
        f"the storage does not respond ({type(error).__name__}: {said}); fix access or network and run the same "
        "command again; committed work is kept"
    )
