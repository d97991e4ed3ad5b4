"""Requests spread over replicas: evenly, shared prefixes together, and every completion at its own request."""

from __future__ import annotations

from concurrent.futures import Future

import pytest

from model.engine.replicas import Spread
from model.engine.requests import Completion, EngineStopped, Request


def request(*prompt: int) -> Request:
    return Request(prompt=prompt, max_new_tokens=4, stop_ids=frozenset())


class Held:
    """A replica that completes requests on `answer`, with its name as the first token."""

    def __init__(self, name: int):
        self.name = name
        self.held: list[tuple[Request, Future[Completion]]] = []
        self.is_stopped = False

    def start(self) -> None: ...

    def submit(self, requests):
        if self.is_stopped:
            raise EngineStopped("stopped")
        new = [(one, Future()) for one in requests]
        self.held += new
        return [future for _, future in new]

    def answer(self) -> None:
        for one, future in self.held:
            tokens = (self.name, *one.prompt)
            future.set_result(
                Completion(tokens=tokens, finish_reason="length", stop_id=None, mean_logprob=0.0, prompt_tokens=1)
            )
        self.held = []

    def stats(self) -> dict[str, float]:
        return {"requests_done": 3.0, "slots": 2.0, "tokens_out": 30.0, "busy_s": 2.0 + self.name, "compile_s": 1.0}

    def close(self, *, cancel_futures: bool = False) -> None:
        self.is_stopped = True


def make(count: int, min_shared: int = 2) -> tuple[Spread, list[Held]]:
    replicas = [Held(name) for name in range(count)]
    return Spread(replicas, min_shared=min_shared), replicas


def test_every_future_is_its_requests_own():
    spread, replicas = make(3)
    futures = spread.submit([request(i) for i in range(10)])
    for replica in replicas:
        replica.answer()
    assert [future.result().tokens[1:] for future in futures] == [(i,) for i in range(10)]
    assert {future.result().tokens[0] for future in futures} == {0, 1, 2}


def test_the_replica_with_the_fewest_open_requests_is_next():
    spread, replicas = make(2)
    spread.submit([request(i) for i in range(6)])
    assert [len(replica.held) for replica in replicas] == [3, 3]
    replicas[1].answer()
    spread.submit([request(9)])
    spread.submit([request(9)])
    assert [len(replica.held) for replica in replicas] == [3, 2]


def test_requests_with_a_common_prefix_stay_together_up_to_a_limit():
    spread, replicas = make(2)
    spread.submit([request(5, 5, i) for i in range(6)])
    assert sorted(len(replica.held) for replica in replicas) == [0, 6]
    spread, replicas = make(2)
    spread.submit([request(5, 5, i) for i in range(64)])
    assert [len(replica.held) for replica in replicas] == [32, 32]
    spread, replicas = make(2, min_shared=0)
    spread.submit([request(5, 5, i) for i in range(6)])
    assert [len(replica.held) for replica in replicas] == [3, 3]


def test_sums_add_up_and_seconds_are_side_by_side():
    spread, _ = make(2)
    stats = spread.stats()
    assert (stats["requests_done"], stats["slots"], stats["busy_s"]) == (6.0, 4.0, 2.5)
    assert stats["tokens_out_per_s"] == pytest.approx(60 / 1.5)


def test_closing_closes_all_and_a_stopped_replica_takes_no_more():
    spread, replicas = make(2)
    spread.close()
    assert all(replica.is_stopped for replica in replicas)
    with pytest.raises(EngineStopped):
        spread.submit([request(1)])
