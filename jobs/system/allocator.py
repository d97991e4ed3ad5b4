"""Has Arrow give freed memory back to the system, so that a process holds what it uses and not what it once used.

Arrow reads these variables when it is imported, in this process and in all that it starts.

    mimalloc, Arrow's default       keeps as much memory again as tables take
    jemalloc                        four arenas a core, each of which keeps what its threads have freed for a second
    jemalloc, two arenas, 0.2 s     as fast, and a merge of 293 MB takes 60 MB less (docs/log.md has other settings)
"""

from __future__ import annotations

import os

_SETTINGS = {
    "ARROW_DEFAULT_MEMORY_POOL": "jemalloc",
    "JE_ARROW_MALLOC_CONF": "narenas:2,dirty_decay_ms:200,muzzy_decay_ms:0",
}


def choose_allocator() -> None:
    """Sets what isn't set in the environment yet; for Linux, before Arrow is imported."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
