"""Checks whether Beam's own flags name a runner. Does not import Beam, which most jobs never need in the driver."""

from __future__ import annotations

from collections.abc import Sequence


def names_a_runner(beam_args: Sequence[str]) -> bool:
    """Whether Beam's flags choose a runner."""
    return any(arg == "--runner" or arg.startswith("--runner=") for arg in beam_args)
