"""Jobs in a bucket whose requests fail: no row is lost, doubled or changed. The long version runs with `make soak`."""

from __future__ import annotations

import time

import pytest

from jobs import storage
from tests.fault_proxy import FAULTS, FaultProxy
from tests.jobs.bucket_faults import command, finish, rows_of, run_until_done, write_inputs

IMPATIENT = "tests.jobs.impatient"


@pytest.fixture
def proxy(gcs_emulator):
    made = FaultProxy(gcs_emulator, share=0.2, seed=13, slow_s=0.5)
    yield made
    made.close()


def disturb(root, folder, proxy, *flags, kill_after, **corpus):
    """Runs one job undisturbed and one with faults and kills; returns the latter's outcome."""
    write_inputs(root, folder, **corpus)
    finish(command(root, "reference", *flags, module=IMPATIENT))
    began = time.monotonic()
    outcome = run_until_done(command(root, "disturbed", *flags, module=IMPATIENT), proxy, kill_after)
    print(
        f"{proxy.requests:,} requests with {sum(proxy.faults.values()):,} faults {dict(sorted(proxy.faults.items()))}, "
        f"{outcome.killed} kills, {outcome.stopped} stops, {time.monotonic() - began:.0f} s"
    )
    return outcome


def assert_same_rows(root):
    assert storage.exists(f"{root}/disturbed/COMPLETED")
    ours, reference = rows_of(f"{root}/disturbed"), rows_of(f"{root}/reference")
    assert reference["data"] and ours == reference


def test_a_job_whose_requests_fail_and_that_is_killed_gives_the_same_rows(gcs_root, tmp_path, proxy):
    flags = ["--unit_rows", "20", "--max_units_in_flight", "16"]
    outcome = disturb(gcs_root, tmp_path, proxy, *flags, kill_after=[100], files=4, rows=40, large_rows=2)
    assert not outcome.faulty
    assert outcome.killed == 1 and proxy.faults
    assert_same_rows(gcs_root)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_ten_thousand_requests_with_two_thousand_faults_and_kills_give_the_same_rows(gcs_root, tmp_path, proxy):
    flags = ["--unit_rows", "10", "--max_units_in_flight", "64", "--shard_mb", "8"]
    kills = [300, 1500, 2500, 1000, 2000, 1500]
    outcome = disturb(gcs_root, tmp_path, proxy, *flags, kill_after=kills, files=10, rows=400, large_rows=8)
    assert not outcome.faulty
    assert outcome.killed >= len(kills) - 1  # a storage that stops the job may be faster
    assert proxy.requests >= 10_000
    assert sum(proxy.faults.values()) > 0.15 * proxy.requests
    assert {name.removesuffix("_after") for name in proxy.faults} == set(FAULTS)
    assert_same_rows(gcs_root)
