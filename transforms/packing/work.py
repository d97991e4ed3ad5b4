"""The work of `codemill pack`: files in packing order in, packed rows out.

The input is a corpus grouped by repository and ordered (`jobs.grouping.repositories`): a unit is a run of complete
repositories, or a part of a large one, so a unit's output depends only on its own rows. A source row counts as kept if
all of its text (after redaction, if a filter is set) is in packed rows. A file without a repository forms its own.

    unit's table -> documents, FIM, rows (`transforms.packing.stages`) -> table of packed rows

Memory: a unit's table, up to 4 MB of text unless a single file has more, and its packed rows, four times the text.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from transforms.packing.documents import PLAIN, DocumentRecipe
from transforms.packing.order import IMPORTS, POSITION
from transforms.packing.parts import PACKED_TOGETHER, TRAINED
from transforms.packing.rows import row_schema
from transforms.packing.stages import (
    Packed,
    PackStages,
    load_tokenizer,
)
from transforms.row_pool import beats
from transforms.rows.columns import ColumnOverrides, RowLimits, resolve_columns
from transforms.rows.rejections import rejected_counts, rejected_table
from transforms.rows.sources import SOURCE_COLUMNS
from transforms.scanning import ContentFilter
from transforms.work import Unit, UnitResult


@dataclass
class PackWork:
    """The work of `codemill pack`; see `transforms.work.Work` for the contract.

    Args:
        tokenizer: Location of the vocabulary.
        recipe: How documents are built.
        context_length: Maximum tokens of a row.
        context_share: Maximum share of a row that repeats what its files import.
        columns: The user's overrides of the column presets.
        limits: Bounds on a row's content.
        content_filter: Filters inputs; None accepts everything.
    """

    tokenizer: str
    recipe: DocumentRecipe
    context_length: int
    context_share: float
    columns: ColumnOverrides
    limits: RowLimits
    content_filter: ContentFilter | None = None

    # What is packed together is in one row group of the grouped corpus.
    whole_row_groups: ClassVar[bool] = True
    spreads_rows: ClassVar[bool] = False
    opens_first: ClassVar[bool] = False
    checkpoint_sha256: ClassVar[str] = ""

    def __post_init__(self) -> None:
        self._stages: PackStages | None = None
        self._tokens = 0

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_stages": None}

    def output_schema(self, input_schema: pa.Schema) -> pa.Schema:
        """The schema of packed rows, whatever the input's columns; its metadata names the vocabulary and the length."""
        return row_schema(load_tokenizer(self.tokenizer), self.context_length).append(PACKED_TOGETHER)

    def input_columns(self, input_schema: pa.Schema) -> list[str]:
        """Content, path, repository and language, the columns of the row's origin, and those of its place."""
        found = resolve_columns(input_schema, self.columns)
        names = [found.content, found.path, found.repo_name, found.language, *SOURCE_COLUMNS, POSITION, IMPORTS]
        return [name for name in input_schema.names if name in names]

    def open(self) -> None:
        """Reads the vocabulary and opens the filter. Raises ConfigError if the vocabulary can't be read."""
        self._stages = PackStages(
            self.tokenizer,
            self.recipe,
            self.context_length,
            self.context_share,
            self.columns,
            self.limits,
            self.content_filter,
        )
        self._stages.open()

    def run(self, unit: Unit, table: pa.Table, rows: list[int]) -> UnitResult:
        """Packs the files of one unit, in their order."""
        assert self._stages is not None, "call open() first"
        packed = self._stages.pack(unit, table, rows)
        self._tokens += pc.sum(packed.rows.column("num_tokens")).as_py() or 0
        numbers = pa.array([unit.number] * packed.rows.num_rows, PACKED_TOGETHER.type)
        kept = packed.rows.append_column(PACKED_TOGETHER, numbers)
        return UnitResult(kept, rejected_table(packed.rejected), _counts(packed))

    def heartbeat(self) -> dict[str, float]:
        """Tokens packed so far, and the steps that were done with files."""
        return {"tokens_out": float(self._tokens), "rows_done": float(beats())}

    def close(self) -> None:
        """Has nothing to close."""


def _counts(packed: Packed) -> Counter[str]:
    kept = packed.rows
    counts: Counter[str] = Counter()
    parts = pc.list_flatten(kept.column("parts"))
    roles = pc.struct_field(parts, "role")
    for count in pc.value_counts(roles).to_pylist():
        if count["values"] != TRAINED:
            counts[f"context_{count['values']}"] = count["counts"]
    modes = pc.struct_field(parts.filter(pc.equal(roles, TRAINED)), "fim_mode")
    for count in pc.value_counts(modes).to_pylist():
        mode, number = count["values"], count["counts"]
        counts[f"documents_{mode}"] = number
        counts["documents"] += number
        counts["documents_fim"] += number if mode != PLAIN else 0
    counts.update(rejected_counts(packed.rejected))
    counts.update(packed.counts)
    counts["tokens_trained"] = pc.sum(pc.list_flatten(kept.column("loss_mask"))).as_py() or 0
    counts["tokens_out"] = pc.sum(kept.column("num_tokens")).as_py() or 0
    counts["rows_packed"] = kept.num_rows
    counts["repositories"] = packed.repositories
    counts["rows_kept"], counts["rows_rejected"] = packed.files, len(packed.rejected)
    counts["rows_redacted"] = packed.redacted
    counts["rows_in"] = packed.files + len(packed.rejected)
    for name in ("targets", "targets_accepted", "targets_rejected"):
        counts[name] = 0
    return counts
