"""What a job is, written down once: `_job/job.json`. From then on plan and semantic options stand.

An output folder is one of these, and `output_state` says which:

    new          empty, absent, or a plan that was never finished: the job may begin
    begun        it has this job's `job.json`: the same command resumes it
    foreign      another job's output, or files of somebody else: refused, in one line
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import pyarrow as pa

from jobs import storage
from jobs.options.fields import REQUIRED, OptionSet, changed_options, fields_of, semantic_options
from jobs.plan.schemas import schema_from_text
from jobs.storage.folders import COMPLETED, JOB_FOLDER, OutputFolder
from model.errors import ConfigError

SCHEMA_VERSION = "2"
"""Of the columns and records that jobs write. 2: the filter job's column `licences` became `licenses`, as in
`verbatim_copies`; rejected records have a null path where none is known, and one stage `filter_input` for all jobs."""
_PACKAGES = ("codemill", "apache-beam", "pyarrow", "jax", "flax", "sentencepiece")
_SHOWN_NAMES = 3


@dataclass(frozen=True, kw_only=True)
class JobFile:
    """The frozen job.

    Args:
        job: The job's name, as on the command line.
        options: The semantic options; a resumed job must have the same.
        config_hash: Hash of job, options and weights; every commit carries it.
        checkpoint_sha256: Hash of the model's weights, "" for a job without a model.
        versions: Of this program and the packages that shape its rows.
        columns: Which input column is what (`transforms.rows.columns.ColumnMap`).
        input_schema: The one schema of the input, as text; `projected` names the columns that are read.
        output_schema: The one schema of the output, as text.
        plan_sha256: Of `plan.parquet`.
        totals: `files`, `bad_files`, `units`, `rows` and `bytes` of the plan.
        created: When, in UTC.
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
    def final_schema(self) -> pa.Schema:
        """The schema of every output shard, with what its file metadata says; a job may have said more of its own."""
        schema = schema_from_text(self.output_schema)
        own = {name.decode(): text.decode() for name, text in (schema.metadata or {}).items()}
        facts = {"schema_version": self.schema_version, "codemill_job": self.job, "config_hash": self.config_hash}
        return schema.with_metadata({**own, **facts})

    def to_json(self) -> bytes:
        """The file's content."""
        return json.dumps(dataclasses.asdict(self), indent=1, sort_keys=True).encode()

    @classmethod
    def from_json(cls, data: bytes) -> JobFile:
        """Reads what `to_json` wrote."""
        fields = json.loads(data)
        return cls(**{**fields, "projected": tuple(fields["projected"])})


def read_job(output: OutputFolder) -> JobFile | None:
    """The job whose output this is, or None. Raises ConfigError where its file can't be understood."""
    path = output.job.job_file
    try:
        return JobFile.from_json(storage.read_bytes(path))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError) as error:
        raise ConfigError(f"{path} is not a job file of this version of codemill ({error})") from None


def _job_name(output: OutputFolder) -> str | None:
    """Whose output it is, by a job file of any kind: corpus and train have fewer fields."""
    try:
        fields = json.loads(storage.read_bytes(output.job.job_file))
    except (FileNotFoundError, ValueError):
        return None
    name = fields.get("job") if isinstance(fields, dict) else None
    return name if isinstance(name, str) else None


def hash_config(job: str, options: Mapping[str, Any], checkpoint_sha256: str) -> str:
    """The hash that commits carry: of everything that the user chose and that changes rows."""
    chosen = {"job": job, "options": options, "checkpoint": checkpoint_sha256, "schema_version": SCHEMA_VERSION}
    return hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()[:16]


def installed_versions() -> dict[str, str]:
    """Versions of Python and of the packages that shape rows, without importing any."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def utc_now() -> str:
    """The time, to the second, for people."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def check_output(output: OutputFolder, job: str) -> JobFile | None:
    """Returns the job to resume, or None where a new one may begin.

    Raises:
        ConfigError: The folder is another job's output, or holds files that no job of ours wrote.
    """
    if storage.is_local(output.path) and os.path.isfile(output):
        raise ConfigError(f"--output {output} is a file; pass a folder")
    if (other := _job_name(output)) not in (None, job):
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
    found: JobFile, output: OutputFolder, options: OptionSet, checkpoint_sha256: str, *, is_finished: bool = False
) -> None:
    """Holds a resumed job to what it was begun with.

    Args:
        found: The job as it was begun.
        output: Its output folder.
        options: The options that are given now.
        checkpoint_sha256: The hash of the weights that are given now.
        is_finished: Whether nothing is left to make: then it may be of any schema version.

    Raises:
        ConfigError: The schema version, semantic options or the model's weights differ: lists what changed and how to
            proceed.
    """
    if found.schema_version != SCHEMA_VERSION and not is_finished:
        raise ConfigError(
            f"{output} was started with schema version {found.schema_version}, this codemill writes version "
            f"{SCHEMA_VERSION}; finish it with the codemill that started it, or choose another --output"
        )
    now = json.loads(json.dumps(semantic_options(options)))
    # An option that came with a later version of codemill stood at its default, if at anything.
    defaults = {field.name: field.default for field in fields_of(type(options)) if field.default is not REQUIRED}
    known = {name: json.loads(json.dumps(value)) for name, value in defaults.items() if name in now}
    changes = changed_options({**known, **found.options}, now)
    if not changes and checkpoint_sha256 != found.checkpoint_sha256:
        changes = [f"the model's weights were {found.checkpoint_sha256[:12]}, are now {checkpoint_sha256[:12]}"]
    if changes:
        raise ConfigError(
            f"{output} was started with other options: {'; '.join(changes)}. "
            "Pass the old values to resume it, or choose another --output"
        )


def changed_versions(found: JobFile) -> list[str]:
    """Packages that are not of the version that the job was begun with, a line each."""
    now = installed_versions()
    return [
        f"{name} was {old}, is now {now.get(name, 'absent')}"
        for name, old in sorted(found.versions.items())
        if now.get(name) != old
    ]
