from __future__ import annotations

import fcntl
import itertools
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from transforms import row_pool
from transforms.out_of_memory import OomKills
from transforms.row_pool import CRASHED, RowPool
from transforms.rows.row import Row, SourceRef
from transforms.work import WorkBroken


class Doubler:
    """Doubles numbers; 13 crashes its process, 7 raises."""

    def open(self):
        self.factor = 2

    def double(self, number):
        if number == 13:
            os.kill(os.getpid(), signal.SIGKILL)
        if number == 7:
            raise ValueError("seven")
        return number * self.factor

    def interrupt(self, number):
        """As a terminal's Ctrl-C, which reaches all processes of a command."""
        os.kill(os.getpid(), signal.SIGINT)
        return number


@pytest.fixture
def pool():
    pool = RowPool(Doubler(), workers=1)
    yield pool
    pool.close()


def test_results_come_back_in_the_order_of_the_items(pool):
    calls = [pool.apply("double", range(start, start + 5)) for start in (0, 20, 40)]
    assert [call() for call in calls] == [[2 * i for i in range(s, s + 5)] for s in (0, 20, 40)]


def test_ctrl_c_is_not_for_the_processes_of_the_pool(pool):
    assert pool.apply("interrupt", [1])() == [1]
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, []), "it is for the driver"


def test_inline_calls_give_the_same_results():
    inline = RowPool(Doubler(), workers=0)
    inline.open()
    assert inline.apply("double", [1, 2])() == [2, 4]


class Heavy(Doubler):
    """Stages of more bytes than a pipe holds."""

    def __init__(self):
        self.rules = bytes(1 << 20)


@pytest.mark.timeout(60)
def test_a_process_that_dies_before_it_reads_anything_does_not_stop_the_pool(tmp_path, monkeypatch):
    once = tmp_path / "once"
    once.touch()
    # Runs when a process starts, before anything else.
    (tmp_path / "sitecustomize.py").write_text(
        f"import os\nif os.path.exists({str(once)!r}):\n    os.unlink({str(once)!r}); os.kill(os.getpid(), 9)\n"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
    pool = RowPool(Heavy(), workers=1)
    assert pool.apply("double", [1, 2])() == [2, 4]
    assert not once.exists()
    pool.close()


def test_an_item_that_crashes_its_process_is_named_and_its_neighbors_come_out(pool):
    crashing = pool.apply("double", [1, 13, 3])
    innocent = pool.apply("double", [4, 5])
    results = []
    threads = [threading.Thread(target=lambda call=call: results.append(call())) for call in (crashing, innocent)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results, key=len) == [[8, 10], [2, CRASHED, 6]]
    assert pool.apply("double", [6])() == [12]


def test_an_exception_of_an_item_reaches_its_caller_alone(pool):
    with pytest.raises(ValueError, match="seven"):
        pool.apply("double", [7])()
    assert pool.apply("double", [8])() == [16]


class Unready:
    """Stages that can't be opened."""

    def open(self):
        raise ValueError("no rules")

    def double(self, number):
        return number


def test_processes_that_never_get_ready_are_no_items_fault():
    pool = RowPool(Unready(), workers=1)
    with pytest.raises(WorkBroken, match="before they are ready"):
        pool.apply("double", [1])()
    pool.close()


class Pids:
    """Returns the id of the process that it runs in."""

    def open(self):
        pass

    def pid(self, item):
        return os.getpid()


def test_pool_processes_end_when_their_parent_is_killed():
    program = (
        "import os, signal\n"
        "from tests.transforms.test_row_pool import Pids\n"
        "from transforms.row_pool import RowPool\n"
        "if __name__ == '__main__':\n"
        "    pool = RowPool(Pids(), workers=1)\n"
        "    pool.open()\n"
        "    print(pool.apply('pid', [0])()[0], flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    # They share its standard output, so that this call ends only when the last of them has.
    environment = {**os.environ, "PYTHONPATH": "."}
    killed = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, env=environment, timeout=120)
    assert (killed.returncode, int(killed.stdout) > 1) == (-signal.SIGKILL, True)


class Waiting:
    """Each item is the name of a file; the stage waits until it is there."""

    def open(self):
        pass

    def wait_for(self, path):
        while not os.path.exists(path):
            time.sleep(0.01)
        return path


def test_each_row_of_a_chunk_is_progress_while_the_chunk_is_in_flight(tmp_path):
    pool = RowPool(Waiting(), workers=1)
    paths = [str(tmp_path / str(number)) for number in range(16)]
    collect = pool.apply("wait_for", paths)
    before = pool.rows_done
    seen = []
    for path in paths:
        open(path, "w").close()
        while pool.rows_done == before + len(seen):
            time.sleep(0.01)
        seen.append(pool.rows_done - before)
    assert seen == list(range(1, 17))
    assert collect() == paths
    pool.close()


def test_rows_done_in_line_are_progress_too():
    pool = RowPool(Doubler(), workers=0)
    pool.open()
    before = pool.rows_done
    pool.apply("double", [1, 2, 3])()
    assert pool.rows_done == before + 3


def test_the_row_at_which_a_process_ran_out_of_memory_is_named(caplog, monkeypatch):
    counts = itertools.count()
    monkeypatch.setattr(row_pool, "count_oom_kills", lambda: OomKills(next(counts), "memory.events"))
    pool = RowPool(Killer(), workers=1)
    row = Row(
        source=SourceRef("in.parquet", 2, 5), content="secret", content_sha256="", redacted_sha256="", path="",
        repo_name="", language="", columns={},
    )  # fmt: skip
    assert pool.apply("kill", [row])() == [CRASHED]
    pool.close()
    assert "probably out of memory: memory.events counted an OOM kill" in caplog.text
    assert "SourceRef(uri='in.parquet', row_group=2, row=5); fewer --workers need less memory" in caplog.text
    assert "secret" not in caplog.text


class Killer:
    """Its process is killed at every item."""

    def open(self):
        pass

    def kill(self, row):
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.skipif(not hasattr(fcntl, "F_GETPIPE_SZ"), reason="pipes have a size that can be asked for on Linux alone")
def test_a_processs_result_and_its_next_rows_fit_into_the_pipes(pool):
    assert pool.apply("double", [1])() == [2]
    processes = pool._current_pool()
    for pipe in (processes._call_queue._writer, processes._result_queue._writer):
        assert fcntl.fcntl(pipe.fileno(), fcntl.F_GETPIPE_SZ) >= 1 << 20
