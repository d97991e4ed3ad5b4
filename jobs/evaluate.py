"""`codemill evaluate`: answers to a benchmark's problems, or to problems of one's own, tried in the sandbox.

    codemill evaluate --benchmark human_eval --data human_eval.parquet --model codegemma-2b/ --output scores
    codemill evaluate --benchmark hellaswag --data hellaswag.parquet --model codegemma-2b/ --output choices
    codemill evaluate --benchmark human_eval --data human_eval.parquet --answers answers.jsonl --output scores
    codemill evaluate --benchmark mbpp --data mbpp.parquet --reference --output check
    codemill evaluate --tests problems.jsonl --output scores
    codemill evaluate --tests conversations.jsonl --model codegemma-7b-it/ --output scores
    codemill evaluate --compare first second

Each answer is one row of the output, with `passed` and the evidence (`executed`). Scores are in `scores.json`.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from jobs.options import ModelJobOptions, PlannedLengths, from_all_options, option
from jobs.terminal.escapes import print_line
from model.errors import ConfigError

if TYPE_CHECKING:
    from jobs.evaluation.asking import Questions
    from jobs.evaluation.choices import Choices
    from jobs.evaluation.prepare import Sources
    from jobs.evaluation.standing import Standing
    from transforms.evaluation.answering import AnswerWork
    from transforms.evaluation.choosing import ChoiceWork
    from transforms.evaluation.protocol import Protocol
    from transforms.evaluation.work import ExecuteWork

_OF_ANSWERS = ("samples", "temperature", "top_k", "top_p", "fim_format", "prompt")
_NOT_WITH_CHOICES = ("answers", "reference", "languages", "protocol", *_OF_ANSWERS, "trained_on")
_MODEL_ONLY = ("shots", "shots_data", "protocol", "tokenizer", *_OF_ANSWERS)


@dataclass(frozen=True, kw_only=True)
class Options(PlannedLengths, ModelJobOptions):
    """Try answers to the problems of a benchmark, or to problems of your own, and reckon the scores."""

    input: tuple[str, ...] = option(
        (), help="Internal: the files of the other options.", internal="the files", is_path=True
    )
    output: str = option("", help="Output folder, local or gs://.", operational=True, metavar="DIR", is_path=True)
    benchmark: str | None = option(None, help="Name of the benchmark; --list shows all.", metavar="NAME")
    data: str | None = option(None, help="The benchmark's file: Parquet or JSON lines.", metavar="FILE", is_path=True)
    tests: str | None = option(
        None,
        help="Problems of your own: Parquet or JSON lines with task_id, language, prompt, test, and optionally setup, "
        "suffix, entry_point, answer; or conversations, with messages.",
        metavar="FILE",
        is_path=True,
    )
    answers: str | None = option(
        None,
        help="Answers: Parquet or JSON lines with task_id (or qid, id), answer, and language where a problem is asked "
        "in several; several rows of a problem are samples. Without it, the problems' own column answer.",
        metavar="FILE",
        is_path=True,
    )
    model: str = option(
        "",
        help="Ask this model: a checkpoint folder, or `embedded`, the small model that ships with codemill.",
        metavar="PATH",
        is_path=True,
    )
    languages: tuple[str, ...] = option(
        (), help="Only problems in these languages, by any of their names; default: all.", metavar="LANGUAGE"
    )
    shots: int | None = option(
        None,
        help="With --model: examples in front of each question; default: the protocol's number.",
        minimum=0,
        metavar="N",
    )
    shots_data: str | None = option(
        None,
        help="With --model: the file whose first rows are the examples, in the benchmark's own layout.",
        metavar="FILE",
        is_path=True,
    )
    protocol: str | None = option(
        None,
        help="With --model: a file of your own instead of the benchmark's protocol (docs/evaluation.md).",
        metavar="FILE",
        is_path=True,
    )
    prompt: Literal["auto", "base", "chat"] = option(
        "auto",
        help="With --model: base: a prompt is gone on with; chat: it is a turn of the user's; auto: chat for "
        "instruction-tuned models. What is filled in is asked in FIM form either way.",
    )
    fim_format: Literal["psm", "spm", "spm_v2", "prefix"] = option(
        "psm",
        help="With --model: FIM prompt format of benchmarks that fill in; prefix shows what stands before the hole "
        "alone, as do models without infilling tokens by default.",
    )
    reference: bool = option(False, help="Try the benchmark's own solutions.")
    sandbox: str = option(
        "bubblewrap",
        help="What programs run in: bubblewrap, or none, which isolates nothing.",
        choices=("bubblewrap", "none"),
    )
    published: str | None = option(
        None,
        help="Tell the published figures of this model beside ours; default: of the model that --model is named after.",
        operational=True,
        metavar="NAME",
    )
    trained_on: tuple[str, ...] = option(
        (),
        help="A training corpus: Parquet files, folders or globs. The scores are told without the problems that stand "
        "in it, too.",
        operational=True,
        metavar="GLOB",
        is_path=True,
    )
    compare: tuple[str, ...] = option(
        (), help="Two finished outputs to compare, problem by problem.", operational=True, metavar="DIR", is_path=True
    )
    list: bool = option(False, help="List the benchmarks, and end.", operational=True)

    def __post_init__(self) -> None:
        # The files to read are those of other options, which `sources_of` checks.
        if not self.input:
            named = filter(None, (self.data, self.tests, self.answers))
            object.__setattr__(self, "input", tuple(named) or ("none",))
        super().__post_init__()


def _given(options: Options, names: Sequence[str]) -> list[str]:
    """Those of the options that have another value than their default."""
    defaults = {field.name: field.default for field in dataclasses.fields(Options)}
    return [name for name in names if getattr(options, name) != defaults[name]]


def choices_of(options: Options) -> Choices | None:
    """What a model is to choose; None if the benchmark has no choices. Raises ConfigError if the options don't suit."""
    from jobs.evaluation.choices import Choices
    from transforms.evaluation.language import CHOICE_BENCHMARKS

    o = options
    if o.benchmark not in CHOICE_BENCHMARKS:
        return None
    if not o.model:
        raise ConfigError(f"--benchmark {o.benchmark} needs --model: its choices are scored by a model")
    if o.data is None:
        raise ConfigError(f"--benchmark {o.benchmark} needs --data, its file")
    if given := _given(o, _NOT_WITH_CHOICES):
        raise ConfigError(f"--{given[0]} means nothing to {o.benchmark}, whose choices are scored; remove it")
    benchmark = CHOICE_BENCHMARKS[o.benchmark]
    if o.shots is not None:
        benchmark = benchmark.with_shots(o.shots)
    return Choices(benchmark=benchmark, data=o.data, shots_data=o.shots_data, limit=o.limit)


def sources_of(options: Options) -> Sources:
    """Where problems and answers stand. Raises ConfigError if the options don't say so, or say it twice."""
    from jobs.evaluation.prepare import Sources, named_languages
    from transforms.evaluation.benchmarks import BENCHMARKS
    from transforms.evaluation.language import CHOICE_BENCHMARKS

    o = options
    if (o.benchmark is None) == (o.tests is None):
        raise ConfigError("give either --benchmark with --data, or --tests with problems of your own")
    if not o.model and (given := _given(o, _MODEL_ONLY)):
        raise ConfigError(f"--{given[0]} says how a model is asked; give --model, or remove it")
    languages = named_languages(o.languages)
    if o.tests is not None:
        if o.data is not None or o.reference:
            raise ConfigError("--tests has its problems and answers itself; remove --data and --reference")
        if o.model and o.answers is not None:
            raise ConfigError("answers to --tests come from --model or from --answers: give one of them")
        return Sources(
            benchmark=None, data=o.tests, answers=o.answers, reference=False, limit=o.limit, languages=languages
        )
    if o.benchmark not in BENCHMARKS:
        known = ", ".join((*BENCHMARKS, *CHOICE_BENCHMARKS))
        raise ConfigError(f"--benchmark {o.benchmark} is not known; there are {known}")
    if o.data is None:
        raise ConfigError(f"--benchmark {o.benchmark} needs --data, its file")
    if (o.answers is not None) + o.reference + bool(o.model) > 1:
        raise ConfigError("answers come from --model, from --answers or from --reference: give one of them")
    return Sources(
        benchmark=BENCHMARKS[o.benchmark],
        data=o.data,
        answers=o.answers,
        reference=o.reference,
        limit=o.limit,
        languages=languages,
    )


def questions_of(options: Options) -> Questions:
    """What the model is asked. Raises ConfigError if the options don't suit the benchmark, or it needs a package."""
    from jobs.evaluation.asking import Questions
    from transforms.evaluation.benchmarks.own_tests import OWN_TESTS
    from transforms.evaluation.protocol import protocol_of, read_protocol

    sources = sources_of(options)
    benchmark = sources.benchmark or OWN_TESTS
    asking = benchmark.asking
    if asking is None:
        raise ConfigError(f"--benchmark {options.benchmark} has no questions for --model")
    benchmark.check_needs()
    protocol = protocol_of(asking.protocol) if options.protocol is None else read_protocol(options.protocol)
    return Questions(
        is_chat=_is_chat(options, protocol),
        sources=sources,
        benchmark=benchmark,
        asking=asking,
        protocol=protocol,
        shots=protocol.shots if options.shots is None else options.shots,
        shots_data=options.shots_data,
        samples=options.samples,
    )


def _is_chat(options: Options, protocol: Protocol) -> bool:
    """Whether the model is asked in chat form. Raises ConfigError if what is asked has none."""
    from jobs.execution.generation import wants_chat

    if protocol.form == "fill":
        if options.prompt == "chat":
            raise ConfigError(f"--prompt chat: {options.benchmark} is filled in, which has no chat form; remove it")
        return False
    return options.prompt == "chat" or (options.prompt == "auto" and wants_chat(options.model))


def published_of(options: Options) -> str | None:
    """The model whose published figures stand beside ours. Raises ConfigError if the one named has none."""
    import os

    from transforms.evaluation.published import published_models, recognized

    named = options.published
    if named is None and options.model:
        return recognized(os.path.basename(os.path.normpath(options.model)))
    if named is not None and named not in published_models():
        raise ConfigError(f"--published {named} is not known; there are {', '.join(published_models())}")
    return named


def standing_of(options: Options) -> Standing:
    """What stands beside the scores; reads the whole training corpus.

    Raises:
        ConfigError: As `published_of`, or the training corpus can't be read.
    """
    from jobs.evaluation.standing import Standing
    from jobs.evaluation.trained import trained_problems

    named = published_of(options)
    if not options.trained_on:
        return Standing(named)
    return Standing(named, trained_problems(sources_of(options), options.trained_on, options.content_column))


def build_work(options: Mapping[str, Any]) -> ExecuteWork | AnswerWork | ChoiceWork:
    """Makes the job's work from its options (`jobs.options.all_options`). Raises ConfigError."""
    from jobs.evaluation.choices import choice_work
    from jobs.evaluation.models import answer_work
    from transforms.evaluation.benchmarks import BENCHMARKS
    from transforms.evaluation.benchmarks.own_tests import OWN_TESTS
    from transforms.evaluation.work import ExecuteWork
    from transforms.machine import available_cores
    from transforms.sandbox.sandbox import isolation_named

    o = from_all_options(Options, options)
    if (choices := choices_of(o)) is not None:
        return choice_work(o, choices.benchmark)
    if o.model:
        return answer_work(o, questions_of(o), fim_format=o.fim_format, isolation=isolation_named(o.sandbox))
    version = (BENCHMARKS[o.benchmark] if o.benchmark else OWN_TESTS).version
    return ExecuteWork(version, slots=o.workers or available_cores(), isolation=isolation_named(o.sandbox))


def run(options: Options, beam_args: Sequence[str]) -> int:
    """Runs the job and returns the exit code."""
    from jobs.evaluation.asking import asked_rows
    from jobs.evaluation.choices import choice_rows
    from jobs.evaluation.prepare import join_rows
    from jobs.evaluation.running import Prepared, run_evaluation
    from jobs.evaluation.scoring import compare_runs
    from jobs.execution.vocabulary import can_infill
    from jobs.system.exit_codes import DONE
    from jobs.system.signals import raise_on_signals
    from transforms.evaluation.answering import ASKED_SCHEMA
    from transforms.evaluation.benchmarks import BENCHMARKS
    from transforms.evaluation.choosing import CHOICE_SCHEMA
    from transforms.evaluation.language import CHOICE_BENCHMARKS
    from transforms.evaluation.work import PREPARED_SCHEMA

    raise_on_signals()
    if options.list:
        for name, benchmark in BENCHMARKS.items():
            layouts = "; or ".join(", ".join(layout) for layout in benchmark.layouts)
            print_line(f"{name}: columns {layouts}; {benchmark.source}")
        for name, scored in CHOICE_BENCHMARKS.items():
            print_line(f"{name}: columns {', '.join(scored.columns)}; {scored.source}")
        return DONE
    if options.compare:
        if len(options.compare) != 2:
            raise ConfigError(f"--compare takes two outputs, got {len(options.compare)}")
        for line in compare_runs(*options.compare):
            print_line(line)
        return DONE
    if not options.output:
        raise ConfigError("missing --output: the folder for the verdicts and scores")
    published_of(options)  # told before anything else is read
    if (choices := choices_of(options)) is not None:
        prepared = Prepared(choice_rows(choices), CHOICE_SCHEMA)
    elif options.model:
        questions = questions_of(options)
        options = dataclasses.replace(
            options,  # for plan and report
            prompt="chat" if questions.is_chat else "base",
            fim_format=options.fim_format if can_infill(options) else "prefix",
        )
        form = f"the model is asked in {options.prompt} form, protocol {questions.version}"
        prepared = Prepared(asked_rows(questions), ASKED_SCHEMA, form)
    else:
        prepared = Prepared(join_rows(sources_of(options)), PREPARED_SCHEMA)
    return run_evaluation(options, beam_args, build_work, prepared, functools.cache(lambda: standing_of(options)))
