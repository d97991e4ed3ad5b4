from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest

import model
from model.checkpoint import read_config
from model.gemma import Gemma
from model.tokenizer import Tokenizer

FOLDER = Path(model.__file__).parent / "embedded"

SOURCE = '''class Reader:
    """Reads records from a file, one a line."""

    def __init__(self, path, encoding="utf-8"):
        self.path = path
        self.encoding = encoding

    def read(self):
        with open(self.path, encoding=self.encoding) as file:
            for line in file:
                if not line.strip():
                    continue
                yield line.rstrip()

    def __repr__(self):
        return f"Reader({self.path!r})"
'''


@functools.cache
def load() -> tuple[Gemma, Tokenizer]:
    return model.load("embedded"), Tokenizer.load("embedded")


def bits_per_byte(text: str) -> float:
    import jax
    import jax.numpy as jnp

    gemma, tokenizer = load()
    ids = jnp.asarray([[tokenizer.bos, *tokenizer.encode(text)]])
    log_probabilities = jax.nn.log_softmax(jax.jit(lambda ids: gemma(ids))(ids)[0, :-1])
    nats = -float(jnp.take_along_axis(log_probabilities, ids[0, 1:, None], axis=1).sum())
    return nats / np.log(2) / len(text.encode())


def test_it_is_small_enough_to_ship():
    total = sum(path.stat().st_size for path in FOLDER.iterdir())
    assert total < 20e6
    assert (FOLDER / "README.md").exists()


def test_model_and_vocabulary_belong_together():
    assert read_config("embedded").vocab_size == Tokenizer.load("embedded").vocab_size


def test_the_vocabulary_has_codegemmas_control_tokens():
    tokenizer = Tokenizer.load("embedded")
    ids = [tokenizer.pad, tokenizer.eos, tokenizer.bos, tokenizer.unk, tokenizer.fim_prefix, tokenizer.fim_middle,
           tokenizer.fim_suffix, tokenizer.file_separator, tokenizer.start_of_turn, tokenizer.end_of_turn]  # fmt: skip
    assert len(set(ids)) == 10 and set(ids) <= tokenizer.control_ids


@pytest.mark.parametrize(
    "text", [SOURCE, "  \t\r\n\n\n x  =  1 \n", "x = 'äß€𝄞\u2581'  # <|fim_prefix|><eos>", "\x00\x7f"]
)
def test_text_survives_a_round_trip_and_contains_no_control_token(text: str):
    tokenizer = Tokenizer.load("embedded")
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert not set(ids) & tokenizer.control_ids


def test_each_digit_and_each_indentation_is_one_piece():
    tokenizer = Tokenizer.load("embedded")
    pieces = [tokenizer.decode([id_]) for id_ in tokenizer.encode("\n        x = 1024")]
    assert pieces[0] == "\n        "
    assert pieces[-4:] == ["1", "0", "2", "4"]


def test_a_hole_after_the_indentation_starts_with_the_pieces_of_the_line():
    tokenizer = Tokenizer.load("embedded")
    line = "\n    return total"
    assert tokenizer.encode("\n    ") + tokenizer.encode("return total") == tokenizer.encode(line)


def test_it_knows_python_far_better_than_chance():
    """A uniform distribution over the vocabulary takes about 3.6 bits per byte; shuffled characters are as bad."""
    shuffled = "".join(np.random.default_rng(0).permutation(list(SOURCE)))
    assert bits_per_byte(SOURCE) < 2.0 < 3.5 < bits_per_byte(shuffled)
