"""Completes Beam's flags for Dataflow: what a job always needs there, and what an accelerator asks for.

    --accelerator v5e-4 -- --project P --region R --temp_location gs://B/tmp --sdk_container_image I
                             |
    + runner, machine type, service option, one harness a machine, threads, disk

A flag that the user gave stays as it is; where it contradicts the accelerator, the command is refused. One harness a
machine (`no_use_multiple_sdk_containers`) is no preference: it has worker processes of its own, as many as the machine
has cores, and a TPU belongs to one process. By default Dataflow starts a harness per core.

Doesn't import Beam, so that a mistake is found before that takes its second.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Sequence
from typing import Any, Final, NoReturn

from jobs.beam.accelerators import Accelerator
from jobs.options.fields import OptionSet, fields_of
from jobs.plan.needs import OF_ONE_MACHINE
from model.errors import ConfigError, one_line

RUNNER: Final = "DataflowRunner"
ONE_HARNESS: Final = "no_use_multiple_sdk_containers"
# Without it Beam uploads the path of this Python and the list of its packages: local paths, and a second or more.
_NO_PACKAGE_LIST: Final = "disable_logging_submission_environment"
_HARNESS_PER_CORE: Final = "use_multiple_sdk_containers"

# Of jobs without a model: eight cores and 32 GB, more than the processes of `jobs.execution.processes` need.
PLAIN_MACHINE: Final = "n2-standard-8"
# Threads of a harness only wait for the units of their bundles. Two for each worker process, so that the next unit is
# there when one is done; of a job with a model as many as it has units in flight.
_THREADS_PER_CORE, _MODEL_THREADS = 2, 4
# The image, and what jobs without a model keep on disk while they group; with a model also what JAX brings along.
_PLAIN_DISK_GB, _MODEL_DISK_GB = 100, 200

_REQUIRED: Final = {"project": "--project", "region": "--region", "temp_location": "--temp_location gs://BUCKET/FOLDER"}


class _FlagParser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"Beam's flags after --: {message}")


def _parser() -> argparse.ArgumentParser:
    """The flags of Beam that matter here, under all their names."""
    parser = _FlagParser(allow_abbrev=False, add_help=False)
    parser.add_argument("--runner")
    parser.add_argument("--project")
    parser.add_argument("--region")
    parser.add_argument("--temp_location")
    parser.add_argument("--staging_location")
    parser.add_argument("--worker_machine_type", "--machine_type", dest="machine_type")
    parser.add_argument("--sdk_container_image", "--worker_harness_container_image", dest="image")
    parser.add_argument("--sdk_location")
    parser.add_argument("--setup_file")
    parser.add_argument("--extra_package", "--extra_packages", dest="packages", action="append")
    parser.add_argument("--prebuild_sdk_container_engine", dest="prebuilt")
    parser.add_argument("--number_of_worker_harness_threads", dest="threads")
    parser.add_argument("--worker_disk_size_gb", "--disk_size_gb", dest="disk")
    parser.add_argument("--experiment", "--experiments", dest="experiments", action="append", default=[])
    parser.add_argument(
        "--dataflow_service_option", "--dataflow_service_options", dest="service", action="append", default=[]
    )
    return parser


def _given(beam_args: Sequence[str]) -> Any:
    given = _parser().parse_known_args(list(beam_args))[0]
    for name in ("experiments", "service"):
        setattr(given, name, [part for value in getattr(given, name) for part in value.split(",")])
    return given


def is_dataflow(beam_args: Sequence[str]) -> bool:
    """Whether Beam's flags name Dataflow as the runner, in any of the forms that Beam takes."""
    runner = _given(beam_args).runner or ""
    return runner.rpartition(".")[2].lower() in ("dataflow", RUNNER.lower())


def on_accelerator(accelerator: Accelerator, beam_args: Sequence[str]) -> list[str]:
    """Returns Beam's flags for a job with a model on Dataflow machines that have this accelerator.

    Raises:
        ConfigError: A flag contradicts it, or one that only the user can know is missing.
    """
    given = _given(beam_args)
    if given.runner is not None and not is_dataflow(beam_args):
        raise ConfigError(
            f"--accelerator {accelerator.name} is for Dataflow, but --runner after -- is {one_line(given.runner)}; "
            "leave one of the two out"
        )
    _refuse_contradictions(accelerator, given)
    if given.image is None:
        raise ConfigError(
            f"--accelerator {accelerator.name} needs --sdk_container_image IMAGE after --, an image with jax[tpu]: "
            "docs/clusters.md says how it is built"
        )
    added = [] if given.runner else [f"--runner={RUNNER}"]
    added += [] if given.machine_type else [f"--worker_machine_type={accelerator.machine_type}"]
    if accelerator.service_option not in given.service:
        added.append(f"--dataflow_service_options={accelerator.service_option}")
    added += [] if given.threads else [f"--number_of_worker_harness_threads={_MODEL_THREADS}"]
    added += [] if given.disk else [f"--disk_size_gb={_MODEL_DISK_GB}"]
    return completed([*beam_args, *added])


def _refuse_contradictions(accelerator: Accelerator, given: Any) -> None:
    asked = [f"--worker_machine_type {given.machine_type}"] if given.machine_type else []
    asked += [f"--dataflow_service_options {one}" for one in given.service if one.startswith("worker_accelerator=")]
    asked += [f"--experiments {one}" for one in given.experiments if one.startswith("worker_accelerator=")]
    meant = (accelerator.machine_type, accelerator.service_option)
    for flag in asked:
        if not flag.endswith(meant):
            raise ConfigError(
                f"--accelerator {accelerator.name} means machine type {accelerator.machine_type} and "
                f"{accelerator.service_option}, but the flags after -- have {one_line(flag)}; leave one of the two out"
            )


def completed(beam_args: Sequence[str]) -> list[str]:
    """Returns Beam's flags with what every job needs on Dataflow; they name that runner.

    Raises:
        ConfigError: Flags that only the user can know are missing, or the job would not work on Dataflow.
    """
    given = _given(beam_args)
    _refuse_incomplete(given)
    machine = given.machine_type or PLAIN_MACHINE
    added = [] if given.machine_type else [f"--worker_machine_type={machine}"]
    added += [f"--experiments={one}" for one in (ONE_HARNESS, _NO_PACKAGE_LIST) if one not in given.experiments]
    added += [] if given.threads else [f"--number_of_worker_harness_threads={_threads(machine)}"]
    added += [] if given.disk else [f"--disk_size_gb={_PLAIN_DISK_GB}"]
    # The image has Beam: else the submission would upload a copy.
    added += ["--sdk_location=container"] if given.image and not given.sdk_location else []
    return [*beam_args, *added]


def _refuse_incomplete(given: Any) -> None:
    missing = [flag for name, flag in _REQUIRED.items() if not getattr(given, name)]
    if missing:
        raise ConfigError(f"Dataflow needs {', '.join(missing)} after --")
    for flag in ("temp_location", "staging_location"):
        if (value := getattr(given, flag)) and not value.startswith("gs://"):
            raise ConfigError(f"--{flag} after -- is {one_line(value)}; Dataflow needs a gs:// URL")
    if not (given.image or given.setup_file or given.packages or given.prebuilt):
        raise ConfigError(
            "Dataflow's workers need codemill: pass --sdk_container_image IMAGE after -- (docs/clusters.md says how "
            "it is built), or --setup_file ./setup.py in a checkout"
        )
    if _HARNESS_PER_CORE in given.experiments:
        raise ConfigError(
            f"--experiments {_HARNESS_PER_CORE} after -- starts a harness per core, but each of them has worker "
            "processes for all cores; leave it out"
        )


def _threads(machine: str) -> int:
    """Threads of the harness on a machine, by the number of cores at the end of its type's name."""
    cores = re.search(r"-(\d+)(?:-\d+)?$", machine)  # custom types end in cores and megabytes
    return _THREADS_PER_CORE * (int(cores[1]) if cores else 16)


def check_paths(options: OptionSet) -> None:
    """Checks that Dataflow's workers can see what the options name.

    Raises:
        ConfigError: An input or output is not in a bucket, or another option names a local file or folder.
    """
    for field in fields_of(type(options)):
        if not field.is_path or field.name in OF_ONE_MACHINE:
            continue
        value = getattr(options, field.name)
        for path in value if isinstance(value, tuple) else (value,) if value else ():
            if "://" in path and not path.startswith("file://"):
                continue
            if field.name in ("input", "output") or os.path.exists(path.removeprefix("file://")):
                raise ConfigError(
                    f"{field.flag} is {one_line(path)}, which Dataflow's workers can't see; copy it to a bucket and "
                    "pass its gs:// URL"
                )
