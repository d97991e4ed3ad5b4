"""Policies: for each type of finding, an action: keep, redact, drop or off.

    extends: default            # strict, default or annotate; default if omitted
    actions:
      email: keep               # keep: reported, text unchanged      redact: replaced by a placeholder
      author_name: redact       # drop: the row is rejected           off: not searched for
    rule_files: [ours.toml]     # additional rules, in the format of `rules.py`
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
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import yaml

from model.errors import ConfigError
from transforms.scanning.rule import RuleSet
from transforms.scanning.rules import load_rules
from transforms.scanning.safety import MALICIOUS_CODE, SIGNAL_PREFIX

OFF = "off"
ACTIONS = ("keep", "redact", "drop", OFF)
COLUMN_ACTIONS = ("keep", "redact", OFF)
VERBATIM_COPY = "verbatim_copy"
PRESETS_DIRECTORY = Path(__file__).parent / "policies"
PRESETS = ("strict", "default", "annotate")
_KEYS = ("extends", "actions", "rule_files", "min_confidence", "columns")
_OTHER_COLUMNS = "*"


@dataclass(frozen=True)
class Policy:
    """The action for each type of finding; picklable, and hashed into the lineage.

    Args:
        name: Name of the preset or file.
        actions: An action for every type that the rules can report.
        rule_files: The user's rule files.
        min_confidence: Findings with a lower confidence are reported and kept.
        columns: An action for text columns other than the content, by name or role (`path`, `repo_name`); `*` for all
            that aren't named.
    """

    name: str
    actions: Mapping[str, str] = field(default_factory=dict)
    rule_files: tuple[str, ...] = ()
    min_confidence: float = 0.0
    columns: Mapping[str, str] = field(default_factory=dict)

    @property
    def hash(self) -> str:
        """SHA-256 over all fields of the policy, 16 hex digits."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]

    def rules(self) -> RuleSet:
        """The rules of the types that are not off, including signals if malicious code is not off."""
        wanted = {name for name, action in self.actions.items() if action != "off"}
        rules = load_rules(*self.rule_files).rules
        return RuleSet(
            tuple(r for r in rules if (MALICIOUS_CODE if r.type.startswith(SIGNAL_PREFIX) else r.type) in wanted)
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
        return _build(name_or_path, _read_yaml(PRESETS_DIRECTORY / f"{name_or_path}.yaml"), base={})
    path = Path(name_or_path)
    if not path.exists():
        raise ConfigError(f"policy {name_or_path!r} is neither a file nor one of {', '.join(PRESETS)}")
    content = _read_yaml(path)
    parent = content.get("extends", "default")
    if parent not in PRESETS:
        raise ConfigError(f"policy {path.name}: extends {parent!r}; it must be one of {', '.join(PRESETS)}")
    return _build(path.name, content, base=load_policy(parent).actions, directory=path.parent)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"policy {path.name} can't be read: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise ConfigError(f"policy {path.name} is not a mapping; see docs/filters.md")
    return content


def _build(name: str, content: dict[str, Any], base: Mapping[str, str], directory: Path | None = None) -> Policy:
    for key in content:
        if key not in _KEYS:
            raise ConfigError(f"policy {name}: unknown key {key!r}{_nearest(str(key), _KEYS)}")
    files = tuple(str((directory or PRESETS_DIRECTORY) / file) for file in content.get("rule_files", ()))
    types = known_types(load_rules(*files))
    given = content.get("actions", {})
    if not isinstance(given, dict):
        raise ConfigError(f"policy {name}: actions must map types to one of {', '.join(ACTIONS)}")
    for finding_type, action in given.items():
        if finding_type not in types:
            raise ConfigError(f"policy {name}: unknown type {finding_type!r}{_nearest(str(finding_type), types)}")
        action = "off" if action is False else action  # YAML 1.1 reads a bare `off` as false
        if action not in ACTIONS:
            raise ConfigError(f"policy {name}: {finding_type} is {action!r}; it must be one of {', '.join(ACTIONS)}")
    if given.get(VERBATIM_COPY) == "redact":
        raise ConfigError(f"policy {name}: {VERBATIM_COPY} is 'redact'; it must be keep, drop or off")
    given = {key: "off" if action is False else action for key, action in given.items()}
    confidence = content.get("min_confidence", 0.0)
    if not isinstance(confidence, (int, float)) or not 0 <= confidence <= 1:
        raise ConfigError(f"policy {name}: min_confidence is {confidence!r}; it must be between 0 and 1")
    actions = {finding_type: {**base, **given}.get(finding_type, "redact") for finding_type in types}
    return Policy(name, actions, files, float(confidence), _columns(name, content.get("columns", {})))


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


def _nearest(name: str, known: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(known)}"
