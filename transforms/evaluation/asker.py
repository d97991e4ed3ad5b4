"""Turns questions into requests for the engine, and completions into answers, as `infill` and `generate` do.

    fill      the infill task's own prompt, stops and parsing, with a span of no characters as the hole
    continue  beginning of sequence and text, as `generate --what prompt` asks a base model; the protocol's stops are
              searched in the text, since they may begin or end inside a token

Pure, like a task: no I/O, no engine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from model.engine.requests import Completion
from model.engine.settings import GenerationSettings
from model.errors import RecordError
from transforms.evaluation.question import Question
from transforms.fim.formats import FimMode, fim_stop_ids, strip_final_separator
from transforms.fim.spans import Span
from transforms.rows.row import Row, derive_seed
from transforms.tasks.base import RejectedTarget, TaskRequest
from transforms.tasks.infill import InfillTask
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
    fim_format: FimMode = "psm"
    job_seed: int = 0

    name = "evaluate"
    template_version = "evaluate-1"

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
        request = request_of(self, prompt, stop_ids=stop_ids, seed=seed)
        return TaskRequest(target=TARGET, request=request, prompt_format="plain")

    def answer(self, row: Row, question: Question, completion: Completion) -> Answer:
        """The answer in a completion."""
        tokenizer = open_tokenizer(self.tokenizer)
        ids = strip_final_separator(tokenizer, completion.tokens)
        written = tokenizer.decode(ids)
        if question.form == "fill":
            middle, ended_by = self._infill().middle_of(_hole(row, question), ids, completion)
            return Answer(middle + "\n" if question.is_line else middle, written, ended_by)
        text = question.ending.cut(written, is_complete=completion.finish_reason == "stop")
        ended_by = "stop" if text != written else completion.finish_reason
        return Answer(question.lead + text, written, ended_by)

    def _infill(self) -> InfillTask:
        return InfillTask(
            tokenizer=self.tokenizer,
            job_seed=self.job_seed,
            fim_format=self.fim_format,
            max_prompt_tokens=self.max_prompt_tokens,
            max_new_tokens=self.max_new_tokens,
            temperature=self.temperature,
            top_k=self.top_k,
            top_p=self.top_p,
        )


def _hole(row: Row, question: Question) -> Span:
    """The place of the answer. The model isn't told how long the original was, so neither is the task."""
    return Span("single_line" if question.is_line else "block", len(row.content), len(row.content))
