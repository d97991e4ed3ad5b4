"""The job of `tests.jobs.uppercase` whose storage client pauses a twentieth as long before it repeats a request."""

from __future__ import annotations

import asyncio
import sys
from types import SimpleNamespace

import gcsfs.retry

from tests.jobs import uppercase

NAME = "tests.jobs.impatient"

gcsfs.retry.asyncio = SimpleNamespace(sleep=lambda seconds: asyncio.sleep(seconds / 20))
build_work, Options = uppercase.build_work, uppercase.Options

if __name__ == "__main__":
    uppercase.NAME = NAME  # workers make the job from this module
    sys.exit(uppercase.command_line(sys.argv[1:]))
