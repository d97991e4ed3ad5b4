"""Conversations whose last turn is checked: a row's `messages`, as `codemill generate --what chat` reads them.

    check        what the last turn must have                                       where the row says nothing
    test         code that passes the row's tests                                   it has a column test
    correction   code that parses and differs from the code that it corrects        it has none
    run          a program that ends with exit code 0                               (only by name)

The code that is corrected is that of the row's `given_code`, else the conversation's last code block in the language,
else its last one that names no language.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, get_args

from model.errors import RecordError
from transforms.evaluation.problems import Problem, Verdict
from transforms.languages.grammars import grammar_name
from transforms.languages.lookup import find_language
from transforms.languages.parsing import parses
from transforms.sandbox.toolchains import toolchain_of
from transforms.tasks.chat import Turn, fences, is_blank, read_turns
from transforms.tasks.shared import fitting_blocks

Check = Literal["test", "run", "correction"]
CHECKS: Final = get_args(Check)
_CORRECTION_S: Final = 10.0  # unused by what isn't run


def conversation_of(row: Mapping[str, Any]) -> str | None:
    """The conversation up to its last user turn, as JSON; None if the row has no `messages`."""
    return None if row.get("messages") is None else _text(_turns(row)[0])


def answer_of(row: Mapping[str, Any]) -> str | None:
    """The row's own last turn, if it is the model's."""
    return None if row.get("messages") is None else _turns(row)[1]


def problem_of_conversation(row: Mapping[str, Any]) -> Problem:
    """The problem of a row with `messages`.

    Raises:
        RecordError: `bad_turns`, `empty_instruction`, `unknown_language`, `unknown_check`, `no_test`.
    """
    turns, _ = _turns(row)
    check = row.get("check") or ("test" if row.get("test") else "correction")
    if check not in CHECKS:
        raise RecordError("unknown_check", f"check is {check!r}; it can be {', '.join(CHECKS)}")
    if check == "test" and not row.get("test"):
        raise RecordError("no_test", f"task {row['task_id']} has no test")
    given, language = str(row["language"]), toolchain_of(str(row["language"]))
    found = find_language(given)
    if language is None and (check != "correction" or found is None or not found.grammar):
        raise RecordError("unknown_language", given)
    if check == "correction":
        named = found.name if found else given
        code = row.get("given_code") or _last_code(turns, named)
        return Problem(
            problem_id=str(row["task_id"]), language=named, form="correction", test=code, wall_s=_CORRECTION_S
        )
    assert language is not None
    return Problem(
        problem_id=str(row["task_id"]),
        language=language.language,
        form="program" if check == "test" else "run",
        setup=row.get("setup") or "",
        test=row["test"] if check == "test" else "",
        entry_point=row.get("entry_point") or "",
        wall_s=language.run_limits.wall_s,
    )


def corrected(problem: Problem, code: str) -> Verdict:
    """The verdict on a correction, which isn't run."""
    if not code.strip():
        return Verdict(reason="wrong", detail="the answer has no code")
    sound = parses(code, problem.language)
    if sound is None:
        return Verdict(reason="no_toolchain", detail=f"{problem.language}: whether it parses can't be told")
    if not sound:
        return Verdict(reason="does_not_compile", detail=f"it doesn't parse as {problem.language}")
    if _lines(code) == _lines(problem.test):
        return Verdict(reason="wrong", detail="it is the code that was to be corrected")
    return Verdict(reason="passed", detail="")


def _lines(code: str) -> list[str]:
    """Lines without blanks at their ends, which no correction is about; indentation may be."""
    return [line.rstrip() for line in code.splitlines() if line.strip()]


def _last_code(turns: Sequence[Turn], language: str) -> str:
    blocks = [block for turn in turns for block in fences(turn.text) if block[1].strip()]
    return next(reversed(fitting_blocks(blocks, grammar_name(language) or "")), "")


def _turns(row: Mapping[str, Any]) -> tuple[list[Turn], str | None]:
    """The turns up to the last of the user's, and the model's turn after it."""
    messages = row["messages"]
    turns = read_turns(messages if isinstance(messages, str) else json.dumps(messages))
    answer = turns.pop().text if len(turns) > 1 and turns[-1].role == "model" else None
    if not turns or turns[-1].role != "user":
        raise RecordError("bad_turns", "the last turn, or the one before the model's last, must be the user's")
    if is_blank(turns[-1].text):
        raise RecordError("empty_instruction", "the user's last turn has no visible character")
    return turns, answer


def _text(turns: Sequence[Turn]) -> str:
    return json.dumps([{"role": turn.role, "content": turn.text} for turn in turns], ensure_ascii=False)
