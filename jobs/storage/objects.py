"""Access to a job's files: one interface to local folders and `gs://` buckets.

A path is a plain string: a local path, or a URL that fsspec supports (`gs://bucket/key`). The commit protocol relies on
`create_if_absent`: of any number of concurrent callers, at most one creates the object, and no reader ever gets a
partial object.

- Locally: a temporary file in the same folder, fsync, hard link to the final name (which fails if it exists),
  fsync of the folder, unlink of the temporary name.
- On GCS: one single-request upload with `ifGenerationMatch=0`.

A create whose response was lost may return False although it succeeded: the client repeats the request, and the second
request finds the object of the first. Callers therefore compare the existing object with what they wrote. Names that
start with a dot are temporary files and are never listed.

Errors that a user can fix are raised with a one-line message (`jobs.storage.errors`): `ConfigError` (read-only, no
permission), `StorageFull`.
"""

from __future__ import annotations

import contextlib
import errno
import glob as local_glob
import hashlib
import os
import posixpath
import re
import shutil
import uuid
from collections.abc import Iterable, Iterator
from typing import IO, Any

import fsspec

from jobs.storage.errors import clear_errors, is_local, make_folders
from jobs.storage.failpoints import failpoint, register
from jobs.storage.output_file import OutputFile
from model.errors import ConfigError

# Without this, gcsfs queries each bucket's layout before an operation, which may stall for half a minute each time
# outside Google's network. gcsfs reads the variable when it is imported.
os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")

CREATE_AFTER_TEMP = register("storage.create_after_temp")
CREATE_AFTER_LINK = register("storage.create_after_link")

_COPY_CHUNK_BYTES = 8 << 20
_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{32}\.tmp")


def join(root: str, *parts: str) -> str:
    """Joins path parts with `/`, for local paths and URLs alike.

    >>> join("gs://bucket/out/", "_job", "job.json")
    'gs://bucket/out/_job/job.json'
    """
    return posixpath.join(root.rstrip("/") or "/", *parts)


def create_if_absent(path: str, data: bytes) -> bool:
    """Creates the object atomically, or changes nothing and returns False if it exists already.

    It may also return False after the caller's own earlier success (see the module docstring).
    """
    with clear_errors(path):
        if not is_local(path):
            return _create_remote(path, data)
        name = _local(path)
        temporary = _write_temporary(name, data)
        try:
            failpoint(CREATE_AFTER_TEMP)
            os.link(temporary, name)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno in {errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK} or (
                error.errno == errno.EPERM and os.access(os.path.dirname(name), os.W_OK)
            ):
                raise ConfigError(
                    f"{os.path.dirname(name)} is on a file system without hard links, which commits require; "
                    "choose an --output on another one (for a mounted bucket, its gs:// path)"
                ) from error
            raise
        finally:
            with contextlib.suppress(FileNotFoundError):  # a finalizer may have removed it
                os.unlink(temporary)
        failpoint(CREATE_AFTER_LINK)
        _sync_folder(os.path.dirname(name))
        return True


def read_bytes(path: str) -> bytes:
    """The object's content. Raises FileNotFoundError."""
    if is_local(path):
        with open(_local(path), "rb") as file:
            return file.read()
    return _remote(path).cat_file(path)


def write_bytes(path: str, data: bytes, *, durable: bool = True) -> None:
    """Replaces the object atomically: a reader gets either the old content or the new.

    Args:
        durable: Whether it must survive a power loss (fsync); False for heartbeats, for example.
    """
    with clear_errors(path):
        if not is_local(path):
            _remote(path).pipe_file(path, data)
            return
        name = _local(path)
        os.replace(_write_temporary(name, data, durable=durable), name)
        if durable:
            _sync_folder(os.path.dirname(name))


def exists(path: str) -> bool:
    """Whether an object (or, locally, a folder) exists."""
    return os.path.exists(_local(path)) if is_local(path) else bool(_remote(path).exists(path))


def list_names(folder: str) -> list[str]:
    """Names of the objects and folders directly under `folder`, sorted; empty if it doesn't exist."""
    if is_local(folder):
        try:
            names = os.listdir(_local(folder))
        except (FileNotFoundError, NotADirectoryError):
            return []
    else:
        try:
            entries = _remote(folder).ls(folder, detail=False, refresh=True)
        except FileNotFoundError:
            return []
        inside = _remote(folder)._strip_protocol(folder).rstrip("/") + "/"
        # A listing may contain the folder's own placeholder object.
        names = [entry[len(inside) :].rstrip("/") for entry in entries if entry.startswith(inside)]
    return sorted(name for name in names if name and not name.startswith("."))


def remove(path: str) -> None:
    """Removes one object; does nothing if it doesn't exist."""
    with clear_errors(path), contextlib.suppress(FileNotFoundError):
        if is_local(path):
            os.unlink(_local(path))
        else:
            _remote(path).rm_file(path)


def remove_temporaries(folder: str, *, below: bool = False) -> None:
    """Removes temporary files of killed processes directly in a local folder or, with `below`, anywhere below it."""
    if not is_local(folder):
        return  # a bucket has none: objects are created atomically
    for parent, folders, names in os.walk(_local(folder)):
        for name in names:
            if _TEMPORARY.fullmatch(name):
                remove(join(parent, name))
        if not below:
            folders.clear()


@contextlib.contextmanager
def open_output(path: str) -> Iterator[OutputFile]:
    """Opens a new file under a name unique to the caller (an attempt's); the file is durable if the block succeeds.

    If the block raises, a partial local file is left behind, or a GCS upload is abandoned. In both cases no commit
    names the file, and the finalizer deletes it.
    """
    if not is_local(path):
        with clear_errors(path):
            file = _remote(path).open(path, "wb")
        try:
            yield OutputFile(path, file)
        except BaseException:
            with contextlib.suppress(OSError):
                file.discard()
            file.closed = True  # otherwise garbage collection would upload the partial file
            raise
        with clear_errors(path):
            file.close()
        return
    name = _local(path)
    with clear_errors(path):
        make_folders(os.path.dirname(name))
        file = open(name, "xb")  # noqa: SIM115 (closed below, where errors can name the path)
    try:
        yield OutputFile(path, file)
        with clear_errors(path):
            file.flush()
            os.fsync(file.fileno())
    finally:
        with clear_errors(path):
            file.close()
    _sync_folder(os.path.dirname(name))


def publish(attempt_path: str, final_path: str) -> None:
    """Gives an attempt's file its final name in addition; may be repeated, and replaces an existing file.

    Locally it creates a hard link (a copy if the file system has no hard links), on GCS a copy within the service.
    """
    with clear_errors(final_path):
        if not is_local(final_path):
            _remote(final_path).cp_file(attempt_path, final_path)
            return
        source, final = _local(attempt_path), _local(final_path)
        make_folders(os.path.dirname(final))
        temporary = _temporary_name(final)
        try:
            try:
                os.link(source, temporary)
            except FileNotFoundError:
                raise
            except OSError:
                shutil.copyfile(source, temporary)
                _sync_file(temporary)
            os.replace(temporary, final)
        finally:
            # Renaming a link onto another link to the same file keeps both names.
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
        _sync_folder(os.path.dirname(final))


def glob(patterns: str | Iterable[str]) -> list[str]:
    """The files that match any of the patterns (`*`, `?`, `[...]`, and `**` for any depth), each once, sorted.

    A pattern without wildcards matches the file of that name, if it exists. Hidden files never match a wildcard.
    """
    found: set[str] = set()
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        if is_local(pattern):
            literal = _local(pattern)
            # A file name may contain brackets.
            matches = [literal] if os.path.isfile(literal) else local_glob.iglob(literal, recursive=True)
            found.update(name for name in matches if os.path.isfile(name))
        else:
            remote = _remote(pattern)
            scheme = pattern.split("://", 1)[0]
            remote.invalidate_cache()
            for key, info in remote.glob(pattern, detail=True).items():
                if info["type"] == "file" and not posixpath.basename(key).startswith("."):
                    found.add(f"{scheme}://{key}")
    return sorted(found)


def file_info(path: str) -> tuple[int, str]:
    """The file's size in bytes and its version: generation (GCS), or size and modification time (local).

    The same version means the same content. Raises FileNotFoundError.
    """
    if is_local(path):
        stat = os.stat(_local(path))
        return stat.st_size, f"{stat.st_size}-{stat.st_mtime_ns}"
    remote = _remote(path)
    remote.invalidate_cache(path)
    info = remote.info(path)
    version = info.get("generation") or info.get("etag") or info.get("ETag") or info.get("mtime") or info.get("updated")
    return int(info["size"]), str(version)


def sha256_of(path: str) -> str:
    """SHA-256 of the file's bytes, in hex; reads the file in chunks."""
    digest = hashlib.sha256()
    with open_input(path) as file:
        while chunk := file.read(_COPY_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def open_input(path: str) -> IO[bytes]:
    """Opens a file for random-access reading, as pyarrow requires for Parquet."""
    return open(_local(path), "rb") if is_local(path) else _remote(path).open(path, "rb")


def _local(path: str) -> str:
    return path.removeprefix("file://")


def _remote(path: str) -> Any:
    """The fsspec file system of a URL. Listings are never cached: other processes write here too."""
    scheme = path.split("://", 1)[0]
    # An emulator has no accounts, and searching for credentials takes long if there are none.
    account = {"token": "anon"} if scheme in ("gs", "gcs") and os.environ.get("STORAGE_EMULATOR_HOST") else {}
    try:
        return fsspec.filesystem(scheme, use_listings_cache=False, **account)
    except (ValueError, ImportError) as error:
        raise ConfigError(f"{path}: storage scheme {scheme}:// is not supported ({error})") from error


def _create_remote(path: str, data: bytes) -> bool:
    try:
        # One request whatever the size: only then do all servers honor the precondition.
        _remote(path).pipe_file(path, data, mode="create", chunksize=len(data) + 1)
    except FileExistsError:
        return False
    return True


def _temporary_name(name: str) -> str:
    folder, base = os.path.split(name)
    return os.path.join(folder, f".{base}.{uuid.uuid4().hex}.tmp")


def _write_temporary(name: str, data: bytes, *, durable: bool = True) -> str:
    make_folders(os.path.dirname(name))
    temporary = _temporary_name(name)
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            if durable:
                os.fsync(file.fileno())
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    return temporary


def _sync_file(name: str) -> None:
    with open(name, "rb+") as file:
        os.fsync(file.fileno())


def _sync_folder(folder: str) -> None:
    descriptor = os.open(folder or ".", os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
