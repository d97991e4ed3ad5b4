"""Runs an evaluation: prepares the rows that its units read, runs them, and reckons the scores."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import pyarrow as pa

from jobs import storage
from jobs.driver.driver import run_job
from jobs.driver.generation import freeze_model_options
from jobs.evaluation.prepare import answered, write_rows, write_table
from jobs.evaluation.scoring import score_lines, write_scores
from jobs.evaluation.standing import Standing
from jobs.options import ModelJobOptions, all_options
from jobs.plan.job_file import check_output
from jobs.storage.folders import OutputFolder
from jobs.terminal.escapes import print_line
from transforms.evaluation.answering import AnswerWork
from transforms.evaluation.choosing import ChoiceWork
from transforms.evaluation.work import ExecuteWork
from transforms.spool import scratch_folder

EvaluationWork = ExecuteWork | AnswerWork | ChoiceWork
BuildWork = Callable[[Mapping[str, Any]], EvaluationWork]


@dataclass(frozen=True, slots=True)
class Prepared:
    """The rows of an evaluation, with their schema, and how a model is asked, to be told once nothing is refused."""

    rows: Sequence[Mapping[str, Any]]
    schema: pa.Schema
    form: str = ""

    def tell_form(self) -> None:
        """Prints it beside the plan; standard output may be the summary alone."""
        if self.form:
            print_line(f"codemill evaluate: {self.form}", sys.stderr)


def run_evaluation(
    options: ModelJobOptions,
    beam_args: Sequence[str],
    build_work: BuildWork,
    prepared: Prepared,
    standing: Callable[[], Standing],
) -> int:
    """Runs the job and returns the exit code.

    Args:
        options: The job's options; `model` is "" where none is asked.
        beam_args: Beam's own flags.
        build_work: Makes the work from all options.
        prepared: What the units are to read.
        standing: What stands beside the scores; it may take long, and is asked for again when they are reckoned.
    """
    work: EvaluationWork
    if options.model:
        options, work = freeze_model_options("evaluate", options, cast("Callable[..., AnswerWork]", build_work))
    else:
        work = build_work(all_options(options))
    # The rows were counted when they were prepared.
    options = dataclasses.replace(options, limit=None)
    if options.dry_run:
        prepared.tell_form()
        with scratch_folder() as folder:
            write_table(answered(prepared.rows), os.path.join(folder, "problems.parquet"), prepared.schema)
            return run_job("evaluate", dataclasses.replace(options, input=(folder,)), beam_args, work)
    local = storage.is_local(options.output)
    output = OutputFolder(os.path.abspath(options.output) if local else options.output)
    check_output(output, "evaluate")
    standing()  # what is wrong with it is told before anything is written
    prepared.tell_form()
    storage.make_job_folder(output.job.path, shared=options.share_job_folder)
    folder = write_rows(prepared.rows, output.job, prepared.schema)

    def results() -> list[str]:
        return score_lines(write_scores(output, standing()))

    code = run_job("evaluate", options, beam_args, work, reads=lambda _: folder, results=results)
    if storage.exists(output.completed):
        for line in results():
            print_line(line, options.result_stream)
    return code
