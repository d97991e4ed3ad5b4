"""Functions shared by tasks: tokenizers and syntax trees cached per process, rejections, fitting code into prompts."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from model.engine.requests import Completion, Request, Sampling
from model.engine.settings import GenerationSettings
from model.engine.stopping import StopTexts
from model.errors import RecordError
from model.tokenizer import Tokenizer
from transforms import checks
from transforms.fim.formats import strip_final_separator
from transforms.fim.windows import Encoder, Window, fit_window
from transforms.languages.grammars import grammar_name
from transforms.languages.lookup import find_language
from transforms.languages.syntax import Source, parse
from transforms.rows.rejections import Rejection
from transforms.rows.row import Row
from transforms.tasks.base import RejectedTarget, TaskRequest
from transforms.tasks.chat import fences

NOT_VERIFIABLE: Final = "not_verifiable"  # the reason of an answer with a required check that can't be decided

FIM_CONTROL_TOKENS = 4  # `<bos>` and the three of every layout


@functools.lru_cache(maxsize=4)
def open_tokenizer(path: str) -> Tokenizer:
    """This process's tokenizer for `path`, cached, so that tasks stay small and picklable."""
    return Tokenizer.load(path)


@functools.lru_cache(maxsize=4)
def newline_ids(path: str) -> frozenset[int]:
    """The tokens that start with a line feed: the stop ids of a one-line answer."""
    tokenizer = open_tokenizer(path)
    return frozenset(id_ for id_ in range(tokenizer.vocab_size) if tokenizer.decode_bytes([id_]).startswith(b"\n"))


@functools.lru_cache(maxsize=4)
def _control_names(path: str) -> tuple[str, ...]:
    tokenizer = open_tokenizer(path)
    return tuple(sorted(tokenizer.piece(id_) for id_ in tokenizer.control_ids))


def request_of(
    settings: GenerationSettings,
    prompt: Sequence[int],
    stop_ids: frozenset[int],
    seed: int,
    *,
    stop_texts: StopTexts | None = None,
) -> Request:
    """Builds the engine request for a prompt, with the task's limits and sampling and the target's own seed."""
    return Request(
        stop_texts=stop_texts,
        prompt=tuple(prompt),
        max_new_tokens=settings.max_new_tokens,
        stop_ids=stop_ids,
        sampling=Sampling(temperature=settings.temperature, top_k=settings.top_k, top_p=settings.top_p, seed=seed),
    )


def continuation_prompt(tokenizer: Tokenizer, text: str) -> list[int]:
    """The prompt of a model that is to go on with a text."""
    return [tokenizer.bos, *tokenizer.encode(text)]


def check_control(tokenizer: str, tokens: Sequence[int], written: str, content: str) -> None:
    """Rejects generated control tokens: decoded, they become nothing, or their names in plain text.

    Args:
        tokenizer: Location of the vocabulary.
        tokens: The generated tokens.
        written: The text that is kept of them.
        content: The row's text; names of control tokens that occur in it are allowed.

    Raises:
        RecordError: `control_token_in_output`.
    """
    opened = open_tokenizer(tokenizer)
    if not opened.control_ids.isdisjoint(strip_final_separator(opened, tokens)):
        raise RecordError("control_token_in_output", "the model generated a control token")
    if checks.has_control_text(written, content, _control_names(tokenizer)):
        raise RecordError("control_token_in_output", "the answer contains the name of a control token")


def read_source(row: Row, languages: Sequence[str]) -> Source:
    """Returns the row's syntax tree.

    Raises:
        RecordError: `unsupported_language` (its grammar is not one of `languages`), `unparsable`.
    """
    grammar = grammar_name(row.language, row.path)
    if grammar is None or grammar not in languages:
        raise RecordError("unsupported_language", f"{row.language or 'an unknown language'} is not supported here")
    return parse_text(row.content, grammar)


@functools.lru_cache(maxsize=8)  # the targets of one file follow each other
def parse_text(content: str, grammar: str) -> Source:
    """Returns a text's syntax tree, cached. Raises RecordError: `lone_surrogate`, `unparsable`."""
    try:
        data = content.encode()
    except UnicodeEncodeError as error:
        detail = f"character {error.start} of {len(content)} is a lone surrogate, which can't be encoded as UTF-8"
        raise RecordError("lone_surrogate", detail) from None
    source = parse(data, grammar)
    if source is None:
        raise RecordError("unparsable", f"the {grammar} parser gave up on {len(content)} characters")
    return source


def rejected(request: TaskRequest, reason: str, detail: str = "") -> RejectedTarget:
    """The rejection of an answer that failed validation."""
    return RejectedTarget(target=request.target, rejection=Rejection("judge", reason, detail))


def unlikely(request: TaskRequest, completion: Completion, min_score: float) -> RejectedTarget | None:
    """The rejection of an answer whose mean log-probability is below the minimum; None for another one."""
    if completion.mean_logprob < min_score:
        detail = f"mean log-probability is {completion.mean_logprob:.3f}, the minimum is {min_score}"
        return rejected(request, "unlikely", detail)
    return None


def failed_check(
    verdicts: Mapping[str, bool | None], reasons: Mapping[str, str], required: Sequence[str]
) -> tuple[str, str] | None:
    """Returns the reason and the detail for which an answer is rejected; None if it passes every required check.

    An accepted answer has no required check whose verdict is None: one that can't be decided rejects it as
    `not_verifiable`, which is no fault, so a check that is false comes first.

    >>> failed_check({"parses": None, "not_empty": True}, {"parses": "does_not_parse"}, ["not_empty", "parses"])
    ('not_verifiable', 'the required check parses can not be decided')
    """
    for check in required:
        if verdicts[check] is False:
            return reasons[check], ""
    for check in required:
        if verdicts[check] is None:
            return NOT_VERIFIABLE, f"the required check {check} can not be decided"
    return None


def with_fault(fault: str, detail: str) -> str:
    """The detail of an answer that doesn't parse: where it is at fault, if that can be told, and what is said of any.

    >>> with_fault("line 1, column 6: '(' was never closed", "9 tokens were generated")
    "line 1, column 6: '(' was never closed; 9 tokens were generated"
    """
    return f"{fault}; {detail}" if fault else detail


# Grammars that parse each other's code well enough that the name on a fence can't distinguish them.
_KIN: Final = (frozenset({"c", "cpp"}), frozenset({"javascript", "typescript", "tsx"}))


def code_of_answer(answer: str, grammar: str, *, joined: bool = False) -> str | None:
    """Returns the code in a chat answer's fences: those of the wanted language, else those without a language.

    Args:
        answer: The generated text.
        grammar: The requested language; "" accepts any.
        joined: Whether to join all fences of that language instead of taking only the first.

    Returns:
        The code; None if the answer has no fence.

    Raises:
        RecordError: `other_language`, if every fence names another language.
    """
    found = fences(answer)
    if not found:
        return None
    if fitting := fitting_blocks(found, grammar):
        return "\n".join(fitting) if joined else fitting[0]
    name, code = found[0]
    if grammar:
        raise RecordError("other_language", f"the answer's code is in {_named(name)}, but {grammar} was requested")
    return code


def fitting_blocks(blocks: Sequence[tuple[str, str]], grammar: str) -> list[str]:
    """Returns the code of the blocks (of `fences`) in a language; of those without one, if none is in it.

    >>> fitting_blocks([("", "Error: 1"), ("py", "x = 1"), ("python", "x = 2")], "python")
    ['x = 1', 'x = 2']
    """
    named = [(_named(name), code) for name, code in blocks]
    kin = next((group for group in _KIN if grammar in group), frozenset({grammar}))
    for wanted in ({grammar}, kin, {None}):
        if fitting := [code for name, code in named if name in wanted]:
            return fitting
    return []


def _named(fence: str) -> str | None:
    """Returns the grammar for a fence's name, or the language's name if it has no grammar; None if the name is blank,
    unknown, or only says that this is text.
    """
    found = find_language(fence) if fence else None
    return None if found is None or found.kind == "plain" else found.reader or found.name


def fit_hole(encoder: Encoder, text: str, start: int, end: int, needed: tuple[int, int], max_tokens: int) -> Window:
    """Fits the context of the hole `text[start:end]` into a token budget, including a required part of it.

    If the lines nearest the hole (`fit_window`) don't contain the entire required part, the context is that part alone.

    Args:
        encoder: Encodes text to ids.
        text: The file.
        start, end: The hole, in characters.
        needed: The required part (signature and documentation), in characters; it touches the hole.
        max_tokens: Maximum length of the context.

    Raises:
        RecordError: `prompt_too_long`, if the required part doesn't fit.
    """
    window = fit_window(encoder, text, start, end, max_tokens)
    if window.prefix_start <= needed[0] and needed[1] <= window.suffix_end:
        return window
    low, high = min(needed[0], start), max(needed[1], end)
    alone = fit_window(encoder, text[low:high], start - low, end - low, max_tokens)
    if alone.is_windowed:
        detail = f"signature and documentation need more than {max_tokens} tokens; raise --max_prompt_tokens"
        raise RecordError("prompt_too_long", detail)
    return Window(low, high, alone.prefix_ids, alone.suffix_ids, is_windowed=True)


def fit_code(
    code: str, build: Callable[[str], list[int]], max_tokens: int, *, least_lines: int = 1
) -> tuple[list[int], bool]:
    """Builds the longest prompt that fits by omitting the code's last lines.

    A quarter of the lines is removed at a time; a line `...` stands for the omitted lines.

    Args:
        code: The code to show in the prompt.
        build: Builds a prompt from it.
        max_tokens: Maximum length of the prompt.
        least_lines: Minimum number of first lines to keep: the signature and the documentation.

    Returns:
        The prompt, and whether code was omitted.

    Raises:
        RecordError: `prompt_too_long`, if not even those lines fit.
    """
    lines = code.splitlines()
    prompt: list[int] = []
    least = min(max(least_lines, 1), max(len(lines), 1))
    for kept in _fewer_and_fewer(len(lines), least):
        prompt = build("\n".join(lines[:kept] + (["..."] if kept < len(lines) else [])))
        if len(prompt) <= max_tokens:
            return prompt, kept < len(lines)
    raise RecordError(
        "prompt_too_long",
        f"the first {least} lines (signature and documentation) alone take {len(prompt)} tokens, the limit is "
        f"{max_tokens}; raise --max_prompt_tokens",
    )


def _fewer_and_fewer(count: int, least: int) -> Iterator[int]:
    while count > least:
        yield count
        count = count * 3 // 4
    yield least


def byte_to_char(data: bytes, offset: int) -> int:
    """Converts a byte offset of UTF-8 to a character offset."""
    return len(data[:offset].decode())
