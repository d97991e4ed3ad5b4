"""Validators of secret assignments: values assigned to names that mean "secret". Prefix-based scanners miss most of
these.

    name            between        value
    DB_PASSWORD     = "            hunter22"        quoted, in any language
    "clientSecret"  : "            9f3c...          JSON, dictionaries, calls, XML, command lines
    password        :              hunter22         bare, if the file is configuration or the value is not an expression

The rule matches the word and the first characters of the value. The validator reads the complete name to its left and
the complete value, and considers three things: the kind of name, the shape of the value, and the separator.
"""

from __future__ import annotations

import re
from re import Match

from transforms.scanning.candidate import Candidate, Verdict
from transforms.scanning.validators.assigned_values import MAX_VALUE_BYTES, MIN_BYTES, MIN_WEAK_BYTES, value_confidence
from transforms.scanning.validators.chosen_words import is_chosen_word
from transforms.scanning.validators.other_trades import (
    is_call_about_secrets,
    is_joined_word,
    is_no_secret,
    is_of_another_attribute,
    is_of_another_trade,
)
from transforms.scanning.validators.secret_names import (
    HASH_NAME,
    MAX_NAME_BYTES,
    NOT_A_SECRET_NAME,
    PASSWORD_NAME,
    name_kind,
    whole_name,
)
from transforms.scanning.validators.secret_values import (
    is_hex_hash,
    is_path_or_url,
    is_placeholder,
    is_punctuation_mix,
    is_uuid,
    is_wordlike,
    looks_random,
)

_MIN_CHOSEN_BYTES = 8
"""Minimum length of a word that is a password, if nothing else tells it."""
_MIN_NUMBER_BYTES = 16
"""Minimum digits of a number that is a secret without quotes; the value's own rules ask for a strong name."""
_LONG_VALUE_BYTES = 64
"""Names inside a longer value are not validated again: a line of `a=a=a=` is validated once, not at each name."""
_QUOTED = {q: re.compile(rb"[^\\\nQ]*+(?:\\[^\n][^\\\nQ]*+)*+".replace(b"Q", q)) for q in (b'"', b"'", b"`")}
_SPACE, _BEFORE_SPACE = re.compile(rb"\s"), re.compile(rb"\S*+")
_DIGIT, _LETTER = re.compile(rb"[0-9]"), re.compile(rb"[A-Za-z]")
_CAPITAL, _SMALL = re.compile(rb"[A-Z]"), re.compile(rb"[a-z]")
_TOKEN_CHARS = re.compile(rb"[\w+/=.~-]+")
_NOT_BRACKETS = bytes(set(range(256)) - set(b"(){}[]<>$#"))
_BARE = re.compile(
    rb"[^\s,;\"'`<>)}\]\\&%]*+(?:(?!&(?:amp;|quot;)?[a-z_\d]*(?:=|$|[\s\"'<])|&(?:quot|lt|gt|amp);|%26)[&%][^\s,;\"'`<>)}\]\\&%]*+|(?!))*+"
)
"""An unquoted value: up to a separator, a bracket, or the next parameter of a URL."""
_EXPRESSION = re.compile(
    rb"[()\[\]{}]|::|->|=>|^(?:new|self|this|await|process|os|env|config|req|request|options|settings|ctx|params|args|props|data|user|std|System)\b[.\[(-]?|^[A-Za-z_]\w*\.[A-Za-z_]|^[A-Za-z_][\w.]*\|[A-Za-z_]|^&|^\*|^!|^\$"
)
_BARE_NUMBER = re.compile(rb"\d{1,3}[ \t]*<<|[-+]?[\d_.,]{1,19}[a-zA-Z]{0,3}\Z|0[xX][0-9a-fA-F]{1,16}[uUlL]*\Z")
_FORMATTED = re.compile(rb"[ \t]{0,2}%[ \t]{0,2}[\w(]")
_COMMENT = re.compile(rb"[ \t]+[#;].*$")
_PHRASE = re.compile(rb"[a-z]+(?: [a-z]+){2,}")
_OF_A_LABEL = re.compile(
    rb"\b(?:the|your|you|is|are|be|must|should|please|enter|invalid|wrong|for|not|to|used?|password|token|secret|key|login|user)\b"
)
_PLAIN = re.compile(rb"[A-Za-z]+(?:[-_.][A-Za-z]+)*\Z")
_DOTTED = re.compile(rb"[a-z]{3,}(?:\.[a-z]{3,}){0,4}\.[a-z]{5,}\Z")
_USER_BESIDE = re.compile(rb"(?i)\b(?:user(?:name|id)?|login|uid)[\"']?[ \t]{0,3}[:=]|-u[ \t]")
_NAMES_A_PASSWORD = re.compile(
    rb"(?i)(?:passw(?:or)?d|passwort|passphrase|passcode|pwd|pass|pw|psw|kennwort|contrase\w{1,3}|senha)\d{0,3}$"
)
_ASSIGNS = (b"=", b":", b"=>", b":=", b"==", b"===")
_SETTER = re.compile(rb"(?i)(?:^|[._])(?:set|with)_?(?:[a-z]{1,20}_?)?(?:password|passwd|passphrase|pwd)$")
_TEMPLATES = (b"#{", b"${", b"{{", b"<%")
_ITS_NAME = re.compile(rb"(?i)pass|secret|token|key$|^<")
_OUR_PLACEHOLDER = re.compile(rb"[A-Z][A-Z_]*_\d{1,15}")
_IDENTIFIER = re.compile(rb"_*(?:[A-Za-z]+\d{0,4}|\d{1,4})(?:_+[A-Za-z0-9]+)+\Z")


def assigned_secret(candidate: Candidate) -> Verdict | None:
    """Validates an assignment. Confidence: 0.9 for random values with a strong name, 0.5 for those with a weak name."""
    match, data = candidate.match, candidate.data
    name = whole_name(data, match.start("word"), match.end("name"))
    kind = name_kind(name)
    if not kind or _OUR_PLACEHOLDER.fullmatch(name):
        return None
    before = data[max(0, match.start() - MAX_NAME_BYTES) : match.end("name")].removesuffix(name)
    opening, separator, start = match.group("open"), match.group("sep"), match.start("v")
    if _is_not_assigned(name, before, data[match.end("name") : start], separator):
        return None
    quote = opening[-1:] if opening[-1:] in (b'"', b"'", b"`") else b""
    if not quote and separator.endswith(b":") and data[start : start + 1] in (b"-", b"="):
        start += 1  # a shell's default, ${TOKEN:-value}
    end = _quoted_end(data, start, quote) if quote else _bare_end(data, start)
    if end <= start:
        if not quote:
            return None
        quote, end = b"", _bare_end(data, start)
    if end - start > _LONG_VALUE_BYTES:
        candidate.document.skip_until[candidate.rule.id] = end
    if end - start < (MIN_WEAK_BYTES if kind == "weak" else MIN_BYTES):
        return None
    value = data[start:end]
    is_element = b">" in separator and data.startswith(b"</", end)  # an XML element's content counts as quoted
    if not quote and not is_element:
        if not _bare_is_a_value(candidate, value, separator, opening):
            return None
        value = value.rstrip(b".:")
        end = start + len(value)
    if quote and b"%" in value and _FORMATTED.match(data, end + 1):
        return None  # "key%d" % number
    if b"," in separator and (_IDENTIFIER.match(value) or (value.isalnum() and PASSWORD_NAME.search(value))):
        return None  # a list of names
    is_set = b"(" in separator and _SETTER.search(name) is not None and data[end + 1 : end + 2] == b")"
    if b"(" in separator and not is_set and (is_wordlike(value) or is_call_about_secrets(name)):
        return None  # set_password("service1", ...)
    confidence = _cached_confidence(candidate, kind, name, value, quoted=bool(quote) or is_element)
    if confidence is None and kind == "password" and (quote or is_element):
        is_direct = is_set or is_element or separator.strip() in _ASSIGNS
        confidence = 0.5 if is_direct and _is_chosen_here(candidate, name, value) else None
    return None if confidence is None else Verdict(start, end, confidence=confidence)


def _is_chosen_here(candidate: Candidate, name: bytes, value: bytes) -> bool:
    """Whether a quoted word under a name that ends with a word for passwords is one: eight letters, fewer beside a
    user's name."""
    if not _NAMES_A_PASSWORD.search(name):
        return False
    if len(value) < _MIN_CHOSEN_BYTES and not _USER_BESIDE.search(candidate.before(80)):
        return False
    is_word = is_chosen_word(value, MIN_BYTES + 1) and not is_placeholder(value)
    return is_word and not candidate.document.is_translation


def _is_not_assigned(name: bytes, before: bytes, between: bytes, separator: bytes) -> bool:
    """Whether the name isn't a secret's, or what is between it and the value doesn't assign: the `?` of a query, the
    `|` of a choice, the next attribute of a tag."""
    if is_of_another_trade(name, before) or is_of_another_attribute(before, between):
        return True
    sign = separator.strip()
    return sign in (b"?", b"!") or (sign == b"|" and b"|" not in before.rpartition(b"\n")[2])


def _cached_confidence(candidate: Candidate, kind: str, name: bytes, value: bytes, *, quoted: bool) -> float | None:
    """Like `value_confidence`, computed once per document for repeated values."""
    known, key = candidate.document.confidences, (kind, name, value, quoted)
    if key not in known:
        known[key] = value_confidence(kind, name, value, quoted=quoted)
    return known[key]


def spoken_secret(candidate: Candidate) -> Verdict | None:
    """Validates a value that follows a secret's name after spaces or a dash, in prose or on a command line: a password
    of mixed characters, or at least 16 characters that look random (12 if the name is an option, after a dash)."""
    word = candidate.match.group("word").lower()
    is_password = word.startswith((b"pa", b"pw")) and word != b"pat"
    start = candidate.match.start("v")
    quote = candidate.match.group("open")
    end = _quoted_end(candidate.data, start, quote) if quote else _bare_end(candidate.data, start)
    value = candidate.data[start:end].rstrip(b".:,")
    before = candidate.before_match(MAX_NAME_BYTES)
    name = whole_name(candidate.data, candidate.match.start("word"), candidate.match.end("name"))
    if (
        is_of_another_trade(name, before)
        or is_of_another_trade(candidate.match["word"], before)
        or candidate.data[start + len(value) :][:1] == b"="
    ):
        return None
    if len(value) < (6 if is_password else 12 if candidate.before_match(1) == b"-" else 16):
        return None
    if not _DIGIT.search(value) or not _LETTER.search(value) or _SPACE.search(value):
        return None
    if not is_password and not _TOKEN_CHARS.fullmatch(value):
        return None
    if (
        is_placeholder(value)
        or is_path_or_url(value)
        or is_no_secret(value)
        or (not quote and _EXPRESSION.search(value))
    ):
        return None
    if _IDENTIFIER.match(value) and is_wordlike(value.rpartition(b"_")[0]):
        return None
    if is_password:
        clear = (
            candidate.before_match(1) == b"-"
            or (not is_wordlike(value) and re.search(rb"[^\w./:@-]", value) is not None)
            or looks_random(value)
        )
        return (
            Verdict(start, start + len(value), confidence=0.6)
            if clear and b"-" not in candidate.match.group("sep")
            else None
        )
    if HASH_NAME.search(candidate.before(40)) or (b"-" in candidate.match["sep"] and is_joined_word(value)):
        return None
    is_random = is_uuid(value) or is_hex_hash(value) or (looks_random(value, 3.3) and value.count(b"-") < 3)
    return Verdict(start, start + len(value), confidence=0.6) if is_random else None


def directive_secret(candidate: Candidate) -> Verdict | None:
    """Validates a quoted value that follows a secret's name after only a space, as in build and server configuration
    languages."""
    name, start = (
        whole_name(candidate.data, candidate.match.start("word"), candidate.match.end("name")),
        candidate.span[0],
    )
    kind = name_kind(name)
    end = _quoted_end(candidate.data, start, candidate.match["open"])
    value = candidate.data[start:end]
    if kind in ("", "weak") or end <= start:
        return None
    if kind == "password" and _is_chosen_here(candidate, name, value):
        return Verdict(start, end, confidence=0.5)
    if not (looks_random(value, 2.8) or is_punctuation_mix(value)):
        return None
    confidence = _cached_confidence(candidate, kind, name, value, quoted=True)
    return None if confidence is None else Verdict(start, end, confidence=confidence)


def settings_secret(candidate: Candidate) -> Verdict | None:
    """Validates a complete line of a settings file, which can't contain expressions. The value of a password name is a
    password, whether one word or several; the value of a key name must look random or be a phrase."""
    kind = name_kind(candidate.match["name"])
    value = candidate.value if candidate.match["open"] else _COMMENT.sub(b"", candidate.value)
    if (
        kind in ("", "weak")
        or len(value) < MIN_BYTES
        or is_placeholder(value)
        or is_path_or_url(value)
        or _ITS_NAME.search(value)
    ):
        return None
    if value.count(b" "):
        good = value.count(b" ") > 1 and _PHRASE.fullmatch(value) and not _OF_A_LABEL.search(value)
    else:
        good = is_punctuation_mix(value) or (kind == "password" and _is_settings_password(value))
        good = good or (kind == "password" and candidate.document.is_environment and _is_dotted(value))
    return Verdict(candidate.span[0], candidate.span[0] + len(value), confidence=0.5) if good else None


def _is_settings_password(value: bytes) -> bool:
    """Whether the value of a password's name in settings is one: no number, no expression, no word of programs."""
    if _BARE_NUMBER.match(value) or _EXPRESSION.search(value) or is_no_secret(value):
        return False
    return is_chosen_word(value, MIN_BYTES) or (len(value) > MIN_BYTES and not _PLAIN.match(value))


def _is_dotted(value: bytes) -> bool:
    """Whether a value is words joined by dots, in a file where nothing refers to members: `copper.lantern`, no host."""
    return _DOTTED.match(value) is not None and is_chosen_word(value)


def config_password(candidate: Candidate) -> Verdict | None:
    """Validates a complete line of a configuration file, as `settings_secret` does, unless the file holds texts of a
    user interface."""
    document = candidate.document
    if not document.is_line_config or is_of_another_trade(candidate.match["name"], b""):
        return None
    return settings_secret(candidate) if name_kind(candidate.match["name"]) == "password" else None


def password_in_line(candidate: Candidate) -> Verdict | None:
    """Validates a bare word after a password's name: `-e`-like settings in capitals, a member of a YAML mapping on one
    line, a program's option."""
    match, document = candidate.match, candidate.document
    if match["member"] is not None and not document.is_line_config:
        return None
    if document.is_translation or (document.is_code and not document.lexical.is_text(match.start("v"))):
        return None
    name = match["name"] or match["member"] or match["option"]
    is_password = name_kind(name) == "password" and not is_of_another_trade(name, b"")
    is_one = is_password and is_chosen_word(candidate.value) and not is_no_secret(candidate.value)
    return candidate.verdict() if is_one and not is_placeholder(candidate.value) else None


def environment_secret(candidate: Candidate) -> Verdict | None:
    """Validates a value in a place for one text: after a variable's name, or in the element beside its name."""
    name, value = candidate.match["name"].replace(b" ", b"_"), candidate.value
    kind = "" if is_of_another_trade(name, b"") else name_kind(name)
    if kind in ("", "weak") or is_placeholder(value) or is_path_or_url(value):
        return None
    confidence = _cached_confidence(candidate, kind, name, value, quoted=True)
    if confidence is None and not (kind == "password" and _is_settings_password(value)):
        return None
    return candidate.verdict(confidence=confidence or 0.5)


def settings_random(candidate: Candidate) -> Verdict | None:
    """Validates a long value of upper-case letters, lower-case letters and digits in a settings file, whatever its
    name."""
    name, value = candidate.match.group().partition(b"=")[0], candidate.value
    if HASH_NAME.search(name) or NOT_A_SECRET_NAME.search(name) or is_hex_hash(value):
        return None
    is_mixed = all(kind.search(value) for kind in (_DIGIT, _CAPITAL, _SMALL))
    good = is_mixed and looks_random(value, 4.0) and not is_placeholder(value) and not is_path_or_url(value)
    return candidate.verdict() if good else None


def named_secret(candidate: Candidate) -> Verdict | None:
    """Validates the value of an explicit pair: `name: DB_PASSWORD` and `value: hunter22`, in YAML, JSON or XML."""
    name, value = candidate.match.group("name"), candidate.value
    kind = "" if is_of_another_trade(name, b"") else name_kind(name)
    if not kind or value.startswith(_TEMPLATES):
        return None
    confidence = _cached_confidence(candidate, kind, name, value, quoted=candidate.before(1) in (b'"', b"'"))
    return None if confidence is None else candidate.verdict(confidence=confidence)


def compared_secret(candidate: Candidate) -> Verdict | None:
    """Validates a literal that is compared with a secret's name on its right: `"hunter22" == password`."""
    data, at = candidate.data, candidate.match.start()
    line = data[max(0, at - 200) : at].rpartition(b"\n")[2].rstrip()
    quote = line[-1:]
    if quote not in (b'"', b"'"):
        return None
    start = line.rfind(quote, 0, -1)
    value = line[start + 1 : -1]
    if start < 0:
        return None
    name = whole_name(data, candidate.match.start("word"), candidate.match.end("name"))
    kind = name_kind(name)
    confidence = value_confidence(kind, name, value, quoted=True) if kind else None
    if confidence is None:
        return None
    end = max(0, at - 200) + len(data[max(0, at - 200) : at].rstrip()) - 1
    return Verdict(end - len(value), end, confidence=confidence)


def looks_until(match: Match[bytes]) -> int:
    """The end of the text that these validators examine: 64 bytes after the value, which ends at a space or its
    quote."""
    data, start = match.string, match.start("v")
    end = _BEFORE_SPACE.match(data, start, start + MAX_VALUE_BYTES).end()  # type: ignore[union-attr]
    quote = match.group("open")[-1:]
    return max(end, _quoted_end(data, start, quote) if quote in _QUOTED else 0, match.end()) + 64


def _quoted_end(data: bytes, start: int, quote: bytes) -> int:
    """The closing quote's offset, or -1 if the line ends first."""
    end = _QUOTED[quote].match(data, start, start + MAX_VALUE_BYTES).end()  # type: ignore[union-attr]
    return end if data[end : end + 1] == quote else -1


def _bare_end(data: bytes, start: int) -> int:
    """The end of an unquoted value. A value with unbalanced brackets is not an expression, so it extends to the next
    space."""
    whole = _BEFORE_SPACE.match(data, start, start + MAX_VALUE_BYTES).group().rstrip(b",;")  # type: ignore[union-attr]
    if len(whole) >= 12 and _is_unbalanced(whole):
        return start + len(whole)
    return _BARE.match(data, start, start + MAX_VALUE_BYTES).end()  # type: ignore[union-attr]


def _is_unbalanced(value: bytes) -> bool:
    """Whether a bracket is closed by one of another kind, in a value with at least four of the characters `(){}[]<>$#`.
    That is not valid syntax in any language."""
    if len(set(value.translate(None, _NOT_BRACKETS))) < 4:
        return False
    open_brackets: list[int] = []
    for byte in value:
        if byte in b"([{":
            open_brackets.append(byte)
        elif byte in b")]}" and open_brackets and abs(open_brackets.pop() - byte) > 2:
            return True
    return False


def _bare_is_a_value(candidate: Candidate, value: bytes, separator: bytes, opening: bytes) -> bool:
    """Whether an unquoted right-hand side is text, or a number with more digits than programs calculate with, and not
    an expression."""
    is_long_number = value.isdigit() and len(value) >= _MIN_NUMBER_BYTES
    if (
        b"(" in opening
        or b"(" in separator
        or (_EXPRESSION.search(value) and not (len(value) >= 12 and _is_unbalanced(value)))
        or (_BARE_NUMBER.match(value) and not is_long_number)
        or b"," in separator
    ):
        return False
    start = candidate.match.start("v")
    if candidate.data[start + len(value) : start + len(value) + 1] in (b"(", b"["):
        return False
    document = candidate.document
    if not _DIGIT.search(value) and not (document.is_config and len(value) >= 8) and not looks_random(value):
        return False
    return is_long_number or not document.is_code or document.lexical.is_text(start)
