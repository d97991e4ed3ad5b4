"""Messages name a flag only in the layer that ensures that the command has this flag."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.catalog import JOBS, options_of
from jobs.options import GenerationOptions

ROOT = Path(__file__).parents[1]
# Separate command lines, for developers.
TOOLS = {"model/estimates/aot.py", "model/estimates/report.py", "model/estimates/training_aot.py"}
MODEL = sorted(path for path in (ROOT / "model").rglob("*.py") if path.relative_to(ROOT).as_posix() not in TOOLS)
TASKS = sorted((ROOT / "transforms" / "tasks").glob("*.py"))


def named_flags(path: Path) -> Iterator[str]:
    """The flags in a module's strings, except its docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told:
            yield from re.findall(r"(?<![\w-])--([a-z_]{3,})", node.value)


@pytest.mark.parametrize("path", MODEL, ids=lambda path: path.name)
def test_the_model_layer_names_no_flag(path):
    assert not list(named_flags(path))


@pytest.mark.parametrize("path", TASKS, ids=lambda path: path.name)
def test_a_task_names_only_flags_of_its_own_job_and_what_tasks_share_those_of_every_one(path):
    generating = {name: options_of(name) for name in JOBS if issubclass(options_of(name), GenerationOptions)}
    name = "annotate" if path.stem in ("task_file", "own") else path.stem
    jobs = [name] if name in generating else [] if path.stem == "settings" else list(generating)
    for flag in named_flags(path):
        for job in jobs:
            assert flag in generating[job].__dataclass_fields__, f"{path.name}: codemill {job} has no --{flag}"
