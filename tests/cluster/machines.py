"""The processes of a cluster on this machine, each of which dies with the process that started it.

    with FlinkCluster(folder, flink=parts.flink(), job_server=parts.job_server_jar()) as cluster:
        run(*cluster.beam_flags(boot))
        cluster.task_managers[0].kill()

`make flink` is the same by hand: it brings the cluster up, prints the flags of a job, and ends it by Ctrl-C.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
START_S = 120.0  # in which a server must answer, on a machine that does other work
_DIE_WITH_US = ("setpriv", "--pdeathsig", "KILL")  # util-linux; the kernel's signal outlives the exec of scripts


class Unanswered(Exception):
    """A server of the cluster didn't come up, with the end of its log."""


class Server:
    """A process of the cluster, in a process group of its own, with its output in a file."""

    def __init__(self, name: str, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None):
        self.name = name
        self.log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [*_DIE_WITH_US, *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                process_group=0,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def kill(self) -> None:
        """Sends SIGKILL to the process alone: what it started has to notice."""
        self._process.kill()
        self._process.wait()

    def end(self) -> None:
        """Ends the process and its group."""
        if self._process.poll() is None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()

    def wait_until(self, answers: Callable[[], bool]) -> None:
        """Waits until a condition holds. Raises Unanswered if the process ends before, or after a long time."""
        deadline = time.monotonic() + START_S
        while not _holds(answers):
            if self._process.poll() is not None or time.monotonic() > deadline:
                end = self.log.read_text(errors="replace")[-2000:]
                raise Unanswered(f"{self.name} does not answer; the end of {self.log.name}:\n{end}")
            time.sleep(0.2)


def _holds(answers: Callable[[], bool]) -> bool:
    try:
        return answers()
    except (OSError, ValueError):
        return False


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("localhost", 0))
        return int(one.getsockname()[1])


def is_open(port: int) -> bool:
    """Whether somebody listens on a port of this machine."""
    with socket.create_connection(("localhost", port), timeout=1):
        return True


def write_boot(folder: Path, **environment: str) -> Path:
    """The boot command as one word, for PROCESS environments: the code of this tree, whatever is installed."""
    lines = [f"{name}={value!r}" for name, value in {"PYTHONPATH": str(ROOT), **environment}.items()]
    path = folder / "beam-worker"
    path.write_text(f'#!/bin/sh\n{" ".join(lines)} exec {sys.executable} -P -m jobs beam-worker "$@"\n')
    path.chmod(0o755)
    return path


def process_flags(boot: Path) -> list[str]:
    """Beam's flags for workers that the boot command starts."""
    return ["--environment_type=PROCESS", f"--environment_config={json.dumps({'command': str(boot)})}"]


class JobService:
    """A job service of Beam that runs pipelines on this machine: its Python one, or Prism."""

    def __init__(self, name: str, command: Sequence[str], port: int, folder: Path):
        self.server = Server(name, command, folder / f"{name}.log", {"PYTHONPATH": str(ROOT)})
        self.port = port
        self.server.wait_until(lambda: is_open(port))

    def beam_flags(self, boot: Path) -> list[str]:
        return ["--runner=PortableRunner", f"--job_endpoint=localhost:{self.port}", *process_flags(boot)]

    def __enter__(self) -> JobService:
        return self

    def __exit__(self, *exc: object) -> None:
        self.server.end()


def python_service(folder: Path) -> JobService:
    """Beam's portable runner in Python; two worker processes."""
    port = free_port()
    return JobService("python-service", [sys.executable, "-m", "tests.cluster.job_service", str(port)], port, folder)


def prism_service(folder: Path, program: Path) -> JobService:
    """Prism."""
    port = free_port()
    flags = [
        f"--job_port={port}",
        "--serve_http=false",
        "--web_port=0",
        "--log_level=warn",
        "--idle_shutdown_timeout=-1s",
    ]
    return JobService("prism", [str(program), *flags], port, folder)


class FlinkCluster:
    """A standalone Flink cluster: a JobManager, TaskManagers of one slot each, and Beam's job server in front.

    Args:
        folder: For configuration and logs.
        flink: The distribution.
        job_server: Beam's job server.
        task_managers: Number of TaskManagers.
    """

    def __init__(self, folder: Path, *, flink: Path, job_server: Path, task_managers: int = 2):
        self._folder, self._flink = folder, flink
        self.rest_port, self.job_port = free_port(), free_port()
        self._write_configuration()
        self._servers: list[Server] = []
        self.task_managers: list[Server] = []
        try:
            self.job_manager = self._start("jobmanager")
            for _ in range(task_managers):
                self.add_task_manager()
            self.job_server = self._start_job_server(job_server)
            self.job_manager.wait_until(lambda: self.overview()["slots-available"] == task_managers)
            self.job_server.wait_until(lambda: is_open(self.job_port))
        except BaseException:
            self.close()
            raise

    def add_task_manager(self) -> None:
        """Starts one more TaskManager; it registers by itself."""
        self.task_managers.append(self._start("taskmanager"))

    def beam_flags(self, boot: Path) -> list[str]:
        """Beam's flags for a job on this cluster."""
        return [
            *("--runner=PortableRunner", f"--job_endpoint=localhost:{self.job_port}"),
            *(f"--parallelism={len(self.task_managers)}", *process_flags(boot)),
        ]

    def overview(self) -> dict[str, Any]:
        """TaskManagers, slots and jobs, as the JobManager counts them."""
        return self.ask("/overview")

    def jobs(self) -> list[dict[str, Any]]:
        """The cluster's jobs, the newest first."""
        found: list[dict[str, Any]] = self.ask("/jobs/overview")["jobs"]
        return sorted(found, key=lambda job: -job["start-time"])

    def cancel_all(self) -> None:
        """Cancels what still runs, such as the job of a driver that was killed."""
        for job in self.jobs():
            if job["state"] not in ("FINISHED", "FAILED", "CANCELED"):
                self.ask(f"/jobs/{job['jid']}", method="PATCH")

    def ask(self, path: str, method: str = "GET") -> dict[str, Any]:
        """An answer of Flink's REST interface."""
        request = urllib.request.Request(f"http://localhost:{self.rest_port}{path}", method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            found: dict[str, Any] = json.loads(answer.read() or b"{}")
            return found

    def close(self) -> None:
        """Ends all processes of the cluster."""
        for server in reversed(self._servers):
            server.end()

    def __enter__(self) -> FlinkCluster:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _start(self, script: str) -> Server:
        name = f"{script}-{len(self._servers)}"
        command = [str(self._flink / "bin" / f"{script}.sh"), "start-foreground"]
        environment = {
            "FLINK_HOME": str(self._flink),
            "FLINK_CONF_DIR": str(self._folder / "conf"),
            "FLINK_LOG_DIR": str(self._folder),
            "PYTHONPATH": "",
        }
        self._servers.append(server := Server(name, command, self._folder / f"{name}.log", environment))
        return server

    def _start_job_server(self, jar: Path) -> Server:
        flags = [f"--flink-master=localhost:{self.rest_port}", f"--job-port={self.job_port}"]
        flags += ["--artifact-port=0", "--expansion-port=0", f"--artifacts-dir={self._folder / 'artifacts'}"]
        command = ["java", "-Xmx256m", "-jar", str(jar), *flags]
        self._servers.append(server := Server("job-server", command, self._folder / "job-server.log"))
        return server

    def _write_configuration(self) -> None:
        """The distribution's configuration with small sizes, free ports, and deaths that are noticed in seconds."""
        shutil.copytree(self._flink / "conf", self._folder / "conf")
        path = self._folder / "conf" / "config.yaml"
        found = yaml.safe_load(path.read_text())
        found["rest"] = {"port": self.rest_port, "address": "localhost", "bind-address": "localhost"}
        found["jobmanager"]["rpc"]["port"] = free_port()
        found["jobmanager"]["memory"]["process"]["size"] = "1024m"
        found["taskmanager"]["memory"]["process"]["size"] = "1024m"
        found["taskmanager"]["numberOfTaskSlots"] = 1
        found["pekko"] = {"startup-timeout": f"{START_S:g} s"}  # 10 s are too few beside other work
        found["heartbeat"] = {"interval": 1000, "timeout": 10_000}
        # Without checkpoints Flink doesn't restart a job unless it is told so.
        found["restart-strategy"] = {"type": "fixed-delay", "fixed-delay": {"attempts": 20, "delay": "1 s"}}
        path.write_text(yaml.safe_dump(found))
