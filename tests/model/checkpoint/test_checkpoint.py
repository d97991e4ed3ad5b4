"""Checkpoints come back bit for bit, and what is off with one is said in one line before weights are read."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import fsspec
import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import model
import model.checkpoint
from model import Gemma, GemmaConfig
from model.checkpoint import detection, stored
from model.errors import ConfigError
from model.gemma import weight_shapes
from model.layers import GemmaWeights
from tests.model.checkpoint.peaks import measure_loading

ROOT = Path(__file__).parents[3]
TINY = GemmaConfig(num_layers=2, d_model=8, d_ff=24, num_heads=4, num_kv_heads=1, head_dim=4, vocab_size=40)


def random_gemma(config: GemmaConfig = TINY, seed: int = 0) -> Gemma:
    rng = np.random.default_rng(seed)
    draw = lambda shape: jnp.asarray(rng.standard_normal(shape.shape), jnp.float32)
    return Gemma(config, weights=jax.tree.map(draw, weight_shapes(config)))


def flat(gemma: Gemma, prefix: str = "") -> dict[str, np.ndarray]:
    """The weights in DeepMind's layout."""
    config, weights = gemma.config, jax.tree.map(np.asarray, gemma.arrays())
    heads_in = lambda w, heads: w.reshape(heads, config.head_dim, config.d_model).transpose(0, 2, 1)
    arrays = {"embedder/input_embedding": weights.embedding, "final_norm/scale": weights.final_norm}
    for i, block in enumerate(weights.blocks):
        q, k, v = (heads_in(w, -1) for w in (block.q_proj, block.k_proj, block.v_proj))
        if config.num_heads == config.num_kv_heads:
            arrays[f"layer_{i}/attn/qkv_einsum/w"] = np.stack([q, k, v])
        else:
            arrays[f"layer_{i}/attn/q_einsum/w"] = q
            arrays[f"layer_{i}/attn/kv_einsum/w"] = np.stack([k, v])
        arrays[f"layer_{i}/attn/attn_vec_einsum/w"] = block.o_proj.T.reshape(-1, config.head_dim, config.d_model)
        arrays[f"layer_{i}/mlp/gating_einsum"] = np.stack([block.gate_proj.T, block.up_proj.T])
        arrays[f"layer_{i}/mlp/linear"] = block.down_proj.T
        arrays[f"layer_{i}/pre_attention_norm/scale"] = block.pre_attention_norm
        arrays[f"layer_{i}/pre_ffw_norm/scale"] = block.pre_mlp_norm
    return {prefix + name: np.ascontiguousarray(array) for name, array in arrays.items()}


def assert_same(one: GemmaWeights, other: GemmaWeights) -> None:
    jax.tree.map(np.testing.assert_array_equal, one, other)


@pytest.fixture
def saved(tmp_path) -> Path:
    model.save(random_gemma(), tmp_path / "tiny")
    return tmp_path / "tiny"


def test_a_saved_model_comes_back_bit_for_bit(saved):
    gemma = model.load(saved, dtype=jnp.float32)
    assert gemma.config == TINY
    assert_same(gemma.arrays(), random_gemma().arrays())
    assert sorted(path.name for path in saved.iterdir()) == ["config.json", "model.safetensors"]


def test_the_scanned_layout_holds_and_saves_the_same_weights(saved, tmp_path):
    scanned = model.load(saved, dtype=jnp.float32, layout="scanned")
    assert scanned.arrays().blocks.gate_proj.shape == (2, 24, 8)
    model.save(scanned, tmp_path / "again")
    assert_same(model.load(tmp_path / "again", dtype=jnp.float32).arrays(), random_gemma().arrays())


def test_a_model_split_over_files_comes_back_bit_for_bit(tmp_path, monkeypatch):
    monkeypatch.setattr(model.checkpoint, "_SHARD_BYTES", 2000)
    model.save(random_gemma(), tmp_path)
    files = sorted(tmp_path.glob("*.safetensors"))
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    assert len(files) > 3
    assert index["metadata"]["total_size"] == 4 * TINY.num_parameters
    assert_same(model.load(tmp_path, dtype=jnp.float32).arrays(), random_gemma().arrays())
    files[1].unlink()
    with pytest.raises(ConfigError, match=rf"lacks 1 of the {len(files)} files in its index: {files[1].name}"):
        model.load(tmp_path)


@pytest.mark.parametrize("dtype", [np.float64, np.float16, ml_dtypes.bfloat16], ids=lambda dtype: np.dtype(dtype).name)
def test_weights_stored_in_another_type_load_in_the_wanted_one(saved, dtype):
    tensors = {name: array.astype(dtype) for name, array in load_file(saved / "model.safetensors").items()}
    save_file(tensors, saved / "model.safetensors")
    expected = tensors["model.layers.1.mlp.up_proj.weight"]
    for wanted in (jnp.float32, jnp.bfloat16):
        found = model.load(saved, dtype=wanted).arrays().blocks[1].up_proj
        assert found.dtype == wanted
        np.testing.assert_array_equal(found, expected.astype(wanted))


def test_saving_in_bfloat16_halves_the_file(saved, tmp_path):
    model.save(random_gemma(), tmp_path / "half", dtype=jnp.bfloat16)
    assert json.loads((tmp_path / "half" / "config.json").read_text())["torch_dtype"] == "bfloat16"
    sizes = [(folder / "model.safetensors").stat().st_size for folder in (tmp_path / "half", saved)]
    assert sizes[1] - sizes[0] == pytest.approx(2 * TINY.num_parameters, abs=64)  # headers differ a little
    again = model.load(tmp_path / "half", dtype=jnp.float32).arrays()
    np.testing.assert_array_equal(again.embedding, random_gemma().arrays().embedding.astype(jnp.bfloat16))


@pytest.mark.parametrize("num_kv_heads", [1, 2, 4])
@pytest.mark.parametrize("prefix", ["", "transformer/"])
@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
def test_deepminds_layout_holds_the_same_weights(tmp_path, monkeypatch, num_kv_heads, prefix, write):
    monkeypatch.setattr(stored, "BLOCK_BYTES", 256)  # many blocks for each array
    gemma = random_gemma(dataclasses.replace(TINY, num_kv_heads=num_kv_heads))
    write(tmp_path / "tiny.npz", **flat(gemma, prefix))
    for place in (tmp_path, tmp_path / "tiny.npz"):
        loaded = model.load(place, dtype=jnp.float32)
        assert loaded.config == gemma.config
        assert_same(loaded.arrays(), gemma.arrays())


def test_spare_rows_of_the_embedding_are_dropped(tmp_path, saved):
    tensors = load_file(saved / "model.safetensors")
    name = "model.embed_tokens.weight"
    tensors[name] = np.concatenate([tensors[name], np.ones((128, 8), np.float32)])
    save_file(tensors, saved / "model.safetensors")
    for stated in (40, 168):
        config = json.loads((saved / "config.json").read_text()) | {"vocab_size": stated}
        (saved / "config.json").write_text(json.dumps(config))
        vocab_size = model.load(saved).config.vocab_size
        assert vocab_size == stated  # nothing says which 128 rows of a vocabulary that isn't Gemma's are spare
    save_file(tensors | {name: tensors[name][:40]}, saved / "model.safetensors")
    assert model.load(saved).arrays().embedding.shape == (40, 8)
    full = random_gemma(dataclasses.replace(TINY, num_layers=1, vocab_size=256_128))
    np.savez(tmp_path / "full.npz", **flat(full))
    loaded = model.load(tmp_path / "full.npz", dtype=jnp.float32)
    assert loaded.config.vocab_size == 256_000
    np.testing.assert_array_equal(loaded.arrays().embedding, full.arrays().embedding[:256_000])


def test_everything_that_is_off_is_said_in_one_line(saved):
    tensors = load_file(saved / "model.safetensors")
    del tensors["model.norm.weight"]
    tensors |= {f"model.layers.{i}.extra.weight": np.ones(3, np.float32) for i in range(7)}
    tensors["model.layers.0.self_attn.q_proj.weight"] = np.ones((8, 16), np.float32)
    save_file(tensors, saved / "model.safetensors")
    with pytest.raises(ConfigError) as error:
        model.load(saved)
    line = str(error.value)
    assert "\n" not in line
    assert "of 20 tensors 1 missing (model.norm.weight)" in line
    assert "7 unexpected (model.layers.0.extra.weight, " in line
    assert ", and 3 more)" in line
    assert "1 of another shape (model.layers.0.self_attn.q_proj.weight is [8, 16], not [16, 8])" in line


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "gemma3n"}, "states model_type='gemma3n'; supported are Gemma 1 (gemma), Gemma 2"),
        ({"hidden_act": "silu"}, "states hidden_act='silu'"),
        ({"tie_word_embeddings": False}, "states tie_word_embeddings=False"),
        ({"rope_parameters": {"rope_type": "yarn"}}, "states rope_type='yarn'"),
        ({"head_dim": None}, "head_dim is None"),
        ({"num_key_value_heads": 3}, "4 query heads can't share 3 key/value heads"),
        ({"num_hidden_layers": 3}, "9 missing"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_config_that_isnt_this_gemmas_is_refused(saved, change, message):
    config = json.loads((saved / "config.json").read_text()) | change
    (saved / "config.json").write_text(json.dumps(config))
    with pytest.raises(ConfigError, match=re.escape(message)):
        model.load(saved)


def test_a_config_that_lacks_a_shape_names_it(saved):
    config = json.loads((saved / "config.json").read_text())
    del config["intermediate_size"]
    (saved / "config.json").write_text(json.dumps(config))
    with pytest.raises(ConfigError, match=r"config.json doesn't state intermediate_size"):
        model.load(saved)
    (saved / "config.json").write_text("{")
    with pytest.raises(ConfigError, match=r"config.json is no JSON"):
        model.load(saved)
    (saved / "config.json").unlink()
    with pytest.raises(ConfigError, match=r"no config.json"):
        model.load(saved)


def test_a_file_that_is_cut_short_is_refused_at_any_length(saved):
    path = saved / "model.safetensors"
    whole = path.read_bytes()
    for length in (0, 5, 8, 100, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(ConfigError, match="cut short"):
            model.load(saved)
    path.write_bytes(whole[:8] + b"x" * (len(whole) - 8))
    with pytest.raises(ConfigError, match="broken safetensors header"):
        model.load(saved)


def test_a_second_embedding_must_be_the_first(saved):
    tensors = load_file(saved / "model.safetensors")
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].copy()
    save_file(tensors, saved / "model.safetensors")
    assert_same(model.load(saved, dtype=jnp.float32).arrays(), random_gemma().arrays())
    tensors["lm_head.weight"][3, 3] += 1
    save_file(tensors, saved / "model.safetensors")
    with pytest.raises(ConfigError, match=r"lm_head.weight differs from the embedding"):
        model.load(saved)


def test_pickled_arrays_are_never_read(tmp_path):
    arrays = flat(random_gemma())
    np.savez(tmp_path / "bad.npz", **arrays | {"final_norm/scale": np.array([{}, {}], dtype=object)})
    with pytest.raises(ConfigError, match="pickled objects, which are never read"):
        model.load(tmp_path / "bad.npz")


@pytest.mark.parametrize("drop", ["embedder/input_embedding", "layer_1/mlp/linear", "layer_0/attn/kv_einsum/w"])
def test_a_missing_array_of_deepminds_layout_is_named(tmp_path, drop):
    arrays = flat(random_gemma())
    del arrays[drop]
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(ConfigError, match=drop):
        model.load(tmp_path)
    (tmp_path / "bad.npz").write_bytes((tmp_path / "bad.npz").read_bytes()[:-30])
    with pytest.raises(ConfigError, match=r"is no .npz, or is cut short"):
        model.load(tmp_path)


def test_a_path_that_is_no_checkpoint_says_what_was_found_and_what_is_accepted(tmp_path):
    with pytest.raises(ConfigError, match=r"there is no checkpoint at .*absent; accepted: Hugging Face"):
        model.load(tmp_path / "absent")
    with pytest.raises(ConfigError, match="holds no checkpoint, or several: found nothing; accepted: "):
        model.load(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x02")
    with pytest.raises(ConfigError, match=r"holds no checkpoint, or several: found pytorch_model.bin; accepted: "):
        model.load(tmp_path)
    with pytest.raises(ConfigError, match=r"pytorch_model.bin is no checkpoint that is known by its name; accepted"):
        model.load(tmp_path / "pytorch_model.bin")
    with pytest.raises(ConfigError, match="layout='stacked'"):
        model.load(tmp_path, layout="stacked")


def test_a_hash_tells_models_apart_by_content_and_not_by_place(saved, tmp_path, monkeypatch):
    shutil.copytree(saved, tmp_path / "copy")
    (tmp_path / "copy" / "README.md").write_text("a card is not the model")
    assert model.checkpoint_hash(saved) == model.checkpoint_hash(tmp_path / "copy")
    model.save(random_gemma(seed=1), tmp_path / "copy")
    monkeypatch.setattr(detection, "_WHOLE_BYTES", 100)
    monkeypatch.setattr(detection, "_SAMPLE_BYTES", 16)
    hashes = {model.checkpoint_hash(place) for place in (saved, tmp_path / "copy", saved / "model.safetensors")}
    assert len(hashes) == 3
    with pytest.raises(ConfigError, match="there is no checkpoint"):
        model.checkpoint_hash(tmp_path / "absent")


def test_a_bucket_works_as_a_folder_does(saved):
    place = "memory://models/tiny"
    model.save(random_gemma(), place)
    assert_same(model.load(place, dtype=jnp.float32).arrays(), random_gemma().arrays())
    assert model.checkpoint_hash(place) == model.checkpoint_hash(saved)
    np.savez(saved / "flat.npz", **flat(random_gemma()))
    fsspec.filesystem("memory").pipe_file("/models/flat.npz", (saved / "flat.npz").read_bytes())
    assert_same(model.load("memory://models/flat.npz", dtype=jnp.float32).arrays(), random_gemma().arrays())


def test_a_driver_checks_and_hashes_a_model_without_starting_jax(saved):
    program = (
        "import sys, model.checkpoint as c; print(c.read_config(sys.argv[1]).d_ff, c.checkpoint_hash(sys.argv[1]))\n"
    )
    program += "assert not {'jax', 'flax'} & sys.modules.keys()"
    done = subprocess.run(
        [sys.executable, "-c", program, str(saved)], check=True, cwd=ROOT, capture_output=True, text=True
    )
    assert done.stdout.split() == ["24", model.checkpoint_hash(saved)]


def test_loading_holds_the_result_and_little_more_than_its_largest_tensor(tmp_path):
    """Stored in bfloat16, wanted in float32: the process's own peak, in a process of its own."""
    config = GemmaConfig(
        num_layers=1, d_model=256, d_ff=512, num_heads=2, num_kv_heads=1, head_dim=64, vocab_size=200_000
    )
    shapes = weight_shapes(config)
    model.save(Gemma(config, weights=jax.tree.map(lambda s: np.ones(s.shape, ml_dtypes.bfloat16), shapes)), tmp_path)
    grown, result, largest = measure_loading(tmp_path, "float32")
    assert result > 200e6
    assert grown <= result + 1.2 * largest, (grown, result, largest)


def test_the_embedded_model_loads_by_name():
    if not (ROOT / "model" / "embedded" / "config.json").exists():
        pytest.skip("model/embedded holds no model yet")
    gemma, tokenizer = model.load("embedded"), model.Tokenizer.load("embedded")
    assert gemma.config.vocab_size >= tokenizer.vocab_size
    assert gemma(jnp.array([[tokenizer.bos, *tokenizer.encode("import ")]])).shape[-1] == gemma.config.vocab_size
