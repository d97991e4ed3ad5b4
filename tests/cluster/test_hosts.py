"""`codemill work` beside a driver that runs no units: the rows of this machine, whoever is killed."""

from __future__ import annotations

import contextlib
import os
import signal

import pytest

from benchmarks.kill_checks import different_files
from tests.cluster.commands import CHILD, Command, Host, commits_in, rows_sha256, units_by_host, until, workers
from tests.cluster.test_runners import JOBS

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]  # on a machine that does other work

ELSEWHERE = ("--run_units", "elsewhere", "--claim_timeout_s", "5")


@contextlib.contextmanager
def hosts_of(output, mark, *names):
    """Hosts, what is left of which ends with the block."""
    found = [Host(output, name, mark) for name in names]
    try:
        yield found
    finally:
        for host in found:
            host.kill()


def check(output, reference, record, **entry) -> None:
    found, wanted = rows_sha256(output), rows_sha256(reference)
    units = units_by_host(output)
    record.add("runs", runner="codemill work", **entry, rows_sha256=found, equal=found == wanted, units=units)
    assert found == wanted
    for part in ("data", "rejected"):
        assert not list(different_files(output / part, reference / part))


@pytest.mark.parametrize("job", ["filter", "infill"])
def test_two_hosts_give_the_rows_of_this_machine(job, corpus, place, mark, local_run, record):
    words = (*JOBS[job], "--input", str(corpus))
    driver = Command((*words, *ELSEWHERE), place / f"hosts-{job}")
    with hosts_of(driver.output, mark, "one", "two") as hosts:
        assert driver.wait() == 0, driver.said
        for host in hosts:
            assert host.wait() == 0, host.said
    check(driver.output, local_run(*words), record, job=job, seconds=round(driver.seconds, 1))


def test_a_host_a_child_and_the_driver_may_die(long_corpus, place, mark, local_run, record):
    words = ("filter", "--unit_rows", "10", "--input", str(long_corpus))
    output = place / "hosts-killed"
    driver = Command((*words, *ELSEWHERE), output)
    with hosts_of(output, mark, "killed", "stays") as (killed, stays):
        until(lambda: all(units_by_host(output).get(host.name) for host in (killed, stays)) or not driver.is_running)
        assert driver.is_running, driver.said
        killed.kill()
        record.add("kills", what="codemill work", hit=killed.pid, commits=commits_in(output))

        until(lambda: bool(workers(mark, CHILD)))
        os.kill(child := workers(mark, CHILD)[0], signal.SIGKILL)
        record.add("kills", what="a child of codemill work", hit=child, commits=commits_in(output))

        driver.wait_for_commits(commits_in(output) + 2)
        driver.kill()
        record.add("kills", what="the driver of codemill work", hit=driver.pid, commits=(before := commits_in(output)))
        until(lambda: commits_in(output) > before or not stays.is_running)  # a host needs no driver
        again = Command((*words, *ELSEWHERE), output)
        assert again.wait() == 0, again.said
        assert stays.wait() == 0, stays.said
    check(output, local_run(*words), record, job="filter", after="host, child, driver")
