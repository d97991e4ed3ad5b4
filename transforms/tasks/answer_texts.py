"""Whether the texts of an answer, its own or those in its JSON, say something about its target.

    quotations     stand in the code; `...` leaves something out, `line 3` names a line
    explanations   don't ask for the code that the prompt has, refuse, or go in circles; they aren't cut off, the
                   code once more, or the question
    two fields     differ, as a question and its answer must
    list items     differ

Pure functions of texts. What can't be told passes.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from transforms import checks
from transforms.documentation.prose import is_unfinished, repeats_itself

# "Please share the code", "To explain this, I need to see its code", "I don't see any code", "you haven't included it".
_GIVE: Final = r"\b(?:provide|share|paste|post|send|show|include|see|supply|upload)\b"
_THE_CODE: Final = r"(?:(?!\bonly\b)[^.!?]){0,60}\b(?:code|functions?|methods?|class|implementation|snippet|file|it)\b"
_ASKED: Final = r"(?:\A|[.!?,;]\s+)\W*(?:please|could you|can you|would you|kindly|once you)\b[^.!?]{0,40}"
_NOT: Final = r"(?:\s*n['\u2019]t| not)"
_HERE: Final = r"\b(?:your|message|prompt|question|here|provided|attached)\b"
# Each with what must stand in the text, in lower case, before it is worth the search.
_ASKS: Final = tuple(
    (words, re.compile(pattern))
    for words, pattern in (
        (("please", "could you", "can you", "would you", "kindly", "once you"), rf"{_ASKED}{_GIVE}{_THE_CODE}"),
        (("need to", "have to"), rf"\bi(?:['\u2019]d| would)? (?:need|have) to {_GIVE}{_THE_CODE}"),
        (
            ("i do", "i can"),
            rf"\bi (?:do{_NOT}|can{_NOT}|cannot|can['\u2019]t) (?:see|find|have)\b"
            r"\W+(?:\w+\W+){0,3}(?:code|snippet)\b",
        ),
        (("there is no", "there was no"), rf"\bthere (?:is|was) no (?:code|snippet)\b[^.!?]{{0,40}}{_HERE}"),
        (
            ("you have", "you did", "you forgot"),
            rf"\byou (?:(?:have|did){_NOT}|forgot to) (?:\w+ ){{0,2}}(?:provide|include|share|paste|attach)",
        ),
        (
            ("provided", "included", "shared", "pasted", "attached"),
            rf"\b(?:code|snippet)\b[^.!?]{{0,20}}\b(?:was|were|is){_NOT} (?:\w+ )?"
            rf"(?:provid|includ|shar|past|attach)ed\b[^.!?]{{0,30}}{_HERE}",
        ),
    )
)


def asks_for_code(text: str) -> bool:
    """Whether a text asks for the code that it should be about.

    >>> asks_for_code("Please provide the code of the function."), asks_for_code("Adds both numbers.")
    (True, False)
    """
    lower = text.lower()
    return any(any(word in lower for word in words) and pattern.search(lower) for words, pattern in _ASKS)


def texts_of(found: Any) -> Iterator[str]:
    """All texts in a JSON value."""
    if isinstance(found, str):
        yield found
    elif isinstance(found, dict | list):
        for value in found.values() if isinstance(found, dict) else found:
            yield from texts_of(value)


_LINE: Final = re.compile(r"(?:on |at )?(?:lines?|l\.?) ?#?(\d+)(?:\s*(?:-|to|\u2013)\s*(\d+))?", re.I)
_LINE_NUMBER: Final = re.compile(r"\A\s*(?:lines?\s*)?\d+\s*[:|]\s*", re.I)
_SPACE: Final = re.compile(r"\s+")


def quotes(found: Any, field: str, code: str) -> bool:
    """Whether what stands in a field of a JSON object, or of each in a list, stands in the code."""
    items = found if isinstance(found, list) else [found]
    given = [item[field] for item in items if isinstance(item, dict) and isinstance(item.get(field), str)]
    bare = _SPACE.sub("", code) if given else ""
    return all(_stands_in(text, code, bare) for text in given)


def _stands_in(quoted: str, code: str, bare: str) -> bool:
    text = quoted.strip().strip("`").strip()
    named = _LINE.fullmatch(text)
    if named is not None:
        return all(1 <= int(number) <= code.count("\n") + 1 for number in named.groups() if number)
    at = 0
    for part in re.split(r"\.\.\.|\u2026", _LINE_NUMBER.sub("", text)):
        wanted = _SPACE.sub("", part).rstrip(";,")
        place = bare.find(wanted, at)
        is_word = re.fullmatch(r"\w+", part.strip()) is not None
        if place < 0 or (is_word and re.search(rf"(?<!\w){wanted}(?!\w)", code) is None):
            return False
        at = place + len(wanted)
    return True


# A text as similar as this, or with no more beside the other one, says the same.
_SAME: Final = 0.8
_LEAST_OWN_CHARS: Final = 20


def fields_differ(found: Any, fields: Sequence[str]) -> bool:
    """Whether each of these fields, of an object or of each in a list, says something beside the one before it, and
    doesn't only ask back.
    """
    for item in found if isinstance(found, list) else [found]:
        told = [item.get(field) if isinstance(item, dict) else None for field in fields]
        if any(says_the_same(one, other) or _asks_back(one, other) for one, other in itertools.pairwise(told)):
            return False
    return True


def _asks_back(first: Any, second: Any) -> bool:
    """Whether a question is followed by nothing but another."""
    if not isinstance(first, str) or not isinstance(second, str) or not second.rstrip().endswith("?"):
        return False
    return first.rstrip().endswith("?") and re.search(r"[.!?]\s", second.rstrip()) is None


def says_the_same(first: Any, second: Any) -> bool:
    """Whether the second of two texts adds nothing to the first.

    >>> says_the_same("What is it?", "What is it"), says_the_same("What is it?", "The hours since midnight, a number.")
    (True, False)
    """
    if not isinstance(first, str) or not isinstance(second, str):
        return False
    if len(second) > 2 * len(first) and not first.rstrip().endswith("?"):
        return False
    one, other = (" ".join(re.findall(r"\w+", text.lower())) for text in (first, second))
    if not one or one == other:
        return bool(one)
    shorter, longer = sorted((len(one), len(other)))
    if shorter >= _SAME * longer and checks.edit_similarity(one, other) >= _SAME:
        return True
    is_asked = first.rstrip().endswith("?")
    return is_asked and one in other and len(other.replace(one, "", 1).strip()) < _LEAST_OWN_CHARS


# --- prose -------------------------------------------------------------------------------------------

_FENCE: Final = re.compile(r"^[ \t]*(`{3,}|~{3,})[^\n`]*\n.*?(?:^[ \t]*\1[ \t]*$|\Z)", re.M | re.S)
_FENCE_MARK: Final = re.compile(r"^[ \t]*(?:`{3,}|~{3,})[^\n]*$", re.M)
# Shorter texts are labels, words and numbers.
LEAST_PROSE_CHARS: Final = 40
_SENTENCE_ENDS: Final = (".", "!", "?", ")", "`")


def prose_of(answer: str, found: Any, fields: Sequence[str]) -> list[str]:
    """The texts in which an answer speaks: its own without fences, or these fields of its JSON, of an object or of each
    in a list.

    >>> prose_of("It adds:\\n```\\na + b\\n```\\nNo more.", None, ())
    ['It adds:\\n.\\nNo more.']
    >>> prose_of("", [{"where": "a + b", "comment": "Why?"}], ["comment"])
    ['Why?']
    """
    if found is None:
        return [_FENCE.sub(".", answer) if "```" in answer or "~~~" in answer else answer]
    items = [item for item in (found if isinstance(found, list) else [found]) if isinstance(item, dict)]
    return [item[field] for item in items for field in fields if isinstance(item.get(field), str)]


def is_whole(text: str) -> bool:
    """Whether a text of some length doesn't stop in the middle of a sentence.

    >>> is_whole("It takes the sum, the rate and the number of"), is_whole("[0, 1)")
    (False, True)
    """
    return len(text) < LEAST_PROSE_CHARS or text.endswith(_SENTENCE_ENDS) or not is_unfinished(text)


def goes_in_circles(texts: Sequence[str], found: Any) -> bool:
    """Whether one of these texts repeats itself, or a list has the same object twice."""
    if isinstance(found, list) and len(found) > 1:
        items = [repr(item) for item in found if isinstance(item, dict)]
        if len(set(items)) < len(items):
            return True
    return any(len(text) >= LEAST_PROSE_CHARS and not _is_novel(text) and repeats_itself(text) for text in texts)


def _is_novel(text: str) -> bool:
    """Whether most words stand in a text once, without the cost of its 4-grams."""
    words = text.split()
    return 2 * (len(set(words)) - 3) >= len(words)


def is_copy(text: str, code: str) -> bool:
    """Whether a text is the code once more: at least half of its lines, and nothing else.

    >>> is_copy("```\\ndef add(a, b):\\n    return a + b\\n```", "def add(a, b):\\n    return a + b\\n")
    True
    >>> is_copy("It returns a + b.", "def add(a, b):\\n    return a + b\\n")
    False
    """
    begins = _FENCE_MARK.sub("", text, count=1).strip() if "```" in text or "~~~" in text else text
    if begins.partition("\n")[0].strip() not in code:  # without the cost of comparing lines
        return False
    own, known = (
        [line.strip() for line in _FENCE_MARK.sub("", part).splitlines() if line.strip()] for part in (text, code)
    )
    return 2 * len(own) >= len(known) > 0 and set(own) <= set(known)


def repeats_question(text: str, prompt: str, code: str) -> bool:
    """Whether a text stands in what was asked, beside the code.

    >>> repeats_question("Explain what this function does.", "Explain what this function does.\\n\\nx = 1", "x = 1")
    True
    """
    if len(text) < _LEAST_OWN_CHARS or text.split(maxsplit=1)[0] not in prompt:
        return False
    bare = " ".join(text.split())
    if " ".join(bare[:_LEAST_OWN_CHARS].split()[:-1]) not in prompt:  # without the cost of taking the code out
        return False
    return len(bare) >= _LEAST_OWN_CHARS and bare in " ".join(prompt.replace(code, " ").split())
