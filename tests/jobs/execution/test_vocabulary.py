"""Set-up mistakes in model and vocabulary stop a generation job before its first row."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import cli, infill
from jobs.execution.vocabulary import check_vocabulary
from model.checkpoint import read_config
from model.errors import ConfigError
from model.sentencepiece_proto import Vocabulary, encode_model
from model.storage import SHIPPED
from model.tokenizer import Tokenizer
from tests.model.checkpoint.written import pieces_of

EMBEDDED = SHIPPED["embedded"]


def vocabulary(*, rename: tuple[str, ...] = (), cut: int = 0, grow: int = 0) -> bytes:
    """The embedded model's vocabulary with some pieces renamed, the last ones cut off, or with more of them."""
    tokenizer = Tokenizer.load("embedded")
    pieces, scores, types = pieces_of(tokenizer)
    pieces = [f"<renamed{number}>" if piece in rename else piece for number, piece in enumerate(pieces)]
    more = [f"more{number}" for number in range(grow)]
    long = [id_ for id_ in range(len(pieces)) if types[id_] == 1 and pieces[id_].isalpha() and len(pieces[id_]) > 1]
    kept = [id_ for id_ in range(len(pieces)) if id_ not in set(long[:cut])]
    return encode_model(
        Vocabulary(
            pieces=[*[pieces[id_] for id_ in kept], *more],
            scores=[*[scores[id_] for id_ in kept], *[-9999.0] * grow],
            types=[*[types[id_] for id_ in kept], *[1] * grow],
            unk=tokenizer.unk,
            bos=tokenizer.bos,
            eos=tokenizer.eos,
            pad=tokenizer.pad,
        )
    )


@pytest.fixture
def model(tmp_path) -> Path:
    """The embedded model without its vocabulary."""
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    for name in ("config.json", "model.safetensors"):
        shutil.copy(EMBEDDED / name, folder)
    return folder


@pytest.fixture
def command(tmp_path, model, capsys):
    """Runs a job that must be refused before anything is written."""
    pq.write_table(pa.table({"content": ["def f(a):\n    return a + 1\n"], "path": ["a.py"]}), tmp_path / "in.parquet")

    def run(job: str, *more: str) -> tuple[int, str]:
        words = [job, "--input", str(tmp_path / "in.parquet"), "--output", str(tmp_path / "out"), *more]
        code = cli.main([*words, "--progress", "none"])
        assert not (tmp_path / "out").exists()
        return code, capsys.readouterr().err

    return run


MISTAKES = {
    "missing": (None, "holds no tokenizer.model"),
    "empty": (b"", "is no SentencePiece model"),
    "garbage": (b"\x00garbage" * 99, "is no SentencePiece model"),
    "a web page": (b"<!doctype html><title>404</title>", "is no SentencePiece model"),
    "a pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "is no SentencePiece model"),
    "no FIM names": ({"rename": ("<|fim_prefix|>",)}, "has no control token <|fim_prefix|>"),
    "no file separator": ({"rename": ("<|file_separator|>",)}, "has no control token <|file_separator|>"),
    "more pieces": ({"grow": 1}, "has 4,097 pieces, but the model"),
    "far fewer pieces": ({"cut": 1100}, "has 2,996 pieces, but the model"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_vocabulary_that_is_not_the_models_stops_the_job_before_the_first_row(name, model, command):
    content, message = MISTAKES[name]
    if content is not None:
        written = vocabulary(**content) if isinstance(content, dict) else content
        (model / "tokenizer.model").write_bytes(written)
    code, said = command("infill", "--model", str(model))
    assert (code, said.count("\n")) == (2, 1)
    assert message in said
    assert "--tokenizer" in said


def test_chat_prompts_need_the_names_of_turns_and_no_fim_names(model, command):
    (model / "tokenizer.model").write_bytes(vocabulary(rename=("<start_of_turn>",)))
    code, said = command("docstring", "--model", str(model), "--prompt", "chat")
    assert (code, said.count("\n")) == (2, 1)
    assert "has no control token <start_of_turn>" in said
    assert "chat prompts need it" in said


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_single_file_without_a_vocabulary_beside_it_is_refused(name, model, command):
    code, said = command("infill", "--model", str(model / name))
    assert (code, said.count("\n")) == (2, 1)


def test_a_missing_vocabulary_can_be_named(model, command):
    code, said = command("infill", "--model", str(model), "--tokenizer", "embedded", "--max_new_tokens", "9999")
    assert code == 2
    assert "context length" in said  # the next check: the vocabulary has passed
    code, said = command("infill", "--model", str(model), "--tokenizer", str(model / "absent.model"))
    assert code == 2
    assert "absent.model; --tokenizer names another vocabulary" in said


FIM_NAMES = ("<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|file_separator|>")


@pytest.mark.parametrize(("is_tuned", "form"), [(False, "prefix"), (True, "chat")])
def test_a_model_without_infilling_tokens_is_asked_in_another_form(is_tuned, form, model):
    (model / "tokenizer.model").write_bytes(vocabulary(rename=FIM_NAMES))
    config = json.loads((model / "config.json").read_text()) | {"is_instruction_tuned": is_tuned}
    (model / "config.json").write_text(json.dumps(config))
    options = infill._with_prompt_form(infill.Options(input=("in.parquet",), output="out", model=str(model)))
    assert options.fim_format == form
    check_vocabulary(options, read_config(model), is_chat={"chat": True, "prefix": None}[form])
    with pytest.raises(ConfigError, match="fill-in-the-middle prompts need it"):
        check_vocabulary(options, read_config(model), is_chat=False)


def test_a_model_with_infilling_tokens_keeps_its_format():
    options = infill.Options(input=("in.parquet",), output="out", model="embedded")
    assert infill._with_prompt_form(options) is options


JOBS = {
    "docstring": ("docstring",),
    "generate a body": ("generate", "--what", "body"),
    "generate a file": ("generate", "--what", "file"),
    "generate": ("generate", "--what", "prompt", "--language", "python", "--content_column", "content"),
}


@pytest.mark.parametrize("job", JOBS)
def test_a_base_model_without_infilling_tokens_is_planned_for_every_job_that_takes_base_models(job, model, command):
    (model / "tokenizer.model").write_bytes(vocabulary(rename=FIM_NAMES))
    code, said = command(*JOBS[job], "--model", str(model), "--dry_run")
    assert code == 0, said
