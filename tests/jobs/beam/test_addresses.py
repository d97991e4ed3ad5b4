from __future__ import annotations

import socket

import pytest

from jobs.beam.addresses import check_answered
from jobs.driver.runners import runner_for
from model.errors import ConfigError


@pytest.fixture
def port():
    with socket.socket() as server:
        server.bind(("localhost", 0))
        server.listen()
        yield server.getsockname()[1]


@pytest.fixture
def closed_port():
    with socket.socket() as server:  # bound, so that nobody else gets it, and not listening
        server.bind(("localhost", 0))
        yield server.getsockname()[1]


@pytest.mark.parametrize("flag", ["job_endpoint", "flink_master", "spark_master_url"])
def test_an_address_where_nothing_answers_is_one_line(flag, closed_port):
    address = f"spark://localhost:{closed_port}" if flag.startswith("spark") else f"localhost:{closed_port}"
    with pytest.raises(ConfigError, match=f"^--{flag} {address}: nothing answers there .Connection refused."):
        runner_for(["--runner=PortableRunner", f"--{flag}={address}"])


def test_a_host_that_doesnt_exist_and_a_port_that_cant_are_one_line():
    with pytest.raises(ConfigError, match=r"^--job_endpoint no-such-host\.invalid:80: nothing answers there"):
        check_answered(["--job_endpoint=no-such-host.invalid:80"])
    with pytest.raises(ConfigError, match=r"^--job_endpoint localhost:70000: nothing answers there"):
        check_answered(["--job_endpoint=localhost:70000"])


def test_what_answers_and_what_is_no_address_pass(port):
    check_answered([f"--job_endpoint=localhost:{port}", f"--flink_master=http://localhost:{port}"])
    check_answered(["--job_endpoint=embed", "--flink_master=[auto]", "--spark_master_url=local[4]"])
    check_answered(["--runner=FnApiRunner"])
