"""`codemill generate`: code from a signature and its documentation, from a file's heading, or from an instruction.

    codemill generate --input 'corpus/**/*.parquet' --output out --model codegemma-7b-it/
    codemill generate --what prompt --input prompts.parquet --output out --model codegemma-7b-it/ --language python
    codemill generate --what chat --input conversations.parquet --output out --model codegemma-7b-it/

The task is `transforms.tasks.generate`; the job framework (`jobs.driver.driver`) provides plan, units, commits and
shards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from jobs.options import AnswerOptions, GenerationOptions, PlannedLengths, PromptOptions, from_all_options
from model.errors import ConfigError
from transforms.tasks.settings import GENERATE_TOKENS, HOLE_PROMPT_TOKENS, WHOLE_PROMPT_TOKENS, GenerateSettings

if TYPE_CHECKING:
    from jobs.viewing.layout import Layout
    from transforms.generation.work import GenerationWork
    from transforms.verification.repository_tests import Corpus


@dataclass(frozen=True, kw_only=True)
class Options(PlannedLengths, GenerateSettings, PromptOptions, AnswerOptions, GenerationOptions):
    """Generate code from its description, and verify that it is complete, valid code in the right place."""


def build_work(options: Mapping[str, Any]) -> GenerationWork:
    """Makes the job's work from its options (`jobs.options.all_options`).

    Raises:
        ConfigError: An option is out of range, or the model is not found.
    """
    from jobs.execution.generation import generation_work, wants_chat
    from jobs.execution.lengths import with_lengths
    from jobs.execution.vocabulary import can_infill
    from transforms.tasks.generate import GenerateTask

    o = from_all_options(Options, options)
    if o.language and o.what not in _ASKING_COLUMNS:
        raise ConfigError(
            f"--language {o.language} with --what {o.what}: code takes the language of its file; remove --language"
        )
    if o.tests is not None and o.verify != "run":
        raise ConfigError(f"--tests {o.tests} is of use with --verify run only; add that, or remove --tests")
    is_chat = o.prompt == "chat" or (o.prompt == "auto" and wants_chat(o.model, o.instruct))
    prompt_tokens = HOLE_PROMPT_TOKENS if o.what == "body" and not is_chat else WHOLE_PROMPT_TOKENS
    o = with_lengths(o, answer_tokens=GENERATE_TOKENS[o.what], prompt_tokens=prompt_tokens)
    task = GenerateTask(
        tokenizer=o.vocabulary,
        is_chat=is_chat,
        job_seed=o.seed,
        **o.values_of(GenerateSettings),
    )
    return generation_work(
        o,
        task,
        is_chat=is_chat or (False if o.what != "prompt" and can_infill(o) else None),
        distinct=o.distinct,
        rejected_answers=o.rejected_answers,
        tests=None if o.tests is None else _corpus(o.tests),
    )


_ASKING_COLUMNS = {"prompt": "prompt", "chat": "messages"}


def run(options: Options, beam_args: Sequence[str]) -> int:
    """Runs the job and returns the exit code."""
    from jobs.driver.generation import run_generation_job

    if options.what in _ASKING_COLUMNS and options.content_column is None:
        options = replace(options, content_column=_ASKING_COLUMNS[options.what])
    if options.tests is not None and options.verify == "run":
        _check_corpus(options.tests)
    return run_generation_job("generate", options, beam_args, build_work)


def _corpus(tests: str) -> Corpus:
    """The files that `--tests` names, as `--input` would. Raises ConfigError if there are none."""
    from jobs import storage
    from jobs.plan.input_paths import expand
    from transforms.verification.repository_tests import Corpus

    try:
        return Corpus(tests, tuple(expand([tests])), storage.open_input)
    except ConfigError as error:
        raise ConfigError(str(error).replace("--input", "--tests", 1)) from error


def _check_corpus(tests: str) -> None:
    """Raises ConfigError if a file of `--tests` can't be read or has no paths: before workers each find that out."""
    from jobs.plan.reader import open_reader
    from transforms.verification.repository_tests import check_columns

    corpus = _corpus(tests)
    with open_reader() as read_footers:
        for file, footer in read_footers([(uri, "") for uri in corpus.files]):
            if footer is None:
                raise ConfigError(f"--tests {tests}: {file.uri} can't be read: {file.detail}")
            check_columns(footer.schema, tests)


def layouts() -> list[Layout]:
    """Returns the layouts in which rows are shown."""
    from jobs.viewing.layout import Layout, checks, diff, facts, text

    return [
        Layout(
            ("generated_code",),
            facts("symbol_name", "generated_language"),
            text("description", "end"),
            diff("original_code", "generated_code"),
            checks,
        )
    ]
