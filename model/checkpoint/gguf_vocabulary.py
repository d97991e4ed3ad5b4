"""The vocabulary inside a GGUF file, as a SentencePiece model. Source: GGUF specification, keys `tokenizer.ggml.*`."""

from __future__ import annotations

from typing import Any

from model.checkpoint.gguf_header import read_header
from model.errors import ConfigError, reading
from model.sentencepiece_proto import NORMAL, TYPES, USER_DEFINED, Vocabulary, encode_model
from model.storage import file_size, filesystem

_AT = "tokenizer.ggml."
_PIECES, _SCORES, _TYPES = f"{_AT}tokens", f"{_AT}scores", f"{_AT}token_type"
_KINDS = ("llama", "gemma")  # both are SentencePiece's byte-pair encoding
_SPACE = "\u2581"  # how SentencePiece writes a space inside pieces


def read_gguf_vocabulary(path: str) -> bytes:
    """Reads the vocabulary of one file, as the bytes of a SentencePiece model.

    Raises:
        ConfigError: The file has none, or one that isn't SentencePiece's.
    """
    files, inner = filesystem(path)
    with files.open(inner, "rb") as file, reading(path, "GGUF"):
        metadata = read_header(file, file_size(path), lists=(_PIECES, _SCORES, _TYPES)).metadata
        return encode_model(_vocabulary(metadata))


def _vocabulary(metadata: dict[str, Any]) -> Vocabulary:
    kind, pieces = metadata.get(f"{_AT}model"), metadata.get(_PIECES)
    if kind not in _KINDS or not pieces:
        what = f"a vocabulary of kind {kind!r}" if kind else "no vocabulary"
        raise ConfigError(f"holds {what}; put a tokenizer.model beside it (readable inside: {', '.join(_KINDS)})")
    scores, types = metadata.get(_SCORES), metadata.get(_TYPES) or [NORMAL] * len(pieces)
    if not scores or not len(pieces) == len(scores) == len(types):
        counts = f"{len(pieces):,} tokens, {len(scores or ()):,} scores and {len(types):,} types"
        raise ConfigError(f"holds {counts}; there must be one of each for every token")
    if not set(types) <= set(TYPES):
        raise ConfigError("has a token of a type that SentencePiece doesn't know")
    if not all(isinstance(piece, str) for piece in pieces):
        raise ConfigError(f"holds tokens that are no texts in {_PIECES}")
    if not all(isinstance(score, float) for score in scores):
        raise ConfigError(f"holds scores that are no numbers with a fraction in {_SCORES}")

    def id_of(name: str, default: int) -> int:
        found = metadata.get(f"{_AT}{name}_token_id", default)
        if not isinstance(found, int) or not -1 <= found < len(pieces):
            raise ConfigError(f"states {name}_token_id {found!r}; it must be one of its {len(pieces):,} tokens")
        return found

    return Vocabulary(
        pieces=[_with_marked_spaces(*piece) for piece in zip(pieces, types, strict=True)],
        scores=scores,
        types=types,
        unk=id_of("unknown", types.index(2) if 2 in types else -1),
        bos=id_of("bos", -1),
        eos=id_of("eos", -1),
        pad=id_of("padding", -1),
    )


def _with_marked_spaces(piece: str, kind: int) -> str:
    """The piece as SentencePiece writes it: llama.cpp's converter writes user-defined ones, such as indentation, with
    plain spaces, which match no text.
    """
    return piece.replace(" ", _SPACE) if kind == USER_DEFINED else piece
