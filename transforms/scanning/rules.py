"""Rule files: reads TOML files, one per family, into `Rule`s and checks their patterns before any text is scanned.

A file contains `family`, optional `[defaults]`, and `rules`, an array of tables with these keys:

    id          unique name, kebab-case
    type        the name of the finding's type in policies, e.g. `api_token`
    token       the pattern of a value; boundaries are added
    pattern     instead of `token`: the complete exact pattern (group `v` is the value)
    near        words; one of them appears at most three words before the token, on the same line, in any case
    keywords    literals; each match contains at least one of them
    validator   a name in `validators.registry.VALIDATORS`
    context     "" or "comment_or_string"
    confidence  0 to 1
    source      the provider's documentation
    specificity 0 to 2, see `Finding`
    anchored    whether each match starts with a keyword
    like        recipes of values that must be found
    unlike      recipes of text that must not be found
    files       "", or "settings" for files of names and values only, or "phones" for tables with a column of phones
    fold        a fold, for patterns without a literal, see `folds.py`
    trigger     the trigger as a pattern (a prefix of each match), if the derived trigger (`trigger.py`) is slow

Recipes (`recipes.py`) create examples at run time, so the project contains no token-shaped literal.
"""

from __future__ import annotations

import functools
import re
import tomllib
from pathlib import Path
from typing import Any

from model.errors import SHOWN_CHARS, ConfigError, one_line, shown
from transforms.scanning.folds import FOLDS
from transforms.scanning.rule import BESIDE, Rule, RuleSet
from transforms.scanning.unsafe.terms import own_terms
from transforms.scanning.validators.registry import VALIDATORS
from transforms.user_files import read_text

RULES_DIRECTORY = Path(__file__).parent / "rules"
CONTEXTS = ("", "comment_or_string")
FILES = ("", "settings", "phones")
_WORDS = ("near", "keywords", "like", "unlike")
_NUMBERS = ("confidence", "specificity")
_TEXTS = {"token", "trigger", *Rule.__dataclass_fields__}
_BOUNDARY = r"(?:(?<![A-Za-z0-9_])|(?<=\\[nrt])|(?<=\[\d\dm)|(?<=%[0-9A-F][0-9A-F]))"
"""What may precede a token: no word character, unless it ends an escape sequence, a terminal color code or a
percent-encoded character."""
_NEAR_GAP = r"[\w.-]{0,24}+(?:[^\w\n]{1,6}+[\w.-]{1,16}+){0,3}?[^\w\n]{1,6}"
"""Up to three words between a provider's name and the value. The gap is limited in words, so that a line of names costs
one attempt per name."""
NEAR_GAP_BYTES = 24 + 3 * (6 + 16) + 6


def load_rules(*extra_files: str | Path) -> RuleSet:
    """Reads codemill's rules and terms, then the user's rule files. Raises ConfigError (file, rule, reason)."""
    rules: dict[str, Rule] = {}
    for rule in _own_rules():
        rules[rule.id] = rule
    for path in map(Path, extra_files):
        for rule in read_rule_file(path):
            if rule.id in rules:
                raise ConfigError(f"{path.name}: rule {rule.id} is defined twice; give it another id")
            rules[rule.id] = rule
    return RuleSet(tuple(rules.values()), own_terms())


@functools.cache
def _own_rules() -> tuple[Rule, ...]:
    """The project's rules, read once per process. Tests check their patterns, which takes a tenth of a second."""
    paths = sorted(RULES_DIRECTORY.glob("*.toml"))
    return tuple(rule for path in paths for rule in read_rule_file(path, checks_patterns=False))


def read_rule_file(path: Path, *, checks_patterns: bool = True) -> list[Rule]:
    """Reads and checks one rule file; its patterns only if `checks_patterns`. Raises ConfigError."""
    name = one_line(path.name)
    try:
        content = tomllib.loads(read_text(path, f"rule file {name}"))
    except OSError as error:
        raise ConfigError(f"rule file {one_line(path)}: {error.strerror or error}") from None
    except (tomllib.TOMLDecodeError, ValueError) as error:  # a ValueError for a number of 5,000 digits
        raise ConfigError(f"rule file {name} is not valid TOML: {one_line(error, SHOWN_CHARS)}") from None
    except RecursionError:
        raise ConfigError(f"rule file {name} is nested too deeply") from None
    tables, defaults = content.get("rules"), content.get("defaults", {})
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise ConfigError(f"rule file {name} has no `rules` array of tables; write [[rules]] above each rule")
    if not isinstance(defaults, dict):
        raise ConfigError(f"rule file {name}: defaults is {shown(defaults)}; it must be a table, [defaults]")
    own = {**defaults, "family": content.get("family", path.stem)}
    return [_make_rule(name, {**own, **table}, checks_patterns) for table in tables]


def _make_rule(file: str, table: dict[str, Any], checks_pattern: bool) -> Rule:
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
    for key in ("like", "unlike", "near", "keywords"):
        if isinstance(values.get(key), str):
            values[key] = (values[key],)
    name = f"{file}: rule {one_line(values.get('id', '(without id)'), SHOWN_CHARS)}"
    _check_types(name, table)
    token = values.pop("token", None)
    if "trigger" in values:
        values["trigger_pattern"] = values.pop("trigger")
    if (token is None) == ("pattern" not in values):
        raise ConfigError(f"{name}: specify either `token` or `pattern`")
    if token is not None:
        values["pattern"] = _token_pattern(token, values.get("near", ()))
        values["value"] = token if values.get("near") else ""
        values.setdefault("specificity", 1 if values.get("near") else 2)
    if values.get("near") and not values.get("keywords"):
        values |= {"keywords": values["near"], "anchored": True}
    own = {"value", "trigger_pattern"}  # computed, so a file may not set them
    unknown = set(table) - set(Rule.__dataclass_fields__) - {"token", "trigger"} | set(table) & own
    if unknown:
        raise ConfigError(f"{name}: unknown key {one_line(sorted(unknown)[0], SHOWN_CHARS)}")
    try:
        rule = Rule(**values)
    except TypeError as error:
        raise ConfigError(f"{name}: {str(error).split('__init__() ')[-1]}") from None
    _check_rule(name, rule)
    if checks_pattern:
        _check_pattern(name, rule)
    return rule


def _check_types(name: str, table: dict[str, Any]) -> None:
    """Refuses a value of another type than its key takes; unknown keys are refused later."""
    for key, value in table.items():
        is_words = isinstance(value, list) and all(isinstance(word, str) for word in value)
        if key in _WORDS:
            is_right, wanted = is_words or isinstance(value, str), "a list of texts"
        elif key in _NUMBERS:
            is_right, wanted = isinstance(value, int | float) and not isinstance(value, bool), "a number"
        elif key == "anchored":
            is_right, wanted = isinstance(value, bool), "true or false"
        else:
            is_right, wanted = isinstance(value, str) or key not in _TEXTS, "text"
        if not is_right:
            raise ConfigError(f"{name}: {one_line(key, SHOWN_CHARS)} is {shown(value)}; it must be {wanted}")
    if empty := [key for key in _WORDS if "" in table.get(key, ())]:
        raise ConfigError(f"{name}: {empty[0]} contains an empty text; remove it")


def _token_pattern(token: str, near: tuple[str, ...]) -> str:
    """Adds boundaries around a value's pattern, and the words that precede it."""
    if not near:
        return rf"{_BOUNDARY}(?P<v>{token})(?![A-Za-z0-9_])"
    words = "|".join(re.escape(word) for word in near)
    return rf"(?i:{words}){_NEAR_GAP}{BESIDE[0]}(?P<v>{token}){BESIDE[1]}"


def _check_rule(name: str, rule: Rule) -> None:
    if rule.fold not in FOLDS:
        raise ConfigError(f"{name}: fold {shown(rule.fold)} is unknown; one of {', '.join(map(repr, FOLDS))}")
    if rule.files not in FILES:
        raise ConfigError(f"{name}: files {shown(rule.files)} is unknown; one of {', '.join(map(repr, FILES))}")
    if rule.context not in CONTEXTS:
        raise ConfigError(f"{name}: context {shown(rule.context)} is unknown; one of {', '.join(map(repr, CONTEXTS))}")
    if rule.validator and rule.validator not in VALIDATORS:
        raise ConfigError(
            f"{name}: validator {shown(rule.validator)} is unknown; one of {', '.join(sorted(VALIDATORS))}"
        )
    if not 0 <= rule.confidence <= 1:
        raise ConfigError(f"{name}: confidence {rule.confidence} is not between 0 and 1")
    if rule.anchored and not rule.keywords:
        raise ConfigError(f"{name}: an anchored rule needs the keywords that its matches start with")


def _check_pattern(name: str, rule: Rule) -> None:
    trigger = rule.trigger
    if not re.sub(r"\{0\}|[()?:^]", "", trigger.expression):
        raise ConfigError(f"{name}: the pattern starts with a repeat that is too long to search for")
