"""What Beam's own flags say of the runner. Does not import Beam, which most jobs never need in the driver."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

# They hand a bundle to whoever is idle, or run in the driver's process. All others spread elements once.
_MOVING: Final = frozenset({"dataflow", "fnapi", "direct", "switchingdirect", "bundlebaseddirect"})
_SLOTS_A_PARALLEL: Final = 4
_MIN_SLOTS: Final = 64


def names_a_runner(beam_args: Sequence[str]) -> bool:
    """Whether Beam's flags choose a runner."""
    return _value("--runner", beam_args) is not None


def moves_work(beam_args: Sequence[str]) -> bool:
    """Whether the runner gives elements to idle workers, so that units can be its elements.

    >>> moves_work(["--runner", "DataflowRunner"]), moves_work(["--runner=flink"])
    (True, False)
    """
    name = (_value("--runner", beam_args) or "fnapi").rpartition(".")[2].lower()
    return name.removesuffix("runner") in _MOVING


def number_of_slots(beam_args: Sequence[str]) -> int:
    """How many elements reach every worker of a runner that spreads them round robin: several for each that it runs."""
    given = _value("--parallelism", beam_args) or ""
    return max(_MIN_SLOTS, _SLOTS_A_PARALLEL * int(given) if given.isdecimal() else 0)


def _value(flag: str, beam_args: Sequence[str]) -> str | None:
    """A flag's value in `--flag value` or `--flag=value`; "" if it has none."""
    for position, arg in enumerate(beam_args):
        if arg == flag:
            return beam_args[position + 1] if position + 1 < len(beam_args) else ""
        if arg.startswith(f"{flag}="):
            return arg.partition("=")[2]
    return None
