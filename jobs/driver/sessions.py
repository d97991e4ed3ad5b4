"""What the heartbeats of a run's workers say together."""

from __future__ import annotations

from collections.abc import Iterable

from jobs.ledger.heartbeat import Heartbeat

FRESH_S = 30.0  # a worker silent for longer is excluded from what workers do now


class Sessions:
    """The last heartbeat of each worker session of this run.

    Args:
        started: When the run began, in seconds since the epoch; older heartbeats are of earlier runs.
    """

    def __init__(self, started: float):
        self._started = started
        self._now = started
        self._last: dict[str, Heartbeat] = {}
        self._tokens_of: dict[str, float] = {}
        self._phase_since: tuple[str, float] | None = None
        self.tokens = 0.0

    def update(self, beats: Iterable[Heartbeat], now: float) -> None:
        """Takes the last heartbeat of each session of the job."""
        self._now = now
        for beat in beats:
            if beat.at < self._started:
                continue
            self._last[beat.session] = beat
            tokens = beat.figures.get("tokens_out")
            if tokens is not None:  # its engine has started
                self.tokens += max(0.0, tokens - self._tokens_of.get(beat.session, 0.0))
                self._tokens_of[beat.session] = tokens

    def sum(self, figure: str) -> float | None:
        """The sum of a figure over all sessions; None if no session has it."""
        found = [beat.figures[figure] for beat in self._last.values() if figure in beat.figures]
        return sum(found) if found else None

    @property
    def slot_occupancy(self) -> float | None:
        """The mean over the fresh sessions that have an engine."""
        found = [beat.figures["slot_occupancy"] for beat in self._fresh() if "slot_occupancy" in beat.figures]
        return sum(found) / len(found) if found else None

    @property
    def num_fresh(self) -> int:
        """How many sessions have a fresh heartbeat."""
        return len(self._fresh())

    @property
    def rss_mb(self) -> float:
        """Resident memory of these processes."""
        return round(sum(beat.rss_mb for beat in self._fresh()), 1)

    def phase(self, now: float) -> tuple[str, float] | None:
        """What all fresh workers wait for, and for how many seconds; None if one of them works."""
        beats = [beat for beat in self._fresh() if beat.phase or beat.figures or beat.units_in_flight]
        phases = [_phase_of(beat) for beat in beats]
        if not phases or not all(phases):
            self._phase_since = None
            return None
        name = phases[0]
        if self._phase_since is None or self._phase_since[0] != name:
            compiling_s = beats[0].figures.get("compiling_s", 0.0)
            self._phase_since = name, (beats[0].at if compiling_s else now) - compiling_s
        return name, now - self._phase_since[1]

    def _fresh(self) -> list[Heartbeat]:
        return [beat for beat in self._last.values() if self._now - beat.at <= FRESH_S]


def _phase_of(beat: Heartbeat) -> str:
    if beat.figures.get("compiling_s"):
        number, most = (int(beat.figures.get(name, 0)) for name in ("compiles", "programs"))
        return f"compiling program {number + 1}" + (f" of at most {most}" if most > number else "")
    return beat.phase
