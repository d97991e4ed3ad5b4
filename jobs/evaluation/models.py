"""The work that asks a model, from the job's options."""

from __future__ import annotations

from jobs.evaluation.asking import Questions
from jobs.execution.lengths import check_lengths, with_lengths
from jobs.execution.vocabulary import check_vocabulary
from jobs.options import ModelJobOptions
from model.checkpoint import checkpoint_hash, read_config
from model.engine.settings import EngineSpec, GenerationSettings
from transforms.evaluation.answering import AnswerWork
from transforms.evaluation.asker import Asker
from transforms.row_pool import default_workers
from transforms.sandbox.sandbox import Isolation
from transforms.tasks.infill_forms import PromptForm


def answer_work(
    options: ModelJobOptions, questions: Questions, *, fim_format: PromptForm, isolation: Isolation
) -> AnswerWork:
    """Makes the work.

    Args:
        options: The job's options; lengths that aren't given follow from model and protocol.
        questions: What is asked.
        fim_format: The layout of prompts with a suffix.
        isolation: What programs run in.

    Raises:
        ConfigError: The model or its vocabulary can't be found or don't match, or a request could be longer than its
            context.
    """
    protocol = questions.protocol
    options = with_lengths(options, answer_tokens=protocol.answer_tokens, prompt_tokens=protocol.prompt_tokens)
    config = read_config(options.model)
    check_vocabulary(options, config, is_chat=questions.is_chat or (None if fim_format == "prefix" else False))
    check_lengths(options, config)
    asker = Asker(
        tokenizer=options.vocabulary,
        fim_format=fim_format,
        job_seed=options.seed,
        **options.values_of(GenerationSettings),
    )
    return AnswerWork(
        asker=asker,
        engine=options.part(EngineSpec),
        checkpoint_sha256=checkpoint_hash(options.model),
        benchmark_version=questions.benchmark.version,
        slots=options.workers or default_workers(),
        isolation=isolation,
        is_text=questions.benchmark.is_text,
    )
