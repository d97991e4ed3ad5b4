"""A question to a model: what it is shown, and where its answer ends. What a prepared row keeps of a protocol."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from transforms.evaluation.protocol import Answer, Stops

Row = Mapping[str, Any]
Form = Literal["continue", "fill", "turn", "conversation"]
"""How a question is sent: as a protocol says (`transforms.evaluation.protocol.Form`), or in chat form, as one turn of
the user's or as a conversation (a JSON list of turns).
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """One question, beside its prompt.

    Args:
        form: How it is sent.
        protocol: The protocol's version, for the lineage.
        suffix: The text after the answer, in the form `fill`.
        is_line: Whether the answer is one line, with its line break.
        lead: Code that the prompt ends with and the answer begins with: what a program needs and a model isn't to
            repeat.
        ending: Where the answer ends.
        answer: In chat form: what of the model's turn is the answer.
    """

    form: Form
    protocol: str
    suffix: str = ""
    is_line: bool = False
    lead: str = ""
    ending: Stops = Stops()  # noqa: RUF009 - a frozen value
    answer: Answer = "text"

    @property
    def stop_texts(self) -> tuple[str, ...]:
        """The texts that end generation."""
        return self.ending.stops if self.form in ("continue", "turn") and self.answer == "text" else ()

    def text(self) -> str:
        """The question as JSON."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def of(cls, text: str) -> Question:
        """Reads what `text` wrote."""
        values: dict[str, Any] = json.loads(text)
        ending = values.pop("ending")
        return cls(**values, ending=Stops(**{**ending, "stops": tuple(ending["stops"])}))


def _nothing(row: Row) -> str:
    return ""


def _no_conversation(row: Row) -> str | None:
    return None


@dataclass(frozen=True, kw_only=True, slots=True)
class Asking:
    """How the rows of a benchmark become questions; the facts are the protocol's.

    Args:
        protocol: Its file's name.
        prompt: The text that is gone on with, or that stands before the answer.
        suffix: The text after the answer.
        is_line: Whether the answer is one line.
        lead: As in `Question`.
        shot_prompt: The question in the form in which examples are shown; None: as without examples.
        shot: An example with its answer; None: the benchmark has none.
        is_shot: Whether a row of the benchmark's own file is one of its examples.
        conversation: The conversation that a row asks to go on with, as JSON; None: its prompt is asked.
    """

    protocol: str
    prompt: Callable[[Row], str]
    suffix: Callable[[Row], str] = _nothing
    is_line: bool = False
    lead: Callable[[Row], str] = _nothing
    shot_prompt: Callable[[Row], str] | None = None
    shot: Callable[[Row], str] | None = None
    is_shot: Callable[[Row], bool] | None = None
    conversation: Callable[[Row], str | None] = _no_conversation
