r"""Tells words of an assistant to its user, a refusal or an announcement, from code and from documentation.

Only the beginning of an answer is read, behind marks of comments, documentation and code fences.
"""

from __future__ import annotations

import re
from typing import Final

from transforms.talk import NO_CONTEXT

_MARKS: Final = r"""(?: \s | \# | // | /\* | \* | -- | ; | % | <!-- | \"{3} | '{3} | ```\w*\n )*"""
_CODE: Final = (
    r"(?:code|function|method|implementation|body|completion|completed?|missing|corrected|updated|fixed|solution|"
    r"answer|snippet|line|text|part|rest|class|full|revised|modified)\b"
)
_APOSTROPHE: Final = r"['\u2019]"
_TALK: Final = re.compile(
    rf"""
    {_MARKS}
    (?: I(?:{_APOSTROPHE}|\sa)m\s(?:(?:so|very|really)\s)?(?:sorry|unable|afraid|not\sable|just\san?\s|an\sAI)
      | I\s(?:cannot|can\snot|can{_APOSTROPHE}t|won{_APOSTROPHE}t|could\snot|couldn{_APOSTROPHE}t|am\snot)\b
      | I\s(?:don{_APOSTROPHE}t|do\snot)\s(?:know|have|see|understand)\b
      | I(?:\s(?:will|would|can)|{_APOSTROPHE}(?:ll|d))\s
        (?:need|be\s(?:able|happy|glad)|love|help|complete|fill|write|add|implement|provide)\b
      | I\s(?:apologi[sz]e|understand\sthat|think\sthe\smissing|assume\s(?:that\s)?you)\b
      | (?:My\sapologies|Apologies|Sorry)\b[,.!] | Sorry\sbut\b | Unfortunately,\sI\b
      | {NO_CONTEXT}
      | As\san?\s(?:AI|artificial|assistant|(?:large\s)?language\smodel)\b
      | (?:Sure|Certainly|Absolutely|Of\scourse|Okay|No\sproblem|Great\squestion)(?:\sthing)?
        (?: [!:](?:\s|$) | [,.]?\s(?:here|I|let|the\s(?:missing|complete))\b )
      | Here(?:\s(?:is|are)|{_APOSTROPHE}s)\s(?:the|a|an|your|my|one|how)\s(?:\w+\s)?{_CODE}
      | The\s(?:missing|completed?|following|correct)\s(?:code|text|part|line|function|snippet|body)s?\s
        (?:is|are|should|that|would|goes|can|here)\b
      | (?:To|In\sorder\sto)\s(?:complete|fill\sin)\s(?:the|this)\s(?:missing|code|function|gap|middle|blank)\b
      | (?:Please|(?:Could|Can)\syou)\s(?:please\s)?(?:provide|share|give|specify|clarify)\s(?:me\s)?
        (?:the|more|your)\b
      | (?:It|That)\s(?:looks|seems|appears)\slike\syou\b | Let\sme\s(?:know|help|complete|explain)\b
      | You\s(?:can|could|should|need\sto|may|might)\s(?:use|replace|add|fill|complete|try|insert)\s(?:the|this)\s
        (?:following|missing)\b
    )
    """,
    re.IGNORECASE | re.VERBOSE,
)
_MODEL: Final = re.compile(
    r"\bas an? (?:ai|artificial intelligence|(?:large )?language) (?:language )?(?:model|assistant)\b", re.IGNORECASE
)
_QUOTES: Final = ('"', "'", "`")


def is_talk(generated: str, original: str, head: str) -> bool:
    """Whether a generated middle begins with words of an assistant to its user.

    A middle that begins inside a string of one line is never told for talk, nor one whose original begins like that.

    Args:
        generated: The middle.
        original: The file's own.
        head: The line in which it begins, up to there.

    >>> is_talk("# I'm sorry, I cannot do that.", "x = 1", ""), is_talk('"I cannot open it"', "x", "y = ")
    (True, False)
    """
    if not _talks(generated) or _talks(original):
        return False
    return not any(head.count(quote) % 2 for quote in _QUOTES)


def _talks(text: str) -> bool:
    return _TALK.match(text) is not None or _MODEL.search(text) is not None
