"""Policies: for each type of finding, an action: keep, redact, drop or off.

    extends: default            # strict, default or annotate; default if omitted
    actions:
      email: keep               # keep: reported, text unchanged      redact: replaced by a placeholder
      author_name: redact       # drop: the row is rejected           off: not searched for
    rule_files: [ours.toml]     # additional rules, in the format of `rules.py`
    term_lists:                 # files of terms, one a line, by the type that their findings get
      code_name: names.txt
    min_confidence: 0.5         # findings with a lower confidence are kept, whatever their type's action
    columns:                    # text columns other than the content, by name; "*": all others
      path: redact              # keep: findings are reported (the default)   redact: what the actions redact or
      repo_name: off            # drop in the content is replaced             off: not scanned

A policy file is checked before any row is read. An unknown type, action or key is refused with a one-line error.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from model.errors import ConfigError, one_line, shown
from transforms.scanning.rule import RuleSet
from transforms.scanning.rule_check import check_rule_file
from transforms.scanning.rules import load_rules
from transforms.scanning.unsafe.combinations import MALICIOUS_CODE, SIGNAL_PREFIX
from transforms.scanning.unsafe.terms import read_term_list
from transforms.user_files import load_yaml, located, read_text

OFF = "off"
ACTIONS = ("keep", "redact", "drop", OFF)
COLUMN_ACTIONS = ("keep", "redact", OFF)
VERBATIM_COPY = "verbatim_copy"
PRESETS_DIRECTORY = Path(__file__).parent / "policies"
PRESETS = ("strict", "default", "annotate")
_KEYS = ("extends", "actions", "rule_files", "term_lists", "min_confidence", "columns")
_OTHER_COLUMNS = "*"
_TYPE_NAME = re.compile("[a-z][a-z0-9_]{0,39}")


@dataclass(frozen=True)
class Policy:
    """The action for each type of finding; picklable, and hashed into the lineage.

    Args:
        name: Name of the preset or file.
        actions: An action for every type that the rules can report.
        rule_files: The user's rule files.
        term_lists: The user's lists of terms, as types and files.
        min_confidence: Findings with a lower confidence are reported and kept.
        columns: An action for text columns other than the content, by name or role (`path`, `repo_name`); `*` for all
            that aren't named.
    """

    name: str
    actions: Mapping[str, str] = field(default_factory=dict)
    rule_files: tuple[str, ...] = ()
    term_lists: tuple[tuple[str, str], ...] = ()
    min_confidence: float = 0.0
    columns: Mapping[str, str] = field(default_factory=dict)

    @property
    def hash(self) -> str:
        """SHA-256 over all fields of the policy, 16 hex digits."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]

    def rules(self) -> RuleSet:
        """The rules of the types that are not off, including signals if malicious code is not off."""
        wanted = {name for name, action in self.actions.items() if action != "off"}
        known = load_rules(*self.rule_files)
        listed = (read_term_list(finding_type, Path(file)) for finding_type, file in self.term_lists)
        return RuleSet(
            tuple(r for r in known.rules if (MALICIOUS_CODE if r.type.startswith(SIGNAL_PREFIX) else r.type) in wanted),
            tuple(terms for terms in (*known.terms, *listed) if terms.type in wanted),
        )

    def action(self, finding_type: str, confidence: float) -> str:
        """The action for a finding: keep, redact or drop."""
        return "keep" if confidence < self.min_confidence else self.actions[finding_type]

    def column_action(self, name: str, role: str = "") -> str:
        """The action for a text column other than the content: keep, redact or off."""
        for key in (name, role, _OTHER_COLUMNS):
            if key in self.columns:
                return self.columns[key]
        return "keep"


def known_types(rules: RuleSet) -> tuple[str, ...]:
    """All types that a policy may name: those of the rules, and verbatim copies (`duplicates/known_text.py`)."""
    found = {MALICIOUS_CODE if t.startswith(SIGNAL_PREFIX) else t for t in rules.types}
    return tuple(sorted(found | {VERBATIM_COPY}))


def load_policy(name_or_path: str) -> Policy:
    """Reads a preset by name, or a policy file by path. Raises ConfigError with a one-line message."""
    if name_or_path in PRESETS:
        content, _ = _read(PRESETS_DIRECTORY / f"{name_or_path}.yaml", name_or_path)
        return _build(name_or_path, content, base={})
    path = Path(name_or_path)
    name = f"policy {one_line(path.name)}"
    content, lines = _read(path, name_or_path)
    try:
        parent = content.get("extends", "default")
        if parent not in PRESETS:
            raise ConfigError(f"extends {shown(parent)}; it must be one of {', '.join(PRESETS)}")
        return _build(path.name, content, base=load_policy(parent).actions, directory=path.parent)
    except ConfigError as error:
        raise located(name, lines, error) from None


def _read(path: Path, given: str) -> tuple[dict[str, Any], dict[str, int]]:
    """Returns the content of a policy file, and its keys' lines as `{"actions": 2, "actions.email": 3}`."""
    name = f"policy {one_line(path.name)}"
    try:
        content, lines = load_yaml(read_text(path, name), name)
    except FileNotFoundError:
        raise ConfigError(f"policy {shown(given)} is neither a file nor one of {', '.join(PRESETS)}") from None
    except OSError as error:
        raise ConfigError(f"{name} can't be read: {error.strerror}") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{name} is not a mapping; see docs/filters.md")
    return content, lines


def _build(name: str, content: dict[str, Any], base: Mapping[str, str], directory: Path | None = None) -> Policy:
    for key in content:
        if key not in _KEYS:
            raise ConfigError(f"unknown key {shown(key)}{_nearest(str(key), _KEYS)}")
    files = tuple(str((directory or PRESETS_DIRECTORY) / file) for file in _rule_files(content))
    for file in files:
        check_rule_file(Path(file))
    lists = _term_lists(content.get("term_lists", {}), directory or PRESETS_DIRECTORY)
    types = tuple(sorted({*known_types(load_rules(*files)), *(finding_type for finding_type, _ in lists)}))
    given = _actions(content.get("actions", {}), types)
    confidence = content.get("min_confidence", 0.0)
    if not isinstance(confidence, (int, float)) or isinstance(confidence, bool) or not 0 <= confidence <= 1:
        raise ConfigError(f"min_confidence is {shown(confidence)}; it must be between 0 and 1")
    actions = {finding_type: {**base, **given}.get(finding_type, "redact") for finding_type in types}
    return Policy(name, actions, files, lists, float(confidence), _columns(name, content.get("columns", {})))


def _columns(name: str, given: Any) -> dict[str, str]:
    if not isinstance(given, dict):
        raise ConfigError(f"policy {name}: columns must map columns to one of {', '.join(COLUMN_ACTIONS)}")
    columns = {str(key): OFF if action is False else action for key, action in given.items()}
    for key, action in columns.items():
        if action not in COLUMN_ACTIONS:
            raise ConfigError(
                f"policy {name}: column {key} is {action!r}; it must be one of {', '.join(COLUMN_ACTIONS)}"
            )
    return columns


def _rule_files(content: dict[str, Any]) -> list[str]:
    files = content.get("rule_files", [])
    wrong = [file for file in files if not isinstance(file, str)] if isinstance(files, list) else [files]
    if wrong:
        raise ConfigError(f"rule_files contains {shown(wrong[0])}; it must be a list of files, e.g. [ours.toml]")
    return list(files)


def _term_lists(given: Any, directory: Path) -> tuple[tuple[str, str], ...]:
    """The lists of terms that a policy file names, each of which was read once."""
    if not isinstance(given, dict):
        raise ConfigError(f"term_lists is {shown(given)}; it must map types to files, e.g. {{code_name: names.txt}}")
    lists = []
    for finding_type, file in given.items():
        if not isinstance(finding_type, str) or not _TYPE_NAME.fullmatch(finding_type):
            raise ConfigError(
                f"term_lists has the type {shown(finding_type)}; use letters, digits and `_`, as code_name"
            )
        if not isinstance(file, str):
            raise ConfigError(f"term_lists.{finding_type} is {shown(file)}; it must be a file")
        read_term_list(finding_type, directory / file)
        lists.append((finding_type, str(directory / file)))
    return tuple(lists)


def _actions(given: Any, types: tuple[str, ...]) -> dict[str, str]:
    """The actions that a policy file names, checked."""
    if not isinstance(given, dict):
        raise ConfigError(f"actions must map types to one of {', '.join(ACTIONS)}")
    for finding_type, action in given.items():
        if finding_type not in types:
            raise ConfigError(f"actions: unknown type {shown(finding_type)}{_nearest(str(finding_type), types)}")
        action = "off" if action is False else action  # YAML 1.1 reads a bare `off` as false
        if action not in ACTIONS:
            raise ConfigError(f"actions.{finding_type} is {shown(action)}; it must be one of {', '.join(ACTIONS)}")
    if given.get(VERBATIM_COPY) == "redact":
        raise ConfigError(f"actions.{VERBATIM_COPY} is 'redact'; it must be keep, drop or off")
    return {key: "off" if action is False else action for key, action in given.items()}


def _nearest(name: str, known: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(name[:100], known, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(known)}"
