from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file

import model
from jobs.cli import main
from jobs.options.train import TrainOptions
from jobs.train import open_sources
from jobs.training.checkpoints import save_checkpoint
from jobs.training.data import Place
from jobs.training.held_out import held_out_loss
from jobs.training.left_out import LeftOut
from jobs.training.packed import PackedSource, open_packed
from jobs.training.start import Start
from model.config import GemmaConfig
from model.errors import ConfigError
from model.tokenizer import Tokenizer
from model.training.step import Rows, TrainingConfig, TrainState
from transforms.fim.training_rows import PackedRow
from transforms.opt_out.lists import parse_opt_out
from transforms.opt_out.rows import RowMatcher

SHAPES = "--num_layers 1 --d_model 16 --d_ff 16 --num_heads 2 --head_dim 8 --length 64 --min_tokens 32 --batch_rows 2"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("corpus") / "corpus.parquet"
    texts = [
        "\n".join(f"def area_{n}_{m}(width, height):\n    return width * height + {m}\n" for m in range(12))
        for n in range(12)
    ]
    table = {"content": [*texts, ""], "path": [f"pkg/m{n}.py" for n in range(13)], "language": ["Python"] * 13}
    pq.write_table(pa.table(table), path)
    return str(path)


def train(corpus: str, output: Path, *flags: str) -> int:
    words = ["train", "--input", corpus, "--tokenizer", "embedded", "--output", str(output), *SHAPES.split()]
    if corpus.endswith("packed"):
        words = words[: words.index("--min_tokens")] + words[words.index("--min_tokens") + 2 :]
    return main([*words, "--log_every", "1", "--num_steps", "6", "--warmup_steps", "1", *flags])


def log_of(output: Path) -> list[dict]:
    return [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def trained(corpus: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("trained") / "run"
    assert train(corpus, output) == 0
    return output


def test_the_trained_model_loads_with_its_vocabulary(trained: Path):
    loaded = model.load(trained / "model")
    assert loaded.config.num_layers == 1 and loaded.config.d_model == 16
    assert Tokenizer.load(trained / "model").vocab_size == loaded.config.vocab_size
    assert (trained / "COMPLETED").exists()


def test_the_log_tells_loss_and_speed_of_every_step(trained: Path):
    lines = log_of(trained)
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert all(line["tokens"] > 0 and line["tokens_per_s"] > 0 and np.isfinite(line["grad_norm"]) for line in lines)
    assert lines[-1]["loss"] < lines[0]["loss"]


def test_schedulers_see_how_far_a_run_is_and_whether_it_is_complete(corpus: str, tmp_path: Path, capfd):
    files = ["--summary", str(tmp_path / "s.json"), "--metrics", str(tmp_path / "m.prom")]
    words = [*files, "--run_id", "night-3", "--log_format", "json"]
    assert train(corpus, tmp_path / "run", "--stop_after_s", "0", *words) == 0
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert {(line["run_id"], line["job"]) for line in lines} == {("night-3", "train")}
    (progress,) = [line for line in lines if line["event"] == "progress"]
    assert (progress["steps_done"], progress["steps_total"]) == (1, 6) and progress["loss"] > 0
    assert (lines[-1]["event"], lines[-1]["state"], lines[-1]["level"]) == ("end", "stopped", "info")
    assert json.loads((tmp_path / "s.json").read_text())["progress"]["steps_done"] == 1
    assert 'state="stopped"} 1.0' in (tmp_path / "m.prom").read_text()
    assert train(corpus, tmp_path / "run", *files) == 0
    capfd.readouterr()
    assert train(corpus, tmp_path / "run", "--summary", "-") == 0
    assert json.loads(capfd.readouterr().out)["state"] == "complete"
    summary = json.loads((tmp_path / "s.json").read_text())
    assert (summary["state"], summary["steps"], summary["exit_codes"]) == ("complete", 6, [])
    assert f'codemill_steps_done_total{{job="train",output="{tmp_path}/run"}} 6.0' in (tmp_path / "m.prom").read_text()


def test_a_run_stopped_after_each_step_and_resumed_gives_the_same_weights(corpus: str, trained: Path, tmp_path: Path):
    output = tmp_path / "run"
    for _ in range(7):
        assert train(corpus, output, "--stop_after_s", "0") == 0
        if (output / "COMPLETED").exists():
            break
    assert (output / "COMPLETED").exists()
    assert [line["loss"] for line in log_of(output)] == [line["loss"] for line in log_of(trained)]
    one, other = (load_file(folder / "model" / "model.safetensors") for folder in (output, trained))
    assert one.keys() == other.keys() and all((one[name] == other[name]).all() for name in one)


def test_at_most_two_checkpoints_are_kept(corpus: str, tmp_path: Path):
    train(corpus, tmp_path / "run", "--checkpoint_every_s", "0")
    names = sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir())
    assert names == ["0000000005.safetensors", "0000000006.safetensors"]


def test_a_run_goes_on_from_anothers_weights(corpus: str, trained: Path, tmp_path: Path):
    train(corpus, tmp_path / "run", "--init_from", str(trained))
    assert log_of(tmp_path / "run")[0]["loss"] < log_of(trained)[1]["loss"]
    assert log_of(tmp_path / "run")[0]["step"] == 1


def test_a_run_that_goes_on_from_another_needs_its_vocabulary(corpus: str, trained: Path, tmp_path: Path, capsys):
    words = ["train", "--input", corpus, "--output", str(tmp_path / "run"), "--init_from", str(trained)]
    assert main([*words, *SHAPES.split()]) == 2
    assert "is an earlier run; pass the --tokenizer that it had" in capsys.readouterr().err


def test_the_log_of_a_killed_run_has_every_step_once(corpus: str, trained: Path, tmp_path: Path):
    assert train(corpus, tmp_path / "run", "--stop_after_s", "0", "--log_every", "4") == 0
    with (tmp_path / "run" / "log.jsonl").open("a") as log:
        log.write('{"step": 4, "loss": 1.0, "tokens": 9}\n{"step": 5, "lo')
    assert train(corpus, tmp_path / "run", "--log_every", "4") == 0
    assert [line["step"] for line in log_of(tmp_path / "run")] == [1, 4, 6]
    tokens = sum(line["tokens"] for line in log_of(trained))
    assert f"{tokens:,} tokens were trained on" in (tmp_path / "run" / "model" / "README.md").read_text()


def test_a_loss_that_is_not_finite_ends_the_run_and_is_never_saved(corpus: str, tmp_path: Path, capsys):
    flags = ("--optimizer", "adamw", "--learning_rate", "1e30", "--warmup_steps", "0", "--log_every", "9")
    assert train(corpus, tmp_path / "run", *flags) == 2
    assert (
        "isn't finite at one of the 6 steps up to 6; train again with a lower --learning_rate"
        in capsys.readouterr().err
    )
    assert not list((tmp_path / "run" / "checkpoints").iterdir())


def test_held_out_rows_are_measured_in_the_parts_that_a_batch_is_trained_in(monkeypatch: pytest.MonkeyPatch):
    sizes = []

    def fake(weights: object, rows: Rows, *_: object, **__: object):
        sizes.append(rows.tokens.shape)
        return rows.loss_weights.sum() * 2.0, rows.loss_weights.sum()

    class Fixed:
        def rows(self, epoch: int, start: int):
            return iter([PackedRow([1] * 8, [1] * 8, [1.0] * 8)] * 11)

    monkeypatch.setattr("jobs.training.held_out.weighted_loss", fake)
    config = GemmaConfig(num_layers=1, d_model=8, d_ff=8, num_heads=1, num_kv_heads=1, head_dim=8, vocab_size=8)
    state = TrainState(step=np.zeros(()), weights=None, optimizer=None)
    begin = Start(config=config, state=state, frozen=None, place=Place(0, 0), mesh=None)
    split = {"batch_rows": 6, "micro_batches": 3, "eval_batches": 4}
    options = TrainOptions(input=("in",), output="out", tokenizer="embedded", **split)
    assert held_out_loss(Fixed(), begin, TrainingConfig(num_steps=1), options)(state) == 2.0
    assert sizes == [(2, 8)]


def test_an_opt_out_entry_may_match_in_the_rows_or_in_the_held_out_ones(tmp_path: Path, capsys):
    for name in ("in", "held"):
        table = {"content": ["def f(x):\n    return x\n" * 20] * 2, "path": ["a.py", "b.py"]}
        pq.write_table(pa.table({**table, "repo_name": [f"out/{name}", "in/a"]}), tmp_path / f"{name}.parquet")
    (tmp_path / "list.txt").write_text("out/in\nout/held\n")
    options = TrainOptions(
        input=(str(tmp_path / "in.parquet"),), eval_input=(str(tmp_path / "held.parquet"),), output="run",
        tokenizer="embedded", length=64, opt_out=(str(tmp_path / "list.txt"),), strict_opt_out=True,
    )  # fmt: skip
    sources = open_sources(options, Tokenizer.load("embedded"))
    assert [len(source.files) for source in sources] == [1, 1]
    assert "opt-out: 2 rows left out by 2 entries" in capsys.readouterr().err
    (tmp_path / "list.txt").write_text("out\nin\n")
    with pytest.raises(ConfigError, match="--input has no usable rows"):
        open_sources(options, Tokenizer.load("embedded"))


def test_what_a_killed_run_left_half_written_goes_with_the_next_checkpoint(tmp_path: Path):
    (tmp_path / "0000000001.safetensors.tmp").write_bytes(b"half")
    state = TrainState(step=np.asarray(2), weights=np.zeros(3), optimizer=np.zeros(3))
    assert save_checkpoint(tmp_path, state, Place(0, 4)).name == "0000000002.safetensors"
    assert [path.name for path in tmp_path.iterdir()] == ["0000000002.safetensors"]


def test_other_options_than_the_run_began_with_are_refused_by_name(
    corpus: str, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert train(corpus, trained, "--learning_rate", "0.5") == 2
    assert "--learning_rate was 0.01, is now 0.5" in capsys.readouterr().err
    shutil.copytree(trained, tmp_path / "run", ignore=shutil.ignore_patterns("checkpoints"))
    assert train(corpus, tmp_path / "run", "--learning_rate", "0.5") == 2
    assert "--learning_rate was 0.01, is now 0.5" in capsys.readouterr().err


def test_a_checkpoint_of_other_shapes_is_refused_with_what_differs(
    corpus: str, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert train(corpus, tmp_path / "run", "--init_from", str(trained), "--d_ff", "24") == 2
    assert "use the shapes of that run" in capsys.readouterr().err


def test_a_damaged_checkpoint_is_refused_by_name(corpus: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    output = tmp_path / "run"
    train(corpus, output, "--stop_after_s", "0")
    (output / "checkpoints" / "0000000009.safetensors").write_bytes(b"torn")
    assert train(corpus, output, "--stop_after_s", "0") == 2
    assert "0000000009.safetensors is not a readable checkpoint" in capsys.readouterr().err


def test_a_finished_run_says_so_and_trains_no_further(corpus: str, trained: Path, capsys: pytest.CaptureFixture[str]):
    assert train(corpus, trained) == 0
    assert "is complete" in capsys.readouterr().out
    assert len(log_of(trained)) == 6


def test_an_empty_row_is_counted_and_left_out(corpus: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    train(corpus, tmp_path / "run", "--stop_after_s", "0")
    assert "1 of 13 rows are unusable for training" in capsys.readouterr().err


def test_a_folder_that_holds_something_else_is_refused(corpus: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "notes.txt").write_text("mine")
    assert train(corpus, tmp_path) == 2
    assert "contains something other than a training run" in capsys.readouterr().err


def test_options_that_can_not_go_together_are_refused_before_any_work():
    from jobs.options.train import TrainOptions as Options

    with pytest.raises(ConfigError, match="--batch_rows 3"):
        Options(input=("x",), tokenizer="t", output="o", batch_rows=3, micro_batches=2)
    with pytest.raises(ConfigError, match="--length 2048"):
        Options(input=("x",), tokenizer="t", output="o", length=2048, context_length=1024)


# --- packed rows ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve small repositories as `codemill pack` leaves them."""
    folder = tmp_path_factory.mktemp("packed")
    texts = [
        f"def area_{n}(width, height):\n    total = width * {n}\n    return total + height\n" * 4 for n in range(48)
    ]
    table = {"content": texts, "path": [f"m{n}.py" for n in range(48)], "repo_name": [f"r{n % 12}" for n in range(48)]}
    pq.write_table(pa.table({**table, "language": ["Python"] * 48}), folder / "corpus.parquet")
    words = ["pack", "--input", str(folder / "corpus.parquet"), "--output", str(folder / "packed")]
    assert main([*words, "--context_length", "64", "--progress", "none", "--min_chars", "1"]) == 0
    return folder / "packed"


def test_packed_rows_are_found_by_their_columns_and_trained_on(packed: Path, tmp_path: Path):
    assert train(str(packed), tmp_path / "run") == 0
    lines = log_of(tmp_path / "run")
    assert lines[-1]["loss"] < lines[0]["loss"]
    assert all(line["tokens"] <= 2 * 64 for line in lines)


def test_a_run_on_packed_rows_stopped_and_resumed_gives_the_same_weights(packed: Path, tmp_path: Path):
    train(str(packed), tmp_path / "whole", "--middle_weight", "3")
    for _ in range(7):
        train(str(packed), tmp_path / "parts", "--middle_weight", "3", "--stop_after_s", "0")
    one, other = (load_file(tmp_path / name / "model" / "model.safetensors") for name in ("whole", "parts"))
    assert one.keys() == other.keys() and all((one[name] == other[name]).all() for name in one)


def test_an_epoch_holds_each_packed_row_once_and_another_epoch_another_order(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    tokenizer = Tokenizer.load("embedded")
    table = pq.read_table(packed / "data")
    pq.write_table(table, tmp_path / "rows.parquet", row_group_size=10)
    groups = open_packed([str(tmp_path / "rows.parquet")], tokenizer, 64)
    assert groups is not None and len(groups) > 4
    monkeypatch.setattr("jobs.training.packed.SHUFFLE_TOKENS", 25 * 64)  # two row groups at a time
    source = PackedSource(groups, 64, tokenizer.pad, 1.0, 7)
    wanted = [tuple(ids) for ids in table.column("input_ids").to_pylist()]

    def ids_of(epoch: int, start: int = 0) -> list[tuple[int, ...]]:
        return [tuple(row.tokens[: (row.segment_ids > 0).sum()].tolist()) for row in source.rows(epoch, start)]

    assert sorted(ids_of(0)) == sorted(ids_of(1)) == sorted(wanted)
    assert ids_of(0) != ids_of(1) != wanted
    assert all(ids_of(0, start) == ids_of(0)[start:] for start in (1, 10, 25, len(wanted) - 1, len(wanted)))


def test_what_has_opted_out_is_not_trained_on(packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    tokenizer = Tokenizer.load("embedded")
    table = pq.read_table(packed / "data")
    parts = table.column("parts").to_pylist()
    for number, of_row in enumerate(parts):
        for part in of_row:
            part["repo_name"] = "out/a" if number % 3 == 0 else "in/a"
    place = table.schema.get_field_index("parts")
    table = table.set_column(place, table.schema.field("parts"), pa.array(parts, table.schema.field("parts").type))
    pq.write_table(table, tmp_path / "rows.parquet", row_group_size=10)
    left_out = LeftOut(RowMatcher(parse_opt_out([("list", b"out\nno/where\n")])))
    groups = open_packed([str(tmp_path / "rows.parquet")], tokenizer, 64, left_out)
    assert groups is not None and left_out.rows == -(-table.num_rows // 3)
    monkeypatch.setattr("jobs.training.packed.SHUFFLE_TOKENS", 25 * 64)
    rows = list(PackedSource(groups, 64, tokenizer.pad, 3.0, 7).rows(0, 0))
    found = sorted(tuple(row.tokens[: (row.segment_ids > 0).sum()].tolist()) for row in rows)
    wanted = [tuple(ids) for number, ids in enumerate(table.column("input_ids").to_pylist()) if number % 3]
    assert found == sorted(wanted)
    assert len(list(PackedSource(groups, 64, tokenizer.pad, 3.0, 7).rows(0, 5))) == len(rows) - 5


def test_packed_rows_that_do_not_name_repositories_are_refused_with_a_list(packed: Path, tmp_path: Path):
    table = pq.read_table(packed / "data")
    left_out = LeftOut(RowMatcher(parse_opt_out([("list", b"out\n")])))
    pq.write_table(table.drop(["parts"]), tmp_path / "rows.parquet")
    with pytest.raises(ConfigError, match="has no parts that say which repositories"):
        open_packed([str(tmp_path / "rows.parquet")], Tokenizer.load("embedded"), 64, left_out)
    pq.write_table(table, tmp_path / "rows.parquet", use_compliant_nested_type=False)
    open_packed([str(tmp_path / "rows.parquet")], Tokenizer.load("embedded"), 64, left_out)
    assert left_out.unknown == sum(not any(p["repo_name"] for p in parts) for parts in table["parts"].to_pylist())


def test_a_corpus_is_trained_on_without_what_has_opted_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    text = "\n".join(f"def area_{m}(width, height):\n    return width * height + {m}\n" for m in range(12))
    rows = {"content": [text] * 4, "path": ["a.py"] * 4, "repo_name": ["out/a", "in/a", None, "in/b"]}
    pq.write_table(pa.table(rows), tmp_path / "in.parquet")
    (tmp_path / "list.txt").write_text("out\nno/where\n")
    assert train(str(tmp_path / "in.parquet"), tmp_path / "run", "--opt_out", str(tmp_path / "list.txt")) == 0
    told = capsys.readouterr().err
    assert "opt-out: 1 row left out by 2 entries" in told and "matched nothing: no/where" in told
    (tmp_path / "list.txt").write_text("out\nin\n")
    assert train(str(tmp_path / "in.parquet"), tmp_path / "run", "--opt_out", str(tmp_path / "list.txt")) == 2
    assert "the entries of --opt_out changed" in capsys.readouterr().err
    assert train(str(tmp_path / "in.parquet"), tmp_path / "run") == 2


def test_middles_and_what_ends_them_weigh_as_asked(packed: Path):
    tokenizer = Tokenizer.load("embedded")
    groups = open_packed([str(packed)], tokenizer, 64)
    assert groups is not None
    by_ids = {tuple(row["input_ids"]): row for row in pq.read_table(packed / "data").to_pylist()}
    middles = 0
    for row in PackedSource(groups, 64, tokenizer.pad, 3.0, 0).rows(0, 0):
        length = int((row.segment_ids > 0).sum())
        source = by_ids[tuple(row.tokens[:length].tolist())]
        expected = np.asarray([*source["loss_mask"], *[0] * (64 - length)], np.float32)
        for part in source["parts"]:
            if part["fim_mode"] != "none":
                expected[part["token_end"] - part["middle_tokens"] : part["token_end"] + 1] = 3.0
                middles += 1
        assert (row.loss_weights == expected).all()
        assert (row.tokens[length:] == tokenizer.pad).all()
    assert middles > 10


def test_rows_packed_for_another_model_are_refused_in_one_line(
    packed: Path, corpus: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    def refused(*flags: str, source: str = str(packed)) -> str:
        assert train(source, tmp_path / "run", *flags) == 2
        assert not (tmp_path / "run").exists()
        return capsys.readouterr().err

    assert "has rows of 64 tokens, --length is 128; use --length 64" in refused("--length", "128")
    assert "--fim_rate controls how FIM examples are cut, but --input has packed rows" in refused("--fim_rate", "0.5")
    shard = next((packed / "data").iterdir())
    table = pq.read_table(shard)
    told = {**table.schema.metadata, b"codemill_tokenizer_sha256": b"0" * 64}
    other = tmp_path / "other_packed"
    other.mkdir()
    pq.write_table(table.replace_schema_metadata(told), other / "other.parquet")
    assert "was packed with tokenizer 000000000000, --tokenizer is" in refused(source=str(other))
    pq.write_table(table.replace_schema_metadata({}), other / "other.parquet")
    assert "doesn't record which tokenizer its ids come from" in refused(source=str(other))
    pq.write_table(table, other / "other.parquet")
    pq.write_table(pq.read_table(corpus), other / "corpus.parquet")
    assert "--input mixes packed rows" in refused(source=str(other))
