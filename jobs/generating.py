"""From a generating job's options to its work: what infill, docstring and the other model jobs share."""

from __future__ import annotations

from jobs.options import GeneratingOptions
from transforms.bridge import EngineSpec
from transforms.columns import ColumnOverrides, RowLimits
from transforms.filters import ContentFilter
from transforms.generation import GenerationWork
from transforms.tasks.base import Task


def generation_work(options: GeneratingOptions, task: Task, *, nest: bool = False) -> GenerationWork:
    """Makes the work that runs `task` over a corpus.

    Args:
        options: The job's.
        task: What to ask the model.
        nest: Whether a file becomes one row.

    Raises:
        ConfigError: The model can't be found, or the policy can't be read.
    """
    import model

    return GenerationWork(
        task=task,
        engine=EngineSpec(
            model=options.model,
            max_prompt_tokens=options.max_prompt_tokens,
            max_new_tokens=options.max_new_tokens,
            determinism=options.determinism,
            slots=options.slots,
            dtype=None if options.dtype == "auto" else options.dtype,
            compile_cache=options.compile_cache,
        ),
        columns=ColumnOverrides(
            content=options.content_column,
            path=options.path_column,
            repo_name=options.repo_column,
            language=options.language_column,
        ),
        limits=RowLimits(max_content_bytes=int(options.max_content_mb * 1_000_000)),
        checkpoint_sha256=model.checkpoint_hash(options.model),
        content_filter=None if options.policy == "none" else ContentFilter(options.policy),
        row_workers=-1 if options.row_workers is None else options.row_workers,
        samples=options.samples,
        keep=options.keep,
        nest=nest,
    )


def wants_chat(model_path: str) -> bool:
    """Whether a model is an instruction model, by its config.

    Raises:
        ConfigError: There is no such model.
    """
    from model.checkpoint import read_config

    return read_config(model_path).is_instruction_tuned
