"""Which encoding a text that isn't UTF-8 has, by how usual it reads in each: for bytes that nothing else tells.

    every candidate that decodes all bytes      -> its lines with characters beyond ASCII, read in its languages
    letters    log P(letter | letter before), edges of words and ASCII letters beside them included
    symbols    a list of usual ones (dashes, quotes, ©, °); dearer inside words
    CJK        log P(character)

The sum is a likelihood of the same bytes under each candidate, so candidates compare, whatever their lengths. Two
candidates that give the same text are one. How far the best text is ahead of the next, in natural logarithms, is how
sure it is; a text that reads badly in its own best language is none at all, however far ahead.
Candidates that are rarely right stand here too: to make the others doubtful where they fit as well.
Cost: some milliseconds a file; what counts are its first `_STAGES[-1]` distinct lines.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from transforms.corpus.letters import POOLED, character_tables, normal, pair_tables

_STAGES = (0, 2, 8, 80)  # lines; what is hopeless after a stage is not read on
_MAX_LINE = 800  # bytes of a line that are read
_HOPELESS = 30.0
_NEAR = 12.0  # a candidate this far behind the best may still be right, if there is another reason for it

# Logarithms of probabilities. A byte without any meaning costs about log(1/128) = -4.9.
_UNKNOWN = -13.0  # a letter or pair that the language doesn't have
_ASCII_LETTER = -3.0  # what an ASCII letter costs anywhere, so that letters beside others add nothing by themselves
_USUAL_SYMBOL = -4.0
_COPYRIGHT = -2.0  # in code the most usual of all
_RARE_SYMBOL = -9.5
_WIDE_SYMBOL = -4.0
_MISPLACED = -4.0
_MIXED_CASE = -5.0
_MIXED_SCRIPT = {False: -1.0, True: -6.0}  # ASCII letters right beside CJK characters; beside Thai ones
_LONE_LETTER = {False: -3.5, True: -8.0}  # no word beyond ASCII in its line: "first § of"; of another script
_ASCII_WORD = 1.5  # what an ASCII word may add or take at most, and all of a line below
_ASCII_WORDS = 5.0
_OTHER_LANGUAGE = -3.0  # a line in another language than the text's
_BEST_MEAN = {False: -6.2, True: -8.3}  # a character of a text that reads well, at worst; of CJK

_UNUSUAL = 3.0  # so much worse than that it may still be one, if there is another reason for it

_USUAL = frozenset("’‘“”„«»–—…°©®™±§•·×€£¥µ²³½¼¾¿¡№ªº÷→←\u00a0")
_WIDE = frozenset("、。，．：；！？（）「」『』【】《》〈〉〔〕“”‘’・…—～〜％＝＋－＊／＜＞＆＃　ー")
_WITHIN_WORDS = frozenset("’‐\u00ad\u00a0–")
_CROWDED = frozenset("©®±§£¥³²½¼¾¡¿·×÷¤¶¦¬")  # no two of them stand side by side
_NOT_AFTER_LETTERS = frozenset("€·©§±¿¡¼½¾¤¶¦¬¨´¯¸£¥„÷×°")
_WORD = re.compile(r"(?:[^\W\d_²³¹¼½¾ªºµ]|[\u0e31\u0e34-\u0e3a\u0e47-\u0e4e])+|[^\x00-\x7f]")
_PLACEHOLDER = re.compile(r"%[-+#0-9.*$l]*[a-zA-Z]|\\\\[a-z]")  # its letter is no part of the word behind it
_LONG_RUN = re.compile(r"([^\x00-\x7f])\1{2,}")
_NEVER = re.compile("[\x80-\x9f\ufffd\ufffe\uffff\ue000-\uf8ff]")  # controls, and what no standard assigns

_WEST = ("en", "de", "fr", "es", "pt", "it", "nl", "sv", "da", "nb", "fi", "ca", "is", POOLED)
_CENTER = ("pl", "cs", "sk", "hu", "ro", "sl", "sh", "de")
_CYRILLIC = ("ru", "uk", "bg", "sr", "mk")
_NOT_LATIN = frozenset((*_CYRILLIC, "el", "he", "ar", "fa"))
_CJK = frozenset(("zh-Hans", "zh-Hant", "ja", "ko", "th"))


@dataclass(frozen=True, slots=True)
class Encoding:
    """A candidate: its name as the IANA registers it, Python's codec, its languages, and how rare it is (a log)."""

    name: str
    codec: str
    languages: tuple[str, ...]
    prior: float


CANDIDATES = (
    Encoding("windows-1252", "cp1252", _WEST, 0.0),
    Encoding("ISO-8859-15", "iso8859-15", _WEST, -2.5),
    Encoding("windows-1250", "cp1250", _CENTER, -1.5),
    Encoding("ISO-8859-2", "iso8859-2", _CENTER, -2.0),
    Encoding("windows-1254", "cp1254", ("tr",), -1.5),
    Encoding("windows-1257", "cp1257", ("lt", "lv"), -3.0),
    Encoding("windows-1251", "cp1251", _CYRILLIC, -1.0),
    Encoding("KOI8-R", "koi8-r", _CYRILLIC, -2.0),
    Encoding("KOI8-U", "koi8-u", ("uk",), -3.0),
    Encoding("IBM866", "cp866", _CYRILLIC, -3.0),
    Encoding("ISO-8859-5", "iso8859-5", _CYRILLIC, -4.0),
    Encoding("x-mac-cyrillic", "mac-cyrillic", _CYRILLIC, -7.0),
    Encoding("windows-1253", "cp1253", ("el",), -2.0),
    Encoding("ISO-8859-7", "iso8859-7", ("el",), -2.5),
    Encoding("windows-1255", "cp1255", ("he",), -2.0),
    Encoding("windows-1256", "cp1256", ("ar", "fa"), -2.5),
    Encoding("GB18030", "gb18030", ("zh-Hans", "zh-Hant"), -1.0),
    Encoding("Big5", "cp950", ("zh-Hant",), -2.0),
    Encoding("Shift_JIS", "cp932", ("ja",), -1.5),
    Encoding("EUC-JP", "euc-jp", ("ja",), -2.0),
    Encoding("Shift_JIS-2004", "shift_jis_2004", ("ja",), -9.0),  # both have characters beyond those above
    Encoding("EUC-JIS-2004", "euc_jis_2004", ("ja",), -9.0),
    Encoding("EUC-KR", "cp949", ("ko",), -1.5),
    Encoding("TIS-620", "cp874", ("th",), -4.0),
    Encoding("ISO-8859-13", "iso8859-13", ("lt", "lv"), -4.0),
    Encoding("IBM855", "cp855", _CYRILLIC, -6.0),
    Encoding("IBM857", "cp857", ("tr",), -5.0),
    Encoding("IBM737", "cp737", ("el",), -5.0),
    Encoding("IBM862", "cp862", ("he",), -5.0),
    Encoding("IBM850", "cp850", _WEST, -6.0),
    Encoding("IBM437", "cp437", _WEST, -6.5),
    Encoding("IBM852", "cp852", _CENTER, -7.0),
    Encoding("macintosh", "mac-roman", _WEST, -6.0),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """What the evidence says.

    Args:
        best: The most likely encoding that gives a text; None: there is none.
        margin: How far its text is ahead of the next other text (natural log of the odds); 0 where it reads badly.
        near: All encodings whose texts are not far behind, the best first.
    """

    best: Encoding | None
    margin: float
    near: tuple[Encoding, ...]


@dataclass(slots=True)
class _Reading:
    """One candidate's text and, by language, the score of each line so far."""

    encoding: Encoding
    text_hash: int
    scores: dict[str, list[float]]
    num_characters: int = 0
    score: float = 0.0
    language: str = ""

    def reads_well(self, allowance: float = 0.0) -> bool:
        """Whether a character is as usual in the mean as one of a text, or worse by no more than an allowance."""
        mean = (self.score - self.encoding.prior) / max(self.num_characters, 1)
        return mean >= _BEST_MEAN[self.language in _CJK] - allowance

    def add(self, lines: Iterable[bytes]) -> None:
        texts = [line.decode(self.encoding.codec, "ignore") for line in lines]
        self.num_characters += sum(_num_beyond_ascii(text) for text in texts)
        parsed = [_parsed(text, self.encoding.languages[0] in _CJK) for text in texts]
        for language, scores in self.scores.items():
            scores += [_score(line, language) for line in parsed]
        best_lines = [max(column) for column in zip(*self.scores.values(), strict=True)]
        # A text has one language, but for a line or a name here and there.
        self.score, self.language = max(
            (sum(max(own, best + _OTHER_LANGUAGE) for own, best in zip(row, best_lines, strict=True)), language)
            for language, row in self.scores.items()
        )
        self.score += self.encoding.prior


def weigh(data: bytes) -> Finding:
    """Weighs all candidates for bytes that aren't UTF-8. What was found last is remembered by the bytes' hash."""
    key = hashlib.sha256(data).digest()
    if key not in _findings:
        if len(_findings) >= _MAX_FINDINGS:
            _findings.clear()
        _findings[key] = _weigh(data)
    return _findings[key]


_findings: dict[bytes, Finding] = {}
_MAX_FINDINGS = 20_000


def _weigh(data: bytes) -> Finding:
    lines = _lines(data)
    readings = [reading for encoding in CANDIDATES if (reading := _reading(data, encoding)) is not None]
    for first, last in pairwise(_STAGES):
        for reading in readings:
            reading.add(lines[first:last])
        readings.sort(key=lambda reading: -reading.score)
        readings = [reading for reading in readings if reading.score > readings[0].score - _HOPELESS]
    best = next((reading for reading in readings if reading.reads_well()), None)
    if best is None:
        # A lone name or symbol may be unusual in any language, noise is so by far.
        best = next((reading for reading in readings if reading.reads_well(_UNUSUAL)), None)
        if best is None:
            return Finding(None, 0.0, ())
        margin = 0.0
    else:
        others = [reading.score for reading in readings if reading.text_hash != best.text_hash]
        margin = best.score - max(others, default=best.score - _HOPELESS)
    near = tuple(reading.encoding for reading in readings if reading.score > best.score - _NEAR)
    return Finding(best.encoding, margin, near)


def decodes(data: bytes, codec: str) -> str | None:
    """The text, where the codec reads all bytes as characters that texts have and writes them back the same."""
    try:
        text = data.decode(codec)
        is_same = text.encode(codec) == data
    except UnicodeError:
        return None
    return text if is_same and not _NEVER.search(text) else None


def _reading(data: bytes, encoding: Encoding) -> _Reading | None:
    text = decodes(data, encoding.codec)
    return None if text is None else _Reading(encoding, hash(text), {language: [] for language in encoding.languages})


def _num_beyond_ascii(line: str) -> int:
    text = _LONG_RUN.sub(r"\1\1", line)
    return len(text) - len(text.encode("ascii", "ignore"))


def _lines(data: bytes) -> list[bytes]:
    """Distinct lines that aren't ASCII. A line feed is never part of a character in any candidate."""
    lines: dict[bytes, None] = {}
    for line in data.split(b"\n"):
        if not line.isascii():
            if len(line) > _MAX_LINE:  # from before its first byte beyond ASCII, where a character surely begins
                at = next(index for index, byte in enumerate(line) if byte >= 0x80)
                line = line[max(0, at - _MAX_LINE // 8) :][:_MAX_LINE]
            lines[line.strip()] = None
            if len(lines) == _STAGES[-1]:
                break
    return list(lines)


@dataclass(frozen=True, slots=True)
class _Line:
    """A line in pieces. `symbols` is the score of its symbols, `beside` how many words stand beside a digit."""

    ascii_words: tuple[str, ...]
    words: tuple[str, ...]
    symbols: float
    beside: int
    num_lone: int


def _parsed(line: str, is_cjk: bool) -> _Line:
    ascii_words, words = [], []
    symbols = 0.0
    beside = 0
    line = _PLACEHOLDER.sub("%", _LONG_RUN.sub(r"\1\1", line))
    for found in _WORD.finditer(line):
        word = found.group()
        if word.isascii():
            ascii_words.append(word)
            continue
        before, after = line[found.start() - 1 : found.start()], line[found.end() : found.end() + 1]
        if (len(word) == 1 and not word.isalpha()) or word in "ªºµ":
            symbols += _symbol(word, before, after, is_cjk)
        else:
            words.append(word)
            beside += before.isdigit() + after.isdigit()
    num_lone = 0 if any(len(word) > 1 for word in words) else len(words)
    return _Line(tuple(ascii_words), tuple(words), symbols, beside, num_lone)


def _score(line: _Line, language: str) -> float:
    """How usual what isn't ASCII in a line is, in one language: a log of a probability."""
    score = line.symbols + _ascii_words(line.ascii_words, language)
    if language in _CJK:
        return score + sum(_characters(word, language) for word in line.words)
    lone = _LONE_LETTER[language in _NOT_LATIN] * line.num_lone
    return score + sum(_word(word, language) for word in line.words) + _MISPLACED / 2 * line.beside + lone


@functools.lru_cache(maxsize=1 << 15)
def _ascii_words(words: tuple[str, ...], language: str) -> float:
    if language in _CJK or language in _NOT_LATIN or language in (POOLED, "en"):
        return 0.0
    return min(max(sum(_ascii_word(word, language) for word in words), -_ASCII_WORDS), _ASCII_WORDS)


@functools.lru_cache(maxsize=1 << 16)
def _ascii_word(word: str, language: str) -> float:
    """How much more usual an ASCII word is in this language than in English, which comments may always be in."""
    if len(word) == 1:
        return 0.0
    pairs, english = pair_tables()[language], pair_tables()["en"]
    letters = word.lower()
    both = [first + second for first, second in zip(" " + letters, letters + " ", strict=True)]
    score = sum(pairs.get(pair, _UNKNOWN) - english.get(pair, _UNKNOWN) for pair in both)
    return min(max(score, -_ASCII_WORD), _ASCII_WORD)


def _symbol(symbol: str, before: str, after: str, is_cjk: bool) -> float:
    if is_cjk:
        return _WIDE_SYMBOL if symbol in _WIDE else 2 * _USUAL_SYMBOL
    score = _COPYRIGHT if symbol == "©" else _USUAL_SYMBOL if symbol in _USUAL else _RARE_SYMBOL
    if before + symbol + after == "l·l":
        return score
    if before in _CROWDED and symbol in _CROWDED:
        score += _MISPLACED
    if before.isalpha() and (symbol in _NOT_AFTER_LETTERS or (after.isalpha() and symbol not in _WITHIN_WORDS)):
        score += _MISPLACED
    return score


@functools.lru_cache(maxsize=1 << 16)
def _word(word: str, language: str) -> float:
    pairs = pair_tables()[language]
    letters = normal(word)
    score = 0.0
    for first, second in zip(" " + letters, letters + " ", strict=True):
        probability = pairs.get(first + second, _UNKNOWN)
        if second.isascii():
            probability = min(max(probability - _ASCII_LETTER, -4.0), 2.0)
        score += max(probability, _UNKNOWN)
    return score + _MIXED_CASE * _case_changes(word)


def _case_changes(word: str) -> int:
    """How often a small letter is followed by a capital one: `aB`."""
    return sum(a.islower() and b.isupper() for a, b in pairwise(word))


def _characters(word: str, language: str) -> float:
    table = character_tables()[language]
    mixed = sum(a.isascii() != b.isascii() for a, b in pairwise(word)) * _MIXED_SCRIPT[language == "th"]
    return mixed + sum(table.get(character, _UNKNOWN) for character in word if not character.isascii())
