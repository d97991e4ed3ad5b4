"""Checks what a SentencePiece model consists of before its parser, in C++, reads it.

A model is a protocol buffer message: fields one after another, of which number 1 is a piece. A field of two bytes takes
a hundred in the parser's memory, so 60 MB of them are refused here. No JAX, no NumPy. Sources as in
`model.sentencepiece_proto`.
"""

from __future__ import annotations

from typing import Final

from model.errors import ConfigError

MOST_PIECES: Final = 1 << 20  # Gemma's has 256,000
MOST_OTHER_BYTES: Final = 4 << 20  # settings and rules of normalization: SentencePiece's own have up to 0.3 MB
_PIECE_TAG: Final = 1 << 3 | 2
_FIXED_BYTES: Final = {1: 8, 5: 4}  # of a field's value, by wire type
_NUMBER, _BYTES = 0, 2


def check_outline(model: bytes, source: str) -> None:
    """Checks that a model is whole fields from beginning to end, and not too many. Cost: 0.13 us a piece.

    Args:
        model: The serialized `ModelProto`.
        source: Where it came from, for messages.

    Raises:
        ConfigError: It isn't, has more than MOST_PIECES, or more than MOST_OTHER_BYTES beside its pieces.
    """
    at = pieces = other_bytes = 0
    try:
        while at < len(model) and pieces <= MOST_PIECES:
            if model[at] == _PIECE_TAG and model[at + 1] < 0x80:  # nearly all of them
                at += 2 + model[at + 1]
                pieces += 1
                continue
            tag, begin = _read_varint(model, at)
            end = _end_of_value(model, begin, tag & 7)
            if tag == _PIECE_TAG:
                pieces += 1
            else:
                other_bytes += end - at
            at = end
    except (IndexError, ValueError):
        at = len(model) + 1
    if pieces > MOST_PIECES:
        raise ConfigError(f"{source} has more than {MOST_PIECES:,} pieces")
    if at > len(model):
        raise ConfigError(f"{source} is no SentencePiece model ({len(model)} bytes)")
    if other_bytes > MOST_OTHER_BYTES:
        raise ConfigError(f"{source} has {other_bytes:,} bytes beside its pieces; at most {MOST_OTHER_BYTES:,}")


def _end_of_value(model: bytes, at: int, wire_type: int) -> int:
    """Raises ValueError for a wire type that such models don't have."""
    if wire_type in _FIXED_BYTES:
        return at + _FIXED_BYTES[wire_type]
    number, at = _read_varint(model, at)
    if wire_type not in (_NUMBER, _BYTES):
        raise ValueError(f"wire type {wire_type}")
    return at + number if wire_type == _BYTES else at


def _read_varint(model: bytes, at: int) -> tuple[int, int]:
    """A number and where it ends. Raises ValueError if it has more than ten bytes, IndexError if it doesn't end."""
    number = 0
    for place in range(10):
        byte = model[at + place]
        number |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return number, at + place + 1
    raise ValueError("a number of more than ten bytes")
