"""What Beam's harness is told by the runner that started it, and what the runner is told when it has died.

    provision service  ->  the pipeline's options, the addresses of the other services  ->  environment variables
    logging service    <-  a line about a harness that ended

Beam's container contract: https://s.apache.org/beam-fn-api-container-contract
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

import grpc
from apache_beam.portability.api import (
    beam_fn_api_pb2,
    beam_fn_api_pb2_grpc,
    beam_provision_api_pb2,
    beam_provision_api_pb2_grpc,
    endpoints_pb2,
)
from google.protobuf import json_format, text_format

from jobs.beam.boot import Endpoints
from model.errors import ConfigError, one_line

_ANSWER_S = 30.0
_TELL_S = 5.0


def ask(endpoints: Endpoints, timeout_s: float = _ANSWER_S) -> beam_provision_api_pb2.ProvisionInfo:
    """Returns the provision service's answer.

    Raises:
        ConfigError: It doesn't answer.
    """
    with grpc.insecure_channel(endpoints.provision) as channel:
        stub = beam_provision_api_pb2_grpc.ProvisionServiceStub(channel)
        try:
            answer = stub.GetProvisionInfo(
                beam_provision_api_pb2.GetProvisionInfoRequest(),
                metadata=[("worker_id", endpoints.worker_id)],
                timeout=timeout_s,
                wait_for_ready=True,
            )
        except grpc.RpcError as error:
            said = f"{error.code().name}: {error.details()}" if isinstance(error, grpc.Call) else str(error)
            raise ConfigError(
                one_line(f"no provision service answers at {endpoints.provision} ({said}); it is started by the runner")
            ) from error
    return answer.info


def variables(endpoints: Endpoints, info: beam_provision_api_pb2.ProvisionInfo, folder: Path) -> dict[str, str]:
    """The environment variables that Beam's harness reads.

    Args:
        endpoints: What the runner called us with.
        info: The provision service's answer.
        folder: An empty folder, in which the options are written: they may be longer than a variable.
    """
    options = folder / "pipeline_options.json"
    options.write_text(json_format.MessageToJson(info.pipeline_options), encoding="utf-8")
    found = {
        "WORKER_ID": endpoints.worker_id,
        "PIPELINE_OPTIONS_FILE": str(options),
        "SEMI_PERSISTENT_DIRECTORY": str(folder),
        "RUNNER_CAPABILITIES": " ".join(info.runner_capabilities),
        "CONTROL_API_SERVICE_DESCRIPTOR": _descriptor(info.control_endpoint, endpoints.control),
        "LOGGING_API_SERVICE_DESCRIPTOR": _descriptor(info.logging_endpoint, endpoints.logging),
        "STATUS_API_SERVICE_DESCRIPTOR": _descriptor(info.status_endpoint, ""),
    }
    return {name: value for name, value in found.items() if value}


def prepare(endpoints: Endpoints) -> None:
    """Sets the variables in this process, which is about to be the harness. Raises ConfigError."""
    os.environ.update(variables(endpoints, ask(endpoints), Path(endpoints.folder)))


def tell(endpoints: Endpoints, text: str) -> None:
    """Writes a line to the runner's log, if it can be reached."""
    with contextlib.suppress(ConfigError):
        if url := ask(endpoints, _TELL_S).logging_endpoint.url or endpoints.logging:
            _log(url, endpoints.worker_id, text)


def _descriptor(given: endpoints_pb2.ApiServiceDescriptor, otherwise: str) -> str:
    if given.url:
        return text_format.MessageToString(given)
    return text_format.MessageToString(endpoints_pb2.ApiServiceDescriptor(url=otherwise)) if otherwise else ""


def _log(url: str, worker_id: str, text: str) -> None:
    severity = beam_fn_api_pb2.LogEntry.Severity.CRITICAL
    entry = beam_fn_api_pb2.LogEntry(severity=severity, message=text, log_location=__name__)
    entry.timestamp.FromNanoseconds(time.time_ns())
    with grpc.insecure_channel(url) as channel, contextlib.suppress(grpc.RpcError):
        answers = beam_fn_api_pb2_grpc.BeamFnLoggingStub(channel).Logging(
            iter([beam_fn_api_pb2.LogEntry.List(log_entries=[entry])]),
            metadata=[("worker_id", worker_id)],
            timeout=_TELL_S,
            wait_for_ready=True,
        )
        for _ in answers:
            pass
