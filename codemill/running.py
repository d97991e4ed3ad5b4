"""Runs a job from Python: the options of its command as keywords, its summary as the result."""

from __future__ import annotations

import dataclasses
import difflib
import json
import numbers
import os
from collections.abc import Iterator, Mapping
from typing import Any

from jobs import storage
from jobs.catalog import JOBS, module_of, options_of
from jobs.options.fields import NOUNS, Kind, OptionSet, fields_of
from jobs.storage.folders import OutputFolder
from jobs.system.signals import handlers_restored
from model.errors import ConfigError


class Summary(Mapping[str, Any]):
    """What a job tells when it has ended: the content of `summary.json`, and its exit code.

    Args:
        job: The job's name.
        exit_code: As the command's: 0, or 3, 4, 5, and 2 with `strict_opt_out`, where something is to be looked at.
        output: The output folder; None for a job without one.
        facts: The content of `summary.json`; empty for a job that writes none.
    """

    def __init__(self, job: str, exit_code: int, output: str | None, facts: Mapping[str, Any]):
        self.job = job
        self.exit_code = exit_code
        self.output = output
        self._facts = dict(facts)

    def __getitem__(self, name: str) -> Any:
        return self._facts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._facts)

    def __len__(self) -> int:
        return len(self._facts)

    def __repr__(self) -> str:
        return f"Summary(job={self.job!r}, exit_code={self.exit_code}, output={self.output!r})"


def run(job: str, /, **options: Any) -> Summary:
    """Runs a job to its end, as `codemill JOB` does, without progress unless `quiet=False`.

    The same call again resumes an interrupted job. Jobs start processes of their own: a script that calls this has its
    code below `if __name__ == "__main__":`.

    Args:
        job: The job's name, such as `"filter"`.
        **options: Its options by the names of their flags; lists as tuples or lists, paths as text or `Path`.

    Raises:
        ConfigError: What the command would say in one line with exit code 2.
    """
    if job not in JOBS:
        near = difflib.get_close_matches(str(job), JOBS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"the jobs are {', '.join(JOBS)}"
        raise ConfigError(f"unknown job {job}; {hint}")
    parsed = _parsed(job, options)
    output = getattr(parsed, "output", None)
    if isinstance(output, str):
        storage.check_output_path(output)
    with handlers_restored():
        exit_code = module_of(job).run(parsed, [])
    return Summary(job, exit_code, output, _facts(output))


_OF_COMMANDS = ("log_file", "log_format")
"""Options of the command line alone, where what is printed is the process's own."""


def _parsed(job: str, options: Mapping[str, Any]) -> OptionSet:
    kind = options_of(job)
    fields = {field.name: field for field in fields_of(kind)}
    for name in options:
        if name in _OF_COMMANDS:
            raise ConfigError(f"{name} is an option of the command; in Python, configure `logging`")
        if name not in fields:
            near = difflib.get_close_matches(name, fields, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ConfigError(f"{job} has no option {name}{hint}")
    values = {name: _value(name, value, fields[name].kind) for name, value in options.items()}
    if "quiet" in fields:
        values.setdefault("quiet", True)
    missing = [
        field.name
        for field in dataclasses.fields(kind)
        if field.name not in values and field.default is dataclasses.MISSING
    ]
    if missing:
        raise ConfigError(f"{job} needs {', '.join(missing)}")
    return kind(**values)


def _value(name: str, value: Any, kind: Kind) -> Any:
    """A value in the option's form: one value may stand for a list of one. Raises ConfigError for another type."""
    if value is None and kind.is_optional:
        return None
    if kind.is_list:
        several = value if isinstance(value, (list, tuple)) else (value,)
        return tuple(_value(name, one, Kind(kind.scalar, False, False)) for one in several)
    if kind.scalar is str and isinstance(value, os.PathLike):
        value = os.fspath(value)
    if not isinstance(value, _ACCEPTED[kind.scalar]) or (isinstance(value, bool) and kind.scalar is not bool):
        raise ConfigError(f"{name} is {value!r}, expected {NOUNS[kind.scalar]}")
    return kind.scalar(value)


_ACCEPTED: dict[type, type] = {str: str, bool: bool, int: numbers.Integral, float: numbers.Real}


def _facts(output: Any) -> dict[str, Any]:
    if not isinstance(output, str):
        return {}
    try:
        found = json.loads(storage.read_bytes(OutputFolder(output).summary))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
