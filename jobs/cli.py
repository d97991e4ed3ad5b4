"""The command `codemill JOB ...`: finds the job, parses its options, runs it, and returns an exit code
(`jobs.system.exit_codes`).

Only the chosen job's module is imported, and the top of a job's module imports neither Beam nor JAX, so help and flag
errors respond immediately. `jobs.catalog` lists the jobs and describes what a job's module contains.
"""

from __future__ import annotations

import contextlib
import difflib
import logging
import os
import select
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from jobs.catalog import INTERNAL, JOBS, module_of, options_of
from jobs.system.exit_codes import BUG, DONE, READER_GONE, USER_ERROR, code_of
from jobs.system.signals import handlers_restored, how_it_ended
from jobs.terminal.escapes import print_line, print_text, visible
from model.errors import ConfigError

if TYPE_CHECKING:
    from jobs.options.fields import OptionSet


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line and returns the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    _guard_terminal()
    try:
        code = _answer(words, is_own_process=argv is None)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        if not _is_reader_gone():  # another pipe broke: a bug in codemill
            print_text(traceback.format_exc(), sys.stderr)
            return BUG
        return READER_GONE


def _guard_terminal() -> None:
    """Has nothing that is printed fail for its characters, and no log message control the terminal."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal without UTF-8
    assert logging.lastResort is not None
    logging.lastResort.setFormatter(_VisibleFormatter())  # the handler where nobody has configured another


class _VisibleFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return visible(super().format(record))


def _answer(words: Sequence[str], *, is_own_process: bool) -> int:
    if not words:
        print_text(_help(), sys.stderr)
        return USER_ERROR
    name, *rest = words
    if name in ("-h", "--help", "help"):
        print_text(_help())
        return DONE
    if name == "--version":
        print_line(f"codemill {_version()}")
        return DONE
    if name == "--completion":
        return _complete(rest)
    if name not in JOBS and name not in INTERNAL:
        near = difflib.get_close_matches(name, JOBS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"the jobs are {', '.join(JOBS)}"
        print_line(f"codemill: error: unknown job {name}; {hint}", sys.stderr)
        return USER_ERROR
    return _run_job(name, rest, is_own_process=is_own_process)


def _complete(words: list[str]) -> int:
    from jobs.options.completion import completion_script

    try:
        print_text(completion_script({name: (line, options_of(name)) for name, line in JOBS.items()}, words))
    except ConfigError as error:
        print_line(f"codemill: error: {error}", sys.stderr)
        return USER_ERROR
    return DONE


def _run_job(name: str, argv: Sequence[str], *, is_own_process: bool) -> int:
    from jobs.options import parse  # not needed to list the jobs

    prog = f"codemill {name}"
    job = INTERNAL.get(name, name)

    def start(ends: contextlib.ExitStack) -> int:
        options, beam_args = parse(options_of(job), argv, prog=prog)
        if is_own_process and not beam_args:
            _start_child(options, ends)
        return _start(job, options, beam_args, ends)

    return _outcome(prog, start)


# A worker imports JAX and Flax for a second; side by side with the driver's imports that costs nothing on two cores.
_OF_ENGINES: Final = ("model.engine.engine", "model.sharding", "model.checkpoint")


def _start_child(options: OptionSet, ends: contextlib.ExitStack) -> None:
    """Starts the first child of a job that has some, before this process imports what the job needs; where there is
    work for more of them, these as well."""
    from jobs.options import CommonOptions, GenerationOptions

    if isinstance(options, CommonOptions):
        from jobs.execution.processes import processes_ahead
        from jobs.system.child_process import started_ahead

        is_elsewhere = options.run_units == "elsewhere"
        if isinstance(options, GenerationOptions):
            ends.enter_context(started_ahead(() if is_elsewhere else _OF_ENGINES))
        else:
            ends.enter_context(started_ahead((), 1 if is_elsewhere else processes_ahead(options)))


def run_options(name: str, options: OptionSet) -> int:
    """Runs a job with options that are parsed already; returns the exit code."""
    return _outcome(f"codemill {name}", lambda ends: _start(name, options, [], ends))


def _start(name: str, options: OptionSet, beam_args: list[str], ends: contextlib.ExitStack) -> int:
    """Runs a job.

    Args:
        name: The job, or its module.
        options: Its options.
        beam_args: What followed `--`.
        ends: Ends what lasts until the error of a job that fails has been printed: the log and its form.
    """
    from jobs.options.report import RunOptions

    if not isinstance(options, RunOptions):
        return _run_module(name, options, beam_args)
    from jobs.monitoring.run import monitored, with_run_id
    from jobs.terminal.json_lines import json_lines
    from jobs.terminal.log_file import log_kept
    from jobs.terminal.verbose import more_told

    options = with_run_id(options)
    assert options.run_id is not None
    if options.log_format == "json":
        ends.enter_context(json_lines(options.run_id, name))
    ends.enter_context(log_kept(options.log_file))
    ends.enter_context(more_told(getattr(options, "verbose", False)))
    with monitored(name, options):
        return _run_module(name, options, beam_args)


def _run_module(name: str, options: OptionSet, beam_args: list[str]) -> int:
    _check_reachable(options)
    if isinstance(output := getattr(options, "output", None), str):
        from jobs.storage import check_output_path

        check_output_path(output)
    with handlers_restored():
        code: int = module_of(name).run(options, beam_args)
        return code


def _outcome(prog: str, start: Callable[[contextlib.ExitStack], int]) -> int:
    """Runs a job and turns whatever ends it into an exit code, with its line or traceback."""
    with contextlib.ExitStack() as ends:
        try:
            return start(ends)
        except ConfigError as error:
            print_line(f"{prog}: error: {error}", sys.stderr)
            return USER_ERROR
        except KeyboardInterrupt as interrupt:
            print_line(f"{prog}: {how_it_ended(interrupt)[0]}", sys.stderr)
            return code_of(interrupt)
        except SystemExit as end:  # after --help
            return end.code if isinstance(end.code, int) else DONE
        except BrokenPipeError:
            raise
        except Exception:
            print_text(traceback.format_exc(), sys.stderr)
            return BUG


def _check_reachable(options: OptionSet) -> None:
    """Raises ConfigError if a bucket that an option names can't be reached, before the job waits for it."""
    from jobs.options.fields import fields_of

    values = [getattr(options, field.name) for field in fields_of(type(options)) if field.is_path]
    paths = [path for value in values for path in (value if isinstance(value, tuple) else (value,)) if path]
    if any("://" in path for path in paths):
        from jobs.storage import check_reachable  # a second of imports that local paths don't need

        check_reachable(paths)


def _is_reader_gone() -> bool:
    """Whether the reader of standard output is gone (`| head`); if so, keeps the flush at exit silent."""
    try:
        output = sys.stdout.fileno()
    except OSError:  # standard output was replaced by something that isn't a file
        return False
    poll = select.poll()
    poll.register(output, select.POLLOUT)
    if not any(event & select.POLLERR for _, event in poll.poll(0)):
        return False
    os.dup2(os.open(os.devnull, os.O_WRONLY), output)
    return True


def _help() -> str:
    width = max(map(len, JOBS))
    return "\n".join(
        [
            "usage: codemill JOB [--FLAG VALUE...] [-- BEAM_FLAGS]",
            "",
            "Batch jobs that turn source code into trustworthy datasets.",
            "",
            "jobs:",
            *(f"  {name:<{width}}  {line}" for name, line in JOBS.items()),
            "",
            "codemill JOB --help lists a job's flags; codemill --completion SHELL completes them in bash and others.",
            "Exit codes: 0 done, 1 a bug, 2 a mistake in the command or its input, 3 finished, but some of the input",
            "could not be read or more than 1% of it met a bug, 4 finished, but the input is another one since it was",
            "planned, 5 finished with fewer rows than --min_yield asks for, 128 + n stopped by signal n.",
        ]
    )


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("codemill")
    except PackageNotFoundError:
        return "(not installed)"


if __name__ == "__main__":
    sys.exit(main())
