"""Infill: cuts spans out of a file, has the model fill them in, and validates each middle against file and original.

End of a middle: the model's own stop, which is one of the FIM control tokens or the end of the sequence. A
`single_line` middle also ends at the first generated line break (`stop_at_newline`), because later text is not part of
that line. The vocabulary's line breaks are stop ids, so nothing is generated after one. `ended_by` records which stop
it was. Nothing else is trimmed: a middle is the generated text, including blanks. Models without infilling tokens are
asked otherwise (`transforms.tasks.infill_forms`); what they are asked doesn't change how a middle is judged.

`prefix` and `suffix` are what the prompt contains, which is a window of a long file; `content[:span_start]` and
`content[span_end:]` are the complete text. Checks use the full file.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import pyarrow as pa

from model.engine.requests import Completion
from model.engine.stopping import StopTexts
from model.errors import ConfigError, RecordError
from model.tokenizer import Tokenizer
from transforms.checks import has_control_text
from transforms.fim.formats import (
    fim_prompt,
    fim_stop_ids,
    path_line_text,
    strip_final_separator,
)
from transforms.fim.spans import RECIPE_VERSION, Recipe, Span, choose_spans
from transforms.fim.windows import Window, fit_window
from transforms.languages.faults import first_fault
from transforms.languages.parsing import can_parse
from transforms.packing.documents import SourceFile
from transforms.rows.rejections import Rejection
from transforms.rows.row import Row, derive_seed
from transforms.tasks.base import Accepted, RejectedTarget, TaskRequest
from transforms.tasks.chat import chat_stop_ids
from transforms.tasks.infill_forms import (
    CHAT_OVERHEAD_TOKENS,
    PromptForm,
    chat_infill_prompt,
    middle_of_turn,
    prefix_prompt,
    suffix_stop,
)
from transforms.tasks.middles.context import Blocks, choose_blocks
from transforms.tasks.middles.verdicts import CHECKS_TYPE, REJECTION_REASONS, Answer, verdicts_on
from transforms.tasks.settings import MAX_CONTEXT_SHARE, InfillSettings
from transforms.tasks.shared import (
    NOT_VERIFIABLE,
    failed_check,
    newline_ids,
    open_tokenizer,
    request_of,
    with_fault,
)

# `<bos>` and the three control tokens of every layout.
_CONTROL_TOKENS: Final = 4

EndedBy = Literal["stop", "newline", "suffix", "length"]

RESULT_SCHEMA: Final = pa.schema(
    [
        pa.field("prefix", pa.large_string(), nullable=False),
        pa.field("original_middle", pa.large_string(), nullable=False),
        pa.field("generated_middle", pa.large_string(), nullable=False),
        pa.field("suffix", pa.large_string(), nullable=False),
        pa.field("span_kind", pa.string(), nullable=False),
        pa.field("span_start", pa.int64(), nullable=False),  # characters of content
        pa.field("span_end", pa.int64(), nullable=False),
        pa.field("prefix_start", pa.int64(), nullable=False),
        pa.field("suffix_end", pa.int64(), nullable=False),
        pa.field("is_windowed", pa.bool_(), nullable=False),
        pa.field("fim_mode", pa.string(), nullable=False),
        pa.field("has_path_line", pa.bool_(), nullable=False),
        pa.field("ended_by", pa.string(), nullable=False),
        pa.field("checks", CHECKS_TYPE, nullable=False),
    ]
)


@dataclass(frozen=True, slots=True)
class InfillTarget:
    """The data of a target that `accept` needs."""

    span: Span
    fim_mode: PromptForm
    prefix_start: int
    suffix_end: int
    is_windowed: bool
    has_path_line: bool
    context: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class InfillTask(InfillSettings):
    """Fills spans in; see `transforms.tasks.base.Task`.

    Args:
        tokenizer: The model's vocabulary: a file, a checkpoint folder or a built-in model's name.
        job_seed: Seeds the choice of spans, the layout and sampling.

    Raises:
        ConfigError: An option is out of range or unknown.
    """

    tokenizer: str
    job_seed: int = 0

    name = "infill"

    @property
    def template_version(self) -> str:
        """The version of spans and prompts."""
        return f"infill-2/spans-{RECIPE_VERSION}" + ("/context-2" if self.has_context else "")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._recipe()
        if self.fim_format == "chat" and self.score_original:
            raise ConfigError("an original middle can't be scored in a chat; use another --fim_format")
        self._check_context()
        if unknown := sorted(set(self.require) - set(REJECTION_REASONS)):
            raise ConfigError(f"unknown check {', '.join(unknown)}; checks are {', '.join(REJECTION_REASONS)}")

    @property
    def result_schema(self) -> pa.Schema:
        """The columns of one accepted middle."""
        return RESULT_SCHEMA

    def requests(self, row: Row) -> Iterator[TaskRequest | RejectedTarget]:
        """Chooses the row's spans and builds their prompts.

        Raises:
            RecordError: `lone_surrogate`, `nothing_to_infill`, `not_verifiable`.
        """
        return self.requests_with(row, ())

    def requests_with(self, row: Row, imported: Sequence[SourceFile]) -> Iterator[TaskRequest | RejectedTarget]:
        """As `requests`, with the files that the row's file imports."""
        _check_encodable(row.content)
        if "parses" in self.require and not can_parse(row.content, row.language, row.path):
            detail = "no parser can check this file, and --require has parses; remove it to keep unchecked middles"
            raise RecordError(NOT_VERIFIABLE, detail)
        spans = choose_spans(
            row.content,
            row.language,
            path=row.path,
            job_seed=self.job_seed,
            content_sha256=row.content_sha256,
            count=self.spans_per_file,
            recipe=self._recipe(),
        )
        if not spans:
            raise RecordError(
                "nothing_to_infill",
                f"its {len(row.content)} characters contain no span of {self.min_chars} to {self.max_chars} characters",
            )
        return (self.request_for(row, span, imported) for span in spans)

    def accept(self, row: Row, request: TaskRequest, completion: Completion) -> Accepted | RejectedTarget:
        """Validates one middle."""
        target: InfillTarget = request.payload
        tokenizer = open_tokenizer(self.tokenizer)
        ids = strip_final_separator(tokenizer, completion.tokens)
        middle, ended_by = self._middle(row, target, ids, completion)
        verdicts: dict[str, Any] = {}
        answer = Answer(row, target.span, middle, target.context, is_cut_off=ended_by == "length")
        for check, verdict in verdicts_on(answer, lambda: self._has_control_token(row, ids, middle)).items():
            verdicts[check] = verdict()
            if check in self.require and (failed := failed_check(verdicts, REJECTION_REASONS, [check])):
                detail = failed[1] or f"{len(ids)} tokens were generated, ended by {ended_by}"
                if check == "parses" and verdicts[check] is False:
                    detail = with_fault(self._fault(row, target.span, middle), detail)
                return RejectedTarget(target=request.target, rejection=Rejection("judge", failed[0], detail))
        start, end = target.span.start, target.span.end
        return Accepted(
            written=(row.content[:start], middle, row.content[end:]),
            columns={
                "prefix": row.content[target.prefix_start : start],
                "original_middle": row.content[start:end],
                "generated_middle": middle,
                "suffix": row.content[end : target.suffix_end],
                "span_kind": target.span.kind,
                "span_start": start,
                "span_end": end,
                "prefix_start": target.prefix_start,
                "suffix_end": target.suffix_end,
                "is_windowed": target.is_windowed,
                "fim_mode": target.fim_mode,
                "has_path_line": target.has_path_line,
                "ended_by": ended_by,
                "checks": {**verdicts, "mean_logprob": completion.mean_logprob},
            },
        )

    def _has_control_token(self, row: Row, ids: list[int], middle: str) -> bool:
        control = open_tokenizer(self.tokenizer).control_ids
        names = _control_names(self.tokenizer)
        return not control.isdisjoint(ids) or has_control_text(middle, row.content, names)

    def _fault(self, row: Row, span: Span, middle: str) -> str:
        changed = row.content[: span.start] + middle + row.content[span.end :]
        hole = (span.start, span.end)
        return first_fault(changed, row.language, row.path, original=row.content, hole=hole)

    def request_for(self, row: Row, span: Span, imported: Sequence[SourceFile] = ()) -> TaskRequest | RejectedTarget:
        """Builds the prompt for one span of the row's content."""
        name = f"{span.kind}:{span.start}:{span.end}"
        tokenizer = open_tokenizer(self.tokenizer)
        path_line = tokenizer.encode(path_line_text(row.path)) if self.path_line or self.has_context else []
        mode = self._mode(row.content_sha256, name)
        try:
            original = tokenizer.encode(row.content[span.start : span.end])
            self._check_middle(len(original))
            blocks = choose_blocks(self.tokenizer, row, span, imported, self.context_room)
            blocks, (prompt, window) = self._fitted(tokenizer, row, span, mode, path_line, blocks)
        except RecordError as error:
            return RejectedTarget(target=name, rejection=Rejection("targets", error.reason, error.detail))
        return TaskRequest(
            target=name,
            request=request_of(
                self,
                prompt,
                stop_ids=chat_stop_ids(tokenizer) if mode == "chat" else self._stop_ids(tokenizer, span),
                seed=derive_seed(self.job_seed, row.content_sha256, "sample", name),
                stop_texts=self._stop_texts(tokenizer, row, span, mode),
            ),
            payload=_target(span, mode, window, blocks, has_path_line=bool(path_line)),
            prompt_format=mode,
            original=tuple(original) if self.score_original else (),
            context=blocks.told() if self.has_context else None,
        )

    def _fitted(
        self, tokenizer: Tokenizer, row: Row, span: Span, mode: PromptForm, path_line: list[int], blocks: Blocks
    ) -> tuple[Blocks, tuple[list[int], Window]]:
        """The prompt, without other files if these leave no room for the line around the middle."""
        try:
            return blocks, self._prompt(tokenizer, row, span, mode, path_line, blocks)
        except RecordError:
            if not blocks.documents:
                raise
        return Blocks(), self._prompt(tokenizer, row, span, mode, path_line, Blocks())

    def _prompt(
        self, tokenizer: Tokenizer, row: Row, span: Span, mode: PromptForm, path_line: list[int], blocks: Blocks
    ) -> tuple[list[int], Window]:
        budget = self.max_prompt_tokens - _CONTROL_TOKENS - len(path_line) - blocks.tokens
        if mode == "prefix":  # all room is the prefix's
            window = fit_window(tokenizer, row.content[: span.end], span.start, span.end, budget)
            return prefix_prompt(tokenizer, window.prefix_ids, path_line), window
        if mode == "chat":
            window = fit_window(tokenizer, row.content, span.start, span.end, budget - CHAT_OVERHEAD_TOKENS)
            before = path_line_text(row.path) if path_line else ""
            before += row.content[window.prefix_start : span.start]
            after = row.content[span.end : window.suffix_end]
            return chat_infill_prompt(tokenizer, before, after, row.language), window
        window = fit_window(tokenizer, row.content, span.start, span.end, budget)
        prompt = fim_prompt(
            tokenizer, mode, window.prefix_ids, window.suffix_ids, path_line=path_line, context=blocks.ids
        )
        return prompt, window

    def _stop_texts(self, tokenizer: Tokenizer, row: Row, span: Span, mode: PromptForm) -> StopTexts | None:
        if mode != "prefix" or self._stops_at_newline(span):
            return None
        stop = suffix_stop(row.content[span.end :])
        return None if stop is None else StopTexts((stop,), tokenizer)

    def _middle(self, row: Row, target: InfillTarget, ids: list[int], completion: Completion) -> tuple[str, EndedBy]:
        """`middle_of`, for each form of prompt."""
        span, content = target.span, row.content
        if target.fim_mode == "chat":
            answer = open_tokenizer(self.tokenizer).decode(ids)
            ended: EndedBy = "length" if completion.finish_reason == "length" else "stop"
            ends_line = content[: span.end].endswith("\n")
            return middle_of_turn(answer, content[: span.start], content[span.end :], ends_line=ends_line), ended
        shows_suffix = target.fim_mode != "prefix"
        return self.middle_of(span, ids, completion, "" if shows_suffix else content[span.end :])

    def middle_of(
        self, span: Span, ids: list[int], completion: Completion, hidden_suffix: str = ""
    ) -> tuple[str, EndedBy]:
        """Returns the middle's text and what ended it, for prompts that aren't chats.

        Args:
            span: Where it stands.
            ids: The generated tokens without separators at their end.
            completion: What the engine returned.
            hidden_suffix: The text behind the hole, of a prompt that doesn't show it.
        """
        text = open_tokenizer(self.tokenizer).decode(ids)
        if self._stops_at_newline(span):
            if "\n" in text:  # a token may contain a line break after other text
                return text.split("\n", 1)[0], "newline"
            if completion.stop_id in newline_ids(self.tokenizer):
                return text, "newline"
        elif (stop := suffix_stop(hidden_suffix)) is not None and stop in text:
            return text.split(stop, 1)[0], "suffix"
        return text, "length" if completion.finish_reason == "length" else "stop"

    def _recipe(self) -> Recipe:
        return Recipe.of(self)

    def _check_context(self) -> None:
        if self.context_tokens is not None and not self.has_context:
            raise ConfigError(
                f"--context_tokens {self.context_tokens} belongs to --context repo; add that, or remove it"
            )
        if self.has_context and self.fim_format in ("prefix", "chat"):
            raise ConfigError(
                f"--context repo needs a model with infilling tokens; prompts in the form {self.fim_format} have no "
                "place for other files; remove --context"
            )
        most = int(self.max_prompt_tokens * MAX_CONTEXT_SHARE)
        if self.context_room > most:
            raise ConfigError(
                f"--context_tokens is {self.context_tokens}, the limit is {most}, {MAX_CONTEXT_SHARE:.0%} of a prompt; "
                "lower it, or raise --max_prompt_tokens"
            )

    def _check_middle(self, num_tokens: int) -> None:
        if num_tokens > self.max_middle_tokens:
            raise RecordError(
                "middle_too_long",
                f"the original middle has {num_tokens} tokens, the limit is {self.max_middle_tokens}; "
                "raise --max_middle_tokens or lower --max_chars",
            )

    def _mode(self, content_sha256: str, target: str) -> PromptForm:
        if self.fim_format != "mixed":
            return self.fim_format
        return "spm" if derive_seed(self.job_seed, content_sha256, "fim_mode", target) & 1 else "psm"

    def _stops_at_newline(self, span: Span) -> bool:
        return self.stop_at_newline and span.kind == "single_line"

    def _stop_ids(self, tokenizer: Tokenizer, span: Span) -> frozenset[int]:
        newlines = newline_ids(self.tokenizer) if self._stops_at_newline(span) else frozenset()
        return fim_stop_ids(tokenizer) | newlines


def _target(span: Span, mode: PromptForm, window: Window, blocks: Blocks, *, has_path_line: bool) -> InfillTarget:
    start, end = window.prefix_start, window.suffix_end
    return InfillTarget(span, mode, start, end, window.is_windowed, has_path_line, blocks.texts)


def _check_encodable(content: str) -> None:
    try:
        content.encode("utf-8")
    except UnicodeEncodeError as error:
        detail = f"character {error.start} of {len(content)} is a lone surrogate, which can't be encoded as UTF-8"
        raise RecordError("lone_surrogate", detail) from None


@functools.lru_cache(maxsize=4)
def _control_names(path: str) -> tuple[str, ...]:
    tokenizer = open_tokenizer(path)
    return tuple(sorted(tokenizer.piece(id_) for id_ in tokenizer.control_ids))
