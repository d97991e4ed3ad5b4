"""The options of `codemill inspect`, which the process that reads and prints needs as well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from jobs.options.fields import OptionSet, option
from model.errors import ConfigError

_LOCATED_ROWS = 1 << 20  # enough for any terminal


@dataclass(frozen=True, kw_only=True)
class InspectOptions(OptionSet):
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
    only: tuple[str, ...] = option(
        (),
        help="Only rows that meet these conditions, such as exact_match=false, edit_similarity>=0.8 or path~tests/; "
        "a column, or a field of checks or lineage.",
        metavar="CONDITION",
    )
    sort: str = option(
        "",
        help="Sort by a column or field, the largest first, with --sort=-NAME the smallest; score: mean "
        "log-probability and agreement with other samples.",
        metavar="NAME",
    )
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

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sort and self.seed is not None:
            raise ConfigError(
                f"--seed {self.seed} draws rows and --sort {self.sort} puts them in order; pass one of them"
            )
