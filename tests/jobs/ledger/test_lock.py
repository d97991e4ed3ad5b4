from __future__ import annotations

import dataclasses
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from jobs import storage
from jobs.ledger import lock
from jobs.storage.folders import JobFolder
from model.errors import ConfigError


@pytest.fixture
def job_dir(tmp_path) -> JobFolder:
    return JobFolder(storage.join(str(tmp_path), "out", "_job"))


def another(**changes) -> lock.Holder:
    """A holder that differs from this process only by its token and `changes`."""
    return dataclasses.replace(lock.this_process(), **changes)


def gone() -> lock.Holder:
    """A process of this host that has ended."""
    child = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    return another(pid=int(child.stdout), started=1)


def test_a_live_holder_is_named_and_keeps_the_lock(job_dir):
    with lock.acquire(job_dir, me=another(user="ada", command="codemill infill")) as held:
        with pytest.raises(ConfigError, match=r"out is being written by process \d+ of ada on .* since .*--break_lock"):
            lock.acquire(job_dir)
        assert held.still_held()


def test_a_released_lock_is_free_again(job_dir):
    with lock.acquire(job_dir):
        pass
    with lock.acquire(job_dir) as second:
        assert second.generation == 2


def test_a_lock_of_a_process_that_is_gone_is_taken_over_with_a_warning(job_dir, caplog):
    dead = lock.acquire(job_dir, me=gone())
    live = lock.acquire(job_dir)
    assert live.still_held()
    assert not dead.still_held()
    assert "taking over" in caplog.text


def test_a_pid_that_was_given_to_another_process_doesnt_keep_a_lock(job_dir):
    lock.acquire(job_dir, me=another(started=1))
    assert lock.acquire(job_dir).still_held()


@pytest.mark.parametrize(
    "elsewhere",
    [{"host": "another-host"}, {"pid_namespace": "pid:[1]"}, {"boot_id": "before", "machine_id": "another"}],
    ids=["host", "container", "machine"],
)
def test_what_cant_be_proved_dead_keeps_the_lock(job_dir, elsewhere):
    lock.acquire(job_dir, me=dataclasses.replace(gone(), **elsewhere))
    with pytest.raises(ConfigError, match="--break_lock"):
        lock.acquire(job_dir)
    assert lock.acquire(job_dir, break_lock=True).still_held()


def test_a_machine_that_has_rebooted_holds_nothing(job_dir):
    if not lock.this_process().machine_id:
        pytest.skip("this machine has no /etc/machine-id")
    lock.acquire(job_dir, me=another(boot_id="before"))
    assert lock.acquire(job_dir).still_held()


def test_the_driver_whose_lock_was_broken_finds_out(job_dir):
    first = lock.acquire(job_dir)
    second = lock.acquire(job_dir, break_lock=True)
    assert not first.still_held()
    first.release()  # late, and without effect
    assert second.still_held()


def test_of_many_drivers_that_find_a_dead_holder_one_takes_over(job_dir):
    lock.acquire(job_dir, me=gone())
    start = threading.Barrier(8)

    def race(_: int) -> lock.Lock | None:
        me = lock.this_process()
        start.wait()
        try:
            return lock.acquire(job_dir, me=me)
        except ConfigError:
            return None

    with ThreadPoolExecutor(8) as pool:
        held = [won for won in pool.map(race, range(8)) if won]
    assert len(held) == 1
    assert held[0].still_held()


def test_a_create_whose_response_was_lost_is_recognized_as_a_success(job_dir, monkeypatch):
    create = storage.create_if_absent

    def forgetful(path: str, data: bytes) -> bool:
        create(path, data)
        return False

    monkeypatch.setattr(storage, "create_if_absent", forgetful)
    assert lock.acquire(job_dir).still_held()


def test_the_lock_works_on_gcs(gcs_root):
    job_dir = JobFolder(storage.join(gcs_root, "out", "_job"))
    with lock.acquire(job_dir) as first:
        with pytest.raises(ConfigError):
            lock.acquire(job_dir)
        assert first.still_held()
    assert lock.acquire(job_dir).generation == 2
