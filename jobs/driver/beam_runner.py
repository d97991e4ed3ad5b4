"""Runs the steps of a job on the Beam runner that the user named (`jobs.driver.runners.Runner`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from jobs.beam.flags import starting_runner
from jobs.execution.orders import Orders, build_work
from jobs.execution.pipeline import run_pipeline
from jobs.execution.sample import Sample, sample_in
from jobs.execution.supervisor import check_all_committed, uncommitted
from jobs.execution.worker import RunSpec
from jobs.finalize.merge_on_beam import merge_on_beam
from jobs.finalize.shards import Kind, MergeSpec
from jobs.grouping.by_beam import group_on_runner
from jobs.grouping.reading import GroupSettings, Outcome
from jobs.options import CommonOptions
from jobs.plan.footers import Footer, InputFile
from jobs.plan.inputs import Inputs
from jobs.plan.reader import FooterReader
from jobs.sharing.invitation import invitation_of, write_invitation
from transforms.work import Unit


@dataclass(frozen=True)
class BeamRunner:
    """A Beam runner that the user named; it replaces the supervisor.

    Args:
        beam_args: Beam's own flags.
        reader: Reads footers in a child of the driver.
    """

    beam_args: tuple[str, ...]
    reader: FooterReader = field(default_factory=FooterReader)

    def read_footers(self, files: Sequence[tuple[str, str]]) -> Iterable[tuple[InputFile, Footer | None]]:
        return self.reader(files)

    def prepare(self, orders: Orders) -> None:
        pass  # the runner has workers of its own

    def sample(self, orders: Orders, units: Sequence[Unit], schema: pa.Schema) -> Sample:
        return sample_in(self.reader.child, orders, units, schema)

    def close(self) -> None:
        self.reader.close()

    def invite(self, spec: RunSpec, orders: Orders, options: CommonOptions) -> None:
        write_invitation(spec.job_dir, invitation_of(orders, options, is_shared=False))

    def run_units(self, spec: RunSpec, orders: Orders) -> None:
        self.reader.close()
        if uncommitted(spec):
            with starting_runner(self.beam_args):
                run_pipeline(spec, build_work(orders.job_name, orders.options), self.beam_args)
            check_all_committed(spec)

    def merge(self, spec: MergeSpec, shards: Sequence[tuple[Kind, int]]) -> None:
        with starting_runner(self.beam_args):
            merge_on_beam(spec, shards, self.beam_args)

    def group(self, inputs: Inputs, folder: str, limit: int | None, settings: GroupSettings) -> Outcome:
        with starting_runner(self.beam_args):
            return group_on_runner(inputs, folder, limit, settings, beam_args=self.beam_args)
