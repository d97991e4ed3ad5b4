"""The job of a Beam runner, recorded so that a later run of the command can cancel it.

    _job/runner_job.json   {"job_id": ..., "job_endpoint": ...}   from its submission to its end

A driver that is killed leaves its job running on the cluster. What that still commits is harmless, since the first
commit of a unit counts, but it holds the workers that the resumed job needs. Only a portable job service is asked
(`--job_endpoint`); what another runner may still run is named in one line.

What a service says of a canceled job says little: Beam's Python one only calls it canceled, and Flink's job server
forgets it while the cluster goes on. So the heartbeats of its workers are read as well, until they have stopped.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

import grpc
from apache_beam.options.pipeline_options import PipelineOptions, PortableOptions
from apache_beam.portability.api import beam_job_api_pb2, beam_job_api_pb2_grpc
from apache_beam.runners.runner import PipelineResult, PipelineState

from jobs import storage
from jobs.ledger import heartbeat
from jobs.storage.folders import JobFolder

_TIMEOUT_S = 10.0
_QUIET_S = 4 * heartbeat.PERIOD_S  # without a heartbeat: the workers have ended
_END_S = 30.0  # in which workers that were told to end do so
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


def cancel_orphan(job_dir: JobFolder) -> bool:
    """Cancels the job that an earlier run left behind, if any; says in one line what became of it.

    Returns:
        Whether nothing of it is left that writes to the folder, as far as can be told.
    """
    try:
        record = json.loads(storage.read_bytes(job_dir.runner_job))
    except FileNotFoundError:
        return True
    job_id, endpoint = record["job_id"], record["job_endpoint"]
    name = f"job {job_id}, which an earlier run of this command left behind,"
    try:
        if not endpoint:
            raise ConnectionError("its runner has no --job_endpoint")
        said = _cancel(job_id, endpoint)
    except (grpc.RpcError, ConnectionError) as error:
        said = None
        why = error.details() if isinstance(error, grpc.Call) else error
        _log.warning("%s can't be canceled from here (%s) and may still be running", name, why)
    has_stopped = _have_stopped(lambda: signs_of_life(job_dir))
    if said is not None and has_stopped:
        _log.warning("%s was canceled: %s says %s, and its workers have stopped", name, endpoint, said)
    elif said is not None:
        _log.warning(
            "%s is still running, although %s was told to cancel it (it says %s): what it commits counts, but it holds "
            "workers; end it with the runner's own tools, on Flink by PATCH /jobs/ID of its REST interface",
            *(name, endpoint, said),
        )
    if has_stopped:  # else the next look must find that somebody else may be writing
        forget_job(job_dir)
    return has_stopped


def signs_of_life(job_dir: JobFolder) -> dict[str, float]:
    """The last heartbeat of each worker: what changes while any of them lives."""
    return {beat.session: beat.at for beat in heartbeat.read_heartbeats(job_dir)}


def has_ended(result: PipelineResult) -> bool:
    """Whether a job has ended by itself; False where its runner doesn't tell, or only that it was canceled."""
    try:
        state = result.state
        return bool(PipelineState.is_terminal(state)) and state != PipelineState.CANCELLED
    except Exception as error:  # whatever a runner raises: a service that has gone, or doesn't know the job anymore
        _log.debug("the runner doesn't tell how its job is: %s", error)
        return False


def _cancel(job_id: str, endpoint: str) -> str:
    """Cancels a job and returns the state that its service then tells. Raises grpc.RpcError."""
    with grpc.insecure_channel(endpoint) as channel:
        stub = beam_job_api_pb2_grpc.JobServiceStub(channel)
        stub.Cancel(beam_job_api_pb2.CancelJobRequest(job_id=job_id), timeout=_TIMEOUT_S)
        try:
            state = stub.GetState(beam_job_api_pb2.GetJobStateRequest(job_id=job_id), timeout=_TIMEOUT_S).state
        except grpc.RpcError:
            return "nothing of it anymore"
        return str(beam_job_api_pb2.JobState.Enum.Name(state))


def _have_stopped(signs: Callable[[], Any]) -> bool:
    """Whether nothing changes for a while, within the time that workers take to end."""
    seen: Any = None
    since = time.monotonic()
    deadline = since + _END_S
    while (now := time.monotonic()) - since < _QUIET_S:
        if now > deadline:
            return False
        try:
            found = signs()
        except Exception as error:
            if not storage.may_pass(error):
                raise
            _log.warning("can't read the heartbeats of an earlier run: %s", " ".join(str(error).split())[:300])
            found = object()  # it can't be told: as if they had changed
        if found != seen:
            seen, since = found, time.monotonic()
        time.sleep(heartbeat.PERIOD_S / 4)
    return True


def _id_of(result: PipelineResult) -> str:
    """The runner's name for a job: a method on Dataflow, a private field of portable runners; "" where it has none."""
    found = getattr(result, "job_id", None) or getattr(result, "_job_id", None)
    return str(found() if callable(found) else found or "")
