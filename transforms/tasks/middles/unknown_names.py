"""Counts the names that a middle uses and that stand nowhere else: a sign of invented functions and variables.

    total = sum_of(prices)     -> `sum_of`, if neither file nor context has it; `total` is bound here

Read are words outside of strings and comments, other than members (`x.name`), which may be a library's, and what the
middle binds itself. A language's own words and its most common predeclared names are known. It is a count of words, not
a resolution: a name of the file's other functions is known everywhere.

Cost: a few searches in the file for each name.
"""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Sequence
from typing import Final

from transforms.languages.lookup import find_language

_HASH: Final = r"\#[^\n]*"
_SLASH: Final = r"//[^\n]*|/\*.*?(?:\*/|\Z)"
_STRINGS: Final = (
    r"\"{3}.*?(?:\"{3}|\Z)|'{3}.*?(?:'{3}|\Z)"
    r"|\"(?:\\.|[^\"\\\n])*\"?|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`"
)
_SKIPPED: Final = {
    "hash": re.compile(f"{_STRINGS}|{_HASH}", re.DOTALL),
    "slash": re.compile(f"{_STRINGS}|{_SLASH}", re.DOTALL),
}
# Not behind a dot, an arrow or a path's colons; not before `=`, `:` or an arrow, which bind it or name a key.
_USED: Final = re.compile(
    r"(?:(?<=self\.)|(?<=this\.)|(?<![\w.$@'])(?<!->)(?<!::))(?!\d)(\w+)\b(?!\s*(?:=(?![=~])|:(?![:=])|->|:=))"
)
_BINDERS: Final = (
    r"def|class|let|mut|ref|var|val|const|static|final|fn|func|fun|function|for|foreach|struct|enum|union|interface|trait|"
    r"type|typedef|impl|import|as|from|using|auto|catch|case|lambda|record|object|namespace|package|macro_rules!"
)
# The last alternative, which matches nothing, is for older Pythons (CPython issue 106052).
_NAMES: Final = r"\b\w++(?:\s*+,\s*+\w++|(?!)){0,16}+"
_BOUND: Final = re.compile(
    rf"\b(?:{_BINDERS})\s*\(?\s*({_NAMES})"  # let a, b
    rf"|({_NAMES})\s*(?::=|=(?![=>~])|\bin\b)"  # a, b = ; for a, b in
    rf"|\(?({_NAMES})\)?\s*(?:=>|->)|\|({_NAMES})\|"  # parameters of a lambda
)
_TYPED: Final = re.compile(
    r"\b(?:[A-Z]\w*|(?:int|long|double|float|bool|boolean|char|byte|short|string|size_t|u?int\d+_t)\b)"
    r"(?:<[^<>\n]*>)?(?:\[\])?[*&]?\s+[*&]?(\w+)\b"  # Type name
    r"|>[*&]?\s+[*&]?(\w+)\s*[({;=]"  # vector<int> name(
)

_MAX_CHARS: Final = 20_000

_COMMON: Final = (
    "abstract as assert async await auto base bool boolean break byte case catch char checked class const constexpr "
    "continue crate data debugger decimal decltype def default defer del delete do double dyn elif else enum except "
    "explicit export extends extern fallthrough false final finally fixed float fn for foreach from fun func function "
    "get global go goto if impl implements import in inline instanceof int interface internal is it lambda let lock "
    "long loop macro match mod module move mut mutable namespace native new nil noexcept not null nullptr object of "
    "operator or and out override package params pass private protected pub public raise range readonly record ref "
    "register return sealed select self set short signed sizeof static string struct super switch synchronized "
    "template this throw throws trait transient true try type typedef typeof typename uint ulong unchecked undefined "
    "union unless unsafe unsigned until use using val value var virtual void volatile when where while with yield "
    "None True False Self String Error Exception Object _"
)
_OWN: Final = {
    "Python": " ".join((*dir(builtins), *keyword.kwlist, *keyword.softkwlist)),
    "JavaScript": "console Math JSON Object Array Promise Map Set WeakMap Date Number String Boolean Symbol RegExp "
    "parseInt parseFloat isNaN Infinity NaN setTimeout clearTimeout setInterval clearInterval globalThis window "
    "document process require module exports arguments URL fetch Buffer encodeURIComponent decodeURIComponent "
    "structuredClone queueMicrotask TypeError RangeError Reflect Proxy",
    "Java": "System Math Integer Long Double Float Boolean Character Byte Short Number StringBuilder Iterable Runnable "
    "Thread Class Enum Override IllegalArgumentException IllegalStateException RuntimeException "
    "NullPointerException UnsupportedOperationException IndexOutOfBoundsException Throwable AssertionError "
    "CharSequence Comparable Void Deprecated SuppressWarnings",
    "Kotlin": "Int Long Double Float Boolean Char Byte Short Any Unit Nothing List MutableList Map MutableMap Set "
    "MutableSet Array Pair Triple listOf mutableListOf mapOf mutableMapOf setOf mutableSetOf arrayOf emptyList "
    "emptyMap "
    "println print require requireNotNull check checkNotNull error run apply also with lazy repeat to buildString "
    "IllegalArgumentException IllegalStateException StringBuilder Math System Throwable TODO by it",
    "Go": "append cap clear close complex copy delete imag len make max min new panic print println real recover any "
    "bool byte comparable error float32 float64 int int8 int16 int32 int64 rune uint uint8 uint16 uint32 uint64 "
    "uintptr iota chan map",
    "Rust": "Vec Option Some Ok Err Result Box Default Clone Copy Debug Drop Eq Fn FnMut FnOnce From Into Iterator Ord "
    "PartialEq PartialOrd Send Sync ToString ToOwned AsRef format println print eprintln panic vec assert assert_eq "
    "assert_ne write writeln matches todo unreachable i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize f32 f64 str "
    "std core alloc dbg debug_assert",
    "C": "NULL size_t ssize_t int8_t int16_t int32_t int64_t uint8_t uint16_t uint32_t uint64_t printf fprintf "
    "sprintf snprintf malloc calloc realloc free memcpy memset memmove memcmp strlen strcmp strncmp strcpy strncpy "
    "strdup abort exit stderr stdout stdin errno EOF FILE std",
    "C#": "Console Math Task List Dictionary IEnumerable Func Action ArgumentException ArgumentNullException "
    "InvalidOperationException NotSupportedException Guid DateTime TimeSpan Nullable nameof var dynamic Convert",
}
_ALSO: Final = {
    "TypeScript": ("JavaScript", "any unknown never number keyof infer Partial Record Readonly Pick Omit Required"),
    "TSX": ("JavaScript", "any unknown never number keyof infer Partial Record Readonly Pick Omit Required"),
    "C++": ("C", "static_cast dynamic_cast reinterpret_cast const_cast cout cerr endl string"),
}
_KNOWN: Final[dict[str, frozenset[str]]] = {
    **{name: frozenset(f"{_COMMON} {own}".split()) for name, own in _OWN.items()},
    **{name: frozenset(f"{_COMMON} {_OWN[kin]} {own}".split()) for name, (kin, own) in _ALSO.items()},
}


def count_unknown_names(middle: str, texts: Sequence[str], language: str, path: str = "") -> int | None:
    """Returns the number of names that a middle uses and that none of the texts has; None if that can't be told.

    Args:
        middle: Code, from the beginning of a name.
        texts: The text around it, and what else its prompt contains.
        language: The corpus's name of its language.
        path: The file's path.

    >>> count_unknown_names("total = sum_of(prices)", ["def f(prices):\\n"], "python")
    1
    """
    found = find_language(language, path)
    known = None if found is None else _KNOWN.get(found.name)
    skipped = None if found is None else _SKIPPED.get(found.comments)
    if known is None or skipped is None or len(middle) > _MAX_CHARS:
        return None
    code = skipped.sub(" ", middle)
    names = set(_USED.findall(code)) - known
    if names:
        matches = (*_BOUND.finditer(code), *_TYPED.finditer(code))
        bound = (word for match in matches for part in match.groups() if part for word in part.split(","))
        names -= {word.strip() for word in bound}
    return sum(not any(_has_word(text, name) for text in texts) for name in names)


def _has_word(text: str, name: str) -> bool:
    place = text.find(name)
    while place >= 0:
        end = place + len(name)
        if not _is_part(text, place - 1) and not _is_part(text, end):
            return True
        place = text.find(name, end)
    return False


def _is_part(text: str, place: int) -> bool:
    return 0 <= place < len(text) and (text[place].isalnum() or text[place] == "_")
