"""Where checkpoints and vocabularies lie: local folders and `gs://` (or anything fsspec opens), read alike.

No JAX. Nothing is opened until it is asked for.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

from model.errors import ConfigError
from model.packaged import PACKAGED, packaged_file

# Models that ship with the package, by the name that `load` takes.
SHIPPED = {"embedded": Path(__file__).parent / "embedded"}


def resolve(path: str | os.PathLike[str]) -> str:
    """Turn the name of a model that ships with codemill or comes in packages into its place; leave paths as they are.

    Raises:
        ConfigError: The model's packages aren't installed (`model.packaged`).
    """
    name = os.fspath(path)
    if name in PACKAGED:
        return packaged_file(name)
    return str(SHIPPED[name]) if name in SHIPPED else name


def filesystem(path: str | os.PathLike[str]) -> tuple[Any, str]:
    """The fsspec file system of a path or URL, and the path as that file system writes it."""
    import fsspec

    # Off Google's network this probe of gcsfs can stall each operation for half a minute.
    os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    return fsspec.core.url_to_fs(resolve(path))


def join(folder: str | os.PathLike[str], name: str) -> str:
    """A file's path inside a folder, for paths and URLs alike."""
    return f"{os.fspath(folder).rstrip('/')}/{name}"


def read_bytes(path: str | os.PathLike[str], *, max_bytes: int = 256 << 20) -> bytes:
    """All bytes of one file that is meant to be small: a config, an index, a vocabulary.

    Raises:
        ConfigError: It isn't there, is no regular file, or is larger than `max_bytes`.
    """
    if (size := file_size(path)) > max_bytes:
        raise ConfigError(f"{os.fspath(path)} has {size:,} bytes; a file of its kind has at most {max_bytes:,}")
    return read_range(path, 0, size)


def read_range(path: str | os.PathLike[str], begin: int, end: int) -> bytes:
    """The bytes from `begin` up to `end` of one file; a ConfigError if it hasn't so many."""
    files, inner = filesystem(path)
    try:
        content = files.cat_file(inner, start=begin, end=end)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise ConfigError(f"there is no file {os.fspath(path)}") from None
    if len(content) != end - begin:
        raise ConfigError(f"{os.fspath(path)} is cut short: it ends at byte {begin + len(content)}, not at {end}")
    return content


def file_size(path: str | os.PathLike[str]) -> int:
    """Bytes of one file.

    Raises:
        ConfigError: It isn't there, or is no regular file: opening a pipe would wait for good.
    """
    files, inner = filesystem(path)
    if _is_local(files):
        size = _local_size(inner)
    else:
        size = int(files.size(inner)) if files.isfile(inner) else None
    if size is None:
        raise ConfigError(f"there is no file {os.fspath(path)}")
    return size


def exists(path: str | os.PathLike[str]) -> bool:
    """Whether there is a file or folder at the path."""
    files, inner = filesystem(path)
    return files.exists(inner)


def is_folder(path: str | os.PathLike[str]) -> bool:
    """Whether the path is a folder (or, in an object store, a prefix with something below)."""
    files, inner = filesystem(path)
    return files.isdir(inner)


def list_files(folder: str | os.PathLike[str]) -> dict[str, int]:
    """Every file below a folder: its path relative to it, and its size in bytes; in name order.

    A link counts as the file that it leads to; one that leads nowhere has 0 bytes, and can't be read.

    Raises:
        ConfigError: Something there is neither a file nor a folder.
    """
    files, inner = filesystem(folder)
    found = sorted(files.find(inner, detail=True).items())
    root = inner.rstrip("/") + "/"
    if not _is_local(files):
        return {name.removeprefix(root): int(info["size"]) for name, info in found}
    return {name.removeprefix(root): _local_size(name) or 0 for name, _ in found if not os.path.isdir(name)}


def _is_local(files: Any) -> bool:
    return "file" in files.protocol


def _local_size(path: str) -> int | None:
    """Bytes of a regular file, links followed; None where there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    if stat.S_ISDIR(status.st_mode):
        return None
    if not stat.S_ISREG(status.st_mode):
        raise ConfigError(f"{path} is a pipe, a socket or a device; a model's files are regular files")
    return status.st_size
