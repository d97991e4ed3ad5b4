"""Beam's own flags: unknown ones are refused with the nearest name, and a runner that can't start is one line."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from apache_beam.portability.api import beam_job_api_pb2, beam_job_api_pb2_grpc
from apache_beam.runners.runner import create_runner
from apache_beam.utils.subprocess_server import SubprocessServer

from jobs.beam.flags import check_flags, starting_runner
from jobs.driver.runners import LocalRunner, runner_for
from model.errors import ConfigError

UNKNOWN = {
    ("--runer", "FlinkRunner"): "Beam has no flag --runer; did you mean --runner?",
    ("--runner=FlinkRuner",): "Beam has no runner FlinkRuner; did you mean FlinkRunner?",
    ("--runner", "DataFlow2"): "Beam has no runner DataFlow2",
    (
        "--runner=DirectRunner",
        "--direct_num_worker=2",
    ): "did you mean --direct_num_workers?",
    ("FlinkRunner",): "Beam has no flag FlinkRunner",
    ("--direct_num_workers", "two"): "invalid int value: 'two'",
    ("--runner",): "expected one argument",
    ("--output", "elsewhere"): "Beam has no flag --output",
    ("-x",): "Beam has no flag -x",
    ("--runner=FlinkRunner", "--number_of_execution_retry=3"): "did you mean --number_of_execution_retries?",
    ("--runner=DataflowRunner", "--number_of_execution_retries=3"): "Beam has no flag --number_of_execution_retries",
    ("--runner=PortableRunner", "--number_of_execution_retries=3"): "Beam has no flag --number_of_execution_retries",
    ("--\x1b[31mred",): "Beam has no flag --\\x1b[31mred",
}


@pytest.mark.parametrize("flags", UNKNOWN)
def test_an_unknown_flag_or_runner_is_refused(flags):
    for check in (check_flags, runner_for):
        with pytest.raises(ConfigError) as error:
            check(flags)
        assert UNKNOWN[flags] in str(error.value)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "flags",
    [
        (),
        ("--runner", "FlinkRunner", "--flink_master=localhost:8081", "--parallelism", "4"),
        ("--runner=flink",),
        ("--runner=FlinkRunner", "--number_of_execution_retries=3", "--execution_retry_delay", "1000"),
        ("--runner=FlinkRunner", "--object_reuse", "--parallelism=4"),
        ("--runner=PortableRunner", "--job_endpoint=localhost:1", "--number_of_execution_retries", "3"),
        ("--runner=DataflowRunner", "--project", "p", "--region", "r", "--temp_location", "gs://b/t"),
        ("--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner",),
        ("--runner", "PortableRunner", "--job_endpoint", "localhost:8099", "--environment_type", "LOOPBACK"),
        ("--direct_num_workers=2",),
        ("--experiments=use_runner_v2", "--experiments=other"),
    ],
)
def test_flags_that_beam_documents_are_accepted(flags):
    check_flags(flags)


@pytest.fixture
def job_server() -> Iterator[str]:
    """The address of a job server that knows one flag of its own."""

    class Service(beam_job_api_pb2_grpc.JobServiceServicer):
        def DescribePipelineOptions(self, request, context=None):
            option = beam_job_api_pb2.PipelineOptionDescriptor(name="sparkle_level")
            return beam_job_api_pb2.DescribePipelineOptionsResponse(options=[option])

    server = grpc.server(ThreadPoolExecutor(1))
    beam_job_api_pb2_grpc.add_JobServiceServicer_to_server(Service(), server)
    port = server.add_insecure_port("localhost:0")
    server.start()
    yield f"localhost:{port}"
    server.stop(None)


def test_a_job_server_is_asked_which_flags_it_knows(job_server):
    flags = ["--runner=PortableRunner", f"--job_endpoint={job_server}"]
    check_flags([*flags, "--sparkle_level=3"])
    check_flags([*flags, "--sparkle_level", "3"])
    with pytest.raises(ConfigError, match=r"no flag --sparkle_levl; did you mean --sparkle_level\?"):
        check_flags([*flags, "--sparkle_levl=3"])
    with pytest.raises(ConfigError, match="no flag --number_of_execution_retries"):
        check_flags([*flags, "--number_of_execution_retries=3"])  # it would be dropped


def test_without_flags_the_job_runs_on_this_machine():
    assert isinstance(runner_for([]), LocalRunner)


def test_flags_that_no_runner_would_read_are_refused():
    with pytest.raises(ConfigError, match=r"\(--direct_num_workers=2\) need --runner"):
        runner_for(["--direct_num_workers=2"])


def test_a_job_server_that_can_not_be_started_is_one_line(tmp_path):
    server = SubprocessServer(lambda channel: None, [str(tmp_path / "absent" / "java"), "-jar", "server.jar"])
    with pytest.raises(ConfigError) as error, starting_runner(["--runner", "FlinkRunner"]):
        server.start()
    assert "the runner of --runner FlinkRunner could not be started: [Errno 2]" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_runner_that_can_not_be_imported_is_one_line():
    with pytest.raises(ConfigError) as error, starting_runner(["--runner", "absent_package.Runner"]):
        create_runner("absent_package.Runner")
    assert "could not be started: No module named 'absent_package'" in str(error.value)


def test_an_error_of_what_runs_passes_through():
    with pytest.raises(ZeroDivisionError), starting_runner(["--runner", "X"]):
        _ = 1 / 0
