"""How usual a piece of text is in a language: pairs of letters in alphabets, single characters in CJK.

`letters.json` is made by `benchmarks/letter_tables.py`. Sizes are natural logarithms of probabilities; a table holds
them as one character each, in steps of `STEP`. Loaded once, only where a file isn't UTF-8: about 20 ms, 3 MB.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

PATH = Path(__file__).with_name("letters.json")
LEVELS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
STEP = 0.25
POOLED = "west"  # no language: all Western ones in one, for those that have no table
_POOL = ("en", "de", "fr", "es", "pt", "it", "nl", "sv", "da", "nb", "fi", "ca")
_POOLED_USUAL = dict.fromkeys("áéíóúäöüçñøåæàèê", 1.0) | {"ë": 3.0, "õ": 3.0}  # Albanian, Estonian
_THAI = {chr(code): math.log(1 / 64) for code in range(0xE01, 0xE5C)}  # has no table: any letter is as usual as another

# The tables were made from folded words, and encodings with a cedilla stand for Romanian's comma.
_FOLDED = str.maketrans({"ς": "σ", "ș": "ş", "ț": "ţ", "\u0307": None})


def normal(text: str) -> str:
    """The letters that tables know: small, without variants.

    >>> normal("ΛΌΓΟΣ Ștefan")
    'λόγοσ ştefan'
    """
    return text.lower().translate(_FOLDED)


@functools.cache
def pair_tables() -> Mapping[str, Mapping[str, float]]:
    """By language: log P(second letter | first letter), by the two letters; a space is the edge of a word."""
    tables = {language: _pairs(table["letters"], table["pairs"]) for language, table in _tables()["pairs"].items()}
    return tables | {POOLED: _pooled([tables[language] for language in _POOL])}


def _pooled(tables: Sequence[Mapping[str, float]]) -> dict[str, float]:
    letters = {pair[1] for table in tables for pair in table} | set("ðþýœ")
    anywhere = {letter: 0.002 * _POOLED_USUAL.get(letter, 0.1) for letter in letters}

    def share(pair: str) -> float:
        return sum(math.exp(table.get(pair, -20)) for table in tables) / len(tables) + anywhere[pair[1]]

    return {first + second: math.log(share(first + second)) for first in letters for second in letters}


def _pairs(letters: str, levels: str) -> dict[str, float]:
    size = {level: -STEP * index for index, level in enumerate(LEVELS)}
    pairs = [first + second for first in letters for second in letters]
    return dict(zip(pairs, map(size.__getitem__, levels), strict=True))


@functools.cache
def character_tables() -> Mapping[str, Mapping[str, float]]:
    """By language (`zh-Hans`, `zh-Hant`, `ja`, `ko`): log P(character)."""
    return {"th": _THAI} | {
        language: {character: -STEP * level for level, row in enumerate(rows) for character in row}
        for language, rows in _tables()["characters"].items()
    }


@functools.cache
def _tables() -> Mapping[str, Mapping]:
    return json.loads(PATH.read_text(encoding="utf-8"))
