"""The rows of a training run's input that opt-out lists leave out."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass, field

import pyarrow as pa

from jobs.options import OptOutOptions, all_options
from jobs.plan.opt_out import matcher_of, opt_out_lines
from jobs.terminal.escapes import print_line
from model.errors import ConfigError
from transforms.opt_out.rows import RowMatcher, repositories_of


@dataclass
class LeftOut:
    """Finds and counts rows.

    Args:
        matcher: Finds them; None leaves none out.
        is_strict: Whether every entry must match.
        rows: How many are left out.
        unknown: How many rows' repositories are not known.
        entries: How many each entry leaves out, by its number.
    """

    matcher: RowMatcher | None = None
    is_strict: bool = False
    rows: int = 0
    unknown: int = 0
    entries: Counter[int] = field(default_factory=Counter)

    @classmethod
    def of(cls, options: OptOutOptions) -> LeftOut:
        """Reads the lists that the options name. Raises ConfigError as `jobs.plan.opt_out` does."""
        return cls(matcher_of(all_options(options)), options.strict_opt_out)

    def stays(self, table: pa.Table) -> list[bool]:
        """Whether each row of a corpus may be used. Raises ConfigError if nothing names their repositories."""
        if self.matcher is None:
            return [True] * table.num_rows
        return self._counted(self.matcher.matches(table))

    def stays_packed(self, table: pa.Table) -> list[bool]:
        """Whether each packed row may be used: `table` has their parts."""
        if self.matcher is None:
            return [True] * table.num_rows
        names = repositories_of(table, None)
        return self._counted([self.matcher.entries(one) if one else None for one in names])

    def tell(self) -> None:
        """Says what was left out. Raises ConfigError if an entry matched nothing although all must match."""
        if self.matcher is None:
            return
        entries = self.matcher.opt_out.entries
        unmatched = [str(entry) for number, entry in enumerate(entries) if not self.entries[number]]
        lines = opt_out_lines(self.matcher.opt_out, unmatched, self.rows, self.unknown)
        for line in lines:
            print_line(line, sys.stderr)
        if unmatched and self.is_strict:
            raise ConfigError(f"--strict_opt_out: {lines[1]}")

    def _counted(self, matches: list[tuple[int, ...] | None]) -> list[bool]:
        for numbers in matches:
            self.entries.update(numbers or ())
            self.rows += bool(numbers)
            self.unknown += numbers is None
        return [not numbers for numbers in matches]
