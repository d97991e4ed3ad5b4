"""Merges shards on a Beam runner that the user named: each worker merges the shards whose numbers it receives."""

from __future__ import annotations

from collections.abc import Sequence

import apache_beam as beam

from jobs.beam.log import quiet_beam
from jobs.beam.pipelines import open_pipeline
from jobs.execution.crew import Crew
from jobs.execution.orders import failure_of
from jobs.finalize.merge import MERGES_AT_ONCE
from jobs.finalize.shards import Kind, MergeSpec
from jobs.hosts.stopping import write_reason
from transforms.machine import available_cores


class MergeShards(beam.DoFn):
    """Merges the shards of a bundle when the bundle ends, in processes that live as long: its thread waits for them."""

    def __init__(self, spec: MergeSpec):
        self._spec = spec

    def setup(self) -> None:
        """Keeps reported errors out of the log."""
        quiet_beam()

    def start_bundle(self) -> None:
        """Starts with no shards."""
        self._shards: list[tuple[Kind, int]] = []

    def process(self, shard: tuple[Kind, int]) -> None:
        """Adds one shard."""
        self._shards.append(shard)

    def finish_bundle(self) -> None:
        """Merges the shards of the bundle."""
        crew = Crew(min(MERGES_AT_ONCE, available_cores(), len(self._shards)))
        try:
            if self._shards:
                crew.merge(self._spec, self._shards)
        except Exception as error:
            write_reason(self._spec.job_dir, failure_of(error))
            raise
        finally:
            crew.close()


def merge_on_beam(spec: MergeSpec, shards: Sequence[tuple[Kind, int]], beam_args: Sequence[str]) -> None:
    """Merges the shards on the runner that `beam_args` (Beam's own flags) name.

    Raises:
        Exception: The runner's; why a worker stopped is in `_job/stop_reason`.
    """
    with open_pipeline(beam_args) as pipeline:
        (
            pipeline
            | "Shards" >> beam.Create(list(shards), reshuffle=False)
            | "Spread" >> beam.Reshuffle()
            | "Merge" >> beam.ParDo(MergeShards(spec))
        )
