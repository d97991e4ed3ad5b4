"""Tells workers which code submitted the pipeline, so that a worker with other code refuses in one line.

The driver's code travels as one of Beam's experiments, `codemill=CODE/BEAM/PYTHON`, since every runner hands those on
unchanged. A worker compares before it unpickles anything: other code may write other rows, and another Beam or Python
may read the pipeline wrongly.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from apache_beam.options.pipeline_options import DebugOptions, PipelineOptions
from apache_beam.version import __version__ as beam_version

from jobs.beam.version import code_version
from model.errors import ConfigError, one_line

_EXPERIMENT = "codemill"
_NAMES = ("codemill", "Beam", "Python")


def mark(options: PipelineOptions) -> None:
    """Has the pipeline's options say which code submits it."""
    options.view_as(DebugOptions).add_experiment(f"{_EXPERIMENT}={'/'.join(_own())}")


def check_same_code(options: Mapping[str, Any]) -> None:
    """Compares the submitter's code with ours; options without a mark pass.

    Args:
        options: The pipeline's options by name.

    Raises:
        ConfigError: They differ.
    """
    experiments = options.get("experiments") or []
    marks = [str(one).partition("=")[2] for one in experiments if str(one).startswith(f"{_EXPERIMENT}=")]
    if not marks:
        return
    theirs, ours = tuple(marks[-1].split("/")), _own()
    if theirs != ours:
        raise ConfigError(
            one_line(
                f"this worker has {_shown(ours)}, but the job was submitted with {_shown(theirs)}; install the same on "
                "all machines"
            )
        )


def _own() -> tuple[str, ...]:
    return code_version(), beam_version, "{}.{}".format(*sys.version_info)


def _shown(versions: tuple[str, ...]) -> str:
    return ", ".join(f"{name} {version}" for name, version in zip(_NAMES, versions, strict=False))
