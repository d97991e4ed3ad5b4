"""The user's own tasks of `codemill annotate` (`--task MODULE:CLASS`): their base class, and how one is loaded.

    @dataclass(frozen=True, kw_only=True)
    class Sentence(OwnTask):  # codemill.Task
        name = "sentence"
        fields = (pa.field("num_words", pa.int64(), nullable=False),)

        def prompts(self, row: Row) -> Iterator[Prompt]:
            yield Prompt("file", f"Say in one sentence what this code does.\\n\\n{row.content}")

        def read(self, row: Row, prompt: Prompt, answer: str) -> dict[str, Any]:
            return {"num_words": len(answer.split())}

The base class does what all tasks do: chat prompts, limits, sampling, and the checks of every answer. Row processes
load the class by the same text as the job, since a class of a file can't be pickled by its module's name.
"""

from __future__ import annotations

import abc
import itertools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import pyarrow as pa

from model.engine.requests import Completion
from model.errors import RecordError
from transforms.fim.formats import strip_final_separator
from transforms.own_code import TASKS, check_names, check_unchanged, code_sha256, entry_points, load_class, make_own
from transforms.rows.rejections import Rejection
from transforms.rows.row import Row, derive_seed
from transforms.tasks.base import Accepted, RejectedTarget, TaskRequest
from transforms.tasks.chat import Turn, chat_prompt, chat_stop_ids, is_blank
from transforms.tasks.settings import ANNOTATE_TOKENS, AnnotateSettings
from transforms.tasks.shared import (
    check_control,
    failed_check,
    newline_ids,
    open_tokenizer,
    rejected,
    request_of,
    unlikely,
)
from transforms.tasks.task_file import SHIPPED

_TASK, _SET = "--task", "--set"
_REASONS: Final = {"not_empty": "empty_answer", "not_cut_off": "cut_off"}
_CHECKS: Final = pa.struct(
    [
        *[pa.field(name, pa.bool_(), nullable=False) for name in _REASONS],
        pa.field("mean_logprob", pa.float32(), nullable=False),
    ]
)
_TAKEN: Final = frozenset(("prompt_text", "answer", "checks", "verbatim_copies", "lineage"))
"""Columns that codemill gives to the rows of every own task."""


@dataclass(frozen=True)
class Prompt:
    """A question about a row, to a chat model.

    Args:
        target: What it is about, unique within the row and the same in any process, e.g. `file` or `function:area`.
        text: The user's turn.
        data: What `OwnTask.read` needs; picklable.
        system: A system text, put in front of the user's turn.
    """

    target: str
    text: str
    data: Any = None
    system: str = ""


@dataclass(frozen=True, kw_only=True)
class OwnTask(AnnotateSettings, abc.ABC):
    """Base class of a user's task (`codemill.Task`); fulfills `transforms.tasks.base.Task`.

    A subclass is a dataclass with `frozen=True, kw_only=True`; its own fields can be given on the command line.

    Attributes:
        name: The task's name in the lineage.
        fields: The result columns that `read` returns.
        is_line: Whether an answer is its first line, where generation ends.
        answer_tokens: Tokens generated for an answer at most, where the user doesn't say.

    Args:
        tokenizer: The model's vocabulary: a file, a checkpoint folder or a built-in model's name.
        job_seed: Seeds sampling.
        loaded_as: The text by which a process loads the class; "": by its module's name.
        code_sha256: The hash of the file that defines the class, for the lineage.
    """

    name: ClassVar[str]
    fields: ClassVar[tuple[pa.Field, ...]] = ()
    is_line: ClassVar[bool] = False
    answer_tokens: ClassVar[int] = ANNOTATE_TOKENS["text"]

    tokenizer: str
    job_seed: int = 0
    loaded_as: str = ""
    code_sha256: str = ""

    @abc.abstractmethod
    def prompts(self, row: Row) -> Iterable[Prompt]:
        """Chooses the row's targets. Raises RecordError if the row is rejected."""

    @abc.abstractmethod
    def read(self, row: Row, prompt: Prompt, answer: str) -> Mapping[str, Any]:
        """Returns the values of `fields` for an answer. Raises RecordError if the answer is rejected.

        Args:
            row: The answer's source row.
            prompt: The question, as `prompts` gave it.
            answer: The generated text without blanks around it, neither empty nor cut off.
        """

    @property
    def template_version(self) -> str:
        """The name and the hash of the code."""
        return f"{self.name}-{self.code_sha256[:16]}"

    @property
    def result_schema(self) -> pa.Schema:
        """Prompt and answer, the task's own columns, and the checks of every answer."""
        shown = [pa.field(name, pa.large_string(), nullable=False) for name in ("prompt_text", "answer")]
        return pa.schema([*shown, *self.fields, pa.field("checks", _CHECKS, nullable=False)])

    def requests(self, row: Row) -> Iterator[TaskRequest | RejectedTarget]:
        """Builds the requests of the row's prompts. Raises RecordError as `prompts` does."""
        seen: set[str] = set()
        for number, prompt in enumerate(itertools.islice(self.prompts(row), self.max_targets + 1)):
            if prompt.target in seen:
                raise ValueError(f"{type(self).__name__}.prompts gives the target {prompt.target} twice")
            seen.add(prompt.target)
            try:
                if number >= self.max_targets:
                    raise RecordError("too_many_targets", f"the file has more than {self.max_targets} targets")
                yield self._request(row, prompt)
            except RecordError as error:
                rejection = Rejection("targets", error.reason, error.detail)
                yield RejectedTarget(target=prompt.target, rejection=rejection)

    def accept(self, row: Row, request: TaskRequest, completion: Completion) -> Accepted | RejectedTarget:
        """Checks one answer as all tasks do, and reads it. Raises RecordError as `read` does."""
        prompt: Prompt = request.payload
        tokenizer = open_tokenizer(self.tokenizer)
        answer = tokenizer.decode(strip_final_separator(tokenizer, completion.tokens)).strip()
        is_whole = completion.finish_reason != "length"
        if self.is_line:
            answer, line_end, _ = answer.partition("\n")  # a token may contain a line feed after other text
            is_whole = is_whole or bool(line_end)
        check_control(self.tokenizer, completion.tokens, answer, row.content)
        verdicts = {"not_empty": not is_blank(answer), "not_cut_off": is_whole}
        if failed := failed_check(verdicts, _REASONS, tuple(verdicts)):
            return rejected(request, failed[0], f"{len(completion.tokens)} tokens were generated")
        if refused := unlikely(request, completion, self.min_score):
            return refused
        found = self.read(row, prompt, answer)
        if found.keys() != {field.name for field in self.fields}:
            raise ValueError(f"{type(self).__name__}.read gives {', '.join(found) or 'nothing'}, not its fields")
        columns = {
            "prompt_text": prompt.text,
            "answer": answer,
            **found,
            "checks": {**verdicts, "mean_logprob": completion.mean_logprob},
        }
        return Accepted(columns=columns, written=("", answer, ""))

    def _request(self, row: Row, prompt: Prompt) -> TaskRequest:
        tokenizer = open_tokenizer(self.tokenizer)
        system = [Turn("system", prompt.system)] if prompt.system else []
        ids = chat_prompt(tokenizer, [*system, Turn("user", prompt.text)])
        if len(ids) > self.max_prompt_tokens:
            detail = f"the prompt has {len(ids)} tokens, the limit is {self.max_prompt_tokens}"
            raise RecordError("prompt_too_long", f"{detail}; raise --max_prompt_tokens")
        stop_ids = chat_stop_ids(tokenizer) | (newline_ids(self.tokenizer) if self.is_line else frozenset())
        seed = derive_seed(self.job_seed, row.content_sha256, self.name, prompt.target)
        request = request_of(self, ids, stop_ids=stop_ids, seed=seed)
        return TaskRequest(target=prompt.target, request=request, payload=prompt, prompt_format="chat")

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (self.loaded_as or type(self), self.code_sha256, self.__dict__)


def _restore(loaded_as: str | type[OwnTask], sha256: str, state: Mapping[str, Any]) -> OwnTask:
    kind = load_task(loaded_as, sha256) if isinstance(loaded_as, str) else loaded_as
    task = object.__new__(kind)
    task.__dict__.update(state)
    return task


def is_own_task(name: str) -> bool:
    """Whether a task's name is that of a class or an entry point, not of a task file or a shipped task."""
    if name.endswith(".py"):
        return True  # its class is missing, which `load_task` says
    # `os.path.exists` takes names that no file can have.
    if os.path.exists(SHIPPED / f"{name}.yaml") or os.path.exists(name):
        return False
    return name.rpartition(":")[2].isidentifier() if ":" in name else name in entry_points(TASKS)


def load_task(name: str, frozen: str = "") -> type[OwnTask]:
    """Loads the class of a task.

    Args:
        name: As `load_class` takes it.
        frozen: The hash of the code that the job was started with, if it was.

    Raises:
        ConfigError: There is no such class, it has no name or a column that codemill gives, or the code has changed.
    """
    base: type[Any] = OwnTask  # mypy takes no abstract class for a type[T]
    kind: type[OwnTask] = load_class(name, base, group=TASKS, flag=_TASK, called="codemill.Task")
    check_names(kind, set(_TAKEN), flag=_TASK, other="codemill")
    check_unchanged(code_sha256(kind), frozen, flag=_TASK)
    return kind


def make_task(name: str, kind: type[OwnTask], values: Sequence[str], given: Mapping[str, Any]) -> OwnTask:
    """Makes a task of a class that `load_task` returned.

    Args:
        name: The text that named it.
        kind: The class.
        values: `FIELD=VALUE` for fields of its own.
        given: The values of the base class's fields, by name.

    Raises:
        ConfigError: A field doesn't exist, or a value is of another type.
    """
    given = {**given, "loaded_as": name, "code_sha256": code_sha256(kind)}
    return make_own(kind, values, flag=_SET, given=given)
