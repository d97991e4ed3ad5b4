"""Turns questions into requests for the engine, and completions into answers, as `infill` and `generate` do.

    fill      the infill task's own prompt, stops and parsing, with a span of no characters as the hole
    continue  beginning of sequence and text, as `generate --what prompt` asks a base model; the protocol's stops are
              searched in the text, since they may begin or end inside a token; the engine ends at them
    turn, conversation    a chat prompt, as `generate --what prompt` and `chat` ask an instruction-tuned model

Pure, like a task: no I/O, no engine.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Final

from model.engine.requests import Completion
from model.engine.settings import GenerationSettings
from model.engine.stopping import StopTexts
from model.errors import RecordError
from transforms.evaluation.chat import code_of_turn, whole_code
from transforms.evaluation.question import Question
from transforms.fim.formats import fim_stop_ids, strip_final_separator
from transforms.fim.spans import Span
from transforms.rows.row import Row, derive_seed
from transforms.tasks.base import RejectedTarget, TaskRequest
from transforms.tasks.generate import GenerateTask
from transforms.tasks.infill import InfillTask
from transforms.tasks.infill_forms import PromptForm
from transforms.tasks.shared import continuation_prompt, open_tokenizer, request_of

TARGET: Final = "answer"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model answered.

    Args:
        text: The answer that is tried.
        written: All that the model wrote.
        ended_by: What ended it: `stop` (a stop token, or a text of the protocol), `newline` or `length`.
    """

    text: str
    written: str
    ended_by: str


@dataclass(frozen=True, kw_only=True)
class Asker(GenerationSettings):
    """Builds requests and parses completions.

    Args:
        tokenizer: The model's vocabulary: a file, a checkpoint folder or a built-in model's name.
        fim_format: The layout of prompts with a suffix.
        job_seed: Seeds sampling.
    """

    tokenizer: str
    fim_format: PromptForm = "psm"
    job_seed: int = 0

    name = "evaluate"
    template_version = "evaluate-2"

    def request(self, row: Row, question: Question) -> TaskRequest:
        """The request for a prompt.

        Args:
            row: Its content is the prompt, or what stands before the answer.
            question: The rest.

        Raises:
            RecordError: `prompt_too_long`.
        """
        if question.form == "fill":
            whole = Row(row.source, row.content + question.suffix, row.content_sha256, row.redacted_sha256)
            found = self._infill().request_for(whole, _hole(row, question))
            if isinstance(found, RejectedTarget):
                raise RecordError(found.rejection.reason, found.rejection.detail)
            return found
        if question.form != "continue":
            return self._in_chat(row, question)
        tokenizer = open_tokenizer(self.tokenizer)
        prompt = continuation_prompt(tokenizer, row.content)
        if len(prompt) > self.max_prompt_tokens:
            raise RecordError(
                "prompt_too_long",
                f"the prompt has {len(prompt)} tokens, the limit is {self.max_prompt_tokens}; raise "
                "--max_prompt_tokens, or lower --shots",
            )
        seed = derive_seed(self.job_seed, row.content_sha256, self.name, TARGET)
        stop_ids = fim_stop_ids(tokenizer)
        request = request_of(self, prompt, stop_ids=stop_ids, seed=seed, stop_texts=self._stop_texts(question))
        return TaskRequest(target=TARGET, request=request, prompt_format="plain")

    def _in_chat(self, row: Row, question: Question) -> TaskRequest:
        task = GenerateTask(
            what="chat" if question.form == "conversation" else "prompt",
            is_chat=True,
            tokenizer=self.tokenizer,
            job_seed=self.job_seed,
            **self._settings(),
        )
        (found,) = task.requests(row)
        if isinstance(found, RejectedTarget):
            raise RecordError(found.rejection.reason, found.rejection.detail)
        return replace(found, target=TARGET, request=replace(found.request, stop_texts=self._stop_texts(question)))

    def _stop_texts(self, question: Question) -> StopTexts | None:
        return StopTexts(question.stop_texts, open_tokenizer(self.tokenizer)) if question.stop_texts else None

    def answer(self, row: Row, question: Question, completion: Completion) -> Answer:
        """The answer in a completion."""
        tokenizer = open_tokenizer(self.tokenizer)
        ids = strip_final_separator(tokenizer, completion.tokens)
        written = tokenizer.decode(ids)
        if question.form == "fill":
            hidden = question.suffix if self.fim_format == "prefix" else ""
            middle, ended_by = self._infill().middle_of(_hole(row, question), ids, completion, hidden)
            return Answer(middle + "\n" if question.is_line else middle, written, ended_by)
        ended_by = "length" if completion.finish_reason == "length" else "stop"
        if question.answer == "code":
            return Answer(whole_code(code_of_turn(written, row.language), question.lead), written, ended_by)
        text = question.ending.cut(written, is_complete=completion.finish_reason == "stop")
        return Answer(question.lead + text, written, "stop" if text != written else ended_by)

    def _infill(self) -> InfillTask:
        return InfillTask(
            tokenizer=self.tokenizer,
            job_seed=self.job_seed,
            fim_format=self.fim_format,
            **self._settings(),
        )

    def _settings(self) -> dict[str, Any]:
        """How tokens are sampled, and the lengths."""
        return {one.name: getattr(self, one.name) for one in fields(GenerationSettings)}


def _hole(row: Row, question: Question) -> Span:
    """The place of the answer. The model isn't told how long the original was, so neither is the task."""
    return Span("single_line" if question.is_line else "block", len(row.content), len(row.content))
