"""Brings Python code and the tests for it together, so that `transforms.evaluation` can run them.

Tests import what they test: by the module's name, which follows from the file's path, or by a name that a model made
up, since a function alone doesn't say where it stands. All of these lead to the code. Test classes that aren't of
unittest are run as pytest would.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

from transforms.verification.python_context import is_standard, python_tree

_PRELUDE: Final = (Path(__file__).parent / "python_prelude.py").read_text(encoding="utf-8")
# Instances are made for each test, as pytest does.
_CLASSES: Final = """

def _run_plain_classes(found):
    import unittest
    for one in found:
        if isinstance(one, type) and not issubclass(one, unittest.TestCase):
            for name in sorted(vars(one)):
                if name.startswith("test") and callable(vars(one)[name]):
                    case = one()
                    getattr(case, "setup_method", lambda: None)()
                    getattr(case, name)()


_run_plain_classes([{names}])
"""


def importable(code: str, tests: str, *, path: str, name: str) -> str:
    """The code with what makes it importable by its tests behind it.

    Args:
        code: The module under test.
        tests: Its tests.
        path: The file's path, or "".
        name: The definition that is tested, by its qualified name, or "".
    """
    names = [*module_names(path), *_made_up_names(tests, name)]
    text = f"NAMES = {sorted(dict.fromkeys(names))!r}\n{_PRELUDE}"
    return f"{code}\n\nexec(compile({text!r}, 'prelude.py', 'exec'), {{'__name__': 'prelude'}})\n"


def runnable(tests: str) -> str:
    """The tests as one statement, with what runs their plain classes behind it.

    So they begin with their own `from __future__`, and whoever reads them for imports of what isn't there
    (`transforms.evaluation`) doesn't stumble over the modules that `importable` makes.
    """
    tree = python_tree(tests)
    names = [one.name for one in tree.body if isinstance(one, ast.ClassDef)] if tree is not None else []
    names = [name for name in names if name.startswith("Test")]
    whole = f"exec(compile({tests!r}, 'test.py', 'exec'))\n"
    return whole + _CLASSES.replace("{names}", ", ".join(names)) if names else whole


def module_names(path: str) -> list[str]:
    """The names by which a file may be imported, from the shortest on.

    >>> module_names("src/shapes/area.py")
    ['area', 'shapes.area', 'src.shapes.area']
    """
    parts = list(PurePosixPath(path).with_suffix("").parts) if path.endswith(".py") else []
    if parts[-1:] == ["__init__"]:
        parts.pop()
    names = [".".join(parts[start:]) for start in range(len(parts) - 1, -1, -1)]
    return [name for name in names if all(part.isidentifier() for part in name.split("."))]


def _made_up_names(tests: str, name: str) -> Iterator[str]:
    """The modules from which tests import the definition, or one that it stands in."""
    tree = python_tree(tests)
    parts = name.split(".")
    for node in ast.walk(tree) if tree is not None and name else ():
        if not isinstance(node, ast.ImportFrom) or not node.module or node.level:
            continue
        if not is_standard(node.module.partition(".")[0]) and any(alias.name in parts for alias in node.names):
            yield node.module
