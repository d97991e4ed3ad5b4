"""What every host of a job must see of the driver's machine: what options name, and the input.

A host that sees the output but not a local input would commit each of its units as unreadable, and one that sees
another file of the same name as changed. So each host looks before it runs units. Of the input one file is looked at,
since a folder is shared or not; things in buckets are not.

    need     [flag, path, version]      JSON values; no version where the content doesn't matter or is checked elsewhere
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Sequence
from typing import Final

from jobs import storage
from jobs.options.fields import Field, OptionSet, fields_of
from jobs.plan.footers import InputFile
from jobs.plan.units import read_input_files
from jobs.storage.folders import JobFolder
from model.errors import ConfigError, one_line

# A folder of each worker, and files of the driver.
OF_ONE_MACHINE: Final = frozenset({"compile_cache", "log_file", "metrics", "summary"})
# The input is in the plan, file by file; the output is probed; what was rejected earlier is in the plan.
_OF_THE_PLAN: Final = frozenset({"input", "output", "retry_rejected"})
_INPUT: Final = "--input"
_TRIED: Final = 16  # files of the input, until one is found that is as it was planned

Need = Sequence[str]


def absolute_paths(options: OptionSet) -> dict[str, str | list[str]]:
    """The options that name local files or folders, with absolute paths, for hosts whose current folder is another."""
    found: dict[str, str | list[str]] = {}
    for field in fields_of(type(options)):
        value = getattr(options, field.name)
        if not field.is_path or field.name in _OF_THE_PLAN:
            continue
        if isinstance(value, tuple):
            if any(map(_is_here, value)):
                found[field.name] = [_absolute(path) if _is_here(path) else path for path in value]
        elif _is_named(field, value):
            found[field.name] = _absolute(value)
    return found


def needs_of_options(options: OptionSet) -> list[Need]:
    """What the options name on this machine."""
    needs: list[Need] = []
    for name, value in absolute_paths(options).items():
        if name not in OF_ONE_MACHINE:
            needs += [(f"--{name}", path, "") for path in ((value,) if isinstance(value, str) else value)]
    return [need for need in needs if storage.is_local(need[1])]


def needs_of_plan(job_dir: JobFolder) -> list[Need]:
    """A local file of a planned input; nothing where there is none outside the job's folder."""
    files = read_input_files(job_dir) if storage.exists(job_dir.inputs) else ()
    return needs_of_input(file for file in files if not file.uri.startswith(job_dir.join("")))


def needs_of_input(files: Iterable[InputFile]) -> list[Need]:
    """The first local input file that is here as it was planned: what no machine sees any more, no host must."""
    tried = 0
    for file in files:
        if file.state != "good" or not storage.is_local(file.uri):
            continue
        if _is_same(file.uri, file.version):
            return [(_INPUT, file.uri.removeprefix("file://"), file.version)]
        if (tried := tried + 1) == _TRIED:
            break
    return []


def check_needs(needs: Iterable[Need], driver: str) -> None:
    """Looks whether this host sees what the driver's host does.

    Raises:
        ConfigError: It doesn't, may not read it, or sees another file of this name.
    """
    here = socket.gethostname()
    for flag, path, version in needs:
        where = f"{flag} {one_line(path)} of the driver on {driver}"
        advice = "put it at the same path on every host, or name a gs:// path"
        if not os.path.exists(path):
            raise ConfigError(f"{here} can't see {where}; {advice}")
        if not os.access(path, os.R_OK):
            raise ConfigError(f"{here} may not read {where}; correct its permissions, or name a gs:// path")
        if version and not _is_same(path, version):
            raise ConfigError(
                f"{here} sees another file than {where}: its size or footer differ; share the input by a network "
                "folder, copy it, or name a gs:// path"
            )


def _is_named(field: Field, value: object) -> bool:
    """Whether an option names a file or folder of this machine; its default is a name of ours, such as a policy."""
    return isinstance(value, str) and value != field.default and _is_here(value)


def _is_here(path: str) -> bool:
    return storage.is_local(path) and os.path.exists(path.removeprefix("file://"))


def _absolute(path: str) -> str:
    return os.path.abspath(path.removeprefix("file://"))


def _is_same(path: str, version: str) -> bool:
    try:
        return storage.has_version(path, version)
    except OSError:
        return False
