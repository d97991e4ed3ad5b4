"""Programs that call a function and print each result as JSON, in the languages whose types must be known.

A result can be a number, a text or character, a truth value, nothing, or a list, array, tuple or mapping (from texts)
of these. What else is returned prints nothing or doesn't compile, so that nothing is told of it. Each line begins anew,
whatever the function itself has printed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from transforms.verification.typed.literals import literal, name_in_full
from transforms.verification.typed.types import Type, type_of

_HERE: Final = Path(__file__).parent
_FILES: Final[Mapping[str, str]] = {
    "C++": "calls.cpp.txt",
    "C#": "calls.cs.txt",
    "Java": "calls.java.txt",
    "Kotlin": "calls.kt.txt",
    "Rust": "calls.rs.txt",
}
_CALLS: Final = re.compile(r"^[^\n]*\{calls\}[^\n]*\n", re.M)
_OWN_MAIN: Final[Mapping[str, re.Pattern[str]]] = {
    "C++": re.compile(r"^(\s*(?:signed\s+)?(?:int|auto)\s+)main(?=\s*\()", re.M),
    "C#": re.compile(r"(\bstatic\s+(?:async\s+)?(?:void|int|Task|Task<int>)\s+)Main(?=\s*\()"),
    "Rust": re.compile(r"^(\s*(?:pub\s+)?fn\s+)main(?=\s*\()", re.M),
}


def calling_main(
    language: str, call: str, types: Sequence[str], inputs: Sequence[str], *, nonce: str, most: int
) -> str | None:
    """The text behind the function's that makes the calls; None: no input can be written in these types.

    Args:
        language: One of `signature.TYPED`.
        call: The expression that calls the function.
        types: The types of its parameters.
        inputs: Arguments, each list as JSON text.
        nonce: What begins each line.
        most: Characters of a result, at most.
    """
    kinds = [type_of(language, text) for text in types]
    lines = []
    for number, given in enumerate(inputs):
        values = json.loads(given)
        if len(values) != len(kinds) or None in kinds:
            return None
        pairs = [(kind, literal(language, kind, value)) for kind, value in zip(kinds, values, strict=True) if kind]
        if all(text is not None for _, text in pairs):
            lines.append(_line(language, call, number, [(kind, str(text)) for kind, text in pairs]))
    if not lines:
        return None
    frame = (_HERE / _FILES[language]).read_text(encoding="utf-8")
    frame = frame.replace("{nonce}", nonce).replace("{most}", str(most))
    return _CALLS.sub(lambda _: "".join(f"    {line}\n" for line in lines), frame)


def without_main(language: str, code: str) -> str:
    """The function's text with a main of its own under another name, in languages where there can be one only."""
    pattern = _OWN_MAIN.get(language)
    return code if pattern is None else pattern.sub(r"\1main_of_the_answer", code)


def _line(language: str, call: str, number: int, arguments: Sequence[tuple[Type, str]]) -> str:
    """A call, with arguments of its own for each time that it is made."""
    if language == "Kotlin":
        return f"call({number}) {{ {call}({', '.join(text for _, text in arguments)}) }}"
    if language == "Java":
        return f"call({number}, () -> {call}({', '.join(text for _, text in arguments)}));"
    if language == "C#":
        owner, _, name = call.removeprefix("new ").replace("()", "").rpartition(".")
        given = ", ".join(text for _, text in arguments)
        return f'call({number}, () => Invoke(typeof({owner}), "{name}", new object[] {{ {given} }}));'
    names = [f"a{place}" for place in range(len(arguments))]
    if language == "C++":
        made = " ".join(
            f"{name_in_full(kind)} {name} = {text};" for name, (kind, text) in zip(names, arguments, strict=True)
        )
        return (
            f"codemill_calls::call({number}, [] {{ {made} return codemill_calls::text({call}({', '.join(names)})); }});"
        )
    made = " ".join(
        f"let mut {name}: {_rust_name(kind)} = {text};" for name, (kind, text) in zip(names, arguments, strict=True)
    )
    passed = ", ".join(
        f"{kind.reference}{' ' if kind.reference == '&mut' else ''}{name}"
        for name, (kind, _) in zip(names, arguments, strict=True)
    )
    return f"codemill_calls::call({number}, || {{ {made} codemill_calls::Plain::text(&{call}({passed})) }});"


def _rust_name(kind: Type) -> str:
    if kind.inner is None:
        return "&str" if kind.text == "&str" else kind.text
    inside = _rust_name(kind.inner)
    if kind.kind == "list":
        return f"Vec<{inside}>"
    return f"std::collections::{kind.outer}<String, {inside}>"
