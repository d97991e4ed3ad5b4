"""Where checkpoints and vocabularies lie: local folders and `gs://` (or anything fsspec opens), read alike.

No JAX. Nothing is opened until it is asked for.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from model.errors import ConfigError

# Models that ship with the package, by the name that `load` takes.
SHIPPED = {"embedded": Path(__file__).parent / "embedded"}


def resolve(path: str | os.PathLike[str]) -> str:
    """Turn the name of a model that ships with the package into its folder; leave paths as they are."""
    name = os.fspath(path)
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


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """All bytes of one file; a ConfigError if it isn't there."""
    files, inner = filesystem(path)
    try:
        return files.cat_file(inner)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise ConfigError(f"there is no file {os.fspath(path)}") from None


def exists(path: str | os.PathLike[str]) -> bool:
    """Whether there is a file or folder at the path."""
    files, inner = filesystem(path)
    return files.exists(inner)


def is_folder(path: str | os.PathLike[str]) -> bool:
    """Whether the path is a folder (or, in an object store, a prefix with something below)."""
    files, inner = filesystem(path)
    return files.isdir(inner)


def list_files(folder: str | os.PathLike[str]) -> dict[str, int]:
    """Every file below a folder: its path relative to it, and its size in bytes; in name order."""
    files, inner = filesystem(folder)
    found = files.find(inner, detail=True)
    root = inner.rstrip("/") + "/"
    return {name.removeprefix(root): int(info["size"]) for name, info in sorted(found.items())}
