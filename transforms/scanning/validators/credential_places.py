"""Validators of values in places meant for a credential: an argument of a login function, a program's option, a
server's directive.

The place is sufficient evidence of a password, so the validators dismiss only what is not a value: placeholders,
variables, and names of things. If the place is as broad as a call's arguments, the value must also look like a
password: mixed characters that do not form a word.
"""

from __future__ import annotations

import re
from dataclasses import replace

from transforms.scanning.candidate import Candidate, Verdict
from transforms.scanning.validators.secret_values import (
    is_hex_hash,
    is_path_or_url,
    is_placeholder,
    is_symbol_mix,
    is_wordlike,
    looks_random,
)

_LITERAL = re.compile(
    rb"(?<![\w\\])[bruBRULN@]{0,2}([\"'`])((?:(?!\1)[^\\\n]|\\.|(?!)){5,120}+)\1(?=[ \t]*(?:[,)\]}]|$))"
)
_SOME_LETTER, _SOME_DIGIT = re.compile(rb"[A-Za-z]"), re.compile(rb"[0-9]")
_SYMBOL = re.compile(rb"[^\w\s.:/@,;-]")
_NO_PASSWORD = re.compile(
    rb"\s|^[\w.+-]+@[\w-]+\.|^[#.%/\\]|\\[dwsnrtx]|[*+?]\)|%[sdr]|\.\w{2,4}$|^[A-Z]{2,5}\d{3}$|^\d+(?:[.:]\d+)*$"
)
_ITS_OWN_NAME = re.compile(
    rb"(?i)(?:my|your|the|db|user|some|new|old|wrong|invalid|bad|good)?[_-]?(?:password|passwd|pwd|pass|secret|key|token)\d?"
)
_KEY_PATH = re.compile(r"(?i)(?:\.(?:key|token|secret|passw(?:or)?d|pass)|(?:^|/)(?:token|secret|password|api_?key))$")
_DEFAULTS = frozenset((b"foobared", b"public", b"private", b"prompt", b"stdin"))
_USER_PASSWORD = re.compile(rb"[\w.-]{1,32}:(?P<v>(?:(?!\\n)[^\s\"'`|]){1,100})")
_NEXT_USER = re.compile(
    rb"(?:(?:\\n|[ \t\r\n]){1,40}|[\"'][ \t]{1,8}\$?[\"']?|[\"']\r?\n[ \t]{1,40}(?=-))"
    rb"(?:-[ \t]{1,4})?[\"']?(?=[\w.-]{1,32}:[^\s\"'`|])"
)
"""Between two users: a line break, be it an escape, or the end of an argument or of a list's entry."""
_HERE_STRING = re.compile(rb"<<<[ \t]*\Z")
_NO_LITERAL = re.compile(rb"[$<>]")
_PIPE = re.compile(rb"[^\n|]{0,40}\|")
_MAX_USERS = 1000
_IDENTIFIER = re.compile(rb"[a-z]+(?:[_-][a-z0-9]+)+")


def credential_argument(candidate: Candidate) -> Verdict | None:
    """Accepts the strings after the first argument of a call that look like passwords."""
    start = candidate.span[0]
    first_comma = candidate.value.index(b",")
    found = [
        Verdict(start + literal.start(2), start + literal.end(2))
        for literal in _LITERAL.finditer(candidate.value)
        if literal.start() > first_comma and _looks_chosen(literal.group(2))
    ]
    return replace(found[0], more=tuple(found[1:])) if found else None


def user_passwords(candidate: Candidate) -> Verdict | None:
    """Accepts the password of each `user:password` that chpasswd reads, from the first one on."""
    data, at, found = candidate.data, candidate.span[0], []
    is_piped = candidate.match.end() > candidate.span[1]
    is_bare = _HERE_STRING.search(candidate.before(16)) is not None
    for _ in range(_MAX_USERS):
        pair = _USER_PASSWORD.match(data, at)
        if pair is None:
            break
        at = pair.end()
        if len(pair["v"]) >= 3 and not _NO_LITERAL.search(pair["v"]) and not is_placeholder(pair["v"]):
            found.append(Verdict(*pair.span("v")))
        after = None if is_bare else _NEXT_USER.match(data, at)
        if after is None:
            break
        at = after.end()
    if not found or (is_piped and not _PIPE.match(data, at)):
        return None
    return replace(found[0], more=tuple(found[1:]))


def argument_password(candidate: Candidate) -> Verdict | None:
    """Accepts the password of an option or directive: anything except a placeholder, a variable, a path or a port
    number."""
    value = candidate.value
    if is_placeholder(value) or _ITS_OWN_NAME.fullmatch(value) or value.lower() in _DEFAULTS:
        return None
    if (value.isdigit() and len(value) < 6) or is_path_or_url(value) or re.search(rb"[(){}\[\]]", value):
        return None
    return candidate.verdict()


def key_file(candidate: Candidate) -> Verdict | None:
    """Accepts the only value of a file whose name is that of a key, if the value looks random."""
    value = candidate.value
    is_key = _KEY_PATH.search(candidate.document.path) is not None
    return candidate.verdict() if is_key and (is_hex_hash(value) or looks_random(value, 3.5)) else None


def _looks_chosen(value: bytes) -> bool:
    if len(value) < 6 or is_placeholder(value) or is_path_or_url(value) or _NO_PASSWORD.search(value):
        return False
    if not _SOME_LETTER.search(value) or _ITS_OWN_NAME.fullmatch(value):
        return False
    if _SYMBOL.search(value):
        return is_symbol_mix(value) or _SOME_DIGIT.search(value) is not None
    return _SOME_DIGIT.search(value) is not None and not is_wordlike(value) and not _IDENTIFIER.fullmatch(value)
