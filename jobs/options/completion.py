"""`codemill --completion bash`: a shell's completion of jobs, flags, choices and paths, made by shtab.

    eval "$(codemill --completion bash)"        in ~/.bashrc; other shells likewise

The script is fixed text: completing starts no Python.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping

import shtab

from jobs.options.command_line import add_flags
from jobs.options.fields import OptionSet, fields_of
from model.errors import ConfigError, one_line

SHELLS = tuple(shtab.SUPPORTED_SHELLS)


def completion_script(jobs: Mapping[str, tuple[str, type[OptionSet]]], words: list[str]) -> str:
    """Returns the script for the shell that the command line names.

    Args:
        jobs: By name, the line of the help and the options.
        words: The words after `--completion`.

    Raises:
        ConfigError: They are not the name of one shell that is supported.
    """
    if len(words) != 1 or words[0] not in SHELLS:
        got = one_line(" ".join(words)) if words else "nothing"
        raise ConfigError(f"--completion takes the name of a shell, {', '.join(SHELLS)}; got {got}")
    root = argparse.ArgumentParser(prog="codemill", description="Batch jobs that turn code into datasets.")
    root.add_argument("--version", action="store_true", help="Print the version.")
    root.add_argument("--completion", choices=SHELLS, help="Print a script that completes commands in this shell.")
    commands = root.add_subparsers(metavar="JOB")
    for name, (line, options) in jobs.items():
        _add_job(commands.add_parser(name, help=line), options)
    return shtab.complete(root, words[0])


def _add_job(parser: argparse.ArgumentParser, options: type[OptionSet]) -> None:
    fields = {field.name: field for field in fields_of(options) if not field.internal}
    add_flags(parser, list(fields.values()), resumes=options.resumes)
    for action in parser._actions:  # argparse has no other list of them, and shtab reads the same
        field = fields.get(action.dest)
        if action.dest == "config" or (field is not None and field.is_path):
            action.complete = shtab.FILE  # type: ignore[attr-defined]  # how shtab is told
        elif field is not None and field.choices:
            action.choices = field.choices
