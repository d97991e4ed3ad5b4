"""Whether an output that says it is complete is all there.

`OUT/COMPLETED` is written last, with the size of every shard. An output that has it and lacks a shard, a page or a
part of one isn't complete: somebody has deleted or cut it since.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from jobs import storage
from jobs.storage.folders import DATA, PAGES, REJECTED, OutputFolder

_THREADS = 16


def read_completed(output: OutputFolder) -> dict[str, Any] | None:
    """What `COMPLETED` says; None where the output isn't complete, or is of a job that writes other shards."""
    try:
        done = json.loads(storage.read_bytes(output.completed))
    except (FileNotFoundError, ValueError):
        return None
    return done if isinstance(done, dict) else None


def missing_files(output: OutputFolder, done: Mapping[str, Any]) -> list[str]:
    """What of a complete output is no longer there, or no longer as long as it was written; relative paths.

    Args:
        output: The output folder.
        done: What `COMPLETED` says. `files` gives each shard's size.
    """
    present = {f"{folder}/{name}" for folder in (DATA, REJECTED) for name in storage.list_names(output.join(folder))}
    present |= set(storage.list_names(output.path))
    sizes: Mapping[str, int] = done.get("files", {})

    def is_whole(path: str) -> bool:
        return path in present and storage.file_info(output.join(path))[0] == sizes[path]

    with ThreadPoolExecutor(_THREADS, thread_name_prefix="look-up") as pool:
        whole = dict(zip(sizes, pool.map(is_whole, sizes), strict=True))
    return [path for path in sizes if not whole[path]] + [page for page in PAGES if page not in present]
