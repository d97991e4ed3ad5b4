"""Malicious code: combinations of signals that are close together or linked, and signals that suffice alone.

A single call is not malicious: installers download, templates evaluate, programs read their environment. The rules in
`rules/safety_malicious.toml` find signals; `COMBINATIONS` says which of them make a finding. It spans its signals and
has the combination's name as its rule.

    within   all signals start within so many bytes
    linked   what the first signal gets is what the second one runs or sends (`flows.py`)
    files    only in files that package managers run when they install

Cost: nothing for a text without signals; pairs that must be linked cost tens of microseconds each, for at most
`_MAX_SOURCES` sources of a combination.
"""

from __future__ import annotations

import bisect
import functools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from transforms.scanning.candidate import Document
from transforms.scanning.findings import Finding
from transforms.scanning.unsafe.flows import linked_sink

SIGNAL_PREFIX = "signal."
MALICIOUS_CODE = "malicious_code"
_MAX_SOURCES = 32
_PADDING_BYTES = 100
_INSTALL_FILE = re.compile(
    r"(?:^|/)(?:setup\.py|extconf\.rb|rubygems_plugin\.rb|package\.json|[^/]{1,80}\.gemspec|(?:pre|post)install[^/]{0,40}\.[cm]?js)$"
)


@dataclass(frozen=True)
class Combination:
    """A combination of signals that makes a finding.

    Args:
        signals: The signals; `a|b` means one of the two.
        within: The largest distance between the starts of the first and the last one, in bytes.
        is_linked: Whether the second must get what the first produces.
        in_install_files: Whether it counts only in files that are run by an installation.
        confidence: The finding's confidence.
    """

    signals: tuple[str, ...]
    within: int = 400
    is_linked: bool = False
    in_install_files: bool = False
    confidence: float = 0.7


_SEND = "send|lookup|drop_host"
_RUN = "evaluate|run"
_IDENTITY = "user_name|host_name"
_SUSPICIOUS = "address_url|plain_download|payload_host|hidden|hidden_path|temporary_path|drop_host"
COMBINATIONS: dict[str, Combination] = {
    "nested-decode": Combination(("nested_decode",), confidence=0.9),
    "decode-and-execute": Combination(("decode", f"{_RUN}|pipe_to_shell"), is_linked=True),
    "download-and-evaluate": Combination(("download|receive", "evaluate"), is_linked=True),
    "download-and-run": Combination(("download", "run", f"{_SUSPICIOUS}|shell_program"), 800, is_linked=True),
    "download-to-shell": Combination(("download", "pipe_to_shell", f"{_SUSPICIOUS}|install_hook"), 300),
    "download-to-executable": Combination(("download", "address_url", "make_executable"), 400),
    "download-to-hidden-executable": Combination(("download", "hidden_path", "make_executable"), 300),
    "download-from-address-to-shell": Combination(("address_url", "evaluate|pipe_to_shell"), 160),
    "download-and-load": Combination(("download|decode", "load_library"), is_linked=True),
    "payload-from-drop": Combination(("payload_host|address_url", _RUN, "download"), 300),
    "revealed-code": Combination(("reveal", _RUN), 300),
    "decode-to-memory": Combination(("decode", "memory_execute"), 1000),
    "read-environment-and-send": Combination(("bulk_environment", _SEND), 600, is_linked=True),
    "environment-to-drop": Combination((f"bulk_environment|{_IDENTITY}|credential_store", "drop_host"), 600),
    "identify-and-look-up": Combination((_IDENTITY, "lookup"), is_linked=True),
    "identify-and-request": Combination((_IDENTITY, "send|download"), is_linked=True),
    "identify-and-send": Combination(("user_name", "host_name", "send|lookup"), 400),
    "command-in-host": Combination(("host_from_command",), confidence=0.8),
    "read-credentials-and-send": Combination(("credential_store", "send|drop_host"), 600, is_linked=True),
    "credentials-to-drop": Combination(("credential_store|browser_store", "drop_host"), 1500),
    "read-browser-and-send": Combination(("browser_store", "send"), 1500),
    "reverse-shell": Combination(("socket", "redirect_descriptors", f"{_RUN}|shell_program"), 600),
    "shell-on-socket": Combination(("socket", "shell_program", "receive"), 600),
    "commands-from-socket": Combination(("receive", "run", "socket"), 600, is_linked=True),
    "shell-to-network": Combination(("shell_to_network",), confidence=0.9),
    "encrypt-and-ransom": Combination(("encrypt_files", "ransom_note"), 1000),
    "keys-and-send": Combination(("keylogger", "send|drop_host"), 1500),
    "clipboard-wallet": Combination(("clipboard", "wallet_address"), 600),
    "hidden-encoded-command": Combination(("encoded_command",), confidence=0.9),
    "hidden-download": Combination(("hidden", "download", _RUN), 200),
    "miner": Combination(("miner",)),
    "persistence": Combination(("persistence",)),
    "disarmed-protection": Combination(("disarm",), confidence=0.6),
    "web-shell": Combination(("web_shell",), confidence=0.9),
    "obfuscated-code": Combination(("obfuscated",)),
    "indirect-call": Combination(("indirect_call",)),
    "styled-letters": Combination(("styled_letters",), confidence=0.6),
    "silent-process": Combination(("silent_process",), confidence=0.5),
    "serialized-environment": Combination(("serialized_environment",), confidence=0.5),
    "split-name": Combination(("split_name", f"{_RUN}|split_name|decode"), 200),
    "install-script": Combination(("install_script",), confidence=0.9),
    "install-and-download": Combination(
        ("download", f"{_RUN}|pipe_to_shell"), 800, is_linked=True, in_install_files=True
    ),
    "install-and-identify": Combination((_IDENTITY, _SEND), 800, in_install_files=True),
    "install-and-hide": Combination(("hidden", "run"), 300, in_install_files=True),
}
"""The combinations by their names. Those of one signal suffice alone: one line redirects a shell to a socket."""

_GROUPS = {name: [frozenset(kinds.split("|")) for kinds in one.signals] for name, one in COMBINATIONS.items()}
_PADDED = Combination(("evaluate",), confidence=0.8)


def combine_signals(findings: list[Finding], document: Document) -> list[Finding]:
    """Replaces signals by the combinations that they form; signals that form none are removed."""
    signals = sorted((f for f in findings if f.type.startswith(SIGNAL_PREFIX)), key=lambda f: f.byte_start)
    if not signals:
        return findings
    others = [f for f in findings if not f.type.startswith(SIGNAL_PREFIX)]
    present = frozenset(map(_kind, signals))
    for name in _possible(present, _INSTALL_FILE.search(document.path) is not None):
        combination, groups = COMBINATIONS[name], _GROUPS[name]
        find = _linked if combination.is_linked else _close
        for parts in find(groups, signals, combination.within, document.data):
            others.append(_combined(name, combination, parts))
    padded = [s for s in signals if _kind(s) in ("evaluate", "nested_decode") and _is_padded(s, document.data)]
    others += [_combined("padded-code", _PADDED, [signal]) for signal in padded]
    return others


@functools.lru_cache(maxsize=1024)  # most files with signals have one or two kinds
def _possible(present: frozenset[str], in_install_file: bool) -> tuple[str, ...]:
    """The combinations of which each part is among the signals that are present."""
    return tuple(
        name
        for name, combination in COMBINATIONS.items()
        if combination.in_install_files <= in_install_file
        and not any(present.isdisjoint(group) for group in _GROUPS[name])
    )


def _is_padded(signal: Finding, data: bytes) -> bool:
    """Whether a signal stands far right of the visible part of its line."""
    start = signal.byte_start
    return start >= _PADDING_BYTES and not data[start - _PADDING_BYTES : start].strip(b" ;")


def _combined(name: str, combination: Combination, parts: Sequence[Finding]) -> Finding:
    first, last = min(parts, key=lambda f: f.byte_start), max(parts, key=lambda f: f.byte_end)
    return first._replace(
        type=MALICIOUS_CODE, rule=name, end=last.end, byte_end=last.byte_end, specificity=1, validated=False,
        confidence=combination.confidence,
    )  # fmt: skip


def _kind(signal: Finding) -> str:
    return signal.type.removeprefix(SIGNAL_PREFIX)


def _close(
    groups: Sequence[frozenset[str]], signals: Sequence[Finding], within: int, _data: bytes
) -> Iterator[list[Finding]]:
    """Different signals, one of each group, that start within so many bytes; each signal counts once."""
    last_seen: dict[int, Finding] = {}
    for signal in signals:
        fitting = [index for index, group in enumerate(groups) if _kind(signal) in group]
        if fitting:  # the one that was seen longest ago
            index = min(fitting, key=lambda i: last_seen[i].byte_start if i in last_seen else -1)
            last_seen[index] = signal
        if len(last_seen) < len(groups):
            continue
        parts = list(last_seen.values())
        first, last = min(parts, key=lambda f: f.byte_start), max(parts, key=lambda f: f.byte_start)
        if last.byte_start - first.byte_start <= within:
            yield parts
            last_seen.clear()


def _linked(
    groups: Sequence[frozenset[str]], signals: Sequence[Finding], within: int, data: bytes
) -> Iterator[list[Finding]]:
    """A source and a sink that are linked, with one signal of each further group around."""
    sources = [signal for signal in signals if _kind(signal) in groups[0]]
    sinks = [signal for signal in signals if _kind(signal) in groups[1]]
    starts = [sink.byte_start for sink in sinks]
    done = -1
    for source in sources[:_MAX_SOURCES]:
        if source.byte_start < done:
            continue
        first = bisect.bisect_left(starts, source.byte_start - 1000)
        last = bisect.bisect_right(starts, source.byte_start + 4000)
        index = linked_sink(data, (source.byte_start, source.byte_end), starts[first:last])
        if index is None:
            continue
        parts = [source, sinks[first + index]]
        for group in groups[2:]:
            near = [s for s in signals if _kind(s) in group and abs(s.byte_start - source.byte_start) <= within]
            parts += near[:1]
        if len(parts) == len(groups):
            done = max(part.byte_end for part in parts)
            yield parts
