from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs import storage
from jobs.ledger import heartbeat, journal
from jobs.ledger.journal import ALONE_DEATHS, Death, Start, Suspect
from jobs.storage.folders import JobFolder


@pytest.fixture
def job_dir(tmp_path) -> JobFolder:
    return JobFolder(storage.join(str(tmp_path), "_job"))


def start(unit_id="000001-ab", begin=0, end=8, phase="rows", alone=False) -> Start:
    return Start(unit_id=unit_id, attempt_id="cafe", begin=begin, end=end, phase=phase, alone=alone)


@given(
    st.builds(
        Start,
        unit_id=st.from_regex(r"[0-9]{6}-[0-9a-f]{8}", fullmatch=True),
        attempt_id=st.from_regex(r"[0-9a-f]{16}", fullmatch=True),
        begin=st.integers(0, 10**9),
        end=st.integers(0, 10**9),
        phase=st.sampled_from(["read", "rows"]),
        alone=st.booleans(),
    )
)
def test_a_starts_name_says_all_of_it(a_start):
    assert Start.from_name(a_start.to_name()) == a_start


def leave_open(job_dir: JobFolder, session: str, a_start: Start) -> None:
    """A start record that is not removed, as after a death."""
    storage.write_bytes(job_dir.join("journal", "open", session, a_start.to_name()), b"")


def test_only_what_was_open_at_the_death_is_in_its_record(job_dir):
    session = journal.new_session(supervised=True)
    writer = journal.Journal(job_dir, session)
    with writer.started(start("000001-done")):
        pass
    with pytest.raises(ValueError), writer.started(start("000002-raised")):
        raise ValueError
    with writer.started(start("000003-open")):
        death = journal.record_death(job_dir, session, "SIGKILL")
    assert [opened.unit_id for opened in death.open] == ["000003-open"]
    assert journal.read_deaths(job_dir) == [death]


def test_a_death_is_recorded_once(job_dir):
    first = journal.record_death(job_dir, "supervised-x", "SIGKILL")
    assert journal.record_death(job_dir, "supervised-x", "SIGSEGV") == first


def test_what_was_open_when_the_whole_job_was_killed_is_no_suspect(job_dir):
    leave_open(job_dir, journal.new_session(supervised=True), start())
    assert journal.diagnose(journal.read_deaths(job_dir)) == {}


def test_a_death_comes_back_as_it_was_recorded(job_dir):
    for number, how in enumerate(({}, {"hung": True}, {"short": True})):
        session = journal.new_session(supervised=True)
        leave_open(job_dir, session, start(f"{number}", alone=True))
        death = journal.record_death(job_dir, session, "SIGKILL", **how)
        assert death in journal.read_deaths(job_dir) and (death.hung, death.short) == (number == 1, number == 2)


def test_deaths_that_are_known_arent_read_again(job_dir, monkeypatch):
    first = journal.record_death(job_dir, "supervised-a", "SIGKILL")
    second = journal.record_death(job_dir, "supervised-b", "SIGKILL")
    read: list[str] = []
    monkeypatch.setattr(storage, "read_bytes", lambda path, real=storage.read_bytes: (read.append(path), real(path))[1])
    assert journal.read_deaths(job_dir, but={first.session}) == [second]
    assert read == [job_dir.death("supervised-b")]


def test_a_unit_in_flight_with_one_that_crashes_is_suspected_and_not_split():
    together = Death("s", "SIGKILL", 0.0, (start("a"), start("b")))
    alone = [Death(f"s{n}", "SIGKILL", 1.0 + n, (start("a", alone=True),)) for n in range(ALONE_DEATHS)]
    found = journal.diagnose([together, *alone])
    assert found["b"] == Suspect(deaths=1)
    assert found["b"].pieces(0, 8) == [(0, 8, False)]
    assert found["a"].pieces(0, 8) == [(0, 4, False), (4, 8, False)]


def test_one_death_alone_is_forgiven():
    found = journal.diagnose([Death("s", "SIGKILL", 0.0, (start("a", alone=True),))])
    assert found["a"].pieces(0, 8) == [(0, 8, False)]


def test_a_unit_that_dies_alone_while_it_is_read_is_unreadable_at_the_second_time():
    death = Death("s", "SIGKILL", 0.0, (start("a", 0, 0, "read", alone=True),))
    assert not journal.diagnose([death])["a"].is_unreadable()
    assert journal.diagnose([death] * ALONE_DEATHS)["a"].is_unreadable()


@given(st.integers(1, 64).flatmap(lambda rows: st.tuples(st.just(rows), st.sets(st.integers(0, rows - 1), max_size=5))))
def test_however_many_rows_crash_exactly_those_are_found(case):
    """Simulates worker after worker, each of which dies at the first piece with a crashing row in it."""
    num_rows, crashing = case
    deaths: list[Death] = []
    for _ in range(ALONE_DEATHS + 2 * len(crashing) * 8 + 1):
        suspect = journal.diagnose(deaths).get("a", Suspect(0))
        pieces = suspect.pieces(0, num_rows)
        assert [begin for begin, _, _ in pieces] == [0, *(end for _, end, _ in pieces)][:-1]
        assert pieces[-1][1] == num_rows
        fatal = [piece for piece in pieces if not piece[2] and crashing & set(range(piece[0], piece[1]))]
        if not fatal:
            break
        open_start = start("a", fatal[0][0], fatal[0][1], alone=True)
        deaths.append(Death(f"s{len(deaths)}", "SIGKILL", len(deaths), (open_start,)))
    assert {begin for begin, _, crashes in pieces if crashes} == crashing


def test_heartbeats_say_what_each_worker_does(job_dir):
    writer = heartbeat.HeartbeatWriter(job_dir, "worker-1", lambda: (3, 2), lambda: {"tokens_out": 5.0}, period_s=0.01)
    writer.start()
    (first,) = heartbeat.read_heartbeats(job_dir)
    writer.stop()
    (last,) = heartbeat.read_heartbeats(job_dir)
    assert (last.session, last.units_done, last.units_in_flight, last.figures) == (
        "worker-1",
        3,
        2,
        {"tokens_out": 5.0},
    )
    assert last.rss_mb > 1
    assert last.at >= first.at


def test_metrics_that_fail_stop_no_heartbeat_and_no_unit(job_dir, caplog):
    def broken():
        raise ZeroDivisionError

    writer = heartbeat.HeartbeatWriter(job_dir, "worker-1", lambda: (0, 0), broken)
    writer.start()
    writer.stop()
    assert "collecting the work's metrics failed" in caplog.text
