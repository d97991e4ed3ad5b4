from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from transforms.row_pool import CRASHED, RowPool
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


@pytest.fixture
def pool():
    pool = RowPool(Doubler(), workers=1)
    yield pool
    pool.close()


def test_results_come_back_in_the_order_of_the_items(pool):
    calls = [pool.apply("double", range(start, start + 5)) for start in (0, 20, 40)]
    assert [call() for call in calls] == [[2 * i for i in range(s, s + 5)] for s in (0, 20, 40)]


def test_inline_calls_give_the_same_results():
    inline = RowPool(Doubler(), workers=0)
    inline.open()
    assert inline.apply("double", [1, 2])() == [2, 4]


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
