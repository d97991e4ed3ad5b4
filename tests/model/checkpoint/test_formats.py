"""Small checkpoints written in each published layout, by each format's own writer, load as the same weights."""

from __future__ import annotations

import dataclasses
import json

import gguf
import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import orbax.checkpoint as ocp
import pytest
import tensorstore

import model
from model import PRESETS, Gemma
from model.checkpoint import deepmind, gguf_file, huggingface, keras, stored, zarr_chunks
from model.config import _BASE
from model.errors import ConfigError
from model.layers import GemmaWeights
from model.weights import block_weight_names
from tests.model.checkpoint.layouts import LAYOUTS
from tests.model.checkpoint.peaks import measure_loading
from tests.model.checkpoint.written import (
    MHA,
    TINY,
    TINY_2,
    TINY_3,
    kaggle_tree,
    random_weights,
    write_gguf,
    write_keras,
)


def assert_same(loaded: Gemma, weights: GemmaWeights, **tolerance: float) -> None:
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **{"rtol": 0, **tolerance}), loaded.arrays(), weights)


@pytest.mark.parametrize("config", [TINY, MHA], ids=["mqa", "mha"])
@pytest.mark.parametrize("use_ocdbt", [True, False], ids=["ocdbt", "zarr"])
def test_kaggles_flax_files_hold_the_same_weights(tmp_path, monkeypatch, config, use_ocdbt):
    monkeypatch.setattr(stored, "BLOCK_BYTES", 1024)
    weights = random_weights(config)
    ocp.PyTreeCheckpointer(use_ocdbt=use_ocdbt).save(tmp_path / "2b", kaggle_tree(config, weights))
    for place in (tmp_path, tmp_path / "2b"):  # Kaggle puts tokenizer.model beside the checkpoint's folder
        loaded = model.load(place, dtype=jnp.float32)
        assert loaded.config == config
        assert_same(loaded, weights)


def test_kaggles_flax_files_in_bfloat16_load_as_they_are(tmp_path):
    weights = jax.tree.map(lambda w: w.astype(ml_dtypes.bfloat16), random_weights(TINY))
    ocp.PyTreeCheckpointer().save(tmp_path / "2b", kaggle_tree(TINY, weights))
    loaded = model.load(tmp_path, dtype=jnp.bfloat16)
    jax.tree.map(np.testing.assert_array_equal, loaded.arrays(), weights)


def test_an_orbax_checkpoint_of_something_else_is_refused_in_one_line(tmp_path):
    ocp.PyTreeCheckpointer().save(tmp_path / "other", {"encoder": {"kernel": np.ones((2, 2))}})
    with pytest.raises(ConfigError, match="has no embedder/input_embedding; found encoder/kernel"):
        model.load(tmp_path / "other")
    (tmp_path / "other" / "manifest.ocdbt").write_bytes(b"torn")
    with pytest.raises(ConfigError, match=r"can't be read as Kaggle Flax \(Orbax\)") as error:
        model.load(tmp_path / "other")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("config", [TINY, MHA], ids=["mqa", "mha"])
@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16], ids=lambda d: np.dtype(d).name)
def test_keras_weights_hold_the_same_weights(tmp_path, monkeypatch, config, dtype):
    monkeypatch.setattr(stored, "BLOCK_BYTES", 1024)
    weights = jax.tree.map(lambda w: w.astype(dtype).astype(np.float32), random_weights(config))
    write_keras(tmp_path / "model.weights.h5", weights, config, dtype)
    for place in (tmp_path, tmp_path / "model.weights.h5"):
        loaded = model.load(place, dtype=jnp.float32)
        assert loaded.config == config
        assert_same(loaded, weights)


def test_keras_weights_in_several_files_are_read_as_one(tmp_path):
    weights = random_weights(TINY)
    is_first = lambda name: "decoder_block_1" in name
    write_keras(tmp_path / "model_00000.weights.h5", weights, TINY, keep=is_first)
    write_keras(tmp_path / "model_00001.weights.h5", weights, TINY, keep=lambda name: not is_first(name))
    homes = {"/layers/gemma_decoder_block_1/ffw_linear/vars": "model_00000.weights.h5"}
    homes["/layers/reversible_embedding/vars"] = "model_00001.weights.h5"
    (tmp_path / "model.weights.json").write_text(json.dumps({"weight_map": homes}))
    assert_same(model.load(tmp_path, dtype=jnp.float32), weights)


def test_keras_weights_that_are_off_are_refused_in_one_line(tmp_path):
    path = tmp_path / "model.weights.h5"
    write_keras(path, random_weights(TINY), TINY, keep=lambda name: "block_1/gating_ffw_2" not in name)
    with pytest.raises(ConfigError, match=r"of 20 tensors 1 missing \(gemma_decoder_block_1/gating_ffw_2\)"):
        model.load(path)
    write_keras(path, random_weights(TINY), TINY, keep=lambda name: "embedding" not in name)
    with pytest.raises(ConfigError, match="has no reversible_embedding; it must be KerasHub's Gemma"):
        model.load(path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ConfigError, match="is no HDF5 file, or is cut short"):
        model.load(path)


@pytest.mark.parametrize("config", [TINY, MHA], ids=["mqa", "mha"])
@pytest.mark.parametrize(
    ("kind", "relative"), [("F32", 0.0), ("F16", 1e-3), ("BF16", 8e-3), ("Q8_0", 8e-3)], ids=lambda value: str(value)
)
def test_gguf_holds_the_same_weights_to_its_types_precision(tmp_path, monkeypatch, config, kind, relative):
    monkeypatch.setattr(stored, "BLOCK_BYTES", 1024)
    weights = random_weights(config)
    write_gguf(tmp_path / "tiny.gguf", weights, config, gguf.GGMLQuantizationType[kind])
    loaded = model.load(tmp_path, dtype=jnp.float32)
    assert dataclasses.replace(loaded.config, norm_eps=1e-6) == config
    assert loaded.config.norm_eps == pytest.approx(1e-6)
    assert_same(loaded, weights, rtol=relative if kind != "Q8_0" else 0, atol=2e-2 if kind == "Q8_0" else 1e-6)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("config", [TINY_2, TINY_3], ids=["gemma2", "gemma3"])
def test_later_generations_are_read_from_every_layout(tmp_path, monkeypatch, config, layout):
    monkeypatch.setitem(_BASE, "tiny", config)  # what shapes alone can't state is that of a published model
    weights = random_weights(config)
    LAYOUTS[layout](tmp_path, weights, config)
    loaded = model.load(tmp_path, dtype=jnp.float32)
    assert dataclasses.replace(loaded.config, norm_eps=1e-6) == config
    assert_same(loaded, weights, rtol=0, atol=1e-6)


@pytest.mark.parametrize("layout", ["npz", "Keras"])
def test_shapes_of_no_published_model_are_refused_where_nothing_states_the_windows(tmp_path, layout):
    LAYOUTS[layout](tmp_path, random_weights(TINY_3), TINY_3)
    with pytest.raises(ConfigError, match=r"holds a Gemma 3 of num_layers=6.*none of gemma-2-2b.*Hugging Face"):
        model.load(tmp_path)


def test_gguf_of_another_architecture_or_cut_short_is_refused(tmp_path):
    path = tmp_path / "tiny.gguf"
    write_gguf(path, random_weights(TINY), TINY, gguf.GGMLQuantizationType.F32, architecture="llama")
    with pytest.raises(ConfigError, match=r"architecture 'llama'; supported are 'gemma' \(Gemma 1\), 'gemma2'"):
        model.load(path)
    whole = path.read_bytes()
    for length in (3, 40, 3000, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(ConfigError, match=r"is no GGUF file, or is cut short|is cut short: it has"):
            model.load(path)


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("layout", [huggingface, deepmind, keras, gguf_file], ids=lambda module: module.KIND)
def test_every_layout_holds_each_weight_of_every_preset_once_in_its_size(name, layout):
    config = PRESETS[name]
    entries = layout.entries(config)
    paths = [path for entry in entries.values() for path in entry.weights]
    per_block = len(block_weight_names(config))
    assert len(paths) == len(set(paths)) == per_block * config.num_layers + 2
    assert sum(int(np.prod(entry.shape)) for entry in entries.values()) == config.num_parameters


@pytest.mark.parametrize("compressor", [{"id": "zstd", "level": 1}, None], ids=["zstd", "plain"])
@pytest.mark.parametrize("rows", [7, 40], ids=["cut", "whole"])
def test_a_chunk_of_zarr_is_read_as_it_is_decompressed(tmp_path, monkeypatch, compressor, rows):
    """Beside TensorStore's own reading, chunks that don't divide the rows and blocks that don't divide chunks."""
    monkeypatch.setattr(stored, "BLOCK_BYTES", 3 * 6 * 4)
    expected = np.random.default_rng(0).standard_normal((40, 6)).astype(np.float32)
    metadata = {"shape": [40, 6], "chunks": [rows, 6], "dtype": "<f4", "compressor": compressor}
    kvstore = f"file://{tmp_path}/"
    spec = {"driver": "zarr", "kvstore": f"{kvstore}w/", "metadata": metadata}
    array = tensorstore.open(spec, create=True).result()
    array.write(expected).result()
    store = tensorstore.KvStore.open(kvstore).result()
    keys = [key.decode() for key in store.list().result()]
    metadata = array.spec().to_json()["metadata"]
    chunks = zarr_chunks.chunk_keys("w", metadata, keys)
    assert len(chunks) == -(-40 // rows)
    blocks = list(zarr_chunks.row_blocks(store, chunks, metadata, np.dtype(np.float32))())
    assert max(len(block) for block in blocks) == 3
    np.testing.assert_array_equal(np.concatenate(blocks), expected)
    np.testing.assert_array_equal(array.read().result(), expected)
    with pytest.raises(ConfigError, match=r"the store has \d keys|lacks 1 of its"):
        zarr_chunks.chunk_keys("w", metadata, set(keys) - {"w/0.0", "w/.zarray"})
    columns = {**metadata, "chunks": [40, 2]}
    assert zarr_chunks.row_blocks(store, chunks, columns, np.dtype(np.float32)) is None


@pytest.mark.parametrize("damage", [lambda value: value[:-40], lambda value: b"x" * len(value)], ids=["cut", "other"])
def test_a_damaged_chunk_of_zarr_is_refused_in_one_line(tmp_path, damage):
    ocp.PyTreeCheckpointer(use_ocdbt=False).save(tmp_path / "2b", kaggle_tree(TINY, random_weights(TINY)))
    (chunk,) = (tmp_path / "2b").glob("transformer/embedder.input_embedding/0.0")
    chunk.write_bytes(damage(chunk.read_bytes()))
    with pytest.raises(ConfigError, match=r"embedder.input_embedding/0.0 can't be read: ") as error:
        model.load(tmp_path / "2b", dtype=jnp.float32)
    assert "\n" not in str(error.value)


def test_loading_orbax_in_float32_as_bfloat16_holds_the_result_and_little_more(tmp_path):
    """The process's own peak, in a process of its own; the largest tensor counts in its final type."""
    config = dataclasses.replace(TINY, num_layers=1, d_model=256, vocab_size=160_000)
    ocp.PyTreeCheckpointer().save(tmp_path / "2b", kaggle_tree(config, random_weights(config)))
    grown, result, largest = measure_loading(tmp_path, "bfloat16")
    assert largest == config.vocab_size * config.d_model * 2
    assert grown <= result + 1.2 * largest, (grown, result, largest)
