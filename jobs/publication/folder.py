"""Publishes to a local folder, which appears as a whole or not at all.

    .NAME.codemill-publish/     the files come here first, links to those of the output where that is possible
    NAME/                       then the folder is renamed; a published copy that is there is exchanged with it

A command that was killed is repeated: what is in the first folder already is kept. Exchanging is one step on Linux
(renameat2); on file systems without it there is no copy for a moment, and a repeated command puts the new one there.
A folder with a manifest is whole, the one with a dot as well: there the manifest goes first and comes last.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from jobs import storage
from jobs.publication.items import Item
from jobs.storage.failpoints import failpoint, register
from jobs.storage.folders import OutputFolder
from model.errors import ConfigError

STAGED_FIRST = register("publish.staged_first")
STAGED = register("publish.staged")
MOVED_ASIDE = register("publish.moved_aside")
AFTER_SWITCH = register("publish.after_switch")
INSIDE_REMOVAL = register("publish.inside_removal")

_AT_FDCWD: Final = -100
_RENAME_EXCHANGE: Final = 2


def publish_to_folder(items: Sequence[Item], target: str, check: Callable[[str], None]) -> bool:
    """Publishes files; returns False if they are published already.

    Args:
        items: The files, the manifest last.
        target: The folder.
        check: Called with the folder of all files before they get their place; raises ConfigError.

    Raises:
        ConfigError: The folder has other files.
    """
    target = os.path.realpath(target.removeprefix("file://"))  # of a link, the folder that it names
    parent, name = os.path.split(target)
    staging, old = (os.path.join(parent, f".{name}.codemill-{what}") for what in ("publish", "replaced"))
    if is_published(items, target):
        _remove_copies(staging, old)
        return False
    check_target(target)
    with storage.clear_errors(target):
        storage.make_folders(staging)
    stage(items, staging)
    check(staging)
    failpoint(STAGED)
    with storage.clear_errors(target):
        _switch(staging, target, old)
        _sync(parent)
    failpoint(AFTER_SWITCH)
    _remove_copies(staging, old)
    return True


def is_published(items: Sequence[Item], target: str) -> bool:
    """Whether the target has these files: its manifest is the same, and all of them are there with their sizes."""
    manifest = items[-1]
    try:
        if storage.read_bytes(OutputFolder(target).published) != storage.read_bytes(manifest.path):
            return False
        return all(storage.size_of_file(storage.join(target, item.name)) == item.num_bytes for item in items)
    except (FileNotFoundError, NotADirectoryError):
        return False


def check_target(target: str) -> None:
    """Raises ConfigError if the target has files that `codemill publish` has not put there."""
    if storage.is_local(target) and os.path.exists(target) and not os.path.isdir(target):
        raise ConfigError(f"{target} is a file; name a folder")
    names = storage.list_names(target)
    if names and not storage.exists(OutputFolder(target).published):
        shown = ", ".join(names[:3])
        raise ConfigError(f"{target} is not empty and no published dataset (it has {shown}); choose another folder")


def stage(items: Sequence[Item], staging: str, *, as_links: bool = False) -> list[Item]:
    """Puts all files in a local folder, and removes others that an earlier command left there; returns them there.

    Args:
        items: The files, the manifest last.
        staging: The folder.
        as_links: Whether symbolic links are enough for files that are local, so that none is copied.
    """
    wanted = {os.path.join(staging, item.name): item for item in items}
    storage.remove(OutputFolder(staging).published)  # of a whole copy, maybe of another dataset
    for folder, _, names in os.walk(staging):
        for name in names:
            if os.path.join(folder, name) not in wanted:
                os.unlink(os.path.join(folder, name))
    for path, item in wanted.items():
        if not _has(path, item):
            _place(item, path, as_link=as_links)
        failpoint(STAGED_FIRST)
    return [replace(item, path=path) for path, item in wanted.items()]


def _has(path: str, item: Item) -> bool:
    return os.path.exists(path) and os.stat(path).st_size == item.num_bytes and storage.sha256_of(path) == item.sha256


def _place(item: Item, path: str, *, as_link: bool) -> None:
    """Links or copies a local file, downloads another."""
    if as_link and storage.is_local(item.path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.symlink(os.path.abspath(item.path.removeprefix("file://")), path)
        return
    if storage.is_local(item.path):
        storage.publish(item.path, path)
        return
    part = f"{path}.part"
    storage.remove(part)
    with storage.open_input(item.path) as file, storage.open_output(part) as copy:
        shutil.copyfileobj(file, copy, 8 << 20)
    os.replace(part, path)


def _switch(staging: str, target: str, old: str) -> None:
    if not os.path.exists(target):
        os.rename(staging, target)
    elif not os.listdir(target):
        os.rename(staging, target)  # takes the place of an empty folder
    elif not _exchange(staging, target):
        _remove_copies(old)
        os.rename(target, old)
        failpoint(MOVED_ASIDE)
        os.rename(staging, target)


def _remove_copies(*folders: str) -> None:
    for folder in folders:
        storage.remove(OutputFolder(folder).published)
        failpoint(INSIDE_REMOVAL)
        storage.remove_tree(folder)


def _exchange(first: str, second: str) -> bool:
    """Exchanges the names of two folders in one step; False if this system can't."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    if rename(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE) == 0:
        return True
    if (code := ctypes.get_errno()) in (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP):
        return False
    raise OSError(code, os.strerror(code), second)


def _sync(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
