"""What running programs showed about one answer, and the columns in which its row keeps that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa

from transforms.evaluation.problems import EXECUTED_TYPE as FULL_TYPE
from transforms.evaluation.problems import Verdict

_FIELDS: Final = ("reason", "detail", "wall_s", "compile_s", "exit", "signal")
# Without output: a program may print whatever it reads, and the filters know nothing of it.
EXECUTED_TYPE: Final = pa.struct([FULL_TYPE.field(name) for name in _FIELDS])
MUTANTS_TYPE: Final = pa.struct(
    [pa.field("killed", pa.int32(), nullable=False), pa.field("of", pa.int32(), nullable=False)]
)
_EXECUTED: Final = pa.field("executed", EXECUTED_TYPE)
# What is added to the struct `checks`, by what is done with an answer. null: can't tell.
EVIDENCE: Final[Mapping[str, tuple[pa.Field, ...]]] = {
    "compile": (pa.field("compiles", pa.bool_()),),
    "run": (pa.field("compiles", pa.bool_()), pa.field("tests_pass", pa.bool_()), _EXECUTED),
    "tests": (
        pa.field("tests_pass", pa.bool_()),  # on the original
        pa.field("kills_a_mutant", pa.bool_()),
        pa.field("mutants_killed", MUTANTS_TYPE),
        _EXECUTED,
    ),
    "behavior": (
        pa.field("compiles", pa.bool_()),
        pa.field("behaves_alike", pa.bool_()),  # as the original, for the same inputs
        pa.field("inputs_compared", pa.int32()),
    ),
}


def with_evidence(schema: pa.Schema, fields: Sequence[pa.Field]) -> pa.Schema:
    """A task's result columns, with more fields in the struct `checks`."""
    place = schema.get_field_index("checks")
    checks = schema.field(place)
    return schema.set(place, checks.with_type(pa.struct([*checks.type, *fields])))


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """What became of a trial.

    Args:
        checks: Values of the checks that the trial decides, by name; null: can't tell.
        fault: Why the answer is rejected, and a detail that quotes nothing; None: it isn't.
        toolchain: What compiled or ran it, or what was missing, for the lineage.
        outputs: What it returned for each of the generated inputs; None: nothing that can be compared.
    """

    checks: Mapping[str, Any] = field(default_factory=dict)
    fault: tuple[str, str] | None = None
    toolchain: str = ""
    outputs: tuple[str, ...] | None = None


def executed(verdict: Verdict) -> dict[str, Any]:
    """A verdict as a value of `EXECUTED_TYPE`."""
    return {name: getattr(verdict, name) for name in _FIELDS}


def told(verdict: Verdict) -> str:
    """How a run ended, without a word of what the program itself wrote."""
    if verdict.signal:
        return f"{verdict.reason}, {verdict.signal}"
    return verdict.reason if verdict.exit is None else f"{verdict.reason}, exit code {verdict.exit}"
