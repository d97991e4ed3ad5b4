# ruff: noqa: E501 - patterns and word lists read best unbroken
"""What the words pass, key, token, private mean in other trades, and values that are no secrets whatever their name:

    3:nsubj:pass  Discourse=...          a relation of a treebank (CoNLL-U)
    <pass name="Optimize1">              a pass of a shader, a router, a compiler
    "NextToken": "eyJ2IjoxLCJzIjoxfQ"    a place in a list of results
    key-bookmark10, private-public/d05b  words joined by hyphens
    "KeySpec": "ECC_NIST_P256"           an algorithm, a curve, a constant, a control of a user interface

Pure functions on bytes. They are asked after a name and a value were found, so their cost is that of candidates.
"""

from __future__ import annotations

import functools
import re

from transforms.scanning.validators.secret_values import is_hex_hash, is_uuid, word_share

_OTHER_TOKENS = re.compile(
    rb"(?:^|[_.$-])(?:next|page|paging|pagination|continuation|change|lock|sequence|cursor|resume|sync|forward|backward|marker|start|end|stop|cancel(?:lation)?"
    rb"|syntax|lexer|parser|punctuation|whitespace|operator|identifier|bos|eos|pad|unk|mask|cls|sep|special|vocab|word|input|output|prompt|completion|max)[_-]?(?:page|lock|list)?[_-]?tokens?\d{0,3}$"
)
"""Names of tokens of lists, of parsers and of language models, as words joined by underscores."""
_OTHER_KEYS = re.compile(
    rb"(?:^|[_.$-])(?:sec-web_?socket|s3|object|routing|map|dict|json|my|your|spec|protobuf|proto|enum|sub|deep|compound|i18nc?|locali[sz]ation|resource|string|message|label|registry|cache|ttl|etcd|redis|kafka|natural|surrogate|unique|alternate|composite|dedupe?|group|pivot|join|grouping|region|answer)[_.-]?keys?(?:_specs?|\d{0,3})$|[_.-]key_?specs?$"
)
_OTHER_ENDS = re.compile(
    rb"[_.-](?:text_?box|text_?field|label|btn|button|box|widget|control|layout|panel|icon|image|toggle|check_?box|view|tooltip|screen|tab|link|missing|present|exists?|expired|needed|visible|shown?|hidden|protected|mgr|pem|crt|cer|spec|placeholder|strength|meter|regex|matches|mismatch|lexer|stream|kinds?|iterator|bucket|budget|generator|encoder|decoder|parser|resolver|reader|writer|listener|handler)\d{0,3}$"
)
_CIPHERTEXT = re.compile(rb"encrypted|cipher_?text|hashed|(?:^|[_.-])enc(?:[_.-]|$)|sealed|obfuscated")
_CAMEL = re.compile(rb"(?<=[a-z0-9])(?=[A-Z])")
_TAG = re.compile(rb"(?i)\A[\"']?\s*[\"']?(?P<attribute>[a-z][\w:-]*)[ \t]*=")
_VALUE_ATTRIBUTES = frozenset(b"value default content password passwd pwd secret token key pass".split())
_TYPE_PATH = re.compile(rb"[\"']\w+::(?:\w+::)*\Z")
_ARN = re.compile(rb"\b(?:arn|urn):[\w:*./-]*\Z")
_PUBLIC = re.compile(rb"(?i)\bpublic[ ]\Z")
_RELATION = re.compile(rb"[\w)]:\Z")
_HYPHENATED = re.compile(rb"[a-z]{3,24}(?:[-/_.]|\d{1,4}\b)")

_ALGORITHM = re.compile(
    rb"(?i)(?:(?:hmac|rsassa|rsaes|rsa|pss|oaep|pkcs|ecc|ecdsa|ecdh|ecies|eddsa|dsa|dh|aes|desede|tripledes|3des|des|rc[24]|chacha20?|xchacha20|salsa20|poly1305|sha|keccak|md|hs|rs|es|ps"
    rb"|gcm|cbc|ctr|ccm|ecb|cfb|ofb|xts|siv|kw|nopadding|padding|mgf1|nist|p|b|k|secp|sect|prime|brainpool|curve|ed|x|wtls|c2pnb|pbkdf|pbe|scrypt|bcrypt|argon2|hkdf|blake[23][bs]?|ripemd|whirlpool|sm[234]|symmetric|default|with|and|key|private|public|crt|enc|sig|v|r|t|w|id|i|d)[-_/.: ]?\d{0,4}[-_/.: ]?){1,12}\Z"
)
_ALGORITHM_CORE = re.compile(
    rb"(?i)hmac|rsa|ecc|ecd|dsa|aes|des|chacha|poly1305|sha[-_]?\d|md5|[hrep]s(?:256|384|512)|secp|sect|prime\d|brainpool|curve\d|ed(?:25519|448)|x(?:25519|448)|nist|pbkdf|scrypt|bcrypt|argon|hkdf|blake|p-?(?:256|384|521)"
)
_TYPE = re.compile(
    rb"u?int(?:8|16|32|64|128)?(?:_t)?|float(?:16|32|64)|uint_fast\d+_t|[iuf](?:8|16|32|64|128)|varchar\d*|char\d+"
)
_CONSTANT = re.compile(rb"[A-Z][A-Z0-9]{1,20}(?:_[A-Z0-9]{1,20}){1,8}\Z")
_MEMBERS = re.compile(rb"[a-z_]\w*(?:\.[A-Za-z_]\w*){2,}\Z|(?:com|org|net|io|dev|edu|gov)\.[\w.]+\Z")
_CONTROL = re.compile(
    rb"(?i)[\w-]*[a-z](?:text_?box|text_?field|label|btn|button|field|input|widget|panel|icon|check_?box|tooltip|dialog|screen|column|header|placeholder|element|form|view|page|controller|service|manager|provider|handler|factory|builder|helper|exception|error|validator|policy|strategy|type|template|listener|resource|property)\d{0,3}\Z"
)
_WORDS_SHARE = 0.45
_ADDRESS = re.compile(rb"(?:[a-z][\w-]*(?:\.[\w-]+)*|\d{1,3}(?:\.\d{1,3}){3}):\d{2,5}\Z")
_WIRE_TAG = re.compile(rb"(?:bytes|varint|fixed(?:32|64)|group),\d+,")
_SCHEMA_FLAG = re.compile(rb"\w+\.\d+\?\w+\Z")
_SHELL_EXPANSION = re.compile(
    rb"\$\{[#!]?\w+(?:\[[^\]\n]{1,20}\])?(?:##?|%%?|//?|\^\^?|,,?|@|:[ \t]?\d)[^{}\n]{0,80}\}"
)
_CHECKS = re.compile(rb"[a-z_]{2,20}(?::[\w,./-]{0,30})?(?:\|[a-z_]{2,20}(?::[\w,./-]{0,30})?){1,12}\Z")
"""Checks of a form's field: `required|min:8|confirmed`."""
_NOT_ASCII = re.compile(rb"[\x80-\xff]")
_CALL = re.compile(
    rb"(?i)(?:^|[._])(?:get|has|is|find|fetch|lookup|contains|remove|delete|pop|unset|hash|encode|md5|sha\d*|encrypt|decrypt|check|verify|compare|validate|should|assert)_?\w*\Z"
)


def is_of_another_trade(name: bytes, before: bytes) -> bool:
    """Whether a name that contains a word for secrets means another thing: `NextToken`, `nsubj:pass`, `S3Key`.

    Args:
        name: The complete name.
        before: What precedes it, up to 64 bytes.
    """
    if _means_another_thing(name):
        return True
    if name.lower() == b"pass" and _RELATION.search(before):
        return True
    if name[:3].lower() == b"key" and _PUBLIC.search(before):
        return True
    return b":" in before and (_TYPE_PATH.search(before) or _ARN.search(before)) is not None


@functools.lru_cache(maxsize=1 << 14)
def _means_another_thing(name: bytes) -> bool:
    words = _CAMEL.sub(b"_", name).lower()
    return any(kind.search(words) for kind in (_OTHER_TOKENS, _OTHER_KEYS, _OTHER_ENDS, _CIPHERTEXT))


def is_of_another_attribute(before: bytes, between: bytes) -> bool:
    """Whether a value is that of the next attribute of a tag: `<pass name="Blur9tap">`, `name="password" id="pw1"`.

    Args:
        before: What precedes the name.
        between: What is between name and value.
    """
    if b">" in between or (before[-1:] != b"<" and between[:1] not in (b'"', b"'")):
        return False
    attribute = _TAG.match(between)
    return attribute is not None and attribute["attribute"].lower() not in _VALUE_ATTRIBUTES


def is_joined_word(value: bytes) -> bool:
    """Whether what follows a hyphen goes on with a word, as in `key-bookmark10` and `access-policy-1479170128`."""
    return _HYPHENATED.match(value) is not None and not is_uuid(value[-36:]) and not is_hex_hash(value)


def is_call_about_secrets(name: bytes) -> bool:
    """Whether a function of that name doesn't take a secret to keep: `getPassword("db1")`, `hash_password("x1")`."""
    return _CALL.search(name) is not None


def is_no_secret(value: bytes) -> bool:
    """Whether a value has the form of something else: an algorithm, a constant, a member, a control, an address, a
    shell expansion, checks of a form's field, or prose of another script.

    >>> [is_no_secret(v) for v in (b"ECC_NIST_P256", b"org.acme.Login2", b"passwordTextBox1", b"db1:5432", b"hunter22")]
    [True, True, True, True, False]
    """
    if len(value) > 120:
        return False
    if value.isalnum():
        return _is_algorithm(value) or (_CONTROL.match(value) or _TYPE.fullmatch(value)) is not None
    if _NOT_ASCII.search(value) and 3 * len(_NOT_ASCII.findall(value)) > len(value):
        return True
    return (
        _is_algorithm(value)
        or (_CONSTANT.match(value) or _CONTROL.match(value)) is not None
        or (_MEMBERS.match(value) is not None and word_share(value) > _WORDS_SHARE)
        or any(form.match(value) for form in (_ADDRESS, _WIRE_TAG, _SCHEMA_FLAG, _CHECKS))
        or (b"${" in value and len(_SHELL_EXPANSION.sub(b"", value)) < 6)
    )


def _is_algorithm(value: bytes) -> bool:
    return len(value) <= 48 and _ALGORITHM_CORE.search(value) is not None and _ALGORITHM.match(value) is not None
