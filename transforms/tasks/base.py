"""The task protocol. A task is pure: it chooses targets in a row, builds prompts, and validates answers.

The same task objects run in the batch jobs and in `evaluate`, so a benchmark measures exactly the prompts, stop ids
and parsing that produce the datasets. A task does no I/O, starts no engine and keeps no state between rows. It is
picklable (its tokenizer is opened separately in each process).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import pyarrow as pa

from model.engine.requests import Completion, Request
from transforms.packing.documents import SourceFile
from transforms.rows.rejections import Rejection
from transforms.rows.row import Row
from transforms.verification.trials import Trial


class ContextFile(NamedTuple):
    """A file of the repository that stands in front of a prompt: whole (`copy`) or its `signatures`."""

    path: str
    content_sha256: str
    role: str
    tokens: int


class PromptContext(NamedTuple):
    """What stands in front of a prompt's file.

    `tokens` includes the separators; `left_out` is the number of files that would have told the answer.
    """

    files: tuple[ContextFile, ...]
    tokens: int
    left_out: int


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskRequest:
    """One target of a row with its prompt.

    Args:
        target: The target's name, unique within the row and stable, e.g. `single_line:120:140`.
        request: The request for the engine.
        payload: Data that `accept` needs (spans, texts); picklable.
        prompt_format: The prompt's format, for the lineage: `psm`, `spm`, `chat`, ...
        original: Tokens of the text that stands in the target's place, if its log-probability after the prompt is
            asked for.
        context: What stands in front of its file; None: the task was given no other files.
    """

    target: str
    request: Request
    payload: Any = None
    prompt_format: str = ""
    original: tuple[int, ...] = ()
    context: PromptContext | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Accepted:
    """An accepted answer.

    Args:
        columns: The task's own result columns for one output row, by name, as in `Task.result_schema`.
        written: The text before the answer in its document, the answer itself, and the text after it. The output filter
            scans the answer in this context, because a secret can span the boundary.
        verification: How it was compiled or run, for the lineage; None: it wasn't.
        outputs: What its code returned for generated inputs, to compare samples by; None: nothing is known.
    """

    columns: Mapping[str, Any]
    written: tuple[str, str, str]
    verification: str | None = None
    outputs: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class RejectedTarget:
    """A target whose answer failed a check, or for which no prompt could be built.

    `answer` is the model's answer, if rejected answers are kept and the filters found nothing in it.
    """

    target: str
    rejection: Rejection
    answer: str | None = None


class Task(Protocol):
    """The protocol of a task; each implementation has one module and one test file."""

    @property
    def name(self) -> str:
        """The task's name in the lineage."""
        ...

    @property
    def template_version(self) -> str:
        """Changes whenever the same row would produce different prompts."""
        ...

    @property
    def result_schema(self) -> pa.Schema:
        """The flat result columns, then the struct `checks`; the job framework adds the struct `lineage`."""
        ...

    def requests(self, row: Row) -> Iterable[TaskRequest | RejectedTarget]:
        """Chooses targets and builds their prompts. A target without a possible prompt (too long) is returned as a
        `RejectedTarget`. Raises RecordError if the row has no target at all.
        """
        ...

    def accept(self, row: Row, request: TaskRequest, completion: Completion) -> Accepted | RejectedTarget:
        """Parses, validates and scores one answer."""
        ...


@runtime_checkable
class ContextTask(Protocol):
    """A task whose prompts can show other files of the repository."""

    def requests_with(self, row: Row, imported: Sequence[SourceFile]) -> Iterable[TaskRequest | RejectedTarget]:
        """As `requests`, with the files that the row's file imports."""
        ...


@runtime_checkable
class VerifiedTask(Protocol):
    """A task whose answers are compiled or run, in addition to its own checks, if `verify` isn't "parse"."""

    @property
    def verify(self) -> str:
        """`parse`, `compile` or `run`."""
        ...

    def trial(
        self, row: Row, request: TaskRequest, columns: Mapping[str, Any], *, tests: str | None, is_compared: bool
    ) -> Trial | None:
        """Returns what is to be run for an accepted answer; None if there is nothing. Its evidence is added to the
        struct `checks`.

        Args:
            row: The answer's source row.
            request: The answer's request.
            columns: The answer's result columns.
            tests: Tests that the row brings.
            is_compared: Whether there are other samples to compare its behavior with.
        """
        ...


@runtime_checkable
class NestingTask(Protocol):
    """A task that can combine its accepted answers into one row per file."""

    @property
    def nested_schema(self) -> pa.Schema:
        """The result columns of the combined row."""
        ...

    def nest(self, row: Row, kept: Sequence[tuple[TaskRequest, Accepted]]) -> Mapping[str, Any]:
        """Inserts the kept answers into the file.

        Raises:
            RecordError: The answers can't be combined.
        """
        ...


@runtime_checkable
class DistinctTask(Protocol):
    """A task whose output should not contain near duplicates."""

    def distinct_texts(self, row: Row, columns: Mapping[str, Any]) -> tuple[str, str]:
        """Returns what an accepted answer is about, and its text. It repeats another answer if both are near
        duplicates.

        Args:
            row: The answer's source row.
            columns: The answer's result columns.
        """
        ...
