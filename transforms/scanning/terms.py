"""Word lists that nobody has to read: terms are stored as keyed hashes, and found by their blurred shape.

    a term           its shape, which the scanner looks for     its hash, which decides
    "some phrase"    [st][op][mn][ef]... in any case            d3a1...

A shape replaces each letter by its pair of neighbours in the alphabet, so a term of six letters passes one position
in some millions, by
chance; the hash, BLAKE2b over the normalised term, decides. To add terms: `python -m transforms.scanning.terms
CATEGORY < one_term_a_line`, which prints a rule file's entry.
"""

from __future__ import annotations

import functools
import hashlib
import re
import sys

_TERM_KEY = b"codemill terms 1"
_HASH_HEX_DIGITS = 20


def normalise_term(text: str) -> str:
    """Lower case, runs of anything but letters and digits as one space."""
    return re.sub(r"[^a-z0-9]+", " ", text.lower()).strip()


@functools.lru_cache(maxsize=4096)
def term_hash(text: str) -> str:
    """The hash that stands for a term in rule files."""
    return hashlib.blake2b(normalise_term(text).encode(), digest_size=32, key=_TERM_KEY).hexdigest()[:_HASH_HEX_DIGITS]


def term_shape(text: str) -> str:
    """The blurred shape of a term as a regular expression, without case.

    >>> term_shape("ab z")
    '[ab][ab][ _-][yz]'
    """
    return "".join(_blur(char) for char in normalise_term(text))


def _blur(char: str) -> str:
    if char == " ":
        return "[ _-]"
    if char.isdigit():
        return "[0-9]"
    first = (ord(char) - ord("a")) // 2 * 2 + ord("a")
    return f"[{chr(first)}{chr(first + 1)}]"


def rule_entry(category: str, terms: list[str]) -> str:
    """A rule file's entry for a category."""
    shapes = sorted({term_shape(term) for term in terms})
    hashes = sorted({term_hash(term) for term in terms})
    lines = [
        "[[rules]]",
        f'id = "{category.replace("_", "-")}-terms"',
        f'type = "{category}"',
        f"pattern = '(?<![A-Za-z0-9])(?P<v>(?i:{'|'.join(shapes)}))(?![A-Za-z0-9])'",
        'validator = "hashed_term"',
        "specificity = 2",
        "hashes = [" + ", ".join(f'"{value}"' for value in hashes) + "]",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(rule_entry(sys.argv[1], [line.strip() for line in sys.stdin if line.strip()]))
