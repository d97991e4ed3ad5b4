"""`codemill docstring`: document functions, methods, classes and modules, verified against their code.

    codemill docstring --input 'corpus/**/*.parquet' --output out --model codegemma-7b-it/

The task is `transforms.tasks.docstring`; the job framework (`jobs.driver.driver`) provides plan, units, commits and
shards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jobs.options import AnswerOptions, GenerationOptions, PlannedLengths, PromptOptions, from_all_options, option
from model.errors import ConfigError
from transforms.tasks.settings import DOCSTRING_TOKENS, HOLE_PROMPT_TOKENS, WHOLE_PROMPT_TOKENS, DocstringSettings

if TYPE_CHECKING:
    from jobs.viewing.layout import Layout
    from transforms.generation.work import GenerationWork


@dataclass(frozen=True, kw_only=True)
class Options(PlannedLengths, DocstringSettings, PromptOptions, AnswerOptions, GenerationOptions):
    """Document functions, methods, classes and modules, and verify what the model wrote against their code."""

    nest: bool = option(
        False, help="One row per file, with content_documented and a list of the generated documentation."
    )


def build_work(options: Mapping[str, Any]) -> GenerationWork:
    """Makes the job's work from its options (`jobs.options.all_options`).

    Raises:
        ConfigError: An option is out of range, or the model is not found.
    """
    from jobs.execution.generation import generation_work, wants_chat
    from jobs.execution.lengths import with_lengths
    from jobs.execution.vocabulary import can_infill
    from transforms.tasks.docstring import DocstringTask

    o = from_all_options(Options, options)
    if o.nest and o.keep > 1:
        raise ConfigError(f"--keep {o.keep} with --nest: a definition can have only one docstring; use --keep 1")
    is_chat = o.prompt == "chat" or (o.prompt == "auto" and wants_chat(o.model, o.instruct))
    prompt_tokens = WHOLE_PROMPT_TOKENS if is_chat else HOLE_PROMPT_TOKENS
    o = with_lengths(o, answer_tokens=DOCSTRING_TOKENS, prompt_tokens=prompt_tokens)
    task = DocstringTask(
        tokenizer=o.vocabulary,
        is_chat=is_chat,
        job_seed=o.seed,
        **o.values_of(DocstringSettings),
    )
    return generation_work(
        o,
        task,
        is_chat=is_chat or (False if can_infill(o) else None),
        nest=o.nest,
        distinct=o.distinct,
        rejected_answers=o.rejected_answers,
    )


def run(options: Options, beam_args: Sequence[str]) -> int:
    """Runs the job and returns the exit code."""
    from jobs.driver.generation import run_generation_job

    return run_generation_job("docstring", options, beam_args, build_work)


def layouts() -> list[Layout]:
    """Returns the layouts in which rows are shown."""
    from jobs.viewing.layout import Layout, checks, diff, each, facts, file_diff, text

    of_symbol = Layout(
        ("code_documented",),
        facts("symbol_kind", "symbol_name", "form"),
        diff("code", "code_documented"),
        text("original_documentation", "original"),
        checks,
    )
    of_file = Layout(
        ("content_documented", "documented"), file_diff("content_documented"), each("documented", "symbol_name")
    )
    return [of_symbol, of_file]
