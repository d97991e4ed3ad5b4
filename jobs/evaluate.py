"""`codemill evaluate`: answers to a benchmark's problems, or to problems of one's own, tried in the sandbox.

    codemill evaluate --benchmark human_eval --data human_eval.parquet --answers answers.jsonl --output scores
    codemill evaluate --benchmark mbpp --data mbpp.parquet --reference --output check
    codemill evaluate --tests problems.jsonl --output scores
    codemill evaluate --compare first second

Each answer is one row of the output, with `passed` and the evidence (`executed`). Scores are in `scores.json`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jobs.options import CommonOptions, from_all_options, option
from jobs.terminal.escapes import print_line
from model.errors import ConfigError

if TYPE_CHECKING:
    from jobs.evaluation.prepare import Sources
    from transforms.evaluation.work import ExecuteWork


@dataclass(frozen=True, kw_only=True)
class Options(CommonOptions):
    """Try answers to the problems of a benchmark, or to problems of your own, and reckon the scores."""

    input: tuple[str, ...] = option((), help="Internal: the files of the other options.", internal=True, is_path=True)
    output: str = option("", help="Output folder, local or gs://.", operational=True, metavar="DIR", is_path=True)
    benchmark: str | None = option(None, help="Name of the benchmark; --list shows all.", metavar="NAME")
    data: str | None = option(None, help="The benchmark's file: Parquet or JSON lines.", metavar="FILE", is_path=True)
    tests: str | None = option(
        None,
        help="Problems of your own: Parquet or JSON lines with task_id, language, prompt, test, and optionally setup, "
        "suffix, answer.",
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
    reference: bool = option(False, help="Try the benchmark's own solutions.")
    sandbox: str = option(
        "bubblewrap",
        help="What programs run in: bubblewrap, or none, which isolates nothing.",
        choices=("bubblewrap", "none"),
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


def sources_of(options: Options) -> Sources:
    """Where problems and answers stand. Raises ConfigError if the options don't say so, or say it twice."""
    from jobs.evaluation.prepare import Sources
    from transforms.evaluation.benchmarks import BENCHMARKS

    o = options
    if (o.benchmark is None) == (o.tests is None):
        raise ConfigError("give either --benchmark with --data, or --tests with problems of your own")
    if o.tests is not None:
        if o.data is not None or o.reference:
            raise ConfigError("--tests has its problems and answers itself; remove --data and --reference")
        return Sources(benchmark=None, data=o.tests, answers=o.answers, reference=False, limit=o.limit)
    if o.benchmark not in BENCHMARKS:
        raise ConfigError(f"--benchmark {o.benchmark} is not known; there are {', '.join(BENCHMARKS)}")
    if o.data is None:
        raise ConfigError(f"--benchmark {o.benchmark} needs --data, its file")
    if o.reference and o.answers is not None:
        raise ConfigError("--reference tries the benchmark's own solutions; remove --answers")
    return Sources(
        benchmark=BENCHMARKS[o.benchmark], data=o.data, answers=o.answers, reference=o.reference, limit=o.limit
    )


def build_work(options: Mapping[str, Any]) -> ExecuteWork:
    """Makes the job's work from its options (`jobs.options.all_options`). Raises ConfigError."""
    from transforms.evaluation.benchmarks import BENCHMARKS
    from transforms.evaluation.benchmarks.own_tests import OWN_TESTS
    from transforms.evaluation.work import ExecuteWork
    from transforms.machine import available_cores
    from transforms.sandbox.sandbox import isolation_named

    o = from_all_options(Options, options)
    version = (BENCHMARKS[o.benchmark] if o.benchmark else OWN_TESTS).version
    return ExecuteWork(version, slots=o.workers or available_cores(), isolation=isolation_named(o.sandbox))


def run(options: Options, beam_args: Sequence[str]) -> int:
    """Runs the job and returns the exit code."""
    import os

    from jobs import storage
    from jobs.cli import DONE
    from jobs.driver.driver import run_job
    from jobs.evaluation.prepare import join_rows, write_rows
    from jobs.evaluation.scoring import compare_runs, score_lines, write_scores
    from jobs.options import all_options
    from jobs.plan.job_file import check_output
    from jobs.storage.folders import OutputFolder
    from jobs.system.signals import raise_on_signals
    from transforms.evaluation.benchmarks import BENCHMARKS

    raise_on_signals()
    if options.list:
        for name, benchmark in BENCHMARKS.items():
            layouts = "; or ".join(", ".join(layout) for layout in benchmark.layouts)
            print_line(f"{name}: columns {layouts}; {benchmark.source}")
        return DONE
    if options.compare:
        if len(options.compare) != 2:
            raise ConfigError(f"--compare takes two outputs, got {len(options.compare)}")
        for line in compare_runs(*options.compare):
            print_line(line)
        return DONE
    if not options.output:
        raise ConfigError("missing --output: the folder for the verdicts and scores")
    rows = join_rows(sources_of(options))
    work = build_work(all_options(options))
    output = OutputFolder(os.path.abspath(options.output) if storage.is_local(options.output) else options.output)
    check_output(output, "evaluate")
    storage.make_job_folder(output.job.path, shared=options.share_job_folder)
    folder = write_rows(rows, output.job)
    options = dataclasses.replace(options, limit=None)
    code = run_job("evaluate", options, beam_args, work, reads=lambda _: folder)
    if storage.exists(output.completed):
        for line in score_lines(write_scores(output)):
            print_line(line)
    return code
