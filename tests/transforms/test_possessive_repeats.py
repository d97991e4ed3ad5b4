r"""Possessive repeats match alike before and after Python 3.11.5.

Before, such a repeat goes on from where its last, failed turn had come to (CPython issue 106052): `(?:ab?c)*+` takes
the `a` of "ab". Debian 12 has Python 3.11.2. A turn that can fail past its beginning needs `|(?!)` as its last
alternative.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from re import _constants as sre  # type: ignore[attr-defined]
from re import _parser as sre_parser  # type: ignore[attr-defined]
from typing import Any

import pytest

import transforms
from transforms.evaluation.programs import layouts
from transforms.fim import boilerplate
from transforms.languages import brackets, triviality
from transforms.languages.table import LANGUAGES
from transforms.scanning.rules import load_rules

SINGLE = (sre.LITERAL, sre.NOT_LITERAL, sre.IN, sre.ANY)


def patterns_of(value: Any) -> Iterator[re.Pattern]:
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from patterns_of(one)
    elif isinstance(value, tuple | list):
        for one in value:
            yield from patterns_of(one)


def all_patterns() -> Iterator[tuple[str, re.Pattern]]:
    for module in pkgutil.walk_packages(transforms.__path__, "transforms."):
        for name, value in vars(importlib.import_module(module.name)).items():
            yield from ((f"{module.name}.{name}", pattern) for pattern in patterns_of(value))
    for language in LANGUAGES:  # patterns that are made when a language first needs one
        for make in (brackets._pattern, boilerplate._pattern, lambda one: triviality._comments(one.comments, one.name)):
            yield from ((f"a pattern of {language.name}", pattern) for pattern in patterns_of(make(language)))
        yield f"layouts of {language.name}", layouts._hidden(language.name)
    for rule in load_rules().rules:
        yield f"the rule {rule.id}", re.compile(rule.pattern.encode())


def is_safe(body: Any) -> bool:
    """Whether a turn can't fail past its beginning, or tries an alternative last that fails at once."""
    items = list(body)
    if len(items) == 1 and items[0][0] is sre.SUBPATTERN:
        return is_safe(items[0][1][3])
    if len(items) == 1 and items[0][0] is sre.BRANCH:
        return str(list(items[0][1][1][-1])) == str(list(sre_parser.parse("(?!)")))
    if items and items[-1][0] is sre.POSSESSIVE_REPEAT and items[-1][1][0] == 0:
        items.pop()  # never fails
    return all(kind in SINGLE for kind, _ in items)


def unsafe_repeats(parsed: Any) -> Iterator[Any]:
    """Yields the bodies of possessive repeats, at any depth, that older Pythons match wrongly."""
    for kind, value in parsed:
        if kind is sre.POSSESSIVE_REPEAT and not is_safe(value[2]):
            yield value[2]
        for part in value if isinstance(value, tuple) else ():
            parts = part if isinstance(part, list) else [part]
            for one in parts:
                if isinstance(one, sre_parser.SubPattern):
                    yield from unsafe_repeats(one)


def unsafe(pattern: str | bytes, flags: int = 0) -> list[Any]:
    return list(unsafe_repeats(sre_parser.parse(pattern, flags & ~re.UNICODE)))


@pytest.mark.parametrize("pattern", [r"(?:ab?c)*+", r"x(?:y(?:a(?!b)|c)++)?", r"(?:(?!a)b)*+", r"(?:(?!a)b|c){2,9}+"])
def test_a_turn_that_can_fail_half_way_is_noticed(pattern):
    assert unsafe(pattern)


@pytest.mark.parametrize("pattern", [r"[ab]*+", r"(?:\\.[^x]*+)*+", r"(?:ab?c|(?!))*+", r"(?:(?!a)b|(?!))*+"])
def test_a_turn_that_can_not_is_not(pattern):
    assert not unsafe(pattern)


def test_every_possessive_repeat_is_safe_on_older_pythons():
    found = [(name, pattern) for name, pattern in all_patterns() if re.search(rb"[*+?}]\+", as_bytes(pattern.pattern))]
    assert len(found) > 5
    assert [name for name, pattern in found if unsafe(pattern.pattern, pattern.flags)] == []


def as_bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()
