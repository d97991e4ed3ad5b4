"""Starts a Beam worker on a machine of a cluster, without a container: what `--environment_type=PROCESS` calls.

    the runner, such as a Flink TaskManager
      └─ codemill beam-worker --id=1-1 --provision_endpoint=localhost:40001 ...
           └─ jobs.beam.harness: asks the provision service for the pipeline's options, then runs Beam's harness

Nothing is staged, as codemill is installed on the machine. What the harness prints goes to standard error (some
runners never read standard output, which would fill up). A harness that dies is told to the runner's log at once, with
its last lines. The processes end with each other: the harness by a signal of the kernel when we die, we when the
process that started us has ended. That is watched by a descriptor, since the kernel's signal is sent when the *thread*
that started us ends, and runners start workers in short-lived threads.

This process imports no Beam, which takes a second: each pipeline starts new workers.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import IO

from jobs.system.child_process import ending_of, own_environment
from jobs.terminal.escapes import print_line, visible

REFUSED = 2  # the harness has said why it doesn't start
_HARNESS = "jobs.beam.harness"
_GRACE_S = 5.0  # between SIGTERM and SIGKILL
_LAST_LINES = 5
_POLL_S = 1.0  # where there are no process descriptors


@dataclass(frozen=True)
class Endpoints:
    """What the runner calls us with.

    Args:
        worker_id: The runner's name of this worker.
        provision: Address of the provision service.
        control, logging: Addresses that hold if the provision service names none.
        folder: An empty folder of this worker.
    """

    worker_id: str
    provision: str
    control: str = ""
    logging: str = ""
    folder: str = ""


def run_worker(endpoints: Endpoints) -> int:
    """Runs a harness until it ends, or whoever started us has; returns the exit code.

    Raises:
        KeyboardInterrupt: A signal ended us, and the harness has ended (`jobs.system.signals.Terminated`).
    """
    parent = os.getppid()
    with tempfile.TemporaryDirectory(prefix="codemill-harness-") as folder:
        harness = _Harness(replace(endpoints, folder=folder))
        try:
            code = harness.wait(parent)
        except KeyboardInterrupt:
            harness.end(signal.SIGTERM)
            raise
        if code is None:
            harness.end(signal.SIGKILL)
            return 1  # nobody is left to be told
    if code not in (0, REFUSED):
        said = f"codemill beam-worker: the harness of worker {endpoints.worker_id} ended: {ending_of(code)}"
        print_line(said, sys.stderr)
        last = f"; its last lines: {harness.last_words}" if harness.last_words else ""
        importlib.import_module("jobs.beam.provision").tell(endpoints, f"{said}{last}")
    return code if code >= 0 else 128 - code


class _Harness:
    """The harness's process. Not thread-safe."""

    def __init__(self, endpoints: Endpoints):
        self._process = subprocess.Popen(
            # -P: the harness imports the same code as we do, whatever is in the current folder.
            [sys.executable, "-P", "-m", _HARNESS, str(os.getpid()), json.dumps(asdict(endpoints))],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=own_environment(),
            process_group=0,  # so that what the harness starts ends with it
        )
        self._printed: deque[str] = deque(maxlen=_LAST_LINES)
        assert self._process.stdout is not None
        self._echo = threading.Thread(target=self._pass_on, args=(self._process.stdout,), daemon=True)
        self._echo.start()

    @property
    def last_words(self) -> str:
        """The last lines that the harness printed, as one."""
        return " | ".join(filter(None, (line.strip() for line in self._printed)))

    def wait(self, parent: int) -> int | None:
        """Waits for the harness to end; returns its exit code, or None if the process `parent` ended before."""
        with _ended(self._process.pid, parent) as ended:
            while self._process.poll() is None:
                if os.getppid() != parent:
                    return None
                ended.poll(_POLL_S * 1000)
        self._end_group()
        self._echo.join(timeout=_GRACE_S)
        return self._process.returncode

    def end(self, first: signal.Signals) -> None:
        """Ends the harness and all that it has started: by the signal `first`, and SIGKILL a while later."""
        self._process.send_signal(first)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE_S)
        self._end_group()
        self._process.wait()

    def _end_group(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _pass_on(self, output: IO[bytes]) -> None:
        for line in output:
            # What libraries print may quote names and texts from data.
            text = visible(line.decode("utf-8", "replace"))
            self._printed.append(text)
            print_line(text.rstrip("\n"), sys.stderr)


@contextlib.contextmanager
def _ended(*pids: int) -> Iterator[select.poll]:
    """A poll object that wakes up when one of the processes has ended; at least a time-out does so elsewhere."""
    poll = select.poll()
    with contextlib.ExitStack() as stack:
        for pid in pids:
            with contextlib.suppress(AttributeError, OSError):  # no such call here, or no such process any more
                descriptor = os.pidfd_open(pid)
                stack.callback(os.close, descriptor)
                poll.register(descriptor, select.POLLIN)
        yield poll
