"""Merges shards on a Beam runner that the user named: each worker merges the shards whose numbers it receives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import apache_beam as beam

from jobs.beam.log import quiet_beam
from jobs.beam.pipelines import open_pipeline
from jobs.beam.running import run_to_end
from jobs.execution.crew import Crew
from jobs.execution.orders import failure_of, from_text, to_text
from jobs.finalize.merge import MERGES_AT_ONCE
from jobs.finalize.shard_plan import Kind
from jobs.finalize.shards import MergeSpec
from jobs.hosts.checks import check_worker, driver_facts
from jobs.hosts.stopping import write_reason
from jobs.ledger.heartbeat import signs_of_life
from transforms.machine import available_cores


class MergeShards(beam.DoFn):
    """Merges the shards of a bundle when the bundle ends, in processes that live as long: its thread waits for them."""

    def __init__(self, spec: MergeSpec, facts: Mapping[str, Any]):
        self._facts = dict(facts)
        self._told = to_text(spec)  # another version could not read it

    def setup(self) -> None:
        """Checks the worker: one that doesn't see the attempts would find them damaged."""
        quiet_beam()
        check_worker(self._facts)
        self._spec: MergeSpec = from_text(self._told)

    def start_bundle(self) -> None:
        """Starts with no shards."""
        self._shards: list[tuple[Kind, int]] = []

    def process(self, shard: tuple[Kind, int]) -> None:
        """Adds one shard."""
        self._shards.append(shard)

    def finish_bundle(self) -> None:
        """Merges the shards of the bundle."""
        if not self._shards:
            return
        crew = Crew(min(MERGES_AT_ONCE, available_cores(), len(self._shards)))
        try:
            with signs_of_life(self._spec.job_dir):
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
    pipeline = open_pipeline(beam_args)
    (
        pipeline
        | "Shards" >> beam.Create(list(shards), reshuffle=False)
        | "Spread" >> beam.Reshuffle()
        | "Merge" >> beam.ParDo(MergeShards(spec, driver_facts(spec.job_dir)))
    )
    run_to_end(pipeline, spec.job_dir, beam_args)
