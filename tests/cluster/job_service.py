"""Beam's portable job service in Python, for pipelines whose workers a boot command starts: two processes.

    python -m tests.cluster.job_service PORT

Beam's own one (`apache_beam.runners.portability.local_job_service_main`) knows no PROCESS environment; this adds one.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import Any

from apache_beam.options.pipeline_options import DirectOptions
from apache_beam.portability import common_urns
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners.portability import local_job_service
from apache_beam.runners.portability.fn_api_runner import worker_handlers

WORKERS = 2


@worker_handlers.WorkerHandler.register_environment(
    common_urns.environments.PROCESS.urn, beam_runner_api_pb2.ProcessPayload
)
class ProcessWorkerHandler(worker_handlers.GrpcWorkerHandler):
    """A worker that the environment's command starts, called as Beam's containers are."""

    def __init__(self, payload: Any, state: Any, provision_info: Any, grpc_server: Any):
        super().__init__(state, provision_info, grpc_server)
        self._command = payload.command

    def start_worker(self) -> None:
        words = [f"--id={self.worker_id}", f"--logging_endpoint={self.logging_api_service_descriptor().url}"]
        words += [f"--{name}_endpoint={self.control_address}" for name in ("artifact", "provision", "control")]
        self._process = subprocess.Popen([self._command, *words], process_group=0)
        threading.Thread(target=self._watch, daemon=True).start()

    def stop_worker(self) -> None:
        self._process.terminate()
        self._process.wait()

    def _watch(self) -> None:
        if code := self._process.wait():
            self.control_conn.abort(RuntimeError(f"the worker {self.worker_id} ended with exit code {code}"))


class Job(local_job_service.BeamJob):
    """A job with several workers, whatever its options say."""

    def pipeline_options(self) -> Any:
        options = super().pipeline_options()
        options.view_as(DirectOptions).direct_num_workers = WORKERS
        return options


def main() -> None:
    service = local_job_service.LocalJobServicer(beam_job_type=Job)
    service.start_grpc_server(int(sys.argv[1]))
    threading.Event().wait()


if __name__ == "__main__":
    main()
