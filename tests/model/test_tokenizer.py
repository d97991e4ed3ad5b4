"""Text round-trips exactly and never becomes control ids, in a small vocabulary and in CodeGemma's."""

from __future__ import annotations

import io
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st

from model.errors import ConfigError, RecordError
from model.tokenizer import Tokenizer

CODEGEMMA = Path(__file__).parents[2].parent / "shared" / "tokenizer" / "codegemma.model"
FIM_NAMES = ["<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|file_separator|>"]
TURN_NAMES = ["<start_of_turn>", "<end_of_turn>"]
NASTY = [*FIM_NAMES, *TURN_NAMES, "<bos>", "<eos>", "<pad>", "<unk>", "<mask>", "<unused7>", "[@BOS@]", "<0x41>"]
NASTY += ["<table>", "</s>", "<", "|>", "\u2581", "\u2581\u2581", " ", " " * 33, " " * 70, "\t", "\r\n", "\r", "\n\n\n"]
NASTY += ["\x00", "\ufeff", "\u00a0", "\u200b", "e\u0301", "\ufb01", "\U0001f469\u200d\U0001f4bb", "def f(x):\n"]
NASTY += ["    return x\n", "\uffff", "\U0010ffff", "\u3000"]
TEXTS = st.lists(st.one_of(st.sampled_from(NASTY), st.text(max_size=12)), max_size=12).map("".join)


def train(**options) -> bytes:
    lines = ["def add(first, second):", "    return first + second", "for index in range(10):", "        print(index)"]
    model = io.BytesIO()
    settings_ = {
        "model_type": "bpe",
        "vocab_size": 340,
        "byte_fallback": True,
        "normalization_rule_name": "identity",
        "add_dummy_prefix": False,
        "remove_extra_whitespaces": False,
        "pad_id": 0,
        "eos_id": 1,
        "bos_id": 2,
        "unk_id": 3,
        "pad_piece": "<pad>",
        "eos_piece": "<eos>",
        "bos_piece": "<bos>",
        "user_defined_symbols": [*FIM_NAMES, *TURN_NAMES],
        "minloglevel": 2,
    }
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines * 20), model_writer=model, **{**settings_, **options}
    )
    return model.getvalue()


@pytest.fixture(scope="module")
def small_model() -> bytes:
    return train()


@pytest.fixture(scope="module", params=["small", "codegemma"])
def tokenizer(request, small_model) -> Tokenizer:
    if request.param == "small":
        return Tokenizer(small_model)
    if not CODEGEMMA.exists():
        pytest.skip(
            "CodeGemma's vocabulary isn't in ../shared: it is under the Gemma terms and doesn't ship with the project"
        )
    return Tokenizer.load(CODEGEMMA)


@settings(max_examples=300, deadline=None)
@given(first=TEXTS, second=TEXTS)
def test_parts_cut_before_a_line_feed_have_the_ids_of_the_whole(tokenizer, first, second):
    first, second = first.rstrip("\n"), "\n" + second
    assert tokenizer.splits_at_newlines
    assert tokenizer.encode(first + second) == tokenizer.encode(first) + tokenizer.encode(second)


def test_a_vocabulary_with_a_line_feed_inside_a_piece_does_not_split_there():
    assert not Tokenizer(train(user_defined_symbols=[*FIM_NAMES, *TURN_NAMES, ";\n"])).splits_at_newlines


@settings(max_examples=300, deadline=None)
@given(text=TEXTS)
def test_any_text_comes_back_exactly_and_holds_no_control_id(tokenizer, text):
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert tokenizer.decode_bytes(ids) == text.encode()
    assert not tokenizer.control_ids.intersection(ids)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_ids_of_any_kind_decode_to_the_bytes_of_their_pieces(tokenizer, data):
    ids = data.draw(st.lists(st.integers(0, tokenizer.vocab_size - 1), max_size=20))
    parts = [tokenizer.decode_bytes([id_]) for id_ in ids]
    assert tokenizer.decode_bytes(ids) == b"".join(parts)
    assert tokenizer.decode(ids) == b"".join(parts).decode("utf-8", errors="replace")


def test_ordinary_text_encodes_as_sentencepiece_does(tokenizer):
    text = Path(__file__).read_text().split("NASTY")[0].replace("<|fim", "<fim").replace("<|file", "<file")
    text = text.replace("_of_turn", "")
    plain = sentencepiece.SentencePieceProcessor()
    plain.load_from_serialized_proto(tokenizer._model)
    assert tokenizer.encode(text) == plain.encode(text)


def test_control_tokens_are_found_by_name(tokenizer):
    names = ["bos", "eos", "pad", "unk", "fim_prefix", "fim_middle", "fim_suffix", "file_separator", "start_of_turn"]
    ids = [getattr(tokenizer, name) for name in [*names, "end_of_turn"]]
    assert len(set(ids)) == len(ids)
    assert set(ids) <= tokenizer.control_ids


def test_codegemmas_ids_are_the_published_ones():
    if not CODEGEMMA.exists():
        pytest.skip(
            "CodeGemma's vocabulary isn't in ../shared: it is under the Gemma terms and doesn't ship with the project"
        )
    tokenizer = Tokenizer.load(CODEGEMMA.parent)
    assert (tokenizer.pad, tokenizer.eos, tokenizer.bos, tokenizer.unk) == (0, 1, 2, 3)
    assert [tokenizer.control_id(name) for name in FIM_NAMES] == [67, 68, 69, 70]
    assert (tokenizer.start_of_turn, tokenizer.end_of_turn) == (106, 107)
    assert tokenizer.vocab_size == 256_000
    assert tokenizer.piece(169) == "<table>" and 169 not in tokenizer.control_ids


def test_control_ids_decode_to_nothing_unless_their_names_are_asked_for(tokenizer):
    ids = [tokenizer.bos, tokenizer.fim_prefix, *tokenizer.encode("x = 1"), tokenizer.file_separator]
    assert tokenizer.decode(ids) == "x = 1"
    assert tokenizer.decode(ids, keep_control=True) == "<bos><|fim_prefix|>x = 1<|file_separator|>"


def test_a_missing_control_token_is_named():
    tokenizer = Tokenizer(train(user_defined_symbols=FIM_NAMES[:2], pad_id=-1), source="my.model")
    assert tokenizer.fim_prefix in tokenizer.control_ids
    with pytest.raises(ConfigError, match=r"my.model has no control token <\|fim_suffix\|>"):
        _ = tokenizer.fim_suffix
    with pytest.raises(ConfigError, match=r"my.model has no padding id"):
        _ = tokenizer.pad


def test_a_lone_surrogate_is_the_records_fault(tokenizer):
    with pytest.raises(RecordError, match="lone_surrogate: character 3 of 4") as error:
        tokenizer.encode("abc\ud800")
    assert error.value.reason == "lone_surrogate"


@pytest.mark.parametrize(
    "options",
    [{"normalization_rule_name": "nmt_nfkc"}, {"add_dummy_prefix": True}, {"remove_extra_whitespaces": True}],
    ids=lambda options: next(iter(options)),
)
def test_a_vocabulary_that_changes_text_is_refused(options):
    with pytest.raises(ConfigError, match="changes text"):
        Tokenizer(train(**options))


def test_a_vocabulary_without_byte_fallback_is_refused():
    with pytest.raises(ConfigError, match="has no byte fallback"):
        Tokenizer(train(byte_fallback=False, vocab_size=80, character_coverage=1.0))


def test_what_is_no_vocabulary_is_refused_in_one_line(tmp_path, small_model):
    (tmp_path / "tokenizer.model").write_bytes(b"not a model")
    with pytest.raises(ConfigError, match=r"tokenizer.model is no SentencePiece model \(11 bytes\)"):
        Tokenizer.load(tmp_path)
    (tmp_path / "tokenizer.model").rename(tmp_path / "tokenizer.json")
    with pytest.raises(ConfigError, match=r"holds no tokenizer.model \(found: tokenizer.json\)"):
        Tokenizer.load(tmp_path)
    with pytest.raises(ConfigError, match="there is no file"):
        Tokenizer.load(tmp_path / "absent.model")
    (tmp_path / "own.model").write_bytes(small_model)
    assert Tokenizer.load(tmp_path).vocab_size == 340


LINES = st.lists(
    st.sampled_from(["x = 1", "\n", "\n\n", "  é", "\U0001f600", "\u2581", "<eos>", "\r\n", "\t"]), max_size=40
)


@settings(max_examples=100, deadline=None)
@given(text=LINES.map("".join), at_once=st.integers(1, 30))
def test_an_array_has_the_ids_of_the_list_wherever_it_is_cut(tokenizer, text, at_once):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("model.tokenizer._CHARS_AT_ONCE", at_once)
        found = tokenizer.encode_array(text)
    assert found.dtype == np.int32
    assert found.tolist() == tokenizer.encode(text)


def test_an_array_of_a_lone_surrogate_is_refused(tokenizer):
    with pytest.raises(RecordError, match="lone_surrogate"):
        tokenizer.encode_array("x\ud800")


def test_a_pickled_tokenizer_reopens_the_same_vocabulary(tokenizer):
    again = pickle.loads(pickle.dumps(tokenizer))  # noqa: S301 - our own bytes
    assert again.encode("def f(): \u2581<bos>") == tokenizer.encode("def f(): \u2581<bos>")
    assert again.sha256 == tokenizer.sha256


def test_many_threads_share_one_tokenizer(tokenizer):
    texts = [f"def f{i}(<|fim_middle|>):\n    return '\u2581{i}'" for i in range(200)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(tokenizer.encode, texts)) == [tokenizer.encode(text) for text in texts]


def test_importing_model_and_tokenizer_starts_no_jax():
    program = "import sys, model, model.config, model.tokenizer, model.storage; model.PRESETS; model.Tokenizer\n"
    program += "assert not {'jax', 'flax', 'apache_beam'} & sys.modules.keys(), sorted(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[2])
