"""From a file's bytes to its text, with the encoding named and how sure it is, or a reason why it has none.

In this order, the first that fits:

    a byte order mark: UTF-8, UTF-16 or UTF-32; it is not part of the text          certain
    UTF-8 (ASCII included)                                                          certain
    ISO-2022-JP by its escape sequences                                             certain
    UTF-16 or UTF-32 without a mark, where every ASCII character shows by its NULs  likely
    what the file declares itself (`transforms.corpus.declared`)                    declared
    what reads as usual text by far the best (`transforms.corpus.evidence`)         likely
    what is nearly the best, and what other files of the source are written in      neighbors

Anything else is refused: `binary_content` where there is a NUL, `undecodable` where nothing reads as a text, and
`uncertain_encoding` where several things may, with their names. That bytes can be decoded proves nothing: any bytes
can, as Latin-1. What is kept always encodes to the same bytes again. Line ends stay as they are.
Cost: UTF-8 at memory speed; other files some milliseconds each.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass

from model.errors import RecordError
from transforms.corpus.declared import codecs_of, declared
from transforms.corpus.evidence import Finding, decodes, weigh

CERTAIN, DECLARED, LIKELY, NEIGHBORS, UNCERTAIN = "certain", "declared", "likely", "neighbors", "uncertain"
CONFIDENCES = (CERTAIN, DECLARED, LIKELY, NEIGHBORS, UNCERTAIN)

# Odds of e^5 = 150 to 1 by the tables of letters, which know a few dozen languages and no names: measured with
# `benchmarks/text_encodings.py`.
_MIN_MARGIN = 5.0
_CONTRADICTED = 10.0  # by so much must another reading be better to make a declaration doubtful

# UTF-32's little-endian mark begins with UTF-16's, so it is tried first.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8", "UTF-8-SIG"),
    (codecs.BOM_UTF32_LE, "utf-32-le", "UTF-32-LE"),
    (codecs.BOM_UTF32_BE, "utf-32-be", "UTF-32-BE"),
    (codecs.BOM_UTF16_LE, "utf-16-le", "UTF-16-LE"),
    (codecs.BOM_UTF16_BE, "utf-16-be", "UTF-16-BE"),
)
_CONTROLS = bytes({*range(32), 127} - set(b"\t\n\v\f\r\x1a\x1b"))
_MAX_CONTROLS = 0.01  # of the bytes of a text: some editors' scripts have a few
_ISO_2022 = re.compile(rb"\x1b\$[@B]")
_MIN_UNMARKED_CHARS = 16  # of UTF-16 without a mark: less may be anything
_TEXT_CHARS = re.compile(r"[^\x00-\x08\x0e-\x1a\x1c-\x1f\x7f-\x9f\ud800-\udfff\ue000-\uf8ff\ufff0-\uffff]*")


@dataclass(frozen=True, slots=True)
class Decoded:
    """A file's text, its encoding (`UTF-8-SIG`: UTF-8 with a byte order mark), and how sure that is (`CONFIDENCES`)."""

    text: str
    encoding: str
    confidence: str = CERTAIN


def decode(data: bytes, neighbors: Callable[[], Collection[str]] = tuple, *, keep_uncertain: bool = False) -> Decoded:
    r"""Decodes a file.

    Args:
        data: The file's bytes.
        neighbors: Asked only where it matters, names the encodings of the source's other files (`Neighbors.of`).
        keep_uncertain: Gives the best guess with the confidence `uncertain` instead of raising `uncertain_encoding`.

    Raises:
        RecordError: `binary_content`, `undecodable` or `uncertain_encoding`.

    >>> decode("é".encode())
    Decoded(text='é', encoding='UTF-8', confidence='certain')
    >>> decode(b"\xef\xbb\xbfx = 1")
    Decoded(text='x = 1', encoding='UTF-8-SIG', confidence='certain')
    """
    for mark, codec, name in _MARKS:
        if data.startswith(mark):
            return Decoded(_decode_marked(data[len(mark) :], codec, name), name)
    if (nul := data.find(b"\0")) >= 0:
        if (found := _unmarked_utf16_or_32(data)) is not None:
            return found
        raise RecordError("binary_content", f"NUL at byte {nul} and no byte order mark")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        first_bad = error.start
    else:
        if b"\x1b$" in data and _ISO_2022.search(data) and (japanese := decodes(data, "iso2022_jp")) is not None:
            return Decoded(japanese, "ISO-2022-JP")
        return Decoded(text, "UTF-8")
    if _is_damaged_utf8(data):
        raise RecordError("undecodable", f"UTF-8 but for some bytes, of which byte {first_bad} is the first")
    return _declared(data) or _by_evidence(data, first_bad, neighbors, keep_uncertain)


def _decode_marked(data: bytes, codec: str, name: str) -> str:
    try:
        text = data.decode(codec)
    except UnicodeDecodeError as error:
        raise RecordError("undecodable", f"byte order mark of {name}, but byte {error.start} after it is not") from None
    if "\0" in text:
        raise RecordError("binary_content", f"byte order mark of {name}, but NUL characters")
    return text


def _unmarked_utf16_or_32(data: bytes) -> Decoded | None:
    """UTF-16 or UTF-32 without a mark, where half the characters at least are ASCII, and all are those of a text."""
    for codec, name, width, at in (
        ("utf-32-le", "UTF-32-LE", 4, 0),
        ("utf-32-be", "UTF-32-BE", 4, 3),
        ("utf-16-le", "UTF-16-LE", 2, 0),
        ("utf-16-be", "UTF-16-BE", 2, 1),
    ):
        num_chars = len(data) // width
        if len(data) % width or num_chars < _MIN_UNMARKED_CHARS:
            continue
        # A few characters do end in a zero byte, such as the Chinese one. Programs have so many that a part will do.
        if any(data[at:end:width].count(0) > num_chars / 50 for end in (len(data) // 8, len(data))):
            continue
        if data[width - 1 - at :: width].count(0) < num_chars / 2:
            continue
        try:
            text = data.decode(codec)
        except UnicodeDecodeError:
            continue
        if _TEXT_CHARS.fullmatch(text) and sum(map(str.isascii, text)) >= num_chars / 2:
            return Decoded(text, name, LIKELY)
    return None


def _is_damaged_utf8(data: bytes) -> bool:
    """Whether most of what isn't ASCII is UTF-8 all the same: cut off, mixed with something else, or edited."""
    beyond_ascii = len(data) - len(data.decode("ascii", "ignore"))
    valid = data.decode("utf-8", "ignore")
    num_valid = len(valid.encode("utf-8")) - len(valid.encode("ascii", "ignore"))
    return num_valid > 0.7 * beyond_ascii


def _declared(data: bytes) -> Decoded | None:
    """The text by the file's own declaration, unless that doesn't fit, or another reading is far better."""
    label = declared(data)
    for codec, name in codecs_of(label) if label else ():
        text = decodes(data, codec)
        if text is None:
            continue
        finding = weigh(data)
        better = finding.best is not None and finding.margin >= _CONTRADICTED
        if better and all(decodes(data, near.codec) != text for near in finding.near):
            assert finding.best is not None
            raise RecordError("uncertain_encoding", f"declares {name} and reads as {finding.best.name}")
        return Decoded(text, name, DECLARED)
    return None


def _by_evidence(data: bytes, first_bad: int, neighbors: Callable[[], Collection[str]], keep: bool) -> Decoded:
    if len(data) - len(data.translate(None, _CONTROLS)) > _MAX_CONTROLS * len(data):
        raise RecordError("undecodable", f"byte {first_bad} is no UTF-8, and there are too many control characters")
    finding = weigh(data)
    if finding.best is None:
        raise RecordError("undecodable", f"byte {first_bad} is no UTF-8, and no other encoding gives a text")
    if finding.margin >= _MIN_MARGIN:
        return _decoded(data, finding.best.codec, finding.best.name, LIKELY)
    usual = neighbors()
    for encoding in finding.near:
        if encoding.name in usual:
            return _decoded(data, encoding.codec, encoding.name, NEIGHBORS)
    if keep:
        return _decoded(data, finding.best.codec, finding.best.name, UNCERTAIN)
    raise RecordError("uncertain_encoding", f"byte {first_bad} is no UTF-8; may be {_names(finding)}")


def _decoded(data: bytes, codec: str, name: str, confidence: str) -> Decoded:
    # The same characters: windows-1252 differs from it in the bytes 80 to 9F only.
    if name == "windows-1252" and not any(128 <= byte < 160 for byte in set(data)):
        name = "ISO-8859-1"
    return Decoded(data.decode(codec), name, confidence)


def _names(finding: Finding) -> str:
    names = [encoding.name for encoding in finding.near]
    return ", ".join(names[:4]) + (f" or one of {len(names) - 4} more" if len(names) > 4 else "")
