"""How many processes a job gets on a machine, and what each may have in flight."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from jobs.execution import processes
from jobs.execution.processes import processes_ahead, processes_of, units_in_flight
from model.errors import ConfigError
from tests.jobs.toy import ToyWork
from tests.jobs.uppercase import Options


class Spreading(ToyWork):
    spreads_rows = True


def options(**given: object) -> Options:
    return Options(input=("in",), output="out", **given)


@pytest.fixture
def machine(monkeypatch):
    """Sets the cores and megabytes that a process may use."""

    def be(cores: int, mb: int) -> None:
        monkeypatch.setattr(processes, "available_cores", lambda: cores)
        monkeypatch.setattr(processes, "available_memory", lambda: mb * 1_000_000)

    return be


def test_there_is_a_worker_a_core(machine) -> None:
    machine(64, 1_000_000)
    assert processes_of(options(), ToyWork({})).workers == 64
    assert processes_of(options(workers=3), ToyWork({})).workers == 3


@pytest.fixture
def large(tmp_path) -> Path:
    """A folder with 100 MB of files, and others that aren't input."""
    for name, mb in (("a.parquet", 40), ("b.parquet", 60), ("notes.txt", 500)):
        with open(tmp_path / name, "wb") as file:
            file.truncate(mb * 1_000_000)
    return tmp_path


@pytest.mark.parametrize("named", [".", "*.parquet", "a.parquet b.parquet", "none.parquet ."])
def test_a_large_local_input_has_its_workers_started_ahead(machine, large, named) -> None:
    machine(64, 1_000_000)
    there = Options(input=tuple(str(large / name) for name in named.split()), output="out")
    assert processes_ahead(there) == 100 // 16
    assert processes_ahead(dataclasses.replace(there, workers=2)) == 2


@pytest.mark.parametrize("named", ["none", "none/*.parquet", "gs://bucket/*.parquet", "small.parquet"])
def test_one_worker_is_started_ahead_where_the_input_is_small_or_not_known(machine, tmp_path, named) -> None:
    machine(64, 1_000_000)
    (tmp_path / "small.parquet").write_bytes(b"x" * 1000)
    name = named if "://" in named else str(tmp_path / named)
    assert processes_ahead(Options(input=(name,), output="out")) == 1


def test_no_more_are_started_ahead_than_memory_holds(machine, large) -> None:
    machine(64, 600)
    there = Options(input=(str(large),), output="out")
    assert processes_ahead(there) == 2
    assert processes_ahead(dataclasses.replace(there, workers=5)) == 1  # which is refused later


def test_a_work_that_spreads_its_rows_itself_gets_one_worker(machine) -> None:
    machine(64, 1_000_000)
    assert processes_of(options(), Spreading({})).workers == 1
    assert processes_of(options(workers=3), Spreading({})).workers == 1


def test_memory_bounds_the_workers_and_leaves_one(machine) -> None:
    machine(64, 2_000)
    assert processes_of(options(), ToyWork({})).workers == 2_000 // (250 + 5 * 16)
    machine(1, 100)
    assert processes_of(options(), ToyWork({})).workers == 1


def test_more_workers_than_memory_holds_are_refused_with_what_fits(machine) -> None:
    machine(64, 2_000)
    expected = r"--workers 64 need about 21.1 GB \(330 MB each\), but 2.0 GB are available; at most 6 fit, more with"
    with pytest.raises(ConfigError, match=expected):
        processes_of(options(workers=64), ToyWork({}))


def test_a_container_of_512_mb_has_one_worker_and_says_that_two_do_not_fit(machine) -> None:
    machine(2, 512)
    assert processes_of(options(), ToyWork({})).workers == 1
    expected = r"--workers 2 need about 0.7 GB \(330 MB each\), but 0.5 GB are available; at most 1 fits, more with"
    with pytest.raises(ConfigError, match=expected):
        processes_of(options(workers=2), ToyWork({}))


def test_one_worker_is_never_refused(machine) -> None:
    machine(1, 100)
    assert processes_of(options(workers=1), ToyWork({})).workers == 1


def test_units_in_flight_follow_the_work_unless_they_are_given(machine) -> None:
    machine(2, 10_000)
    assert processes_of(options(), ToyWork({})).max_units_in_flight == 1
    assert processes_of(options(), Spreading({})).max_units_in_flight == 4
    assert processes_of(options(), Spreading({})).max_bytes_in_flight == 512_000_000
    given = processes_of(options(max_units_in_flight=7, max_mb_in_flight=50), ToyWork({}))
    assert (given.max_units_in_flight, given.max_bytes_in_flight) == (7, 50_000_000)


def in_flight(work=Spreading, *, units=8, num_bytes=1_000, is_shared=False, **given: object) -> int:
    found = options(**given)
    return units_in_flight(
        found, work({}), processes_of(found, work({})), units=units, num_bytes=num_bytes, is_shared=is_shared
    )


def test_small_units_of_a_small_plan_are_in_flight_together_so_that_slots_stay_full(machine) -> None:
    machine(2, 10_000)
    assert in_flight() == in_flight(units=16, num_bytes=64_000_000) == 8
    assert in_flight(units=17) == in_flight(num_bytes=64_000_001) == in_flight(unit_mb=1, num_bytes=4_000_001) == 4


def test_units_in_flight_are_as_ever_where_units_are_given_shared_or_quick(machine) -> None:
    machine(2, 10_000)
    assert in_flight(unit_rows=10) == in_flight(is_shared=True) == 4
    assert in_flight(max_units_in_flight=2) == 2
    assert in_flight(ToyWork) == 1
