"""Beam's harness as a child of `jobs.beam.boot`: `python -m jobs.beam.harness PARENT_PID`; it dies with its parent."""

from __future__ import annotations

import sys

from jobs.child_process import die_with

if __name__ == "__main__":
    die_with(int(sys.argv[1]))

# A second of imports, in which the parent may die already.
from apache_beam.runners.worker import sdk_worker_main

from jobs.beam.log import quiet_beam

if __name__ == "__main__":
    quiet_beam()
    sdk_worker_main.main(sys.argv)
