"""`codemill annotate --task FILE.yaml`: a custom question about files and symbols, without writing code.

`--task MODULE:CLASS` asks what a Python class of the user's asks (`transforms.tasks.own`).

    codemill annotate --task explain --input 'corpus/**/*.parquet' --output out --model codegemma-7b-it/

Built-in tasks: explain, review, unit-tests, exercise, translate, question-answer, grammar. `transforms.tasks.task_file`
describes the format of a task file; the job framework (`jobs.driver.driver`) provides plan, units, commits and shards.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from jobs.options import AnswerOptions, GenerationOptions, InstructOptions, PlannedLengths, from_all_options, option
from model.errors import ConfigError
from transforms.tasks.settings import ANNOTATE_TOKENS, WHOLE_PROMPT_TOKENS, AnnotateSettings

if TYPE_CHECKING:
    from jobs.viewing.layout import Layout
    from transforms.generation.work import GenerationWork
    from transforms.tasks.base import Task
    from transforms.tasks.task_file import AnnotationSpec


@dataclass(frozen=True, kw_only=True)
class Options(PlannedLengths, AnnotateSettings, InstructOptions, AnswerOptions, GenerationOptions):
    """Ask a chat model a custom question about files, classes and functions."""

    task: str = option(
        help="Task file; a built-in task: explain, review, unit-tests, exercise, translate, question-answer, grammar; "
        "or a task of your own in Python: MODULE:CLASS, FILE.py:CLASS or the name of an entry point (codemill.tasks).",
        is_path=True,
    )
    set: tuple[str, ...] = option(
        (), help="Values of the task's params or fields, e.g. to_language=rust.", metavar="PARAM=VALUE"
    )
    verify: Literal["parse", "compile", "run"] = option(
        None,
        help="What is done with answers: parse: nothing is run; compile: their code is compiled, or type-checked; run: "
        "it is run as the task says; default: run for unit-tests, translate, exercise and other tasks that say how, "
        "else parse.",
        choices=("parse", "compile", "run"),
    )
    any_model: bool = option(False, help="Allow a base model, although it was not trained for chat prompts.")
    task_sha256: str = option(
        "",
        help="Internal: hash of the task as read or of its code, so that a resumed job refuses a changed task.",
        internal="the task file or the code of --task",
    )


def build_work(options: Mapping[str, Any]) -> GenerationWork:
    """Makes the job's work from its options (`jobs.options.all_options`).

    Raises:
        ConfigError: The task file is invalid or the task's class can't be loaded, the model is a base model, or an
            option is out of range.
    """
    from jobs.execution.generation import generation_work
    from transforms.tasks.own import is_own_task

    o, task = (_own_task if is_own_task(options["task"]) else _file_task)(from_all_options(Options, options))
    return generation_work(o, task, is_chat=True, distinct=o.distinct, rejected_answers=o.rejected_answers)


def run(options: Options, beam_args: Sequence[str]) -> int:
    """Runs the job and returns the exit code."""
    from jobs.execution.ahead import run_generation_job
    from transforms.own_code import code_sha256
    from transforms.tasks.own import is_own_task, load_task

    if is_own_task(options.task):
        sha256 = code_sha256(load_task(options.task))
    else:
        sha256 = _hash(_load(replace(options, task_sha256="")))
    return run_generation_job("annotate", replace(options, task_sha256=sha256), beam_args, build_work)


def _own_task(o: Options) -> tuple[Options, Task]:
    """The task of the user's class, and the options with what it decides."""
    from transforms.tasks.own import load_task, make_task

    kind = load_task(o.task, o.task_sha256)
    if o.verify not in (None, "parse"):
        raise ConfigError(f"--verify {o.verify} is of task files; the answers of --task {o.task} are read by its class")
    o = _with_lengths(replace(o, verify="parse"), kind.answer_tokens)
    given = {"tokenizer": o.vocabulary, "job_seed": o.seed, **o.values_of(AnnotateSettings)}
    return o, make_task(o.task, kind, o.set, given)


def _file_task(o: Options) -> tuple[Options, Task]:
    """The task of a task file, and the options with what it decides."""
    from transforms.tasks.annotate import AnnotateTask

    spec = _load(o)
    o = _with_lengths(
        replace(o, verify=o.verify or ("run" if spec.verify else "parse")), ANNOTATE_TOKENS[spec.answer.kind]
    )
    return o, AnnotateTask(tokenizer=o.vocabulary, spec=spec, job_seed=o.seed, **o.values_of(AnnotateSettings))


def _with_lengths(o: Options, answer_tokens: int) -> Options:
    """The options with lengths of prompts and answers. Raises ConfigError if the model has no chat form."""
    from jobs.execution.generation import wants_chat
    from jobs.execution.lengths import with_lengths

    if not (o.any_model or wants_chat(o.model, o.instruct)):
        raise ConfigError(
            f"--model {o.model} is a base model, but annotate uses chat prompts; "
            "use an instruction-tuned model (codegemma-7b-it), --instruct if it is one, or --any_model to try anyway"
        )
    return with_lengths(o, answer_tokens=answer_tokens, prompt_tokens=WHOLE_PROMPT_TOKENS)


def _load(options: Options) -> AnnotationSpec:
    from transforms.tasks.task_file import load_annotation

    params = {}
    for word in options.set:
        name, separator, value = word.partition("=")
        if not separator:
            raise ConfigError(f"--set {word}: expected PARAM=VALUE, e.g. to_language=rust")
        params[name] = value
    spec = load_annotation(options.task, params)
    if options.task_sha256 and options.task_sha256 != _hash(spec):
        raise ConfigError(
            f"--task {options.task} changed while the job was running; restore it, or start a new --output"
        )
    return spec


def _hash(spec: AnnotationSpec) -> str:
    return hashlib.sha256(json.dumps(asdict(spec), sort_keys=True, default=list).encode()).hexdigest()


def layouts() -> list[Layout]:
    """Returns the layouts in which rows are shown."""
    from jobs.viewing.layout import Layout, checks, facts, text

    return [
        Layout(
            ("answer",),
            facts("target_kind", "symbol_name"),
            text("prompt_text", "beginning"),
            text("answer", "generated"),
            checks,
        )
    ]
