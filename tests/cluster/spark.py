"""A standalone Spark cluster on this machine: a master, two workers, and Beam's job server for Spark in front.

As `tests.cluster.machines` does for Flink. The job server is Spark's driver: each pipeline is an application of its own
with new executors, whose class path is that of the distribution. So nothing is staged but an empty jar, without which
the job server would send its whole class path to each executor (380 jars, half a minute for each pipeline).
"""

from __future__ import annotations

import json
import urllib.request
import zipfile
from pathlib import Path
from typing import Any

from tests.cluster.machines import Server, free_port, is_open, process_flags

JOB_SERVER_CLASS = "org.apache.beam.runners.spark.SparkJobServerDriver"
# What Spark asks of Java 17; its own scripts pass these (org.apache.spark.launcher.JavaModuleOptions of 3.5).
_OPENED = (
    *("java.lang", "java.lang.invoke", "java.lang.reflect", "java.io", "java.net", "java.nio", "java.util"),
    *("java.util.concurrent", "java.util.concurrent.atomic", "sun.nio.ch", "sun.nio.cs", "sun.security.action"),
    "sun.util.calendar",
)


class SparkCluster:
    """A master, workers of one core each, and Beam's job server.

    Args:
        folder: For logs and what applications leave.
        spark: The distribution, with Beam's runner among its jars.
        workers: Number of Spark's workers.
    """

    def __init__(self, folder: Path, *, spark: Path, workers: int = 2):
        self._folder, self._spark = folder, spark
        self._port, self.web_port, self.job_port = free_port(), free_port(), free_port()
        self._servers: list[Server] = []
        self._nothing = folder / "nothing.jar"
        with zipfile.ZipFile(self._nothing, "w") as jar:
            jar.writestr("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\r\n\r\n")
        try:
            self._start(workers)
        except BaseException:
            self.close()
            raise

    def beam_flags(self, boot: Path) -> list[str]:
        """Beam's flags for a job on this cluster."""
        return [
            *("--runner=PortableRunner", f"--job_endpoint=localhost:{self.job_port}"),
            *(f"--files_to_stage={self._nothing}", *process_flags(boot)),
        ]

    def overview(self) -> dict[str, Any]:
        """What the master says of its workers and applications."""
        with urllib.request.urlopen(f"http://localhost:{self.web_port}/json/", timeout=10) as answer:
            found: dict[str, Any] = json.loads(answer.read())
            return found

    def applications(self) -> list[dict[str, Any]]:
        """The applications that have ended, the newest first."""
        found = self.overview()["completedapps"]
        return [{key: one[key] for key in ("id", "state", "duration")} for one in found]

    def close(self) -> None:
        """Ends all processes of the cluster."""
        for server in reversed(self._servers):
            server.end()

    def __enter__(self) -> SparkCluster:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _start(self, workers: int) -> None:
        master = self._java(
            "master",
            "org.apache.spark.deploy.master.Master",
            *("--host", "localhost", "--port", str(self._port), "--webui-port", str(self.web_port)),
        )
        master.wait_until(lambda: is_open(self._port))
        url = f"spark://localhost:{self._port}"
        for number in range(workers):
            self._java(
                f"worker-{number}",
                "org.apache.spark.deploy.worker.Worker",
                *("--host", "localhost", "--webui-port", "0", "--cores", "1", "--memory", "1g"),
                *("--work-dir", str(self._folder / f"work-{number}"), url),
            )
        job_server = self._java(
            "job-server",
            JOB_SERVER_CLASS,
            *(f"--spark-master-url={url}", f"--job-port={self.job_port}", "--artifact-port=0", "--expansion-port=0"),
            f"--artifacts-dir={self._folder / 'artifacts'}",
        )
        master.wait_until(lambda: self.overview()["aliveworkers"] == workers)
        job_server.wait_until(lambda: is_open(self.job_port))

    def _java(self, name: str, main_class: str, *arguments: str) -> Server:
        opened = [f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in _OPENED]
        # Spark refuses a driver of less than 450 MB.
        settings = ["-Xmx512m", "-Dspark.executor.memory=512m", "-Dspark.ui.enabled=false"]
        command = ["java", "-cp", f"{self._spark / 'jars'}/*", *opened, *settings, main_class, *arguments]
        environment = {
            "SPARK_HOME": str(self._spark),
            "SPARK_SCALA_VERSION": "2.12",  # else the workers look for a source tree to learn it
            "SPARK_LOCAL_IP": "127.0.0.1",
            "PYTHONPATH": "",
        }
        self._servers.append(server := Server(name, command, self._folder / f"{name}.log", environment))
        return server
