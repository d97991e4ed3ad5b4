"""Which vocabulary belongs to a checkpoint, and the one inside a GGUF file."""

from __future__ import annotations

import dataclasses
import shutil
import struct

import gguf
import pytest

from model.checkpoint.gguf_vocabulary import _vocabulary
from model.errors import ConfigError
from model.sentencepiece_proto import Vocabulary, encode_model
from model.storage import SHIPPED
from model.tokenizer import Tokenizer
from tests.model.checkpoint.written import TINY, pieces_of, random_weights, write_gguf

EMBEDDED = SHIPPED["embedded"]
HOSTILE = 'x = "<|fim_prefix|>"\r\n\tif (a\u2581b): \u6f22\u5b57 \U0001f600\x00 <unused1>  é\n'


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.load("embedded")


def write(path, tokenizer=None, **more):
    config = dataclasses.replace(TINY, vocab_size=4096)
    write_gguf(path, random_weights(config), config, gguf.GGMLQuantizationType.F32, tokenizer=tokenizer, **more)
    return path


def test_the_vocabulary_inside_a_gguf_file_encodes_as_the_original(tmp_path, tokenizer):
    path = write(tmp_path / "model.gguf", tokenizer)
    for place in (path, tmp_path):
        inside = Tokenizer.load(place)
        assert inside.encode(HOSTILE) == tokenizer.encode(HOSTILE)
        assert inside.decode(inside.encode(HOSTILE)) == HOSTILE
        assert inside.control_ids == tokenizer.control_ids
        roles = [(t.bos, t.eos, t.pad, t.unk, t.fim_prefix, t.start_of_turn) for t in (inside, tokenizer)]
        assert roles[0] == roles[1]


def test_a_vocabulary_beside_a_gguf_file_goes_before_the_one_inside(tmp_path, tokenizer):
    path = write(tmp_path / "model.gguf", tokenizer)
    shutil.copy(EMBEDDED / "tokenizer.model", tmp_path)
    assert Tokenizer.load(path).sha256 == tokenizer.sha256


def test_a_gguf_file_without_a_vocabulary_inside_or_beside_it_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"model\.gguf: holds no vocabulary; put a tokenizer.model beside it"):
        Tokenizer.load(write(tmp_path / "model.gguf"))


@pytest.mark.parametrize("name", ["model.safetensors", "model.npz", "model.weights.h5"])
def test_a_weights_file_stands_for_the_vocabulary_beside_it(name, tmp_path, tokenizer):
    (tmp_path / name).write_bytes(b"weights")
    with pytest.raises(ConfigError, match=rf"beside {name}, holds no tokenizer.model \(found: {name}\)"):
        Tokenizer.load(tmp_path / name)
    shutil.copy(EMBEDDED / "tokenizer.model", tmp_path)
    assert Tokenizer.load(tmp_path / name).sha256 == tokenizer.sha256


def test_lists_of_a_damaged_vocabulary_are_refused_in_one_line(tmp_path, tokenizer):
    path = write(tmp_path / "model.gguf", tokenizer)
    whole = path.read_bytes()
    at = whole.index(b"tokenizer.ggml.scores") + len(b"tokenizer.ggml.scores") + 8
    for length in (1 << 40, 4095, 5000, 0):
        path.write_bytes(whole[:at] + struct.pack("<Q", length) + whole[at + 8 :])
        with pytest.raises(ConfigError) as error:
            Tokenizer.load(path)
        assert "\n" not in str(error.value)
        assert str(path) in str(error.value)


def test_a_model_written_from_pieces_is_read_as_it_was(tokenizer):
    pieces, scores, types = pieces_of(tokenizer)
    roles = {name: getattr(tokenizer, name) for name in ("unk", "bos", "eos", "pad")}
    written = encode_model(Vocabulary(pieces=pieces, scores=scores, types=types, **roles))
    again = Tokenizer(written)
    assert pieces_of(again)[0] == pieces
    assert again.encode(HOSTILE) == tokenizer.encode(HOSTILE)


def test_indentation_that_a_converter_wrote_with_plain_spaces_is_one_piece(tokenizer):
    """As in published files of Gemma 3: user-defined pieces of spaces, which otherwise match no text."""
    pieces, scores, types = pieces_of(tokenizer)
    indentation = next(i for i in range(len(pieces) - 1, 0, -1) if types[i] == 1 and len(pieces[i]) > 3)
    pieces[indentation], types[indentation] = " " * 61, 4
    roles = {"bos": tokenizer.bos, "eos": tokenizer.eos, "padding": tokenizer.pad, "unknown": tokenizer.unk}
    metadata = {f"tokenizer.ggml.{name}_token_id": id_ for name, id_ in roles.items()}
    lists = {"tokens": pieces, "scores": [float(score) for score in scores], "token_type": types}
    metadata |= {"tokenizer.ggml.model": "llama", **{f"tokenizer.ggml.{name}": of for name, of in lists.items()}}
    inside = Tokenizer(encode_model(_vocabulary(metadata)))
    text = "\n" + " " * 61 + "x"
    assert indentation in inside.encode(text)
    assert inside.decode(inside.encode(text)) == text
