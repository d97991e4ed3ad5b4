"""What a type of a parameter takes, read off its text.

Known are integers of 32 bits or more, floating-point numbers of 64, texts, truth values, and lists and mappings (from
texts) of these. Everything else is unknown, and a function that takes it isn't called: single precision gives other
digits, characters and narrow integers overflow where other languages don't, and objects would have to be made up.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["int", "float", "bool", "str", "list", "dict"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Type:
    """A type that values can be made for.

    Args:
        kind: What it holds.
        text: Its name, without references, `const` and namespaces of its own.
        outer: Of lists and mappings, the name in front of its arguments; `[]` for arrays.
        inner: Of lists, what they hold; of mappings, their values.
        reference: How it is passed in Rust: ``, `&` or `&mut`.
    """

    kind: Kind
    text: str
    outer: str = ""
    inner: Type | None = None
    reference: str = ""

    @property
    def annotation(self) -> str | None:
        """The same in Python, for which inputs are drawn; None: for lists of lists none are."""
        if self.inner is None:
            return self.kind
        if self.inner.inner is not None:
            return None
        return f"list[{self.inner.kind}]" if self.kind == "list" else f"dict[str, {self.inner.kind}]"


_SCALARS: Final[Mapping[str, Mapping[str, Kind]]] = {
    "C++": {
        **dict.fromkeys(("int", "long", "longlong", "longint", "longlongint", "int32_t", "int64_t", "ssize_t"), "int"),
        **dict.fromkeys(("unsigned", "unsignedint", "unsignedlong", "unsignedlonglong", "size_t"), "int"),
        **dict.fromkeys(("uint32_t", "uint64_t"), "int"),
        **{"double": "float", "bool": "bool", "string": "str", "string_view": "str"},
    },
    "C#": {
        **dict.fromkeys(("int", "long", "uint", "ulong", "Int32", "Int64"), "int"),
        **{"double": "float", "Double": "float", "bool": "bool", "Boolean": "bool", "string": "str", "String": "str"},
    },
    "Go": {
        **dict.fromkeys(("int", "int32", "int64", "uint", "uint32", "uint64"), "int"),
        **{"float64": "float", "bool": "bool", "string": "str"},
    },
    "Java": {
        **dict.fromkeys(("int", "long", "Integer", "Long"), "int"),
        **{"double": "float", "Double": "float", "boolean": "bool", "Boolean": "bool"},
        **{"String": "str", "CharSequence": "str"},
    },
    "Kotlin": {
        **{"Int": "int", "Long": "int", "Double": "float", "Boolean": "bool", "String": "str", "CharSequence": "str"},
    },
    "Rust": {
        **dict.fromkeys(("i32", "i64", "i128", "isize", "u32", "u64", "u128", "usize"), "int"),
        **{"f64": "float", "bool": "bool", "String": "str", "str": "str"},
    },
}
_LISTS: Final[Mapping[str, frozenset[str]]] = {
    "C++": frozenset({"vector"}),
    "C#": frozenset({"List", "IList", "IEnumerable", "ICollection", "IReadOnlyList", "IReadOnlyCollection"}),
    "Java": frozenset({"List", "ArrayList", "Collection", "Iterable"}),
    "Kotlin": frozenset({"List", "MutableList", "ArrayList", "Collection", "Iterable", "Array"}),
    "Rust": frozenset({"Vec"}),
}
_DICTS: Final[Mapping[str, frozenset[str]]] = {
    "C++": frozenset({"map", "unordered_map"}),
    "C#": frozenset({"Dictionary", "IDictionary"}),
    "Java": frozenset({"Map", "HashMap", "TreeMap", "LinkedHashMap"}),
    "Kotlin": frozenset({"Map", "MutableMap", "HashMap"}),
    "Rust": frozenset({"HashMap", "BTreeMap"}),
}
_KOTLIN_ARRAYS: Final = {"IntArray": "Int", "LongArray": "Long", "DoubleArray": "Double", "BooleanArray": "Boolean"}
_NAMESPACES: Final = re.compile(
    r"\b(?:std::(?:collections::|string::|vec::)?|java\.(?:util|lang)\.|kotlin\.(?:collections\.)?"
    r"|System\.(?:Collections\.Generic\.)?)"
)
_GENERIC: Final = re.compile(r"(\w+)<(.*)>")
_LIFETIME: Final = re.compile(r"'\w+\s*")


def type_of(language: str, text: str) -> Type | None:
    """A type by its text; None: nothing is known of it, or no value can be made for it.

    >>> type_of("Java", "Map<String, List<Integer>>").inner.text
    'List<Integer>'
    """
    return _type(language, _plain(language, text))


def _plain(language: str, text: str) -> str:
    text = _NAMESPACES.sub("", text)
    if language == "C++":
        text = re.sub(r"\bconst\b|&+", " ", text)
    if language == "Rust":
        text = re.sub(r"&\s*mut\b", "&mut ", _LIFETIME.sub("", text))
    if language in ("Kotlin", "C#"):
        text = text.replace("?", "")
    return re.sub(r"\s+", "", text).replace("&mut", "&mut ")


def _type(language: str, text: str) -> Type | None:
    if language == "Rust" and text.startswith("&"):
        return _reference(text)
    if (kind := _SCALARS.get(language, {}).get(text)) is not None:
        return None if language == "Rust" and text == "str" else Type(kind=kind, text=text)
    if language in ("Java", "C#") and text.endswith("[]"):
        return _list(language, text, "[]", text[:-2])
    if language == "Go" and text.startswith("[]"):
        return _list(language, text, "[]", text[2:])
    if language == "Go" and text.startswith("map[string]"):
        return _dict(language, text, "map", text[len("map[string]") :])
    if language == "Kotlin" and text in _KOTLIN_ARRAYS:
        return _list(language, text, text, _KOTLIN_ARRAYS[text])
    if (found := _GENERIC.fullmatch(text)) is None:
        return None
    outer, arguments = found[1], split(found[2])
    if outer in _LISTS.get(language, ()) and len(arguments) == 1:
        return _list(language, text, outer, arguments[0])
    if outer in _DICTS.get(language, ()) and len(arguments) == 2:
        key = _type(language, arguments[0])
        return _dict(language, text, outer, arguments[1]) if key is not None and key.kind == "str" else None
    return None


def _list(language: str, text: str, outer: str, inner: str) -> Type | None:
    held = _type(language, inner)
    return None if held is None else Type(kind="list", text=text, outer=outer, inner=held)


def _dict(language: str, text: str, outer: str, inner: str) -> Type | None:
    held = _type(language, inner)
    return None if held is None else Type(kind="dict", text=text, outer=outer, inner=held)


def _reference(text: str) -> Type | None:
    """A reference in Rust: a value of its own, of which a reference is passed; texts are static."""
    reference, rest = ("&mut", text[5:]) if text.startswith("&mut ") else ("&", text[1:])
    if rest == "str":
        return Type(kind="str", text="&str") if reference == "&" else None
    slice_of = re.fullmatch(r"\[([^;]+)\]", rest)
    found = _type("Rust", f"Vec<{slice_of[1]}>" if slice_of else rest)
    if found is None or found.reference:
        return None
    return Type(kind=found.kind, text=found.text, outer=found.outer, inner=found.inner, reference=reference)


def split(text: str) -> list[str]:
    """Splits a list at the commas that stand in no brackets.

    >>> split("a<b, c>, d")
    ['a<b, c>', 'd']
    """
    parts, depth, begin = [], 0, 0
    for place, char in enumerate(text):
        if char in "<([{":
            depth += 1
        elif char in ")]}" or (char == ">" and text[place - 1 : place] not in ("-", "=")):
            depth -= 1
        elif char == "," and depth == 0:
            parts.append(text[begin:place].strip())
            begin = place + 1
    last = text[begin:].strip()
    return [*parts, last] if last else parts
