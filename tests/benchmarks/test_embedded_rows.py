"""The rows that are cut ahead for an accelerator, and the way from packages to card."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.embedded import compare, gpu, rows
from jobs.training.data import CorpusSource, read_files
from jobs.training.packed import PackedSource, open_packed
from model.config import GemmaConfig
from model.tokenizer import Tokenizer
from transforms.fim.training_rows import ExampleRecipe

TOKENIZER = Path(__file__).parents[2] / "model" / "embedded" / "tokenizer.model"
LENGTH = 128


def corpus(folder: Path) -> Path:
    """A few functions, none like another."""

    def function(i: int, j: int) -> str:
        lines = [f"def total_{i}_{j}(rows, start={j}):", "    total = 0", "    for row in rows[start:]:"]
        lines += [f"        if row > {i}:", f"            total += row * {j}", f"    return total + {i * j}"]
        return "\n".join(lines) + "\n\n\n"

    texts = ["".join(function(i, j) for j in range(10)) for i in range(6)]
    columns = {
        "content": texts,
        "path": [f"pack_{i}/a.py" for i in range(6)],
        "repo_name": [f"pack_{i}" for i in range(6)],
    }
    pq.write_table(pa.table(columns), path := folder / "train.parquet")
    return path


def test_rows_cut_ahead_are_those_that_train_cuts_from_the_corpus(tmp_path: Path):
    source, output = corpus(tmp_path), tmp_path / "rows"
    output.mkdir()
    options = argparse.Namespace(
        corpus=source, tokenizer=TOKENIZER, output=output, length=LENGTH, min_tokens=64, path_rate=0.2, seed=3
    )
    rows.write_epoch(1, options)
    tokenizer = Tokenizer.load(str(TOKENIZER))
    groups = open_packed([str(output)], tokenizer, LENGTH)
    assert groups is not None
    recipe = ExampleRecipe(max_tokens=LENGTH, min_tokens=64, path_rate=0.2, middle_weight=4.0)
    cut = CorpusSource(read_files([str(source)]), tokenizer, recipe, length=LENGTH, seed=3)

    def sortable(source):
        return sorted(tuple(np.concatenate([np.asarray(part, float) for part in row])) for row in source)

    packed = PackedSource(groups, LENGTH, tokenizer.pad, 4.0, 0)
    assert sortable(packed.rows(0, 0)) == sortable(cut.rows(1, 0))


def test_an_epoch_that_is_there_is_kept(tmp_path: Path):
    options = argparse.Namespace(output=tmp_path)
    (tmp_path / "epoch-002.parquet").write_bytes(b"done")
    assert rows.write_epoch(2, options).read_bytes() == b"done"


def test_the_shapes_for_an_accelerator_have_8_to_10_million_parameters_in_20_megabytes():
    config = GemmaConfig(vocab_size=Tokenizer.load(str(TOKENIZER)).vocab_size, **gpu.SHAPES)
    assert 8e6 <= config.num_parameters <= 10e6
    assert 2 * config.num_parameters < 20e6


@pytest.mark.slow
def test_the_way_from_a_corpus_to_a_card_runs_on_a_cpu_and_goes_on_where_it_was(tmp_path: Path, capfd):
    folder, output = tmp_path / "corpus", tmp_path / "out"
    folder.mkdir()
    held_out = corpus(folder).rename(folder / "held_out.parquet")
    (folder / "train.parquet").write_bytes(held_out.read_bytes())
    entry = '{"name": "a", "version": "1", "licence": "MIT", "files": 6, "bytes": 9, "split": '
    packages = f'{{"packages": [{entry}"train"}}, {entry}"held_out"}}], "dropped": {{}}}}'
    (folder / "packages.json").write_text(packages)
    own = ["--output", str(output), "--corpus", str(folder), "--epochs", "2", "--tiny"]
    gpu.main([*own, "--until", "rows"])
    assert sorted(path.name for path in (output / "rows" / "train").iterdir()) == [
        "epoch-000.parquet",
        "epoch-001.parquet",
    ]
    gpu.main([*own, "--minutes", "0"])
    assert not (output / "model").exists() and "goes on" in capfd.readouterr().err
    gpu.main(own)
    assert "bits per byte" in (output / "model" / "README.md").read_text()
    assert (output / "model" / "model.safetensors").stat().st_size < 2_000_000


def test_models_are_compared_on_the_same_holes_alone():
    before = [["a", 1, 1], ["a", 0, 1], ["b", 0, 1], ["c", 1, 1]]
    after = [["a", 1, 1], ["a", 1, 1], ["b", 0, 1], ["c", 1, 1]]
    middle, low, high = compare.difference(before, after)
    assert middle == 0.25 and low == 0.0 and high == 0.5
    with pytest.raises(ValueError, match="other holes"):
        compare.difference(before, after[::-1])
