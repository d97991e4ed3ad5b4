"""Checks that an output marked as complete still has all its files.

`OUT/COMPLETED` is written last, with the size of every shard. If an output has it but a shard or page is missing, or a
shard has another size, the output is not complete: a file was deleted or truncated afterward.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from jobs import storage
from jobs.storage.folders import DATA, PAGES, REJECTED, OutputFolder

INTENT_ENDING = ".json"
_THREADS = 16


def read_completed(output: OutputFolder) -> dict[str, Any] | None:
    """Returns the content of `COMPLETED`; None if it is missing or, as another kind of job writes it, not JSON."""
    try:
        done = json.loads(storage.read_bytes(output.completed))
    except (FileNotFoundError, ValueError):
        return None
    return done if isinstance(done, dict) else None


def has_pending(output: OutputFolder) -> bool:
    """Whether a change of a complete output has been decided and isn't done (`jobs.finalize.rewriting`)."""
    return any(name.endswith(INTENT_ENDING) for name in storage.list_names(output.job.rewrites))


def missing_files(output: OutputFolder, done: Mapping[str, Any]) -> list[str]:
    """Returns the relative paths of shards and pages that are missing, and of shards whose size has changed.

    Args:
        output: The output folder.
        done: The content of `COMPLETED`; `files` maps each shard to its size in bytes.
    """
    present = {f"{folder}/{name}" for folder in (DATA, REJECTED) for name in storage.list_names(output.join(folder))}
    present |= set(storage.list_names(output.path))
    sizes: Mapping[str, int] = done.get("files", {})

    def is_whole(path: str) -> bool:
        return path in present and storage.size_of_file(output.join(path)) == sizes[path]

    with ThreadPoolExecutor(_THREADS, thread_name_prefix="look-up") as pool:
        whole = dict(zip(sizes, pool.map(is_whole, sizes), strict=True))
    return [path for path in sizes if not whole[path]] + [page for page in PAGES if page not in present]
