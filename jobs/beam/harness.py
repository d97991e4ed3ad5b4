"""Beam's harness as a child of `jobs.beam.boot`: `python -m jobs.beam.harness PARENT_PID ENDPOINTS`.

It dies with its parent. The endpoints are the fields of `jobs.beam.boot.Endpoints`, as JSON.
"""

from __future__ import annotations

import sys

from jobs.system.child_process import die_with

if __name__ == "__main__":
    die_with(int(sys.argv[1]))

# A second of imports, in which the parent may die already.
import json

from apache_beam.runners.worker import sdk_worker_main

from jobs.beam.boot import REFUSED, Endpoints
from jobs.beam.log import quiet_beam
from jobs.beam.provision import prepare
from jobs.terminal.escapes import print_line
from model.errors import ConfigError


def main(endpoints: Endpoints) -> None:
    """Runs until the runner needs no more of it."""
    quiet_beam()
    try:
        prepare(endpoints)
    except ConfigError as error:
        print_line(f"codemill beam-worker: error: {error}", sys.stderr)
        sys.exit(REFUSED)
    sdk_worker_main.main([])


if __name__ == "__main__":
    main(Endpoints(**json.loads(sys.argv[2])))
