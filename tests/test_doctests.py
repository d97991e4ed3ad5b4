"""The examples in docstrings are run: a wrong one misleads the next reader."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NAMES = sorted(
    path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")
    for layer in ("jobs", "transforms", "model")
    for path in (ROOT / layer).rglob("*.py")
    if ">>>" in path.read_text(encoding="utf-8")
)


def test_some_modules_have_examples():
    assert len(NAMES) > 20


@pytest.mark.parametrize("name", NAMES)
def test_a_modules_examples_are_true(name):
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0
