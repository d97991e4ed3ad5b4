"""The job of a Beam runner, recorded so that a later run of the command can cancel it.

    _job/runner_job.json   {"job_id": ..., "job_endpoint": ...}   from its submission to its end

A driver that is killed leaves its job running on the cluster. What that still commits is harmless, since the first
commit of a unit counts, but it holds the workers that the resumed job needs. Only a portable job service is asked
(`--job_endpoint`); what another runner may still run is named in one line.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence

import grpc
from apache_beam.options.pipeline_options import PipelineOptions, PortableOptions
from apache_beam.portability.api import beam_job_api_pb2, beam_job_api_pb2_grpc
from apache_beam.runners.runner import PipelineResult

from jobs import storage
from jobs.storage.folders import JobFolder

_TIMEOUT_S = 10.0
_log = logging.getLogger(__name__)


def record_job(job_dir: JobFolder, result: PipelineResult, beam_args: Sequence[str]) -> None:
    """Records a job that was submitted; one that runs in this process has no id and is not recorded."""
    job_id = _id_of(result)
    if job_id:
        endpoint = PipelineOptions(list(beam_args)).view_as(PortableOptions).job_endpoint or ""
        record = {"job_id": job_id, "job_endpoint": endpoint}
        storage.write_bytes(job_dir.runner_job, json.dumps(record).encode())


def forget_job(job_dir: JobFolder) -> None:
    """Removes the record of a job that has ended."""
    storage.remove(job_dir.runner_job)


def cancel_orphan(job_dir: JobFolder) -> None:
    """Cancels the job that an earlier run left behind, if any; says so in one line, and goes on where it can't."""
    try:
        record = json.loads(storage.read_bytes(job_dir.runner_job))
    except FileNotFoundError:
        return
    job_id, endpoint = record["job_id"], record["job_endpoint"]
    try:
        if not endpoint:
            raise ConnectionError("its runner has no --job_endpoint")
        with grpc.insecure_channel(endpoint) as channel:
            stub = beam_job_api_pb2_grpc.JobServiceStub(channel)
            stub.Cancel(beam_job_api_pb2.CancelJobRequest(job_id=job_id), timeout=_TIMEOUT_S)
        _log.warning("canceled job %s at %s, which an earlier run of this command left behind", job_id, endpoint)
    except (grpc.RpcError, ConnectionError) as error:
        why = error.details() if isinstance(error, grpc.Call) else error
        _log.warning("an earlier run's job %s may still be running and can't be canceled from here: %s", job_id, why)
    forget_job(job_dir)


def _id_of(result: PipelineResult) -> str:
    """The runner's name for a job: a method on Dataflow, a private field of portable runners; "" where it has none."""
    found = getattr(result, "job_id", None) or getattr(result, "_job_id", None)
    return str(found() if callable(found) else found or "")
