"""From a file's bytes to its text, with the encoding named, or a reason why it has none.

In this order, the first that fits:

1. a byte order mark: UTF-8, UTF-16 or UTF-32. The mark is not part of the text;
2. a NUL byte without such a mark: binary;
3. UTF-8 (ASCII included);
4. what charset-normalizer finds, which honours a declared encoding such as `# -*- coding: koi8-r -*-`. A finding counts
   only if encoding the text again gives the very same bytes, so nothing is edited by a guess.

Line ends stay as they are. Cost: UTF-8 at memory speed; a guess takes some milliseconds a file.
"""

from __future__ import annotations

import codecs
import logging
from dataclasses import dataclass

from model.errors import RecordError

# UTF-32's little-endian mark begins with UTF-16's, so it is tried first.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8", "UTF-8-SIG"),
    (codecs.BOM_UTF32_LE, "utf-32-le", "UTF-32-LE"),
    (codecs.BOM_UTF32_BE, "utf-32-be", "UTF-32-BE"),
    (codecs.BOM_UTF16_LE, "utf-16-le", "UTF-16-LE"),
    (codecs.BOM_UTF16_BE, "utf-16-be", "UTF-16-BE"),
)

# Names as the web and Stack v2 write them, where Python's own differ.
_IANA = {"cp1252": "windows-1252", "cp1251": "windows-1251", "cp1250": "windows-1250", "latin_1": "ISO-8859-1"}


@dataclass(frozen=True, slots=True)
class Decoded:
    """A file's text and the encoding that it was written in (`UTF-8-SIG`: UTF-8 with a byte order mark)."""

    text: str
    encoding: str


def decode(data: bytes) -> Decoded:
    r"""Decodes a file.

    Raises:
        RecordError: `binary_content` or `undecodable`.

    >>> decode("é".encode())
    Decoded(text='é', encoding='UTF-8')
    >>> decode(b"\xef\xbb\xbfx = 1")
    Decoded(text='x = 1', encoding='UTF-8-SIG')
    """
    for mark, codec, name in _MARKS:
        if data.startswith(mark):
            return Decoded(_decode_marked(data[len(mark) :], codec, name), name)
    if (nul := data.find(b"\0")) >= 0:
        raise RecordError("binary_content", f"NUL at byte {nul} and no byte order mark")
    try:
        return Decoded(data.decode("utf-8"), "UTF-8")
    except UnicodeDecodeError as error:
        return _guess(data, error.start)


def _decode_marked(data: bytes, codec: str, name: str) -> str:
    try:
        text = data.decode(codec)
    except UnicodeDecodeError as error:
        raise RecordError("undecodable", f"byte order mark of {name}, but byte {error.start} after it is not") from None
    if "\0" in text:
        raise RecordError("binary_content", f"byte order mark of {name}, but NUL characters")
    return text


def _guess(data: bytes, first_bad: int) -> Decoded:
    # Imported late: half a tenth of a second that a corpus of UTF-8 never needs.
    from charset_normalizer import from_bytes

    logging.getLogger("charset_normalizer").setLevel(logging.ERROR)
    match = from_bytes(data).best()
    if match is None:
        raise RecordError("undecodable", f"byte {first_bad} is no UTF-8, and no other encoding fits")
    codec = match.encoding
    try:
        text = data.decode(codec)
        is_same = text.encode(codec) == data
    except UnicodeError:
        is_same = False
    if not is_same:
        raise RecordError("undecodable", f"looks like {codec}, but doesn't come back from it byte for byte")
    return Decoded(text, _IANA.get(codec, codec.upper().replace("_", "-")))
