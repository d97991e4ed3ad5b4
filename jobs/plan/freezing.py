"""Makes the plan from a job's options and its work, and freezes it.

`plan_job` writes nothing: the driver freezes its result, and a dry run counts it. `freeze` writes `plan.parquet`,
`inputs.parquet` and, last, `job.json`. Nothing is committed before `job.json` exists, so files left behind by an
earlier try are overwritten.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from jobs import storage
from jobs.fusing.frozen import fused_steps_of
from jobs.options import CommonOptions, semantic_options
from jobs.plan.cutting import UnitBounds, make_plan
from jobs.plan.footers import bad
from jobs.plan.input_paths import expand
from jobs.plan.inputs import Inputs, read_inputs
from jobs.plan.job_file import JobFile, hash_config, installed_versions, read_job
from jobs.plan.reader import ReadFooters
from jobs.plan.schemas import fit_table, schema_to_text, written_schema
from jobs.plan.units import Plan, inputs_to_parquet, plan_to_parquet, rejected_rows
from jobs.storage.failpoints import failpoint, register
from jobs.storage.folders import OutputFolder
from jobs.system.clock import utc_now
from jobs.terminal.wording import counted
from model.errors import ConfigError
from transforms.rows.columns import ColumnOverrides
from transforms.work import Work

AFTER_PLAN_FILE = register("plan.after_plan_file")
AFTER_INPUTS_FILE = register("plan.after_inputs_file")
AFTER_JOB_FILE = register("plan.after_job_file")


@dataclass(frozen=True)
class PlannedJob:
    """A plan with the schemas that were determined for it.

    Args:
        plan: Files and units.
        inputs: The files' footers, schema and columns.
        projected: The columns that are read.
        output_schema: The schema of the output rows.
    """

    plan: Plan
    inputs: Inputs
    projected: list[str]
    output_schema: pa.Schema

    @property
    def read_schema(self) -> pa.Schema:
        """The columns that are read, in the job's types."""
        return pa.schema([self.inputs.schema.field(name) for name in self.projected])


def plan_job(
    options: CommonOptions,
    work: Work,
    say: Callable[[str], None] = lambda line: None,
    read: ReadFooters | None = None,
) -> PlannedJob:
    """Lists the inputs, reads their footers, determines the schemas, and splits the inputs into units; writes nothing.

    Args:
        options: The job's options.
        work: The job's work; with `whole_row_groups`, each row group is a unit.
        say: Reports skipped files to the user.
        read: Reads footers; None uses a separate child process.

    Raises:
        ConfigError: An input pattern matches no file, no file can be read, there are no rows, or the columns don't suit
            the job.
    """
    overrides = column_overrides(options)
    retry = None
    if options.retry_rejected is None:
        inputs = read_inputs(expand(options.input, say), overrides, limit=options.limit, read=read)
    else:
        inputs, retry = _inputs_to_retry(options.retry_rejected, overrides, read)
    planned = plan_inputs(inputs, options, work, retry)
    if not planned.plan.units:
        raise ConfigError(f"the input has no rows in {counted(len(inputs.files), 'file')}")
    return planned


def plan_inputs(
    inputs: Inputs,
    options: CommonOptions,
    work: Work,
    retry: Mapping[tuple[str, int], Sequence[int]] | None = None,
) -> PlannedJob:
    """Determines the schemas for files, and splits them into units; writes nothing.

    Args:
        inputs: The files with their footers.
        options: The job's options.
        work: As in `plan_job`.
        retry: As in `jobs.plan.cutting.make_plan`.

    Raises:
        ConfigError: The columns don't suit the job.
    """
    projected = work.input_columns(inputs.schema)
    output_schema = work.output_schema(inputs.schema)
    _check_writable(output_schema)
    rows = options.unit_rows or UnitBounds.rows
    bounds = UnitBounds(rows=rows, bytes=max(1, int(options.unit_mb * 1_000_000)))
    if work.whole_row_groups:
        bounds = UnitBounds.row_groups()
    plan = make_plan(
        inputs,
        columns=projected,
        bounds=bounds,
        limit=options.limit,
        retry=retry,
        few_rows_in_several_units=options.unit_rows is None and work.spreads_rows and not work.whole_row_groups,
    )
    return PlannedJob(plan, inputs, projected, output_schema)


def column_overrides(options: CommonOptions) -> ColumnOverrides:
    """The columns that the user named."""
    return ColumnOverrides(
        content=options.content_column,
        path=options.path_column,
        repo_name=options.repo_column,
        language=options.language_column,
    )


def _check_writable(schema: pa.Schema) -> None:
    """Raises ConfigError if a column can't be written to Parquet and read back in its type."""
    try:
        fit_table(written_schema(schema).empty_table(), schema)
    except (pa.ArrowException, NotImplementedError) as error:
        if len(schema) > 1:
            for field in schema:
                _check_writable(pa.schema([field]))
        line = " ".join(str(error).split())[:200]
        raise ConfigError(
            f"column {schema.names[0]} ({schema.types[0]}) can't be written to Parquet and read back: {line}; "
            "remove or convert it in the input"
        ) from None


def _inputs_to_retry(
    output: str, overrides: ColumnOverrides, read: ReadFooters | None
) -> tuple[Inputs, dict[tuple[str, int], list[int]]]:
    """Returns the source files of the rows that an earlier job rejected; one that has changed since is bad."""
    job = read_job(OutputFolder(output))
    if job is not None and (fused := fused_steps_of(job.options)):
        raise ConfigError(
            f"--retry_rejected {output}: some of its rows were rejected by fused steps "
            f"({', '.join(step.name for step in fused)}), which this job doesn't have; run its pipeline with other "
            "options and another output"
        )
    before, rows = rejected_rows(OutputFolder(output))
    uris, names = [file.uri for file in before], [file.public_name for file in before]
    inputs = read_inputs(uris, overrides, names=names, read=read)
    versions = {file.uri: file.version for file in before}
    files = tuple(
        bad(file, "input_changed", f"version {versions[file.uri]} when it was rejected, now {file.version}")
        if file.state != "bad" and not storage.has_version(file.uri, versions[file.uri])
        else file
        for file in inputs.files
    )
    if all(file.state == "bad" for file in files):
        raise ConfigError(
            f"--retry_rejected {output}: no source file can be read again; {files[0].uri}: {files[0].detail}"
        )
    return replace(inputs, files=files), rows


def freeze(
    planned: PlannedJob, job_name: str, options: CommonOptions, checkpoint_sha256: str, edition: int = 1
) -> JobFile:
    """Writes the plan of an edition and then its job file; only under the output's lock.

    Raises:
        ConfigError: Another driver, whose lock was broken, has written a different job file in the meantime.
    """
    output = OutputFolder(options.output, edition)
    job_dir = output.job
    plan_bytes = plan_to_parquet(planned.plan.units, job_dir)
    job = _job_file(planned, job_name, options, checkpoint_sha256, hashlib.sha256(plan_bytes).hexdigest())
    storage.write_bytes(job_dir.plan, plan_bytes)
    failpoint(AFTER_PLAN_FILE)
    storage.write_bytes(job_dir.inputs, inputs_to_parquet(planned.plan.files, job_dir))
    failpoint(AFTER_INPUTS_FILE)
    if not storage.create_if_absent(job_dir.job_file, job.to_json()):
        found = read_job(output)
        # Unless it is our own job file: the create succeeded, but its response was lost.
        if found is None or found.plan_sha256 != job.plan_sha256:
            raise ConfigError(f"another driver started {options.output} at the same time; run the same command again")
    failpoint(AFTER_JOB_FILE)
    return job


def _job_file(
    planned: PlannedJob, job_name: str, options: CommonOptions, checkpoint_sha256: str, plan_sha256: str
) -> JobFile:
    plan, inputs = planned.plan, planned.inputs
    semantic = json.loads(json.dumps(semantic_options(options)))
    return JobFile(
        job=job_name,
        options=semantic,
        config_hash=hash_config(job_name, semantic, checkpoint_sha256),
        checkpoint_sha256=checkpoint_sha256,
        versions=installed_versions(),
        columns=dataclasses.asdict(inputs.columns),
        input_schema=schema_to_text(inputs.schema),
        projected=tuple(planned.projected),
        output_schema=schema_to_text(planned.output_schema),
        plan_sha256=plan_sha256,
        totals={
            "files": len(plan.files),
            "bad_files": len(plan.bad_files),
            "units": len(plan.units),
            "rows": plan.rows,
            "bytes": plan.num_bytes,
        },
        created=utc_now(),
    )
