"""Runs the steps of a job on the Beam runner that the user named (`jobs.driver.runners.Runner`)."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from jobs.beam.flags import starting_runner
from jobs.execution.host import HostSpec
from jobs.execution.orders import Orders, raise_failure
from jobs.execution.pipeline import run_pipeline
from jobs.execution.processes import PerHost
from jobs.execution.sample import Sample, sample_in
from jobs.execution.stopping import read_reason, remove_reason
from jobs.execution.supervisor import check_all_committed, uncommitted
from jobs.execution.worker import RunSpec
from jobs.finalize.merge_on_beam import merge_on_beam
from jobs.finalize.shards import Kind, MergeSpec
from jobs.grouping.by_beam import group_on_runner
from jobs.grouping.reading import GroupSettings, Outcome
from jobs.plan.footers import Footer, InputFile
from jobs.plan.inputs import Inputs
from jobs.plan.reader import FooterReader
from transforms.work import Unit


@dataclass(frozen=True)
class BeamRunner:
    """A Beam runner that the user named. Each of its workers supervises processes of its own (`jobs.execution.host`).

    Args:
        beam_args: Beam's own flags.
        per_host: How many processes run units on each of its hosts.
        reader: Reads footers in a child of the driver.
    """

    beam_args: tuple[str, ...]
    per_host: PerHost = field(default_factory=PerHost)
    reader: FooterReader = field(default_factory=FooterReader)

    def read_footers(self, files: Sequence[tuple[str, str]]) -> Iterable[tuple[InputFile, Footer | None]]:
        return self.reader(files)

    def prepare(self, orders: Orders) -> None:
        pass  # the runner has workers of its own

    def sample(self, orders: Orders, units: Sequence[Unit], schema: pa.Schema) -> Sample:
        return sample_in(self.reader.child, orders, units, schema)

    def close(self) -> None:
        self.reader.close()

    def run_units(self, spec: RunSpec, orders: Orders) -> None:
        self.reader.close()
        if not uncommitted(spec):
            return
        remove_reason(spec.job_dir)
        told = HostSpec(run=uuid.uuid4().hex, spec=spec, orders=orders, per_host=self.per_host)
        try:
            with starting_runner(self.beam_args):
                run_pipeline(told, self.beam_args)
        except Exception:
            if (reason := read_reason(spec.job_dir)) is not None:
                raise_failure(reason)
            raise
        check_all_committed(spec)

    def merge(self, spec: MergeSpec, shards: Sequence[tuple[Kind, int]]) -> None:
        with starting_runner(self.beam_args):
            merge_on_beam(spec, shards, self.beam_args)

    def group(self, inputs: Inputs, folder: str, limit: int | None, settings: GroupSettings) -> Outcome:
        with starting_runner(self.beam_args):
            return group_on_runner(inputs, folder, limit, settings, beam_args=self.beam_args)
