"""Groups a corpus by repository, wherever its files are in the input: Parquet in, Parquet out, bounded memory.

    input files --by hash of the repository--> hash buckets --ordered--> grouped files

Every row goes, with its source location, to the hash bucket of its repository. The files of each repository are put in
packing order, by their imports (`jobs.grouping.ordering`), and written so that every row group contains complete
repositories, or a part of a large one; each row group becomes a unit of the job. A large repository is thus packed by
several processes, and no process holds more of it than a row group. There are two ways to bring rows to their buckets,
with the same rows in the same order:

- on one machine, through local disk (`jobs.grouping.on_disk`), since Beam's local runner holds grouped data in memory;
- on a runner that the user names, by Beam's `GroupByKey` (`jobs.grouping.by_beam`), so that no machine reads all rows.

The result depends on the rows, not on how they were distributed over files, nor on the number of processes. Grouping
again starts from scratch, unless the manifest records that it finished for the same input.

The order is that of the text as it came, before any filter: a file that a filter rejects leaves a gap.
"""

from __future__ import annotations

import dataclasses
import json
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from jobs import storage
from jobs.grouping import cutting
from jobs.grouping.reading import GroupSettings, Outcome
from jobs.plan.input_paths import expand
from jobs.plan.inputs import Inputs, read_inputs
from jobs.plan.reader import ReadFooters
from jobs.plan.schemas import schema_to_text
from jobs.plan.units import inputs_to_parquet
from jobs.storage.folders import GROUPED, JobFolder
from model.errors import ConfigError
from transforms.rows.columns import ColumnMap, ColumnOverrides

# The columns of the grouped files, in addition to those of a row's source location.
COLUMNS: Final = ColumnOverrides(content="content", path="path", repo_name="repo_name", language="language")


@dataclass(frozen=True)
class Grouped:
    """The result of grouping.

    Args:
        folder: Folder of the grouped files.
        bad_files: URI and fault of each input file that could not be read.
        rows: Number of rows.
    """

    folder: str
    bad_files: tuple[tuple[str, str], ...]
    rows: int


Spread = Callable[[Inputs, str, int | None, GroupSettings], Outcome]
"""`spread(inputs, folder, limit, settings)`: groups all rows, or the first `limit`, in files in `folder`."""


def group_by_repository(
    patterns: Sequence[str],
    job_dir: JobFolder,
    overrides: ColumnOverrides,
    *,
    limit: int | None = None,
    spread: Spread,
    settings: GroupSettings = GroupSettings(),
    read: ReadFooters | None = None,
    grows: bool = False,
) -> Grouped:
    """Groups the input into `job_dir/grouped/`, unless it is grouped already.

    They are gone once the job is complete; `jobs.grouping.restoring` makes them again for units that remain.

    Args:
        patterns: Files, folders and globs of the input.
        job_dir: The job's folder.
        overrides: The columns that the user named.
        limit: Take only the first `limit` rows.
        spread: How rows get to their hash buckets: on disk (`jobs.grouping.on_disk`), or on a runner
            (`jobs.grouping.by_beam`).
        settings: How rows are ordered.
        read: Reads footers, in order; None uses a separate child process.
        grows: Whether the input may be another one than that which is grouped already.

    Raises:
        ConfigError: The input matches no file, has no repository or path column, or differs from the grouped one.
    """
    order = {"top_lines": settings.top_lines, **dataclasses.asdict(settings.limits)}
    asked = {"input": list(patterns), "columns": _asked_columns(overrides), "limit": limit, "order": order}
    if storage.exists(job_dir.grouping):
        manifest = read_manifest(job_dir)
        if manifest["asked"] != (asked | {"input": manifest["asked"]["input"]} if grows else asked):
            raise ConfigError(
                f"{job_dir} was grouped for --input {' '.join(manifest['asked']['input'])}; a resumed job can't change "
                "--input, --limit, --top_lines, --max_content_mb or columns; choose another --output"
            )
        # The folder's name is relative, so that an output can be moved.
        folder = job_dir.join(manifest["folder"])
        return Grouped(folder, tuple(map(tuple, manifest["bad_files"])), manifest["rows"])
    inputs = read_inputs(expand(patterns), overrides, limit=limit, read=read)
    _check_columns(inputs.columns)
    grouped = group_rows(inputs, job_dir, limit=limit, spread=spread, settings=settings)
    if not grouped.rows:
        raise ConfigError(f"the input has no rows: {len(inputs.files)} files")
    storage.write_bytes(job_dir.sources, inputs_to_parquet(inputs.files, job_dir))
    write_manifest(job_dir, grouped, inputs, asked)
    return grouped


def group_rows(
    inputs: Inputs, job_dir: JobFolder, *, limit: int | None = None, spread: Spread, settings: GroupSettings
) -> Grouped:
    """Groups rows of files; arguments as in `group_by_repository`. Without a manifest, nothing reads the result."""
    # A separate folder per attempt: files left by an interrupted attempt are never read.
    folder = job_dir.join(GROUPED, secrets.token_hex(6))
    outcome = spread(inputs, folder, limit, settings)
    bad = [(file.public_name, f"{file.reason}: {file.detail}") for file in inputs.files if file.state == "bad"]
    return Grouped(folder, (*bad, *outcome.bad_files), outcome.rows)


def read_manifest(job_dir: JobFolder) -> dict[str, Any]:
    """Reads what `write_manifest` wrote."""
    found: dict[str, Any] = json.loads(storage.read_bytes(job_dir.grouping))
    return found


def write_manifest(
    job_dir: JobFolder,
    grouped: Grouped,
    inputs: Inputs,
    asked: Mapping[str, Any],
    apart: frozenset[int] = frozenset(),
) -> None:
    """Records what was grouped, and that it is complete.

    Args:
        job_dir: The job's folder.
        grouped: The result.
        inputs: The files that were read.
        asked: What the user asked for.
        apart: As in `GroupSettings`.
    """
    name = grouped.folder[len(job_dir.join("")) :]
    record = {"asked": asked, "folder": name, "bad_files": grouped.bad_files, "rows": grouped.rows}
    record |= {"cutting": cutting.VERSION, "columns": dataclasses.asdict(inputs.columns)}
    record["apart"] = sorted(apart)
    record["schema"] = schema_to_text(inputs.schema)
    if storage.is_local(grouped.folder):
        record["files"] = identities(grouped.folder)
    storage.write_bytes(job_dir.grouping, json.dumps(record, indent=1).encode())


def identities(folder: str) -> dict[str, dict[str, Any]]:
    """Hash and modification time of each grouped file in a local folder."""
    names = [name for name in storage.list_names(folder) if name.endswith(".parquet")]
    paths = {name: os.path.join(folder, name) for name in names}
    return {
        name: {"sha256": storage.sha256_of(path), "mtime_ns": os.stat(path).st_mtime_ns} for name, path in paths.items()
    }


def _asked_columns(overrides: ColumnOverrides) -> dict[str, str | None]:
    names = ("content", "path", "repo_name", "language")
    return {name: getattr(overrides, name) for name in names}


def _check_columns(columns: ColumnMap) -> None:
    for name, flag in (("repo_name", "--repo_column"), ("path", "--path_column")):
        if getattr(columns, name) is None:
            what = "repository" if name == "repo_name" else "path"
            raise ConfigError(
                f"the input has no {what} column, which grouping by repository needs; name it with {flag}"
            )
