"""Whether a benchmark's file has the columns that its rows are read from."""

from __future__ import annotations

from collections.abc import Sequence

from model.errors import ConfigError


def check_layout(name: str, layouts: Sequence[Sequence[str]], found: Sequence[str]) -> None:
    """Raises ConfigError if the columns found contain those of none of the layouts.

    Args:
        name: The benchmark's name.
        layouts: The columns that its file must have, in each of the layouts that it is published in.
        found: The file's columns.
    """
    if not any(set(layout) <= set(found) for layout in layouts):
        wanted = "; or ".join(", ".join(layout) for layout in layouts)
        raise ConfigError(f"{name} needs the columns {wanted}; the file has {', '.join(found)}")
