"""How a model is asked for a benchmark's answers: shots, stops, truncation. Facts, one file a benchmark or family.

`protocols/NAME.toml` states them with their source. A file of the user's own takes the place of one of them, so that
another harness's numbers can be reproduced without a change of code; the version that each row's lineage names is then
the file's hash.
"""

from __future__ import annotations

import functools
import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Literal, get_args

from model.errors import ConfigError, one_line, shown
from transforms.languages.grammars import grammar_name
from transforms.sandbox.toolchains import toolchain_of

Form = Literal["continue", "fill"]
"""`continue`: the answer goes on where the prompt ends; `fill`: it stands between prompt and suffix."""
Answer = Literal["text", "code"]
"""What of a chat model's turn is the answer: its text, up to a stop, or the code in its first code block."""

_FOLDER: Final = Path(__file__).parent / "protocols"


@dataclass(frozen=True, kw_only=True, slots=True)
class Stops:
    """Where an answer ends.

    Args:
        stops: Texts, of which the first to occur ends it.
        keeps_stop: Whether that text still belongs to it.
        closing: What is put behind it if it ended so.
    """

    stops: tuple[str, ...] = ()
    keeps_stop: bool = False
    closing: str = ""

    def cut(self, text: str, *, is_complete: bool) -> str:
        """Cuts what a model wrote.

        Args:
            text: All of it.
            is_complete: Whether the model ended it by itself, so that a stop may lack its line break.

        >>> Stops(stops=("\\n}",), keeps_stop=True).cut(" return 1;\\n}\\nint g", is_complete=False)
        ' return 1;\\n}'
        """
        searched = text + "\n" if is_complete else text
        found = [(at, stop) for stop in self.stops if (at := searched.find(stop)) >= 0]
        if not found:
            return text
        at, stop = min(found)
        return searched[: at + len(stop)] + self.closing if self.keeps_stop else searched[:at]


@dataclass(frozen=True, kw_only=True, slots=True)
class Chat:
    """How an instruction-tuned model is asked: in one turn.

    Args:
        ask: The turn's text. `{prompt}` stands for the examples and the prompt that a base model gets, `{language}` for
            the language's name, `{fence}` for its name on a code block.
        answer: What of the model's turn is the answer. Stops apply to a text alone.
    """

    ask: str
    answer: Answer

    def turn(self, prompt: str, language: str) -> str:
        """The turn's text for a prompt.

        >>> Chat(ask="Go on in {language}: {prompt}", answer="text").turn("x = {language}", "Go")
        'Go on in Go: x = {language}'
        """
        fence = grammar_name(language) or language.lower()
        before, _, after = self.ask.partition("{prompt}")
        named = [part.replace("{language}", language).replace("{fence}", fence) for part in (before, after)]
        return prompt.rstrip().join(named)


@dataclass(frozen=True, kw_only=True, slots=True)
class Protocol:
    """How a benchmark's model is asked.

    Args:
        version: Changes whenever the same row could get another prompt, or the same text be cut elsewhere.
        source: Where its facts come from.
        form: Where the answer stands.
        answer_tokens, prompt_tokens: What answers and prompts take at most, where the model's context has room.
        shots: How many examples stand in front of the question, where `--shots` gives no other number.
        ending: Where an answer ends.
        shot_ending: Where it ends with examples in front of it; None: as without.
        languages: Where it ends in languages of their own.
        chat: How an instruction-tuned model is asked; None: as a base model is.
    """

    version: str
    source: str
    form: Form
    answer_tokens: int
    prompt_tokens: int
    shots: int
    ending: Stops
    shot_ending: Stops | None = None
    languages: Mapping[str, Stops] = field(default_factory=dict)
    chat: Chat | None = None

    def ending_of(self, language: str, shots: int) -> Stops:
        """Where an answer in a language ends."""
        if shots and self.shot_ending is not None:
            return self.shot_ending
        return self.languages.get(language, self.ending)


@functools.cache
def protocol_of(name: str) -> Protocol:
    """The protocol that comes with codemill for a benchmark or a family."""
    return _read((_FOLDER / f"{name}.toml").read_bytes(), f"protocols/{name}.toml")


def read_protocol(path: str) -> Protocol:
    """A protocol of the user's own.

    Raises:
        ConfigError: The file can't be read, or lacks a fact or has one that there isn't.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"--protocol {path} can't be read: {one_line(str(error))}") from error
    return _read(data, f"--protocol {path}", version=f"sha256-{hashlib.sha256(data).hexdigest()[:16]}")


def _read(data: bytes, name: str, version: str = "") -> Protocol:
    try:
        table = tomllib.loads(data.decode())
        ending = {key: table.pop(key) for key in _names(Stops) if key in table}
        shot_ending = table.pop("shot_stops", None)
        languages = table.pop("languages", {})
        chat = table.pop("chat", None)
        if table.get("form") not in get_args(Form):
            raise ValueError(f"form is {table.get('form')!r}; it can be {' or '.join(get_args(Form))}")
        for fact, least in (("answer_tokens", 1), ("prompt_tokens", 1), ("shots", 0)):
            if type(table[fact]) is not int or table[fact] < least:
                raise ValueError(f"{fact} is a whole number from {least}, got {shown(table[fact])}")
        for fact in ("version", "source"):
            _check(table, fact, str, "a text")
        return Protocol(
            **{**table, "version": version or table["version"]},
            ending=_stops(ending),
            shot_ending=None if shot_ending is None else _stops(_as_table(shot_ending, "shot_stops")),
            languages=_languages(_as_table(languages, "languages")),
            chat=None if chat is None else _chat(_as_table(chat, "chat"), table["form"]),
        )
    except KeyError as error:
        raise ConfigError(f"{name}: {error.args[0]} is missing") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise ConfigError(f"{name}: {one_line(str(error))}") from error


def _names(kind: type) -> list[str]:
    return [one.name for one in fields(kind)]


def _check(table: Mapping[str, Any], fact: str, kind: type, called: str) -> None:
    if fact in table and not isinstance(table[fact], kind):
        raise ValueError(f"{fact} is {called}, got {shown(table[fact])}")


def _as_table(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{name} is a table, got {shown(value)}")
    return value


def _languages(table: Mapping[str, Any]) -> dict[str, Stops]:
    found: dict[str, Stops] = {}
    for name, one in table.items():
        if (toolchain := toolchain_of(name)) is None:
            raise ValueError(f"languages: the sandbox runs no {name}")
        if toolchain.language in found:
            raise ValueError(f"languages: {toolchain.language} stands there twice")
        found[toolchain.language] = _stops(_as_table(one, f"languages.{name}"))
    return found


def _chat(table: Mapping[str, Any], form: Form) -> Chat:
    if form != "continue":
        raise ValueError(f"chat: a turn can't ask for what the form {form} asks; remove the table")
    _check(table, "ask", str, "a text")
    if table["ask"].count("{prompt}") != 1:
        raise ValueError("chat: ask must have {prompt} once")
    if table.get("answer") not in get_args(Answer):
        raise ValueError(f"chat: answer is {shown(table.get('answer'))}; it can be {' or '.join(get_args(Answer))}")
    return Chat(**table)


def _stops(table: Mapping[str, Any]) -> Stops:
    texts = table.get("stops", [])
    if not isinstance(texts, list) or not all(isinstance(text, str) and text for text in texts):
        raise ValueError("stops is a list of texts, none of them empty")
    _check(table, "keeps_stop", bool, "true or false")
    _check(table, "closing", str, "a text")
    return Stops(**{**table, "stops": tuple(texts)})
