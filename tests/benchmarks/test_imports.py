"""Benchmarks import what they measure, so that a move of it is noticed here and not months later."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.py")))
def test_a_benchmark_can_be_imported(name):
    try:
        importlib.import_module(f"benchmarks.{name}")
    except ModuleNotFoundError as error:
        if error.name in ("wordfreq",):  # needed only to make the letter tables anew
            pytest.skip(f"{error.name} is not installed")
        raise
