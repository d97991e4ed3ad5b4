"""The job file: the description of a job, written once to `_job/job.json`.

From then on, the plan and the options that affect the output are fixed. An output folder is in one of three states,
which `check_output` distinguishes:

    new          empty, absent, or a plan that was never finished: the job may start
    started      it has this job's `job.json`: the same command resumes the job
    foreign      it is another job's output or contains other files: refused with a one-line error
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import platform
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any, cast

import pyarrow as pa

from jobs import storage
from jobs.options.fields import OptionSet, changed_options, defaults_of, internal_options, semantic_options
from jobs.plan.schemas import schema_from_text
from jobs.storage.folders import COMPLETED, JOB_FOLDER, OutputFolder
from model.errors import ConfigError
from transforms.rows.columns import ColumnMap

SCHEMA_VERSION = "6"
"""Version of the columns and records that jobs write. 2: the filter job's column `licences` became `licenses`, as in
`verbatim_copies`; rejected records have a null path if none is known, and one stage `filter_input` for all
jobs. 3: a finding has a `column`. 4: a unit of the plan may have several files (`more`), and answers repeat each other
only within a row. 5: packed rows have a `unit`. 6: commits have sizes of blocks, `checks` of annotations two
more fields, and units of packed rows are cut otherwise."""
_PACKAGES = ("codemill", "apache-beam", "pyarrow", "jax", "flax", "sentencepiece")
_SHOWN_NAMES = 3


@dataclass(frozen=True, kw_only=True)
class JobFile:
    """The frozen job.

    Args:
        job: The job's name, as on the command line.
        options: The options that affect the output; a resumed job must have the same values.
        config_hash: Hash of job, options and weights; every commit carries it.
        checkpoint_sha256: Hash of the model's weights, "" for a job without a model.
        versions: Versions of this program and of the packages that affect its rows.
        columns: The column layout of the input (`transforms.rows.columns.ColumnMap`).
        input_schema: The unified schema of the input, as text; `projected` names the columns that are read.
        output_schema: The schema of the output, as text.
        plan_sha256: Hash of `plan.parquet`.
        totals: `files`, `bad_files`, `units`, `rows` and `bytes` of the plan.
        created: Time of creation in UTC.
    """

    job: str
    options: Mapping[str, Any]
    config_hash: str
    checkpoint_sha256: str
    versions: Mapping[str, str]
    columns: Mapping[str, str | None]
    input_schema: str
    projected: tuple[str, ...]
    output_schema: str
    plan_sha256: str
    totals: Mapping[str, int]
    created: str
    schema_version: str = SCHEMA_VERSION

    @property
    def read_schema(self) -> pa.Schema:
        """The columns that are read, in the job's types."""
        schema = schema_from_text(self.input_schema)
        return pa.schema([schema.field(name) for name in self.projected])

    @property
    def column_map(self) -> ColumnMap:
        """The column layout of the input."""
        return ColumnMap(**cast("dict[str, str]", self.columns))

    @property
    def final_schema(self) -> pa.Schema:
        """The schema of every output shard, with its file metadata, which includes the metadata that a job added."""
        schema = schema_from_text(self.output_schema)
        own = {name.decode(): text.decode() for name, text in (schema.metadata or {}).items()}
        facts = {"schema_version": self.schema_version, "codemill_job": self.job, "config_hash": self.config_hash}
        return schema.with_metadata({**own, **facts})

    def to_json(self) -> bytes:
        """Returns the content of the job file."""
        return json.dumps(dataclasses.asdict(self), indent=1, sort_keys=True).encode()

    @classmethod
    def from_json(cls, data: bytes) -> JobFile:
        """Reads what `to_json` wrote."""
        fields = json.loads(data)
        return cls(**{**fields, "projected": tuple(fields["projected"])})


def read_job(output: OutputFolder) -> JobFile | None:
    """Returns the job of this output, or None. Raises ConfigError if the job file can't be parsed."""
    path = output.job.job_file
    try:
        return JobFile.from_json(storage.read_bytes(path))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError) as error:
        raise ConfigError(f"{path} is not a job file of this version of codemill ({error})") from None


def read_name(output: OutputFolder) -> str | None:
    """Returns the job's name from a job file of any kind: those of corpus and train have fewer fields."""
    try:
        fields = json.loads(storage.read_bytes(output.job.job_file))
    except (FileNotFoundError, ValueError):
        return None
    name = fields.get("job") if isinstance(fields, dict) else None
    return name if isinstance(name, str) else None


def hash_config(job: str, options: Mapping[str, Any], checkpoint_sha256: str) -> str:
    """Returns the hash in every commit: of all user choices that affect the output, and the schema version."""
    chosen = {"job": job, "options": options, "checkpoint": checkpoint_sha256, "schema_version": SCHEMA_VERSION}
    return hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()[:16]


def installed_versions() -> dict[str, str]:
    """Returns the versions of Python and of the packages that affect rows, without importing any."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def check_output(output: OutputFolder, job: str) -> JobFile | None:
    """Returns the job to resume, or None if a new one may start.

    Raises:
        ConfigError: The folder is another job's output, contains files that are not from codemill, or is missing parts
            of its `_job` folder.
    """
    if storage.is_local(output.path) and os.path.isfile(output):
        raise ConfigError(f"--output {output} is a file; pass a folder")
    if (other := read_name(output)) not in (None, job):
        raise ConfigError(f"{output} is the output of `codemill {other}`; choose another --output")
    found = read_job(output)
    if found is not None:
        return found
    names = storage.list_names(output.path)
    if COMPLETED in names and JOB_FOLDER not in names:
        raise ConfigError(
            f"{output} is a finished dataset without its _job folder, so it can't be checked or rebuilt; "
            "leave it as it is, or choose another --output"
        )
    if storage.list_names(output.job.commits):
        raise ConfigError(
            f"{output.job.job_file} is missing, although units are committed: their job can't be "
            "identified; restore it, or choose another --output"
        )
    if names and JOB_FOLDER not in names:
        shown = ", ".join(names[:_SHOWN_NAMES]) + (", ..." if len(names) > _SHOWN_NAMES else "")
        raise ConfigError(
            f"{output} is not empty and not an output of codemill: it contains {shown}; choose another --output"
        )
    return None


def check_resume(
    found: JobFile,
    output: OutputFolder,
    options: OptionSet,
    checkpoint_sha256: str,
    *,
    is_finished: bool = False,
    may_change: Collection[str] = (),
) -> None:
    """Checks that a resumed job has the options and weights that it was started with.

    Args:
        found: The job as it was started.
        output: Its output folder.
        options: The current options.
        checkpoint_sha256: The hash of the current weights.
        is_finished: Whether the job is complete; then any schema version is accepted.
        may_change: Options that may differ.

    Raises:
        ConfigError: The schema version, the model's weights, or options that affect the output differ. The message
            lists the changes and how to proceed.
    """
    if found.schema_version != SCHEMA_VERSION and not is_finished:
        raise ConfigError(
            f"{output} was started with schema version {found.schema_version}, this codemill writes version "
            f"{SCHEMA_VERSION}; finish it with the codemill that started it, or choose another --output"
        )
    now = json.loads(json.dumps(semantic_options(options)))
    # An option that a later version of codemill added counts as having had its default value.
    then = {**defaults_of(options, now), **found.options}
    then.update({name: now[name] for name in may_change if name in now})
    changes = changed_options(then, now, internal_options(options))
    if not changes and checkpoint_sha256 != found.checkpoint_sha256:
        changes = [f"the model's weights were {found.checkpoint_sha256[:12]}, are now {checkpoint_sha256[:12]}"]
    if changes:
        raise ConfigError(
            f"{output} was started with other options: {'; '.join(changes)}. "
            "Pass the old values to resume it, or choose another --output"
        )


def changed_versions(found: JobFile) -> list[str]:
    """Returns one line for each package whose version has changed since the job was started."""
    now = installed_versions()
    return [
        f"{name} was {old}, is now {now.get(name, 'absent')}"
        for name, old in sorted(found.versions.items())
        if now.get(name) != old
    ]
