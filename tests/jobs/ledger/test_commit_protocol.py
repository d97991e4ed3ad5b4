"""The commit protocol against a storage that loses responses, and writers that repeat, die and resume.

Each attempt runs the real `commit_unit` in a separate thread, and hypothesis decides at every storage operation which
attempt proceeds next and what happens to it:

    ok      the operation works                   echo    it works, and reports "exists" (the client sent it twice)
    fail    it fails and raises                   lost    it works, and its response is lost
    crash   the writer dies before it             crash_after   the writer dies right after it

Every attempt's rows contain the attempt's name, so a mix of two attempts can't pass for either.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import threading
from collections import Counter
from collections.abc import Collection

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from jobs.ledger import commits
from jobs.storage.folders import JobFolder
from transforms.rows.rejections import REJECTED_SCHEMA
from transforms.work import Unit, UnitResult

JOB_DIR = JobFolder("sim://out/_job")
UNITS = [
    Unit(unit_id=f"{n:06d}-sim", uri="in", version="1", row_group=n, row_start=0, row_count=3, num_bytes=1)
    for n in range(3)
]
FAULTS = ["ok", "ok", "ok", "ok", "fail", "lost", "echo", "crash", "crash_after"]


class Crash(BaseException):
    """The writer's process is gone: none of its handlers may run as if nothing had happened."""


class Attempt:
    """One writer in a thread, which waits at each storage operation until `step` lets it proceed."""

    def __init__(self, objects: dict[str, bytes], unit: Unit, attempt_id: str):
        self.unit = unit
        self.attempt_id = attempt_id
        self.returned: commits.CommitRecord | None = None
        self.finished = False
        self._objects = objects
        self._volatile: set[str] = set()
        self._fault = "ok"
        self._go = threading.Semaphore(0)
        self._at_rest = threading.Semaphore(0)
        threading.Thread(target=self._run, daemon=True).start()
        self._at_rest.acquire()

    def step(self, fault: str) -> None:
        """Lets it do one storage operation, with the given fault."""
        self._fault = fault
        self._go.release()
        assert self._at_rest.acquire(timeout=30), "the writer is stuck"

    def _run(self) -> None:
        try:
            result = result_of(self.unit, self.attempt_id)
            self.returned = commits.commit_unit(
                JOB_DIR, self.unit, self.attempt_id, result, config_hash="c", store=self
            )
        except (Crash, OSError):
            pass  # it died, or it gave up: the unit is for a later attempt
        finally:
            self.finished = True
            self._at_rest.release()

    def _operation(self, effect):
        """One operation: waits for its turn, then applies the fault."""
        self._at_rest.release()
        self._go.acquire()
        fault = self._fault
        if fault == "crash":
            raise Crash
        if fault == "fail":
            raise OSError("no answer")
        answer = effect()
        if fault == "crash_after":
            raise Crash
        if fault == "lost":
            raise OSError("the answer got lost")
        return False if fault == "echo" and answer is True else answer

    # The storage functions that `commit_unit` uses.

    def create_if_absent(self, path: str, data: bytes) -> bool:
        def effect() -> bool:
            assert not self._volatile, "a commit names files that a power loss may take"
            if path in self._objects:
                return False
            self._objects[path] = data
            return True

        return self._operation(effect)

    def read_bytes(self, path: str) -> bytes:
        return self._operation(lambda: self._objects[path])

    def open_input(self, path: str) -> io.BytesIO:
        return io.BytesIO(self._objects[path])

    @contextlib.contextmanager
    def open_output(self, path: str, *, durable: bool = True):
        file = HashedBuffer()
        yield file

        def effect() -> None:
            assert path not in self._objects, "an attempt's file was written twice"
            self._objects[path] = file.getvalue()
            if not durable:
                self._volatile.add(path)

        self._operation(effect)

    def make_durable(self, paths: Collection[str]) -> None:
        self._operation(lambda: self._volatile.difference_update(paths))


class HashedBuffer(io.BytesIO):
    @property
    def bytes(self) -> int:
        return len(self.getvalue())

    @property
    def sha256(self) -> str:
        return sha256(self.getvalue())

    def close(self) -> None:
        """Stays readable after the Parquet writer has closed it."""


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def result_of(unit: Unit, attempt_id: str) -> UnitResult:
    kept = pa.table({"row": [0, 2], "attempt": [attempt_id] * 2})
    row = {"kind": "row", "uri": "in", "row_group": unit.row_group, "row": 1, "stage": "s", "reason": "r"}
    rejected = pa.Table.from_pylist([{**row, "detail": attempt_id}], schema=REJECTED_SCHEMA)
    return UnitResult(kept, rejected, Counter(rows_in=3, rows_kept=2, rows_rejected=1))


@functools.cache
def rows_of(data: bytes) -> list[dict]:
    return pq.read_table(pa.BufferReader(data), use_threads=False).to_pylist()


class CommitProtocol(RuleBasedStateMachine):
    """Model: the first commit of each unit, which must stay intact and be what every writer returns."""

    def __init__(self) -> None:
        super().__init__()
        self.objects: dict[str, bytes] = {}
        self.attempts: list[Attempt] = []
        self.winners: dict[str, commits.CommitRecord] = {}
        self.dataset: list[tuple] | None = None

    def commit_of(self, unit: Unit) -> commits.CommitRecord | None:
        data = self.objects.get(JOB_DIR.commit(unit.unit_id))
        return None if data is None else commits.CommitRecord.from_json(data)

    def running(self) -> list[Attempt]:
        return [attempt for attempt in self.attempts if not attempt.finished]

    @precondition(lambda self: len(self.running()) < 6)
    @rule(unit=st.sampled_from(UNITS))
    def begin_an_attempt(self, unit: Unit) -> None:
        """By the same driver, a second one, or a runner that repeats bundles: there is no difference."""
        self.attempts.append(Attempt(self.objects, unit, f"attempt-{len(self.attempts):03d}"))

    @precondition(lambda self: self.running())
    @rule(data=st.data(), fault=st.sampled_from(FAULTS))
    def let_an_attempt_proceed(self, data, fault: str) -> None:
        """Possibly long after others have won: a zombie."""
        data.draw(st.sampled_from(self.running())).step(fault)

    @precondition(lambda self: self.running())
    @rule(data=st.data())
    def let_an_attempt_run_to_its_end(self, data) -> None:
        attempt = data.draw(st.sampled_from(self.running()))
        while not attempt.finished:
            attempt.step("ok")
        assert attempt.returned == self.commit_of(attempt.unit)

    @precondition(lambda self: all(map(self.commit_of, UNITS)))
    @rule()
    def finalize(self) -> None:
        """By any driver: it reads the same rows each time, and orphans may be deleted."""
        named = set()
        for unit in UNITS:
            named |= {f"{JOB_DIR}/{file.path}" for file in self.commit_of(unit).files.values()}
        for path in [path for path in self.objects if "/attempts/" in path and path not in named]:
            del self.objects[path]
        dataset = self.read_dataset()
        assert self.dataset in (None, dataset)
        self.dataset = dataset
        assert [row[:2] for row in dataset] == [(unit.unit_id, row) for unit in UNITS for row in (0, 1, 2)]

    def read_dataset(self) -> list[tuple]:
        rows = []
        for unit in UNITS:
            files = self.commit_of(unit).files
            tables = {name: self.read_table(file) for name, file in files.items()}
            kept = [(unit.unit_id, row["row"], row["attempt"]) for row in tables["kept"]]
            rows += sorted(kept + [(unit.unit_id, row["row"], row["detail"]) for row in tables["rejected"]])
        return rows

    def read_table(self, file: commits.FileRecord) -> list[dict]:
        data = self.objects[f"{JOB_DIR}/{file.path}"]
        assert (len(data), sha256(data)) == (file.bytes, file.sha256)
        return rows_of(data)

    @invariant()
    def a_commit_stays_and_names_whole_files_of_one_attempt(self) -> None:
        for unit in UNITS:
            record = self.commit_of(unit)
            assert (
                record == self.winners.setdefault(unit.unit_id, record) if record else unit.unit_id not in self.winners
            )
            if record:
                said = {row["attempt"] for row in self.read_table(record.files["kept"])}
                said |= {row["detail"] for row in self.read_table(record.files["rejected"])}
                assert said == {record.attempt_id}

    @invariant()
    def every_attempt_that_returned_has_the_commit_that_counts(self) -> None:
        for attempt in self.attempts:
            if attempt.returned is not None:
                assert attempt.returned == self.winners[attempt.unit.unit_id]

    def teardown(self) -> None:
        """Whatever has happened, resuming finishes every unit, and no row is lost or duplicated."""
        for attempt in self.running():
            while not attempt.finished:
                attempt.step("crash")
        for unit in UNITS:
            if self.commit_of(unit) is None:
                self.begin_an_attempt(unit)
                while not self.attempts[-1].finished:
                    self.attempts[-1].step("ok")
        self.a_commit_stays_and_names_whole_files_of_one_attempt()
        self.finalize()


@pytest.fixture(autouse=True, scope="module")
def no_delay():
    before, commits._RETRY_DELAY_S = commits._RETRY_DELAY_S, 0.0
    yield
    commits._RETRY_DELAY_S = before


TestCommitProtocol = CommitProtocol.TestCase
TestCommitProtocol.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)


def test_the_machine_notices_a_protocol_that_overwrites():
    """Checks the state machine itself: with a create that replaces, it must fail."""

    class Overwriting(CommitProtocol):
        pass

    def replacing(self: Attempt, path: str, data: bytes) -> bool:
        return self._operation(lambda: self._objects.update({path: data}) is None)

    original, Attempt.create_if_absent = Attempt.create_if_absent, replacing
    try:
        case = Overwriting.TestCase
        # Shrinking what fails on purpose is of no use, and whether it is found mustn't depend on luck.
        case.settings = settings(
            max_examples=2000,
            stateful_step_count=40,
            deadline=None,
            database=None,
            phases=(Phase.generate,),
            derandomize=True,
        )
        with pytest.raises(AssertionError):
            case("runTest").runTest()
    finally:
        Attempt.create_if_absent = original
