"""Several devices on one backlog: fed evenly, none held back by a slow one, none lost with a failing one."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.engine.abstract_device import BurstReport, Generated, OutOfMemory
from model.engine.backlog import Backlog, Job
from model.engine.replicas import Replicas
from model.engine.requests import EngineStopped, Request


def ask(first: int, count: int) -> Request:
    return Request(prompt=(first,), max_new_tokens=count, stop_ids=frozenset())


class SlowDevice:
    """Completes (a,) with a + 1, a + 2, ...; a step takes `step_s`, and step number `fails_at` fails."""

    def __init__(self, slots: int = 4, *, step_s: float = 0.0, group: int = 3, fails_at: int | None = None):
        self.slots = slots
        self.step_s = step_s
        self.group = group
        self.fails_at = fails_at
        self.steps = 0
        self.lines: dict[int, tuple[int, Request, int]] = {}  # slot: ticket, request, tokens
        self.prefilled: list[int] = []
        self.gate = threading.Event()
        self.gate.set()

    def check(self, request: Request) -> None: ...

    def choose(self, waiting: Sequence[Request]) -> list[int]:
        return list(range(min(self.group, len(waiting))))

    def prefill(self, requests: Sequence[Request]) -> list[tuple[int, ...]]:
        self.prefilled += [request.prompt[0] for request in requests]
        return [request.prompt for request in requests]

    def insert(self, slot: int, staged: tuple[int, ...], request: Request, ticket: int) -> None:
        assert staged == request.prompt
        self.lines[slot] = (ticket, request, 0)

    def width_for(self, active: int, steps_left: int, *, drafts: bool) -> int:
        return self.slots

    def move(self, source: int, target: int) -> None:
        raise AssertionError("nothing is narrow here")

    def dispatch(self, leave_after: int, *, drafts: bool, width: int, is_watched: bool) -> BurstReport:
        assert self.gate.wait(10)
        self.steps += 1
        if self.fails_at is not None and self.steps >= self.fails_at:
            raise RuntimeError("the device fell off the bus\nand more")
        time.sleep(self.step_s)
        busy = 0
        for slot, (ticket, request, tokens) in self.lines.items():
            busy += tokens < request.max_new_tokens
            self.lines[slot] = (ticket, request, min(tokens + 1, request.max_new_tokens))
        ended = [
            Generated(ticket, tuple(request.prompt[0] + i + 1 for i in range(tokens)), [-1.0] * tokens)
            for ticket, request, tokens in self.lines.values()
            if tokens == request.max_new_tokens
        ]
        return BurstReport(steps=1, tokens=busy, busy=busy, ended=ended)

    def read(self, burst: BurstReport) -> BurstReport:
        return burst

    def shrink(self) -> bool:
        return False

    def stats(self) -> dict[str, float]:
        return {"slots": float(self.slots), "compile_s": 1.0}


def check_answers(requests: Sequence[Request], completions: Sequence) -> None:
    for request, completion in zip(requests, completions, strict=True):
        assert completion.tokens == tuple(request.prompt[0] + i + 1 for i in range(request.max_new_tokens))


@pytest.mark.parametrize("pipeline", [False, True])
def test_eight_devices_all_fill_their_slots(pipeline):
    devices = [SlowDevice(step_s=0.001) for _ in range(8)]
    for device in devices:
        device.gate.clear()
    replicas = Replicas(devices, pipeline=pipeline)
    requests = [ask(1000 * i, 5) for i in range(400)]
    futures = replicas.submit(requests)
    deadline = time.monotonic() + 10
    while any(len(device.prefilled) < device.slots for device in devices) and time.monotonic() < deadline:
        time.sleep(0.001)
    filled = {len(device.prefilled) for device in devices}
    for device in devices:
        device.gate.set()
    check_answers(requests, [future.result(30) for future in futures])
    replicas.close()
    assert filled == {6}  # slots and a group that is ahead
    parts = [len(device.prefilled) for device in devices]
    assert sum(parts) == 400
    assert min(parts) >= 6  # how many more depends on the machine's other work
    assert replicas.stats()["slots"] == 32
    assert replicas.stats()["compile_s"] == 1.0  # side by side


def test_few_requests_are_spread_over_all_devices():
    devices = [SlowDevice(slots=64, group=16) for _ in range(8)]
    for device in devices:
        device.gate.clear()
    replicas = Replicas(devices)
    futures = replicas.submit([ask(1000 * i, 3) for i in range(48)])
    deadline = time.monotonic() + 10
    while sum(len(device.prefilled) for device in devices) < 48 and time.monotonic() < deadline:
        time.sleep(0.001)
    assert [len(device.prefilled) for device in devices] == [6] * 8
    for device in devices:
        device.gate.set()
    assert all(future.result(10) for future in futures)
    replicas.close()


def test_a_slow_device_takes_few_requests_and_holds_none_back():
    slow, *fast = devices = [SlowDevice(step_s=0.001) for _ in range(4)]
    slow.gate.clear()  # it doesn't move at all
    replicas = Replicas(devices)
    requests = [ask(1000 * i, 3) for i in range(200)]
    futures = replicas.submit(requests)
    deadline = time.monotonic() + 20
    while sum(future.done() for future in futures) < 200 - len(slow.prefilled) and time.monotonic() < deadline:
        time.sleep(0.001)
    held = len(slow.prefilled)
    assert held <= slow.slots + slow.group
    assert sum(future.done() for future in futures) == 200 - held
    slow.gate.set()
    check_answers(requests, [future.result(10) for future in futures])
    replicas.close()
    assert all(len(device.prefilled) > held for device in fast)


@pytest.mark.parametrize("pipeline", [False, True])
def test_the_requests_of_a_failed_device_are_finished_by_the_others(pipeline, caplog):
    devices = [SlowDevice(fails_at=at, step_s=0.001) for at in (5, None, 9)]
    replicas = Replicas(devices, pipeline=pipeline)
    requests = [ask(1000 * i, 1 + i % 7) for i in range(150)]
    check_answers(requests, [future.result(10) for future in replicas.submit(requests)])
    more = [ask(7, 2)]
    check_answers(more, [future.result(10) for future in replicas.submit(more)])
    replicas.close()
    assert (replicas.stats()["requests_done"], replicas.stats()["requests_failed"]) == (151, 0)
    warnings = [record.getMessage() for record in caplog.records]
    assert len(warnings) == 2
    assert "one of 3 devices failed (RuntimeError: the device fell off the bus); its" in warnings[0]
    assert warnings[0].endswith("unfinished requests go to the other 2")
    assert not any("\n" in warning for warning in warnings)


def test_a_device_that_fails_while_the_engine_closes_loses_no_request():
    failing, other = SlowDevice(fails_at=2), SlowDevice()
    failing.gate.clear()
    replicas = Replicas([failing, other])
    futures = replicas.submit([ask(1000 * i, 3) for i in range(6)])
    closer = threading.Thread(target=replicas.close)
    closer.start()
    deadline = time.monotonic() + 10
    while not (replicas._backlog.is_closed and any(future.done() for future in futures)):
        assert time.monotonic() < deadline
        time.sleep(0.001)
    failing.gate.set()
    closer.join(10)
    assert all(future.exception(0) is None for future in futures)


def test_when_the_last_device_fails_all_futures_fail_with_its_error():
    replicas = Replicas([SlowDevice(fails_at=3), SlowDevice(fails_at=6)])
    futures = replicas.submit([ask(1000 * i, 50) for i in range(40)])
    for future in futures:
        error = future.exception(10)
        assert isinstance(error, EngineStopped)
        assert isinstance(error.__cause__, RuntimeError)
    with pytest.raises(EngineStopped):
        replicas.submit([ask(1, 1)])
    replicas.close()
    assert replicas.stats()["requests_failed"] == 40


def test_a_device_out_of_memory_that_cannot_shrink_is_replaced_by_the_others():
    class Full(SlowDevice):
        def dispatch(self, leave_after: int, *, drafts: bool, width: int, is_watched: bool) -> BurstReport:
            raise OutOfMemory("no room")

    replicas = Replicas([Full(), SlowDevice()])
    requests = [ask(1000 * i, 3) for i in range(20)]
    check_answers(requests, [future.result(10) for future in replicas.submit(requests)])
    replicas.close()


@given(data=st.data())
def test_a_backlog_hands_out_each_request_once_and_to_each_its_share(data):
    """Any order of taking, finishing, giving back and failing ends with every request finished once."""
    members = list(range(data.draw(st.integers(1, 5))))
    backlog = Backlog()
    for member in members:
        backlog.join(member)
    jobs = [Job(ask(i, 1), Future()) for i in range(data.draw(st.integers(0, 60)))]
    backlog.submit(jobs)
    held: dict[int, list[Job]] = {member: [] for member in members}
    finished: list[Job] = []
    for _ in range(data.draw(st.integers(0, 40))):
        member = data.draw(st.sampled_from(sorted(held)))
        match data.draw(st.sampled_from(["take", "finish", "give back", "fail"])):
            case "take":
                unfinished = len(backlog) + sum(map(len, held.values()))
                group = backlog.take(member, lambda waiting: range(min(16, len(waiting))))
                held[member] += group
                assert len(held[member]) <= -(-unfinished // len(held)) or not group
            case "finish" if held[member]:
                finished.append(held[member].pop(0))
                backlog.finished(member, 1)
            case "give back":
                backlog.give_back(member, held[member])
                held[member] = []
            case "fail" if len(held) > 1:
                backlog.leave(member, held.pop(member), RuntimeError("gone"))
    while len(backlog) or any(held.values()):  # never stuck: whoever has nothing may take something
        for member in held:
            finished += held[member]
            backlog.finished(member, len(held[member]))
            held[member] = backlog.take(member, lambda waiting: [0])
    assert sorted(map(id, finished)) == sorted(map(id, jobs))
