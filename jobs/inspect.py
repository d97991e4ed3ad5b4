"""`codemill inspect OUT`: shows rows of a dataset in the terminal; `jobs.terminal.show` lays them out.

A damaged file may crash Arrow's C++ code, so the files are read in a child process (`jobs.terminal.inspecting`), which
prints the rows itself. Cost: starting the child, reading the Parquet footers, and the row groups of the rows shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from jobs.options import OptionSet, all_options, option
from model.errors import ConfigError

_PRINTER = "jobs.terminal.inspecting"
_LOCATED_ROWS = 1 << 20  # enough for any terminal


@dataclass(frozen=True, kw_only=True)
class Options(OptionSet):
    """Show rows of a dataset in the terminal."""

    path: str = option(
        help="A job's output, finished or unfinished; or a Parquet file, folder or glob.", positional=True, is_path=True
    )
    rows: int = option(5, help="Number of rows to show.", minimum=1, maximum=_LOCATED_ROWS)
    start: int = option(0, help="First row to show, starting at 0.", minimum=0, metavar="ROW")
    seed: int | None = option(None, help="Show randomly sampled rows, with this seed.", minimum=0)
    rejected: bool = option(
        False, help="Show rejected records, counted by reason and with their source location, instead of kept rows."
    )
    reason: str | None = option(None, help="With --rejected: only records with this reason.")
    content_column: str | None = option(None, help="With --rejected: the source's content column.", metavar="NAME")
    context_lines: int = option(
        6,
        help="Context lines shown before and after a middle, and lines shown of other long texts.",
        minimum=1,
        metavar="LINES",
    )
    color: Literal["auto", "always", "never"] = option(
        "auto", help="Use colors; auto: in a terminal, unless NO_COLOR is set."
    )


def run(options: Options, beam_args: Sequence[str] = ()) -> int:
    """Prints the rows. Raises ConfigError if there are none, or if a file can't be read."""
    from jobs.terminal.printer import print_in_child

    if beam_args:
        raise ConfigError(f"inspect does not use Beam and takes no options after --; got {' '.join(beam_args)}")
    if options.reason is not None and not options.rejected:
        raise ConfigError(f"--reason {options.reason} selects among rejected records; add --rejected")
    return print_in_child(_PRINTER, all_options(options))
