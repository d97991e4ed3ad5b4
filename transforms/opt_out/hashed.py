"""Repositories as hashes, with which opt-out entries are still compared: for records that must not name them.

    hash of the host (zeros: none) | hash of the owner | hash of owner/name | ... (deeper with subgroups)

Each is 8 bytes of BLAKE2b. Entries are compared as in `transforms.opt_out.lists`: an owner or a group with any of the
paths, a repository with the last one, hosts only where both sides name one.
"""

from __future__ import annotations

import functools
import hashlib
from collections import defaultdict
from typing import Final

from transforms.opt_out.lists import OptOut, Repository, repository_of

_BYTES: Final = 8
_NO_HOST: Final = bytes(_BYTES)


@functools.lru_cache(maxsize=65536)
def hashed_repository(name: str) -> bytes:
    """The hashes of a corpus's repository."""
    repository = repository_of(name) or Repository(name.strip().lower())
    parts = repository.path.split("/")
    paths = ["/".join(parts[: length + 1]) for length in range(len(parts))]
    return _host_of(repository) + b"".join(map(_hash, paths))


class HashedOptOut:
    """The entries of opt-out lists, for repositories that are known by their hashes.

    Args:
        opt_out: The entries.
    """

    def __init__(self, opt_out: OptOut):
        self.entries = opt_out.entries
        self._by_path: dict[bytes, list[int]] = defaultdict(list)
        for number, entry in enumerate(self.entries):
            self._by_path[_hash(entry.repository.path)].append(number)
        self.find = functools.lru_cache(maxsize=65536)(self._find)

    def _find(self, repository: bytes) -> tuple[int, ...]:
        """The numbers of all entries that a repository (`hashed_repository`) falls under."""
        host, *paths = (repository[start : start + _BYTES] for start in range(0, len(repository), _BYTES))
        found = []
        for place, path in enumerate(paths, start=1):
            for number in self._by_path.get(path, ()):
                entry = self.entries[number]
                hosts = {_host_of(entry.repository), host} - {_NO_HOST}
                if (place == len(paths) or entry.is_owner) and len(hosts) < 2:
                    found.append(number)
        return tuple(found)


def _host_of(repository: Repository) -> bytes:
    return _hash(repository.host) if repository.host else _NO_HOST


def _hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_BYTES).digest()
