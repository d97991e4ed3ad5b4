"""Grouped files made again: a complete job has removed them, and a unit may have to run after that.

The plan names the grouped files with their versions, so the new files get the names and modification times of the first
ones, and must have the same hashes (`jobs.grouping.repositories` records both).
"""

from __future__ import annotations

import dataclasses
import io
import os
import secrets
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from jobs import storage
from jobs.grouping import cutting
from jobs.grouping.reading import GroupSettings, Rows
from jobs.grouping.repositories import Spread, identities, read_manifest
from jobs.plan.input_paths import expand
from jobs.plan.inputs import Inputs, read_inputs
from jobs.plan.schemas import schema_from_text
from jobs.plan.units import read_source_files
from jobs.storage.folders import GROUPED, JobFolder
from model.errors import ConfigError
from transforms.rows.columns import ColumnOverrides

_CHOSEN: Final = pa.schema(
    [
        pa.field("name", pa.large_string(), nullable=False),  # the input file's public name
        pa.field("row_group", pa.int32(), nullable=False),
        pa.field("row", pa.int64(), nullable=False),
    ]
)


def restore_grouped(
    patterns: Sequence[str],
    job_dir: JobFolder,
    overrides: ColumnOverrides,
    *,
    limit: int | None = None,
    spread: Spread,
    settings: GroupSettings = GroupSettings(),
) -> None:
    """Groups the input again if the grouped files are gone: a job that is complete has removed them.

    Raises:
        ConfigError: The input has changed, another version of codemill cut its rows, or the grouped files are not on
            local disk, where they can't be restored. Nothing is changed then.
    """
    manifest = read_manifest(job_dir)
    folder, files = job_dir.join(manifest["folder"]), manifest.get("files", {})
    names = storage.list_names(folder)
    if names and set(files) <= set(names):
        return
    advice = "so the remaining units can't run again; choose another --output"
    if not files:
        raise ConfigError(f"{folder} was removed when the job was complete, {advice}")
    if manifest.get("cutting") != cutting.VERSION:
        raise ConfigError(f"{job_dir} was grouped by a version of codemill that cuts rows otherwise, {advice}")
    again = job_dir.join(GROUPED, secrets.token_hex(6))
    planned = sorted((about["sha256"], name) for name, about in files.items())
    try:
        if job_dir.edition == 1:
            spread(read_inputs(expand(patterns), overrides, limit=limit), again, limit, settings)
        else:
            only = read_chosen(job_dir)
            chosen = _chosen_inputs(job_dir, only, overrides, schema_from_text(manifest["schema"]))
            apart = frozenset(manifest["apart"])
            spread(chosen, again, None, dataclasses.replace(settings, only=only, apart=apart))
        made = sorted((about["sha256"], name) for name, about in identities(again).items())
        if [sha256 for sha256, _ in made] != [sha256 for sha256, _ in planned]:
            raise ConfigError(
                f"the input has changed since {job_dir} was made (or pyarrow, or the runner that groups), {advice}"
            )
    except BaseException:
        storage.remove_tree(again)  # it has the text as it is
        raise
    for (_, name), (_, old) in zip(made, planned, strict=True):  # a runner gives a file another name each time
        path = os.path.join(again, old)
        os.rename(os.path.join(again, name), path)
        os.utime(path, ns=(files[old]["mtime_ns"],) * 2)  # part of the version in the plan
    storage.remove_tree(folder)
    os.rename(again, folder)


# --- further editions ------------------------------------------------------------------------------


def write_chosen(job_dir: JobFolder, rows: Rows) -> None:
    """Records which rows of the input a further edition groups: a table of places."""
    places = [(name, group, row) for (name, group), some in rows.items() for row in some]
    columns = zip(*places, strict=True) if places else ((), (), ())
    arrays = [pa.array(list(values), field.type) for values, field in zip(columns, _CHOSEN, strict=True)]
    sink = io.BytesIO()
    pq.write_table(pa.table(arrays, schema=_CHOSEN), sink, compression="zstd")
    storage.write_bytes(job_dir.chosen, sink.getvalue())


def read_chosen(job_dir: JobFolder) -> Rows:
    """Reads what `write_chosen` wrote."""
    table = pq.read_table(pa.py_buffer(storage.read_bytes(job_dir.chosen)))
    found: dict[tuple[str, int], list[int]] = defaultdict(list)
    for name, group, row in zip(*(table[field.name].to_pylist() for field in _CHOSEN), strict=True):
        found[name, group].append(row)
    return found


def _chosen_inputs(job_dir: JobFolder, rows: Rows, overrides: ColumnOverrides, schema: pa.Schema) -> Inputs:
    """The files that have these rows."""
    names = {name for name, _ in rows}
    files = [file for file in read_source_files(job_dir) if file.public_name in names]
    return read_inputs([file.uri for file in files], overrides, names=[file.public_name for file in files], base=schema)
