"""From a job's options and its work to a plan: what the driver freezes and what a dry run counts."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pyarrow as pa

from jobs.inputs import Inputs, bad, expand, read_inputs
from jobs.options import CommonOptions
from jobs.plan import Plan, UnitBounds, make_plan, rejected_rows
from model.errors import ConfigError
from transforms.columns import ColumnOverrides
from transforms.work import Work


@dataclass(frozen=True)
class PlannedJob:
    """A plan with what was settled for it.

    Args:
        plan: Files and units.
        inputs: The files' footers, schema and columns.
        projected: The columns that are read.
        output_schema: Of every output row.
    """

    plan: Plan
    inputs: Inputs
    projected: list[str]
    output_schema: pa.Schema

    @property
    def read_schema(self) -> pa.Schema:
        """The columns that are read, in the job's types."""
        return pa.schema([self.inputs.schema.field(name) for name in self.projected])


def plan_job(options: CommonOptions, work: Work) -> PlannedJob:
    """Lists the inputs, reads their footers, settles the schemas and cuts the units; writes nothing.

    Raises:
        ConfigError: An input names nothing, no file can be read, or the columns don't serve the job.
    """
    overrides = ColumnOverrides(
        content=options.content_column,
        path=options.path_column,
        repo_name=options.repo_column,
        language=options.language_column,
    )
    retry = None
    if options.retry_rejected is None:
        inputs = read_inputs(expand(options.input), overrides)
    else:
        inputs, retry = _inputs_to_retry(options.retry_rejected, overrides)
    projected = work.input_columns(inputs.schema)
    output_schema = work.output_schema(inputs.schema)
    bounds = UnitBounds(rows=options.unit_rows, bytes=max(1, int(options.unit_mb * 1_000_000)))
    plan = make_plan(inputs, columns=projected, bounds=bounds, limit=options.limit, retry=retry)
    if not plan.units:
        raise ConfigError(f"the input has no rows: {len(inputs.files)} files, all of them empty")
    return PlannedJob(plan, inputs, projected, output_schema)


def _inputs_to_retry(output: str, overrides: ColumnOverrides) -> tuple[Inputs, dict[tuple[str, int], list[int]]]:
    """The sources of the rows that an earlier job rejected; a source that changed since is bad."""
    before, rows = rejected_rows(output)
    inputs = read_inputs([file.uri for file in before], overrides)
    versions = {file.uri: file.version for file in before}
    files = tuple(
        bad(file, "input_changed", f"version {versions[file.uri]} when it was rejected, now {file.version}")
        if file.state != "bad" and file.version != versions[file.uri]
        else file
        for file in inputs.files
    )
    if all(file.state == "bad" for file in files):
        raise ConfigError(f"--retry_rejected {output}: no source can be read again; {files[0].uri}: {files[0].detail}")
    return replace(inputs, files=files), rows
