"""Makes `transforms/corpus/letters.json`: how often letters follow each other, and how often CJK characters occur.

    pip install wordfreq==3.1.1        # only for this: nothing else in the project uses it
    python benchmarks/letter_tables.py

What is stored are frequencies of letters and of pairs, no words. Source: the word frequencies of wordfreq 3.1.1
(R. Speer, 2022; Apache-2.0 and CC BY-SA 4.0).
"""

from __future__ import annotations

import gzip
import json
import math
import unicodedata
from collections import Counter, defaultdict
from itertools import islice
from pathlib import Path

import msgpack
import wordfreq

from transforms.corpus.letters import LEVELS, PATH, STEP, normal

_WORDS = 40_000
_LATIN = (
    "ca", "cs", "da", "de", "en", "es", "fi", "fr", "hu", "is", "it", "lt", "lv", "nb", "nl", "pl", "pt", "ro", "sh",
    "sk", "sl", "sv", "tr",
)  # fmt: skip
_OTHER = {
    "ar": "ARABIC", "bg": "CYRILLIC", "el": "GREEK", "fa": "ARABIC", "he": "HEBREW", "mk": "CYRILLIC", "ru": "CYRILLIC",
    "uk": "CYRILLIC",
}  # fmt: skip
_RARE = 2e-6  # letters that are rarer than this come from other languages
_TO_CYRILLIC = str.maketrans("abvgdđežzijklmnoprstćufhcčš", "абвгдђежзијклмнопрстћуфхцчш")


def words_of(language: str) -> Counter[str]:
    """Words with their weights: roots of frequencies, since comments are no film subtitles."""
    words: Counter[str] = Counter()
    for word, frequency in islice(wordfreq.get_frequency_dict(language).items(), _WORDS):
        letters = normal(word)
        if letters.isalpha():
            words[letters] += math.sqrt(frequency * 1e8)
    return words


def pairs(words: Counter[str], script: str) -> dict[str, str]:
    """The letters and the quantized -log P(letter | letter before), where a space is the word's edge."""
    letters: Counter[str] = Counter()
    for word, weight in words.items():
        letters.update(dict.fromkeys(word, 0))
        for letter in word:
            letters[letter] += weight
    total = sum(letters.values())
    known = " " + "".join(
        sorted(
            letter
            for letter, weight in letters.items()
            if weight / total > _RARE and unicodedata.name(letter).split()[0] == script and letter not in "ªº"
        )
    )
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for word, weight in words.items():
        if all(letter in known for letter in word):
            for before, letter in zip(" " + word, word + " ", strict=True):
                counts[before][letter] += weight
    edges = sum(words.values())
    share = {letter: (edges if letter == " " else letters[letter]) / (total + edges) for letter in known}
    return {"letters": known, "pairs": "".join(_row(counts[before], share, known) for before in known)}


def _row(counts: Counter[str], share: dict[str, float], known: str) -> str:
    smooth = 30 + 0.002 * counts.total()
    total = counts.total() + smooth
    return "".join(_level((counts[letter] + smooth * share[letter]) / total) for letter in known)


def _level(probability: float) -> str:
    return LEVELS[min(round(-math.log(probability) / STEP), len(LEVELS) - 1)]


def characters(weights: Counter[str]) -> list[str]:
    """CJK characters by the level of their frequency."""
    total = weights.total()
    levels: dict[int, list[str]] = defaultdict(list)
    for character, weight in weights.items():
        if weight / total > 1e-6:
            levels[round(-math.log(weight / total) / STEP)].append(character)
    return ["".join(sorted(levels[level])) for level in range(max(levels) + 1)]


def cjk(language: str) -> Counter[str]:
    weights: Counter[str] = Counter()
    for word, frequency in wordfreq.get_frequency_dict(language).items():
        for character in word:
            if not character.isascii() and character.isalpha():
                weights[character] += frequency**0.75
    return weights


def traditional(simplified: Counter[str]) -> Counter[str]:
    """The same weights for the traditional forms: wordfreq knows Chinese in simplified form alone."""
    forms: dict[str, list[str]] = defaultdict(list)
    mapping = Path(wordfreq.__file__).parent / "data/_chinese_mapping.msgpack.gz"
    for code, form in msgpack.unpackb(gzip.decompress(mapping.read_bytes()), strict_map_key=False).items():
        forms[form].append(chr(code))
    weights: Counter[str] = Counter()
    for character, weight in simplified.items():
        for form in [*forms[character], character]:
            try:
                form.encode("big5")
            except UnicodeEncodeError:
                continue
            weights[form] += weight
    return weights


def main() -> None:
    languages = {name: pairs(words_of(name), "LATIN") for name in _LATIN}
    german = words_of("de")
    for word, weight in list(german.items()):  # wordfreq folds ß away
        if "ss" in word:
            german[word.replace("ss", "ß", 1)] += weight / 2
    languages["de"] = pairs(german, "LATIN")
    languages |= {name: pairs(words_of(name), script) for name, script in _OTHER.items()}
    serbian: Counter[str] = Counter()
    for word, weight in words_of("sh").items():
        for latin, cyrillic in (("dž", "џ"), ("lj", "љ"), ("nj", "њ")):
            word = word.replace(latin, cyrillic)
        serbian[word.translate(_TO_CYRILLIC)] += weight
    languages["sr"] = pairs(serbian, "CYRILLIC")
    chinese = cjk("zh")
    tables = {"zh-Hans": chinese, "zh-Hant": traditional(chinese), "ja": cjk("ja"), "ko": cjk("ko")}
    out = {"pairs": languages, "characters": {name: characters(weights) for name, weights in tables.items()}}
    Path(PATH).write_text(json.dumps(out, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
