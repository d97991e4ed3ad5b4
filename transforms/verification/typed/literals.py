"""Values as they are written in a language whose types are known."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from transforms.verification.typed.types import Type

_INT_ENDS: Final[Mapping[str, Mapping[str, str]]] = {
    "C++": {"longlong": "LL", "longlongint": "LL", "int64_t": "LL", "uint64_t": "ULL", "unsignedlonglong": "ULL"},
    "C#": {"long": "L", "Int64": "L", "uint": "U", "ulong": "UL"},
    "Java": {"long": "L", "Long": "L"},
    "Kotlin": {"Long": "L"},
}
_NAMES: Final[Mapping[str, str]] = {  # of types in namespaces, as written in full
    **{"string": "std::string", "string_view": "std::string_view", "vector": "std::vector", "map": "std::map"},
    "unordered_map": "std::unordered_map",
}
_UNSIGNED: Final = ("u", "size_t")  # how names of unsigned types begin
_JAVA_MADE: Final = {"Map": "LinkedHashMap"}
_NET: Final = "System.Collections.Generic."


def literal(language: str, kind: Type, value: Any) -> str | None:
    """A value as an expression of a type; None if it isn't one.

    >>> from transforms.verification.typed.types import type_of
    >>> literal("Java", type_of("Java", "long[]"), [1, -2])
    'new long[]{1L, -2L}'
    """
    if kind.inner is not None:
        return _many(language, kind, kind.inner, value)
    if kind.kind == "bool":
        return str(value).lower() if isinstance(value, bool) else None
    if kind.kind == "str":
        return _text(language, kind, value) if isinstance(value, str) else None
    if type(value) not in (int, float):
        return None
    if kind.kind == "float":
        return f"{float(value)!r}"
    if type(value) is float or (value < 0 and kind.text.startswith(_UNSIGNED)) or abs(value) >= 2**31:
        return None
    end = kind.text if language == "Rust" else _INT_ENDS.get(language, {}).get(kind.text, "")
    return f"{value}{end}"


def _text(language: str, kind: Type, value: str) -> str | None:
    if not value.isascii() or not (value.isprintable() or not value):
        return None  # escapes differ
    quoted = json.dumps(value)
    if language == "Kotlin":
        return quoted.replace("$", "\\$")
    if language == "C++":
        return f"std::string({quoted})"
    return f"String::from({quoted})" if language == "Rust" and kind.text == "String" else quoted


def _many(language: str, kind: Type, inner: Type, value: Any) -> str | None:
    if kind.kind == "list":
        given = [literal(language, inner, one) for one in value] if isinstance(value, list) else [None]
        return None if None in given else _LISTS[language](kind, inner, ", ".join(map(str, given)))
    if not isinstance(value, dict):
        return None
    pairs = [(literal(language, _key(language), key), literal(language, inner, one)) for key, one in value.items()]
    if any(None in pair for pair in pairs):
        return None
    return _DICTS[language](kind, inner, [(str(key), str(one)) for key, one in pairs])


def _key(language: str) -> Type:
    return Type(kind="str", text="String" if language == "Rust" else "")


def name_in_full(kind: Type) -> str:
    """The name of a type in C++, with its namespaces."""
    if kind.inner is None:
        known = {"longlong": "long long", "unsignedlonglong": "unsigned long long", "unsignedint": "unsigned int"}
        return _NAMES.get(kind.text) or known.get(kind.text, kind.text)
    inside = name_in_full(kind.inner)
    return f"{_NAMES[kind.outer]}<{inside if kind.kind == 'list' else f'std::string, {inside}'}>"


def _java_list(kind: Type, inner: Type, given: str) -> str:
    if kind.outer == "[]":
        return f"new {kind.text}{{{given}}}"
    return f"new java.util.ArrayList<{inner.text}>(java.util.Arrays.<{inner.text}>asList({given}))"


def _java_dict(kind: Type, inner: Type, pairs: list[tuple[str, str]]) -> str:
    made = _JAVA_MADE.get(kind.outer, kind.outer)
    puts = " ".join(f"put({key}, {one});" for key, one in pairs)
    return f"new java.util.{made}<String, {inner.text}>() {{{{ {puts} }}}}"


def _kotlin_list(kind: Type, inner: Type, given: str) -> str:
    if kind.outer == "Array":
        return f"arrayOf<{inner.text}>({given})"
    if kind.outer.endswith("Array"):
        return f"{inner.text.lower()}ArrayOf({given})"
    return f"arrayListOf<{inner.text}>({given})"


def _csharp_list(kind: Type, inner: Type, given: str) -> str:
    return f"new {kind.text if kind.outer == '[]' else f'{_NET}List<{inner.text}>'}{{{given}}}"


_LISTS: Final[Mapping[str, Callable[[Type, Type, str], str]]] = {
    "C++": lambda kind, inner, given: f"{name_in_full(kind)}{{{given}}}",
    "C#": _csharp_list,
    "Java": _java_list,
    "Kotlin": _kotlin_list,
    "Rust": lambda kind, inner, given: f"vec![{given}]",
}
_DICTS: Final[Mapping[str, Callable[[Type, Type, list[tuple[str, str]]], str]]] = {
    "C++": lambda kind, inner, pairs: f"{name_in_full(kind)}{{{', '.join(f'{{{k}, {v}}}' for k, v in pairs)}}}",
    "C#": lambda kind, inner, pairs: (
        f"new {_NET}Dictionary<string, {inner.text}>{{{', '.join(f'{{{k}, {v}}}' for k, v in pairs)}}}"
    ),
    "Java": _java_dict,
    "Kotlin": lambda kind, inner, pairs: (
        f"hashMapOf<String, {inner.text}>({', '.join(f'{k} to {v}' for k, v in pairs)})"
    ),
    "Rust": lambda kind, inner, pairs: (
        f"std::collections::{kind.outer}::from([{', '.join(f'({k}, {v})' for k, v in pairs)}])"
    ),
}
