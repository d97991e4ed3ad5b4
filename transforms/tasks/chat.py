"""The chat format of Gemma's instruction-tuned models, and parsing of their answers.

    <bos><start_of_turn>user⏎{text}<end_of_turn>⏎<start_of_turn>model⏎{answer}<end_of_turn>⏎ ...

There is no system role: a system text is put in front of the first user turn, separated by a blank line. Text never
encodes to control tokens (`model.tokenizer`). Source: Gemma's formatting guide, ai.google.dev/gemma/docs/formatting.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from model.errors import RecordError
from model.tokenizer import Tokenizer

Role = Literal["system", "user", "model"]


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a conversation."""

    role: Role
    text: str


def chat_prompt(tokenizer: Tokenizer, turns: Sequence[Turn]) -> list[int]:
    """Returns the token ids that prompt the model for its next turn.

    Args:
        tokenizer: A vocabulary with the turn tokens.
        turns: A system text (optional, first), then user and model alternately; the last turn is the user's.

    Raises:
        RecordError: `bad_turns`: the turns don't alternate, or the last isn't the user's.
    """
    folded = _fold_system(turns)
    roles = [turn.role for turn in folded]
    if roles != ["user", "model"] * (len(roles) // 2) + ["user"]:
        raise RecordError(
            "bad_turns", f"turns must be user, model, ... user; these are {', '.join(roles) or 'missing'}"
        )
    ids = [tokenizer.bos]
    for turn in folded:
        ids += [tokenizer.start_of_turn, *tokenizer.encode(f"{turn.role}\n{turn.text.strip()}")]
        ids += [tokenizer.end_of_turn, *tokenizer.encode("\n")]
    return [*ids, tokenizer.start_of_turn, *tokenizer.encode("model\n")]


def _fold_system(turns: Sequence[Turn]) -> list[Turn]:
    if not turns or turns[0].role != "system":
        return list(turns)
    if len(turns) < 2 or turns[1].role != "user":
        raise RecordError("bad_turns", "a system turn must be followed by a user turn")
    return [Turn("user", f"{turns[0].text.strip()}\n\n{turns[1].text.strip()}"), *turns[2:]]


def is_blank(text: str) -> bool:
    """Whether a text shows nothing: only spaces, line ends and characters without a width of their own.

    >>> is_blank(" \\n\u200b"), is_blank("a")
    (True, False)
    """
    return all(char.isspace() or unicodedata.category(char) in ("Cc", "Cf") for char in text)


def chat_stop_ids(tokenizer: Tokenizer) -> frozenset[int]:
    """The ids that end a model's turn."""
    return frozenset({tokenizer.end_of_turn, tokenizer.start_of_turn, tokenizer.eos})


_FENCE = re.compile(
    r"^(?P<indent>[ \t]*)(?P<fence>`{3,}|~{3,})[ \t]*(?P<info>[^\n`]*)\n(?P<code>.*?)^[ \t]*(?P=fence)[ \t]*\r?$",
    re.M | re.S,
)


def fences(answer: str) -> list[tuple[str, str]]:
    """Returns the fenced blocks of an answer in order, each as the language that the fence names (lower case, "" for
    none) and the code.

    A fence in a list is indented: its code loses that indentation.

    >>> fences("Here:\\n```python\\nx = 1\\n```\\nDone.")
    [('python', 'x = 1\\n')]
    """
    found = []
    for match in _FENCE.finditer(answer):
        lines = match["code"].replace("\r\n", "\n").split("\n")
        code = "\n".join(line.removeprefix(match["indent"]) for line in lines)
        found.append(((match["info"].lower().split() or [""])[0], code))
    return found


# Names of the model's role in conversation datasets.
_ROLES: Final[Mapping[str, Role]] = {"system": "system", "user": "user", "model": "model", "assistant": "model"}


def read_turns(text: str) -> list[Turn]:
    """Reads a conversation: a JSON list of objects with `role` (system, user, model or assistant) and `content`.

    Raises:
        RecordError: `bad_turns`.

    >>> read_turns('[{"role": "user", "content": "Hello"}]')
    [Turn(role='user', text='Hello')]
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise RecordError("bad_turns", "not a JSON list of objects with role and content") from None
    if not isinstance(found, list) or not all(isinstance(turn, dict) for turn in found):
        raise RecordError("bad_turns", "not a JSON list of objects with role and content")
    turns = []
    for number, turn in enumerate(found, 1):
        role, content = _ROLES.get(str(turn.get("role")).lower()), turn.get("content")
        if role is None or not isinstance(content, str):
            detail = f"turn {number} has no text, or its role is not one of {', '.join(_ROLES)}"
            raise RecordError("bad_turns", detail)
        turns.append(Turn(role, content))
    return turns
