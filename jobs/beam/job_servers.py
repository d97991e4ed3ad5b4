"""The flags that only a job server knows, beside those of Beam's Python SDK.

The SDK asks the server for its flags when it submits a job and drops a flag that neither knows. So a job server with an
address is asked here, too; where Beam starts Flink's own one, or none answers, its flags are those of Beam 2.70's
`FlinkPipelineOptions`, as the server names them.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import Final

import grpc
from apache_beam.portability.api import beam_job_api_pb2, beam_job_api_pb2_grpc

_TIMEOUT_S = 10.0
_FLINK: Final = frozenset(
    {
        "--allow_non_restored_state",
        "--attached_mode",
        "--auto_balance_write_files_sharding_enabled",
        "--auto_watermark_interval",
        "--checkpoint_timeout_millis",
        "--checkpointing_interval",
        "--checkpointing_mode",
        "--disable_metrics",
        "--enable_stable_input_drain",
        "--execution_mode_for_batch",
        "--execution_retry_delay",
        "--externalized_checkpoints_enabled",
        "--fail_on_checkpointing_errors",
        "--faster_copy",
        "--file_input_split_max_size_m_b",
        "--finish_bundle_before_checkpointing",
        "--flink_conf_dir",
        "--force_slot_sharing_group",
        "--force_unaligned_checkpoint_enabled",
        "--job_check_interval_in_secs",
        "--latency_tracking_interval",
        "--max_bundle_size",
        "--max_bundle_time_mills",
        "--min_pause_between_checkpoints",
        "--num_concurrent_checkpoints",
        "--number_of_execution_retries",
        "--object_reuse",
        "--operator_chaining",
        "--re_iterable_group_by_key_result",
        "--report_checkpoint_duration",
        "--retain_externalized_checkpoints_on_cancellation",
        "--savepoint_path",
        "--shutdown_sources_after_idle_ms",
        "--state_backend",
        "--state_backend_factory",
        "--state_backend_storage_path",
        "--unaligned_checkpoint_enabled",
        "--use_data_stream_for_batch",
    }
)
_log = logging.getLogger(__name__)


def flags_of_server(runner: str | None, endpoint: str | None) -> Collection[str]:
    """Returns the flags that the job server of a runner knows, none if there is no such server.

    Args:
        runner: The value of `--runner`.
        endpoint: That of `--job_endpoint`.
    """
    name = (runner or "").rpartition(".")[2].lower().removesuffix("runner")
    is_flink = name == "flink"
    if endpoint and (is_flink or name == "portable"):
        try:
            return _asked(endpoint)
        except grpc.RpcError as error:
            _log.debug("the job server at %s doesn't tell its flags: %s", endpoint, error)
            return _FLINK
    return _FLINK if is_flink else ()


def _asked(endpoint: str) -> set[str]:
    request = beam_job_api_pb2.DescribePipelineOptionsRequest()
    with grpc.insecure_channel(endpoint) as channel:
        answer = beam_job_api_pb2_grpc.JobServiceStub(channel).DescribePipelineOptions(request, timeout=_TIMEOUT_S)
    return {f"--{option.name}" for option in answer.options}
