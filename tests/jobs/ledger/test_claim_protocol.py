"""Claims against a storage that loses responses, hosts that stop, leave, die and come back, and clocks that differ.

Hypothesis decides which host does what next, and what becomes of each request: `ok`, `fail` (it fails and raises),
`lost` (it works, and its response is lost), `echo` (it works, and reports "exists": the client sent it twice),
`overtaken` (another host claims all that it can before the request takes effect).
A host's clock has an offset and a rate of its own; time passes for all, whoever acts.

Model: the commits. Whatever happens, every unit is committed in the end, and no host begins a unit more often than it
has claimed it. Units are begun twice only where a claim was taken over or divided.
"""

from __future__ import annotations

import dataclasses
import json
from collections import Counter

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from jobs.ledger.claimants import Claimant
from jobs.ledger.claims import Claim, Claims
from jobs.plan.ranges import Span, cut_spans
from jobs.storage.folders import JobFolder

JOB_DIR = JobFolder("sim://out/_job")
STALE_S = 60.0
FAULTS = ["ok", "ok", "ok", "overtaken", "overtaken", "fail", "lost", "echo"]


class Planned:
    """A plan of units in row groups of these sizes."""

    def __init__(self, groups: list[int]):
        self.starts = bytearray(b"".join(b"\x01" + b"\x00" * (size - 1) for size in groups))

    def __len__(self) -> int:
        return len(self.starts)

    def ids(self, span: Span) -> list[str]:
        return [unit_id(position) for position in range(span.begin, span.end)]


def unit_id(position: int) -> str:
    return f"{position:06d}-sim"


class Storage:
    """The objects, as one host sees them: its next requests meet the faults given to it."""

    def __init__(self, objects: dict[str, bytes]):
        self.objects = objects
        self.faults: list[str] = []
        self.overtake = lambda: None

    def _request(self, effect):
        fault = self.faults.pop(0) if self.faults else "ok"
        if fault == "overtaken":
            self.overtake()
        if fault == "fail":
            raise ConnectionError("no answer")
        answer = effect()
        if fault == "lost":
            raise ConnectionError("the answer got lost")
        return False if fault == "echo" and answer is True else answer

    def create_if_absent(self, path: str, data: bytes) -> bool:
        def effect() -> bool:
            if path in self.objects:
                return False
            self.objects[path] = data
            return True

        return self._request(effect)

    def read_bytes(self, path: str) -> bytes:
        def effect() -> bytes:
            if path not in self.objects:
                raise FileNotFoundError(path)
            return self.objects[path]

        return self._request(effect)

    def list_names(self, folder: str, *, first: str = "", last: str = "") -> list[str]:
        def effect() -> list[str]:
            names = [path.removeprefix(f"{folder}/") for path in self.objects if path.startswith(f"{folder}/")]
            return sorted(name for name in names if first <= name and (not last or name <= last))

        return self._request(effect)


class Host:
    """A host that claims, begins and commits units, one thing at a time."""

    def __init__(self, objects: dict[str, bytes], planned: Planned, number: int, skew_s: float, rate: float, time):
        self.me = Claimant(claimant_id=f"host-{number}", name=f"host {number}", host="h", pid=1)
        self.objects = objects
        self.store = Storage(objects)
        self.claims = Claims(
            JOB_DIR,
            self.me,
            planned,
            now=lambda: skew_s + rate * time(),
            stale_s=STALE_S,
            spans=cut_spans(planned.starts, 4),
            store=self.store,
        )
        self.waiting: list[int] = []
        self.running: list[int] = []
        self.is_open = self.is_gone = False
        self.stopped_until = 0.0
        self.claimed: Counter[int] = Counter()
        self.begun: Counter[int] = Counter()

    def beat(self, ended: str = "") -> None:
        holds = {} if ended else self.claims.holds()
        self.me = dataclasses.replace(self.me, beats=self.me.beats + 1, holds=holds, ended=ended)
        self.objects[JOB_DIR.claimant(self.me.claimant_id)] = self.me.to_json()

    def claim(self) -> None:
        if not self.is_open:
            self.claims.open()
            self.is_open = True
        got = self.claims.claim()
        self.claimed.update(got)
        self.waiting += got

    def begin(self) -> None:
        position = self.waiting.pop(0)
        self.claims.begin(position)
        self.running.append(position)
        self.begun[position] += 1

    def commit(self, position: int) -> None:
        self.running.remove(position)
        self.objects.setdefault(JOB_DIR.commit(unit_id(position)), self.me.claimant_id.encode())
        self.claims.finish(position)

    def look(self) -> None:
        lost = self.claims.look_at_mine()
        self.waiting = [position for position in self.waiting if position not in lost]


class ClaimProtocol(RuleBasedStateMachine):
    """Hosts that share a plan."""

    def __init__(self) -> None:
        super().__init__()
        self.objects: dict[str, bytes] = {}
        self.hosts: list[Host] = []
        self.time = 0.0

    @initialize(groups=st.lists(st.integers(1, 6), min_size=1, max_size=6))
    def plan(self, groups: list[int]) -> None:
        self.planned = Planned(groups)

    def there(self) -> list[Host]:
        return [host for host in self.hosts if not host.is_gone and host.stopped_until <= self.time]

    @precondition(lambda self: len(self.there()) < 4)
    @rule(skew_s=st.sampled_from([0.0, 3600.0, -3600.0]), rate=st.sampled_from([1.0, 0.9, 1.1]))
    def join(self, skew_s: float, rate: float) -> None:
        host = Host(self.objects, self.planned, len(self.hosts), skew_s, rate, lambda: self.time)
        host.beat()
        self.hosts.append(host)

    @rule(seconds=st.sampled_from([1.0, 5.0, 30.0, 70.0]))
    def time_passes(self, seconds: float) -> None:
        """Hosts that are there go on with their heartbeats."""
        while seconds > 0:
            step = min(5.0, seconds)
            self.time += step
            seconds -= step
            for host in self.there():
                host.beat()

    @precondition(lambda self: self.there())
    @rule(data=st.data(), faults=st.lists(st.sampled_from(FAULTS), max_size=6))
    def claim(self, data, faults: list[str]) -> None:
        host = data.draw(st.sampled_from(self.there()))
        others = [other for other in self.there() if other is not host]
        host.store.faults = faults
        host.store.overtake = data.draw(st.sampled_from(others)).claim if others else lambda: None
        try:
            host.claim()
        except ConnectionError:
            pass  # it tries again another time
        host.store.faults = []

    @precondition(lambda self: any(host.waiting for host in self.there()))
    @rule(data=st.data())
    def begin_a_unit(self, data) -> None:
        data.draw(st.sampled_from([host for host in self.there() if host.waiting])).begin()

    @precondition(lambda self: any(host.running for host in self.there()))
    @rule(data=st.data())
    def commit_a_unit(self, data) -> None:
        """Possibly long after others have taken it over and committed it: a zombie."""
        host = data.draw(st.sampled_from([host for host in self.there() if host.running]))
        host.commit(data.draw(st.sampled_from(host.running)))

    @precondition(lambda self: self.there())
    @rule(data=st.data(), faults=st.lists(st.sampled_from(FAULTS), max_size=3))
    def look_at_own_claims(self, data, faults: list[str]) -> None:
        host = data.draw(st.sampled_from(self.there()))
        host.store.faults = faults
        try:
            host.look()
        except ConnectionError:
            pass
        host.store.faults = []

    @precondition(lambda self: self.there())
    @rule(data=st.data(), seconds=st.sampled_from([10.0, 100.0, 300.0]))
    def stop_for_a_while(self, data, seconds: float) -> None:
        """SIGSTOP, a paused virtual machine, a network that is gone."""
        data.draw(st.sampled_from(self.there())).stopped_until = self.time + seconds

    @precondition(lambda self: self.there())
    @rule(data=st.data(), how=st.sampled_from(["kill", "leave"]))
    def go(self, data, how: str) -> None:
        host = data.draw(st.sampled_from(self.there()))
        if how == "leave":
            host.beat(ended="stopped")
        host.is_gone = True

    @invariant()
    def nobody_begins_a_unit_more_often_than_it_has_claimed_it(self) -> None:
        for host in self.hosts:
            assert not host.begun - host.claimed

    @invariant()
    def a_unit_is_begun_again_only_where_there_is_another_claim_of_it(self) -> None:
        begun: Counter[int] = Counter()
        for host in self.hosts:
            begun += host.begun
        assert not begun - sum((self.claims_of(host) for host in self.hosts), Counter())

    @invariant()
    def a_host_has_claimed_what_it_takes_itself_to_hold(self) -> None:
        for host in self.hosts:
            assert not host.claimed - self.claims_of(host)

    def claims_of(self, host: Host) -> Counter[int]:
        """How many claims of this host there are, by unit."""
        found: Counter[int] = Counter()
        for path, data in self.objects.items():
            if path.startswith(f"{JOB_DIR.claims}/"):
                claim = Claim(**json.loads(data))
                if claim.holder == host.me.claimant_id:
                    found.update(range(claim.begin, claim.end))
        return found

    def committed(self) -> int:
        return sum(path.startswith(f"{JOB_DIR.commits}/") for path in self.objects)

    def teardown(self) -> None:
        """Whatever has happened: the hosts that are left, or one that joins, commit every unit, in bounded time."""
        if not hasattr(self, "planned"):
            return
        self.time = max([self.time, *(host.stopped_until for host in self.hosts)])
        if not self.there():
            self.join(0.0, 1.0)
        for _ in range(400):
            for host in self.there():
                host.look()
                while host.waiting:
                    host.begin()
                for position in list(host.running):
                    host.commit(position)
                if not host.claims.is_over:
                    host.claim()
            self.time_passes(5.0)
            if all(host.claims.is_over for host in self.there()):
                break
        assert self.committed() == len(self.planned)
        assert all(host.claims.is_over and not host.waiting for host in self.there())
        self.nobody_begins_a_unit_more_often_than_it_has_claimed_it()
        self.a_unit_is_begun_again_only_where_there_is_another_claim_of_it()


TestClaimProtocol = ClaimProtocol.TestCase
TestClaimProtocol.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)


def broken(monkeypatch, name: str, instead) -> None:
    """Checks the state machine itself: with this method of `Claims` replaced, it must fail."""
    monkeypatch.setattr(Claims, name, instead)
    case = type("Broken", (ClaimProtocol,), {}).TestCase
    # Shrinking what fails on purpose is of no use, and whether it is found mustn't depend on luck.
    case.settings = settings(
        max_examples=2000,
        stateful_step_count=50,
        deadline=None,
        database=None,
        phases=(Phase.generate,),
        derandomize=True,
    )
    with pytest.raises(AssertionError):
        case("runTest").runTest()


def test_the_machine_notices_hosts_that_never_take_over_what_others_gave_up(monkeypatch):
    broken(monkeypatch, "_is_given_up", lambda self, span, holder, beats: False)


def test_the_machine_notices_a_lost_claim_that_is_taken_for_a_won_one(monkeypatch):
    def append(self, span, begin, end):
        claim = json.dumps({"holder": self._me, "begin": begin, "end": end}).encode()
        self._store.create_if_absent(JOB_DIR.claim(span.name, len(self._logs.setdefault(span, [])) + 1), claim)
        return self._keep(span, begin, end)

    broken(monkeypatch, "_append", append)
