"""Every damaged checkpoint is refused in one line, soon and in little memory, or loads exactly as the good one.

One process loads them all, so that each costs milliseconds; it may take little more memory than it began with, and one
that hangs or dies is replaced by the next.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import orbax.checkpoint as ocp
import pytest
from safetensors.numpy import load_file, save_file

import model
from model import Gemma
from tests.model.checkpoint.damages import gguf as gguf_damages
from tests.model.checkpoint.damages import huggingface, keras, npz, orbax, vocabulary
from tests.model.checkpoint.damages.kinds import Damage
from tests.model.checkpoint.written import TINY, kaggle_tree, random_weights, write_gguf, write_keras

ROOT = Path(__file__).parents[3]

ALL: list[Damage] = [
    *huggingface.DAMAGES,
    *gguf_damages.DAMAGES,
    *keras.DAMAGES,
    *orbax.DAMAGES,
    *npz.DAMAGES,
    *vocabulary.DAMAGES,
]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for each format, all with the same weights."""
    root = tmp_path_factory.mktemp("good")
    weights = random_weights(TINY)
    for name in ("gguf", "keras", "keras_several", "npz", "npz_deflated", "vocabulary", "ocdbt", "zarr", "sharded"):
        (root / name).mkdir()
    model.save(Gemma(TINY, weights=weights), root / "huggingface")
    _split(root / "huggingface", root / "sharded")
    write_gguf(root / "gguf" / "tiny.gguf", weights, TINY, gguf.GGMLQuantizationType.F32)
    write_keras(root / "keras" / "model.weights.h5", weights, TINY)
    _write_keras_twice(root / "keras_several", weights)
    for name in ("ocdbt", "zarr"):
        saver = ocp.PyTreeCheckpointer(use_ocdbt=name == "ocdbt")
        saver.save(root / name / "2b", kaggle_tree(TINY, weights))
    flat = {
        f"{at}/{name}": array for at, arrays in kaggle_tree(TINY, weights).items() for name, array in arrays.items()
    }
    flat = {name.removeprefix("transformer/"): array for name, array in flat.items()}
    np.savez(root / "npz" / "tiny.npz", **flat)
    np.savez_compressed(root / "npz_deflated" / "tiny.npz", **flat)
    shutil.copy(ROOT / "model" / "embedded" / "tokenizer.model", root / "vocabulary")
    return root


def _split(whole: Path, folder: Path) -> None:
    tensors = load_file(whole / "model.safetensors")
    homes = {
        name: f"model-0000{1 + number * 3 // len(tensors)}-of-00003.safetensors" for number, name in enumerate(tensors)
    }
    for file in set(homes.values()):
        save_file({name: tensors[name] for name in tensors if homes[name] == file}, folder / file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": homes}))
    shutil.copy(whole / "config.json", folder)


def _write_keras_twice(folder: Path, weights: Any) -> None:
    is_first = lambda name: "decoder_block_1" in name
    write_keras(folder / "model_00000.weights.h5", weights, TINY, keep=is_first)
    write_keras(folder / "model_00001.weights.h5", weights, TINY, keep=lambda name: not is_first(name))
    homes = {"/layers/a/vars": "model_00000.weights.h5", "/layers/b/vars": ["model_00001.weights.h5"]}
    (folder / "model.weights.json").write_text(json.dumps({"weight_map": homes}))


@pytest.mark.parametrize("damage", ALL, ids=[f"{damage.base}: {damage.name}" for damage in ALL])
def test_a_damaged_checkpoint_is_refused_in_one_line_or_loads_exactly(good, loader, tmp_path, damage):
    folder = tmp_path / "model"
    shutil.copytree(good / damage.base, folder)
    damage.apply(folder)
    is_vocabulary = damage.base == "vocabulary"
    answer = loader.load(folder / damage.target if damage.target else folder, is_vocabulary=is_vocabulary)
    assert "fault" not in answer, answer["fault"]
    if damage.message is None:
        assert answer == loader.load(good / damage.base, is_vocabulary=is_vocabulary)
        assert "loaded" in answer
        return
    line = answer.get("refused", "it was loaded")
    assert "\n" not in line and len(line) < 1200
    assert str(folder) in line, line
    assert re.search(damage.message, line), line


def test_the_set_of_damages_is_large_and_each_has_a_name_of_its_own():
    names = [(damage.base, damage.name) for damage in ALL]
    assert len(names) == len(set(names)) >= 120
