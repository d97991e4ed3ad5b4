"""`codemill inspect OUT`: shows rows of a dataset in the terminal; `jobs.terminal.show` lays them out.

A damaged file may crash Arrow's C++ code, so the files are read in a child process (`jobs.terminal.inspecting`), which
prints the rows itself. Cost: starting the child, reading the Parquet footers, and the row groups of the rows shown.
"""

from __future__ import annotations

from collections.abc import Sequence

from jobs.options import all_options
from jobs.options.inspect import InspectOptions as Options
from model.errors import ConfigError

_PRINTER = "jobs.terminal.inspecting"


def run(options: Options, beam_args: Sequence[str] = ()) -> int:
    """Prints the rows. Raises ConfigError if there are none, or if a file can't be read."""
    from jobs.system.signals import raise_on_signals
    from jobs.terminal.printer import print_in_child

    if beam_args:
        raise ConfigError(f"inspect does not use Beam and takes no options after --; got {' '.join(beam_args)}")
    if options.reason is not None and not options.rejected:
        raise ConfigError(f"--reason {options.reason} selects among rejected records; add --rejected")
    raise_on_signals()
    return print_in_child(_PRINTER, all_options(options))
