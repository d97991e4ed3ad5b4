from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.errors import ConfigError
from model.tokenizer import Tokenizer
from tests.transforms.fim.documents import read_fim_document
from transforms.fim.training_rows import Example, ExampleRecipe, examples_of, pack, rows_of
from transforms.rows.row import Row, SourceRef, content_sha256

RECIPE = ExampleRecipe(max_tokens=128, min_tokens=64)


def make_row(functions: int = 40, path: str = "pkg/shapes.py") -> Row:
    content = "import math\n\n\n" + "\n\n".join(
        f"def area_{n}(width, height):\n    total = width * height + {n}\n    return math.floor(total)\n"
        for n in range(functions)
    )
    sha256 = content_sha256(content)
    return Row(SourceRef("corpus.parquet", 0, 0), content, sha256, sha256, path=path, language="python")


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.load("embedded")


def test_an_example_reads_back_as_a_run_of_the_file_around_its_hole(tokenizer: Tokenizer):
    row = make_row()
    modes = set()
    for example in examples_of(row, tokenizer, replace(RECIPE, fim_rate=1.0, path_rate=0.0), seed=3):
        assert example.ids[0] == tokenizer.bos and example.ids[-1] == tokenizer.file_separator
        assert len(example.ids) <= RECIPE.max_tokens
        parts = read_fim_document(tokenizer, example.ids[1:-1])
        assert tokenizer.decode(parts.prefix + parts.middle + parts.suffix) in row.content
        assert example.weighted_from == len(example.ids) - len(parts.middle) - 1
        modes.add(parts.mode)
    assert modes == {"psm", "spm"}


def test_the_path_stands_first_as_often_as_asked(tokenizer: Tokenizer):
    path = tokenizer.encode("pkg/shapes.py\n")
    for share in (0.0, 1.0):
        found = examples_of(make_row(), tokenizer, replace(RECIPE, fim_rate=1.0, path_rate=share), seed=0)
        assert found
        assert all((example.ids[1 : 1 + len(path)] == path) == bool(share) for example in found)


def test_plain_examples_are_whole_lines_from_left_to_right(tokenizer: Tokenizer):
    row = make_row()
    for example in examples_of(row, tokenizer, replace(RECIPE, fim_rate=0.0), seed=0):
        text = tokenizer.decode(example.ids)
        assert text in row.content
        assert row.content.startswith(text) or f"\n{text}" in row.content
        assert example.weighted_from == len(example.ids)  # nothing in it weighs as a middle


def test_examples_depend_on_seed_epoch_and_content_alone(tokenizer: Tokenizer):
    row = make_row()
    first = examples_of(row, tokenizer, RECIPE, seed=0, epoch=0)
    assert first == examples_of(replace(row, source=SourceRef("other", 3, 9)), tokenizer, RECIPE, seed=0, epoch=0)
    assert first != examples_of(row, tokenizer, RECIPE, seed=0, epoch=1)
    assert first != examples_of(row, tokenizer, RECIPE, seed=1, epoch=0)


def test_long_files_give_more_examples_than_short_ones(tokenizer: Tokenizer):
    short, long = (len(examples_of(make_row(functions), tokenizer, RECIPE, seed=0)) for functions in (3, 200))
    assert short == 1 < long


examples = st.lists(
    st.integers(2, 32).flatmap(lambda length: st.tuples(st.just(length), st.integers(1, length), st.integers(4, 1000))),
    max_size=300,
).map(lambda found: [Example(list(range(start, start + n)), weighted) for n, weighted, start in found])


@given(examples)
@settings(max_examples=60, deadline=None)
def test_packing_keeps_every_example_whole_and_once(given_examples: list[Example]):
    unpacked = []
    for row in pack(given_examples, 32, pad=0, middle_weight=3.0):
        assert len(row.tokens) == len(row.segment_ids) == len(row.loss_weights) == 32
        for segment in range(1, max(row.segment_ids) + 1):
            places = [index for index, one in enumerate(row.segment_ids) if one == segment]
            assert places == list(range(places[0], places[-1] + 1))
            weights = [row.loss_weights[index] for index in places]
            assert weights[0] == 0.0
            ids = tuple(row.tokens[index] for index in places)
            unpacked.append((ids, sum(weight == 3.0 for weight in weights[1:])))
        padding = [index for index, one in enumerate(row.segment_ids) if one == 0]
        assert all(row.tokens[index] == 0 and row.loss_weights[index] == 0.0 for index in padding)
    expected = [(tuple(one.ids), len(one.ids) - max(one.weighted_from, 1)) for one in given_examples]
    assert sorted(unpacked) == sorted(expected)


def test_rows_are_nearly_full(tokenizer: Tokenizer):
    files = [make_row(functions) for functions in range(20, 100)]
    rows = list(rows_of(files, tokenizer, RECIPE, length=512, seed=0, epoch=0))
    filled = sum(1 for row in rows[:-1] for segment in row.segment_ids if segment)
    assert filled > 0.95 * 512 * (len(rows) - 1)


def test_an_example_longer_than_a_row_is_refused():
    with pytest.raises(ValueError, match="40 tokens, more than the row's 32"):
        list(pack([Example(list(range(40)), 1)], 32, pad=0))


def test_a_recipe_out_of_range_is_refused_with_its_limits():
    with pytest.raises(ConfigError, match="min_tokens <= max_tokens"):
        ExampleRecipe(max_tokens=64, min_tokens=128)
    with pytest.raises(ConfigError, match=r"fim_rate is 1\.5"):
        ExampleRecipe(max_tokens=64, min_tokens=64, fim_rate=1.5)
