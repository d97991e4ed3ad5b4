"""The work of `codemill pack`: the repositories of a unit in, packed rows out.

The input is a corpus grouped by repository (`jobs.grouping.repositories`): a unit is a run of complete repositories, so
the graph of each can be built, and a unit's output depends only on its repositories. A source row counts as kept if all
of its text (after redaction, if a filter is set) is in packed rows. A file without a repository forms its own.

    unit's table --file--> packing process (`transforms.packing.stages`) --file--> table of packed rows

Memory: the unit's table, held by the job framework. Local disk: twice the unit's text, plus its packed rows, about four
times the text.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import pyarrow as pa
import pyarrow.compute as pc

from transforms.packing.documents import PLAIN, DocumentRecipe
from transforms.packing.rows import row_schema
from transforms.packing.stages import SOURCE_COLUMNS, PackCall, Packed, PackStages, load_tokenizer
from transforms.row_pool import CRASHED, RowPool
from transforms.rows.columns import ColumnOverrides, RowLimits, resolve_columns
from transforms.rows.rejections import rejected_counts, rejected_table
from transforms.scanning import ContentFilter
from transforms.spool import scratch_folder
from transforms.work import Unit, UnitResult

# No engine runs alongside, so every core can pack.
MAX_PROCESSES: Final = 16

_ROWS_READ: Final = 256


@dataclass
class PackWork:
    """The work of `codemill pack`; see `transforms.work.Work` for the contract.

    Args:
        tokenizer: Location of the vocabulary.
        recipe: How documents are built.
        context_length: Maximum tokens of a row.
        top_lines: Imports below this line don't count; None counts all.
        columns: The user's overrides of the column presets.
        limits: Bounds on a row's content.
        content_filter: Filters inputs; None accepts everything.
        row_workers: Number of packing processes; -1 chooses by the machine, 0 packs in this process.
    """

    tokenizer: str
    recipe: DocumentRecipe
    context_length: int
    top_lines: int | None
    columns: ColumnOverrides
    limits: RowLimits
    content_filter: ContentFilter | None = None
    row_workers: int = -1

    # A repository is entirely within a row group of the grouped corpus, and must be packed together.
    whole_row_groups: ClassVar[bool] = True
    spreads_rows: ClassVar[bool] = True
    opens_first: ClassVar[bool] = False
    checkpoint_sha256: ClassVar[str] = ""

    def __post_init__(self) -> None:
        self._pool: RowPool | None = None
        self._tokens = 0

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_pool": None}

    def output_schema(self, input_schema: pa.Schema) -> pa.Schema:
        """The schema of packed rows, whatever the input's columns; its metadata names the vocabulary and the length."""
        return row_schema(load_tokenizer(self.tokenizer), self.context_length)

    def input_columns(self, input_schema: pa.Schema) -> list[str]:
        """Content, path, repository and language, and the columns of the row's origin."""
        found = resolve_columns(input_schema, self.columns)
        names = [found.content, found.path, found.repo_name, found.language, *SOURCE_COLUMNS]
        return [name for name in input_schema.names if name in names]

    def open(self) -> None:
        """Starts the packing processes. Raises ConfigError if the vocabulary can't be read."""
        load_tokenizer(self.tokenizer)
        stages = PackStages(
            self.tokenizer,
            self.recipe,
            self.context_length,
            self.top_lines,
            self.columns,
            self.limits,
            self.content_filter,
        )
        self._pool = RowPool(
            stages, min(MAX_PROCESSES, os.cpu_count() or 1) if self.row_workers < 0 else self.row_workers
        )
        self._pool.open()

    def run(self, unit: Unit, table: pa.Table, rows: list[int]) -> UnitResult:
        """Packs the repositories of one unit, in the order of their names.

        Rows are exchanged with the packing process as files, which both processes map into memory: a pipe would hold
        them three times.
        """
        assert self._pool is not None, "call open() first"
        with scratch_folder() as folder:
            call = PackCall(folder, unit, tuple(rows))
            with pa.OSFile(call.source, "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
                writer.write_table(table, max_chunksize=_ROWS_READ)
            (packed,) = self._pool.apply("pack", [call])()
            if packed is CRASHED:
                raise RuntimeError(f"unit {unit.unit_id}: packing crashed its process")  # narrowed down to the row
            # The mapping outlives the folder: the pages are freed with the table.
            kept = pa.ipc.open_file(pa.memory_map(call.result)).read_all()
        self._tokens += pc.sum(kept.column("num_tokens")).as_py() or 0
        return UnitResult(kept, rejected_table(packed.rejected), _counts(kept, packed))

    def heartbeat(self) -> dict[str, float]:
        """Tokens packed so far, and the steps that packing processes have done with files."""
        done = 0 if self._pool is None else self._pool.rows_done
        return {"tokens_out": float(self._tokens), "rows_done": float(done)}

    def close(self) -> None:
        """Stops the processes."""
        if self._pool is not None:
            self._pool.close()


def _counts(kept: pa.Table, packed: Packed) -> Counter[str]:
    counts: Counter[str] = Counter()
    modes = pc.struct_field(pc.list_flatten(kept.column("parts")), "fim_mode")
    for count in pc.value_counts(modes).to_pylist():
        mode, number = count["values"], count["counts"]
        counts[f"documents_{mode}"] = number
        counts["documents"] += number
        counts["documents_fim"] += number if mode != PLAIN else 0
    counts.update(rejected_counts(packed.rejected))
    counts.update(packed.counts)
    counts["tokens_out"] = pc.sum(kept.column("num_tokens")).as_py() or 0
    counts["rows_packed"] = kept.num_rows
    counts["repositories"] = packed.repositories
    counts["rows_kept"], counts["rows_rejected"] = packed.files, len(packed.rejected)
    counts["rows_redacted"] = packed.redacted
    counts["rows_in"] = packed.files + len(packed.rejected)
    for name in ("targets", "targets_accepted", "targets_rejected"):
        counts[name] = 0
    return counts
