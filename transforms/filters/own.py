"""The user's own stages of `codemill filter` (`--stages`): loaded, given their values, checked and hashed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Final

from model.errors import ConfigError
from transforms.filters.stage import Stage
from transforms.own_code import FILTERS, check_names, check_unchanged, code_sha256, load_class, make_own

_STAGES, _VALUES = "--stages", "--stage_values"
_TAKEN: Final = frozenset(("lineage", "checks", "licenses", "findings", "contamination", "classifier_score"))
"""Columns of the stages that codemill ships."""


def make_stages(names: Sequence[str], values: Sequence[str], frozen: str = "") -> tuple[tuple[Stage, ...], str]:
    """Makes the stages, in order.

    Args:
        names: As `load_class` takes them.
        values: `CLASS.FIELD=VALUE`.
        frozen: The hash of the code that the job was started with, if it was.

    Returns:
        The stages, and a hash of their code.

    Raises:
        ConfigError: A class or field doesn't exist, a stage has no name or a column that another one has, or the code
            has changed.
    """
    base: type[Any] = Stage  # mypy takes no abstract class for a type[T]
    kinds: list[type[Stage]] = [
        load_class(name, base, group=FILTERS, flag=_STAGES, called="codemill.FilterStage") for name in names
    ]
    by_class: dict[str, list[str]] = {kind.__name__: [] for kind in kinds}
    for word in values:
        class_name, dot, rest = word.partition(".")
        if not dot or class_name not in by_class:
            known = ", ".join(by_class) or "none"
            raise ConfigError(f"{_VALUES} {word}: expected CLASS.FIELD=VALUE; the classes of --stages are {known}")
        by_class[class_name].append(rest)
    stages = tuple(make_own(kind, by_class[kind.__name__], flag=_VALUES) for kind in kinds)
    taken = set(_TAKEN)
    for stage in stages:
        check_names(stage, taken, flag=_STAGES, other="another stage")
    sha256 = hashlib.sha256("".join(map(code_sha256, kinds)).encode()).hexdigest()
    check_unchanged(sha256, frozen, flag=_STAGES)
    return stages, sha256
