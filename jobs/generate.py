"""`codemill generate`: code from a signature and its documentation, from a file's heading, or from an instruction.

    codemill generate --input 'corpus/**/*.parquet' --output out --model codegemma-7b-it/
    codemill generate --what prompt --input prompts.parquet --output out --model codegemma-7b-it/ --language python
    codemill generate --what chat --input conversations.parquet --output out --model codegemma-7b-it/

The task is `transforms.tasks.generate`; plan, units, commits and shards are the machinery's (`jobs.driver.driver`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from jobs.options import GeneratingOptions, from_all_options, option
from model.errors import ConfigError

if TYPE_CHECKING:
    from transforms.generation.work import GenerationWork


@dataclass(frozen=True, kw_only=True)
class Options(GeneratingOptions):
    """Write code from what describes it, and verify that it is code, whole and in its place."""

    what: Literal["body", "file", "prompt", "chat"] = option(
        "body",
        help="body: of documented functions; file: after its heading; prompt: instructions in the column prompt; "
        "chat: conversations in the column messages, continued by a turn.",
    )
    only_documented: bool = option(True, help="Bodies only of functions that have documentation.")
    max_functions: int = option(10_000, help="Bodies of one file, at most.", minimum=1, metavar="FUNCTIONS")
    reject_copies: bool = option(True, help="Reject code that equals the original up to blanks.")
    language: str = option(
        "",
        help="With --what prompt or chat: the language of the code that is wanted; else the row's, or the answer's.",
    )
    prompt: Literal["auto", "fim", "chat"] = option(
        "auto", help="fim: a hole in the file; chat: a question; auto: chat for instruction models."
    )
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
    from transforms.tasks.generate import GenerateTask

    o = from_all_options(Options, options)
    if o.language and o.what not in _ASKING_COLUMNS:
        raise ConfigError(
            f"--language {o.language} with --what {o.what}: code takes the language of its file; leave it out"
        )
    task = GenerateTask(
        tokenizer=o.model,
        what=o.what,
        is_chat=o.prompt == "chat" or (o.prompt == "auto" and wants_chat(o.model)),
        only_documented=o.only_documented,
        max_functions=o.max_functions,
        reject_copies=o.reject_copies,
        language=o.language,
        job_seed=o.seed,
        max_prompt_tokens=o.max_prompt_tokens,
        max_new_tokens=o.max_new_tokens,
        temperature=o.temperature,
        top_k=o.top_k,
        top_p=o.top_p,
        min_score=o.min_score,
    )
    return generation_work(o, task, distinct=o.distinct, rejected_answers=o.rejected_answers)


_ASKING_COLUMNS = {"prompt": "prompt", "chat": "messages"}


def run(options: Options, beam_args: Sequence[str]) -> int:
    """Runs the job and returns the exit code."""
    from jobs.driver.generation import run_generating

    if options.what in _ASKING_COLUMNS and options.content_column is None:
        options = replace(options, content_column=_ASKING_COLUMNS[options.what])
    return run_generating("generate", options, beam_args, build_work)


if __name__ == "__main__":
    import sys

    from jobs.cli import main

    sys.exit(main(["generate", *sys.argv[1:]]))
