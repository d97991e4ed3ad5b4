"""Where the command starts, as `codemill infill ...` or `python -m jobs infill ...`.

From the first line on, a signal ends the process with one line, so importing this module changes how it takes signals.
"""

import _signal  # type: ignore[import-not-found]  # the part of `signal` in C, which needs no further imports

_before = _signal.pthread_sigmask(_signal.SIG_BLOCK, (_signal.SIGINT, _signal.SIGTERM))

from jobs.system.signals import end_at_once  # noqa: E402

end_at_once()
_signal.pthread_sigmask(_signal.SIG_SETMASK, _before)  # one that came meanwhile takes effect now

import sys  # noqa: E402

from jobs.system.allocator import choose_allocator  # noqa: E402
from jobs.system.leaving import leave_at_exit, leave_with  # noqa: E402

leave_at_exit()
if sys.platform == "linux":
    choose_allocator()  # before Arrow is imported

from jobs import cli  # noqa: E402


def main() -> int:
    """The program `codemill`."""
    return leave_with(cli.main())


def beam_worker() -> int:
    """The program `codemill-beam-worker`: `codemill beam-worker`, for runners that take a command of one word."""
    return leave_with(cli.main(["beam-worker", *sys.argv[1:]]))


if __name__ == "__main__":
    raise SystemExit(main())
