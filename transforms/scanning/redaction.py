"""Redaction: replaces findings by placeholders, so that code still parses and equal values stay equal.

    mail = "ann@corp.io"; cc = "ann@corp.io"; bcc = "bo@corp.io"
    mail = "<EMAIL_1>"; cc = "<EMAIL_1>"; bcc = "<EMAIL_2>"

Placeholders are numbered per document and label, in order of first appearance, starting after the numbers that the
text already contains. If `CODEMILL_HASH_KEY` is set, the number is the value's keyed hash instead, so that a value has
the same placeholder in all documents, and only who has the key can tell which; with a public key, anyone could test
guesses. Redaction is deterministic, and a second pass changes nothing. IP addresses become documentation addresses
(RFC 5737, RFC 3849; by hash, RFC 2544). If a span contains a quote or splits an escape sequence, the entire
content of the literal is replaced. A key that is split over several literals is emptied run by run.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from transforms.scanning.candidate import Document
from transforms.scanning.findings import Finding
from transforms.scanning.placeholder_forms import PlaceholderForms

LABELS = {
    "api_token": "KEY",
    "authorization": "KEY",
    "author_name": "NAME",
    "card": "CARD",
    "connection_string": "PASSWORD",
    "email": "EMAIL",
    "iban": "IBAN",
    "jwt": "KEY",
    "mac_address": "MAC",
    "national_id": "ID",
    "password": "PASSWORD",
    "password_hash": "PASSWORD_HASH",
    "phone": "PHONE",
    "postal_address": "ADDRESS",
    "private_key": "PRIVATE_KEY",
    "secret_assignment": "SECRET",
    "url_password": "PASSWORD",
}
_IPV4_NETWORKS = ("192.0.2", "198.51.100", "203.0.113")
_IPV4_SLOTS = len(_IPV4_NETWORKS) * 254
_DOCUMENTATION_IP = re.compile(r"\b(192\.0\.2|198\.51\.100|203\.0\.113)\.(\d{1,3})\b")
_DOCUMENTATION_IPV6 = re.compile(r"(?i)\b2001:db8::([0-9a-f]{1,4})\b")
_HASHED_NUMBERS = 10**8
_BENCHMARK_HOSTS = 1 << 17
"""Addresses of 198.18.0.0/15, which are on no network either: there are too few documentation addresses for hashes."""
_KEY_RUN = re.compile(r"[A-Za-z0-9+/=]{8,}")
_QUOTES = ("'", '"', "`")


def label_of(finding_type: str) -> str:
    """The label in a type's placeholder. The label of a user-defined type is its name in upper case.

    >>> label_of("email"), label_of("staff_number")
    ('EMAIL', 'STAFF_NUMBER')
    """
    return LABELS.get(finding_type, re.sub(r"\W", "_", finding_type).upper())


class _Numbering:
    """Assigns a placeholder to each value of a document."""

    def __init__(self, text: str, is_keyed: bool):
        self._text, self._is_keyed = text, is_keyed
        self._by_value: dict[tuple[str, str], str] = {}
        self._next: dict[str, int] = {}

    def placeholder(self, finding: Finding, value: str) -> str:
        label = label_of(finding.type)
        if finding.type == "ip_address":
            label = "IPV6" if ":" in value else "IPV4"
        if finding.type == "control_token":
            return neutralize(value)
        if self._is_keyed:
            return _format_hash(label, int(finding.value_hash, 16))
        key = (label, finding.value_hash)
        if key not in self._by_value:
            number = self._next.get(label) or self._first_free(label)
            self._next[label] = number + 1
            self._by_value[key] = _format(label, number)
        return self._by_value[key]

    def _first_free(self, label: str) -> int:
        if label == "IPV4":
            used = [_IPV4_NETWORKS.index(net) * 254 + int(host) for net, host in _DOCUMENTATION_IP.findall(self._text)]
        elif label == "IPV6":
            used = [int(host, 16) for host in _DOCUMENTATION_IPV6.findall(self._text)]
        elif f"{label}_" not in self._text:
            return 1
        else:
            used = [int(number) for number in re.findall(rf"[<\[]{label}_(\d{{1,6}})[>\]]", self._text)]
        return max(used, default=0) + 1


def _format(label: str, number: int) -> str:
    if label == "IPV4":
        network, host = divmod((number - 1) % _IPV4_SLOTS, 254)
        return f"{_IPV4_NETWORKS[network]}.{host + 1}"
    return f"2001:db8::{number:x}" if label == "IPV6" else f"<{label}_{number}>"


def _format_hash(label: str, number: int) -> str:
    if label == "IPV4":
        host = number % _BENCHMARK_HOSTS
        return f"198.{18 + (host >> 16)}.{host >> 8 & 255}.{host & 255}"
    if label == "IPV6":
        return f"2001:db8::{number >> 16 & 0xFFFF:x}:{number & 0xFFFF:x}"
    return f"<{label}_{number % _HASHED_NUMBERS}>"


def neutralize(token: str) -> str:
    """Turns a model's control token into plain text by inserting a space after its first character. It stays readable
    and is encoded as ordinary tokens.

    >>> neutralize("<" + "eos>")
    '< eos>'
    """
    return f"{token[0]} {token[1:]}"


def redact(
    text: str, findings: Iterable[Finding], language: str = "", path: str = "", *, is_keyed: bool = False
) -> tuple[str, list[Finding]]:
    """Replaces the findings whose action is "redact".

    Args:
        text: The scanned text.
        findings: Findings in order, with actions. Where two that are replaced overlap, the first has its placeholder.
        language: The text's language, which determines its string literals, for spans that would break a string's
            quoting, and the form of placeholders.
        path: Its path, which determines the language if `language` does not.
        is_keyed: Whether the hashes of values are keyed, so that they may be the numbers of placeholders.

    Returns:
        The redacted text, and all findings, with offsets in the original text; replaced findings have a placeholder.
    """
    numbering, literals = _Numbering(text, is_keyed), _Literals(text, language)
    forms = PlaceholderForms(text, language, path)
    pieces: list[str] = []
    out: list[Finding] = []
    at = 0
    for finding in findings:
        if finding.action != "redact":
            out.append(finding)
            continue
        value = text[finding.start : finding.end]
        placeholder = numbering.placeholder(finding, value)
        placeholder = forms.bracketed(placeholder, finding.start, finding.byte_start, value)
        out.append(finding._replace(placeholder=placeholder))
        start, end = literals.safe_span(finding)
        if start < at:
            start = at
        if end <= at:
            continue
        body = text[start:end]
        pieces.append(text[at:start])
        if finding.type == "private_key" and _is_split(body):
            pieces.append(_empty_runs(body, placeholder))
        else:
            pieces.append(forms.quoted(placeholder, finding.start, finding.byte_start, body))
        at = end
    pieces.append(text[at:])
    return "".join(pieces), out


def redact_name(text: str, findings: Iterable[Finding]) -> tuple[str, list[Finding]]:
    """Replaces the findings with action "redact" in a path or another name.

    The number in a placeholder is the value's keyed hash, so equal values get equal placeholders in all rows, and two
    paths that differ stay different.

    Returns:
        The redacted text, and all findings; replaced ones have a placeholder.
    """
    pieces: list[str] = []
    out: list[Finding] = []
    at = 0
    for finding in findings:
        if finding.action == "redact":
            finding = finding._replace(placeholder=f"<{label_of(finding.type)}_{int(finding.value_hash, 16)}>")
            if finding.end > at:  # else it lies in one that is replaced
                pieces += (text[at : finding.start], finding.placeholder)
                at = finding.end
        out.append(finding)
    return "".join((*pieces, text[at:])), out


def _is_split(body: str) -> bool:
    return any(quote in body for quote in _QUOTES)


def _empty_runs(body: str, placeholder: str) -> str:
    """Redacts a key that is split over several literals: the first run becomes the placeholder and the others become
    empty; quotes and operators stay."""
    texts = iter([placeholder])
    return _KEY_RUN.sub(lambda _match: next(texts, ""), body)


class _Literals:
    """Widens spans that would break a string's quoting to the entire content of the literal."""

    def __init__(self, text: str, language: str):
        self._text, self._language = text, language
        self._document: Document | None = None

    def safe_span(self, finding: Finding) -> tuple[int, int]:
        start, end, text = finding.start, finding.end, self._text
        body = text[start:end]
        breaks = any(q in body for q in _QUOTES) or _odd_backslashes(text, start) or _odd_backslashes(text, end)
        if finding.type == "private_key" or not breaks:
            return start, end
        return self._content_of_literal(finding) or (start, end)

    def _content_of_literal(self, finding: Finding) -> tuple[int, int] | None:
        if self._document is None:
            self._document = Document(self._text.encode("utf-8", "surrogatepass"), self._language or "python")
        span = self._document.lexical.span_at(finding.byte_start)
        if span is None or span[1] < finding.byte_end:
            return None
        data = self._document.data
        chars: Callable[[bytes], int] = lambda part: len(part.decode("utf-8", "surrogatepass"))
        literal = data[span[0] : span[1]]
        quote = 3 if literal[:3] in (b'"""', b"'''") else 1
        if literal[:1] not in (b'"', b"'", b"`") or len(literal) < 2 * quote or literal[-1:] != literal[:1]:
            return None
        start = finding.start - chars(data[span[0] + quote : finding.byte_start])
        return start, start + chars(data[span[0] + quote : span[1] - quote])


def _odd_backslashes(text: str, at: int) -> bool:
    count = 0
    while at - count > 0 and text[at - count - 1] == "\\":
        count += 1
    return count % 2 == 1
