"""Trains the embedded model's SentencePiece vocabulary on a corpus.

    python benchmarks/embedded/tokenizer.py --corpus train.parquet --output tokenizer.model

Byte-pair encoding with byte fallback; digits are separate pieces; text is not changed (no normalization, no dummy
prefix). As in Gemma, runs of spaces are separate pieces, so that a hole that starts after the indentation starts with
the same pieces as the line did. In addition to Gemma's pieces, a line break with the indentation that follows is a
piece, which saves a token per line. Control tokens have CodeGemma's names, and text never produces them.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import sentencepiece

CONTROL = (
    "<|fim_prefix|>",
    "<|fim_middle|>",
    "<|fim_suffix|>",
    "<|file_separator|>",
    "<start_of_turn>",
    "<end_of_turn>",
)
SPACE = "\u2581"  # SentencePiece's symbol for a space
WHITESPACE = (
    *("\n" * breaks + SPACE * indent for breaks in (1, 2) for indent in range(0, 29, 4)),
    *(SPACE * run for run in range(2, 25)),
    "\n\n\n",
    "\t",
    "\r",
)


def samples(corpus: Path, total_chars: int, piece_chars: int = 4000) -> Iterator[str]:
    """Pieces of the corpus's files, sampled evenly, up to a total; SentencePiece doesn't accept longer ones."""
    contents = pq.read_table(corpus, columns=["content"])["content"].to_pylist()
    pieces = [text[start : start + piece_chars] for text in contents for start in range(0, len(text), piece_chars)]
    random.Random(0).shuffle(pieces)
    for piece in pieces:
        if total_chars <= 0:
            return
        total_chars -= len(piece)
        yield piece


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--vocab_size", type=int, default=4096)
    parser.add_argument("--sample_mb", type=float, default=8.0)
    options = parser.parse_args()
    with options.output.open("wb") as output:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=samples(options.corpus, int(options.sample_mb * 1e6)),
            model_writer=output,
            model_type="bpe",
            vocab_size=options.vocab_size,
            byte_fallback=True,
            split_digits=True,
            normalization_rule_name="identity",
            add_dummy_prefix=False,
            remove_extra_whitespaces=False,
            allow_whitespace_only_pieces=True,
            character_coverage=1.0 - 1e-5,
            max_sentence_length=1 << 16,
            pad_id=0, eos_id=1, bos_id=2, unk_id=3,
            pad_piece="<pad>", eos_piece="<eos>", bos_piece="<bos>", unk_piece="<unk>",
            control_symbols=list(CONTROL),
            user_defined_symbols=list(WHITESPACE),
            num_threads=2,
            minloglevel=1,
        )  # fmt: skip


if __name__ == "__main__":
    main()
