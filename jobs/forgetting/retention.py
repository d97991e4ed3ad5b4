"""Drops old editions of a grown dataset: their manifests, and the files that only they have.

    _editions/0001/manifest.json    names the files of edition 1, wherever they are
    _editions/0001/data/...         shards that no later edition has

Manifests go first, from the oldest on, so an edition is never named of which a file is gone. Then files below
`_editions` that no manifest names: if the command is killed, the same one removes what is left.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from jobs import storage
from jobs.finalize.rewriting import FINISHED, PENDING, finish_pending
from jobs.growth.editions import editions_with_manifests, read_manifest
from jobs.ledger.completed import has_pending
from jobs.ledger.lock import acquire
from jobs.storage.failpoints import failpoint, register
from jobs.storage.folders import DATA, REJECTED, OutputFolder
from model.errors import ConfigError

BEFORE_MANIFEST = register("retain.before_manifest")
AFTER_MANIFEST = register("retain.after_manifest")
AFTER_FILE = register("retain.after_file")


@dataclass(frozen=True)
class Dropped:
    """What was dropped: editions, files and bytes."""

    editions: tuple[int, ...]
    files: int
    bytes: int


def retain(
    path: str,
    editions: int,
    *,
    dry_run: bool = False,
    break_lock: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> Dropped:
    """Keeps the newest editions of a dataset and drops the others.

    Args:
        path: The dataset.
        editions: How many stay, the newest included.
        dry_run: Change nothing.
        break_lock: Take the lock of a process that seems alive.
        say: Tells the user that a removal (`codemill forget`) which was interrupted is finished first.

    Raises:
        ConfigError: It isn't complete, or somebody writes to it.
    """
    local = storage.is_local(path)
    output = OutputFolder(os.path.abspath(path.removeprefix("file://")) if local else path.rstrip("/"))
    if dry_run:
        if has_pending(output):
            raise ConfigError(PENDING.format(output))
        _refuse_incomplete(output)
        return _retain(output, editions, dry_run=True)
    if not has_pending(output):
        _refuse_incomplete(output)
    with acquire(output.job, break_lock=break_lock):
        if finish_pending(output):
            say(FINISHED.format(output))
        _refuse_incomplete(output)
        return _retain(output, editions, dry_run=False)


def _refuse_incomplete(output: OutputFolder) -> None:
    if not storage.exists(output.completed):
        raise ConfigError(f"{output} is not a complete output of codemill; run the job's own command again first")


def _retain(output: OutputFolder, editions: int, *, dry_run: bool) -> Dropped:
    manifests = {one.edition: read_manifest(one)["files"] for one in editions_with_manifests(output)}
    old = sorted(manifests)[: max(0, len(manifests) - editions)]
    kept = {output.join(path) for number, files in manifests.items() if number not in old for path in files}
    if not dry_run:
        for number in old:
            failpoint(BEFORE_MANIFEST)
            storage.remove(output.of_edition(number).manifest)
            failpoint(AFTER_MANIFEST)
    folders = _folders(output)
    sizes = [(path, storage.size_of_file(path)) for path in shards_of_editions(output) if path not in kept]
    if not dry_run:
        for path, _ in sizes:
            storage.remove(path)
            failpoint(AFTER_FILE)
        for number, folder in folders.items():
            if number not in manifests or number in old:
                storage.remove_tree(folder)
    return Dropped(tuple(old), len(sizes), sum(size for _, size in sizes))


def _folders(output: OutputFolder) -> dict[int, str]:
    """The folders of editions, with or without a manifest."""
    names = storage.list_names(output.earlier)
    return {int(name): storage.join(output.earlier, name) for name in names if name.isdigit()}


def shards_of_editions(output: OutputFolder) -> list[str]:
    """The shards below the folders of editions, whether a manifest names them or not."""
    below = [storage.join(folder, name) for folder in _folders(output).values() for name in (DATA, REJECTED)]
    return [storage.join(folder, name) for folder in below for name in storage.list_names(folder)]
