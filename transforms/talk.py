r"""What an assistant says to its user instead of answering: it refuses, announces, takes leave, asks for the code.

    I'm sorry, but I can't see it.           refuses
    There isn't enough context to tell.      refuses
    Sure, here is the docstring:             announces
    Hope this helps!                         takes leave
    Please share the code.                   asks for what it was given

Pure functions of texts; what stands at the beginning decides, behind marks of comments and quotation.
"""

from __future__ import annotations

import re
from typing import Final

_APOSTROPHE: Final = r"['\u2019]"
_NOT: Final = rf"(?:\s*n{_APOSTROPHE}t|\s+not)"
_CANNOT: Final = rf"(?:can(?:not|\s+not|{_APOSTROPHE}t)|could(?:\s+not|n{_APOSTROPHE}t)|am\s+(?:unable|not\s+able))"
# What an answer is called.
_ANSWER: Final = (
    r"(?:documentation|docs?|docstrings?|descriptions?|comments?|summar(?:y|ies)|explanations?|answers?|tests?|reviews?|"
    r"code|translations?|implementations?|solutions?|completions?)"
)
# Sentences without "I" that refuse as well, for documentation, code and comments alike; nothing of a program is called
# a context or a snippet that *more* of is needed.
NO_CONTEXT: Final = (
    rf"(?:i\s+(?:would\s+|will\s+|{_APOSTROPHE}d\s+)?(?:need|require)\s+(?:some\s+)?(?:more|further|additional)\s+"
    r"(?:context|information|details|code)\b|"
    r"(?:there(?:\s+is|\s+are|['\u2019]s)?\s*(?:n['\u2019]t\s+|not\s+)?)?(?:not\s+)?enough\s+(?:context|information)\s+"
    r"(?:to\b|is\b|was\b|has\b|here\b|in\s+the\s+(?:code|snippet))|"
    r"(?:more|further|additional)\s+(?:context|information|code)\s+(?:is|are|would\s+be)\s+(?:needed|required|necessary)\b|"
    r"without\s+(?:more|further|additional|any|seeing)\b[^.\n]{0,40}\b(?:context|information|code|implementation|"
    r"definition)\b[^.\n]{0,10},?\s+(?:i|it(?:['\u2019]s|\s+is)\s+(?:not\s+possible|impossible|hard|difficult))\b|"
    rf"(?:unable|not\s+able|can(?:not|{_APOSTROPHE}t))\s+(?:to\s+)?(?:provide|generate|produce|write|give|create)\s+"
    rf"(?:a\s+|an\s+|the\s+|any\s+)?(?:\w+\s+)?{_ANSWER}\b|"
    r"(?:it(?:['\u2019]s|\s+is)\s+(?:not\s+possible|impossible|hard|difficult)\s+for\s+me\s+to)\b)"
)
_REFUSAL: Final = re.compile(
    rf"\W*(?:i(?:{_APOSTROPHE}m|\s+am)\s+(?:(?:so|very|really|truly)\s+)?(?:sorry|unable|not\s+able|not\s+sure|afraid)|"
    rf"i\s+(?:{_CANNOT}|do{_NOT}|won{_APOSTROPHE}t|must\s+decline|have\s+no\s+(?:idea|information|access|way))|"
    rf"i{_APOSTROPHE}(?:ll|d)\s+(?:need|have\s+to)|"
    r"i\s+apologi[sz]e|(?:my\s+)?(?:sincere\s+)?apologies|sorry|unfortunately,?\s+i|"
    r"unfortunately\b[^\n]{0,80}\bi\s+(?:can|could|do|am|won)|"
    rf"as\s+an?\s+(?:ai|(?:large\s+)?language\s+model|assistant)|{NO_CONTEXT})\b",
    re.I,
)
_REFUSES_LATER: Final = re.compile(
    rf"[^\n]{{0,120}}\b(?:so|but|because|therefore),?\s+i\s+(?:{_CANNOT}|do{_NOT}\s+know)\b", re.I
)
_CHATTER: Final = re.compile(
    r"\W*(?:(?:sure|certainly|of course|absolutely|okay)(?:\W*$|\W*[,.!:\u2014]|\s+(?:here|i|let|the following)\b)|"
    r"(?:here(?:['\u2019]s| is| are| you go)|below is|i (?:can|will|have|am|would|think|see)|i['\u2019](?:ve|ll|m)|"
    r"let me)\b)",
    re.I,
)
_GOODBYE: Final = re.compile(
    r"\b(?:let me know (?:if|whether|how)|(?:i )?hope (?:this|that) helps|feel free to (?:ask|reach|contact|modify)|"
    r"you have any (?:other |further |more )?questions)\b",
    re.I,
)
# Asking for what was already given.
_ASKS: Final = re.compile(
    r"\W*(?:(?:could|can|would|will) you (?:please )?(?:provide|share|give|send|paste|show|clarify|tell)|"
    r"please (?:provide|share|give|send|paste|show)\b[^.\n]{0,40}"
    r"\b(?:code|function|method|class|snippet|context|implementation|definition|details|information)|"
    r"(?:it|that) (?:looks|seems|appears) (?:like|that|as if) (?:you|your|the (?:code|snippet|function))\b|"
    r"(?:the|your) (?:code|snippet|message|prompt)\b[^.\n]{0,30}"
    r"\b(?:is|was|appears to be|seems to be|got) "
    r"(?:incomplete|missing|cut off|truncated|empty|not (?:provided|included))|"
    r"(?:what|how) (?:does|do|is|should) (?:this|your|the) (?:function|method|class|code)\b[^.\n?]*\?\s*\Z)",
    re.I,
)


def is_refusal(text: str) -> bool:
    """Whether a text refuses to answer.

    >>> is_refusal("I'm sorry, but I can't do that."), is_refusal("Sorts the list.")
    (True, False)
    >>> is_refusal("There is not enough context to say."), is_refusal("Fails if there is not enough memory.")
    (True, False)
    """
    says_i = " I " in text or " i " in text
    return _REFUSAL.match(text) is not None or (says_i and _REFUSES_LATER.match(text) is not None)


def is_chatter(text: str) -> bool:
    """Whether a text addresses the user instead of saying anything.

    >>> is_chatter("Sure, here is the docstring."), is_chatter("Give the area.")
    (True, False)
    """
    return (
        _CHATTER.match(text) is not None
        or _GOODBYE.search(text) is not None
        or is_refusal(text)
        or _ASKS.match(text) is not None
    )
