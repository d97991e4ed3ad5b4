"""`codemill pipeline FILE.yaml`: several jobs in order, each reading what earlier ones wrote.

    codemill pipeline nightly.yaml --dry_run
    codemill pipeline nightly.yaml
    codemill pipeline nightly.yaml --from_step unique

Each step is an ordinary job with an output of its own (`jobs.pipelines.steps` reads the file), unless it is fused with
the step that reads it (`jobs.pipelines.fusing`). The same command again resumes: a complete step says so and costs a
moment, one that was interrupted goes on. A step that ends with an error, a yield that is too low or a signal ends the
pipeline; damaged input and news of the input (exit codes 3 and 4) don't, and are the pipeline's exit code at the end.
"""

from __future__ import annotations

import sys
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from jobs.options import OptionSet, option
from model.errors import ConfigError

if TYPE_CHECKING:
    from jobs.pipelines.steps import Step


@dataclass(frozen=True, kw_only=True)
class Options(OptionSet):
    """Run the jobs of a pipeline's file in order, or resume it."""

    file: str = option(
        help="The pipeline's file, in YAML: examples/pipeline.yaml.",
        positional=True,
        operational=True,
        metavar="FILE",
        is_path=True,
    )
    output: str | None = option(
        None, help="Folder for all steps' outputs; default: the file's.", operational=True, metavar="DIR", is_path=True
    )
    from_step: str | None = option(None, help="Leave out the steps before this one.", operational=True, metavar="STEP")
    only: tuple[str, ...] = option((), help="Run only these steps.", operational=True, metavar="STEP")
    grow: bool = option(
        False,
        help="Let every step that can grow take in what is new in its input (docs/growing.md).",
        operational=True,
    )
    run_id: str | None = option(
        None,
        help="Name of this run of the pipeline, which every step gets: in its log, summary, metrics and lineage "
        "events; default: a new UUID.",
        operational=True,
        metavar="ID",
    )
    log_format: Literal["text", "json"] | None = option(
        None,
        help="json: print one JSON object a line to standard error, also for every step; default: as the steps say.",
        choices=("text", "json"),
        operational=True,
    )
    dry_run: bool = option(
        False,
        help="Print the steps and their state, and the plan of each whose input is there already, then exit.",
        operational=True,
    )


def run(options: Options, beam_args: Sequence[str]) -> int:
    """Runs the steps; returns the exit code. Raises ConfigError."""
    from jobs.pipelines.fusing import fuse
    from jobs.pipelines.running import log_of, run_steps, show_steps
    from jobs.pipelines.steps import growing, read_steps, told_alike

    if beam_args:
        raise ConfigError(f"a pipeline runs on this machine, so nothing can follow --; got {' '.join(beam_args)}")
    steps = fuse(read_steps(options.file, options.output))
    if options.grow:
        steps = growing(steps)
    run_id = options.run_id or str(uuid.uuid4())
    steps = told_alike(steps, run_id=run_id, log_format=options.log_format, is_named=options.run_id is not None)
    chosen = _chosen(steps, options)
    with log_of(chosen, run_id):
        return show_steps(steps, chosen) if options.dry_run else run_steps(steps, chosen)


def _chosen(steps: Sequence[Step], options: Options) -> list[Step]:
    names = [step.name for step in steps]
    asked = [*options.only, *([] if options.from_step is None else [options.from_step])]
    if unknown := [name for name in asked if name not in names]:
        raise ConfigError(f"no step is called {unknown[0]}; the steps are {', '.join(names)}")
    if fused := [step for step in steps if step.is_fused and step.name in options.only]:
        raise ConfigError(f"step {fused[0].name} runs inside step {fused[0].fused_with}; pass --only that")
    first = 0 if options.from_step is None else names.index(options.from_step)
    return [step for step in steps[first:] if not step.is_fused and (not options.only or step.name in options.only)]


if __name__ == "__main__":
    from jobs.cli import main

    sys.exit(main(["pipeline", *sys.argv[1:]]))
