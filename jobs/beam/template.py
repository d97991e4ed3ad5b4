"""Adds a runner's machines to a job that a driver has planned: the program of the Dataflow Flex Template.

    slots 0, 1, 2, ... -> Reshuffle -> each runs `codemill work OUT` until the job has nothing left

A template is one pipeline, started without anybody who waits for it, while a job has several steps and a driver. So the
driver runs elsewhere, and this pipeline lends it workers. A slot whose machine dies is given to another one by the
runner; what it had claimed is claimed again (`codemill work`).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence

import apache_beam as beam

from jobs.beam.dataflow import ONE_HARNESS
from jobs.beam.flags import check_flags
from jobs.beam.pipelines import open_pipeline
from jobs.terminal.escapes import print_line
from model.errors import ConfigError


class JoinJob(beam.DoFn):
    """Works for a job, in a process of its own, until nothing is left."""

    def __init__(self, output: str):
        self._output = output

    def process(self, slot: int) -> None:
        """Runs `codemill work`. Raises RuntimeError if it failed, so that the runner tries the slot again."""
        code = subprocess.run([sys.executable, "-m", "jobs", "work", self._output], check=False).returncode
        if code:
            raise RuntimeError(f"slot {slot}: codemill work {self._output} ended with exit code {code}")


def main(argv: Sequence[str] | None = None) -> int:
    """Starts the pipeline and returns an exit code: 0 started, 2 an error in the arguments."""
    parser = argparse.ArgumentParser(prog="codemill workers", allow_abbrev=False)
    parser.add_argument("--output", required=True, help="Output folder of the job.")
    parser.add_argument("--slots", required=True, type=int, help="Workers at the same time.")
    ours, beam_args = parser.parse_known_args(argv)
    # A launcher may not wait: what it has to submit is only there once the program has ended.
    beam_args += [f"--experiments={ONE_HARNESS}", "--no_wait_until_finish"]
    try:
        check_flags(beam_args)
        with open_pipeline(beam_args) as pipeline:
            (
                pipeline
                | "Slots" >> beam.Create(range(ours.slots))
                | "Spread" >> beam.Reshuffle()
                | "JoinJob" >> beam.ParDo(JoinJob(ours.output))
            )
    except ConfigError as error:
        print_line(f"codemill workers: error: {error}", sys.stderr)
        return 2
    return 0
