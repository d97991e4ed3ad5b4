"""A task is pure: it chooses targets in a row, builds prompts, and judges what the model wrote.

The same task objects run in the batch jobs and in `evaluate`, so a benchmark measures exactly the prompts,
stops and parsing that the datasets are made with. A task does no I/O, starts no engine and keeps no state
between rows; it is picklable (its tokenizer is opened anew in each process).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import pyarrow as pa

from model.engine.requests import Completion, Request
from transforms.rows.rejections import Rejection
from transforms.rows.row import Row


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskRequest:
    """One target of a row with the prompt that asks for it.

    Args:
        target: The target's name, unique within the row and stable, e.g. `single_line:120:140`.
        request: What the engine is to run.
        payload: Whatever `accept` needs again (spans, texts); picklable.
        prompt_format: The form of the prompt, for the lineage: `psm`, `spm`, `chat`, ...
    """

    target: str
    request: Request
    payload: Any = None
    prompt_format: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Accepted:
    """An enrichment.

    Args:
        columns: The task's own result columns for one output row, by name, as in `Task.result_schema`.
        written: What stands before the model's text in its document, the text itself, what stands after: the output
            filter looks at it in context, since a secret can straddle the seam.
    """

    columns: Mapping[str, Any]
    written: tuple[str, str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class RejectedTarget:
    """A target whose answer failed a check, or that no prompt could be built for.

    `answer` is what the model wrote, where rejected answers are kept and the filters found nothing in it.
    """

    target: str
    rejection: Rejection
    answer: str | None = None


class Task(Protocol):
    """One module and one test file each."""

    @property
    def name(self) -> str:
        """What the lineage calls it."""
        ...

    @property
    def template_version(self) -> str:
        """Changes whenever the same row would give other prompts."""
        ...

    @property
    def result_schema(self) -> pa.Schema:
        """The flat result columns, then the struct `checks`; the machinery adds the struct `lineage`."""
        ...

    def requests(self, row: Row) -> Iterable[TaskRequest | RejectedTarget]:
        """Chooses targets and builds their prompts. A target that can't be asked for (prompt too long) comes as a
        `RejectedTarget`. Raises RecordError where the row as a whole has nothing to offer."""
        ...

    def accept(self, row: Row, request: TaskRequest, completion: Completion) -> Accepted | RejectedTarget:
        """Parses, verifies and scores one answer."""
        ...


@runtime_checkable
class NestingTask(Protocol):
    """A task whose accepted answers can be put together into one row a file."""

    @property
    def nested_schema(self) -> pa.Schema:
        """The result columns of that row."""
        ...

    def nest(self, row: Row, kept: Sequence[tuple[TaskRequest, Accepted]]) -> Mapping[str, Any]:
        """Puts the answers that were kept into the file.

        Raises:
            RecordError: Together they don't fit.
        """
        ...


@runtime_checkable
class DistinctTask(Protocol):
    """A task whose output should not say the same of the same twice."""

    def distinct_texts(self, row: Row, columns: Mapping[str, Any]) -> tuple[str, str]:
        """What an accepted answer was asked about, and what it says: it repeats another where both are nearly alike.

        Args:
            row: The row that it was asked of.
            columns: Its result columns.
        """
        ...
