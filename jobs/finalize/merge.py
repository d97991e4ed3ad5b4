"""The pipeline of the last step: the shard numbers go round, each is merged where it lands.

Like the units before them, shards leave by a commit of their own, so this may be killed and run again at any point.
Several merges run at once in a process: encoding Parquet leaves the interpreter's lock alone.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions, SetupOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from jobs.execution.worker import names_a_runner
from jobs.finalize.shards import Kind, MergeSpec, ShardRecord, merge_shard

_MERGES_AT_ONCE = 4

# Beam wraps a DoFn's error, or Ctrl-C, in text of its own; where the runner is in this process, it is here itself.
_first_fault: BaseException | None = None


class MergeShards(beam.DoFn):
    """Merges shards, several at once; `finish_bundle` waits for those of its own bundle."""

    def __init__(self, spec: MergeSpec):
        self._spec = spec

    def start_bundle(self) -> None:
        """Begins with nothing in flight."""
        self._pool = ThreadPoolExecutor(min(_MERGES_AT_ONCE, os.cpu_count() or 1), thread_name_prefix="merge")
        self._is_over = threading.Event()
        self._futures: list[Future[ShardRecord]] = []

    def process(self, shard: tuple[Kind, int]) -> None:
        """Submits one shard."""
        self._futures.append(self._pool.submit(merge_shard, self._spec, *shard, is_over=self._is_over.is_set))

    def finish_bundle(self) -> None:
        """Waits for the bundle's shards; the first fault ends the others."""
        global _first_fault
        try:
            for future in self._futures:
                future.result()
        except BaseException as error:
            _first_fault = _first_fault or error
            self._is_over.set()
            raise
        finally:
            self._pool.shutdown(cancel_futures=True)


def merge_all(spec: MergeSpec, shards: Sequence[tuple[Kind, int]], runner_args: Sequence[str] = ()) -> None:
    """Merges the shards, on the runner that `runner_args` (Beam's own flags) name, `FnApiRunner` without any.

    Raises:
        StorageFull, DamagedAttempt, KeyboardInterrupt: As `merge_shard` does, where the runner is in this process; a
            remote runner wraps errors in its own.
    """
    global _first_fault
    _first_fault = None
    try:
        _run(spec, shards, runner_args)
    except Exception as error:
        if _first_fault is not None:
            raise _first_fault from error
        raise


def _run(spec: MergeSpec, shards: Sequence[tuple[Kind, int]], runner_args: Sequence[str]) -> None:
    options = PipelineOptions(list(runner_args))
    options.view_as(SetupOptions).save_main_session = False
    runner = None if names_a_runner(runner_args) else FnApiRunner()
    with beam.Pipeline(runner=runner, options=options) as pipeline:
        (
            pipeline
            | "Shards" >> beam.Create(list(shards), reshuffle=False)
            | "Spread" >> beam.Reshuffle()
            | "Merge" >> beam.ParDo(MergeShards(spec))
        )
