"""Publishes to a bucket: files first, the manifest `PUBLISHED.json` last; while it is missing, a copy isn't whole.

A marker for each file that is there, with its hash, lets a repeated command go on where one was killed. A file that is
replaced loses its marker first, a copy its manifest.
"""

from __future__ import annotations

import functools
import shutil
from collections.abc import Sequence

from jobs import storage
from jobs.publication.folder import check_target, is_published
from jobs.publication.items import Item
from jobs.storage.failpoints import failpoint, register
from jobs.storage.folders import DATA, PUBLISHING, REJECTED, OutputFolder

BUCKET_BEGUN = register("publish.bucket_begun")
BUCKET_WITHDRAWN = register("publish.bucket_withdrawn")
BUCKET_UNMARKED = register("publish.bucket_unmarked")
BUCKET_BEFORE_MARKER = register("publish.bucket_before_marker")
BUCKET_FIRST = register("publish.bucket_first")
INSIDE_OTHERS = register("publish.bucket_inside_others")
BEFORE_MANIFEST = register("publish.before_manifest")
AFTER_MANIFEST = register("publish.after_manifest")
INSIDE_MARKERS = register("publish.bucket_inside_markers")


def publish_to_bucket(items: Sequence[Item], target: str) -> bool:
    """Publishes files; returns False if they are published already.

    Args:
        items: The files, the manifest last.
        target: A URL that fsspec supports.

    Raises:
        ConfigError: The target has other files.
    """
    markers = storage.join(target, PUBLISHING)
    if is_published(items, target):
        _remove_markers(markers)
        return False
    if not storage.exists(OutputFolder(target).publishing):
        check_target(target)
        storage.create_if_absent(OutputFolder(target).publishing, b"1")
    failpoint(BUCKET_BEGUN)
    storage.remove(OutputFolder(target).published)
    failpoint(BUCKET_WITHDRAWN)
    *files, manifest = items
    for item in files:
        marker, sha256 = storage.join(markers, item.name.replace("/", "+")), item.sha256.encode()
        final = storage.join(target, item.name)
        if not (_content(marker) == sha256 and _has_size(final, item.num_bytes)):
            storage.remove(marker)
            failpoint(BUCKET_UNMARKED)
            _put(item, final)
            failpoint(BUCKET_BEFORE_MARKER)
            storage.write_bytes(marker, sha256)
        failpoint(BUCKET_FIRST)
    _remove_others(target, {item.name for item in items})
    failpoint(BEFORE_MANIFEST)
    _put(manifest, storage.join(target, manifest.name))
    failpoint(AFTER_MANIFEST)
    _remove_markers(markers)
    return True


def _content(path: str) -> bytes | None:
    try:
        return storage.read_bytes(path)
    except FileNotFoundError:
        return None


def _has_size(path: str, num_bytes: int) -> bool:
    try:
        return storage.size_of_file(path) == num_bytes
    except FileNotFoundError:
        return False


def _put(item: Item, final: str) -> None:
    if not storage.is_local(item.path):
        storage.publish(item.path, final)  # within the service
        return
    storage.with_new_attempts(functools.partial(_upload, item.path, final))


def _upload(path: str, final: str) -> None:
    with storage.open_input(path) as file, storage.open_output(final) as copy:
        shutil.copyfileobj(file, copy, 8 << 20)


def _remove_others(target: str, names: set[str]) -> None:
    """Removes files of an earlier copy that this one doesn't have."""
    below = [
        f"{folder}/{name}" for folder in (DATA, REJECTED) for name in storage.list_names(storage.join(target, folder))
    ]
    here = [name for name in storage.list_names(target) if "." in name]
    for name in {*below, *here} - names:
        storage.remove(storage.join(target, name))
        failpoint(INSIDE_OTHERS)


def _remove_markers(markers: str) -> None:
    for name in storage.list_names(markers):
        storage.remove(storage.join(markers, name))
        failpoint(INSIDE_MARKERS)
