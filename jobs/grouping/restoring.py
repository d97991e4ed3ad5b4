"""Grouped files made again: a complete job has removed them, and a unit may have to run after that.

The plan names the grouped files with their versions, so the new files get the names and modification times of the first
ones, and must have the same hashes (`jobs.grouping.repositories` records both).
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Sequence

from jobs import storage
from jobs.grouping import cutting
from jobs.grouping.reading import GroupSettings
from jobs.grouping.repositories import Spread, identities
from jobs.plan.input_paths import expand
from jobs.plan.inputs import read_inputs
from jobs.storage.folders import GROUPED, JobFolder
from model.errors import ConfigError
from transforms.rows.columns import ColumnOverrides


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
    manifest = json.loads(storage.read_bytes(job_dir.grouping))
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
        spread(read_inputs(expand(patterns), overrides, limit=limit), again, limit, settings)
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
