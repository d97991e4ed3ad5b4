"""When to draft: decided by measurements at run time.

A step over drafts yields more tokens and takes longer. Which mode wins depends on the text, the slots and the device,
so the engine tries both on its own work. One mode is in use; now and then the other one runs for some steps, and the
mode that yields more tokens per second and busy slot is used from then on:

    plain x 512 | drafts x 32 | plain x 1024 | drafts x 32 | drafts x 512 | plain x 32 | ...
                  measured:     twice as long  faster:       in use now     and so on
                  slower        as before      it stays

A trial that changes nothing doubles the steps until the next one, so the slower mode ends up with under 1% of all
steps, while a later change of the text is still detected. Only bursts whose duration is a measure of their steps are
counted: not those that waited for a compile or a prefill. Uses neither device nor clock.
"""

from __future__ import annotations

from dataclasses import dataclass

from model.engine.abstract_device import BurstReport
from model.engine.settings import PromptLookup

TRIAL_STEPS = 32
# Programs for the other mode are compiled at the first trial: a job that ends sooner never pays for them.
FIRST_INTERVAL_STEPS = 512
LONGEST_INTERVAL_STEPS = 16_384
# The other mode must be faster by this factor: a switch moves the generation cache, and times are noisy.
MIN_GAIN = 1.05
# Steps over which the mode in use is averaged: about as many as a trial takes, so that both ran on the same contexts.
_MEMORY_STEPS = 64


@dataclass
class _Speed:
    """Sums over the last steps of one mode; the weight of older steps decays."""

    steps: float = 0.0
    seconds: float = 0.0
    busy: float = 0.0
    tokens: float = 0.0

    def add(self, report: BurstReport) -> None:
        assert report.seconds is not None
        keep = max(0.0, 1 - report.steps / _MEMORY_STEPS)
        self.steps = self.steps * keep + report.steps
        self.seconds = self.seconds * keep + report.seconds
        self.busy = self.busy * keep + report.busy
        self.tokens = self.tokens * keep + report.tokens

    def value(self) -> float:
        """Tokens per second of a busy slot; 0 if nothing was measured."""
        if not self.busy or not self.seconds:
            return 0.0
        return (self.tokens / self.busy) / (self.seconds / self.steps)


class DraftSwitch:
    """Decides for each burst whether to draft, based on the reports of earlier bursts.

    Args:
        mode: `off`, `always`, or `auto`: the mode that measures faster.
    """

    def __init__(self, mode: PromptLookup):
        self._is_auto = mode == "auto"
        self._home = mode == "always"  # the mode in use: whether it drafts
        self._is_trying = False
        self._interval = self._left = FIRST_INTERVAL_STEPS
        self._speeds = {False: _Speed(), True: _Speed()}

    @property
    def drafts(self) -> bool:
        """Whether the next burst drafts."""
        return self._home != self._is_trying

    def observe(self, report: BurstReport) -> None:
        """Records a burst's report; called for each, in order."""
        if not self._is_auto or not report.busy:
            return
        is_measured = report.seconds is not None
        if is_measured:
            self._speeds[report.drafted].add(report)
        if not self._is_trying:
            self._left -= report.steps
            if self._left <= 0 and self._speeds[self._home].value():
                self._is_trying, self._left = True, TRIAL_STEPS
                self._speeds[not self._home] = _Speed()
        elif is_measured and report.drafted == self.drafts:  # bursts of the previous mode may still arrive
            self._left -= report.steps
            if self._left <= 0:
                self._decide()

    def gain(self) -> float:
        """Speed of drafting relative to plain steps when both were last measured; 0 if they weren't."""
        plain = self._speeds[False].value()
        return self._speeds[True].value() / plain if plain else 0.0

    def _decide(self) -> None:
        self._is_trying = False
        if self._speeds[not self._home].value() > MIN_GAIN * self._speeds[self._home].value():
            self._home = not self._home
            self._interval = FIRST_INTERVAL_STEPS
        else:
            self._interval = min(2 * self._interval, LONGEST_INTERVAL_STEPS)
        self._left = self._interval
