"""Runs a pipeline to its end, whichever step it is of: recorded, watched, and canceled with whatever ends its driver.

    submit -> record (`jobs.beam.orphans`) -> wait, with the workers' heartbeats (`jobs.beam.waiting`) -> forget

The record goes when the job has ended; that of one which may still run, although it was canceled, stays for the next
run of the command.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import apache_beam as beam
from apache_beam.runners.runner import PipelineResult

from jobs.beam.orphans import forget_job, has_ended, record_job, signs_of_life
from jobs.beam.waiting import wait_for
from jobs.storage.folders import JobFolder


def run_to_end(
    pipeline: beam.Pipeline, job_dir: JobFolder, beam_args: Sequence[str], *, silent_s: float | None = None
) -> PipelineResult:
    """Runs a pipeline and returns its result.

    Args:
        pipeline: The pipeline, whose workers write heartbeats.
        job_dir: The job's folder.
        beam_args: Beam's own flags.
        silent_s: For how long the workers may give no sign of life, in seconds; None: `jobs.beam.waiting.SILENT_S`.

    Raises:
        RunnerSilent: All workers have stopped for so long.
        Exception: The runner's.
    """
    result = pipeline.run()
    with _forgotten_when_ended(job_dir, result):
        try:
            record_job(job_dir, result, beam_args)
        except BaseException:
            with contextlib.suppress(Exception):
                result.cancel()
            raise
        wait_for(result, lambda: signs_of_life(job_dir), silent_s)
    return result


@contextlib.contextmanager
def _forgotten_when_ended(job_dir: JobFolder, result: PipelineResult) -> Iterator[None]:
    try:
        yield
    except BaseException:
        if has_ended(result):
            with contextlib.suppress(OSError):  # it is the error before that counts
                forget_job(job_dir)
        raise
    forget_job(job_dir)
