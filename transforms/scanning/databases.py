"""Hyperscan databases: compiled once per user and machine, then read from the user's cache (`transforms.user_cache`).

Compiling the project's triggers takes half a second of processor time, reading them from the cache a millisecond, and
every worker process needs them. An entry's name is a hash of all that a database depends on: the expressions with their
ids and flags, the versions of Hyperscan and of its binding, the platform, and the features of the processor that it is
compiled for. Hyperscan itself checks version, processor and a checksum when it reads a database.
"""

from __future__ import annotations

import functools
import hashlib
import json
import platform
import sys
from collections.abc import Mapping
from typing import Any, Final

from model.errors import ConfigError
from transforms.scanning.rule import Rule
from transforms.user_cache import read_entry, write_entry

_FORMAT: Final = 1


def open_database(rules: Mapping[int, Rule]) -> Any:
    """The database of the rules' triggers, each with its key as id. Raises ConfigError naming the rule that Hyperscan
    can't compile."""
    import hyperscan

    expressions = [rule.trigger.expression.encode("utf-8") for rule in rules.values()]
    name = _entry_name(expressions, list(rules))
    data = read_entry(name)
    if data is not None:
        try:
            return hyperscan.loadb(data, hyperscan.HS_MODE_BLOCK)
        except hyperscan.HyperscanError:
            pass  # of another version or processor, whatever its name says
    try:
        database = _compiled(expressions, list(rules))
    except hyperscan.HyperscanError as error:
        raise ConfigError(f"rule {_culprit(rules)}: Hyperscan rejects the pattern: {error}") from None
    write_entry(name, hyperscan.dumpb(database))
    return database


def _entry_name(expressions: list[bytes], ids: list[int]) -> str:
    parts = [_FORMAT, *_environment(), [[i, e.decode("utf-8")] for i, e in zip(ids, expressions, strict=True)]]
    return "hyperscan-" + hashlib.sha256(json.dumps(parts).encode()).hexdigest()


@functools.cache
def _environment() -> tuple[str, ...]:
    """What a database depends on beside the expressions. Hyperscan tells its version, the processor's features and the
    mode for a database only, so a small one is compiled (0.1 ms)."""
    import hyperscan

    about = _compiled([b"a"], [0]).info()
    return hyperscan.__version__, about.decode("utf-8", "replace"), sys.platform, platform.machine(), sys.byteorder


def _compiled(expressions: list[bytes], ids: list[int]) -> Any:
    import hyperscan

    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    database.compile(expressions=expressions, ids=ids, elements=len(ids), flags=[0] * len(ids))
    return database


def _culprit(rules: Mapping[int, Rule]) -> str:
    import hyperscan

    for rule in rules.values():
        try:
            _compiled([rule.trigger.expression.encode("utf-8")], [0])
        except hyperscan.HyperscanError:
            return rule.id
    return "(all together)"
