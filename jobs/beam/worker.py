"""`codemill beam-worker`: starts a Beam worker on a machine of a cluster; `jobs.beam.boot` does it.

Runners call it, people name it: `--environment_type=PROCESS --environment_config='{"command":
"/path/to/codemill-beam-worker"}'`. The program `codemill-beam-worker` is this command, as Beam wants a single word.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jobs.beam import boot
from jobs.options import OptionSet, option
from jobs.system.signals import raise_on_signals
from model.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Options(OptionSet):
    """Starts a Beam worker: the command that a runner calls on its machines for --environment_type=PROCESS."""

    id: str = option(help="Name that the runner gives this worker.", operational=True)
    provision_endpoint: str = option(help="Address of the runner's provision service.", operational=True)
    control_endpoint: str = option("", help="Address of the control service.", operational=True)
    logging_endpoint: str = option("", help="Address of the logging service.", operational=True)
    artifact_endpoint: str = option("", help="Not used: codemill is installed here.", operational=True)
    semi_persist_dir: str = option("", help="Not used: nothing is kept.", operational=True)


def run(options: Options, beam_args: Sequence[str] = ()) -> int:
    """Runs the worker until it ends; returns its exit code. Raises ConfigError."""
    if beam_args:
        raise ConfigError(f"beam-worker takes no options after --; got {' '.join(beam_args)}")
    raise_on_signals()
    return boot.run_worker(
        boot.Endpoints(
            worker_id=options.id.strip("'"),  # Prism quotes it
            provision=options.provision_endpoint,
            control=options.control_endpoint,
            logging=options.logging_endpoint,
        )
    )
