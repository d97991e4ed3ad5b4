"""The jobs: one line here and one module each.

    codemill NAME ...    is the module jobs.NAME, which has
        Options          its options, an `OptionSet`
        run              run(options, beam_args) -> exit code
        layout           layout() -> how `codemill inspect` shows its rows; only where they have a look of their own

README, help and `inspect` follow from the list. Imports no job: a name is looked up when it is asked for.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jobs.options import OptionSet

JOBS: dict[str, str] = {
    "corpus": "folders, git work trees and archives -> a corpus in Parquet",
    "infill": "a corpus -> middles that a model filled in, judged, with their lineage",
    "docstring": "a corpus -> documentation that a model wrote, verified against the code",
    "generate": "a corpus or instructions -> code that a model wrote, verified",
    "annotate": "a corpus -> answers to a question of your own, checked",
    "pack": "a corpus -> rows of training data: FIM, files of a repository in order of dependencies",
    "train": "a corpus or packed rows -> a model trained to fill in the middle",
    "filter": "a corpus -> without secrets, personal data, unfit files, benchmark items",
    "dedup": "a corpus -> one file of each cluster of exact and near duplicates",
    "index": "a corpus -> an index of its text, which tells what a model copied word for word",
    "estimate": "what generating over a corpus needs at least, by device: hours, cost",
    "inspect": "show rows of a dataset in the terminal",
}


def module_of(job: str) -> ModuleType:
    """A job's module; a name with a dot is a module's own, for jobs that aren't in the list."""
    return importlib.import_module(job if "." in job else f"jobs.{job}")


def options_of(job: str) -> type[OptionSet]:
    """The class of a job's options."""
    options: type[OptionSet] = module_of(job).Options
    return options


def layouts() -> list[Any]:
    """How rows of those jobs look that say so: `jobs.terminal.layout.Layout` of each."""
    return [module.layout() for module in map(module_of, JOBS) if hasattr(module, "layout")]
