"""Which datasets were made of which: by the files that their plans name as input, wherever symbolic links lead.

A dataset that was moved after others were made of it is not recognized in their plans.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Sequence

from jobs import storage
from jobs.forgetting.indexes import inputs_of_index, is_index, pending_indexes
from jobs.growth.editions import newest
from jobs.plan.units import read_source_files
from jobs.storage.folders import OutputFolder
from model.errors import ConfigError


def family(origin: str, folders: Sequence[str]) -> list[str]:
    """Returns the datasets that were made of one, directly or by others of them, each after those it was made of.

    Args:
        origin: The dataset.
        folders: Outputs, and folders of outputs.

    Raises:
        ConfigError: A folder has no output.
    """
    inputs = {path: _inputs(path) for path in _outputs(folders) if path != origin}
    found = [origin]
    while grown := [path for path, uris in inputs.items() if path not in found and _is_made_of(uris, found)]:
        found += grown
    return _in_order(found[1:], inputs)


def is_output(path: str) -> bool:
    """Whether a folder is an output itself, and no folder of outputs."""
    return is_index(path) or storage.exists(OutputFolder(path).job.job_file)


def _in_order(paths: list[str], inputs: dict[str, set[str]]) -> list[str]:
    """Each after all that it was made of."""
    ordered: list[str] = []
    while left := [path for path in paths if path not in ordered]:
        free = [path for path in left if not _is_made_of(inputs[path], [one for one in left if one != path])]
        ordered += free or left  # no dataset is made of itself
    return ordered


def _is_made_of(folders: Iterable[str], outputs: Sequence[str]) -> bool:
    found = [_real(output) for output in outputs]
    return any(f"{folder}/".startswith(f"{output}/") for folder in folders for output in found)


def _outputs(folders: Sequence[str]) -> list[str]:
    found: list[str] = []
    for folder in folders:
        below = [storage.join(folder, name) for name in storage.list_names(folder)] + pending_indexes(folder)
        here = [path for path in (folder, *below) if is_output(path)]
        if not here:
            raise ConfigError(f"--cascade {folder}: neither it nor a folder in it is an output of codemill")
        found += here
    return list(dict.fromkeys(found))


def _inputs(path: str) -> set[str]:
    """The folders that the input is in."""
    uris = inputs_of_index(path) if is_index(path) else _inputs_of_editions(OutputFolder(path))
    return set(map(_real, {uri.rpartition("/")[0] for uri in uris}))


def _real(folder: str) -> str:
    return os.path.realpath(folder.removeprefix("file://")) if storage.is_local(folder) else folder


def _inputs_of_editions(output: OutputFolder) -> list[str]:
    """Those of every edition: a later one may have others, and rows of inputs that are gone stay."""
    uris: list[str] = []
    for edition in range(1, newest(output).edition + 1):
        with contextlib.suppress(FileNotFoundError):  # a corpus, which is made of no dataset, or a model
            uris += [file.uri for file in read_source_files(output.of_edition(edition).job)]
    return uris
