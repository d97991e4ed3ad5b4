# ruff: noqa: E501 - patterns and word lists read best unbroken
"""Tests that distinguish a secret from a placeholder, a name, a path or a hash: pure functions on bytes, and the
validators of secret rules.

Shannon entropy alone is not enough: `getElementById` and a token of the same length have similar entropy. A value is
therefore also tested for the letter pairs of English words (about a quarter of the pairs of random letters are common
ones, and about three quarters of those in words), for the mix of letters and digits, and for the shapes of
placeholders.
"""

from __future__ import annotations

import base64
import binascii
import bisect
import itertools
import json
import math
import re
import string
from collections import Counter
from dataclasses import replace

from transforms.scanning.candidate import Candidate, Verdict
from transforms.scanning.validators.checksums import base62_crc32, bech32_checksum

_COMMON_PAIRS = frozenset(
    tuple(pair)
    for pair in (
        b"th he in er an re nd at on nt ha es st en ed to it ou ea hi is or ti as te et ng of al de se le sa si ar ve ra "
        b"ld ur ro io co me ne li ic ri ce ch ll ma el la ta ge om us ec na il di pe ss no ac un ho tr so sh wh ai fo ot "
        b"rt ca am ul ad mo ie lo ee tt su po oo pr ke ct be id ol ow ir em ay ns iv pa ts ey da ef ck op if ig fi im ni "
        b"ab up ex mp ob ap ag bl cl cr do ds du ff fr ga gr ht ia je ks ly mi nc nf og os pl pu qu rd rg rk rl rm rn rr "
        b"rs sc sp sy ty ub ue um ut va vi wa we wi wo xt ye yp ze ug sk sw ba bo bu by ev ak go gi fa fe sm tu tw ua ui "
    ).split()
)
"""The common letter pairs, as pairs of bytes."""
_TEMPLATE = re.compile(
    rb"\$\{[\w.:()\[\]'\" -]+\}|\{\{[^{}]{0,80}\}\}|\{[A-Za-z_][\w.]*\}|#\{[^}]{1,80}\}|<%.{0,80}%>|%\([\w.]+\)s|\$\([\w. -]+\)"
    rb"|^%[A-Za-z_]+%$|^<[^<>]{1,80}>$|^\[[^\[\]]{1,80}\]$|^\$[A-Za-z_]\w*(?:[.:/][$\w]*)*$|^@\w+@$|^%[-\d.]*[sdvqr@]$|\[:[a-z]{2,12}\]|^\{\d*\}$|\{[a-z_.]+\(\)"
)
_PLACEHOLDER = re.compile(
    rb"(?i)ex[a@]mple|placeholder|change[-_ ]?(?:me|it|this)|your[-_ ]?(?:\w|$)|\bmy[-_ ]?(?:secret|token|password|api|key|pass)|dummy|\bfake|fake[-_]?(?:api|key|token|secret|pass)"
    rb"|somefake|afake|insert[-_ ]|[-_ ]here\b|enter[-_ ]|replace|redacted|removed|\bhidden\b|\bmasked|\btodo\b|\bfixme\b|not[-_ ]?(?:set|a[-_ ]|long|real)|undefined"
    rb"|lorem|ipsum|foo[-_]?bar|xxx+$|^xxx|\bnone\b|\bnull\b|sample[-_]|\btest[-_]?(?:key|token|secret|password)\b"
)
_PLACEHOLDER_HINTS = tuple(
    b"mple placeh change your my fake insert here enter replace redact removed hidden masked todo fixme not undefined lorem ipsum foo xxx none null test".split()
)
"""Every match of `_PLACEHOLDER` contains one of these. Searching for them first is ten times faster."""
_ALPHABET = b"abcdefghijklm"
_SHORTENED = re.compile(rb"\w\.{3}\w")
_MASK = re.compile(rb"[xX]{5,}|\*{3,}|\.{3,}|\?{3,}|_{6,}|-{6,}|#{4,}")
_WORD_VALUES = frozenset(
    b"true false none null nil yes no on off string str int integer number bool boolean object text type any void undefined default "
    b"password passwd pwd pass passphrase secret token key apikey api_key username user admin root test testing tests login guest "
    b"public private hidden required optional basic bearer digest oauth oauth2 saml jwt auto local localhost value name email "
    b"unknown empty disabled enabled encrypted plain plaintext credentials credential auth sha1 sha256 sha512 md5 rsa dsa ecdsa ed25519 aes".split()
)
_HEX = re.compile(rb"(?:0x)?(?:[0-9a-f]+|[0-9A-F]+)\Z")
_UUID = re.compile(rb"(?i)[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
_PATH = re.compile(
    rb"(?:[a-zA-Z][a-zA-Z0-9+.-]{1,12}:)?(?:\.{0,2}/|~/|[A-Za-z]:\\\\?)[^\s]*|[\w-]+(?:/[\w.-]+)*\.[a-z]{1,5}\Z|[a-z][a-z0-9+.-]{1,12}://.*",
    re.DOTALL,
)
_DATE = re.compile(rb"\d{4}-\d{2}-\d{2}(?:[T ].*)?\Z|\d{1,2}[:/.]\d{2}[:/.]\d{2,4}\Z")
_LETTER_RUN = re.compile(rb"[A-Za-z]+")
_PATH_CHARS = re.compile(rb"[\w./:-]*")
_DIGIT, _LETTER = re.compile(rb"[0-9]"), re.compile(rb"[A-Za-z]")
_INNER_NUMBERS = re.compile(rb"[0-9][^0-9]+[0-9]")
_NOT_SYMBOLS = bytes(range(128, 256)) + string.ascii_letters.encode() + string.digits.encode() + b"_-./:"
_NOT_LETTERS = bytes(set(range(256)) - set(string.ascii_letters.encode()))
_SPACE_OR_EXPRESSION = re.compile(rb"[\s\\]|\[\^|\(\?")
_EXAMPLE_MARKS = (b"example", b"xxxxxx", b"***", b"...", b"placeholder", b"your-", b"your_", b"<", b"0" * 12)
_TABLED = 4096
_N_LOG_N = [0.0, *(n * math.log2(n) for n in range(1, _TABLED))]


def shannon_entropy(value: bytes) -> float:
    """Bits per byte of a value's own byte distribution (Shannon 1948).

    >>> shannon_entropy(b"abab")
    1.0
    """
    total = len(value)
    if not total:
        return 0.0
    counts = Counter(value).values()
    if total >= _TABLED:
        return math.log2(total) - sum(n * math.log2(n) for n in counts) / total
    return math.log2(total) - sum(map(_N_LOG_N.__getitem__, counts)) / total


def word_share(value: bytes) -> float:
    """Share of a value's adjacent letter pairs that are common in English; 0 if it has fewer than two pairs.

    >>> word_share(b"authentication") > 0.8 > 0.4 > word_share(b"xqzvkwjpgh")
    True
    """
    pairs = hits = 0
    for run in _LETTER_RUN.findall(value.lower()):
        pairs += len(run) - 1
        hits += sum(map(_COMMON_PAIRS.__contains__, itertools.pairwise(run)))
    return hits / pairs if pairs > 1 else 0.0


def is_uuid(value: bytes) -> bool:
    """Whether a value has the shape of RFC 9562."""
    return _UUID.match(value) is not None


def is_hex_hash(value: bytes) -> bool:
    """Whether a value has the length and characters of an MD5, SHA-1 or SHA-2 digest in hex."""
    return len(value) in (32, 40, 56, 64, 96, 128) and _HEX.match(value) is not None


def is_placeholder(value: bytes) -> bool:
    """Whether a value is a placeholder for a secret: a template, a mask, "changeme", one repeated character.

    >>> is_placeholder(b"${DB_PASSWORD}"), is_placeholder(b"********"), is_placeholder(b"hunter22")
    (True, True, False)
    """
    stripped = value.strip(b" \t\"'`")
    lowered = stripped.lower()
    if len(set(stripped)) < 3 or lowered in _WORD_VALUES or _ALPHABET in lowered or _SHORTENED.search(stripped):
        return True
    if any(map(lowered.__contains__, _PLACEHOLDER_HINTS)) and _PLACEHOLDER.search(stripped):
        return True
    if stripped.isalnum() and b"xxxxx" not in lowered:
        return False  # can't contain a mask or a template
    if len(_MASK.sub(b"", stripped)) < min(8, len(stripped)):
        return True
    literal = _TEMPLATE.sub(b"", stripped)
    reads_as_path = _PATH_CHARS.fullmatch(literal) is not None and word_share(literal) > 0.6
    return len(literal) < len(stripped) and (
        len(literal) < max(6, len(stripped) // 2) or is_wordlike(literal) or reads_as_path
    )


def is_path_or_url(value: bytes) -> bool:
    """Whether a value is a path, a file name or a URL rather than base64 with slashes in it."""
    if not _PATH.match(value):
        return False
    return b"://" in value or word_share(value) > 0.5 or shannon_entropy(value) < 3.6


def is_wordlike(value: bytes) -> bool:
    """Whether a value consists of words or is an identifier: letters in common pairs, with digits only at the end."""
    if _INNER_NUMBERS.search(value.rstrip(b"0123456789")):
        return False
    letters, share = len(value.translate(None, _NOT_LETTERS)), word_share(value)
    if letters >= 0.75 * len(value):
        return share >= (0.5 if len(value) > 10 else 0.6)
    return letters >= 0.6 * len(value) > 6 and share >= 0.8 and value.isalnum()  # Ed25519PrivateKey


def looks_random(value: bytes, min_entropy: float = 3.0) -> bool:
    """Whether a value looks random: mixed letters and digits, or letters that do not form words, with enough entropy
    for its length."""
    entropy = shannon_entropy(value)
    needed = min(min_entropy, math.log2(max(len(value), 2)) * 0.8)
    if entropy < needed or _DATE.match(value):
        return False
    has_digit, has_letter = _DIGIT.search(value) is not None, _LETTER.search(value) is not None
    if is_symbol_mix(value):
        return True
    if has_digit and has_letter:
        return not is_wordlike(value)
    if not has_letter:
        return len(value) >= 20 and len(set(value)) >= 6
    return len(value) >= 16 and word_share(value) < 0.45


def is_symbol_mix(value: bytes) -> bool:
    """Whether a value mixes letters with four or more kinds of punctuation and no space, like a generated password."""
    if len(set(value.translate(None, _NOT_SYMBOLS))) < 4:
        return False
    letters = len(value.translate(None, _NOT_LETTERS))
    return 2 * letters >= len(value) >= 10 and not _SPACE_OR_EXPRESSION.search(value)


def is_punctuation_mix(value: bytes) -> bool:
    """Whether a value has six or more kinds of punctuation and no space, and is not a row of a keyboard."""
    kinds = set(value.translate(None, _NOT_SYMBOLS[:-5])) & set(string.punctuation.encode())
    return len(kinds) >= 6 and len(value) >= 8 and not _SPACE_OR_EXPRESSION.search(value) and b"!@#$%" not in value


def plausible_token(candidate: Candidate) -> Verdict | None:
    """Accepts a value with a unique shape, except masks and examples."""
    value = candidate.value
    tail = value[-24:]
    if len(set(tail)) < 5 or (len(value) > 40 and len(set(value[:40])) < 6):
        return None
    return None if any(map(value.lower().__contains__, _EXAMPLE_MARKS)) else candidate.verdict()


def near_token(candidate: Candidate) -> Verdict | None:
    """Accepts plain hex, a UUID or letters near a provider's name, if there is an assignment or a word such as key
    between them."""
    value = candidate.value
    if len(set(value)) < 6 or is_placeholder(value) or is_wordlike(value):
        return None
    gap = candidate.data[candidate.match.start() : candidate.span[0]]
    if not re.search(rb"(?i)[=:,>(\"' \t]\s{0,3}[\"'`]?\Z", gap) or re.search(
        rb"(?i)://|sha\d|\bsha\b|md5|commit|hash|checksum|digest|integrity|\.tgz|version|revision|\brefs?\b|\btree|blob|parent|branch|merge|head\b|\brevs?\b|object|_(?:sha|ref|tree|rev)\b",
        gap,
    ):
        return None
    if re.match(rb"/[a-z]{5,}/", value):
        return None  # a path at the end of a resource's name
    if not re.search(rb"(?i)key|token|secret|pass|auth|api|access|cred|pat\b|_id|client|sid|[=:]", gap):
        return None
    return candidate.verdict()


def crc32_tail(candidate: Candidate) -> Verdict | None:
    """Accepts a GitHub or npm token, whose last six base-62 digits are the CRC-32 of the characters before them
    (github.blog, 2021-04-05). A token with a wrong checksum is still reported, but not as validated: published examples
    and truncated tokens leak too."""
    if plausible_token(candidate) is None:
        return None
    body = candidate.value.decode("ascii", "replace").rpartition("_")[2]
    return candidate.verdict(validated=base62_crc32(body[:-6]) == body[-6:], confidence=None)


def decodes_as_jwt(candidate: Candidate) -> Verdict | None:
    """Accepts a JSON Web Token (RFC 7519), whose first segment decodes to a JSON object with an algorithm or a type."""
    header = candidate.value.split(b".", 1)[0]
    try:
        fields = json.loads(base64.urlsafe_b64decode(header + b"=" * (-len(header) % 4)))
    except (binascii.Error, ValueError):
        return None
    if not isinstance(fields, dict) or not fields.keys() & {"alg", "typ", "enc", "kid", "cty"}:
        return None
    if re.search(rb"EXAMPLE|FAKE", candidate.value):
        return None
    return candidate.verdict(validated=True)


def private_key_block(candidate: Candidate) -> Verdict | None:
    """Accepts a key block with a body, including a body whose line ends are written as `\\n`. The span is the body, so
    that redaction keeps the begin and end lines."""
    start = candidate.span[0]
    body = _OUR_PLACEHOLDER.sub(b"", candidate.value)
    plain = re.sub(rb"\\[nr]|\s|[\"'+,#*;]|//", b"", body)
    runs = list(_KEY_RUN.finditer(candidate.value))
    first = next((run.start(1) for run in runs if run.end(1) - run.start(1) >= _MIN_RUN_BYTES), None)
    if len(plain) < 16 or first is None or is_placeholder(plain[:64]) or len(set(plain)) < 8:
        return None
    # From the first to the last run of base64, so that headers, quotes, operators and comment signs around them stay.
    return Verdict(start + first, start + runs[-1].end(1), validated=len(plain) >= 100)


_MIN_RUN_BYTES = 16
_OUR_PLACEHOLDER = re.compile(rb"[<\[]PRIVATE_KEY_\d{1,15}[>\]]")
_KEY_RUN = re.compile(rb"(?:\\[nrt]){0,2}([A-Za-z0-9+][A-Za-z0-9+/=]{3,})")


def url_password(candidate: Candidate) -> Verdict | None:
    """Accepts the password of `scheme://user:password@host`, unless it is a template, a mask or a word that is common
    in documentation."""
    value = candidate.value
    user = candidate.match.group("user")
    if value.startswith(b"[") and b"]" in value:
        return None  # notation for an optional part
    if value.startswith((b"$", b"%s", b"{")) or re.match(rb"[*x]+$", value):
        return None
    is_stock = value.lower() in _STOCK_PASSWORDS or value.lower() == user.lower() or _OWN_NAME.search(value)
    is_stock = is_stock or value.lower() in _DEFAULTS_OF_SERVERS
    if is_stock and (value.lower() in _DEFAULTS_OF_SERVERS or not _PLACEHOLDER.search(value)):
        after = candidate.after(80)
        is_open = after[:1] != b"@" or user.lower() in _STOCK_USERS or _STOCK_HOST.match(after.lstrip(b"@/"))
        return None if is_open else candidate.verdict(confidence=0.6)
    return None if is_stock or is_placeholder(value) else candidate.verdict()


_OWN_NAME = re.compile(rb"(?i)^(?:your|the|my)?[-_]?(?:password|passwd|pwd|secret|token|credentials?)$")
_STOCK_PASSWORDS = _WORD_VALUES | {b"pw", b"foo", b"bar", b"passw0rd", b"postgres", b"mysql"}
_DEFAULTS_OF_SERVERS = frozenset((b"changeme", b"changeit", b"change_me", b"change-me"))
"""Passwords that installations begin with, and that stay: with a real host they open it."""
_STOCK_USERS = frozenset(b"user username usr name login me you u user1 someuser youruser myuser <user>".split()) | {b""}
_STOCK_HOST = re.compile(
    rb"(?i)(?:\[|[$%{<]|[\w-]+(?:[:/?\"'\s`]|\Z)|127\.|0\.0\.0\.0|(?:[\w-]+\.)*(?:example|test|invalid|local|localhost|localdomain|domain|host|foo|bar)(?:\.[a-z]{2,4})?(?:[:/?\"'\s`]|\Z)"
    rb"|(?:my|your|some|the)[\w-]*\.|(?:[\w-]+\.)*(?:company|proxy|server|hostname|website|site)\.[a-z]{2,4}(?:[:/?\"'\s`]|\Z))"
)
"""Hosts of documentation: one label, loopback, reserved domains (RFC 2606), and the like."""


def basic_credentials(candidate: Candidate) -> Verdict | None:
    """Accepts `Basic` credentials: base64 of `user:password` (RFC 7617)."""
    try:
        decoded = base64.b64decode(candidate.value + b"=" * (-len(candidate.value) % 4), validate=True)
    except (binascii.Error, ValueError):
        return opaque_credentials(candidate)
    user, colon, password = decoded.partition(b":")
    if not colon or not password or not user.isascii() or b"\x00" in decoded or is_placeholder(password):
        return None
    if not decoded.isascii():
        return opaque_credentials(candidate)
    return candidate.verdict(validated=True)


def opaque_credentials(candidate: Candidate) -> Verdict | None:
    """Accepts Bearer and other authorization values that look random."""
    value = candidate.value
    if is_placeholder(value) or not looks_random(value, 2.5):
        return None
    return candidate.verdict()


def crypt_hash(candidate: Candidate) -> Verdict | None:
    """Accepts password hashes of crypt(5), whose prefix names the scheme."""
    return None if is_placeholder(candidate.value) else candidate.verdict()


def not_placeholder(candidate: Candidate) -> Verdict | None:
    """Accepts any value except a placeholder, if the place alone implies a credential."""
    return None if is_placeholder(candidate.value) else candidate.verdict()


_MEMBER = re.compile(rb"(?:self|this|args?|opts?|options|config|cfg|settings|params|ctx|request)\.[A-Za-z_]\w*\Z")


def opaque_or_password(candidate: Candidate) -> Verdict | None:
    """Accepts a password in a place meant for one: not a placeholder, the field's name or a variable."""
    value = candidate.value.rstrip(b",")
    if (
        is_placeholder(value)
        or len(value) < 4
        or re.search(rb"[(){}\[\]]", value)
        or value.startswith((b"$", b"%", b"@", b"<"))
        or _MEMBER.match(value)
    ):
        return None
    if re.fullmatch(rb"(?i)(?:my|your|the|db|user)?_?(?:password|pwd|secret|pass)\d?", value):
        return None
    return candidate.verdict()


def decodes_as_jwt_twice(candidate: Candidate) -> Verdict | None:
    """Accepts a JSON Web Token that is encoded in base64 a second time, as in Kubernetes secrets."""
    value = candidate.value
    try:
        inner = base64.b64decode(
            value + b"=" * (-len(value) % 4), altchars=b"-_" if re.search(rb"[-_]", value) else None
        )
    except (binascii.Error, ValueError):
        return None
    return candidate.verdict(validated=True) if re.match(rb"ey[\w-]{6,4000}\.[\w-]{10,}", inner) else None


def bech32_key(candidate: Candidate) -> Verdict | None:
    """Accepts a bech32 key with a valid checksum (BIP 173); no software accepts a key with an invalid one."""
    return candidate.verdict(validated=True) if bech32_checksum(candidate.value.lower()) == 1 else None


_SQL = re.compile(rb"(?i)\b(?:create|alter|grant|set[ \t]+password)\b")


def sql_password(candidate: Candidate) -> Verdict | None:
    """Accepts a password in an SQL statement: quoted, or bare in a statement about users, because "identified by" also
    occurs in prose."""
    is_quoted = candidate.before(1) in (b"'", b'"')
    return opaque_or_password(candidate) if is_quoted or _SQL.search(candidate.before(160)) else None


_KUBERNETES_ENTRY = re.compile(
    rb"(?m)^[ \t]+[\"']?[\w.-]{1,253}[\"']?:[ \t]*(?:[>|][-+]?[ \t]*\r?\n[ \t]+)?(?P<q>[\"']?)(?P<v>[A-Za-z0-9+/]{4,65536}={0,2})(?P=q)[ \t]*\r?$"
)
_KUBERNETES_KIND = re.compile(rb"(?m:\n[ \t]*[\"']?(?i:kind)[\"']?[ \t]*:[ \t]*[\"']?(?i:secret)[\"']?[ \t]*\r?$)")
_DOCUMENT_BREAK = re.compile(rb"\n---")
_KUBERNETES_BYTES = 2048


def kubernetes_secret(candidate: Candidate) -> Verdict | None:
    """Accepts the values of a Kubernetes Secret: base64 under `data:` in a YAML document of kind Secret."""
    data, (start, end) = candidate.data, candidate.span
    kinds, breaks = (candidate.document.lines_like(lines) for lines in (_KUBERNETES_KIND, _DOCUMENT_BREAK))
    part = bisect.bisect_right(breaks, start)
    first = max(start - _KUBERNETES_BYTES, breaks[part - 1] if part else 0)
    last = min(end + _KUBERNETES_BYTES, breaks[part] if part < len(breaks) else len(data))
    nearest = bisect.bisect_left(kinds, first)
    if nearest == len(kinds) or kinds[nearest] >= last:
        return None
    verdicts = []
    for entry in _KUBERNETES_ENTRY.finditer(data, start, min(end, last)):
        try:
            decoded = base64.b64decode(entry["v"], validate=True)
        except (binascii.Error, ValueError):
            continue
        is_short = len(decoded) <= 40  # a longer value is a file, which may contain the word example
        if len(decoded.strip()) >= 5 and not (is_short and is_placeholder(decoded)):
            verdicts.append(Verdict(*entry.span("v"), validated=True))
    return replace(verdicts[0], more=tuple(verdicts[1:])) if verdicts else None
