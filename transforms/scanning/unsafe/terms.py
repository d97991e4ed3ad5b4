"""Terms: codemill's own lists, stored as keyed hashes so that no one has to read them, and users' lists in any script.

    a term           its shape, for which texts are searched         its hash, which decides
    "some phrase"    some qgqase (folded: s and t are s, ...)         d3a1...

The fold `FOLD` maps letters of either case, the digits and signs that people write for letters, and separators, each to
one byte, so that a shape is a literal in the folded text; it preserves positions. The hash, BLAKE2b over the normalized
term, decides. `term_finder.py` searches.
"""

from __future__ import annotations

import functools
import hashlib
import re
import tomllib
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from model.errors import ConfigError, one_line, shown
from transforms.scanning.findings import LISTED
from transforms.user_files import read_text

_TERM_KEY = b"codemill terms 1"
_HASH_HEX_DIGITS = 20
_PAIRS = ("ab", "cd", "ef", "gh", "ijkl", "mn", "op", "qr", "st", "uv", "wx", "yz")
READ_AS: Final[Mapping[str, str]] = {
    "0": "o", "1": "il", "!": "il", "3": "e", "4": "a", "@": "a", "5": "s", "$": "s", "7": "t", "8": "b", "9": "g",
}  # fmt: skip
"""Digits and signs by the letters for which they are written."""
SEPARATORS: Final = " _-\t"
OWN_TERMS: Final = Path(__file__).with_name("terms.toml")
MAX_TERMS: Final = 10_000
MAX_TERM_CHARS: Final = 100
MIN_LETTERS: Final = 3
UNSPACED: Final = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff]"
)
"""Scripts that are written without spaces, or, as Hangul, with particles at the words."""
IGNORED: Final = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufe00-\ufe0f\ufeff]"
)
"""Characters that are not seen: zero-width spaces and joiners, soft hyphens, marks of direction, glyph selectors."""


def _fold_table() -> bytes:
    table = bytearray(b"." * 128) + bytearray(range(128, 256))
    table[ord("\n")] = ord("\n")
    table[ord(".")] = ord("*")  # with `*`, what else may stand between single letters
    table[ord("*")] = ord("*")
    for separator in SEPARATORS:
        table[ord(separator)] = ord(" ")
    for digit in "26":
        table[ord(digit)] = ord(digit)
    for letters in _PAIRS:
        for letter in letters:
            table[ord(letter)] = table[ord(letter.upper())] = ord(letters[0])
    for sign, letters in READ_AS.items():
        table[ord(sign)] = table[ord(letters[0])]
    return bytes(table)


FOLD: Final = _fold_table()


@dataclass(frozen=True)
class TermList:
    """The terms of one type.

    Args:
        type: The type of its findings.
        name: The rule in its findings.
        shapes: The folded terms, words separated by one space.
        hashes: Hashes of the normalized terms.
        in_text: Whether a term counts only in comments, strings and prose.
        unless: An expression; a term in whose surroundings it matches is benign. The term is written there as NUL.
    """

    type: str
    name: str
    shapes: tuple[str, ...]
    hashes: frozenset[str]
    in_text: bool = False
    unless: str = ""

    @property
    def identity(self) -> list[object]:
        """All fields, as JSON can hold them, for the hash of a rule set."""
        return [self.type, self.name, list(self.shapes), sorted(self.hashes), self.in_text, self.unless]


def normalize_term(text: str) -> str:
    """Replaces compatibility forms (NFKC), puts a term in lower case, and removes invisible characters. Each run of
    other characters than letters, marks and digits becomes one space.

    >>> normalize_term("Ｂａｄ--W\u200bord")
    'bad word'
    """
    visible = IGNORED.sub("", unicodedata.normalize("NFKC", text)).casefold()
    return " ".join("".join(char if _is_letter(char) else " " for char in visible).split())


def _is_letter(char: str) -> bool:
    return char.isalnum() or unicodedata.category(char)[0] == "M"


@functools.lru_cache(maxsize=4096)
def term_hash(normalized: str) -> str:
    """The hash that represents a normalized term."""
    return hashlib.blake2b(normalized.encode("utf-8", "surrogatepass"), digest_size=32, key=_TERM_KEY).hexdigest()[
        :_HASH_HEX_DIGITS
    ]


def term_shape(normalized: str) -> str:
    """The shape of a normalized term.

    >>> term_shape("bad word")
    'aac woqc'
    """
    return normalized.encode("utf-8", "surrogatepass").translate(FOLD).decode("utf-8", "surrogatepass")


@functools.cache
def own_terms() -> tuple[TermList, ...]:
    """The project's lists."""
    content = tomllib.loads(OWN_TERMS.read_text(encoding="utf-8"))
    return tuple(
        TermList(
            table["type"],
            f"{table['type'].replace('_', '-')}-terms",
            tuple(table["shapes"]),
            frozenset(table["hashes"]),
            table.get("in_text", False),
            table.get("unless", ""),
        )
        for table in content["lists"]
    )


def read_term_list(finding_type: str, path: Path) -> TermList:
    """Reads a user's list: UTF-8, one term a line, `#` before a comment.

    Raises:
        ConfigError: It can't be read, has no term or too many, or a term is too short or too long (file, line, reason).
    """
    name = f"term list {one_line(path.name)}"
    try:
        lines = read_text(path, name).split("\n")
    except OSError as error:
        raise ConfigError(f"term list {one_line(path)}: {error.strerror or error}") from None
    terms = sorted(set(_terms(name, lines)))
    if not terms:
        raise ConfigError(f"{name} has no terms; write one a line")
    if len(terms) > MAX_TERMS:
        raise ConfigError(f"{name} has {len(terms)} terms; the limit is {MAX_TERMS}")
    shapes = tuple(sorted(set(map(term_shape, terms))))
    return TermList(finding_type, LISTED + finding_type.replace("_", "-"), shapes, frozenset(map(term_hash, terms)))


def _terms(name: str, lines: Iterable[str]) -> Iterable[str]:
    for number, line in enumerate(lines, start=1):
        term = line.strip()
        if not term or term.startswith("#"):
            continue
        if len(term) > MAX_TERM_CHARS:
            raise ConfigError(f"{name}:{number} has a term of {len(term)} characters; the limit is {MAX_TERM_CHARS}")
        normalized = normalize_term(term)
        least = MIN_LETTERS - 1 if UNSPACED.search(normalized) else MIN_LETTERS
        if len(normalized.replace(" ", "")) < least:
            raise ConfigError(f"{name}:{number}: {shown(term)} has fewer than {least} letters; remove it")
        yield normalized
