"""What of a job is for everybody, and whether it is all there.

    data/ rejected/ README.md report.html summary.json    published: they name files by their public names, and options
                                                          without the maker's folders
    _job/                                                 the maker's own books: they hold paths as they are
    COMPLETED                                             written last, with the size of every shard

An output that says COMPLETED and lacks any of it isn't complete: somebody has deleted or cut it since.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from jobs import storage
from jobs.catalog import options_of
from jobs.finalize.shards import FOLDERS
from jobs.options.fields import fields_of

COMPLETED = "COMPLETED"
PAGES = ("summary.json", "README.md", "report.html")
_THREADS = 16


def public_options(job: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """A job's options as they are published: of files and folders only the last part of the name.

    >>> public_options("infill", {"model": "/home/me/codegemma-2b", "input": ["in/a.parquet"], "seed": 1})
    {'model': 'codegemma-2b', 'input': ['a.parquet'], 'seed': 1}
    """
    paths = {field.name for field in fields_of(options_of(job)) if field.is_path}
    return {name: _public_value(value, is_path=name in paths) for name, value in options.items()}


def _public_value(value: Any, *, is_path: bool) -> Any:
    if isinstance(value, list):
        return [_public_value(one, is_path=is_path) for one in value]
    if not isinstance(value, str):
        return value
    # An option that is no path may still be given one.
    is_path = is_path or value.startswith(("/", "~", "file://"))
    return os.path.basename(value.rstrip("/")) if is_path else value


def read_completed(output: str) -> dict[str, Any] | None:
    """What `COMPLETED` says; None where the output isn't complete, or is of a job that writes other shards."""
    try:
        done = json.loads(storage.read_bytes(storage.join(output, COMPLETED)))
    except (FileNotFoundError, ValueError):
        return None
    return done if isinstance(done, dict) else None


def missing_files(output: str, done: Mapping[str, Any]) -> list[str]:
    """What of a complete output is no longer there, or no longer as long as it was written; relative paths.

    Args:
        output: The output folder.
        done: What `COMPLETED` says. `files` gives each shard's size.
    """
    present = {
        f"{folder}/{name}" for folder in FOLDERS.values() for name in storage.list_names(storage.join(output, folder))
    }
    present |= set(storage.list_names(output))
    sizes: Mapping[str, int] = done.get("files", {})

    def is_whole(path: str) -> bool:
        return path in present and storage.file_info(storage.join(output, path))[0] == sizes[path]

    with ThreadPoolExecutor(_THREADS, thread_name_prefix="look-up") as pool:
        whole = dict(zip(sizes, pool.map(is_whole, sizes), strict=True))
    return [path for path in sizes if not whole[path]] + [page for page in PAGES if page not in present]
