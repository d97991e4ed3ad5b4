"""Checks the imports: layers jobs -> transforms -> model, no cycles, and which modules may import Beam and JAX."""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = {"codemill": 3, "jobs": 2, "transforms": 1, "model": 0}
MODULES = sorted(path for layer in LAYERS for path in (ROOT / layer).rglob("*.py"))
AT_ONCE = {  # answer before Beam and JAX are there; a function may import them when it is called
    "jobs/catalog.py",
    "jobs/cli.py",
    "jobs/options/shared.py",
    "model/config.py",
    "model/engine/requests.py",
    "model/engine/options.py",
    "model/engine/settings.py",
    "model/errors.py",
    "model/settings.py",
    "model/tokenizer.py",
    "transforms/fim/settings.py",
    "transforms/tasks/settings.py",
}
# Modules that answer --help or a flag error quickly import the rest in functions; all others import at the top.
MAY_DEFER = {"jobs/cli.py", "jobs/options/command_line.py"}
MOST_MODULES_IN_A_FOLDER = 20
BRIDGE = "transforms/generation/engine.py"
JAX = {"jax", "jaxlib", "flax", "optax", "orbax"}

# The distribution of an import, if its name differs (except for - and _).
DISTRIBUTIONS = {
    "apache_beam": "apache-beam",
    "google": "protobuf",  # google.protobuf
    "grpc": "grpcio",
    "orbax": "orbax-checkpoint",
    "phonenumbers": "phonenumberslite",
    "stdnum": "python-stdnum",
    "yaml": "pyyaml",
}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def is_type_checking(test: ast.expr) -> bool:
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )


def is_optional(node: ast.AST) -> bool:
    """Whether the code continues if the import fails."""
    handled = {getattr(handler.type, "id", "") for handler in node.handlers} if isinstance(node, ast.Try) else set()
    return bool(handled & {"ImportError", "ModuleNotFoundError"})


def imports(source: str, *, top_only: bool = False, needed_only: bool = False) -> Iterator[str]:
    """Dotted names that a module imports when it runs; imports only for type checkers don't count.

    Args:
        source: The module's text.
        top_only: Leaves out what functions import when they are called.
        needed_only: Leaves out what the code can do without.
    """
    waiting: list[ast.AST] = [ast.parse(source)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            assert node.module is not None
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and is_type_checking(node.test):
            waiting += node.orelse
        elif needed_only and is_optional(node):
            continue
        elif not (top_only and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)):
            waiting += ast.iter_child_nodes(node)


@functools.cache
def imported_roots(path: Path, **which: bool) -> set[str]:
    return {name.split(".")[0] for name in imports(path.read_text(encoding="utf-8"), **which)}


def test_the_walk_sees_imports_in_functions_and_passes_over_those_for_type_checkers():
    source = (
        "import a.b\nfrom typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    import never\nelse:\n    import other\n"
        "def f():\n    from c import d\n"
        "try:\n    import maybe\nexcept ImportError:\n    maybe = None\n"
    )
    every = {"a.b", "typing", "typing.TYPE_CHECKING", "other", "c", "c.d", "maybe"}
    assert set(imports(source)) == every
    assert set(imports(source, top_only=True)) == every - {"c", "c.d"}
    assert set(imports(source, needed_only=True)) == every - {"maybe"}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_point_down(path):
    own = LAYERS[name_of(path).split("/")[0]]
    above = {root for root in imported_roots(path) if LAYERS.get(root, -1) > own}
    assert not above, f"{name_of(path)} imports {', '.join(sorted(above))} from a layer above it"
    assert not imported_roots(path) & {"tests", "benchmarks"}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_beam_and_jax_stay_where_they_belong(path):
    name, roots = name_of(path), imported_roots(path)
    if name.startswith("model/"):
        assert "apache_beam" not in roots and "pyarrow" not in roots, (
            f"{name}: the model knows neither Beam nor Parquet"
        )
    if name.startswith("transforms/") and name != BRIDGE:
        assert not roots & JAX, f"{name}: only {BRIDGE} knows JAX"
    if name in AT_ONCE:
        assert not imported_roots(path, top_only=True) & (JAX | {"apache_beam"}), f"{name} must answer at once"


def test_a_jobs_module_imports_neither_beam_nor_jax_at_its_top():
    from jobs.catalog import JOBS

    for name in JOBS:
        path = ROOT / "jobs" / f"{name}.py"
        roots = imported_roots(path, top_only=True)
        assert not roots & (JAX | {"apache_beam", "pyarrow", "numpy"}), f"{name_of(path)} must answer --help at once"


def dotted(path: Path) -> str:
    return name_of(path).removesuffix(".py").replace("/", ".").removesuffix(".__init__")


def imported_modules(source: str, known: set[str]) -> set[str]:
    """The modules of the project that a source imports: at its top, in functions, or only for type checkers."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            while name and name not in known:
                name = name.rpartition(".")[0]
            found.add(name)
    return found - {""}


def circles(arrows: dict[str, set[str]]) -> list[list[str]]:
    """Modules that import each other, directly or indirectly."""
    reached: dict[str, set[str]] = {}
    for start in arrows:
        seen, waiting = set(), list(arrows[start])
        while waiting:
            if (module := waiting.pop()) not in seen:
                seen.add(module)
                waiting += arrows.get(module, ())
        reached[start] = seen
    together = {frozenset({a, *(b for b in reached[a] if a in reached[b])}) for a in arrows if a in reached[a]}
    return sorted(map(sorted, together))


def test_the_walk_finds_circles_that_only_functions_or_type_checkers_close():
    known = {"a", "a.b", "c"}
    source = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from a import b\ndef f():\n    import c\n"
    assert imported_modules(source, known) == {"a.b", "c"}
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set()}) == [["a", "b", "c"]]


def test_no_modules_import_each_other_in_a_circle():
    known = {dotted(path) for path in MODULES}
    arrows = {dotted(path): imported_modules(path.read_text(encoding="utf-8"), known) for path in MODULES}
    assert circles({name: found - {name} for name, found in arrows.items()}) == []


def test_only_what_must_answer_in_a_moment_imports_inside_functions():
    from jobs.cli import JOBS

    allowed = MAY_DEFER | {f"jobs/{job}.py" for job in JOBS}
    for path in MODULES:
        if not name_of(path).startswith("jobs/") or name_of(path) in allowed:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        deferred = [
            node.lineno
            for function in ast.walk(tree)
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
            for node in ast.walk(function)
            if isinstance(node, ast.Import | ast.ImportFrom)
        ]
        assert not deferred, f"{name_of(path)} imports inside functions, lines {deferred}; move that to its top"


def test_no_folder_is_a_hall():
    from jobs.catalog import JOBS

    commands = {f"jobs/{job}.py" for job in JOBS}
    folders = [path.parent for path in MODULES if path.stem != "__init__" and name_of(path) not in commands]
    assert [name_of(folder) for folder in set(folders) if folders.count(folder) > MOST_MODULES_IN_A_FOLDER] == []


def test_there_is_no_utils_module():
    assert not [name_of(path) for path in MODULES if path.stem in ("utils", "util", "helpers", "misc")]


def required() -> set[str]:
    """The distributions that setup.py requires, as written there."""
    tree = ast.parse((ROOT / "setup.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "INSTALL_REQUIRES":
            return {line.split(">")[0].split("[")[0].lower() for line in ast.literal_eval(node.value)}
    raise AssertionError("setup.py has no INSTALL_REQUIRES")


def test_setup_asks_for_what_is_imported_and_for_nothing_else():
    roots = set().union(*(imported_roots(path, needed_only=True) for path in MODULES))
    roots -= {*LAYERS, *sys.stdlib_module_names}
    imported = {DISTRIBUTIONS.get(root, root).lower().replace("_", "-") for root in roots}
    # Loaded by name: fsspec opens gs:// with gcsfs.
    assert imported - required() == set(), "imported, and not in setup.py's INSTALL_REQUIRES"
    assert required() - imported == {"gcsfs"}, "in setup.py's INSTALL_REQUIRES, and imported nowhere"


def test_a_job_on_local_files_imports_no_client_of_buckets_no_beam_and_no_progress_bar():
    """They take longer to import than the rest of a driver together."""
    heavy = ["aiohttp", "apache_beam", "fsspec", "gcsfs", "jax", "rich"]
    program = (
        "import sys, jobs.driver.driver, jobs.execution.child_work, jobs.filter as job;"
        "job.build_work({**__import__('jobs.options').options.all_options(job.Options(input=('a',), output='b'))});"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"
