"""Access to a job's files: one interface to local folders and `gs://` buckets.

A path is a plain string: a local path, or a URL that fsspec supports (`gs://bucket/key`). The commit protocol relies on
`create_if_absent`: of any number of concurrent callers, at most one creates the object, and no reader ever gets a
partial object.

- Locally: a temporary file in the same folder, fsync, hard link to the final name (which fails if it exists),
  fsync of the folder, unlink of the temporary name. An empty object is created under its final name right away.
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
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Any

from jobs.errors import UploadLost
from jobs.storage.errors import clear_errors, is_local, make_folders, upload_errors, with_new_attempts
from jobs.storage.failpoints import failpoint, register
from jobs.storage.output_file import OutputFile
from jobs.storage.remote import file_system as _remote
from jobs.storage.remote import list_part
from model.errors import ConfigError

CREATE_AFTER_TEMP = register("storage.create_after_temp")
CREATE_AFTER_LINK = register("storage.create_after_link")

_COPY_CHUNK_BYTES = 8 << 20
_MOST_END_BYTES = 64 << 20
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
        if not data:
            return _create_empty(name)
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


def read_part(path: str, begin: int, end: int) -> bytes:
    """The object's bytes from `begin` up to `end`, of a URL in one request. Raises FileNotFoundError."""
    if is_local(path):
        with open(_local(path), "rb") as file:
            file.seek(begin)
            return file.read(end - begin)
    return _remote(path).cat_file(path, start=begin, end=end)


def write_bytes(path: str, data: bytes, *, durable: bool = True) -> None:
    """Replaces the object atomically: a reader gets either the old content or the new.

    Args:
        durable: Whether it must survive a power loss (fsync); False for heartbeats, for example.
    """
    with clear_errors(path):
        if not is_local(path):
            with_new_attempts(lambda: _pipe(path, data))
            return
        name = _local(path)
        temporary = _write_temporary(name, data, durable=durable)
        try:
            os.replace(temporary, name)
        except BaseException:  # a signal, too
            _unlink_if_there(temporary)
            raise
        if durable:
            _sync_folder(os.path.dirname(name))


def exists(path: str) -> bool:
    """Whether an object (or, locally, a folder) exists."""
    return os.path.exists(_local(path)) if is_local(path) else bool(_remote(path).exists(path))


def list_names(folder: str, *, first: str = "", last: str = "") -> list[str]:
    """Names of the objects and folders directly under `folder`, sorted; empty if it doesn't exist.

    Args:
        first, last: Only the names between these two, themselves included; "": no such bound.
    """
    return [name for name in _list_names(folder, first, last) if first <= name and (not last or name <= last)]


def _list_names(folder: str, first: str, last: str) -> list[str]:
    if is_local(folder):
        try:
            names = os.listdir(_local(folder))
        except (FileNotFoundError, NotADirectoryError):
            return []
    else:
        if last and (part := list_part(folder, first, last)) is not None:
            return part
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


def remove_tree(folder: str) -> None:
    """Removes a folder and all below it; does nothing if it doesn't exist. May be repeated after a kill."""
    with clear_errors(folder), contextlib.suppress(FileNotFoundError):
        if is_local(folder):
            shutil.rmtree(_local(folder), onerror=_unless_gone)
        else:
            remote = _remote(folder)
            remote.invalidate_cache()
            remote.rm(folder, recursive=True)


def _unless_gone(function: object, path: str, info: Any) -> None:
    """What a host removes at the same time doesn't end the removal of the rest."""
    if not isinstance(info[1], FileNotFoundError):
        raise info[1]


def make_job_folder(folder: str, *, shared: bool) -> None:
    """Makes a local folder that only its owner can open, or, if `shared`, one with the permissions of any new folder.

    A folder that exists keeps its permissions, but is opened to others if `shared`. A bucket has its own permissions.
    """
    if not is_local(folder):
        return
    name = _local(folder)
    with clear_errors(folder):
        make_folders(os.path.dirname(name))
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, 0o777 if shared else 0o700)
        if shared and os.stat(name).st_uid == os.getuid():
            mask = os.umask(0)
            os.umask(mask)
            os.chmod(name, 0o777 & ~mask)


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
def open_output(path: str, *, durable: bool = True) -> Iterator[OutputFile]:
    """Opens a new file under a name unique to the caller (an attempt's); the file is durable if the block succeeds.

    If the block raises, a partial local file is left behind, or a GCS upload is abandoned. In both cases no commit
    names the file, and the finalizer deletes it.

    Args:
        path: The file.
        durable: Whether it must survive a power loss (fsync); False for what is only read in this run.

    Raises:
        UploadLost: The upload must start again, under another name (`with_new_attempts`).
    """
    if not is_local(path):
        with _remote_output(path) as output:
            yield output
        return
    name = _local(path)
    with clear_errors(path):
        make_folders(os.path.dirname(name))
        file = open(name, "xb")  # noqa: SIM115 (closed below, where errors can name the path)
    try:
        yield OutputFile(path, file)
        with clear_errors(path):
            file.flush()
            if durable:
                os.fsync(file.fileno())
    finally:
        with clear_errors(path):
            file.close()
    if durable:
        _sync_folder(os.path.dirname(name))


def make_durable(paths: Collection[str]) -> None:
    """Has files survive a power loss that were written with `durable=False`; those in a bucket do anyway.

    Files are synchronized side by side, since a file system writes what waits at the same time together.
    """
    files = [_local(path) for path in paths if is_local(path)]
    if not files:
        return

    def sync(name: str) -> None:
        with clear_errors(name):
            _sync_file(name)

    first, *others = files
    with ThreadPoolExecutor(max(1, len(others)), thread_name_prefix="sync") as pool:
        waiting = [pool.submit(sync, name) for name in others]
        sync(first)
        for each in waiting:
            each.result()
    for folder in sorted({os.path.dirname(name) for name in files}):  # which takes little once their files are there
        with clear_errors(folder):
            _sync_folder(folder)


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
            try:
                listed = remote.glob(pattern, detail=True)
            except FileNotFoundError as error:
                raise ConfigError(f"can't read {pattern}: not found; does the bucket exist?") from error
            for key, info in listed.items():
                if info["type"] == "file" and not posixpath.basename(key).startswith("."):
                    found.add(f"{scheme}://{key}")
    return sorted(found)


def size_of_file(path: str) -> int:
    """The file's size in bytes, which is all that is asked for. Raises FileNotFoundError."""
    if is_local(path):
        return os.stat(_local(path)).st_size
    remote = _remote(path)
    remote.invalidate_cache(path)
    return int(remote.info(path)["size"])


def file_info(path: str) -> tuple[int, str]:
    """The file's size in bytes and its version: generation (GCS), or size, modification time and a hash of its last
    bytes (local), which `has_version` compares. Raises FileNotFoundError.
    """
    if is_local(path):
        stat = os.stat(_local(path))
        return stat.st_size, f"{stat.st_size}-{stat.st_mtime_ns}-{_hash_of_end(path)}"
    remote = _remote(path)
    remote.invalidate_cache(path)
    info = remote.info(path)
    version = info.get("generation") or info.get("etag") or info.get("ETag") or info.get("mtime") or info.get("updated")
    return int(info["size"]), str(version)


def has_version(path: str, version: str) -> bool:
    """Whether the file still has the content that it had when `file_info` gave the version.

    A local file has, if size and modification time are the same, or size and the end, where Parquet's footer tells
    places, sizes and bounds of all columns: to touch or to copy a file doesn't change it. A change that leaves size and
    footer as they are isn't seen (one letter for another may compress to as many bytes). Raises FileNotFoundError.
    """
    if not is_local(path):
        return file_info(path)[1] == version
    stat = os.stat(_local(path))
    if f"{version}-".startswith(f"{stat.st_size}-{stat.st_mtime_ns}-"):  # cheaper than to split it, for many files
        return True
    size, _, *end = version.split("-")
    return size == str(stat.st_size) and end == [_hash_of_end(path)]


def _hash_of_end(path: str) -> str:
    """Hash of a local file's last bytes: all of a Parquet file's footer, unless it is unusually long."""
    with open_input(path) as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 8))
        tail = file.read(8)
        length = int.from_bytes(tail[:4], "little") + 8 if tail[4:] == b"PAR1" else _MOST_END_BYTES
        file.seek(max(0, size - min(length, _MOST_END_BYTES)))
        return hashlib.sha256(file.read()).hexdigest()[:16]


def sha256_of(path: str) -> str:
    """SHA-256 of the file's bytes, in hex; reads the file in chunks."""
    digest = hashlib.sha256()
    with open_input(path) as file:
        while chunk := file.read(_COPY_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def open_input(path: str) -> IO[bytes]:
    """Opens a file for random-access reading, as pyarrow requires for Parquet."""
    # Not blocking: opening a FIFO would wait for its writer, reading from it fails at the first seek.
    return open(_local(path), "rb", opener=_open_unblocked) if is_local(path) else _remote(path).open(path, "rb")


def _open_unblocked(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def _local(path: str) -> str:
    return path.removeprefix("file://")


@contextlib.contextmanager
def _remote_output(path: str) -> Iterator[OutputFile]:
    with clear_errors(path):
        # Requests are repeated, so what is stored is compared with what was sent.
        file = _remote(path).open(path, "wb", consistency="md5")
    output = OutputFile(path, file)
    try:
        yield output
        _close_upload(output, file)
    except BaseException:
        with contextlib.suppress(Exception):
            file.discard()
        raise
    finally:
        file.closed = True  # otherwise garbage collection would upload a partial file


def _close_upload(output: OutputFile, file: Any) -> None:
    try:
        with upload_errors(output.path):
            file.close()
    except UploadLost:
        # If only the last response was lost, the repeated request finds its session gone and the object complete.
        if not _is_stored(output):
            raise


def _is_stored(output: OutputFile) -> bool:
    """Whether the object exists with the bytes that were written."""
    try:
        return file_info(output.path)[0] == output.bytes and sha256_of(output.path) == output.sha256
    except FileNotFoundError:
        return False


def _pipe(path: str, data: bytes) -> None:
    with upload_errors(path):
        _remote(path).pipe_file(path, data)


def _create_empty(name: str) -> bool:
    """Creates an empty file, of which nobody can see a part: a kill leaves no temporary file behind."""
    make_folders(os.path.dirname(name))
    try:
        with open(name, "xb"):
            pass
    except FileExistsError:
        return False
    _sync_folder(os.path.dirname(name))
    return True


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
    except BaseException:  # a signal, too
        _unlink_if_there(temporary)
        raise
    return temporary


def _unlink_if_there(name: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(name)


def _sync_file(name: str) -> None:
    with open(name, "rb+") as file:
        os.fsync(file.fileno())


def _sync_folder(folder: str) -> None:
    descriptor = os.open(folder or ".", os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
