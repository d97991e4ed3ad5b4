"""Whether a documentation is true of its symbol and worth keeping, as named verdicts.

Each verdict is True, False or None (the syntax alone can't tell); `REASONS` names the rejection of each False one.
True of the symbol: names that it documents are parameters; when it documents some, it documents all; it tells of a
result only where there is one; it names raised types that the code can raise. Worth keeping: not empty, not the name
again, not repeating itself, not cut off, no chatter, within bounds.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from transforms.documentation.facts import DocFacts, PythonStyle
from transforms.symbols import Symbol

# verdict -> the reason of a rejection, in the order in which they are asked
REASONS: Final[Mapping[str, str]] = {
    "not_empty": "empty_documentation",
    "no_chatter": "chatter",
    "not_cut_off": "cut_off",
    "right_style": "wrong_form",
    "not_the_name": "repeats_the_name",
    "length_in_bounds": "length_out_of_bounds",
    "not_repeating": "repeats_itself",
    "no_invented_parameter": "invented_parameter",
    "no_missing_parameter": "missing_parameter",
    "result_agrees": "result_disagrees",
    "raises_agree": "raises_disagree",
}

_CHATTER = re.compile(
    r"^\W*(sure|certainly|of course|absolutely|okay|here(?:'s| is| are)|below is|as an ai|"
    r"i (?:can|will|have|am|cannot))\b",
    re.I,
)
# A text that stops at one of these was not finished.
_UNFINISHED = re.compile(
    r"(?:[,;(\[{:\-/&+=<]|\b(?:a|an|and|as|at|be|but|by|for|from|if|in|into|is|of|on|or|than|that|the|this|to|when|where|"
    r"which|whose|with))\s*$",
    re.I,
)
_WORDS = re.compile(r"[A-Za-z0-9]+")
_MIN_LETTERS = 3
_REPEATED_LINE = 3  # the same line so often is a loop
_NGRAM = 4
_LEAST_NOVELTY = 0.5  # of the text's 4-grams at least half are different ones


@dataclass(frozen=True, kw_only=True)
class DocBounds:
    """How long a documentation may be, in characters of its plain text."""

    min_chars: int = 8
    max_chars: int = 4000


def verify(
    symbol: Symbol,
    facts: DocFacts,
    *,
    body_has_calls: bool,
    was_cut: bool,
    style: PythonStyle | None = None,
    constructor_parameters: tuple[str, ...] = (),
    bounds: DocBounds = DocBounds(),
) -> dict[str, bool | None]:
    """Judges what a documentation says.

    Args:
        symbol: What it documents.
        facts: What it claims (`read_facts`).
        body_has_calls: Whether the code calls anything, so that types may be raised that it doesn't name.
        was_cut: Whether generation ended at its limit.
        style: The Python style that was asked for; None takes any one.
        constructor_parameters: For a class: the parameters of its constructor, which its documentation may describe.
        bounds: Length limits.
    """
    text = facts.prose
    return {
        "not_empty": sum(c.isalpha() for c in text) >= _MIN_LETTERS,
        "no_chatter": not _CHATTER.match(text),
        "not_cut_off": not was_cut and not is_unfinished(text),
        "right_style": not facts.mixed_styles and (style is None or facts.style in (None, style)),
        "length_in_bounds": bounds.min_chars <= len(text) <= bounds.max_chars,
        "not_the_name": not repeats_name(symbol.name, text),
        "not_repeating": not repeats_itself(text),
        **_parameter_verdicts(symbol, facts, constructor_parameters),
        "result_agrees": _result_agrees(symbol, facts),
        "raises_agree": _raises_agree(symbol, facts, body_has_calls),
    }


def _parameter_verdicts(symbol: Symbol, facts: DocFacts, constructor: tuple[str, ...]) -> dict[str, bool | None]:
    if symbol.kind in ("class", "module"):
        # Attributes may be described as parameters; only a constructor's own list can be held against the text.
        real, has_pattern = list(constructor), False
        if not real:
            return {"no_invented_parameter": None, "no_missing_parameter": None}
    else:
        real = [parameter.name for parameter in symbol.parameters]
        has_pattern = "" in real
    named = {name for name in real if name}
    allowed = named | set(symbol.type_parameters)
    invented = [name for name in facts.parameters if name not in allowed]
    if has_pattern:  # a parameter without a name of its own may be called anything, once each
        invented = invented[real.count("") :]
    wanted = {name for name in named if not name.startswith("_")}
    is_complete = wanted <= set(facts.parameters) if facts.parameters else True
    return {"no_invented_parameter": not invented, "no_missing_parameter": is_complete}


def _result_agrees(symbol: Symbol, facts: DocFacts) -> bool | None:
    if symbol.kind not in ("function", "method") or symbol.returns_value is None:
        return None
    return symbol.returns_value or not facts.has_result


def _raises_agree(symbol: Symbol, facts: DocFacts, body_has_calls: bool) -> bool | None:
    if symbol.kind not in ("function", "method"):
        return None
    unknown = set(facts.raises) - set(symbol.raises)
    if not unknown:
        return True
    return None if body_has_calls else False


def is_unfinished(text: str) -> bool:
    """Whether the text stops in the middle: an open bracket or code fence, a comma, a word that asks for another.

    >>> is_unfinished("Returns the"), is_unfinished("Returns the area.")
    (True, False)
    """
    stripped = text.rstrip()
    if not stripped:
        return False
    if stripped.count("```") % 2:
        return True
    prose = re.sub(r"```.*?```", "", stripped, flags=re.S)
    last_paragraph = re.split(r"\n\s*\n", prose)[-1]
    if any(last_paragraph.count(opening) > last_paragraph.count(closing) for opening, closing in ("()", "[]")):
        return True
    last_line = stripped.splitlines()[-1].strip()
    if re.fullmatch(r"[-=~#*>`:.]+.*|\S+:", last_line) and not last_line.endswith(("the", ",")):
        # rules, list bullets, code, and heads of sections end however they like; an empty section is unfinished
        return bool(re.fullmatch(r"(Args|Arguments|Parameters|Returns|Raises|Yields):", last_line))
    return bool(_UNFINISHED.search(last_line))


def repeats_name(name: str, text: str) -> bool:
    """Whether the text says no more than the symbol's name.

    >>> repeats_name("readTheFile", "Read the file."), repeats_name("area", "Area of a rectangle.")
    (True, False)
    """
    if not name:
        return False
    parts = [part.lower() for part in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+", name)]
    words = [word.lower() for word in _WORDS.findall(text)]
    return bool(words) and words in (parts, [name.lower()], parts * 2, [name.lower(), *parts])


def repeats_itself(text: str) -> bool:
    """Whether the text goes round in circles: one line three times, or half of its 4-grams said before."""
    lines = Counter(line.strip() for line in text.splitlines() if len(line.strip()) > 3)
    if lines and max(lines.values()) >= _REPEATED_LINE and not all(set(line) <= set("-=~ ") for line in lines):
        return True
    words = [word.lower() for word in _WORDS.findall(text)]
    grams = [tuple(words[i : i + _NGRAM]) for i in range(len(words) - _NGRAM + 1)]
    return len(grams) >= 2 * _NGRAM and len(set(grams)) < _LEAST_NOVELTY * len(grams)
