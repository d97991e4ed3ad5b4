"""Vocabularies for tests: a small one that is built here, and CodeGemma's if it is available."""

from __future__ import annotations

from pathlib import Path

import pytest
import sentencepiece

from model.tokenizer import Tokenizer

CODEGEMMA = Path(__file__).parents[2].parent / "shared" / "tokenizer" / "codegemma.model"
LINES = [
    "def add(first, second):",
    "    return first + second",
    "for index in range(10):",
    "        print(index)",
    "import os, sys",
    "class Point(object):",
    "self.value = value",
]


@pytest.fixture(scope="session")
def small_vocabulary(tmp_path_factory) -> str:
    """The path of a SentencePiece model of 360 pieces with CodeGemma's control tokens."""
    path = tmp_path_factory.mktemp("vocabulary") / "tokenizer.model"
    with path.open("wb") as model:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(LINES * 20),
            model_writer=model,
            model_type="bpe",
            vocab_size=360,
            byte_fallback=True,
            normalization_rule_name="identity",
            add_dummy_prefix=False,
            remove_extra_whitespaces=False,
            pad_id=0,
            eos_id=1,
            bos_id=2,
            unk_id=3,
            pad_piece="<pad>",
            eos_piece="<eos>",
            bos_piece="<bos>",
            user_defined_symbols=[
                "<|fim_prefix|>",
                "<|fim_middle|>",
                "<|fim_suffix|>",
                "<|file_separator|>",
                "<start_of_turn>",
                "<end_of_turn>",
            ],
            minloglevel=2,
        )
    return str(path)


@pytest.fixture(scope="session")
def small_tokenizer(small_vocabulary) -> Tokenizer:
    return Tokenizer.load(small_vocabulary)


@pytest.fixture(scope="session")
def codegemma_tokenizer() -> Tokenizer:
    if not CODEGEMMA.exists():
        pytest.skip("CodeGemma's vocabulary is under the Gemma terms and doesn't ship with the project")
    return Tokenizer.load(CODEGEMMA)
