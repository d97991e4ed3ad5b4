"""The work of `codemill evaluate`: each row is an answer to a problem; it is tried, and kept with its verdict.

    row (answer, problem) -> program -> sandbox -> passed, executed

No row is rejected for being wrong: the output has every answer. What can't be run here (a missing toolchain) has no
verdict, so it counts neither for nor against.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Final

import pyarrow as pa

from transforms.evaluation.problems import EXECUTED_TYPE, Problem, Verdict
from transforms.evaluation.trials import Trials
from transforms.rows.output import SOURCE_FIELDS, source_lineages
from transforms.rows.rejections import rejected_table
from transforms.sandbox.sandbox import Isolation
from transforms.work import Unit, UnitResult

PREPARED_SCHEMA: Final = pa.schema(
    [
        pa.field("content", pa.large_string(), nullable=False),  # the answer
        pa.field("task_id", pa.string(), nullable=False),
        pa.field("sample", pa.int32(), nullable=False),
        pa.field("language", pa.string(), nullable=False),
        pa.field("benchmark", pa.string(), nullable=False),
        pa.field("problem", pa.large_string(), nullable=False),  # JSON of `Problem`
    ]
)
"""The rows that the job prepares, one per answer."""

LINEAGE_TYPE: Final = pa.struct(
    [
        *SOURCE_FIELDS,
        pa.field("benchmark_version", pa.string(), nullable=False),
        pa.field("sandbox", pa.string(), nullable=False),
    ]
)
_KEPT: Final = ("task_id", "sample", "language", "benchmark")


@dataclass
class ExecuteWork:
    """Tries answers; see `transforms.work.Work` for the contract.

    Args:
        benchmark_version: For the lineage.
        slots: Programs that run at a time.
        isolation: What they run in.
    """

    benchmark_version: str
    slots: int
    isolation: Isolation = "bubblewrap"

    whole_row_groups: ClassVar[bool] = False
    spreads_rows: ClassVar[bool] = True
    opens_first: ClassVar[bool] = False
    checkpoint_sha256: ClassVar[str] = ""

    def __post_init__(self) -> None:
        self._trials: Trials | None = None
        self._done = 0

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_trials": None}

    def output_schema(self, input_schema: pa.Schema) -> pa.Schema:
        """The answer with its verdict and the evidence for it."""
        kept = [PREPARED_SCHEMA.field(name) for name in _KEPT]
        return pa.schema(
            [
                *kept,
                pa.field("answer", pa.large_string(), nullable=False),
                pa.field("passed", pa.bool_()),  # null: it could not be run here
                pa.field("executed", EXECUTED_TYPE, nullable=False),
                pa.field("lineage", LINEAGE_TYPE, nullable=False),
            ]
        )

    def input_columns(self, input_schema: pa.Schema) -> list[str]:
        """All columns."""
        return list(input_schema.names)

    def open(self) -> None:
        """Makes the sandbox. Raises ConfigError if there can be none."""
        self._trials = Trials(self.slots, self.isolation)

    def run(self, unit: Unit, table: pa.Table, rows: list[int]) -> UnitResult:
        """Tries the answers of one unit."""
        assert self._trials is not None, "call open() first"
        problems = [problem_of(text) for text in table.column("problem").to_pylist()]
        answers = table.column("content").to_pylist()
        pending = [self._trials.submit(*pair) for pair in zip(problems, answers, strict=True)]
        verdicts = []
        for one in pending:
            verdicts.append(one.verdict())
            self._done += 1
        counts: Counter[str] = Counter(rows_in=len(rows), rows_kept=len(rows), rows_rejected=0)
        counts.update(targets=0, targets_accepted=0, targets_rejected=0)
        counts.update(f"answers/{verdict.reason}" for verdict in verdicts)
        return UnitResult(self._table(unit, table, rows, verdicts), rejected_table([]), counts)

    def heartbeat(self) -> dict[str, float]:
        """How many answers were tried."""
        return {"rows_done": float(self._done)}

    def close(self) -> None:
        """Waits for the programs that run, and removes what they have left."""
        if self._trials is not None:
            self._trials.close()
            self._trials = None

    def _table(self, unit: Unit, table: pa.Table, rows: Sequence[int], verdicts: Sequence[Verdict]) -> pa.Table:
        assert self._trials is not None
        source = source_lineages(unit, rows, table.column("content").cast(pa.large_binary()))
        lineage = [
            {**place, "benchmark_version": self.benchmark_version, "sandbox": self._trials.name}
            for place in source.to_pylist()
        ]
        names = [field.name for field in EXECUTED_TYPE]
        schema = self.output_schema(table.schema)
        return pa.table(
            {
                **{name: table.column(name) for name in _KEPT},
                "answer": table.column("content"),
                "passed": [verdict.passed if verdict.was_run else None for verdict in verdicts],
                "executed": [{name: getattr(verdict, name) for name in names} for verdict in verdicts],
                "lineage": lineage,
            },
            schema=schema,
        )


def problem_text(problem: Problem) -> str:
    """A problem as JSON."""
    return json.dumps(asdict(problem), ensure_ascii=False)


def problem_of(text: str) -> Problem:
    """Reads what `problem_text` wrote."""
    values: Mapping[str, Any] = json.loads(text)
    lists = {field.name for field in fields(Problem) if str(field.type).startswith("tuple")}
    typed: dict[str, Any] = {name: tuple(value) if name in lists else value for name, value in values.items()}
    return Problem(**typed)
