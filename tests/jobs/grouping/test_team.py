from __future__ import annotations

import os
import signal
import threading

import pytest

from jobs.grouping.team import Team
from transforms.row_pool import CRASHED


class Doubling:
    """Items are numbers; 13 kills its process and 0 raises."""

    def open(self):
        pass

    def double(self, item):
        if item == 13:
            os.kill(os.getpid(), signal.SIGKILL)
        return 2 * item, 1 / item and os.getpid()


def spread(items, *, others, here=True, **more):
    team = Team(Doubling(), others=others, here=here)
    try:
        return dict(team.spread("double", items, **more))
    finally:
        team.close()


@pytest.mark.parametrize(("others", "here"), [(0, True), (1, True), (2, False)])
def test_every_item_has_its_result_wherever_it_ran(others, here):
    found = spread(range(20, 49), others=others, here=here)
    assert {position: result[0] for position, result in found.items()} == {n: 2 * (n + 20) for n in range(29)}
    assert (os.getpid() in {pid for _, pid in found.values()}) or not here


def test_an_item_that_kills_its_process_costs_itself_alone():
    found = spread([5, 13, 7, 13, 9], others=2, here=False)
    assert found[1] is CRASHED and found[3] is CRASHED
    assert [found[place][0] for place in (0, 2, 4)] == [10, 14, 18]


@pytest.mark.parametrize(("others", "here"), [(0, True), (1, False)])
def test_what_the_method_raises_is_raised(others, here):
    with pytest.raises(ZeroDivisionError):
        spread([1, 0, 2], others=others, here=here)
    assert not [thread for thread in threading.enumerate() if thread.name == "team"]


def test_a_reader_who_stops_early_leaves_no_thread():
    team = Team(Doubling(), others=1)
    results = team.spread("double", range(20, 120))
    next(results)
    results.close()
    team.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "team"]


def test_a_process_has_its_next_item_before_the_last_ones_result_is_taken():
    from jobs.grouping.team import _grouped, _Run

    class Pool:
        waiting, most = 0, 0

        def apply(self, method, items):
            self.waiting += 1
            self.most = max(self.most, self.waiting)
            return lambda: self.result(items)

        def result(self, items):
            self.waiting -= 1
            return [10 * item for item in items]

    pool = Pool()
    run = _Run(pool, "", _grouped(range(5), None))
    run.feed()
    assert list(run.rest(1)) == [(n, 10 * n) for n in range(5)]
    assert pool.most == 2 and pool.waiting == 0


def test_a_process_takes_whole_groups_and_shares_one_only_when_none_is_left():
    from collections import deque

    from jobs.grouping.team import _grouped, _Run, _Taker

    groups = _grouped(range(7), lambda item: item // 3)  # 0 1 2 | 3 4 5 | 6
    run, one, other = _Run(None, "", groups), _Taker(), _Taker()
    taken = [run.next(taker)[1] for taker in (one, other, one, other, one, one)]
    assert taken == [0, 3, 1, 4, 2, 6]
    assert run.next(one) == (5, 5), "the other's group has one left"
    assert run.next(one) is None and run.next(other) is None
    assert not one.group and isinstance(one.group, deque)
