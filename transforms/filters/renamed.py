"""Finds renamed copies of benchmark solutions, by n-grams of their structure (`transforms.filters.structure`).

A copy whose names, comments and strings were replaced shares no text with its item, but its structure is the same. A
whole solution of 18 tokens or more is one n-gram, and so is each part of 40 tokens of a longer one; any one of them is
enough. Each solution in Python is also known as `ast.unparse` writes it, with annotations and without.

Limits: not found are a shorter solution, one in a text of more than a million characters, one that was rewritten
(`while` for `for`, statements in another order), and one in another language than the item's. `docs/filters.md` has the
rates.
"""

from __future__ import annotations

import ast
import bisect
import itertools
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from transforms.filters.benchmark_index import BOILERPLATE_ITEMS, Contamination, problem_of, reading_index
from transforms.filters.benchmarks import Program
from transforms.filters.gram_tables import GramTable, GramTables, HashBits
from transforms.filters.structure import from_first_function, structure_batches, structure_of, token_offset
from transforms.languages.lookup import find_language
from transforms.languages.table import Language
from transforms.rows.ngrams import Hashes, PlacedTokens, ngram_hashes, placed_tokens, tokens_of

LENGTHS: Final = (18, 20, 24, 28, 32, 36, 40)
"""Lengths of n-grams in tokens: of a solution, the largest that it has."""
MIN_DISTINCT_TOKENS: Final = 8
MAX_SEARCHED_CHARS: Final = 1_000_000
"""Longer texts are data; searching them takes a hundred times their size in memory."""
_SUFFIX: Final = "#renamed"


@dataclass(frozen=True)
class RenamedIndex:
    """Hashes of the structure of solutions.

    Args:
        tables: For each language, by its name, the n-grams.
        items: `(benchmark, item)` by index.
    """

    tables: Mapping[str, GramTables]
    items: tuple[tuple[str, str], ...]

    def find_all(self, texts: Sequence[str], languages: Sequence[str]) -> list[list[Contamination]]:
        """The items of which each text contains a renamed copy, in descending order of shared n-grams.

        Args:
            texts: The texts.
            languages: The name of each text's language; "" if unknown.
        """
        found: list[list[Contamination]] = [[] for _ in texts]
        by_language: dict[str, list[int]] = {}
        for number, name in enumerate(languages):
            by_language.setdefault(name, []).append(number)
        for name, numbers in by_language.items():
            left = iter(numbers)
            for batch in placed_tokens(texts[number] for number in numbers):
                in_batch = list(itertools.islice(left, len(batch.texts)))
                results = self.find_in(batch, [texts[number] for number in in_batch], name)
                for number, one in zip(in_batch, results, strict=True):
                    found[number] = one
        return found

    def find_in(self, batch: PlacedTokens, texts: Sequence[str], language_name: str) -> list[list[Contamination]]:
        """The same for texts in one language whose tokens are hashed."""
        language = find_language(language_name)
        is_short = all(len(text) <= MAX_SEARCHED_CHARS for text in texts)  # a longer one is alone in its batch
        if not is_short or language is None or language.name not in self.tables:
            return [[] for _ in texts]
        structure = structure_of(batch, language)
        hits: dict[int, dict[int, list[tuple[int, int]]]] = {}
        for hit in self.tables[language.name].find(structure.hashes):
            text = bisect.bisect_right(structure.bounds, hit.position) - 1
            if hit.position + hit.n <= structure.bounds[text + 1]:  # not across two texts
                hits.setdefault(text, {}).setdefault(hit.owner, []).append((hit.position, hit.gram))
        return [
            self._told(text, language, structure.bounds[number], hits.get(number, {}))
            for number, text in enumerate(texts)
        ]

    def _told(
        self, text: str, language: Language, first: int, hits: Mapping[int, Sequence[tuple[int, int]]]
    ) -> list[Contamination]:
        """What was found in a text; `first` is the position of its first token."""
        found = []
        for owner, places in hits.items():
            benchmark, item = self.items[owner]
            offset = token_offset(text, language, min(position for position, _ in places) - first)
            before = text.encode("utf-8", "surrogatepass")[:offset].decode("utf-8", "replace")
            num_ngrams = len({gram for _, gram in places})
            found.append(Contamination(benchmark, f"{item}{_SUFFIX}", num_ngrams, len(tokens_of(before))))
        return sorted(found, key=lambda c: (-c.num_ngrams, c.benchmark, c.item))

    def arrays(self) -> dict[str, Any]:
        """The index as arrays of an `npz` file."""
        made: dict[str, Any] = {"renamed_items": np.array(["\t".join(item) for item in self.items])}
        for language, tables in self.tables.items():
            for n, table in tables.by_length.items():
                made[f"renamed_{language}_{n}_hashes"] = table.known
                made[f"renamed_{language}_{n}_owners"] = table.owners
            made[f"renamed_{language}_heads"] = tables.heads.packed
        return made


def is_renamed(found: Contamination) -> bool:
    """Whether an item was found by its structure alone."""
    return found.item.endswith(_SUFFIX)


def build_renamed(programs: Iterable[Program], background: Iterable[tuple[str, str]] = ()) -> RenamedIndex:
    """Builds an index.

    Args:
        programs: The solutions; several may belong to one item.
        background: Texts and their languages that are no one's solutions: n-grams that they have are idiom and are
            left out.
    """
    items: list[tuple[str, str]] = []
    number: dict[tuple[str, str], int] = {}
    owners: dict[str, dict[int, dict[int, set[int]]]] = {}
    heads: dict[str, dict[int, int]] = {}
    for program in programs:
        language = find_language(program.language)
        if language is None or not language.reader:
            continue
        item = (program.benchmark, problem_of(program.item))
        if number.setdefault(item, len(items)) == len(items):
            items.append(item)
        for text in _spellings(program.text, language.name):
            hashes = from_first_function(next(structure_batches([text], language)).hashes)
            n = max((length for length in LENGTHS if length <= len(hashes)), default=0)
            for gram, head in _telling(hashes, n):
                heads.setdefault(language.name, {})[gram] = head
                owners.setdefault(language.name, {}).setdefault(n, {}).setdefault(gram, set()).add(number[item])
    tables = {name: _tables_of(by_length, heads[name]) for name, by_length in owners.items()}
    return _without(RenamedIndex(tables, tuple(items)), background)


def _telling(hashes: Hashes, n: int) -> Iterator[tuple[int, int]]:
    """The n-grams with more than a few different tokens, and their heads."""
    if not n:
        return
    heads = ngram_hashes(hashes, LENGTHS[0]).tolist()
    for at, gram in enumerate(ngram_hashes(hashes, n).tolist()):
        if len(set(hashes[at : at + n].tolist())) >= MIN_DISTINCT_TOKENS:
            yield gram, heads[at]


def _tables_of(by_length: Mapping[int, Mapping[int, set[int]]], heads: Mapping[int, int]) -> GramTables:
    tables = {}
    for n, owners_of in sorted(by_length.items()):
        telling = sorted((gram, min(own)) for gram, own in owners_of.items() if len(own) < BOILERPLATE_ITEMS)
        if telling:
            tables[n] = _table(telling)
    known = {heads[gram] for table in tables.values() for gram in table.known.tolist()}
    return GramTables(tables, LENGTHS[0], HashBits.of(np.fromiter(known, np.uint64)))


def _table(entries: Sequence[tuple[int, int]]) -> GramTable:
    hashes = np.array([gram for gram, _ in entries], dtype=np.uint64)
    return GramTable(hashes, np.array([owner for _, owner in entries], dtype=np.uint32))


def _without(index: RenamedIndex, background: Iterable[tuple[str, str]]) -> RenamedIndex:
    """The index without the n-grams that stand in the background."""
    idiom: dict[tuple[str, int], set[int]] = {}
    for text, name in background:
        language = find_language(name)
        if language is None or language.name not in index.tables:
            continue
        for batch in structure_batches([text], language):
            for hit in index.tables[language.name].find(batch.hashes):
                idiom.setdefault((language.name, hit.n), set()).add(hit.gram)
    tables: dict[str, GramTables] = {}
    for name, known in index.tables.items():
        by_length: dict[int, GramTable] = {}
        for n, table in known.by_length.items():
            entries = zip(table.known.tolist(), table.owners.tolist(), strict=True)
            left = [entry for entry in entries if entry[0] not in idiom.get((name, n), ())]
            if left:
                by_length[n] = _table(left)
        if by_length:
            tables[name] = GramTables(by_length, LENGTHS[0], known.heads)  # those of n-grams that left only cost time
    return RenamedIndex(tables, index.items)


def _spellings(text: str, language: str) -> Iterator[str]:
    """The solution as it is written, and in Python as its tree is written, with annotations and without."""
    yield text
    if language != "Python":
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
        yield ast.unparse(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                node.returns = None
            elif isinstance(node, ast.arg):
                node.annotation = None
        yield ast.unparse(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return


def load_renamed(path: Path) -> RenamedIndex:
    """Reads the index of renamed solutions from an `npz` file; one without any finds nothing. Raises ConfigError."""
    with reading_index(path) as arrays:
        tables: dict[str, dict[int, GramTable]] = {}
        for name in arrays.files:
            if name.startswith("renamed_") and name.endswith("_hashes"):
                language, _, n = name.removeprefix("renamed_").removesuffix("_hashes").rpartition("_")
                owners = arrays[f"{name.removesuffix('hashes')}owners"]
                tables.setdefault(language, {})[int(n)] = GramTable(arrays[name], owners)
        items = arrays["renamed_items"].tolist() if "renamed_items" in arrays.files else []
        known = {
            name: GramTables(by_length, LENGTHS[0], HashBits.from_packed(arrays[f"renamed_{name}_heads"]))
            for name, by_length in tables.items()
        }
    return RenamedIndex(known, tuple((line.partition("\t")[0], line.partition("\t")[2]) for line in items))


def merge_renamed(*indexes: RenamedIndex) -> RenamedIndex:
    """Merges several indexes, such as the public one and a user's own."""
    items: list[tuple[str, str]] = []
    entries: dict[str, dict[int, list[tuple[int, int]]]] = {}
    heads: dict[str, HashBits] = {}
    for index in indexes:
        for name, tables in index.tables.items():
            heads[name] = heads[name] | tables.heads if name in heads else tables.heads
            for n, table in tables.by_length.items():
                shifted = [owner + len(items) for owner in table.owners.tolist()]
                entries.setdefault(name, {}).setdefault(n, []).extend(zip(table.known.tolist(), shifted, strict=True))
        items += index.items
    merged = {
        name: GramTables({n: _table(sorted(found)) for n, found in by_length.items()}, LENGTHS[0], heads[name])
        for name, by_length in entries.items()
    }
    return RenamedIndex(merged, tuple(items))
