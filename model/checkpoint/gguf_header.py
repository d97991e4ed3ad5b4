"""Reads a GGUF file's header: what the model is, and where its tensors lie. No data is read.

    magic, version | counts | metadata: name, type, value ... | tensors: name, sizes, type, offset ... | padding | data

Every count and length is compared with the bytes that are left before it is believed, and tensors must follow each
other without gap or overlap. Lists, such as a vocabulary, are passed over unless they are asked for. Source: GGUF
specification, version 3 (ggml-org/ggml, docs/gguf.md).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import IO, Any

from model.errors import ConfigError

# struct's letter for each type of a number, by the specification's number of the type.
_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_TEXT, _LIST = 8, 9

_VERSIONS = (2, 3)
_MOST_KEYS = _MOST_TENSORS = 1 << 16  # a Gemma has about 40 and 254
_MOST_TEXT_BYTES = 1 << 20  # of a text that is kept
_MOST_ELEMENTS = 1 << 22  # of a list that is kept: Gemma's vocabulary has 256,000
_MOST_AXES = 4
_ALIGNMENT = 32  # where the file states none


@dataclass(frozen=True)
class TensorPlace:
    """A tensor as the header states it.

    Args:
        shape: As NumPy counts: the last axis is the one whose elements are neighbors.
        kind: The specification's number of its element type.
        offset: Where its data begin, from the beginning of the file.
    """

    shape: tuple[int, ...]
    kind: int
    offset: int


@dataclass(frozen=True)
class Header:
    """What a header says: numbers and texts by their names, tensors in the order of their data."""

    metadata: dict[str, Any]
    tensors: dict[str, TensorPlace]


def read_header(file: IO[bytes], size: int, *, lists: Collection[str] = ()) -> Header:
    """Read the header of a file of `size` bytes from its beginning; of its lists only those that `lists` names.

    Raises:
        ConfigError: What is there can't be a header, or says more than the file holds.
    """
    values = _Values(file, size)
    magic, version = values.take(4), values.number("I")
    if magic != b"GGUF" or version not in _VERSIONS:
        raise ConfigError(f"is no GGUF file of version 2 or 3: it begins with {magic!r} and version {version}")
    num_tensors = values.count("tensors", _MOST_TENSORS)
    num_keys = values.count("metadata keys", _MOST_KEYS)
    metadata = dict(_unique((_key_value(values, lists) for _ in range(num_keys)), "key"))
    stated = dict(_unique((_tensor(values) for _ in range(num_tensors)), "tensor"))
    alignment = metadata.get("general.alignment", _ALIGNMENT)
    if not isinstance(alignment, int) or alignment < 8 or alignment & (alignment - 1) or alignment > size:
        raise ConfigError(f"states an alignment of {alignment!r}; it must be a power of two from 8 on")
    begin = _aligned(values.position, alignment)
    places = {name: TensorPlace(t.shape, t.kind, begin + t.offset) for name, t in stated.items()}
    return Header(metadata, places)


def check_layout(header: Header, sizes: dict[str, int], file_size: int) -> None:
    """Compare where tensors lie with how large they are: one follows the other, padded, up to the file's end.

    Raises:
        ConfigError: A gap, an overlap, or data beyond the end.
    """
    alignment = header.metadata.get("general.alignment", _ALIGNMENT)
    expected = None
    for name, place in sorted(header.tensors.items(), key=lambda item: item[1].offset):
        end = place.offset + sizes[name]
        if expected not in (None, place.offset):
            raise ConfigError(f"{name} begins at byte {place.offset:,}, the tensor before it ends at {expected:,}")
        if end > file_size:
            raise ConfigError(f"is cut short: it has {file_size:,} bytes, {name} ends at {end:,}; copy it again")
        expected = _aligned(end, alignment)


class _Values:
    """Takes a header's values in their order, never beyond the file's end."""

    def __init__(self, file: IO[bytes], size: int):
        self._file, self._size = file, size
        self.position = 0

    def take(self, count: int) -> bytes:
        self._claim(count)
        taken = self._file.read(count)
        if len(taken) != count:
            raise ConfigError(f"is cut short: its header goes on at byte {self.position:,}")
        return taken

    def skip(self, count: int) -> None:
        self._claim(count)
        self._file.seek(self.position)

    def number(self, letter: str) -> Any:
        return struct.unpack(f"<{letter}", self.take(struct.calcsize(f"<{letter}")))[0]

    def count(self, what: str, most: int) -> int:
        found = self.number("Q")
        if found > min(most, self._size):
            raise ConfigError(f"claims {found:,} {what} in {self._size:,} bytes; at most {most:,} are accepted")
        return found

    def text(self) -> str:
        length = self.number("Q")
        if length > _MOST_TEXT_BYTES:
            raise ConfigError(f"claims a text of {length:,} bytes; at most {_MOST_TEXT_BYTES:,} are accepted")
        return self.take(length).decode()

    def value(self, *, keep_list: bool) -> Any:
        """A number or a text; a list if it is to be kept, else None."""
        kind = self.number("I")
        if kind == _TEXT:
            return self.text()
        if kind == _LIST:
            return self._list() if keep_list else self._skip_list()
        return self.number(_letter(kind))

    def _list(self) -> list[Any]:
        kind, length = self.number("I"), self.number("Q")
        if length > _MOST_ELEMENTS:
            raise ConfigError(f"claims a list of {length:,} elements; at most {_MOST_ELEMENTS:,} are accepted")
        if kind == _TEXT:
            return [self.text() for _ in range(length)]
        letter = _letter(kind)
        return list(struct.unpack(f"<{length}{letter}", self.take(length * struct.calcsize(f"<{letter}"))))

    def _skip_list(self) -> None:
        kind, length = self.number("I"), self.number("Q")
        if kind != _TEXT:
            self.skip(length * struct.calcsize(f"<{_letter(kind)}"))
            return
        if length * 8 > self._size - self.position:
            raise ConfigError(f"claims a list of {length:,} texts at byte {self.position:,} of {self._size:,}")
        for _ in range(length):
            self.skip(self.number("Q"))

    def _claim(self, count: int) -> None:
        if count > self._size - self.position:
            raise ConfigError(
                f"is no GGUF file, or is cut short: at byte {self.position:,} of {self._size:,} it needs {count:,} more"
            )
        self.position += count


def _key_value(values: _Values, lists: Collection[str]) -> tuple[str, Any]:
    name = values.text()
    return name, values.value(keep_list=name in lists)


def _letter(kind: int) -> str:
    if kind not in _NUMBERS:
        raise ConfigError(f"has metadata of type {kind}; known are {', '.join(map(str, _NUMBERS))}, and lists of these")
    return _NUMBERS[kind]


def _tensor(values: _Values) -> tuple[str, TensorPlace]:
    name, axes = values.text(), values.number("I")
    if not 1 <= axes <= _MOST_AXES:
        raise ConfigError(f"states {axes} axes for {name}; there are 1 to {_MOST_AXES}")
    sizes = [values.number("Q") for _ in range(axes)]
    if not 1 <= math.prod(sizes) < 1 << 62:
        raise ConfigError(f"states the sizes {sizes} for {name}")
    kind, offset = values.number("I"), values.number("Q")
    return name, TensorPlace(tuple(reversed(sizes)), kind, offset)


def _unique(items: Iterator[tuple[str, Any]], what: str) -> Iterator[tuple[str, Any]]:
    seen = set()
    for name, value in items:
        if name in seen:
            raise ConfigError(f"has the {what} {name} twice")
        seen.add(name)
        yield name, value


def _aligned(position: int, alignment: int) -> int:
    return -(-position // alignment) * alignment
