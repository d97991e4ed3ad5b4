"""Builds the work of a generation job from its options; shared by infill, docstring, generate and annotate."""

from __future__ import annotations

import model
from jobs.execution.lengths import check_lengths
from jobs.execution.vocabulary import check_vocabulary
from jobs.options import GenerationOptions
from model.checkpoint import read_config
from model.engine.settings import EngineSpec
from model.errors import ConfigError
from transforms.generation.imported import ContextSource
from transforms.generation.work import GenerationWork, filter_version
from transforms.rows.columns import ColumnOverrides, RowLimits
from transforms.scanning import ContentFilter
from transforms.tasks.base import Task
from transforms.tasks.settings import VerifySettings
from transforms.verification.repository_tests import Corpus


def generation_work(
    options: GenerationOptions,
    task: Task,
    *,
    is_chat: bool | None,
    nest: bool = False,
    distinct: bool = False,
    rejected_answers: bool = False,
    score_original: bool = False,
    tests: Corpus | None = None,
    context: ContextSource | None = None,
) -> GenerationWork:
    """Builds the work that runs `task` over a corpus.

    Args:
        options: The job's options.
        task: Chooses the targets, builds their prompts, and validates the answers.
        is_chat: Whether its prompts are in chat form; else they fill in the middle, or, for None, are plain text.
        nest: Whether a file becomes one row.
        distinct: Whether near-duplicate answers of a row are kept only once.
        rejected_answers: Whether the records of rejected targets include the generated text.
        score_original: Whether each row has the log-probability of its original text.
        tests: A corpus in which the tests of rows are looked up.
        context: Where prompts get what files import.

    Raises:
        ConfigError: The model or its vocabulary can't be found or don't match, a request could be longer than its
            context, or the policy can't be read.
    """
    config = read_config(options.model)
    check_vocabulary(options, config, is_chat=is_chat)
    check_lengths(options, config)
    content_filter = content_filter_of(options)
    version = version_of_filters(options, content_filter)
    if options.policy_version and options.policy_version != version:
        raise ConfigError(
            f"--policy {options.policy} or --known_text changed during the job; restore it, or start a new --output"
        )
    return GenerationWork(
        task=task,
        engine=options.part(EngineSpec),
        columns=ColumnOverrides(
            content=options.content_column,
            path=options.path_column,
            repo_name=options.repo_column,
            language=options.language_column,
        ),
        limits=RowLimits(max_content_bytes=int(options.max_content_mb * 1_000_000)),
        checkpoint_sha256=model.checkpoint_hash(options.model),
        content_filter=content_filter,
        row_workers=-1 if options.workers is None else options.workers,
        samples=options.samples,
        keep=options.keep,
        nest=nest,
        distinct=distinct,
        rejected_answers=rejected_answers,
        score_original=score_original,
        known_text=options.known_text or "",
        tokenizer=options.vocabulary,
        tests=tests,
        context=context,
        isolation=options.sandbox if isinstance(options, VerifySettings) else "bubblewrap",
    )


def version_of_filters(options: GenerationOptions, content_filter: ContentFilter | None) -> str:
    """Returns the version of the filters of inputs and outputs, in one word; "" if there are none."""
    version = filter_version(content_filter, options.known_text or "")
    return "" if version == "none" else version


def content_filter_of(options: GenerationOptions) -> ContentFilter | None:
    """Returns the filter of inputs and outputs; None if there is none."""
    return None if options.policy == "none" else ContentFilter(options.policy)


def wants_chat(model_path: str, instruct: bool | None = None) -> bool:
    """Whether a model is an instruction model.

    Args:
        model_path: The model.
        instruct: The user's word; None asks the checkpoint (`model.checkpoint.instruction`).

    Raises:
        ConfigError: There is no such model.
    """
    return read_config(model_path).is_instruction_tuned if instruct is None else instruct
