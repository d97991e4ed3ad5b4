"""What the cluster tests need beside codemill, from public package servers: Flink, Spark, Beam's runners, Prism.

    part          from                                                             size     takes, first time
    Flink         PyPI, `apache-flink-libraries` (jars), `apache-flink` (scripts)   235 MB   a minute
    Flink runner  Maven, `beam-runners-flink-1.19` with its dependencies            150 MB   a minute
    Spark         PyPI, `pyspark` (jars)                                            317 MB   a minute
    Spark runner  Maven, `beam-runners-spark-3` with its dependencies               120 MB   a minute
    Prism         the Go module proxy, built here                                    66 MB   some minutes

Beam's job server as one file (`beam-runners-flink-*-job-server`) is not served everywhere; the runner that it is made
of is, but only some versions of it. The newest version of which all dependencies are served has been chosen. It is
older than Beam's Python SDK here, which the portable protocol allows. `FLINK_JOB_SERVER_JAR` names another job server.

Parts are kept in `CODEMILL_CLUSTER_PARTS`, by default a folder of the user's cache; each is made once.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

FLINK_VERSION = "1.19.3"
RUNNER = "org.apache.beam:beam-runners-flink-1.19:2.62.0"
PRISM = "github.com/apache/beam/sdks/v2/go/cmd/prism@v2.77.0"
SPARK_VERSION = "3.5.0"
SPARK_RUNNER = "org.apache.beam:beam-runners-spark-3:2.62.0"
JOB_SERVER_CLASS = "org.apache.beam.runners.flink.FlinkJobServerDriver"
PARTS = Path(os.environ.get("CODEMILL_CLUSTER_PARTS") or Path.home() / ".cache" / "codemill" / "cluster").absolute()
_POM = """<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>codemill</groupId><artifactId>job-server</artifactId><version>1</version><dependencies><dependency>
<groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version></dependency></dependencies></project>
"""


class Unreachable(Exception):
    """A part that no package server gave; the text says what was asked and what was answered."""


def flink() -> Path:
    """The folder of a Flink distribution: `bin`, `conf`, `lib`."""
    return _made(f"flink-{FLINK_VERSION}", _make_flink)


def job_server_jar() -> Path:
    """Beam's job server for this Flink: a jar that `java -jar` runs."""
    if given := os.environ.get("FLINK_JOB_SERVER_JAR"):
        return Path(given)
    return _made(f"job-server-{RUNNER.rpartition(':')[2]}", _make_job_server) / "job-server.jar"


def spark() -> Path:
    """The folder of a Spark distribution, with Beam's runner and all that it needs among its jars."""
    return _made(f"spark-{SPARK_VERSION}", _make_spark)


def prism() -> Path:
    """The program `prism`."""
    return _made(f"prism-{PRISM.rpartition('@')[2]}", _make_prism) / "bin" / "prism"


def _made(name: str, make: Callable[[Path], None]) -> Path:
    """The folder of a part, which is made under another name, so that it is there whole or not at all."""
    if not (folder := PARTS / name).exists():
        PARTS.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=PARTS, prefix=f"{name}-") as beginning:
            make(made := Path(beginning, "part"))
            try:
                made.rename(folder)
            except OSError:
                if not folder.exists():  # otherwise another process was faster
                    raise
    return folder


def _make_flink(folder: Path) -> None:
    downloads = folder / "downloads"
    for package in (
        ["--no-binary", ":all:", f"apache-flink-libraries=={FLINK_VERSION}"],
        [f"apache-flink=={FLINK_VERSION}"],
    ):
        _run(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(downloads), *package)
    (libraries,) = downloads.glob("*.tar.gz")
    with tarfile.open(libraries) as archive:  # NAME/deps/lib/... -> lib/...
        for member in archive:
            _, _, path = member.path.partition("/deps/")
            if path and member.isfile():
                member.path = path
                archive.extract(member, folder, filter="data")
    (scripts,) = downloads.glob("*.whl")
    with zipfile.ZipFile(scripts) as archive:
        for name in archive.namelist():
            if name.startswith(("pyflink/bin/", "pyflink/conf/")):
                archive.extract(name, folder)
    for name in ("bin", "conf"):
        shutil.copytree(folder / "pyflink" / name, folder / name, dirs_exist_ok=True)
    for script in (folder / "bin").iterdir():
        script.chmod(0o755)
    for done in (downloads, folder / "pyflink"):
        shutil.rmtree(done)


def _make_job_server(folder: Path) -> None:
    folder.mkdir()
    _resolve(RUNNER, folder)
    jars = [f"lib/{path.name}" for path in sorted((folder / "lib").glob("*.jar"))]
    with zipfile.ZipFile(folder / "job-server.jar", "w") as jar:
        jar.writestr("META-INF/MANIFEST.MF", manifest_of(JOB_SERVER_CLASS, jars))


def _resolve(artifact: str, folder: Path) -> None:
    """Puts an artifact of Maven and all that it depends on into `lib`."""
    (folder / "pom.xml").write_text(_POM.format(*artifact.split(":")))
    _run("mvn", "-B", "-q", "-ntp", "dependency:copy-dependencies", "-DoutputDirectory=lib", cwd=folder)


# Of libraries that both have, one version is kept: the newer one, but Spark's of what its logging is built on.
_NOT_SPARKS = ("avro-1.", "guava-", "jackson-annotations-2.", "jackson-core-2.", "jackson-databind-2.")
_NOT_BEAMS = ("slf4j-api-",)


def _make_spark(folder: Path) -> None:
    folder.mkdir()
    downloads = folder / "downloads"
    package = f"pyspark=={SPARK_VERSION}"
    _run(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(downloads), package)
    (archive_file,) = downloads.glob("*.tar.gz")
    (jars := folder / "jars").mkdir()
    with tarfile.open(archive_file) as archive:
        for member in archive:
            name = Path(member.path).name
            if "/deps/jars/" in member.path and member.isfile() and not name.startswith(_NOT_SPARKS):
                member.path = name
                archive.extract(member, jars, filter="data")
    _resolve(SPARK_RUNNER, folder)
    for jar in (folder / "lib").glob("*.jar"):
        if not jar.name.startswith(_NOT_BEAMS):
            jar.rename(jars / jar.name)
    for done in (downloads, folder / "lib"):
        shutil.rmtree(done)


def manifest_of(main_class: str, jars: Sequence[str]) -> str:
    """The manifest of a jar that holds nothing else, so that a program of many jars is one file to whoever starts it.

    A line has at most 72 bytes and goes on in the next one after a blank (JAR File Specification).
    """
    line = f"Class-Path: {' '.join(jars)}"
    folded = [line[:70], *(f" {line[begin : begin + 69]}" for begin in range(70, len(line), 69))]
    return "\r\n".join(["Manifest-Version: 1.0", f"Main-Class: {main_class}", *folded, "", ""])


def _make_prism(folder: Path) -> None:
    # Modules and build cache stay where Go has them by default: the next version needs most of them again.
    _run("go", "install", PRISM, GOBIN=str(folder / "bin"))


def _run(*command: str, cwd: Path | None = None, **environment: str) -> None:
    try:
        subprocess.run(command, cwd=cwd, env={**os.environ, **environment}, check=True, capture_output=True, text=True)
    except FileNotFoundError:
        raise Unreachable(f"there is no {command[0]} on this machine") from None
    except subprocess.CalledProcessError as error:
        said = (error.stderr or error.stdout).strip().splitlines()
        raise Unreachable(f"{' '.join(command)}: {said[0] if said else error.returncode}") from None
