"""The queue of scoring on fake devices: requests are put together again, and none is lost with a device that fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.config import GemmaConfig
from model.engine import EngineOptions, EngineStopped, ScoreRequest
from model.engine.scoring.device import PartScores, Scored
from model.engine.scoring.parts import Part, parts_of
from model.engine.scoring.scorer import Scorer

CONFIG = GemmaConfig(num_layers=1, d_model=8, d_ff=8, num_heads=1, num_kv_heads=1, head_dim=8, vocab_size=1000)
OPTIONS = EngineOptions(prompt_buckets=(64,), max_new_tokens=32)


class TellingDevice:
    """Scores each token by its id; row number `fails_at` fails."""

    def __init__(self, *, fails_at: int | None = None, row_s: float = 0.0):
        self.fails_at = fails_at
        self.row_s = row_s
        self.rows = 0

    def choose(self, waiting: Sequence[Part]) -> list[int]:
        return list(range(min(3, len(waiting))))

    def dispatch(self, parts: Sequence[Part]) -> Scored:
        self.rows += 1
        time.sleep(self.row_s)
        if self.rows == self.fails_at:
            raise RuntimeError("the device fell off the bus")
        return Scored(tuple(parts), ())

    def read(self, scored: Scored) -> list[PartScores]:
        return [
            {
                number: np.array(tokens, np.float32)
                for branch in part.branches
                for number, tokens in branch.continuations
            }
            for part in scored.parts
        ]

    def stats(self) -> dict[str, float]:
        return {"score_tokens": float(self.rows), "score_compile_s": 1.0}


def scorer_of(*devices: TellingDevice, **changes: str) -> Scorer:
    scorer = Scorer(devices, CONFIG, replace(OPTIONS, **changes).resolve("cpu"))
    scorer.start()
    return scorer


@settings(max_examples=30, deadline=None)
@given(
    lists=st.lists(st.lists(st.lists(st.integers(0, 9), max_size=3), max_size=5), max_size=20),
    mode=st.sampled_from(["fast", "exact"]),
)
def test_each_request_gets_the_scores_of_its_own_continuations_in_order(lists, mode):
    scorer = scorer_of(TellingDevice(), TellingDevice(), determinism=mode)
    requests = [ScoreRequest(prompt=(1,), continuations=tuple(map(tuple, each))) for each in lists]
    found = [future.result(timeout=30) for future in scorer.score(requests)]
    assert [[one.astype(int).tolist() for one in each] for each in found] == lists
    scorer.close()


def test_what_a_failing_device_leaves_is_scored_by_the_others(caplog):
    slow, failing = TellingDevice(row_s=0.02), TellingDevice(fails_at=3, row_s=0.005)
    scorer = scorer_of(slow, failing)
    requests = [ScoreRequest(prompt=(1,), continuations=((i,), (i, 5))) for i in range(60)]
    found = [future.result(timeout=30) for future in scorer.score(requests)]
    assert [each[0].tolist() for each in found] == [[i] for i in range(60)]
    assert failing.rows == 3 and "fell off the bus" in caplog.text
    scorer.close()


def test_when_the_last_device_fails_all_futures_fail_with_its_error():
    scorer = scorer_of(TellingDevice(fails_at=2), TellingDevice(fails_at=1))
    futures = scorer.score([ScoreRequest(prompt=(1,), continuations=((i,),)) for i in range(60)])
    errors = [future.exception(timeout=30) for future in futures]
    assert isinstance(errors[-1], EngineStopped) and "fell off the bus" in str(errors[-1].__cause__)
    with pytest.raises(EngineStopped):
        scorer.score([ScoreRequest(prompt=(1,), continuations=((1,),))])


def test_closing_with_cancel_fails_what_is_unfinished():
    gate = threading.Event()
    device = TellingDevice()
    device.choose = lambda waiting: (gate.wait(10), [0])[1]
    scorer = scorer_of(device)
    futures = scorer.score([ScoreRequest(prompt=(1,), continuations=((i,),)) for i in range(9)])
    closing = threading.Thread(target=scorer.close, kwargs={"cancel_futures": True})
    closing.start()
    gate.set()
    closing.join(10)
    assert all(future.done() for future in futures)
    assert any(isinstance(future.exception(), EngineStopped) for future in futures)


def test_sums_add_up_over_replicas_and_seconds_are_means():
    scorer = scorer_of(TellingDevice(), TellingDevice())
    for future in scorer.score([ScoreRequest(prompt=(1,), continuations=((1,), (2, 3)))]):
        future.result(timeout=30)
    scorer.close()
    stats = scorer.stats()
    assert stats["score_tokens"] >= 1 and stats["score_compile_s"] == 1.0 and stats["score_busy_s"] > 0


@given(
    continuations=st.lists(st.lists(st.integers(0, 3), max_size=6).map(tuple), max_size=40).map(tuple),
    longest=st.integers(7, 20),
    together=st.booleans(),
)
def test_parts_cover_each_continuation_once_and_fit_a_row(continuations, longest, together):
    request = ScoreRequest(prompt=(7, 7), continuations=continuations)
    parts = parts_of(request, together=together, longest=longest)
    branches = [branch for part in parts for branch in part.branches]
    covered = [number for branch in branches for number, _ in branch.continuations]
    assert sorted(covered) == [number for number, tokens in enumerate(continuations) if tokens]
    assert len({branch.tokens for branch in branches}) == len(branches)
    for branch in branches:
        for number, tokens in branch.continuations:
            assert tokens == continuations[number] and branch.tokens == (7, 7, *tokens[:-1])
    for part in parts:
        assert 2 + sum(len(branch.tokens) - 2 for branch in part.branches) <= longest
        assert together or len(part.branches) == 1
