"""Merges all shards of a plan on this machine, several concurrently, because encoding Parquet releases the GIL.

Like units, shards are committed one by one, so a merge may be killed and run again at any point.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from jobs.finalize.shards import Kind, MergeSpec, merge_shard
from transforms.machine import available_cores

MERGES_AT_ONCE = 4


def merge_all(spec: MergeSpec, shards: Sequence[tuple[Kind, int]]) -> None:
    """Merges the shards; the first error cancels the others.

    Raises:
        StorageFull, DamagedAttempt, KeyboardInterrupt: As `merge_shard` does.
    """
    is_over = threading.Event()
    pool = ThreadPoolExecutor(min(MERGES_AT_ONCE, available_cores()), thread_name_prefix="merge")
    try:
        futures = [pool.submit(merge_shard, spec, *shard, is_over=is_over.is_set) for shard in shards]
        for future in futures:
            future.result()
    finally:
        is_over.set()
        pool.shutdown(cancel_futures=True)
