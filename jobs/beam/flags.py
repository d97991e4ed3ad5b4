"""Checks Beam's own flags before a job starts, and tells when a runner could not be started.

Beam drops a flag that it doesn't know with a warning, so a misspelled one would be without effect.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import traceback
from collections.abc import Iterator, Sequence
from typing import Any, Final, NoReturn

from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions, PortableOptions, StandardOptions

from jobs.beam.job_servers import flags_of_server
from model.errors import ConfigError, one_line
from transforms.machine import available_cores

# Files of Beam, by the end of their path, in which a runner or its job server is started, and such functions elsewhere.
_STARTING_FILES: Final = ("utils/subprocess_server.py", "runners/portability/job_server.py")
_STARTING_FUNCTIONS: Final = frozenset({"create_runner", "create_job_service", "create_job_service_handle"})


class _FlagParser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"Beam's flags after --: {message}")  # argparse would print its usage, and exit

    def known_flags(self) -> list[str]:
        return [flag for action in self._actions for flag in action.option_strings if flag.startswith("--")]


def check_flags(beam_args: Sequence[str]) -> None:
    """Checks the words after `--`.

    Raises:
        ConfigError: Neither Beam nor its job server knows such a flag or runner, or a value is none that it takes.
    """
    parser: Any = _FlagParser(allow_abbrev=False, add_help=False)
    for options in PipelineOptions.__subclasses__():
        # Beam has no other list of its flags.
        with contextlib.suppress(argparse.ArgumentError):  # a class that is defined twice, as by a notebook
            options._add_argparse_args(parser)
    known, unknown = parser.parse_known_args(list(beam_args))
    if unknown:
        for flag in flags_of_server(known.runner, known.job_endpoint):
            with contextlib.suppress(argparse.ArgumentError):  # Beam's Python SDK has it as well
                parser.add_argument(flag, nargs="?")
        known, unknown = parser.parse_known_args(list(beam_args))
    if unknown:
        flag = unknown[0].split("=", 1)[0]
        raise ConfigError(f"Beam has no flag {one_line(flag)}{_nearest(flag, parser.known_flags())}")
    runners = [path.rpartition(".")[2] for path in StandardOptions.ALL_KNOWN_RUNNERS]
    name = known.runner
    if (
        name is not None
        and "." not in name
        and not {name.lower(), f"{name.lower()}runner"} & set(map(str.lower, runners))
    ):
        raise ConfigError(f"Beam has no runner {one_line(name)}{_nearest(name, runners)}")


@contextlib.contextmanager
def starting_runner(beam_args: Sequence[str]) -> Iterator[None]:
    """Turns errors of a runner that could not be started into one line; errors of what it runs pass through.

    Raises:
        ConfigError: The runner or its job server could not be started or reached.
    """
    try:
        yield
    except ConfigError:
        raise
    except Exception as error:
        if not any(map(_is_starting, traceback.extract_tb(error.__traceback__))):
            raise
        said = next(iter(str(error).splitlines()), "") or type(error).__name__
        flags = " ".join(beam_args)
        raise ConfigError(
            one_line(f"the runner of {flags} could not be started: {said}; mend that, or leave --runner out")
        ) from error


def harnesses_per_machine(beam_args: Sequence[str]) -> int:
    """How many of a runner's worker processes share a machine, as far as its flags say; at least 1."""
    options = PipelineOptions(list(beam_args))
    local, portable = options.view_as(DirectOptions), options.view_as(PortableOptions)
    on_one = local.direct_num_workers if local.direct_running_mode == "multi_processing" else 1
    return max(1, on_one or available_cores(), portable.sdk_worker_parallelism or 1)


def _is_starting(frame: traceback.FrameSummary) -> bool:
    is_beam = "apache_beam" in frame.filename
    return is_beam and (frame.filename.endswith(_STARTING_FILES) or frame.name in _STARTING_FUNCTIONS)


def _nearest(name: str, known: Sequence[str]) -> str:
    bare = {one.lower().removeprefix("--"): one for one in known}
    near = difflib.get_close_matches(name.lower().lstrip("-"), list(bare), n=1, cutoff=0.6)
    return f"; did you mean {bare[near[0]]}?" if near else ""
