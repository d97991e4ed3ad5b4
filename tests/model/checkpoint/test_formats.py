"""Small checkpoints written in each published layout, by each format's own writer, load as the same weights."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import gguf
import h5py
import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import orbax.checkpoint as ocp
import pytest
import tensorstore

import model
from model import PRESETS, Gemma, GemmaConfig
from model.checkpoint import deepmind, gguf_file, huggingface, keras, stored, zarr_chunks
from model.errors import ConfigError
from model.gemma import weight_shapes
from model.layers import BlockWeights, GemmaWeights

ROOT = Path(__file__).parents[3]
TINY = GemmaConfig(num_layers=2, d_model=32, d_ff=64, num_heads=4, num_kv_heads=1, head_dim=8, vocab_size=40)
MHA = dataclasses.replace(TINY, num_kv_heads=4)


def random_weights(config: GemmaConfig) -> GemmaWeights:
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: rng.standard_normal(leaf.shape).astype(np.float32), weight_shapes(config))


def heads_in(w: np.ndarray, config: GemmaConfig) -> np.ndarray:
    return np.ascontiguousarray(w.reshape(-1, config.head_dim, config.d_model).transpose(0, 2, 1))


def assert_same(loaded: Gemma, weights: GemmaWeights, **tolerance: float) -> None:
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **{"rtol": 0, **tolerance}), loaded.arrays(), weights)


def kaggle_tree(config: GemmaConfig, weights: GemmaWeights) -> dict[str, dict[str, np.ndarray]]:
    """As Kaggle's files have it: a key for each module's path, its arrays below."""
    tree = {
        "transformer/embedder": {"input_embedding": weights.embedding},
        "transformer/final_norm": {"scale": weights.final_norm},
    }
    for i, block in enumerate(weights.blocks):
        at = f"transformer/layer_{i}"
        q, k, v = (heads_in(w, config) for w in (block.q_proj, block.k_proj, block.v_proj))
        if config.num_heads == config.num_kv_heads:
            tree[f"{at}/attn/qkv_einsum"] = {"w": np.stack([q, k, v])}
        else:
            tree[f"{at}/attn/q_einsum"] = {"w": q}
            tree[f"{at}/attn/kv_einsum"] = {"w": np.stack([k, v])}
        o = np.ascontiguousarray(block.o_proj.T).reshape(config.num_heads, config.head_dim, config.d_model)
        tree[f"{at}/attn/attn_vec_einsum"] = {"w": o}
        tree[f"{at}/mlp"] = {
            "gating_einsum": np.stack([block.gate_proj.T, block.up_proj.T]),
            "linear": np.ascontiguousarray(block.down_proj.T),
        }
        tree[f"{at}/pre_attention_norm"] = {"scale": block.pre_attention_norm}
        tree[f"{at}/pre_ffw_norm"] = {"scale": block.pre_mlp_norm}
    return tree


def write_keras(path: Path, weights: GemmaWeights, config: GemmaConfig, dtype=np.float32, keep=lambda name: True):
    """The layout that keras_hub 0.32 writes for GemmaBackbone."""
    arrays = {"reversible_embedding": weights.embedding, "rms_normalization": weights.final_norm}
    for i, block in enumerate(weights.blocks):
        at = f"gemma_decoder_block_{i}" if i else "gemma_decoder_block"
        arrays |= {
            f"{at}/attention/query_dense": heads_in(block.q_proj, config),
            f"{at}/attention/key_dense": heads_in(block.k_proj, config),
            f"{at}/attention/value_dense": heads_in(block.v_proj, config),
            f"{at}/attention/output_dense": block.o_proj.T.reshape(-1, config.head_dim, config.d_model),
            f"{at}/gating_ffw": block.gate_proj.T,
            f"{at}/gating_ffw_2": block.up_proj.T,
            f"{at}/ffw_linear": block.down_proj.T,
            f"{at}/pre_attention_norm": block.pre_attention_norm,
            f"{at}/pre_ffw_norm": block.pre_mlp_norm,
        }
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            if keep(name):
                wanted = np.ascontiguousarray(array).astype(dtype)
                opaque = wanted.view("V2") if dtype == ml_dtypes.bfloat16 else wanted
                dataset = file.create_dataset(f"layers/{name}/vars/0", data=opaque)
                if dtype == ml_dtypes.bfloat16:
                    dataset.attrs["dtype"] = "bfloat16"


def write_gguf(path: Path, weights: GemmaWeights, config: GemmaConfig, kind, architecture="gemma") -> None:
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_block_count(config.num_layers)
    writer.add_context_length(config.context_length)
    writer.add_embedding_length(config.d_model)
    writer.add_feed_forward_length(config.d_ff)
    writer.add_head_count(config.num_heads)
    writer.add_head_count_kv(config.num_kv_heads)
    writer.add_key_length(config.head_dim)
    writer.add_layer_norm_rms_eps(config.norm_eps)

    def add(name: str, array: np.ndarray) -> None:
        if array.ndim == 1:
            writer.add_tensor(name, array + 1.0)
        else:
            writer.add_tensor(name, gguf.quantize(array, kind), raw_dtype=kind)

    add("token_embd.weight", weights.embedding)
    add("output_norm.weight", weights.final_norm)
    names = dict(zip("qkvo", ("attn_q", "attn_k", "attn_v", "attn_output"), strict=True))
    for i, block in enumerate(weights.blocks):
        for letter, name in names.items():
            add(f"blk.{i}.{name}.weight", getattr(block, f"{letter}_proj"))
        for part in ("gate", "up", "down"):
            add(f"blk.{i}.ffn_{part}.weight", getattr(block, f"{part}_proj"))
        add(f"blk.{i}.attn_norm.weight", block.pre_attention_norm)
        add(f"blk.{i}.ffn_norm.weight", block.pre_mlp_norm)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


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


def test_gguf_of_another_architecture_or_cut_short_is_refused(tmp_path):
    path = tmp_path / "tiny.gguf"
    write_gguf(path, random_weights(TINY), TINY, gguf.GGMLQuantizationType.F32, architecture="llama")
    with pytest.raises(ConfigError, match="architecture 'llama'; Gemma 1 is 'gemma'"):
        model.load(path)
    whole = path.read_bytes()
    for length in (3, 40, 3000, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(ConfigError, match="is no GGUF file, or is cut short|is cut short: it has"):
            model.load(path)


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("layout", [huggingface, deepmind, keras, gguf_file], ids=lambda module: module.KIND)
def test_every_layout_holds_each_weight_of_every_preset_once_in_its_size(name, layout):
    config = PRESETS[name]
    entries = layout.entries(config)
    paths = [path for entry in entries.values() for path in entry.weights]
    per_block = len(BlockWeights.__dataclass_fields__)
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
    program = """
import resource, sys, jax, jax.numpy as jnp, tensorstore
import model, model.checkpoint.kaggle_flax, model.checkpoint.placement
jax.block_until_ready(jnp.ones(8) + 1)
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
before = peak()
gemma = model.load(sys.argv[1], dtype=jnp.bfloat16)
jax.block_until_ready(gemma.arrays())
sizes = [leaf.nbytes for leaf in jax.tree.leaves(gemma.arrays())]
print(peak() - before, sum(sizes), max(sizes))
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], check=True, cwd=ROOT, capture_output=True, text=True
    )
    grown, result, largest = map(int, done.stdout.split())
    assert largest == config.vocab_size * config.d_model * 2
    assert grown <= result + 1.2 * largest, (grown, result, largest)
