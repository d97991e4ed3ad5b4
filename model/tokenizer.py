"""SentencePiece, made lossless and safe for source code. No JAX.

Two promises that SentencePiece alone doesn't keep:

- *Text never parses as control.* Gemma's vocabulary turns a literal `<|fim_prefix|>` in a file
  into control id 67. Here such text is cut inside the name before it is encoded, so that it
  becomes ordinary pieces, no byte edited: `<` + `|fim_prefix|>`. Callers who mean control
  tokens use their ids (`tokenizer.fim_prefix`).
- *Decoding gives back the text*, byte for byte. SentencePiece writes a space as U+2581, so a
  real U+2581 would come back as a space; it is encoded by its three bytes instead.

Text without control-like names and U+2581, nearly all of it, is one SentencePiece call.
Source: SentencePiece (arXiv 1808.06226); CodeGemma's control tokens (arXiv 2406.11409).
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from model.errors import ConfigError, RecordError, reading
from model.sentencepiece_outline import check_outline
from model.storage import is_folder, read_bytes, resolve

_SPACE = "\u2581"  # how SentencePiece writes a space inside pieces

# Pieces that steer a model though the vocabulary doesn't mark them as control (Gemma defines most
# of its own as user symbols). HTML tags, which are user symbols too, are ordinary text.
_CONTROL_NAME = re.compile(
    r"<(?:pad|eos|bos|unk|mask|2mass|(?:start|end)_of_(?:turn|image)|image_soft_token)>|<unused\d+>|"
    r"<\|[^|<>\s]+\|>|\[@BOS@\]|\[multimodal\]"
)

_CHARS_AT_ONCE = 1024
_MOST_BYTES = 64 << 20  # of a vocabulary's file: Gemma's has 4

# What normalizers are prone to change: outer and double spaces, line ends, compatibility characters.
_PROBES = (" a", "a  b ", "\r\n\t", "\ufb01 \u2460 \uff1c", "\x00", "e\u0301", "\ufeff", "\U0001f600")


class Tokenizer:
    """A SentencePiece vocabulary with CodeGemma's control tokens. Thread-safe, picklable.

    Args:
        model: The bytes of a SentencePiece model.
        source: Where they came from, for messages.

    Raises:
        ConfigError: Not a SentencePiece model, or one that can't give text back as it was.
    """

    def __init__(self, model: bytes, source: str = "tokenizer"):
        self._model = model
        self._source = source
        with reading(source, "a SentencePiece model"):
            check_outline(model, source)
            self._parse()
            self._check_lossless()

    def _parse(self) -> None:
        import sentencepiece

        self._processor = sentencepiece.SentencePieceProcessor()
        try:
            self._processor.load_from_serialized_proto(self._model)
        except (RuntimeError, ValueError):
            raise ConfigError(f"{self._source} is no SentencePiece model ({len(self._model)} bytes)") from None
        everything = list(range(self.vocab_size))
        pieces: list[str] = self._processor.id_to_piece(everything)
        self._ids = dict(zip(pieces, everything, strict=True))
        marked = zip(self._processor.is_control(everything), self._processor.is_unknown(everything), strict=True)
        self.control_ids = frozenset(
            id_
            for id_, (is_marked, piece) in enumerate(zip(map(any, marked), pieces, strict=True))
            if is_marked or _CONTROL_NAME.fullmatch(piece)
        )
        self._find_byte_ids()
        byte_values = {id_: bytes([value]) for value, id_ in enumerate(self._byte_ids)}
        self._bytes = [
            b"" if id_ in self.control_ids else byte_values.get(id_) or piece.replace(_SPACE, " ").encode()
            for id_, piece in enumerate(pieces)
        ]
        self._shown = [pieces[id_].encode() if id_ in self.control_ids else of for id_, of in enumerate(self._bytes)]
        self._names = [pieces[id_] for id_ in sorted(self.control_ids)]
        self._special = _starts_of([*self._names, _SPACE])
        # Two characters of each name, most files have none of these: looking for them is ten times faster.
        self._special_starts = tuple(sorted({name[:2] for name in self._names} | {_SPACE}))
        self._splits_at_newlines = all(b"\n" not in piece.lstrip(b"\n") for piece in self._bytes)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Tokenizer:
        """Read a vocabulary: a `.model` file, a checkpoint's folder or file, or a shipped model's name ("embedded")."""
        place = resolve(path)
        if place.endswith((".model", ".spm")) and not is_folder(place):
            return cls(read_bytes(place, max_bytes=_MOST_BYTES), source=place)
        from model.checkpoint.vocabulary import read_vocabulary  # takes a quarter of a second, not needed for a file

        content, source = read_vocabulary(place)
        return cls(content, source=source)

    def encode(self, text: str) -> list[int]:
        """The ids of a text, none of them a control id, no begin-of-sequence added.

        Raises:
            RecordError: `lone_surrogate`, as such text has no UTF-8 form.
        """
        _check_encodable(text)
        if not self._has_special(text):
            return self._processor.encode(text)
        ids: list[int] = []
        for chunk in self._chunks(text):
            ids += self._space_ids if chunk == _SPACE else self._processor.encode(chunk)
        return ids

    def encode_array(self, text: str) -> npt.NDArray[np.int32]:
        """As `encode`, as an array, and faster. Raises as that does."""
        _check_encodable(text)
        if not hasattr(self._processor, "EncodeAsNumpy") or self._has_special(text):
            return np.asarray(self.encode(text), np.int32)
        encode: Callable[[str], npt.NDArray[np.int32]] = self._processor.EncodeAsNumpy
        parts: list[npt.NDArray[np.int32]] = []
        start = 0
        # From cut to cut: the time of each merge of two pieces grows with how many wait to be merged.
        while self._splits_at_newlines and len(text) - start > _CHARS_AT_ONCE:
            if (end := first_cut(text, start + _CHARS_AT_ONCE, len(text))) < 0:
                break
            parts.append(encode(text[start:end]))
            start = end
        rest = encode(text[start:])
        return np.concatenate([*parts, rest]) if parts else rest

    def decode_bytes(self, ids: Iterable[int], *, keep_control: bool = False) -> bytes:
        """The exact bytes that the ids stand for; control ids stand for nothing, or for their names."""
        return b"".join(map((self._shown if keep_control else self._bytes).__getitem__, ids))

    def decode(self, ids: Iterable[int], *, keep_control: bool = False) -> str:
        """The text that the ids stand for; bytes that are no UTF-8 (a character cut in two) become U+FFFD."""
        return self.decode_bytes(ids, keep_control=keep_control).decode("utf-8", errors="replace")

    def piece(self, id_: int) -> str:
        """The piece as the vocabulary writes it, spaces as U+2581."""
        return self._processor.id_to_piece(int(id_))

    def control_id(self, name: str) -> int:
        """The id of a control token by its piece, such as `<|fim_prefix|>`.

        Raises:
            ConfigError: The vocabulary has no such control token.
        """
        id_ = self._ids.get(name, -1)
        if id_ not in self.control_ids:
            raise ConfigError(f"{self._source} has no control token {name}; use CodeGemma's tokenizer.model")
        return id_

    @property
    def splits_at_newlines(self) -> bool:
        """Whether a text cut before a line feed, but not between two of them, has the ids of its parts: no piece
        has a line feed after another character, so none can reach over such a cut."""
        return self._splits_at_newlines

    @property
    def piece_lengths(self) -> list[int]:
        """For each id the number of bytes that it stands for; 0 for control ids."""
        return [len(piece) for piece in self._bytes]

    @property
    def vocab_size(self) -> int:
        """How many pieces there are (a model's embedding may have more rows)."""
        return self._processor.vocab_size()

    @property
    def sha256(self) -> str:
        """Hash of the vocabulary's bytes, for the lineage."""
        return hashlib.sha256(self._model).hexdigest()

    @property
    def bos(self) -> int:
        """Begin of sequence: every prompt starts with it."""
        return self._marked(self._processor.bos_id(), "begin-of-sequence")

    @property
    def eos(self) -> int:
        """End of sequence."""
        return self._marked(self._processor.eos_id(), "end-of-sequence")

    @property
    def pad(self) -> int:
        """Padding."""
        return self._marked(self._processor.pad_id(), "padding")

    @property
    def unk(self) -> int:
        """Unknown; never produced, as what has no piece is spelled in bytes."""
        return self._marked(self._processor.unk_id(), "unknown")

    @property
    def fim_prefix(self) -> int:
        """Begins the text before the hole (67 in CodeGemma)."""
        return self.control_id("<|fim_prefix|>")

    @property
    def fim_middle(self) -> int:
        """Asks for the hole's text (68 in CodeGemma)."""
        return self.control_id("<|fim_middle|>")

    @property
    def fim_suffix(self) -> int:
        """Begins the text after the hole (69 in CodeGemma)."""
        return self.control_id("<|fim_suffix|>")

    @property
    def file_separator(self) -> int:
        """Stands between files of a packed repository (70 in CodeGemma)."""
        return self.control_id("<|file_separator|>")

    @property
    def start_of_turn(self) -> int:
        """Begins a turn of a chat."""
        return self.control_id("<start_of_turn>")

    @property
    def end_of_turn(self) -> int:
        """Ends a turn of a chat."""
        return self.control_id("<end_of_turn>")

    def __reduce__(self) -> tuple[type[Tokenizer], tuple[bytes, str]]:
        return Tokenizer, (self._model, self._source)

    def _marked(self, id_: int, name: str) -> int:
        if id_ < 0:
            raise ConfigError(f"{self._source} has no {name} id; use CodeGemma's tokenizer.model")
        return id_

    def _has_special(self, text: str) -> bool:
        """Whether there is something that must not be encoded as it stands."""
        return any(start in text for start in self._special_starts) and self._special.search(text) is not None

    def _chunks(self, text: str) -> Iterator[str]:
        """Cut a text one character into each control name, and around each U+2581."""
        begin = 0
        for match in self._special.finditer(text):
            here = match.start()
            if text[here] != _SPACE:
                yield text[begin : here + 1]
            else:
                if begin < here:
                    yield text[begin:here]
                yield _SPACE
            begin = here + 1
        if begin < len(text):
            yield text[begin:]

    def _find_byte_ids(self) -> None:
        self._byte_ids = [self._ids.get(f"<0x{value:02X}>", -1) for value in range(256)]
        if -1 in self._byte_ids:
            raise ConfigError(
                f"{self._source} has no byte fallback: it can't spell every text; train it with byte_fallback"
            )
        self._space_ids = [self._byte_ids[value] for value in _SPACE.encode()]

    def _check_lossless(self) -> None:
        for probe in _PROBES:
            if (back := self.decode(self.encode(probe))) != probe:
                raise ConfigError(
                    f"{self._source} changes text ({probe!r} comes back as {back!r}); it must be "
                    "trained with normalization_rule_name=identity, add_dummy_prefix and remove_extra_whitespaces off"
                )


def first_cut(text: str, start: int, end: int) -> int:
    """The first line feed in `[start, end)` that follows another character; -1 if there is none.

    See `Tokenizer.splits_at_newlines`.
    """
    place = text.find("\n", start, end)
    while place > 0 and text[place - 1] == "\n":
        place = text.find("\n", place + 1, end)
    return place if place > 0 else -1


def _starts_of(names: Sequence[str]) -> re.Pattern[str]:
    """A pattern that matches the first character of each name, wherever one begins (they may overlap).

    Names are grouped by that character, so that the search skips ahead to it.

    >>> [m.start() for m in _starts_of(["<a>", "<|b|>"]).finditer("x<<a><|b|><c>")]
    [2, 5]
    """
    rests: dict[str, list[str]] = {}
    for name in names:
        rests.setdefault(name[0], []).append(re.escape(name[1:]))
    return re.compile("|".join(f"{re.escape(first)}(?={'|'.join(rest)})" for first, rest in rests.items()))


def _check_encodable(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise RecordError(
            "lone_surrogate",
            f"character {error.start} of {len(text)} is half a surrogate pair, which has no UTF-8 form",
        ) from None
