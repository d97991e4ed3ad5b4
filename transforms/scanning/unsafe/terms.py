"""Hashed terms: word lists stored as keyed hashes, so that no one has to read them, and found by a blurred shape.

    a term           its shape, which the scanner searches for     its hash, which decides
    "some phrase"    [st][op][mn][ef]... in any case               d3a1...

A shape replaces each letter by a pair of neighboring letters of the alphabet, so the shape of a term of six letters
matches by chance at about one position in several million. The hash, BLAKE2b over the normalized term, decides. To add
terms, run `python -m transforms.scanning.unsafe.terms CATEGORY < FILE` with one term per line; it prints a rule file's entry.
"""

from __future__ import annotations

import functools
import hashlib
import re
import sys

from transforms.scanning.candidate import Candidate, Verdict

_TERM_KEY = b"codemill terms 1"
_HASH_HEX_DIGITS = 20


def normalize_term(text: str) -> str:
    """Converts a term to lower case and replaces each run of other characters than letters and digits by one space."""
    return re.sub(r"[^a-z0-9]+", " ", text.lower()).strip()


@functools.lru_cache(maxsize=4096)
def term_hash(text: str) -> str:
    """The hash that represents a term in rule files."""
    return hashlib.blake2b(normalize_term(text).encode(), digest_size=32, key=_TERM_KEY).hexdigest()[:_HASH_HEX_DIGITS]


def hashed_term(candidate: Candidate) -> Verdict | None:
    """Accepts a term whose hash is in the rule; its shape alone is not evidence."""
    value = candidate.value.decode("ascii", "replace")
    return candidate.verdict(validated=True) if term_hash(value) in candidate.rule.hashes else None


def term_shape(text: str) -> str:
    """The blurred shape of a term as a regular expression; rules match it in any case.

    >>> term_shape("ab z")
    '[ab][ab][ _-][yz]'
    """
    return "".join(_blur(char) for char in normalize_term(text))


def _blur(char: str) -> str:
    if char == " ":
        return "[ _-]"
    if char.isdigit():
        return "[0-9]"
    first = (ord(char) - ord("a")) // 2 * 2 + ord("a")
    return f"[{chr(first)}{chr(first + 1)}]"


def rule_entry(category: str, terms: list[str]) -> str:
    """The entry of a rule file for a category of terms."""
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
