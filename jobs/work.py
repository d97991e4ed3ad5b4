"""`codemill work OUTPUT`: helps with a job that a driver has planned, until none of its units is left.

    codemill filter --input corpus/data --output gs://bucket/clean --run_units elsewhere        the driver
    codemill work gs://bucket/clean                                     on any number of hosts, at any time

`jobs.sharing` joins the job and claims units. The driver waits for them, and finalizes the output.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from jobs.options.work import WorkOptions as Options
from model.errors import ConfigError


def run(options: Options, beam_args: Sequence[str] = ()) -> int:
    """Runs units until none is left; returns the exit code."""
    import os

    from jobs import storage
    from jobs.errors import ReportedBug
    from jobs.options.shared import HostOptions
    from jobs.sharing.joining import run_claimed_units
    from jobs.storage.folders import OutputFolder
    from jobs.system.exit_codes import BUG, DONE
    from jobs.system.signals import how_it_ended, signals_raised
    from jobs.terminal.escapes import print_line
    from transforms.spool import scratch_for_process

    if beam_args:
        raise ConfigError(f"work does not use Beam and takes no options after --; got {' '.join(beam_args)}")

    def say(line: str) -> None:
        print_line(f"codemill work: {line}", sys.stderr)

    path = options.output
    path = os.path.abspath(path.removeprefix("file://")) if storage.is_local(path) else path.rstrip("/")
    changes = options.values_of(HostOptions)
    try:
        with signals_raised(), scratch_for_process():
            run_claimed_units(
                OutputFolder(path),
                name=options.name,
                changes=changes,
                wait_s=options.wait_s,
                stay=options.stay,
                say=say,
            )
        say(f"no unit of {path} is left")
        return DONE
    except KeyboardInterrupt as interrupt:
        how, code = how_it_ended(interrupt)
        say(f"{how}; committed work is kept, and others take over the rest")
        return code
    except ReportedBug as error:
        say(f"{error.headline}: {error}")
        return BUG
    except Exception as error:
        if not storage.is_unanswered(error):
            raise
        raise ConfigError(storage.unanswered_line(error)) from error
