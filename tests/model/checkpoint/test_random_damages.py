"""Random damages of the files that C and C++ parse in the command's own process: refused in one line, or loaded."""

from __future__ import annotations

import ml_dtypes
import pytest

from model.storage import SHIPPED
from tests.model.checkpoint.damages.random_bytes import HDF5, SENTENCEPIECE, damaged, read_fields, write_fields
from tests.model.checkpoint.written import TINY, random_weights, write_keras

VOCABULARY_SEEDS, HDF5_SEEDS = range(25), range(12)
VOCABULARY = (SHIPPED["embedded"] / "tokenizer.model").read_bytes()


@pytest.fixture(scope="module")
def weights_files(tmp_path_factory) -> list[bytes]:
    path = tmp_path_factory.mktemp("good") / "model.weights.h5"
    files = []
    for dtype in ("float32", ml_dtypes.bfloat16):
        write_keras(path, random_weights(TINY), TINY, dtype)
        files.append(path.read_bytes())
    return files


def check(answer: dict[str, str], what: str) -> None:
    assert "fault" not in answer, f"{what}: {answer['fault']}"
    line = answer.get("refused", "")
    assert "\n" not in line and len(line) < 1200


def test_a_vocabulary_that_is_taken_apart_and_put_together_is_the_same():
    assert write_fields(read_fields(VOCABULARY)) == VOCABULARY


@pytest.mark.parametrize("kind", SENTENCEPIECE)
def test_a_vocabulary_in_which_something_is_off_ends_in_one_line(loader, tmp_path, kind):
    path = tmp_path / "tokenizer.model"
    for seed in VOCABULARY_SEEDS:
        path.write_bytes(damaged(VOCABULARY, SENTENCEPIECE[kind], seed))
        check(loader.load(path, is_vocabulary=True), f"seed {seed}")


@pytest.mark.parametrize("kind", HDF5)
def test_an_hdf5_file_in_which_something_is_off_ends_in_one_line(loader, tmp_path, weights_files, kind):
    path = tmp_path / "model.weights.h5"
    for seed in HDF5_SEEDS:
        path.write_bytes(damaged(weights_files[seed % 2], HDF5[kind], seed))
        check(loader.load(path, is_vocabulary=False), f"seed {seed}")
