"""Writes a SentencePiece model from its pieces, for formats that store them in a form of their own.

A model is one protocol buffer message, of which a decoder needs little: the pieces with their scores and types, the
kind of model, four ids, and a normalizer that changes nothing. Source: sentencepiece_model.proto (google/sentencepiece)
and the protocol buffer encoding (protobuf.dev/programming-guides/encoding).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

NORMAL: Final = 1
CONTROL: Final = 3
USER_DEFINED: Final = 4
TYPES: Final = range(1, 7)  # normal, unknown, control, user-defined, unused, byte: as in GGUF

_BPE: Final = 2  # TrainerSpec.ModelType


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """The pieces of a byte-pair vocabulary by id, and the ids with a role (-1: none has it)."""

    pieces: Sequence[str]
    scores: Sequence[float]
    types: Sequence[int]
    unk: int
    bos: int
    eos: int
    pad: int


def encode_model(vocabulary: Vocabulary) -> bytes:
    """Returns the serialized `ModelProto`."""
    pieces = zip(vocabulary.pieces, vocabulary.scores, vocabulary.types, strict=True)
    trainer = [_number(3, _BPE), _number(35, 1)]  # model_type, byte_fallback
    for place, id_ in enumerate((vocabulary.unk, vocabulary.bos, vocabulary.eos, vocabulary.pad)):
        trainer.append(_number(40 + place, id_))  # unk_id, bos_id, eos_id, pad_id
        if id_ >= 0:
            trainer.append(_bytes(45 + place, vocabulary.pieces[id_].encode()))  # unk_piece, ...
    normalizer = [_bytes(1, b"identity"), _number(3, 0), _number(4, 0), _number(5, 1)]
    whole = [_bytes(1, b"".join(_piece(*piece))) for piece in pieces]
    return b"".join([*whole, _bytes(2, b"".join(trainer)), _bytes(3, b"".join(normalizer))])


def _piece(text: str, score: float, kind: int) -> Iterator[bytes]:
    yield _bytes(1, text.encode())
    yield _tag(2, 5) + struct.pack("<f", score)
    yield _number(3, kind)


def _bytes(field: int, content: bytes) -> bytes:
    return _tag(field, 2) + _varint(len(content)) + content


def _number(field: int, value: int) -> bytes:
    return _tag(field, 0) + _varint(value % (1 << 64))  # negative numbers in two's complement


def _tag(field: int, wire_type: int) -> bytes:
    return _varint(field << 3 | wire_type)


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])
