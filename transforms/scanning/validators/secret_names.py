"""What a name says of the value assigned to it: that it is a password, another secret, or no secret."""

from __future__ import annotations

import functools
import re

MAX_NAME_BYTES = 64
_NAME_CHARS = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-$"
PASSWORD_NAME = re.compile(
    rb"(?i)pa?ss?w|pass(?:phrase|code)|pwd|(?:^|[_.\-\d])pass$|(?:^|[_.\-])pw$|(?:^|[a-z])PW$|[a-z]Pass$|psw|identified|contrase|passwort|kennwort|parol"
)
_STRONG_NAME = re.compile(
    rb"(?i)secret|token|api[_.-]?key|apikey|(?:access|auth|private|signing|encryption|client|account|storage|master|service|license|app|admin|deploy|consumer|session|shared|server|rest|write|user|security|ssh|webhook)[_.-]?key|credential|bearer|oauth"
)
NOT_A_SECRET_NAME = re.compile(
    rb"(?i)(?:^|[_.-])(?:public|pub|foreign|primary|csrf_?param|cache|partition|sort|row|hot|short|foreignkey|keyboard|translation|i18n)[_.-]?key"
    rb"|tokeni[sz]|monkey|keyboard|keycode|secretary|passport|bypass|compass|passive|passenger|passing|keyframe|keypress|keydown|keyup|keyword|keychar|hockey|turkey|donkey"
)
_TAIL_OF_OTHER_THINGS = re.compile(
    rb"(?i)(?:[_.-]?(?:file|filename|path|dir|url|uri|endpoint|field|label|text|hint|prompt|msg|message|error|errors|regexp?|pattern|format|policy|prefix|suffix|header|param|params|placeholder"
    rb"|class|type|types|name|names|len|length|size|count|num|number|expir\w*|ttl|timeout|date|time|age|min|max|enabled|required|column|attribute|attr|index|idx|selector|element|input|form|view|page|screen|dialog|title"
    rb"|description|desc|help|algorithm|algo|alg|mode|provider|store|manager|service|handler|helper|util|utils|factory|builder|config|option|options|list|set|map|dict|array|group|role|scope|kind|strength|rules?|validator|changed|reset|forgot\w*"
    rb"|confirm\w*|version|arn|region|source|origin|ref|env|var|variable|hash|hashes|digest|checksum|fingerprint|signature_?alg\w*|budget|limit|usage|s3|bucket|ids?)s?)$"
)
_SECRET_WORD_END = re.compile(
    rb"(?i)(?:passw(?:or)?d|pass|passphrase|passcode|pwd|secret|token|key|credentials?|auth|salt|login|bearer|access)s?$"
)
_OWNED_KEY = re.compile(rb"(?i)([a-z]{2,20})[_.-]?keys?\d?$|(?:^|[_.-])(pat|cred|auth|salt|private|access)$")
_STRUCTURE_KEY = re.compile(
    rb"(?i)(?:cache|primary|foreign|sort|hash|row|partition|lookup|map|dict|group|object|bucket|item|index|query|event|state|route|unique|composite|public|pub|the|this|new|old|first|last|next|by|on|in|of|is|has|get|set|for"
    rb"|to|with|no|all|any|each|sub|parent|child|node|tree|data|json|yaml|config|option|setting|param|prop|attr|field|column|table|record|entity|model|message|msg|text|label|locale|lang|i18n|menu|tab|page|view|shortcut|hot|modifier"
    rb"|arrow|enter|esc|ctrl|alt|shift|meta|tooltip|icon|color|style|class|css|theme|feature|metric|trace|span|log|debug|test|image|file|path|dir|url|uri|host|domain|region|registry|reg|default|base|root|name|id|type|kind|tag|note|piano|music|translation|cell|idempotency|dedup|session_?storage|local_?storage)$"
)
HASH_NAME = re.compile(
    rb"(?i)hash|digest|checksum|sha\d*|md5|commit|etag|integrity|fingerprint|revision|uuid|guid|thumbprint"
)
_QUALIFIER = re.compile(rb"(?i)(?:(?:secret|api|access|private|auth|client|encryption)[ ])?$")


def whole_name(data: bytes, start: int, end: int) -> bytes:
    """The name of which a word was found at `start:end`, to its left as far as it goes."""
    window = data[max(0, start - MAX_NAME_BYTES) : start]
    left = start - len(window) + len(window.rstrip(_NAME_CHARS))
    if left >= 2 and data[left - 1 : left] == b" ":
        left = left - len(_QUALIFIER.search(data[max(0, left - 12) : left]).group())  # type: ignore[union-attr]
    return data[left:end]


@functools.lru_cache(maxsize=1 << 15)
def name_kind(name: bytes) -> str:
    """ "password", "strong", "weak", or "" for names that only resemble names of secrets."""
    if NOT_A_SECRET_NAME.search(name) or _names_another_thing(name):
        return ""
    if PASSWORD_NAME.search(name):
        return "password"
    if _STRONG_NAME.search(name):
        return "strong"
    owner = _OWNED_KEY.search(name)
    return "strong" if owner and not _STRUCTURE_KEY.search(owner.group(1) or b"") else "weak"


def _names_another_thing(name: bytes) -> bool:
    """Whether the last word of a name means something other than a secret: `token_type`, `passwordField`, but not the
    `service` in `apikey_myservice`."""
    tail = _TAIL_OF_OTHER_THINGS.search(name)
    if not tail or re.search(rb"(?i)(?:access|secret)_?key_?id$", name):
        return False
    is_a_word = tail.start() == 0 or not name[tail.start() : tail.start() + 1].islower()
    return is_a_word or _SECRET_WORD_END.search(name[: tail.start()]) is not None
