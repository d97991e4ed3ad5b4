"""Contamination: rejects files that contain a problem of a benchmark, word by word or with other names.

Verbatim text is found by 12-grams of words (`benchmark_index`), renamed solutions by n-grams of their structure
(`renamed`); in the public sets, and in the user's own sets. A finding contains its evidence: the benchmark, the item
(`#renamed` if only its structure is there), the number of shared n-grams, and the position in the text.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

import pyarrow as pa

from transforms.filters.benchmark_index import (
    PUBLIC_INDEX,
    BenchmarkIndex,
    Contamination,
    build_index,
    load_index,
    merge_indexes,
    problem_of,
)
from transforms.filters.benchmarks import benchmark_programs, benchmark_texts
from transforms.filters.renamed import RenamedIndex, build_renamed, is_renamed, load_renamed, merge_renamed
from transforms.filters.stage import Stage, StageResult, struct_reader
from transforms.languages.lookup import find_language
from transforms.rows.ngrams import placed_tokens
from transforms.rows.row import Row

CONTAMINATION_TYPE: Final = pa.struct(
    [
        pa.field("benchmark", pa.string(), nullable=False),
        pa.field("item", pa.string(), nullable=False),
        pa.field("num_ngrams", pa.int32(), nullable=False),
        pa.field("first_token", pa.int64(), nullable=False),
    ]
)
_contamination_dict: Final = struct_reader(CONTAMINATION_TYPE)
_MAX_ITEMS: Final = 20
"""Maximum number of items in a row's column `contamination`."""


@functools.lru_cache(maxsize=4)
def open_index(folders: tuple[str, ...]) -> BenchmarkIndex:
    """The public index merged with the user's own benchmarks; built once per process. Raises ConfigError."""
    own = [build_index(list(benchmark_texts(Path(folder)))) for folder in folders]
    return merge_indexes(load_index(PUBLIC_INDEX), *own)


@functools.lru_cache(maxsize=4)
def open_renamed(folders: tuple[str, ...]) -> RenamedIndex:
    """The same for renamed solutions."""
    own = [build_renamed(benchmark_programs(Path(folder))) for folder in folders]
    return merge_renamed(load_renamed(PUBLIC_INDEX), *own)


@dataclass(frozen=True, kw_only=True)
class ContaminationStage(Stage):
    """Rejects files that contain a benchmark item.

    Args:
        is_on: Whether the stage searches at all.
        folders: Folders of the user's own benchmarks, in addition to the public ones.
        min_ngrams: Minimum number of different n-grams of one item that rejects a row; of an item with fewer, all of
            them.
    """

    name: ClassVar[str] = "contamination"
    fields: ClassVar[tuple[pa.Field, ...]] = (
        pa.field("contamination", pa.list_(pa.field("item", CONTAMINATION_TYPE, nullable=False)), nullable=False),
    )

    is_on: bool = True
    folders: tuple[str, ...] = ()
    min_ngrams: int = 3

    def open(self) -> None:
        """Reads the indexes."""
        if self.is_on:
            open_index(self.folders)
            open_renamed(self.folders)

    def examine(self, row: Row) -> StageResult:
        """Reason: `holds_a_benchmark_item`."""
        return self.examine_all([row])[0]

    def examine_all(self, rows: Sequence[Row]) -> list[StageResult]:
        """Examines all rows in one search of each index."""
        if not self.is_on:
            return [self._result([]) for _ in rows]
        by_language: dict[str, list[int]] = {}
        for number, row in enumerate(rows):
            language = find_language(row.language, row.path, row.content)
            by_language.setdefault(language.name if language else "", []).append(number)
        results: list[StageResult | None] = [None] * len(rows)
        for language_name, numbers in by_language.items():
            left = iter(numbers)
            for batch in placed_tokens(rows[number].content for number in numbers):
                in_batch = list(itertools.islice(left, len(batch.texts)))
                texts = [rows[number].content for number in in_batch]
                verbatim = open_index(self.folders).find_in(batch)
                renamed = open_renamed(self.folders).find_in(batch, texts, language_name)
                for number, own, more in zip(in_batch, verbatim, renamed, strict=True):
                    results[number] = self._result([*own, *self._others(own, more)])
        return [result for result in results if result is not None]

    def _others(self, verbatim: Sequence[Contamination], renamed: Sequence[Contamination]) -> list[Contamination]:
        """The renamed copies of items whose text isn't there."""
        if not renamed:
            return []
        is_enough = open_index(self.folders).is_enough
        there = {(one.benchmark, problem_of(one.item)) for one in verbatim if is_enough(one, self.min_ngrams)}
        return [one for one in renamed if (one.benchmark, problem_of(one.item)) not in there]

    def _result(self, found: list[Contamination]) -> StageResult:
        columns = {"contamination": list(map(_contamination_dict, found[:_MAX_ITEMS]))}
        is_enough = open_index(self.folders).is_enough
        worst = next((item for item in found if is_renamed(item) or is_enough(item, self.min_ngrams)), None)
        if worst is None:
            return self.result(columns)
        shared = "n-grams of its structure" if is_renamed(worst) else "shared n-grams"
        detail = f"{worst.benchmark} {worst.item}: {worst.num_ngrams} {shared} from token {worst.first_token}"
        return self.result(columns, "holds_a_benchmark_item", detail)
