"""Storage errors that a user can fix: no space, no permission, no response.

`clear_errors` turns errors of the operating system and of remote clients into one line each. `is_unanswered`
distinguishes a storage that does not respond from a fault of a file's content, because only the former may be retried.

A file is uploaded in several requests, a session, which the service may forget: it then answers 404, as it does if the
bucket is missing. `upload_errors` tells the two apart, and `with_new_attempts` writes a lost upload again.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
from collections.abc import Callable, Iterator
from typing import TypeVar

from jobs.errors import StorageFull, UploadLost
from jobs.storage.remote import bucket_exists
from model.errors import ConfigError, one_line

T = TypeVar("T")

_UPLOAD_ATTEMPTS = 6
_GONE = 410  # HTTP status: as 404, the session of an upload has ended

_log = logging.getLogger(__name__)

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
        if isinstance(error, FileNotFoundError) and not is_local(path) and not bucket_exists(path):
            raise ConfigError(f"can't write {path}: not found; does the bucket exist?") from error
        raise


@contextlib.contextmanager
def upload_errors(path: str) -> Iterator[None]:
    """As `clear_errors`, for the requests of an upload. Raises UploadLost if it must start again."""
    with clear_errors(path):
        try:
            yield
        except Exception as error:
            if is_local(path) or not _has_ended(error, path):
                raise
            raise UploadLost(f"the storage no longer knows the upload of {path} ({type(error).__name__})") from error


def with_new_attempts(attempt: Callable[[], T]) -> T:
    """Calls `attempt`, which writes under a new name each time, until none of its uploads is lost.

    Raises:
        UploadLost: Every attempt lost one.
    """
    for tries_left in range(_UPLOAD_ATTEMPTS - 1, -1, -1):
        try:
            return attempt()
        except UploadLost as error:
            if not tries_left:
                raise
            _log.warning("%s; trying again under a new name", error)
    raise AssertionError("unreachable")


def _has_ended(error: Exception, path: str) -> bool:
    """Whether an upload's error means that its session is gone, or that what is stored isn't what was sent."""
    if isinstance(error, FileNotFoundError):
        return bucket_exists(path) is not False
    # gcsfs asserts that the service has as many bytes as it sent.
    return (
        isinstance(error, AssertionError)
        or type(error).__name__ == "ChecksumError"
        or getattr(error, "code", None) == _GONE
    )


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
        or isinstance(error, ConnectionError | TimeoutError | UploadLost)
        or (isinstance(error, OSError) and str(error).startswith("Forbidden: "))
    )


def may_pass(error: BaseException) -> bool:
    """Whether an error of a storage may be gone when the request is made again, as that of a mount that stalls."""
    return not isinstance(error, ConfigError) and (isinstance(error, OSError) or is_unanswered(error))


def unanswered_line(error: BaseException) -> str:
    """The message to the user for such an error."""
    said = " ".join(str(error).split())[:300]
    return (
        f"the storage does not respond ({type(error).__name__}: {said}); fix access or network and run the same "
        "command again; committed work is kept"
    )
