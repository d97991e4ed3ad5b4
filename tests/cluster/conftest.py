"""Clusters, corpora and the record of the cluster tests (`make test-cluster`)."""

from __future__ import annotations

import functools
import random
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.filter_inputs import stdlib_files
from tests.cluster import machines, parts
from tests.cluster.commands import MARK, Command, until, workers
from tests.cluster.record import Record
from tests.cluster.spark import SparkCluster

_RECORD = pytest.StashKey[Record]()
BIG_REPOSITORY = 150  # files; the other repositories have a file of average size or less each


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_RECORD] = Record()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A part that was skipped fails the session: what can be had must have been run."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []  # xdist's workers have none
    ours = [report for report in skipped if "tests/cluster" in report.nodeid]
    for report in ours:
        session.config.stash[_RECORD].add("not_run", what=report.nodeid, why=str(report.longrepr))
    if ours:
        session.exitstatus = 1


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for line in config.stash[_RECORD].lines():
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def record(request: pytest.FixtureRequest) -> Record:
    return request.config.stash[_RECORD]


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for everything, which no other session has."""
    return tmp_path_factory.mktemp("cluster")


@pytest.fixture(scope="session")
def mark() -> Iterator[str]:
    """In the environment of all workers of this session, none of which may outlive it."""
    yield (mark := uuid.uuid4().hex)
    until(lambda: not workers(mark, ""))


@pytest.fixture(scope="session")
def boot(place: Path, mark: str) -> Path:
    """The boot command as one word."""
    return machines.write_boot(place, **{MARK: mark, "JAX_PLATFORMS": "cpu"})


def had(record: Record, what: str, get: Callable[[], Path]) -> Path:
    """A part; one that no server gives is named in the record, and what needs it fails."""
    try:
        return get()
    except parts.Unreachable as error:
        record.add("unreachable", what=what, why=str(error))
        raise


@pytest.fixture(scope="session")
def cluster(place: Path, record: Record) -> Iterator[machines.FlinkCluster]:
    """A Flink cluster of two TaskManagers."""
    (folder := place / "flink").mkdir()
    flink = had(record, "Flink", parts.flink)
    job_server = had(record, "Beam's Flink runner", parts.job_server_jar)
    with machines.FlinkCluster(folder, flink=flink, job_server=job_server) as found:
        record.add("parts", what="Flink", answer=found.overview(), job_server=job_server.parent.name)
        yield found


@pytest.fixture(scope="session")
def spark(place: Path, record: Record) -> Iterator[SparkCluster]:
    """A Spark cluster of two workers."""
    (folder := place / "spark").mkdir()
    with SparkCluster(folder, spark=had(record, "Spark and Beam's runner for it", parts.spark)) as found:
        answer = {key: found.overview()[key] for key in ("status", "aliveworkers", "cores")}
        record.add("parts", what="Spark", version=parts.SPARK_VERSION, runner=parts.SPARK_RUNNER, answer=answer)
        yield found


@pytest.fixture(scope="session")
def python_service(place: Path) -> Iterator[machines.JobService]:
    with machines.python_service(place) as service:
        yield service


@pytest.fixture(scope="session")
def prism(place: Path, record: Record) -> Iterator[machines.JobService]:
    with machines.prism_service(place, had(record, "Prism", parts.prism)) as service:
        record.add("parts", what="Prism", answer=parts.PRISM)
        yield service


@pytest.fixture(scope="session")
def corpus(place: Path) -> Path:
    """Part of the standard library as a corpus in which one repository is a hundred times larger than each other."""
    draw = random.Random(1)
    small = [path for path in stdlib_files() if 500 < path.stat().st_size < 30_000]
    rows = []
    for number, path in enumerate(draw.sample(small, BIG_REPOSITORY + 4)):
        repo = "python/large" if number < BIG_REPOSITORY else f"python/small{number - BIG_REPOSITORY}"
        text = path.read_text(encoding="utf-8", errors="replace")
        if number >= BIG_REPOSITORY:
            text = "\n".join(text.splitlines()[:40])
        rows.append({"content": text, "path": path.name, "repo_name": repo, "language": "Python"})
    rows += [{**row, "path": f"copies/{row['path']}"} for row in draw.sample(rows, 20)]  # for dedup
    draw.shuffle(rows)
    (folder := place / "corpus").mkdir()
    for number in range(2):
        pq.write_table(pa.Table.from_pylist(rows[number::2]), folder / f"part-{number}.parquet", row_group_size=30)
    return folder


@pytest.fixture(scope="session")
def long_corpus(place: Path) -> Path:
    """The standard library as a corpus of a hundred units: work for some time, so that kills fall in its middle."""
    files = [path for path in stdlib_files() if path.stat().st_size > 500]
    rows = [{"content": path.read_text(errors="replace"), "path": path.name, "language": "Python"} for path in files]
    (folder := place / "long-corpus").mkdir()
    pq.write_table(pa.Table.from_pylist(rows), folder / "part-0.parquet", row_group_size=50)
    return folder


@pytest.fixture(scope="session")
def local_run(place: Path) -> Callable[..., Path]:
    """The output of a job on this machine, without Beam; run once for each command."""

    @functools.cache
    def run(*words: str) -> Path:
        command = Command(words, place / f"local-{uuid.uuid4().hex[:8]}")
        assert command.wait() == 0, command.said
        return command.output

    return run
