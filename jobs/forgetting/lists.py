"""What is to be forgotten, as it was asked for: kept in `_job` so that it never comes back, and published as hashes.

    _job/forgotten.json    entries, paths, blobs and content hashes as they are; workers compare the rows that they read
    REMOVALS.json          published: their SHA-256, when, and how many rows went

A hash hides a name only from those who don't guess it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jobs import storage
from jobs.storage.folders import JobFolder, OutputFolder
from model.errors import ConfigError
from transforms.opt_out.lists import OptOut, parse_opt_out
from transforms.opt_out.selection import Selection

_HEX = frozenset("0123456789abcdef")
_LENGTHS = {"blob": 40, "content_hash": 64}


@dataclass(frozen=True)
class Asked:
    """What was asked for, each list sorted."""

    repositories: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    blobs: tuple[str, ...] = ()
    content_hashes: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return any(vars(self).values())

    def __add__(self, other: Asked) -> Asked:
        return Asked(*(tuple(sorted({*mine, *others})) for mine, others in zip(self._all, other._all, strict=True)))

    def selection(self) -> Selection:
        """What finds the rows."""
        entries = parse_opt_out([("what is to be forgotten", "\n".join(self.repositories).encode())])
        return Selection(entries, frozenset(self.paths), frozenset(self.blobs), frozenset(self.content_hashes))

    def hashed(self) -> dict[str, list[str]]:
        """The same as it is published."""
        return {
            name: [hashlib.sha256(value.encode()).hexdigest() for value in values]
            for name, values in vars(self).items()
            if values
        }

    def to_json(self) -> bytes:
        """The content of `_job/forgotten.json`."""
        return json.dumps(vars(self), indent=1).encode()

    @property
    def _all(self) -> tuple[tuple[str, ...], ...]:
        return tuple(vars(self).values())


def asked_for(opt_out: OptOut | None, paths: Sequence[str], blobs: Sequence[str], hashes: Sequence[str]) -> Asked:
    """Checks what the user names.

    Raises:
        ConfigError: Nothing is named, or a hash has another form.
    """
    for flag, values in (("blob", blobs), ("content_hash", hashes)):
        for value in values:
            if len(value) != _LENGTHS[flag] or not set(value.lower()) <= _HEX:
                kind = "git's SHA-1 of a file" if flag == "blob" else "the SHA-256 of a content"
                raise ConfigError(f"--{flag} {value!r} is no hash; pass {kind}, {_LENGTHS[flag]} hexadecimal digits")
    repositories = [str(entry) for entry in opt_out.entries] if opt_out else []
    lower = [[value.lower() for value in values] for values in (blobs, hashes)]
    asked = Asked(tuple(repositories), tuple(paths), *map(tuple, lower)) + Asked()
    if not asked:
        raise ConfigError("nothing to forget; pass --opt_out, --path, --blob or --content_hash")
    return asked


def read_forgotten(job_dir: JobFolder) -> Asked:
    """What has been forgotten in an output so far."""
    try:
        lists = json.loads(storage.read_bytes(job_dir.forgotten))
    except FileNotFoundError:
        return Asked()
    return Asked(**{name: tuple(values) for name, values in lists.items()})


def removals(output: OutputFolder, entry: dict[str, Any]) -> bytes:
    """The content of REMOVALS.json with one more entry."""
    before = json.loads(storage.read_bytes(output.removals)) if storage.exists(output.removals) else []
    return json.dumps([*before, entry], indent=1).encode()
