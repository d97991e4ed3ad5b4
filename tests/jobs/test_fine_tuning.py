"""`codemill train --init_from CHECKPOINT`: what is trained, what is written, what is refused."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import jax
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file, save_file

import model
from jobs.cli import main
from jobs.options.train import TrainOptions
from jobs.training.origin import base_of, resolved
from model.config import GemmaConfig
from model.gemma import Gemma, init_weights
from model.sentencepiece_proto import Vocabulary, encode_model
from model.tokenizer import Tokenizer
from tests.model.checkpoint.written import pieces_of

TINY = GemmaConfig(
    num_layers=2, d_model=16, d_ff=16, num_heads=2, num_kv_heads=1, head_dim=8, vocab_size=4096, context_length=256,
    query_scalar=8, window=16, window_pattern=(True, False), rope_base=1_000_000.0, local_rope_base=10_000.0,
    has_qk_norms=True, has_post_norms=True,
)  # fmt: skip


def checkpoint(folder: Path, config: GemmaConfig = TINY, seed: int = 0) -> str:
    model.save(Gemma(config, weights=init_weights(jax.random.key(seed), config)), folder)
    (folder / "tokenizer.model").write_bytes(Tokenizer.load("embedded").__reduce__()[1][0])
    return str(folder)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny Gemma 3 of random numbers, with the embedded model's vocabulary."""
    return checkpoint(tmp_path_factory.mktemp("base") / "tiny-gemma")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("corpus")
    texts = [
        "\n".join(f"def area_{n}_{m}(width, height):\n    return width * height + {m}\n" for m in range(12))
        for n in range(12)
    ]
    table = {"content": texts, "path": [f"m{n}.py" for n in range(12)], "repo_name": ["r"] * 12}
    pq.write_table(pa.table({**table, "language": ["Python"] * 12}), folder / "corpus.parquet")
    return str(folder / "corpus.parquet")


def tune(corpus: str, output: Path, base: str, *flags: str) -> int:
    words = ["train", "--input", corpus, "--output", str(output), "--init_from", base, "--length", "64"]
    words += ["--min_tokens", "32", "--batch_rows", "2", "--num_steps", "4", "--warmup_steps", "1", "--log_every", "1"]
    return main([*words, "--learning_rate", "0.01", *flags])


def log_of(output: Path) -> list[dict]:
    return [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]


def weights_of(folder: Path | str) -> dict[str, np.ndarray]:
    return load_file(Path(folder, "model.safetensors"))


ADAPTERS = ("--lora_rank", "2", "--eval_every", "2", "--eval_batches", "2")


@pytest.fixture(scope="module")
def adapted(corpus: str, base: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("adapted") / "run"
    assert tune(corpus, output, base, *ADAPTERS, "--eval_input", corpus) == 0
    return output


def test_all_weights_of_a_checkpoint_are_trained_with_its_own_vocabulary(corpus: str, base: str, tmp_path: Path):
    assert tune(corpus, tmp_path / "run", base) == 0
    lines = log_of(tmp_path / "run")
    assert lines[-1]["loss"] < lines[0]["loss"]
    before, after = weights_of(base), weights_of(tmp_path / "run" / "model")
    assert before.keys() == after.keys()
    assert not any(np.array_equal(before[name], after[name]) for name in before if "norm" not in name)
    loaded = model.load(tmp_path / "run" / "model")
    assert loaded.config == TINY
    assert Tokenizer.load(tmp_path / "run" / "model").sha256 == Tokenizer.load(base).sha256


def test_adapters_leave_embedding_and_norms_alone_and_are_merged_into_the_rest(base: str, adapted: Path):
    before, after = weights_of(base), weights_of(adapted / "model")
    assert before.keys() == after.keys()
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert changed == {name for name in before if "_proj" in name}
    state = load_file(max((adapted / "checkpoints").iterdir()))
    assert (
        sum(array.size for name, array in state.items() if "weights" in name)
        < sum(a.size for a in before.values()) / 20
    )


def test_a_run_stopped_after_each_step_and_resumed_gives_the_same_model(
    corpus: str, base: str, adapted: Path, tmp_path: Path
):
    for _ in range(5):
        assert tune(corpus, tmp_path / "run", base, *ADAPTERS, "--eval_input", corpus, "--stop_after_s", "0") == 0
    assert (tmp_path / "run" / "COMPLETED").exists()
    one, other = weights_of(tmp_path / "run" / "model"), weights_of(adapted / "model")
    assert all(np.array_equal(one[name], other[name]) for name in one)
    assert [line["loss"] for line in log_of(tmp_path / "run")] == [line["loss"] for line in log_of(adapted)]


def test_the_loss_on_held_out_rows_is_measured_as_asked_and_falls(adapted: Path):
    measured = {line["step"]: line["eval_loss"] for line in log_of(adapted) if "eval_loss" in line}
    assert list(measured) == [2, 4] and measured[4] < measured[2]


def test_the_card_says_what_was_tuned_how_and_to_which_loss(base: str, adapted: Path):
    card = (adapted / "model" / "README.md").read_text()
    assert 'base_model: "tiny-gemma"' in card and "adapters of rank 2 (LoRA)" in card
    assert "Gemma Terms of Use" in card
    (last,) = [line for line in card.splitlines() if line.startswith("| 4 |")]
    assert last == f"| 4 | {log_of(adapted)[-1]['loss']:.4f} | {log_of(adapted)[-1]['eval_loss']:.4f} |"
    assert str(adapted.parent) not in card and base not in card
    assert '"lora_rank": 2' in card and "d_model" not in card, "the shapes are the checkpoint's, not the options'"


def test_a_tuned_model_keeps_the_chat_template_of_its_base(corpus: str, tmp_path: Path):
    own = Path(checkpoint(tmp_path / "tiny-it", dataclasses.replace(TINY, is_instruction_tuned=True)))
    (own / "chat_template.jinja").write_text("{{ bos_token }}<start_of_turn>user")
    assert tune(corpus, tmp_path / "run", str(own), "--num_steps", "1", "--lora_rank", "2") == 0
    kept = (tmp_path / "run" / "model" / "chat_template.jinja").read_text()
    assert kept == "{{ bos_token }}<start_of_turn>user"
    assert model.load(tmp_path / "run" / "model").config.is_instruction_tuned


def test_adapters_of_another_base_are_not_trained_further(corpus: str, base: str, tmp_path: Path, capsys):
    own = tmp_path / "own"
    checkpoint(own)
    assert tune(corpus, tmp_path / "run", str(own), "--lora_rank", "2", "--stop_after_s", "0") == 0
    checkpoint(own, seed=1)
    assert tune(corpus, tmp_path / "run", str(own), "--lora_rank", "2") == 2
    assert "was trained from a checkpoint" in capsys.readouterr().err.splitlines()[-1]


def test_a_run_that_tuned_a_checkpoint_is_continued_from_its_result(corpus: str, adapted: Path, tmp_path: Path, capsys):
    assert tune(corpus, tmp_path / "run", str(adapted)) == 2
    assert f"fine-tuned a checkpoint; pass its result, {adapted}/model" in capsys.readouterr().err
    assert tune(corpus, tmp_path / "run", str(adapted / "model"), "--num_steps", "1") == 0
    assert log_of(tmp_path / "run")[0]["loss"] < log_of(adapted)[0]["loss"]


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--d_model", "32"], "--d_model describes a new model, but --init_from"),
        (["--copying_heads"], "--copying_heads describes a new model"),
        (["--length", "512"], "--length 512 exceeds the context of"),
        (["--lora_alpha", "8"], "--lora_alpha describes adapters of a trained model: it needs --lora_rank"),
        (["--lora_rank", "0"], "--lora_rank"),
        (["--lora_rank", "9"], "adapters of rank 9 are larger than k_proj, which is 8 x 16"),
        (["--lora_rank", "2", "--lora_targets", "lm_head"], "adapters of lm_head: name some of q_proj"),
        (["--lora_rank", "2", "--optimizer", "muon"], "--optimizer muon: adapters are trained by adamw"),
        (["--lora_rank", "2", "--lora_alpha", "0"], "--lora_alpha is 0: adapters would count nothing"),
        (["--embedding_learning_rate", "0.1"], "--embedding_learning_rate belongs to --optimizer muon"),
    ],
)
def test_what_does_not_fit_a_checkpoint_is_refused_in_one_line(
    corpus: str, base: str, tmp_path: Path, capsys, flags: list[str], told: str
):
    assert tune(corpus, tmp_path / "run", base, *flags) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert told in line


def test_what_failed_before_the_first_checkpoint_can_be_tried_with_other_options(
    corpus: str, base: str, tmp_path: Path, capsys
):
    assert tune(corpus, tmp_path / "run", base, "--lora_rank", "9") == 2
    pq.write_table(pq.read_table(corpus).slice(0, 6), tmp_path / "small.parquet")
    held_out = ("--eval_input", str(tmp_path / "small.parquet"), "--lora_rank", "2", "--batch_rows", "64")
    assert tune(corpus, tmp_path / "run", base, *held_out) == 2
    assert "--eval_input has fewer than 64 rows" in capsys.readouterr().err.splitlines()[-1]


def test_an_embedding_is_trained_no_faster_than_the_rest_of_a_checkpoint(base: str):
    options = TrainOptions(input=("in",), output="out", init_from=base, length=64, optimizer="muon")
    assert resolved(options, base_of(options)).embedding_learning_rate == 2e-5


def test_adapters_and_no_checkpoint_are_refused(corpus: str, tmp_path: Path, capsys):
    words = ["train", "--input", corpus, "--output", str(tmp_path / "run"), "--lora_rank", "2"]
    assert main([*words, "--tokenizer", "embedded"]) == 2
    assert "--lora_rank describes adapters of a trained model: it needs --init_from" in capsys.readouterr().err
    assert main(words[:-2]) == 2
    assert "--tokenizer is required for a new model" in capsys.readouterr().err


def test_a_folder_that_holds_an_adapter_alone_is_refused_with_its_base(corpus: str, tmp_path: Path, capsys):
    folder = tmp_path / "adapter"
    folder.mkdir()
    save_file({"a": np.zeros((2, 2), np.float32)}, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "google/some-gemma"}')
    assert tune(corpus, tmp_path / "run", str(folder)) == 2
    assert "holds an adapter of google/some-gemma, not a model; merge it" in capsys.readouterr().err


def test_another_models_vocabulary_is_refused(corpus: str, tmp_path: Path, capsys):
    other = checkpoint(tmp_path / "large", dataclasses.replace(TINY, vocab_size=8192))
    assert tune(corpus, tmp_path / "run", other) == 2
    assert "has 4,096 pieces, but" in capsys.readouterr().err


@pytest.fixture(scope="module")
def plain_vocabulary(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The embedded model's vocabulary without CodeGemma's own control tokens, as Gemma 3's is."""
    own = Tokenizer.load("embedded")
    pieces, scores, types = pieces_of(own)
    pieces = [f"<unused{id_}>" if piece.startswith("<|") else piece for id_, piece in enumerate(pieces)]
    roles = {name: getattr(own, name) for name in ("unk", "bos", "eos", "pad")}
    path = tmp_path_factory.mktemp("plain") / "tokenizer.model"
    path.write_bytes(encode_model(Vocabulary(pieces=pieces, scores=scores, types=types, **roles)))
    return str(path)


def test_a_vocabulary_without_infilling_tokens_makes_plain_text_or_is_refused_before_any_work(
    corpus: str, base: str, plain_vocabulary: str, tmp_path: Path, capsys
):
    told = "has no infilling tokens, as CodeGemma's has; --fim_rate 0 makes plain text"
    assert tune(corpus, tmp_path / "run", base, "--tokenizer", plain_vocabulary) == 2
    assert told in capsys.readouterr().err and not (tmp_path / "run").exists()
    words = ["pack", "--input", corpus, "--output", str(tmp_path / "packed"), "--tokenizer", plain_vocabulary]
    words += ["--context_length", "64", "--progress", "none", "--min_chars", "1"]
    assert main(words) == 2
    assert told in capsys.readouterr().err and not (tmp_path / "packed").exists()
    assert main([*words, "--fim_rate", "0"]) == 0
    plain = Tokenizer.load(plain_vocabulary)
    rows = pq.read_table(tmp_path / "packed" / "data").to_pylist()
    texts = "".join(plain.decode([id_ for id_ in row["input_ids"] if id_ > 3]) for row in rows)
    assert "def area_3_7(width, height):" in texts
    assert all(row["input_ids"][0] == plain.bos and row["input_ids"][-1] == plain.eos for row in rows)
    flags = ("--tokenizer", plain_vocabulary, "--fim_rate", "0", "--num_steps", "1")
    assert tune(corpus, tmp_path / "run", base, *flags) == 0
