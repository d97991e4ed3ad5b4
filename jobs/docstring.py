"""`codemill docstring`: document functions, methods, classes and modules, verified against their code.

    codemill docstring --input 'corpus/**/*.parquet' --output out --model codegemma-7b-it/

The task is `transforms.tasks.docstring`; plan, units, commits and shards are the machinery's (`jobs.driver.driver`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from jobs.options import GeneratingOptions, from_all_options, option
from model.errors import ConfigError

if TYPE_CHECKING:
    from transforms.generation.work import GenerationWork


@dataclass(frozen=True, kw_only=True)
class Options(GeneratingOptions):
    """Document functions, methods, classes and modules, and verify what the model wrote against their code."""

    kinds: tuple[str, ...] = option(
        ("module", "class", "function", "method"), help="Kinds of symbol to document.", metavar="KIND"
    )
    targets: Literal["undocumented", "all"] = option(
        "undocumented", help="all: documented symbols too; their own text is taken out first and kept to compare."
    )
    style: Literal["any", "google", "numpy", "rest"] = option("any", help="Style of Python's sections.")
    prompt: Literal["auto", "fim", "chat"] = option(
        "auto", help="fim: a hole in the file; chat: a question; auto: chat for instruction models."
    )
    max_symbols: int = option(10_000, help="Symbols of one file, at most.", minimum=1, metavar="SYMBOLS")
    nest: bool = option(False, help="One row a file, with content_documented and the list of what was written.")
    distinct: bool = option(
        True, help="Keep one of the answers of a unit that say nearly the same of nearly the same code."
    )
    rejected_answers: bool = option(
        False, help="Keep rejected answers beside their reasons, but for those that the filters find something in."
    )
    min_score: float = option(-100.0, help="Least mean log-probability of an answer.", maximum=0.0, metavar="LOGPROB")


def build_work(options: Mapping[str, Any]) -> GenerationWork:
    """Makes the job's work from its options (`jobs.options.all_options`).

    Raises:
        ConfigError: An option is out of range, or the model can't be found.
    """
    from jobs.driver.generation import generation_work, wants_chat
    from transforms.tasks.docstring import DocstringTask

    o = from_all_options(Options, options)
    if o.nest and o.keep > 1:
        raise ConfigError(f"--keep {o.keep} with --nest: a definition has one documentation; give --keep 1")
    task = DocstringTask(
        tokenizer=o.model,
        is_chat=o.prompt == "chat" or (o.prompt == "auto" and wants_chat(o.model)),
        kinds=o.kinds,
        targets=o.targets,
        style=None if o.style == "any" else o.style,
        job_seed=o.seed,
        max_symbols=o.max_symbols,
        max_prompt_tokens=o.max_prompt_tokens,
        max_new_tokens=o.max_new_tokens,
        temperature=o.temperature,
        top_k=o.top_k,
        top_p=o.top_p,
        min_score=o.min_score,
    )
    return generation_work(o, task, nest=o.nest, distinct=o.distinct, rejected_answers=o.rejected_answers)


def run(options: Options, beam_args: Sequence[str]) -> int:
    """Runs the job and returns the exit code."""
    from jobs.driver.generation import run_generating

    return run_generating("docstring", options, beam_args, build_work)


if __name__ == "__main__":
    import sys

    from jobs.cli import main

    sys.exit(main(["docstring", *sys.argv[1:]]))
