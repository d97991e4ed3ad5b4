from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.filters.benchmarks import Program
from transforms.filters.contamination import ContaminationStage
from transforms.filters.renamed import RenamedIndex, build_renamed, is_renamed, load_renamed, merge_renamed
from transforms.filters.structure import structure_batches, token_offset
from transforms.languages.lookup import find_language
from transforms.rows.row import Row, SourceRef
from transforms.scanning.lexical import text_spans

SOLUTION = '''def longest_run(values, limit):
    """How long the longest run of values below the limit is."""
    best = current = 0  # both in values
    for value in values:
        if value < limit:
            current += 1
            best = max(best, current)
        else:
            current = 0
    return best
'''
RENAMED = """def f(a, b):
    c = d = 0
    for e in a:
        if e < b:
            d += 1
            c = max(c, d)
        else:
            d = 0
    return c
"""
JAVA = "int total(int[] values) { int sum = 0; for (int v : values) { if (v > 3) { sum += v * v; } } return sum; }"
INDEX = build_renamed([Program("set", "task/1", SOLUTION, "Python")])
BEFORE = "import os\n\nbest = [value for value in os.environ]\n\n\n"
AFTER = "\n\ndef value(current):\n    return current.best(values)\n"


def items_in(text: str, language: str = "python", index: RenamedIndex = INDEX) -> list[str]:
    return [found.item for found in index.find_all([text], [language])[0]]


def hashes_of(text: str, language: str = "python") -> list[int]:
    found = find_language(language)
    assert found is not None
    return next(structure_batches([text], found)).hashes.tolist()


REASON = "holds_a_benchmark_item"
COPIES = {
    "the text itself": SOLUTION,
    "other names, without comments": RENAMED,
    "other names, amid other code that has the same names": BEFORE + RENAMED + AFTER,
    "indented, in a class": "class A:\n" + "".join(f"    {line}\n" for line in RENAMED.splitlines()),
    "with other layout": RENAMED.replace("c = d = 0", "c = \\\n        d = 0").replace("(c, d)", "(\n  c,\n  d)"),
    "another docstring": RENAMED.replace("    c = d = 0", '    """Something else: (a) b."""\n    c = d = 0'),
    "comments that hold code": RENAMED.replace("d += 1", "d += 1  # for x in range(3): y = 'z"),
}


@pytest.mark.parametrize("name", COPIES)
def test_a_copy_with_other_names_comments_and_layout_is_found(name):
    assert items_in(COPIES[name]) == ["task/1#renamed"]


@pytest.mark.parametrize("name", ["func", "fn", "fun", "function"])
def test_a_word_that_begins_a_function_elsewhere_is_a_name_like_any(name):
    assert items_in(RENAMED.replace("d", name).replace(f"{name}ef", "def")) == ["task/1#renamed"]


@pytest.mark.parametrize("before", ["", "x.", "x = 1.\n"])
def test_a_text_has_the_same_tokens_whatever_text_is_before_it(before):
    python = find_language("python")
    assert python is not None
    batch = next(structure_batches([before, "x = 1"], python))
    assert batch.hashes[batch.bounds[1] :].tolist() == hashes_of("x = 1")


@given(st.text("a=1.\n #'\"\\;é", max_size=60))
def test_each_token_begins_where_the_text_has_it(text):
    python = find_language("python")
    assert python is not None
    offsets = [token_offset(text, python, number) for number in range(len(hashes_of(text)))]
    assert offsets == sorted(set(offsets))
    assert all(chr(text.encode()[offset]) not in " \n#;\\'\"" for offset in offsets)
    with pytest.raises(IndexError):
        token_offset(text, python, len(offsets))


@given(st.text("a1=.\n #'\"\\;é-/*`", max_size=60), st.sampled_from(["python", "java"]))
def test_words_are_the_same_whether_a_text_is_hashed_whole_or_without_strings_and_comments(text, language):
    found = find_language(language)
    data = text.encode()
    spans = text_spans(data, found)
    between = [data[end:start] for (_, end), (start, _) in itertools.pairwise([(0, 0), *spans, (len(data), 0)])]
    assert hashes_of(text, language) == hashes_of(" ".join(piece.decode() for piece in between), language)


OTHERS = {
    "two names where there was one": RENAMED.replace("d = 0\n    return", "x = 0\n    return"),
    "one name where there were two": RENAMED.replace("if e < b", "if e < a"),
    "another operator": RENAMED.replace("e < b", "e > b"),
    "another number": RENAMED.replace("+= 1", "+= 2"),
    "another built-in function": RENAMED.replace("max", "min"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_another_program_is_not(name):
    assert items_in(OTHERS[name]) == []


def test_a_text_in_another_language_is_not_searched():
    assert items_in(RENAMED, "ruby") == items_in(RENAMED, "") == items_in(RENAMED, "no such language") == []


def test_solutions_in_other_languages_are_found_in_theirs():
    index = build_renamed([Program("set", "task/2", JAVA, "Java")])
    copy = (
        JAVA.replace("values", "xs").replace("sum", "acc").replace("v ", "q ").replace("v)", "q)").replace("v;", "q;")
    )
    assert items_in(f"class A {{\n    static {copy}\n}}", "java", index) == ["task/2#renamed"]
    assert items_in(copy.replace("> 3", "> 4"), "java", index) == []


def test_a_solution_that_is_cut_in_two_texts_is_in_neither():
    lines = RENAMED.splitlines(keepends=True)
    texts = ["".join(lines[:5]), "".join(lines[5:])]
    assert INDEX.find_all(texts, ["python"] * 2) == [[], []]
    assert [len(found) for found in INDEX.find_all(["", RENAMED, ""], ["python"] * 3)] == [0, 1, 0]


def test_one_solution_of_two_is_told_where_it_begins():
    found = INDEX.find_all(["", "# Ünicode first\nx = 1\n" + RENAMED], ["python"] * 2)[1]
    assert [(one.benchmark, one.item, one.first_token) for one in found] == [("set", "task/1#renamed", 4)]


def test_a_short_solution_is_no_item_and_neither_is_what_three_items_share():
    short = "def f(a):\n    return a + 1\n"
    assert items_in(short, index=build_renamed([Program("s", "1", short, "Python")])) == []
    shared = build_renamed([Program("s", str(number), SOLUTION, "Python") for number in range(3)])
    assert items_in(SOLUTION, index=shared) == []


def test_splits_of_one_problem_are_one_item():
    index = build_renamed([Program("s", f"1#{number}", SOLUTION, "Python") for number in range(3)])
    assert items_in(RENAMED, index=index) == ["1#renamed"]


def test_what_stands_in_the_background_is_idiom():
    programs = [Program("s", "1", SOLUTION, "Python")]
    assert items_in(RENAMED, index=build_renamed(programs, [(BEFORE + RENAMED, "Python")])) == []
    assert items_in(RENAMED, index=build_renamed(programs, [(BEFORE, "Python"), (RENAMED, "Ruby")])) != []


def test_a_solution_is_found_as_the_tree_is_written_and_without_annotations():
    typed = SOLUTION.replace("values, limit)", "values: list[int], limit: int = (3)) -> int")
    index = build_renamed([Program("s", "1", typed, "Python")])
    for text in (typed, typed.replace("(3)", "3"), RENAMED.replace("b)", "b=3)")):
        assert items_in(text, index=index) == ["1#renamed"], text


NAMES = st.from_regex(r"[a-z_][a-z0-9_]{0,6}", fullmatch=True).filter(
    lambda name: name != "other" and hashes_of(name) == hashes_of("unusual_name")  # no keyword, no built-in
)


@given(st.lists(NAMES, min_size=3, max_size=3, unique=True), st.lists(st.integers(0, 2), max_size=100))
def test_names_replaced_one_to_one_change_nothing(names, uses):
    text = " ".join(("first", "second", "third")[use] for use in uses)
    assert hashes_of(f"{text} other") == hashes_of(" ".join(names[use] for use in uses) + "\n  other")


def test_an_index_is_the_same_after_it_was_written_and_merged(tmp_path):
    path = tmp_path / "index.npz"
    np.savez_compressed(path, **INDEX.arrays())
    assert items_in(RENAMED, index=load_renamed(path)) == ["task/1#renamed"]
    other = build_renamed([Program("other", "2", JAVA, "Java")])
    for merged in (merge_renamed(INDEX, other), merge_renamed(other, load_renamed(path), RenamedIndex({}, ()))):
        assert items_in(RENAMED, index=merged) == ["task/1#renamed"]
        assert items_in(JAVA, "java", merged) == ["2#renamed"]
    np.savez_compressed(path, items=np.array(["a\tb"]))
    assert load_renamed(path).items == ()


def row(text: str, language: str = "python", path: str = "") -> Row:
    return Row(SourceRef("in.parquet", 0, 0), text, "", "", language=language, path=path)


def test_a_users_own_benchmark_is_found_renamed_and_the_row_says_so(tmp_path: Path):
    pq.write_table(pa.table({"id": ["1", "2"], "text": [SOLUTION, "no program"]}), tmp_path / "own.parquet")
    stage = ContaminationStage(folders=(str(tmp_path),))
    results = stage.examine_all([row(RENAMED), row(BEFORE + AFTER), row(SOLUTION)])
    assert [result.rejection and result.rejection.reason for result in results] == [REASON, None, REASON]
    assert results[0].rejection is not None and results[0].rejection.detail.startswith("own 1#renamed: ")
    assert [one["item"] for one in results[0].columns["contamination"]] == ["1#renamed"]
    # Word by word: the finding that is surer is told, and once.
    assert [one["item"] for one in results[2].columns["contamination"]] == ["1"]


def test_a_language_column_says_what_the_texts_are_written_in(tmp_path: Path):
    table = pa.table({"id": ["1", "2"], "text": [JAVA, SOLUTION], "language": ["java", None]})
    pq.write_table(table, tmp_path / "own.parquet")
    stage = ContaminationStage(folders=(str(tmp_path),))
    found = stage.examine_all(
        [row(JAVA.replace("sum", "acc").replace("total", "f").replace("values", "q"), "java"), row(RENAMED)]
    )
    assert [is_reason.rejection is not None for is_reason in found] == [True, False]


@pytest.mark.parametrize("at", [("", "a.py"), ("Python", ""), (" ", "run.py"), ("python", "a.txt")])
def test_a_row_without_a_language_is_searched_in_that_of_its_path(tmp_path: Path, at: tuple[str, str]):
    pq.write_table(pa.table({"text": [SOLUTION]}), tmp_path / "own.parquet")
    assert ContaminationStage(folders=(str(tmp_path),)).examine(row(RENAMED, *at)).rejection is not None


def test_renamed_names_its_findings():
    assert all(is_renamed(found) for found in INDEX.find_all([RENAMED], ["python"])[0])
