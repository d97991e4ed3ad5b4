"""Children that are started before they are needed."""

from __future__ import annotations

import threading

from jobs.plan.reader import FooterReader
from jobs.system.child_process import _ahead, next_child, started_ahead


def test_a_child_that_is_started_ahead_is_the_next_one_and_reads_after_its_imports():
    with started_ahead(["json.tool"]):
        reader = FooterReader()
        child = reader.child
        ((file, footer),) = reader([("/nowhere/a.parquet", "a.parquet")])
        assert reader.child is child and footer is None and file.name == "a.parquet"
        other = next_child()
        assert other is not child
    other.close()
    assert not child.has_ended(), "it was taken"
    reader.close()


def test_a_child_that_nothing_takes_ends_with_the_block():
    with started_ahead(["json.tool"]):
        taken = next_child()
    assert not taken.has_ended()
    taken.close()
    with started_ahead([]):
        left = _ahead.child
    assert left.has_ended()


def test_a_thread_takes_no_child_of_another_which_would_die_with_it():
    with started_ahead([]):
        found = []
        thread = threading.Thread(target=lambda: found.append(next_child()))
        thread.start()
        thread.join()
        own = next_child()
        assert own is not found[0]
    for child in (own, found[0]):
        child.close()


def test_an_import_that_fails_leaves_a_child_that_works():
    with started_ahead(["no_such_module"]):
        reader = FooterReader()
        ((_, footer),) = reader([("/nowhere/a.parquet", "a.parquet")])
        assert footer is None
    reader.close()
