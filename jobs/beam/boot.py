"""Starts a Beam worker on a machine of a cluster, without a container: what `--environment_type=PROCESS` calls.

    the runner, such as a Flink TaskManager
      └─ codemill beam-worker --id=1-1 --provision_endpoint=localhost:40001 ...
           asks the provision service for the pipeline's options, sets environment variables
           └─ jobs.beam.harness: Beam's harness, which runs the bundles

Nothing is staged, as codemill is installed on the machine. What the harness prints goes to standard error (some
runners never read standard output, which would fill up). A harness that dies is told to the runner's log at once, with
its last lines. The processes end with each other: the harness by a signal of the kernel when we die, we when the
process that started us has ended. That is watched by a descriptor, since the kernel's signal is sent when the *thread*
that started us ends, and runners start workers in short-lived threads.

Beam's container contract: https://s.apache.org/beam-fn-api-container-contract
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO

import grpc
from apache_beam.portability.api import (
    beam_fn_api_pb2,
    beam_fn_api_pb2_grpc,
    beam_provision_api_pb2,
    beam_provision_api_pb2_grpc,
    endpoints_pb2,
)
from google.protobuf import json_format, text_format

from jobs.child_process import ending_of, own_environment
from jobs.escapes import print_line, visible
from model.errors import ConfigError, one_line

_HARNESS = "jobs.beam.harness"
_ANSWER_S = 30.0  # for the provision service
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
    """

    worker_id: str
    provision: str
    control: str = ""
    logging: str = ""


def run_worker(endpoints: Endpoints) -> int:
    """Runs a harness until it ends, or whoever started us has; returns the exit code.

    Raises:
        ConfigError: The provision service doesn't answer.
        KeyboardInterrupt: A signal ended us, and the harness has ended (`jobs.signals.Terminated`).
    """
    parent = os.getppid()
    info = _provision(endpoints)
    logging_url = info.logging_endpoint.url or endpoints.logging
    with tempfile.TemporaryDirectory(prefix="codemill-harness-") as folder:
        harness = _Harness(harness_environment(endpoints, info, folder))
        try:
            code = harness.wait(parent)
        except KeyboardInterrupt:
            harness.end(signal.SIGTERM)
            raise
        if code is None:
            harness.end(signal.SIGKILL)
            return 1  # nobody is left to be told
    if code != 0:
        said = f"the harness of worker {endpoints.worker_id} ended: {ending_of(code)}"
        last = f"; its last lines: {harness.last_words}" if harness.last_words else ""
        print_line(f"codemill beam-worker: {said}", sys.stderr)
        _tell(logging_url, endpoints.worker_id, f"{said}{last}")
    return code if code >= 0 else 128 - code


# --- the provision service ----------------------------------------------------------------------------


def _provision(endpoints: Endpoints) -> beam_provision_api_pb2.ProvisionInfo:
    with grpc.insecure_channel(endpoints.provision) as channel:
        stub = beam_provision_api_pb2_grpc.ProvisionServiceStub(channel)
        try:
            answer = stub.GetProvisionInfo(
                beam_provision_api_pb2.GetProvisionInfoRequest(),
                metadata=[("worker_id", endpoints.worker_id)],
                timeout=_ANSWER_S,
                wait_for_ready=True,
            )
        except grpc.RpcError as error:
            said = f"{error.code().name}: {error.details()}" if isinstance(error, grpc.Call) else str(error)
            raise ConfigError(
                one_line(f"no provision service answers at {endpoints.provision} ({said}); it is started by the runner")
            ) from error
    return answer.info


def harness_environment(
    endpoints: Endpoints, info: beam_provision_api_pb2.ProvisionInfo, folder: str
) -> dict[str, str]:
    """Our environment, and what Beam's harness reads from it.

    Args:
        endpoints: What the runner called us with.
        info: The provision service's answer.
        folder: An empty folder, in which the options are written: they may be longer than a variable.
    """
    options_file = os.path.join(folder, "pipeline_options.json")
    with open(options_file, "w", encoding="utf-8") as file:
        file.write(json_format.MessageToJson(info.pipeline_options))
    variables = {
        "WORKER_ID": endpoints.worker_id,
        "PIPELINE_OPTIONS_FILE": options_file,
        "SEMI_PERSISTENT_DIRECTORY": folder,
        "RUNNER_CAPABILITIES": " ".join(info.runner_capabilities),
        "CONTROL_API_SERVICE_DESCRIPTOR": _descriptor(info.control_endpoint, endpoints.control),
        "LOGGING_API_SERVICE_DESCRIPTOR": _descriptor(info.logging_endpoint, endpoints.logging),
        "STATUS_API_SERVICE_DESCRIPTOR": _descriptor(info.status_endpoint, ""),
    }
    return {**own_environment(), **{name: value for name, value in variables.items() if value}}


def _descriptor(given: endpoints_pb2.ApiServiceDescriptor, otherwise: str) -> str:
    if given.url:
        return text_format.MessageToString(given)
    return text_format.MessageToString(endpoints_pb2.ApiServiceDescriptor(url=otherwise)) if otherwise else ""


# --- the harness --------------------------------------------------------------------------------------


class _Harness:
    """The harness's process. Not thread-safe."""

    def __init__(self, environment: Mapping[str, str]):
        self._process = subprocess.Popen(
            # -P: the harness imports the same code as we do, whatever is in the current folder.
            [sys.executable, "-P", "-m", _HARNESS, str(os.getpid())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(environment),
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
            sys.stderr.write(text)


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


def _tell(logging_url: str, worker_id: str, text: str) -> None:
    """Writes a line to the runner's log, if it can be reached."""
    if not logging_url:
        return
    entry = beam_fn_api_pb2.LogEntry(
        severity=beam_fn_api_pb2.LogEntry.Severity.CRITICAL,
        message=f"codemill beam-worker: {text}",
        log_location="jobs.beam.boot",
    )
    entry.timestamp.FromNanoseconds(time.time_ns())
    with grpc.insecure_channel(logging_url) as channel, contextlib.suppress(grpc.RpcError):
        answers = beam_fn_api_pb2_grpc.BeamFnLoggingStub(channel).Logging(
            iter([beam_fn_api_pb2.LogEntry.List(log_entries=[entry])]),
            metadata=[("worker_id", worker_id)],
            timeout=_GRACE_S,
            wait_for_ready=True,
        )
        for _ in answers:
            pass
