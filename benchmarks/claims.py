"""What claims cost, and how well they keep hosts busy.

    python -m benchmarks.claims simulate     many hosts in simulated time: requests a unit, slots busy, units run twice
    python -m benchmarks.claims rate         claims a second against a bucket (the emulator of the tests)
    python -m benchmarks.claims busy         real hosts, units that sleep: slots busy with 1, 2 and 4 hosts
    python -m benchmarks.claims overhead     real hosts, units without work: time a unit beside the local runner's

The simulation runs the real `Claims` against a storage in memory; a host's requests take `--latency_s` each, one after
the other. Listings count as pages of 1,000 names. Durations of units are lognormal: the longest of a thousand take
twenty times the median.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import heapq
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from multiprocessing import get_context

import pyarrow as pa

from jobs import storage
from jobs.execution.orders import Orders
from jobs.execution.supervisor import Crew, run_units
from jobs.execution.worker import RunSpec
from jobs.ledger.claimants import PERIOD_S, Claimant, list_claimants, new_claimant, read_claimant
from jobs.ledger.claims import Claims
from jobs.plan.ranges import Span, cut_spans
from jobs.sharing.claimed import run_claimed
from jobs.storage.folders import JobFolder
from tests.gcs import gcs_emulator
from tests.jobs import toy
from transforms.rows.rejections import REJECTED_SCHEMA
from transforms.work import UnitResult

SIMULATED = JobFolder("sim://out/_job")
PAGE = 1000
SIGMA = 1.0  # of the logarithm of a unit's duration


def durations(units: int, mean_s: float, seed: int = 0) -> list[float]:
    draw = random.Random(seed)
    raw = [draw.lognormvariate(0, SIGMA) for _ in range(units)]
    return [mean_s * one * units / sum(raw) for one in raw]


# --- simulated time ------------------------------------------------------------------------------------


class Planned:
    """A plan whose every unit is a row group."""

    def __init__(self, units: int):
        self.starts = bytearray(b"\x01" * units)

    def __len__(self) -> int:
        return len(self.starts)

    def ids(self, span: Span) -> list[str]:
        return [f"{position:06d}-sim" for position in range(span.begin, span.end)]


class Counted:
    """A bucket in memory that counts requests."""

    def __init__(self) -> None:
        self.folders: dict[str, dict[str, bytes]] = {}
        self.requests: Counter[str] = Counter()

    def _at(self, path: str) -> tuple[dict[str, bytes], str]:
        folder, _, name = path.rpartition("/")
        return self.folders.setdefault(folder, {}), name

    def create_if_absent(self, path: str, data: bytes) -> bool:
        self.requests["create"] += 1
        folder, name = self._at(path)
        return folder.setdefault(name, data) is data

    def write_bytes(self, path: str, data: bytes) -> None:
        folder, name = self._at(path)
        folder[name] = data

    def read_bytes(self, path: str) -> bytes:
        self.requests["read"] += 1
        folder, name = self._at(path)
        if name not in folder:
            raise FileNotFoundError(path)
        return folder[name]

    def list_names(self, folder: str, *, first: str = "", last: str = "") -> list[str]:
        found = self.folders.get(folder, {})
        if last:  # a few ids with consecutive numbers
            begin, end = (int(name.partition("-")[0]) for name in (first, last))
            names = [name for number in range(begin, end + 1) if (name := f"{number:06d}-sim.json") in found]
        else:
            names = list(found)
        what = "commits of a range" if last else folder.rpartition("/")[2]
        self.requests[f"pages of {what}"] += max(1, -(-len(names) // PAGE))
        return names


@dataclasses.dataclass
class SimulatedHost:
    claims: Claims
    me: Claimant
    slots: int
    waiting: list[int] = dataclasses.field(default_factory=list)
    running: int = 0
    busy_until: float = 0.0  # of the thread that claims
    idle_s: float = 0.5
    is_over: bool = False


def simulate(hosts: int, slots: int, took: Sequence[float], latency_s: float) -> dict[str, float]:
    """Runs a plan on so many hosts; returns the figures."""
    bucket, planned = Counted(), Planned(len(took))
    spans = cut_spans(planned.starts)
    now = 0.0
    events: list[tuple[float, int, Callable[[], None]]] = []
    begun = done = 0
    busy_s = last_s = 0.0
    beats = 0

    def at(when: float, do: Callable[[], None]) -> None:
        heapq.heappush(events, (when, len(events) + random.getrandbits(40), do))

    def asked(host: SimulatedHost, ask: Callable[[], list[int]]) -> list[int]:
        before = sum(bucket.requests.values())
        got = ask()
        host.busy_until = now + latency_s * (sum(bucket.requests.values()) - before)
        return got

    def feed(host: SimulatedHost) -> None:
        nonlocal begun
        while host.waiting and host.running < host.slots:
            position = host.waiting.pop(0)
            host.claims.begin(position)
            host.running += 1
            begun += 1
            at(now + took[position], functools.partial(finish, host, position))
        want(host)

    def finish(host: SimulatedHost, position: int) -> None:
        nonlocal done, busy_s, last_s
        commits = bucket.folders.setdefault(SIMULATED.commits, {})
        if f"{position:06d}-sim.json" not in commits:
            commits[f"{position:06d}-sim.json"] = b""
            done += 1
            busy_s += took[position]
            last_s = now
        host.claims.finish(position)
        host.running -= 1
        feed(host)

    def want(host: SimulatedHost) -> None:
        if host.is_over or now < host.busy_until:
            return
        is_hungry = not host.waiting and host.running < host.slots
        if not (is_hungry if host.claims.is_dry else len(host.waiting) < host.slots):
            return
        host.is_over = host.claims.is_over
        if host.is_over:
            return
        got = asked(host, host.claims.claim)
        if got:
            host.idle_s = 0.5
        else:
            host.busy_until = max(host.busy_until, now + host.idle_s)
            host.idle_s = min(15.0, host.idle_s * 1.5)

        def arrive() -> None:
            host.waiting += got
            feed(host)

        at(host.busy_until, arrive)

    def beat(host: SimulatedHost, number: int) -> None:
        nonlocal beats
        if host.is_over:
            return
        beats += 1
        host.me = dataclasses.replace(host.me, beats=number, holds=host.claims.holds())
        bucket.write_bytes(SIMULATED.claimant(host.me.claimant_id), host.me.to_json())
        if number % 2 and now >= host.busy_until:
            before = bucket.requests["read"]
            gone = set(asked(host, host.claims.look_at_mine))
            looks = bucket.requests["read"] - before
            bucket.requests["look"] += looks
            bucket.requests["read"] -= looks
            host.waiting = [position for position in host.waiting if position not in gone]
        want(host)
        at(now + PERIOD_S, lambda: beat(host, number + 1))

    def join(host: SimulatedHost) -> None:
        bucket.write_bytes(SIMULATED.claimant(host.me.claimant_id), host.me.to_json())

        def open_claims() -> list[int]:
            host.claims.open()
            return []

        asked(host, open_claims)
        at(host.busy_until, lambda: beat(host, 0))

    for number in range(hosts):
        me = Claimant(claimant_id=f"host-{number}", name="", host="", pid=0)
        claims = Claims(SIMULATED, me, planned, now=lambda: now, spans=spans, store=bucket)  # type: ignore[arg-type]
        at(random.Random(number).random(), lambda host=SimulatedHost(claims, me, slots): join(host))
    while events and done < len(took):
        now, _, do = heapq.heappop(events)
        do()
    units = len(took)
    looks = bucket.requests.pop("look", 0)
    figures = {f"{kind} a unit": count / units for kind, count in sorted(bucket.requests.items())}
    return {
        "ranges": len(spans),
        "claims": len(bucket.folders.get(SIMULATED.claims, {})),
        **figures,
        "heartbeats a host and hour": beats / hosts / (now / 3600),
        "looks a host and hour": looks / hosts / (now / 3600),
        "slots busy %": 100 * busy_s / (hosts * slots * last_s),
        "units run twice %": 100 * (begun - done) / units,
        "end after ideal s": last_s - sum(took) / (hosts * slots),
    }


# --- real hosts ----------------------------------------------------------------------------------------


class SleepingWork(toy.ToyWork):
    """Sleeps as many seconds as the row says."""

    def run(self, unit, table, rows):
        seconds = [float(content) for content in table["content"].to_pylist()]
        time.sleep(sum(seconds))
        kept = [{"content": "", "length": 0, "row": row} for row in rows]
        counts = Counter(rows_in=len(rows), rows_kept=len(rows), rows_rejected=0)
        tables = pa.Table.from_pylist(kept, schema=toy.OUTPUT_SCHEMA), pa.Table.from_pylist([], schema=REJECTED_SCHEMA)
        return UnitResult(*tables, counts)


def build_work(options) -> SleepingWork:
    return SleepingWork(dict(options))


ORDERS = Orders(job_name="benchmarks.claims", options={})


def spec_of(job_dir: JobFolder) -> RunSpec:
    return RunSpec(job_dir=job_dir, schema=toy.SCHEMA, config_hash=toy.CONFIG_HASH, max_units_in_flight=1)


def be_host(folder: str, name: str) -> None:
    crew = Crew(1)
    try:
        run_claimed(spec_of(JobFolder(folder)), ORDERS, crew, new_claimant(name))
    finally:
        crew.close()


def start_host(job_dir: JobFolder, name: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "benchmarks.claims", "host", str(job_dir), name])


def busy(root: str, hosts: int, took: Sequence[float]) -> dict[str, float]:
    """Hosts with one worker each; the clock starts with the first heartbeat of a worker."""
    job_dir = toy.make_job(root, [[str(one)] for one in took])
    processes = [start_host(job_dir, f"host{number}") for number in range(hosts)]
    began = None
    while began is None:
        beats = storage.list_names(job_dir.heartbeats)
        began = time.monotonic() if len(beats) >= hosts else None
        time.sleep(0.02)
    for process in processes:
        assert process.wait() == 0
    wall_s = time.monotonic() - began
    found = [read_claimant(job_dir, one) for one in list_claimants(job_dir)]
    ran = sum(claimant.units_done for _, claimant in filter(None, found))
    return {"wall s": wall_s, "slots busy %": 100 * sum(took) / (hosts * wall_s), "units run twice": ran - len(took)}


def overhead(root: str, units: int, *, is_claimed: bool) -> dict[str, float]:
    job_dir = toy.make_job(root, [["0"]] * units)
    before, began = _cpu_s(), time.monotonic()
    if is_claimed:
        be_host(str(job_dir), "host")
    else:
        run_units(spec_of(job_dir), ORDERS)
    cpu_s, wall_s = _cpu_s() - before, time.monotonic() - began
    return {"wall ms a unit": 1000 * wall_s / units, "processor ms a unit": 1000 * cpu_s / units}


def _cpu_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def claim_all(job_dir: JobFolder, name: str, units: int) -> tuple[int, float]:
    """Claims until nothing is free; returns the number of claims won and the seconds that took."""
    me = new_claimant(name)
    storage.write_bytes(job_dir.claimant(me.claimant_id), me.to_json())
    planned = Planned(units)
    claims = Claims(job_dir, me, planned, now=time.monotonic, spans=cut_spans(planned.starts, 1))  # type: ignore[arg-type]
    claims.open()
    began, won = time.monotonic(), 0
    while not claims.is_dry:
        won += bool(claims.claim())
    return won, time.monotonic() - began


def rate(root: str, hosts: int, units: int) -> dict[str, float]:
    job_dir = JobFolder(f"{root}/_job")
    with get_context("spawn").Pool(hosts) as pool:
        found = pool.starmap(claim_all, [(job_dir, f"host{number}", units) for number in range(hosts)])
    seconds = max(took for _, took in found)
    return {"claims a s": sum(won for won, _ in found) / seconds, "ms a claim": 1000 * seconds * hosts / units}


# --- the command -----------------------------------------------------------------------------------------


def show(title: str, figures: dict[str, float]) -> None:
    print(f"{title:28}", "  ".join(f"{name} {value:,.4g}" for name, value in figures.items()), flush=True)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["simulate", "rate", "busy", "overhead", "host"])
    parser.add_argument("arguments", nargs="*")
    parser.add_argument("--units", type=int, default=16_384)
    parser.add_argument("--hosts", type=int, nargs="+", default=[1, 2, 4, 64, 256])
    parser.add_argument("--slots", type=int, default=1)
    parser.add_argument("--mean_s", type=float, default=60.0)
    parser.add_argument("--latency_s", type=float, default=0.05)
    asked = parser.parse_args(argv)
    if asked.what == "host":
        be_host(*asked.arguments)
    elif asked.what == "simulate":
        for hosts in asked.hosts:
            took = durations(asked.units, asked.mean_s)
            show(f"{hosts} hosts, {asked.units} units", simulate(hosts, asked.slots, took, asked.latency_s))
    elif asked.what == "rate":
        bucketed(lambda root: show("1 host", rate(root, 1, asked.units)))
        bucketed(lambda root: show("4 hosts", rate(root, 4, asked.units)))
    else:
        with tempfile.TemporaryDirectory() as folder:
            run_real(asked, folder)


def run_real(asked: argparse.Namespace, folder: str) -> None:
    if asked.what == "busy":
        for hosts in asked.hosts:
            took = durations(asked.units, asked.mean_s)
            show(f"{hosts} hosts, {asked.units} units", busy(os.path.join(folder, str(hosts)), hosts, took))
        return
    for turn in range(3):
        for is_claimed in (False, True):
            root = os.path.join(folder, f"{turn}{is_claimed}")
            show("claimed" if is_claimed else "local runner", overhead(root, asked.units, is_claimed=is_claimed))


def bucketed(run: Callable[[str], None]) -> None:
    """Runs with a new bucket of the emulator."""
    import urllib.request
    import uuid

    servers: Iterable[str] = gcs_emulator.__wrapped__() if hasattr(gcs_emulator, "__wrapped__") else ()
    for url in servers:
        name = f"claims-{uuid.uuid4().hex[:8]}"
        body = json.dumps({"name": name}).encode()
        request = urllib.request.Request(
            f"{url}/storage/v1/b?project=x", data=body, headers={"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request):
            run(f"gs://{name}")
        break


if __name__ == "__main__":
    main()
