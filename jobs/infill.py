"""`codemill infill`: cut spans out of source files, have a model fill them in, and validate each middle.

    codemill infill --input 'corpus/**/*.parquet' --output out --model codegemma-2b/

Each output row records its lineage. The task is `transforms.tasks.infill`; the job framework (`jobs.driver.driver`)
provides plan, units, commits and shards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from jobs.options import GenerationOptions, PlannedLengths, RejectedAnswerOptions, from_all_options
from model.errors import ConfigError
from transforms.tasks.settings import HOLE_PROMPT_TOKENS, INFILL_TOKENS, WHOLE_PROMPT_TOKENS, InfillSettings

if TYPE_CHECKING:
    from jobs.viewing.layout import Layout
    from transforms.generation.work import GenerationWork


@dataclass(frozen=True, kw_only=True)
class Options(PlannedLengths, InfillSettings, RejectedAnswerOptions, GenerationOptions):
    """Fill in the middle of source files and validate what the model wrote."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.has_context:
            return
        whole = "--context repo shows other files of a row's repository, so it needs the input as a whole"
        for name in ("grow", "retry_rejected"):
            if getattr(self, name):
                raise ConfigError(f"{whole}; remove --{name}")
        if self.fused_steps:
            raise ConfigError(f"{whole}, as files that earlier steps have written; remove `fused` from them")


def build_work(options: Mapping[str, Any]) -> GenerationWork:
    """Makes the job's work from its options (`jobs.options.all_options`).

    Raises:
        ConfigError: An option is out of range, or the model is not found.
    """
    from jobs.execution.context import JobContext, output_of
    from jobs.execution.generation import generation_work
    from jobs.execution.lengths import with_lengths
    from transforms.tasks.infill import InfillTask

    o = _with_prompt_form(from_all_options(Options, options))
    prompt_tokens = WHOLE_PROMPT_TOKENS if o.has_context else HOLE_PROMPT_TOKENS
    o = with_lengths(o, answer_tokens=INFILL_TOKENS, prompt_tokens=prompt_tokens)
    task = InfillTask(tokenizer=o.vocabulary, job_seed=o.seed, **o.values_of(InfillSettings))
    return generation_work(
        o,
        task,
        is_chat={"chat": True, "prefix": None}.get(o.fim_format, False),
        score_original=o.score_original,
        rejected_answers=o.rejected_answers,
        context=JobContext(output_of(o.output).job.path) if o.has_context else None,
    )


def _with_prompt_form(options: Options) -> Options:
    """The options with the form of prompts for the model, if its vocabulary has no infilling tokens."""
    from jobs.execution.generation import wants_chat
    from jobs.execution.vocabulary import can_infill
    from transforms.tasks.infill_forms import form_without_tokens

    if options.fim_format != "mixed" or can_infill(options):
        return options
    return replace(options, fim_format=form_without_tokens(is_instruction_tuned=wants_chat(options.model)))


def run(options: Options, beam_args: Sequence[str]) -> int:
    """Runs the job and returns the exit code."""
    from jobs.driver.generation import run_generation_job

    return run_generation_job("infill", _with_prompt_form(options), beam_args, build_work)


def layouts() -> list[Layout]:
    """Returns the layouts in which rows are shown."""
    from jobs.viewing.layout import Layout, checks, facts
    from jobs.viewing.middle import middle_in_place

    return [Layout(("prefix", "generated_middle", "suffix"), facts("span_kind", "fim_mode"), middle_in_place, checks)]
