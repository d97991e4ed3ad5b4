"""What the symbol and chat tasks share: tokenizers and syntax trees kept per process, rejections, code that fits."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from model.errors import RecordError
from model.tokenizer import Tokenizer
from transforms.chat import fences
from transforms.fim.grammars import grammar_name
from transforms.fim.syntax import Source, parse
from transforms.rows import Rejection, Row
from transforms.tasks.base import RejectedTarget, TaskRequest

FIM_CONTROL_TOKENS = 4  # `<bos>` and the three of every layout


@functools.lru_cache(maxsize=4)
def open_tokenizer(path: str) -> Tokenizer:
    """This process's tokenizer for `path`: tasks stay small and picklable."""
    return Tokenizer.load(path)


def read_source(row: Row, languages: Sequence[str]) -> Source:
    """The row's syntax tree.

    Raises:
        RecordError: `unsupported_language` (its grammar is none of `languages`), `unparsable`.
    """
    grammar = grammar_name(row.language, row.path)
    if grammar is None or grammar not in languages:
        raise RecordError("unsupported_language", f"{row.language or 'an unknown language'} is not supported here")
    return _parsed(row.content, grammar)


@functools.lru_cache(maxsize=8)  # the targets of one file come one after the other
def _parsed(content: str, grammar: str) -> Source:
    try:
        data = content.encode()
    except UnicodeEncodeError as error:
        detail = f"character {error.start} of {len(content)} is half a surrogate pair, which has no UTF-8 form"
        raise RecordError("lone_surrogate", detail) from None
    source = parse(data, grammar)
    if source is None:
        raise RecordError("unparsable", f"the {grammar} grammar gave up on {len(content)} characters")
    return source


def rejected(request: TaskRequest, reason: str, detail: str = "") -> RejectedTarget:
    """An answer that was judged and refused."""
    return RejectedTarget(target=request.target, rejection=Rejection("judge", reason, detail))


# Grammars that read each other's code well enough for a fence's name not to tell them apart.
_KIN: Final = (frozenset({"c", "cpp"}), frozenset({"javascript", "typescript", "tsx"}))


def code_of_answer(answer: str, grammar: str) -> str | None:
    """The code in a chat answer's fences: of the wanted language if a fence names it, else of one that names none.

    Args:
        answer: What the model wrote.
        grammar: The language that was asked for; "" takes any.

    Returns:
        The code; None where the answer has no fence.

    Raises:
        RecordError: `other_language`, where every fence names another language.
    """
    found = [(grammar_name(name) if name else None, code) for name, code in fences(answer)]
    if not found:
        return None
    kin = next((group for group in _KIN if grammar in group), frozenset({grammar}))
    for wanted in ({grammar}, kin, {None}):
        if fitting := [code for name, code in found if name in wanted]:
            return fitting[0]
    if grammar:
        raise RecordError("other_language", f"the answer's code is in {found[0][0]}, {grammar} was asked for")
    return found[0][1]


def fit_code(code: str, build: Callable[[str], list[int]], max_tokens: int) -> tuple[list[int], bool]:
    """Builds the longest prompt that fits, by leaving out the code's last lines.

    A quarter of the lines goes at a time, and a line `...` stands for what is left out: the signature and the
    documentation, which come first, stay longest.

    Args:
        code: What the prompt shows.
        build: Makes a prompt of it.
        max_tokens: The longest prompt.

    Returns:
        The prompt, and whether code was left out.

    Raises:
        RecordError: `prompt_too_long`, where not even the first line fits.
    """
    lines = code.splitlines()
    prompt: list[int] = []
    for kept in _fewer_and_fewer(len(lines)):
        prompt = build("\n".join(lines[:kept] + (["..."] if kept < len(lines) else [])))
        if len(prompt) <= max_tokens:
            return prompt, kept < len(lines)
    raise RecordError(
        "prompt_too_long",
        f"the first line alone makes {len(prompt)} tokens, the limit is {max_tokens}; raise --max_prompt_tokens",
    )


def _fewer_and_fewer(count: int) -> Iterator[int]:
    while count > 1:
        yield count
        count = count * 3 // 4
    yield 1


def byte_to_char(data: bytes, offset: int) -> int:
    """The character that a byte offset of UTF-8 stands at."""
    return len(data[:offset].decode())
