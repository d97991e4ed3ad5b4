from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.errors import ConfigError
from transforms.filters.benchmark_index import BenchmarkIndex, build_index, merge_indexes
from transforms.filters.contamination import ContaminationStage, open_index
from transforms.rows.ngrams import tokens_of
from transforms.rows.row import Row, SourceRef

WORDS = [f"w{number}" for number in range(40)]
ITEMS = [
    ("set", "long", " ".join(WORDS[:20])),
    ("set", "short", " ".join(WORDS[20:28])),
    ("set", "other", " ".join(WORDS[10:16] + WORDS[30:40])),
]
INDEX = build_index(ITEMS)
PIECES = st.lists(st.integers(0, 39).flatmap(lambda at: st.integers(1, 20).map(lambda n: " ".join(WORDS[at : at + n]))))
TEXTS = st.lists(PIECES.map("\n".join), max_size=6)


def found_by_hand(text: str) -> dict[str, tuple[int, int]]:
    """The number of an item's different n-grams in a text, and where the first one is."""
    tokens, found = tokens_of(text), {}
    for _, name, item in ITEMS:
        words = tokens_of(item)
        n = min(12, len(words))
        grams = [tuple(words[at : at + n]) for at in range(len(words) - n + 1)]
        at = [i for i in range(len(tokens) - n + 1) if tuple(tokens[i : i + n]) in grams]
        if at:
            found[name] = (len({tuple(tokens[i : i + n]) for i in at}), at[0])
    return found


@given(TEXTS)
def test_texts_searched_together_have_the_items_that_counting_finds(texts):
    found = [{c.item: (c.num_ngrams, c.first_token) for c in items} for items in INDEX.find_all(texts)]
    assert found == [found_by_hand(text) for text in texts]


@pytest.mark.parametrize("min_ngrams", [1, 3, 9, 10, 50])
def test_as_many_ngrams_as_asked_for_are_enough_or_all_of_an_item_with_fewer(min_ngrams):
    whole, needed = ITEMS[0][2], min(min_ngrams, 9)  # 20 words are nine 12-grams
    assert [found.item for found in INDEX.find(whole, min_ngrams=min_ngrams)] == ["long"]
    enough = " ".join(WORDS[: 11 + needed])
    assert [found.num_ngrams for found in INDEX.find(enough, min_ngrams=min_ngrams)] == [needed]
    assert INDEX.find(" ".join(WORDS[: 10 + needed]), min_ngrams=min_ngrams) == []


def test_an_ngram_that_is_repeated_counts_once():
    again = "\n".join([" ".join(WORDS[:12])] * 5)
    assert [(found.item, found.num_ngrams) for found in INDEX.find(again)] == [("long", 1)]
    assert INDEX.find(again, min_ngrams=3) == []


@pytest.mark.parametrize("at", range(1, 8))
def test_an_item_that_is_cut_in_two_texts_is_in_neither(at):
    words = WORDS[20:28]
    assert INDEX.find_all([" ".join(words[:at]), " ".join(words[at:])]) == [[], []]
    assert [len(found) for found in INDEX.find_all(["", " ".join(words), ""])] == [0, 1, 0]


def test_an_index_without_items_finds_nothing():
    assert BenchmarkIndex({}, ()).find_all(["a b c", ""]) == [[], []]
    assert merge_indexes(BenchmarkIndex({}, ()), INDEX).find(ITEMS[1][2]) == INDEX.find(ITEMS[1][2])


LISTS = {
    "hexadecimal digits": ", ".join(repr(digit) for digit in "0123456789abcdef"),
    "letters": ", ".join(repr(chr(code)) for code in range(97, 123)),
    "even numbers": ", ".join(map(str, range(2, 62, 2))),
    "primes": "2 3 5 7 11 13 17 19 23 29 31 37 41 43 47 53 59 61",
    "bytes": ", ".join(f"0x{number:02x}" for number in range(40)),
    "number words": "'zero': 0, 'one': 1, 'two': 2, 'three': 3, 'four': 4, 'five': 5, 'six': 6, 'seven': 7, 'eight': 8",
    "months": "January February March April May June July August September October November December",
    "one word": " ".join(f"case {number}: return {number + 1}" for number in range(20)),
}


@pytest.mark.parametrize("name", LISTS)
def test_an_enumeration_is_no_item_s_text(name):
    item = f"def listed_values(argument):\n    return [{LISTS[name]}]\n# the end of a longer task with its own words"
    assert build_index([("set", "item", LISTS[name])]).find(LISTS[name]) == []
    index = build_index([("set", "item", item)])
    assert index.find(f"X = [{LISTS[name]}]") == [] and index.find(item) != []


@pytest.mark.parametrize("name", LISTS)
def test_an_enumeration_is_not_in_the_public_index(name):
    assert open_index(()).find(f"// part of a longer file\nstatic const int values[] = {{{LISTS[name]}}};\n") == []


def stage_reason(stage: ContaminationStage, text: str) -> str | None:
    row = Row(SourceRef("in.parquet", 0, 0), text, "", "")
    rejection = stage.examine(row).rejection
    return rejection and rejection.reason


def test_all_n_grams_of_a_short_item_are_enough_and_one_of_a_long_one_is_not(tmp_path):
    texts = {"short": " ".join(WORDS[20:29]), "long": " ".join(WORDS[:20])}
    pq.write_table(pa.table({"id": list(texts), "text": list(texts.values())}), tmp_path / "own.parquet")
    stage = ContaminationStage(folders=(str(tmp_path),))
    assert stage_reason(stage, f"x = 1\n{texts['short']}") == "holds_a_benchmark_item"
    assert stage_reason(stage, " ".join(WORDS[20:28])) is None
    assert stage_reason(stage, " ".join(WORDS[:13])) is None
    assert stage_reason(stage, " ".join(WORDS[:14])) == "holds_a_benchmark_item"


UNREADABLE = {
    "no such folder": (None, "expected a folder with files"),
    "no Parquet file": ({}, "expected a folder with files"),
    "another file by that name": ({"own": b"PAR1 but no more"}, "own.parquet: "),
    "no text": ({"own": {"prompt": ["x"]}}, "expected a column text, its columns are prompt"),
    "a public set in another layout": ({"mbpp": {"text": ["x"], "code": ["x"]}}, "expected a column solution"),
    "texts that are lists": ({"own": {"text": [["x"]]}}, "own.parquet: "),
    "texts that are no UTF-8": ({"own": {"text": [b"\xff"]}}, "own.parquet: "),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_benchmarks_that_can_not_be_searched_for_are_refused(tmp_path: Path, name: str):
    files, message = UNREADABLE[name]
    for stem, content in (files or {}).items():
        path = tmp_path / f"{stem}.parquet"
        path.write_bytes(content) if isinstance(content, bytes) else pq.write_table(pa.table(content), path)
    with pytest.raises(ConfigError, match=message) as caught:
        ContaminationStage(folders=(str(tmp_path if files is not None else tmp_path / "gone"),)).open()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", [pa.string(), pa.large_string(), pa.binary(), pa.dictionary(pa.int8(), pa.string())])
def test_a_users_texts_are_read_whatever_the_columns_type(tmp_path: Path, text: pa.DataType):
    words = " ".join(WORDS[:14])
    pq.write_table(pa.table({"text": pa.array([words, None], pa.string()).cast(text)}), tmp_path / "own.parquet")
    stage = ContaminationStage(folders=(str(tmp_path),))
    found = stage.examine(Row(SourceRef("in.parquet", 0, 0), f"x {words} x", "", "")).columns["contamination"]
    assert [(one["benchmark"], one["item"], one["num_ngrams"]) for one in found] == [("own", "0", 3)]
