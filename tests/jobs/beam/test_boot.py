from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from apache_beam.portability.api import (
    beam_fn_api_pb2_grpc,
    beam_provision_api_pb2,
    beam_provision_api_pb2_grpc,
)
from google.protobuf import json_format

from jobs.beam import boot, provision, worker
from model.errors import ConfigError

FAKE = "tests.jobs.beam.fake_harness"
# The command with the fake harness, in a process of its own.
PROGRAM = (
    f"import sys; from jobs.beam import boot; boot._HARNESS = {FAKE!r}; from jobs.cli import main\n"
    "sys.exit(main(['beam-worker', '--id=w7', f'--provision_endpoint={sys.argv[1]}']))"
)


class FakeRunner(
    beam_provision_api_pb2_grpc.ProvisionServiceServicer,
    beam_fn_api_pb2_grpc.BeamFnLoggingServicer,
):
    """The runner's two services that the boot command speaks with, on one port."""

    def __init__(self):
        self.options: dict = {}
        self.lines: list[str] = []
        self.workers: list[str] = []
        self.refuse = False
        self._server = grpc.server(ThreadPoolExecutor(4))
        self.address = f"localhost:{self._server.add_insecure_port('localhost:0')}"
        beam_provision_api_pb2_grpc.add_ProvisionServiceServicer_to_server(self, self._server)
        beam_fn_api_pb2_grpc.add_BeamFnLoggingServicer_to_server(self, self._server)
        self._server.start()

    def GetProvisionInfo(self, request, context=None):
        if self.refuse:
            context.abort(grpc.StatusCode.UNAVAILABLE, "not now")
        self.workers.append(dict(context.invocation_metadata())["worker_id"])
        info = beam_provision_api_pb2.ProvisionInfo(runner_capabilities=["beam:one", "beam:two"])
        json_format.ParseDict({f"beam:option:{k}:v1": v for k, v in self.options.items()}, info.pipeline_options)
        info.control_endpoint.url = "localhost:4711"
        info.logging_endpoint.url = self.address
        return beam_provision_api_pb2.GetProvisionInfoResponse(info=info)

    def Logging(self, batches, context=None):
        for batch in batches:
            self.lines += [entry.message for entry in batch.log_entries]
        return iter([])

    def stop(self):
        self._server.stop(0)


@pytest.fixture
def runner():
    found = FakeRunner()
    yield found
    found.stop()


@pytest.fixture
def told(tmp_path, monkeypatch) -> Path:
    """The file in which the fake harness says what it got."""
    monkeypatch.setattr(boot, "_HARNESS", FAKE)
    monkeypatch.setenv("FAKE_HARNESS", str(tmp_path / "told.json"))
    return tmp_path / "told.json"


def run(runner: FakeRunner, act: str, **options) -> int:
    runner.options = {"act": act, **options}
    return boot.run_worker(boot.Endpoints("w7", runner.address))


def gone(pid: int) -> bool:
    """Whether a process has ended, within a while."""
    for _ in range(200):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.05)
    return False


def wait_for(path: Path) -> dict:
    for _ in range(400):
        if path.exists():
            return json.loads(path.read_text())
        time.sleep(0.05)
    raise TimeoutError(path)


def test_the_harness_gets_what_the_provision_service_says(runner, told):
    assert run(runner, "end", experiments=["x"]) == 0
    found = json.loads(told.read_text())
    environment = found["environment"]
    assert found["options"] == {"beam:option:act:v1": "end", "beam:option:experiments:v1": ["x"]}
    assert environment["WORKER_ID"] == "w7" and runner.workers == ["w7"]
    assert "localhost:4711" in environment["CONTROL_API_SERVICE_DESCRIPTOR"]
    assert runner.address in environment["LOGGING_API_SERVICE_DESCRIPTOR"]
    assert environment["RUNNER_CAPABILITIES"] == "beam:one beam:two"
    assert "STATUS_API_SERVICE_DESCRIPTOR" not in environment
    assert not Path(environment["SEMI_PERSISTENT_DIRECTORY"]).exists()  # removed with the worker


def test_addresses_on_the_command_line_hold_where_the_service_names_none(tmp_path):
    info = beam_provision_api_pb2.ProvisionInfo()
    found = provision.variables(boot.Endpoints("w", "p:1", "c:2", "l:3"), info, tmp_path)
    assert "c:2" in found["CONTROL_API_SERVICE_DESCRIPTOR"] and "l:3" in found["LOGGING_API_SERVICE_DESCRIPTOR"]


@pytest.mark.parametrize(("act", "code", "how"), [("kill", 137, "SIGKILL"), ("fail", 3, "exit code 3")])
def test_a_harness_that_dies_is_told_to_the_runner_with_its_last_lines(runner, told, capfd, act, code, how):
    assert run(runner, act) == code
    (line,) = runner.lines
    assert f"the harness of worker w7 ended: {how}" in line
    assert "a line from C\\x1b[31m" in line
    shown = capfd.readouterr()
    assert "a line from C\\x1b[31m" in shown.err and shown.out == ""


def test_a_runner_that_doesnt_answer_is_one_line():
    with pytest.raises(ConfigError, match=r"no provision service answers at localhost:1 \(DEADLINE_EXCEEDED"):
        provision.ask(boot.Endpoints("w", "localhost:1"), timeout_s=0.5)


def test_a_harness_that_refuses_has_said_why(runner, told, monkeypatch, capfd):
    monkeypatch.setattr(boot, "_HARNESS", "jobs.beam.harness")
    runner.refuse = True
    assert boot.run_worker(boot.Endpoints("w7", runner.address)) == 2
    lines = [line for line in capfd.readouterr().err.splitlines() if "beam-worker" in line]
    assert lines == [
        f"codemill beam-worker: error: no provision service answers at {runner.address} (UNAVAILABLE: not now); it is "
        "started by the runner"
    ]
    assert runner.lines == []


def test_the_quotes_that_prism_sends_are_no_part_of_the_name(monkeypatch):
    seen = []
    monkeypatch.setattr(boot, "run_worker", lambda endpoints: seen.append(endpoints.worker_id) or 0)
    assert worker.run(worker.Options(id="'job_1_go'", provision_endpoint="x:1")) == 0
    assert seen == ["job_1_go"]


@contextlib.contextmanager
def started(runner: FakeRunner, *before: str):
    """The command in a process of its own, maybe as the child of another."""
    runner.options = {"act": "wait"}
    process = subprocess.Popen(
        [*before, sys.executable, "-P", "-c", PROGRAM, runner.address],
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(boot.__file__).parents[2])},
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def test_sigterm_ends_the_harness_and_what_it_started_and_says_so(runner, told):
    with started(runner) as process:
        found = wait_for(told)
        process.terminate()
        assert process.wait(30) == 143
        assert process.stderr.read().endswith(b"codemill beam-worker: terminated\n")
    assert gone(found["pid"]) and gone(found["helper"])


def test_a_killed_boot_command_takes_the_harness_with_it(runner, told):
    with started(runner) as process:
        found = wait_for(told)
        process.kill()
        assert gone(found["pid"])
    with contextlib.suppress(ProcessLookupError):
        os.kill(found["helper"], signal.SIGKILL)  # a process of the test's harness, which doesn't end with it


def test_when_whoever_started_it_is_gone_all_of_it_ends(runner, told):
    parent = (sys.executable, "-c", "import subprocess, sys; subprocess.run(sys.argv[1:])")
    with started(runner, *parent) as process:
        found = wait_for(told)
        process.kill()
        assert gone(found["pid"]) and gone(found["helper"])
