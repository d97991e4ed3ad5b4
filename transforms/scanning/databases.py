"""Hyperscan databases: compiled once per user and machine, then read from the user's cache (`model.user_cache`).

Deriving the project's triggers and compiling them takes 0.7 s of processor time, reading a database from the cache a
few milliseconds, and every worker process needs it. An entry's name is a hash of all that a database depends on: the
fields of the rules from which triggers are derived, the code that derives them, the versions of Python, of Hyperscan
and of its binding, the platform, and the features of the processor that it is compiled for. Hyperscan itself checks
version, processor and a checksum when it reads a database.
"""

from __future__ import annotations

import functools
import hashlib
import json
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from model.errors import ConfigError
from model.user_cache import read_entry, write_entry
from transforms.scanning import folds, pattern_trees, prefixes, trigger
from transforms.scanning import rule as rule_module
from transforms.scanning.rule import Rule


def open_database(rules: Mapping[int, Rule], *, by_line: bool = False) -> Any:
    """The database of the rules' triggers, each with its key as id. Raises ConfigError naming the rule that Hyperscan
    can't compile.

    Args:
        rules: The rules.
        by_line: Whether each line is a text of its own, for what is at a text's start and end.
    """
    import hyperscan

    name = _entry_name(rules, by_line)
    data = read_entry(name) if name else None
    if data is not None:
        try:
            return hyperscan.loadb(data, hyperscan.HS_MODE_BLOCK)
        except hyperscan.HyperscanError:
            pass  # of another version or processor, whatever its name says
    try:
        flags = hyperscan.HS_FLAG_MULTILINE if by_line else 0
        database = compile_expressions([_expression(rule, by_line) for rule in rules.values()], list(rules), flags)
    except hyperscan.HyperscanError as error:
        raise ConfigError(f"rule {_culprit(rules)}: Hyperscan rejects the pattern: {error}") from None
    if name:
        write_entry(name, hyperscan.dumpb(database))
    return database


def _expression(rule: Rule, by_line: bool = False) -> bytes:
    expression = rule.trigger.expression.encode("utf-8")
    return expression.replace(rb"\A", b"^").replace(rb"\z", b"$") if by_line else expression


def _entry_name(rules: Mapping[int, Rule], by_line: bool) -> str | None:
    """The cache's name of the rules' database; None if the code can't be read, so that nothing tells its version."""
    try:
        code = _code_hash()
    except OSError:
        return None
    fields = [[index, r.id, r.pattern, r.trigger_pattern, r.near, r.fold] for index, r in rules.items()]
    parts = json.dumps([code, _environment(), by_line, fields])
    return "hyperscan-" + hashlib.sha256(parts.encode()).hexdigest()


@functools.cache
def _code_hash() -> str:
    """The hash of the code that derives triggers and compiles them."""
    paths = [str(module.__file__) for module in (rule_module, trigger, prefixes, folds, pattern_trees)]
    return hashlib.sha256(b"".join(Path(path).read_bytes() for path in (*paths, __file__))).hexdigest()


@functools.cache
def _environment() -> tuple[str, ...]:
    """What a database depends on beside the expressions. Hyperscan tells its version, the processor's features and the
    mode for a database only, so a small one is compiled (0.1 ms)."""
    import hyperscan

    about = compile_expressions([b"a"], [0]).info().decode("utf-8", "replace")
    return about, str(getattr(hyperscan, "__version__", "")), sys.version, sys.platform, platform.machine()


def compile_expressions(expressions: list[bytes], ids: list[int], flags: int = 0) -> Any:
    """The database of expressions, reported by their ids. Raises hyperscan.HyperscanError."""
    import hyperscan

    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    database.compile(expressions=expressions, ids=ids, elements=len(ids), flags=[flags] * len(ids))
    return database


def _culprit(rules: Mapping[int, Rule]) -> str:
    import hyperscan

    for rule in rules.values():
        try:
            compile_expressions([_expression(rule)], [0])
        except hyperscan.HyperscanError:
            return rule.id
    return "(all together)"
