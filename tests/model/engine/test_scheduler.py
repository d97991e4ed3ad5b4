"""The scheduler on a device whose tokens and latency are worked out by hand.

The device completes a prompt (a, ...) with a + 1, a + 2, ... up to max_new_tokens; a stop id ends it. One
decode step takes one second of its own clock.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.engine.abstract_device import BurstReport, Generated, OutOfMemory
from model.engine.backlog import PATIENCE
from model.engine.replicas import Replicas
from model.engine.requests import EngineStopped, Request
from model.engine.stopping import StopTexts
from model.errors import RecordError


def ask(first: int, count: int, *, stop: int | None = None) -> Request:
    return Request(prompt=(first,), max_new_tokens=count, stop_ids=frozenset() if stop is None else frozenset({stop}))


@dataclass
class FakeSlot:
    ticket: int
    request: Request
    tokens: list[int] = field(default_factory=list)
    stop_id: int | None = None
    is_active: bool = True

    def is_over(self) -> bool:
        """Whether nobody waits for more of it."""
        stops = self.request.stop_texts
        return not self.is_active or (stops is not None and stops.watch().end(self.tokens) is not None)


class FakeDevice:
    """A device of `slots` slots, whose bursts take up to `burst_steps` steps. A drafted step takes `drafted_s`
    seconds, a plain one 1, and generates up to `accepted` tokens per request.
    """

    def __init__(self, slots: int, *, burst_steps: int = 16, group: int = 1, drafted_s: float = 1.0, accepted: int = 1):
        self.slots = slots
        self.drafted_s = drafted_s
        self.accepted = accepted
        self.seconds = {False: 0.0, True: 0.0}
        self.burst_steps = burst_steps
        self.group = group
        self.lines: dict[int, FakeSlot] = {}
        self.clock = 0
        self.busy: list[int] = []  # active slots, step by step
        self.decoded: list[int] = []  # slots that were computed, step by step
        self.widths: tuple[int, ...] = ()  # narrow ones, ascending
        self.groups: list[int] = []
        self.admitted: list[int] = []
        self.max_unread = 0
        self.unread = 0
        self.released: list[int] = []

    def check(self, request: Request) -> None:
        if len(request.prompt) > 4:
            raise RecordError("prompt_too_long", f"prompt has {len(request.prompt)} tokens")

    def choose(self, waiting: Sequence[Request]) -> list[int]:
        return list(range(min(self.group, len(waiting))))

    def prefill(self, requests: Sequence[Request]) -> list[tuple[int, ...]]:
        self.groups.append(len(requests))
        return [request.prompt for request in requests]

    def insert(self, slot: int, staged: tuple[int, ...], request: Request, ticket: int) -> None:
        assert staged == request.prompt
        assert slot not in self.lines or self.lines[slot].is_over(), "a slot that decodes was overwritten"
        self.lines[slot] = FakeSlot(ticket, request)
        self.admitted.append(request.prompt[0])

    def width_for(self, active: int, steps_left: int, *, drafts: bool) -> int:
        assert 1 <= steps_left <= 100 + self.burst_steps
        return next((width for width in self.widths if width >= active), self.slots)

    def move(self, source: int, target: int) -> None:
        assert target not in self.lines or self.lines[target].is_over(), "a slot that decodes was overwritten"
        self.lines[target] = self.lines.pop(source)

    def dispatch(self, leave_after: int, *, drafts: bool = False, width: int, is_watched: bool) -> BurstReport:
        assert all(slot < width for slot, line in self.lines.items() if line.is_active), "a busy slot was left out"
        self.unread += 1
        self.max_unread = max(self.max_unread, self.unread)
        steps = tokens = busy = num_ended = 0
        limit = max(1, self.burst_steps // 4) if is_watched else self.burst_steps
        while steps < limit and num_ended < leave_after and any(s.is_active for s in self.lines.values()):
            active = [line for line in self.lines.values() if line.is_active]
            self.busy.append(len(active))
            self.decoded.append(width)
            before = sum(len(line.tokens) for line in active)
            for line in active:
                for _ in range(self.accepted if drafts else 1):
                    if line.is_active:
                        self._step(line)
                num_ended += not line.is_active
            steps, busy = steps + 1, busy + len(active)
            tokens += sum(len(line.tokens) for line in active) - before
        self.clock += steps
        seconds = steps * (self.drafted_s if drafts else 1.0)
        self.seconds[drafts] += seconds
        ended = [self._report(line) for line in self.lines.values() if not line.is_active]
        running = [self._report(line) for line in self.lines.values() if line.is_active]
        return BurstReport(
            steps=steps, tokens=tokens, busy=busy, ended=ended, running=running, drafted=drafts, seconds=seconds
        )

    def _report(self, line: FakeSlot) -> Generated:
        tokens = list(line.tokens)
        return Generated(line.ticket, tokens, [-1.0 - i for i in range(len(tokens))], line.stop_id)

    def release(self, slot: int) -> None:
        self.released.append(slot)
        del self.lines[slot]

    def _step(self, line: FakeSlot) -> None:
        token = line.request.prompt[0] + len(line.tokens) + 1
        line.tokens.append(token)
        if token in line.request.stop_ids:
            line.stop_id = token
        line.is_active = line.stop_id is None and len(line.tokens) < line.request.max_new_tokens

    def read(self, burst: BurstReport) -> BurstReport:
        self.unread -= 1
        return burst

    def shrink(self) -> bool:
        return False

    def stats(self) -> dict[str, float]:
        return {"clock": float(self.clock)}


def run_on(device: FakeDevice, **options) -> Replicas:
    """A scheduler on one device."""
    return Replicas([device], **options)


def ragged(count: int, seed: int = 0) -> list[Request]:
    rng = random.Random(seed)
    return [ask(1000 * i, rng.randint(1, 60)) for i in range(count)]


@pytest.mark.parametrize("pipeline", [False, True])
@pytest.mark.parametrize("group", [1, 5])
def test_each_request_gets_its_own_tokens(pipeline, group):
    requests = ragged(50)
    scheduler = run_on(FakeDevice(4, group=group), pipeline=pipeline)
    completions = [future.result(10) for future in scheduler.submit(requests)]
    for request, completion in zip(requests, completions, strict=True):
        assert completion.tokens == tuple(request.prompt[0] + i + 1 for i in range(request.max_new_tokens))
        assert (completion.finish_reason, completion.stop_id) == ("length", None)
    assert scheduler.stats()["tokens_out"] == sum(request.max_new_tokens for request in requests)
    scheduler.close()


def test_a_stop_id_ends_a_request_and_is_not_among_its_tokens():
    scheduler = run_on(FakeDevice(2))
    (future,) = scheduler.submit([ask(10, 20, stop=13)])
    completion = future.result(10)
    scheduler.close()
    assert completion.tokens == (11, 12)
    assert (completion.finish_reason, completion.stop_id) == ("stop", 13)
    assert completion.mean_logprob == pytest.approx(-2.0)


def test_slots_are_full_at_every_step_while_requests_wait():
    device = FakeDevice(8)
    requests = ragged(200)
    scheduler = run_on(device)
    for future in scheduler.submit(requests):
        future.result(10)
    scheduler.close()
    drained = max(request.max_new_tokens for request in requests)
    assert set(device.busy[:-drained]) == {8}
    stats = scheduler.stats()
    assert stats["slot_occupancy"] == sum(device.busy) / (8 * device.clock)
    assert stats["slot_occupancy"] > 0.95
    assert stats["steps"] == device.clock


def test_a_pipeline_keeps_one_burst_ahead_and_costs_a_slot_at_most_one_burst():
    device = FakeDevice(8, burst_steps=4)
    scheduler = run_on(device, pipeline=True)
    for future in scheduler.submit(ragged(200)):
        future.result(10)
    scheduler.close()
    assert device.max_unread == 2
    assert device.unread == 0
    assert scheduler.stats()["slot_occupancy"] > 0.8


@pytest.mark.parametrize("pipeline", [False, True])
@pytest.mark.parametrize("mode", ["off", "auto"])
@given(data=st.data())
def test_the_last_requests_are_decoded_in_few_slots_and_keep_their_tokens(pipeline, mode, data):
    slots = data.draw(st.integers(1, 12))
    device = FakeDevice(slots, burst_steps=data.draw(st.integers(1, 9)), group=data.draw(st.integers(1, 4)))
    device.widths = tuple(sorted(data.draw(st.sets(st.integers(1, slots), max_size=3))))
    waves = data.draw(st.lists(st.lists(st.integers(1, 40), max_size=20), min_size=1, max_size=3))
    scheduler = run_on(device, pipeline=pipeline, prompt_lookup=mode)
    for wave in waves:  # requests that arrive when only few slots are in use
        requests = [ask(1000 * i, count) for i, count in enumerate(wave)]
        for request, future in zip(requests, scheduler.submit(requests), strict=True):
            assert future.result(10).tokens == tuple(request.prompt[0] + i + 1 for i in range(request.max_new_tokens))
    scheduler.close()
    assert scheduler.stats()["slot_steps"] == sum(device.decoded)


def test_no_slot_is_computed_in_vain_when_every_width_exists():
    device = FakeDevice(8, burst_steps=1)
    device.widths = tuple(range(1, 8))
    scheduler = run_on(device)
    for future in scheduler.submit(ragged(48)):
        future.result(10)
    scheduler.close()
    assert device.decoded == device.busy
    assert min(device.decoded) == 1
    assert scheduler.stats()["slot_occupancy"] == 1


def test_all_slots_are_computed_while_requests_wait():
    device = FakeDevice(4)
    device.widths = (1, 2)
    scheduler = run_on(device)
    for future in scheduler.submit(ragged(40)):
        future.result(10)
    scheduler.close()
    assert all(width == 4 for width, busy in zip(device.decoded, device.busy, strict=True) if busy > 2)
    assert device.decoded[-1] == 1


def test_requests_are_admitted_in_the_order_of_their_arrival():
    device = FakeDevice(3, group=4)
    scheduler = run_on(device)
    for future in scheduler.submit(ragged(30)):
        future.result(10)
    scheduler.close()
    assert device.admitted == [1000 * i for i in range(30)]
    assert max(device.groups) == 4


def test_no_request_waits_forever_though_the_device_prefers_others():
    class LatestFirst(FakeDevice):
        def choose(self, waiting: Sequence[Request]) -> list[int]:
            return [len(waiting) - 1]

    device = LatestFirst(1)
    scheduler = run_on(device)
    for future in scheduler.submit([ask(1000 * i, 1) for i in range(2 * PATIENCE)]):
        future.result(10)
    scheduler.close()
    order = [first // 1000 for first in device.admitted]
    assert order[:PATIENCE] == list(range(2 * PATIENCE - 1, PATIENCE - 1, -1))
    assert order[PATIENCE] == 0


def test_a_refused_request_fails_alone():
    scheduler = run_on(FakeDevice(2))
    too_long = Request(prompt=(1, 2, 3, 4, 5), max_new_tokens=1, stop_ids=frozenset())
    good, bad, also_good = scheduler.submit([ask(1, 2), too_long, ask(5, 2)])
    assert good.result(10).tokens == (2, 3)
    assert also_good.result(10).tokens == (6, 7)
    with pytest.raises(RecordError, match="prompt_too_long: prompt has 5 tokens"):
        bad.result(10)
    scheduler.close()
    assert (scheduler.stats()["requests_done"], scheduler.stats()["requests_failed"]) == (2, 1)


def test_a_prompt_that_breaks_its_prefill_fails_alone():
    class Allergic(FakeDevice):
        def prefill(self, requests: Sequence[Request]) -> list[tuple[int, ...]]:
            if any(request.prompt[0] == 7 for request in requests):
                raise ValueError("no sevens")
            return super().prefill(requests)

    scheduler = run_on(Allergic(2, group=3))
    futures = scheduler.submit([ask(first, 2) for first in (5, 6, 7, 8)])
    assert [futures[i].result(10).tokens for i in (0, 1, 3)] == [(6, 7), (7, 8), (9, 10)]
    with pytest.raises(ValueError, match="no sevens"):
        futures[2].result(10)
    scheduler.close()


class Forgetful(FakeDevice):
    """Runs out of memory in the named call, as long as it has more than `fits` slots."""

    def __init__(self, slots: int, fits: int, call: str):
        super().__init__(slots, group=3)
        self.fits = fits
        self.call = call
        self.calls = 0

    def _maybe_fail(self, call: str) -> None:
        self.calls += call == self.call
        if call == self.call and self.slots > self.fits and self.calls > 2:
            raise OutOfMemory(f"in {call}")

    def prefill(self, requests: Sequence[Request]) -> list[tuple[int, ...]]:
        self._maybe_fail("prefill")
        return super().prefill(requests)

    def insert(self, slot: int, staged: tuple[int, ...], request: Request, ticket: int) -> None:
        self._maybe_fail("insert")
        super().insert(slot, staged, request, ticket)

    def dispatch(self, leave_after: int, *, drafts: bool = False, width: int, is_watched: bool) -> BurstReport:
        self._maybe_fail("dispatch")
        return super().dispatch(leave_after, drafts=drafts, width=width, is_watched=is_watched)

    def read(self, burst: BurstReport) -> BurstReport:
        self._maybe_fail("read")
        return super().read(burst)

    def shrink(self) -> bool:
        self.slots, self.lines = self.slots // 2, {}
        return self.slots > 0


@pytest.mark.parametrize("pipeline", [False, True])
@pytest.mark.parametrize("call", ["prefill", "insert", "dispatch", "read"])
def test_out_of_memory_halves_the_slots_and_loses_no_request(call, pipeline, caplog):
    device = Forgetful(8, fits=2, call=call)
    requests = ragged(40)
    scheduler = run_on(device, pipeline=pipeline)
    completions = [future.result(10) for future in scheduler.submit(requests)]
    scheduler.close()
    assert [len(c.tokens) for c in completions] == [r.max_new_tokens for r in requests]
    assert device.slots == 2
    assert scheduler.stats()["shrinks"] == 2
    assert scheduler.stats()["requests_done"] == 40
    assert "out of memory with 8 slots; continuing with 4" in caplog.text


def test_out_of_memory_with_no_slot_to_give_up_fails_what_waits():
    scheduler = run_on(Forgetful(4, fits=0, call="dispatch"))
    futures = scheduler.submit(ragged(9))
    errors = [future.exception(10) for future in futures]
    failed = [error for error in errors if error is not None]
    assert failed
    assert all(isinstance(error, EngineStopped) and isinstance(error.__cause__, OutOfMemory) for error in failed)


def test_a_crash_fails_every_waiting_future_with_its_cause_and_all_later_calls():
    class Broken(FakeDevice):
        def read(self, burst: BurstReport) -> BurstReport:
            raise ZeroDivisionError("the device caught fire")

    scheduler = run_on(Broken(2))
    for future in scheduler.submit(ragged(9)):
        error = future.exception(10)
        assert isinstance(error, EngineStopped)
        assert isinstance(error.__cause__, ZeroDivisionError)
    with pytest.raises(EngineStopped) as caught:
        scheduler.submit(ragged(1))
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert scheduler.stats()["requests_failed"] == 9
    scheduler.close()


class Gated(FakeDevice):
    """Waits for `gate` in its first read, so that requests submitted meanwhile queue up."""

    def __init__(self, slots: int):
        super().__init__(slots)
        self.gate = threading.Event()
        self.has_begun = threading.Event()

    def read(self, burst: BurstReport) -> BurstReport:
        self.has_begun.set()
        assert self.gate.wait(10)
        return super().read(burst)


def test_close_finishes_what_was_submitted():
    device = Gated(2)
    scheduler = run_on(device)
    futures = scheduler.submit(ragged(9))
    closer = threading.Thread(target=scheduler.close)
    closer.start()
    device.gate.set()
    closer.join(10)
    assert all(future.done() and future.exception() is None for future in futures)
    with pytest.raises(EngineStopped):
        scheduler.submit(ragged(1))
    scheduler.close()


def test_close_with_cancel_futures_fails_unfinished_requests():
    device = Gated(2)
    scheduler = run_on(device)
    futures = scheduler.submit([ask(1, 100)] * 9)
    assert device.has_begun.wait(10)
    closer = threading.Thread(target=lambda: scheduler.close(cancel_futures=True))
    closer.start()
    while not scheduler._backlog.is_closed:
        pass
    device.gate.set()
    closer.join(10)
    assert all(isinstance(future.exception(10), EngineStopped) for future in futures)


def test_a_canceled_future_is_never_run():
    device = Gated(1)
    scheduler = run_on(device)
    (running,) = scheduler.submit([ask(1, 3)])
    assert device.has_begun.wait(10)
    cancelled, kept = scheduler.submit([ask(100, 3), ask(200, 3)])
    assert cancelled.cancel()
    device.gate.set()
    assert running.result(10).tokens == (2, 3, 4)
    assert kept.result(10).tokens == (201, 202, 203)
    assert not running.cancel()
    scheduler.close()
    assert 100 not in device.admitted


def test_requests_of_many_threads_all_end():
    scheduler = run_on(FakeDevice(4), pipeline=True)
    done: list[int] = []

    def work(thread: int) -> None:
        for request in ragged(20, seed=thread):
            (future,) = scheduler.submit([request])
            done.append(len(future.result(10).tokens) - request.max_new_tokens)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    scheduler.close()
    assert done == [0] * 160


@pytest.mark.parametrize("pipeline", [False, True])
@pytest.mark.parametrize(("drafted_s", "accepted", "drafts_win"), [(1.5, 2, True), (2.5, 2, False), (1.0, 1, False)])
def test_drafts_are_used_while_they_measure_faster_and_hardly_otherwise(drafted_s, accepted, drafts_win, pipeline):
    device = FakeDevice(4, drafted_s=drafted_s, accepted=accepted)
    requests = ragged(1000)
    scheduler = run_on(device, pipeline=pipeline, prompt_lookup="auto")
    completions = [future.result(60) for future in scheduler.submit(requests)]
    scheduler.close()
    assert [len(c.tokens) for c in completions] == [r.max_new_tokens for r in requests]
    stats = scheduler.stats()
    drafted = stats["steps_drafted"] / stats["steps"]
    assert stats["drafting_gain"] == pytest.approx(accepted / drafted_s, rel=0.1)
    assert drafted > 0.8 if drafts_win else drafted < 0.03
    assert stats["steps_drafted"] * drafted_s == device.seconds[True]


@pytest.mark.parametrize(("mode", "share"), [("off", 0.0), ("always", 1.0)])
def test_drafts_are_never_or_always_used_if_the_option_says_so(mode, share):
    scheduler = run_on(FakeDevice(4, drafted_s=9.0, accepted=2), prompt_lookup=mode)
    for future in scheduler.submit(ragged(100)):
        future.result(10)
    scheduler.close()
    stats = scheduler.stats()
    assert stats["steps_drafted"] == share * stats["steps"]


class Numbers:
    """A vocabulary in which a token is its last digit."""

    def decode_bytes(self, ids, *, keep_control=False):
        return b"".join(b"%d" % (id_ % 10) for id_ in ids)


def stopping(first: int, count: int, *texts: str, stop: int | None = None) -> Request:
    return replace(ask(first, count, stop=stop), stop_texts=StopTexts(texts, Numbers()))


@pytest.mark.parametrize("pipeline", [False, True])
@given(
    asked=st.lists(st.tuples(st.integers(1, 40), st.sampled_from(["5", "67", "123456", "x"])), min_size=1, max_size=30),
    slots=st.integers(1, 5),
    burst_steps=st.integers(1, 9),
    accepted=st.integers(1, 4),
    widths=st.sets(st.integers(1, 5), max_size=3),
)
def test_a_stop_text_ends_a_request_with_its_token_whatever_the_bursts(
    pipeline, asked, slots, burst_steps, accepted, widths
):
    device = FakeDevice(slots, burst_steps=burst_steps, accepted=accepted)
    device.widths = tuple(sorted(width for width in widths if width < slots))
    scheduler = run_on(device, pipeline=pipeline, prompt_lookup="always")
    requests = [stopping(1000 * i, count, text) for i, (count, text) in enumerate(asked)]
    for request, (count, text), future in zip(requests, asked, scheduler.submit(requests), strict=True):
        completion = future.result(10)
        digits = "".join(str((i + 1) % 10) for i in range(count))
        at = digits.find(text)
        length = count if at < 0 else at + len(text)
        assert completion.tokens == tuple(request.prompt[0] + i + 1 for i in range(length))
        assert (completion.finish_reason, completion.stop_id) == ("length" if at < 0 else "stop_text", None)
        assert completion.mean_logprob == pytest.approx(-(length + 1) / 2), "of its own tokens, none of those after"
    scheduler.close()


def test_a_slot_is_free_once_a_stop_text_was_found():
    device = FakeDevice(2, burst_steps=16)
    scheduler = run_on(device)
    for future in scheduler.submit([stopping(1000 * i, 100, "3") for i in range(20)]):
        assert len(future.result(10).tokens) == 3
    scheduler.close()
    assert device.clock == 4 * 10, "a burst each, not 100 steps"
    assert scheduler.stats()["tokens_out"] == 60


def test_a_slot_that_nobody_takes_is_released_so_that_it_decodes_no_more():
    device = FakeDevice(3, burst_steps=16)
    scheduler = run_on(device)
    futures = scheduler.submit([stopping(0, 90, "3"), stopping(1000, 90, "3"), ask(2000, 90)])
    assert [len(future.result(10).tokens) for future in futures] == [3, 3, 90]
    scheduler.close()
    assert device.released == [0, 1]
    assert device.busy == [3] * 4 + [1] * 86


def test_a_stop_text_before_the_stop_id_counts_though_both_come_in_one_burst():
    scheduler = run_on(FakeDevice(1, burst_steps=16))
    first, second = scheduler.submit([stopping(0, 20, "3", stop=6), stopping(0, 20, "9", stop=6)])
    assert (first.result(10).tokens, first.result(10).finish_reason) == ((1, 2, 3), "stop_text")
    assert (second.result(10).tokens, second.result(10).stop_id) == ((1, 2, 3, 4, 5), 6)
    scheduler.close()
