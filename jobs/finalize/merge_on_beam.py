"""Merges shards on a Beam runner that the user named: each worker merges the shards whose numbers it receives."""

from __future__ import annotations

from collections.abc import Sequence

import apache_beam as beam

from jobs.beam.pipelines import open_pipeline
from jobs.finalize.merge import merge_all
from jobs.finalize.shards import Kind, MergeSpec

# Beam wraps a DoFn's error, or Ctrl-C, in its own text. If the runner is in this process, this is the original.
_first_fault: BaseException | None = None


class MergeShards(beam.DoFn):
    """Merges the shards of a bundle when the bundle ends, so that several run concurrently."""

    def __init__(self, spec: MergeSpec):
        self._spec = spec

    def start_bundle(self) -> None:
        """Starts with no shards."""
        self._shards: list[tuple[Kind, int]] = []

    def process(self, shard: tuple[Kind, int]) -> None:
        """Adds one shard."""
        self._shards.append(shard)

    def finish_bundle(self) -> None:
        """Merges the shards of the bundle."""
        global _first_fault
        try:
            merge_all(self._spec, self._shards)
        except BaseException as error:
            _first_fault = _first_fault or error
            raise


def merge_on_beam(spec: MergeSpec, shards: Sequence[tuple[Kind, int]], beam_args: Sequence[str]) -> None:
    """Merges the shards on the runner that `beam_args` (Beam's own flags) name.

    Raises:
        StorageFull, DamagedAttempt, KeyboardInterrupt: As `merge_shard` does, if the runner is in this process; a
            remote runner wraps errors in its own exceptions.
    """
    global _first_fault
    _first_fault = None
    try:
        with open_pipeline(beam_args) as pipeline:
            (
                pipeline
                | "Shards" >> beam.Create(list(shards), reshuffle=False)
                | "Spread" >> beam.Reshuffle()
                | "Merge" >> beam.ParDo(MergeShards(spec))
            )
    except Exception as error:
        if _first_fault is not None:
            raise _first_fault from error
        raise
