"""Annotate: a user's own chat task (`transforms.tasks.task_file`) about files, classes and functions.

The template is filled in for each target and sent as a chat prompt. The answer is read as text, as one line, as code
in a fence or as JSON with a schema, and judged (`transforms.tasks.answer_judge`). A definition that doesn't fit loses
its last lines (`is_windowed`). Built-in tasks are in `transforms/tasks/annotations`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from model.engine.requests import Completion
from model.errors import RecordError
from transforms.fim.formats import strip_final_separator
from transforms.languages.faults import first_fault
from transforms.languages.grammars import grammar_name
from transforms.languages.parsing import compiles
from transforms.languages.syntax import Source
from transforms.rows.rejections import Rejection
from transforms.rows.row import Row, derive_seed
from transforms.symbols import Symbol, find_symbols
from transforms.tasks.answer_judge import CHECKS_TYPE, REASONS, AnswerJudge
from transforms.tasks.base import Accepted, RejectedTarget, TaskRequest
from transforms.tasks.chat import Turn, chat_prompt, chat_stop_ids, fences
from transforms.tasks.settings import AnnotateSettings
from transforms.tasks.shared import (
    byte_to_char,
    check_control,
    code_of_answer,
    failed_check,
    fit_code,
    newline_ids,
    open_tokenizer,
    read_source,
    rejected,
    request_of,
    unlikely,
    with_fault,
)
from transforms.tasks.task_file import AnnotationSpec
from transforms.tasks.templates import TOO_COSTLY, render
from transforms.tasks.trials import comparison_trial, compile_trial, generated_tests_trial, language_of
from transforms.verification.evidence import EVIDENCE, with_evidence
from transforms.verification.trials import InTurn, Trial

RESULT_SCHEMA: Final = pa.schema(
    [
        pa.field("target_kind", pa.string(), nullable=False),
        pa.field("symbol_name", pa.large_string()),
        pa.field("target_start", pa.int64(), nullable=False),  # characters of content
        pa.field("target_end", pa.int64(), nullable=False),
        pa.field("prompt_text", pa.large_string(), nullable=False),
        pa.field("answer", pa.large_string(), nullable=False),
        pa.field("answer_code", pa.large_string()),
        pa.field("answer_json", pa.large_string()),
        pa.field("is_windowed", pa.bool_(), nullable=False),
        pa.field("checks", CHECKS_TYPE, nullable=False),
    ]
)


@dataclass(frozen=True, slots=True)
class AnnotateTarget:
    """The data of a target that `accept` needs; offsets are bytes of the content."""

    kind: str
    name: str
    start: int
    end: int
    is_windowed: bool
    prompt_text: str


@dataclass(frozen=True, kw_only=True)
class AnnotateTask(AnnotateSettings):
    """Prompts with a user's own template about files and symbols; see `transforms.tasks.base.Task`.

    Args:
        tokenizer: The model's vocabulary: a file, a checkpoint folder or a built-in model's name.
        spec: The task file's content (`load_annotation`).
        job_seed: Seeds sampling.
    """

    tokenizer: str
    spec: AnnotationSpec
    job_seed: int = 0

    @property
    def name(self) -> str:
        """The task file's name, prefixed with `annotate:`."""
        return f"annotate:{self.spec.name}"

    @property
    def template_version(self) -> str:
        """The task file's version."""
        return f"{self.spec.name}-{self.spec.version}"

    @property
    def result_schema(self) -> pa.Schema:
        """The columns of one answer, with what running it showed, if it is run."""
        return RESULT_SCHEMA if self.verify == "parse" else with_evidence(RESULT_SCHEMA, self._evidence)

    def requests(self, row: Row) -> Iterator[TaskRequest | RejectedTarget]:
        """Finds the row's targets and builds their prompts.

        Raises:
            RecordError: `unsupported_language`, `unparsable`, `no_target`.
        """
        source = read_source(row, self.spec.languages)
        targets = list(_targets(source, self.spec))
        if not targets:
            broken = "broken " if self.spec.select == "broken" else ""
            raise RecordError("no_target", f"the file has no {broken}{' or '.join(self.spec.targets)}")
        return self._requests(row, source, targets)

    def accept(self, row: Row, request: TaskRequest, completion: Completion) -> Accepted | RejectedTarget:
        """Reads one answer as the task file specifies, and validates it."""
        target: AnnotateTarget = request.payload
        tokenizer = open_tokenizer(self.tokenizer)
        answer = tokenizer.decode(strip_final_separator(tokenizer, completion.tokens)).strip()
        is_whole = completion.finish_reason != "length"
        if self.spec.answer.kind == "line":
            answer, line_end, _ = answer.partition("\n")  # a token may contain a line feed after other text
            is_whole = is_whole or bool(line_end)
        language = grammar_name(row.language, row.path) or ""
        data = row.content.encode()
        original = data[target.start : target.end].decode()
        try:
            check_control(self.tokenizer, completion.tokens, answer, row.content)
            code, found = self._read(answer, language)
            verdicts = self._judge.verdicts(
                target.name, answer, code, found, language, original, is_whole=is_whole, prompt=target.prompt_text
            )
        except RecordError as error:
            return rejected(request, error.reason, error.detail)
        if failed := failed_check(verdicts, REASONS, self._judge.required(code)):
            reason, detail = failed
            detail = detail or f"{len(completion.tokens)} tokens were generated"
            if reason == REASONS["parses"]:
                detail = with_fault(first_fault(code or "", self._judge.answer_language(language)), detail)
            return rejected(request, reason, detail)
        if refused := unlikely(request, completion, self.min_score):
            return refused
        return Accepted(
            written=("", answer, ""),
            columns={
                "target_kind": target.kind,
                "symbol_name": target.name or None,
                "target_start": byte_to_char(data, target.start),
                "target_end": byte_to_char(data, target.end),
                "prompt_text": target.prompt_text,
                "answer": answer,
                "answer_code": code,
                "answer_json": None if found is None else json.dumps(found, ensure_ascii=False, sort_keys=True),
                "is_windowed": target.is_windowed,
                "checks": {**verdicts, "mean_logprob": completion.mean_logprob},
            },
        )

    @property
    def _judge(self) -> AnswerJudge:
        return AnswerJudge(self.spec)

    @property
    def _evidence(self) -> Sequence[pa.Field]:
        if self.verify != "run" or not self.spec.verify:
            return EVIDENCE["compile"]
        return EVIDENCE["tests" if self.spec.verify == "tests" else "behavior"]

    def trial(
        self, row: Row, request: TaskRequest, columns: Mapping[str, Any], *, tests: str | None, is_compared: bool
    ) -> Trial | None:
        """What is to be run for an answer, as the task file's `verify` says; without one, its code is compiled."""
        target: AnnotateTarget = request.payload
        code: str | None = columns["answer_code"] or self._code_in(columns["answer_json"])
        if code is None:
            return None
        seed = derive_seed(self.job_seed, row.content_sha256, self.name, request.target, "verify")
        span = (target.start, target.end)
        if self.verify == "run" and self.spec.verify == "tests":
            return generated_tests_trial(row, code, span=span, name=target.name, settings=self, seed=seed)
        own = language_of(row.language, row.path)
        language = language_of(self._judge.answer_language("")) or own
        if self.spec.answer.whole:
            data = row.content.encode()
            text = data[: target.start].decode() + code + data[target.end :].decode()
            return compile_trial(language, text, row.content)
        compiling = compile_trial(language, code, None)
        if self.verify != "run" or not self.spec.verify:
            return compiling
        must_agree = self.spec.verify == "translation"
        comparing = comparison_trial(
            row, code, language, span=span, name=target.name, settings=self, seed=seed, must_agree=must_agree
        )
        return compiling if comparing is None else InTurn(trials=(compiling, comparing))

    def distinct_texts(self, row: Row, columns: Mapping[str, Any]) -> tuple[str, str]:
        """The target's own text and the answer."""
        return row.content[columns["target_start"] : columns["target_end"]], columns["answer"]

    def _requests(
        self, row: Row, source: Source, targets: Sequence[tuple[str, Symbol | None]]
    ) -> Iterator[TaskRequest | RejectedTarget]:
        too_costly: Rejection | None = None
        for number, (kind, symbol) in enumerate(targets):
            if too_costly is not None:  # a file of a thousand functions must not take a thousand times the limit
                yield RejectedTarget(target=_target_name(kind, symbol), rejection=too_costly)
                continue
            asked = self._request(row, source, kind, symbol, number)
            if isinstance(asked, RejectedTarget) and asked.rejection.reason == TOO_COSTLY:
                too_costly = asked.rejection
            yield asked

    def _request(
        self, row: Row, source: Source, kind: str, symbol: Symbol | None, number: int
    ) -> TaskRequest | RejectedTarget:
        start, end = (0, len(source.data)) if symbol is None else (symbol.start, symbol.end)
        name = _target_name(kind, symbol)
        tokenizer, is_line = open_tokenizer(self.tokenizer), self.spec.answer.kind == "line"
        shown: list[str] = []

        def build(code: str) -> list[int]:
            text = render(self.spec.template, _fields(row, source, kind, symbol, code, self.spec.params))
            shown[:] = [text]
            system = [Turn("system", self.spec.system)] if self.spec.system else []
            return chat_prompt(tokenizer, [*system, Turn("user", text)])

        try:
            if number >= self.max_targets:
                raise RecordError("too_many_targets", f"the file has more than {self.max_targets} targets")
            code = source.data[source.data.rfind(b"\n", 0, start) + 1 : end].decode()
            least_lines = _head_lines(source, symbol) if symbol is not None else 1
            prompt, is_windowed = fit_code(code, build, self.max_prompt_tokens, least_lines=least_lines)
            if is_windowed and self.spec.answer.whole:
                raise RecordError(
                    "prompt_too_long", "this task needs the whole target in the prompt; raise --max_prompt_tokens"
                )
        except RecordError as error:
            return RejectedTarget(target=name, rejection=Rejection("targets", error.reason, error.detail))
        return TaskRequest(
            target=name,
            request=request_of(
                self,
                prompt,
                stop_ids=chat_stop_ids(tokenizer) | (newline_ids(self.tokenizer) if is_line else frozenset()),
                seed=derive_seed(self.job_seed, row.content_sha256, self.name, name),
            ),
            payload=AnnotateTarget(
                kind, symbol.qualified_name if symbol else "", start, end, is_windowed, "".join(shown)
            ),
            prompt_format="chat",
        )

    def _read(self, answer: str, language: str) -> tuple[str | None, Any]:
        """Returns the code and the JSON value of an answer; None for each that is missing.

        Raises:
            RecordError: `wrong_form`: not JSON; `other_language`.
        """
        spec = self.spec.answer
        if spec.kind == "code":
            return code_of_answer(answer, self._judge.answer_language(language)), None
        if spec.kind == "json":
            try:
                found = json.loads(_json_text(answer), parse_constant=_no_number)
                json.dumps(found, ensure_ascii=False, allow_nan=False).encode()  # 1e999 is read as infinity
            except (ValueError, RecursionError):
                raise RecordError("wrong_form", "the answer is not JSON") from None
            code = found.get(spec.code_field) if spec.code_field and isinstance(found, dict) else None
            return (code if isinstance(code, str) else None), found
        return None, None

    def _code_in(self, answer_json: str | None) -> str | None:
        if not (answer_json and self.spec.answer.code_field):
            return None
        code = json.loads(answer_json).get(self.spec.answer.code_field)
        return code if isinstance(code, str) else None


def _target_name(kind: str, symbol: Symbol | None) -> str:
    return f"{kind}:{symbol.qualified_name if symbol else ''}:{symbol.start if symbol else 0}"


def _no_number(written: str) -> float:
    raise ValueError(f"{written} is not valid JSON, although Python's parser accepts it")


def _json_text(answer: str) -> str:
    """The text of the fence labeled json, else of the first fence; the answer itself if it has no fence."""
    found = fences(answer)
    return next((text for name, text in found if name == "json"), found[0][1] if found else answer)


def _head_lines(source: Source, symbol: Symbol) -> int:
    """Number of lines of the signature, including the documentation if that is inside the body."""
    end = symbol.doc[1] if symbol.doc is not None and symbol.doc[0] >= symbol.body_start else symbol.body_start
    return source.data.count(b"\n", symbol.start, end) + 1


def _targets(source: Source, spec: AnnotationSpec) -> Iterator[tuple[str, Symbol | None]]:
    is_broken = source.num_errors > 0
    if source.grammar == "python" and not is_broken:
        is_broken = compiles(source.data.decode()) is False
    if spec.select == "broken" and not is_broken:
        return
    if "file" in spec.targets:
        yield "file", None
    for symbol in find_symbols(source):
        if symbol.kind in spec.targets:
            yield symbol.kind, symbol


def _fields(
    row: Row, source: Source, kind: str, symbol: Symbol | None, code: str, params: Mapping[str, str]
) -> dict[str, str]:
    signature = source.data[symbol.start : symbol.body_start].decode().strip() if symbol is not None else ""
    documentation = source.data[slice(*symbol.doc)].decode() if symbol is not None and symbol.doc else ""
    return {
        **params,
        "code": code,
        "language": source.grammar,
        "path": row.path,
        "repo_name": row.repo_name,
        "kind": kind,
        "name": symbol.name if symbol is not None else row.path.rsplit("/", 1)[-1],
        "signature": signature,
        "documentation": documentation,
    }
