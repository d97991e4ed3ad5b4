"""A worker's work is built once, though it is announced before it is ordered; its allocator."""

from __future__ import annotations

import os
import subprocess
import sys
import weakref

import pyarrow as pa
import pytest

from jobs.execution import child_work
from jobs.execution.orders import Orders, to_text
from model.errors import ConfigError

ORDERS = Orders(job_name="tests.jobs.toy", options={"slots": 1})


@pytest.fixture(autouse=True)
def nothing_announced(monkeypatch):
    monkeypatch.setattr(child_work, "_announced", None)


def test_what_was_prepared_is_used_once(monkeypatch):
    child_work.prepare(to_text(ORDERS))
    made = child_work._announced[1].result()
    assert child_work._work_of(ORDERS) is made
    assert child_work._work_of(ORDERS) is not made, "a work that was opened and closed isn't opened again"


def test_other_orders_get_a_work_of_their_own():
    child_work.prepare(to_text(ORDERS))
    other = child_work._work_of(Orders(job_name="tests.jobs.toy", options={"slots": 2}))
    assert other.options == {"slots": 2}


def test_what_is_wrong_with_the_work_is_told_when_it_is_opened():
    wrong = Orders(job_name="tests.jobs.toy", options={"weights": "new"}, checkpoint_sha256="old")
    child_work.prepare(to_text(wrong))
    with pytest.raises(ConfigError, match="weights changed"):
        child_work._work_of(wrong)


@pytest.mark.skipif("jemalloc" not in pa.supported_memory_backends(), reason="this Arrow has no jemalloc")
@pytest.mark.skipif(sys.platform != "linux", reason="set on Linux only")
@pytest.mark.parametrize("module", ["jobs.execution.child", "jobs.__main__"])
def test_tables_are_in_the_allocator_that_gives_memory_back(module):
    assert _said_after(module, "print(pyarrow.default_memory_pool().backend_name)") == "jemalloc"


@pytest.mark.skipif(sys.platform != "linux", reason="set on Linux only")
def test_a_users_allocator_is_left_alone(monkeypatch):
    monkeypatch.setenv("ARROW_DEFAULT_MEMORY_POOL", "system")
    code = "import jobs.execution.child, pyarrow; print(pyarrow.default_memory_pool().backend_name)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["system"]


def _said_after(module: str, rest: str) -> str:
    """What a new interpreter prints after it has imported a module, without settings of an allocator."""
    settings = ("ARROW_DEFAULT_MEMORY_POOL", "JE_ARROW_MALLOC_CONF")
    environment = {name: value for name, value in os.environ.items() if name not in settings}
    code = f"import {module}, pyarrow\n{rest}"
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_a_closed_worker_leaves_nothing_of_its_work_in_memory():
    class _Closed:
        def close(self):
            pass

    said = []
    tasks = child_work.Tasks(said.append)
    tasks._worker = _Closed()
    work = weakref.ref(tasks._worker)
    tasks._close()
    assert work() is None
    assert said == [{"closed": True}]
