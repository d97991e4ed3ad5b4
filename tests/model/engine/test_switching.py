"""The switch between plain steps and steps over drafts, on bursts of known speed."""

from __future__ import annotations

from collections.abc import Callable

from model.engine.abstract_device import BurstReport
from model.engine.switching import LONGEST_INTERVAL_STEPS, TRIAL_STEPS, DraftSwitch

SLOTS, STEPS = 8, 8
Speed = Callable[[bool, int], float]  # seconds per step, by mode and step


def report(drafted: bool, *, step_s: float | None, accepted: float = 2.0) -> BurstReport:
    tokens = round(SLOTS * STEPS * (accepted if drafted else 1))
    seconds = None if step_s is None else step_s * STEPS
    return BurstReport(steps=STEPS, tokens=tokens, busy=SLOTS * STEPS, ended=(), drafted=drafted, seconds=seconds)


def ways(switch: DraftSwitch, bursts: int, step_s: Speed) -> list[bool]:
    """The switch's decision for each burst."""
    said = []
    for index in range(bursts):
        said.append(switch.drafts)
        switch.observe(report(said[-1], step_s=step_s(said[-1], index * STEPS)))
    return said


def test_the_faster_mode_stays_and_the_slower_one_is_tried_ever_more_rarely():
    gains = ways(DraftSwitch("auto"), 2000, lambda drafted, _: 1.5 if drafted else 1.0)
    assert sum(gains) / len(gains) > 0.95
    loses = ways(DraftSwitch("auto"), 2000, lambda drafted, _: 2.5 if drafted else 1.0)
    assert sum(loses) / len(loses) < 0.03
    assert sum(loses[1000:]) <= 2 * TRIAL_STEPS // STEPS


def test_a_gain_within_the_noise_changes_nothing():
    said = ways(DraftSwitch("auto"), 500, lambda drafted, _: 1.96 if drafted else 1.0)
    assert sum(said) / len(said) < 0.1


def test_a_change_of_the_text_is_detected():
    """Drafts lose for the first 4,000 steps and gain from then on; and the reverse."""
    bursts = 4 * LONGEST_INTERVAL_STEPS // STEPS
    turning = ways(DraftSwitch("auto"), bursts, lambda drafted, step: (2.5 if step < 4000 else 1.5) if drafted else 1.0)
    assert not turning[400] and turning[-1]
    returning = ways(
        DraftSwitch("auto"), bursts, lambda drafted, step: (1.5 if step < 4000 else 2.5) if drafted else 1.0
    )
    assert returning[400] and not returning[-1]


def test_bursts_without_a_measured_time_decide_nothing():
    switch = DraftSwitch("auto")
    for _ in range(100):  # compiles and prefills all the time
        switch.observe(report(switch.drafts, step_s=None))
    assert not switch.drafts
    said = ways(switch, 100, lambda drafted, _: 1.5 if drafted else 1.0)
    assert said[-1]


def test_a_late_burst_of_the_previous_mode_does_not_shorten_a_trial():
    switch = DraftSwitch("auto")
    while not switch.drafts:
        switch.observe(report(False, step_s=1.0))
    for _ in range(10 * TRIAL_STEPS):
        switch.observe(report(False, step_s=1.0))
    assert switch.drafts


def test_a_fixed_mode_measures_nothing():
    for mode, drafts in (("off", False), ("always", True)):
        switch = DraftSwitch(mode)
        assert set(ways(switch, 50, lambda drafted, _: 9.0 if drafted else 1.0)) == {drafts}
        assert switch.gain() == 0.0
