"""The constraints name a version for every requirement of setup.py, one that its range allows."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LINES = [line for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines() if line[:1] not in "#"]
PINNED = {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in LINES)}


def requirements() -> list[str]:
    tree = ast.parse((ROOT / "setup.py").read_text(encoding="utf-8"))
    lists = [node.value for node in tree.body if isinstance(node, ast.Assign) and isinstance(node.value, ast.List)]
    return [requirement for one in lists for requirement in ast.literal_eval(one)]


@pytest.mark.parametrize("text", requirements())
def test_a_requirement_is_constrained_to_a_version_of_its_range(text):
    requirement = Requirement(text)
    assert PINNED[canonicalize_name(requirement.name)] in requirement.specifier


def test_every_line_names_one_version_and_no_place_of_this_machine():
    assert len(PINNED) == len(LINES) > 100
    assert all(version and not set(version) & set("/@ ;") for version in PINNED.values())
    assert sorted(LINES, key=lambda line: line.partition("==")[0].lower()) == LINES


def test_setup_and_image_install_with_them():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    installing = [line for line in makefile.splitlines() if "pip install" in line]
    assert installing and all("--constraint constraints.txt" in line for line in installing)


def test_development_installs_the_extras_without_which_tests_are_skipped():
    tree = ast.parse((ROOT / "setup.py").read_text(encoding="utf-8"))
    (extras,) = (
        node.value for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg == "extras_require"
    )
    (dev,) = (value for key, value in zip(extras.keys, extras.values, strict=True) if key.value == "dev")
    assert "MATH_REQUIRES" in {node.id for node in ast.walk(dev) if isinstance(node, ast.Name)}
