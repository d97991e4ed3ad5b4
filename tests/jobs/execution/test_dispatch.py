"""Which worker gets which unit: whole row groups first, suspects alone, nothing lost whoever dies."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from jobs.execution.dispatch import Dispatcher
from jobs.ledger.journal import Suspect
from transforms.work import Unit


def units_of(*sizes: int) -> list[Unit]:
    """Units `group.number` of row groups with so many units each."""
    return [
        Unit(
            unit_id=f"{group}.{number}",
            uri="in.parquet",
            version="1",
            row_group=group,
            row_start=number,
            row_count=1,
            num_bytes=1,
        )
        for group, size in enumerate(sizes)
        for number in range(size)
    ]


def ids(units: Sequence[Unit | None]) -> list[str | None]:
    return [unit and unit.unit_id for unit in units]


def test_workers_get_row_groups_of_their_own() -> None:
    queue = Dispatcher(units_of(2, 2, 2), {}, in_flight=2)
    assert ids([queue.next_for(0), queue.next_for(1), queue.next_for(0), queue.next_for(1)]) == [
        "0.0",
        "1.0",
        "0.1",
        "1.1",
    ]
    assert queue.next_for(0) is None, "two are in flight"
    queue.finish(0, "0.0")
    assert ids([queue.next_for(0)]) == ["2.0"]


def test_an_idle_worker_takes_the_later_half_of_a_group() -> None:
    queue = Dispatcher(units_of(7), {}, in_flight=1)
    assert ids([queue.next_for(0), queue.next_for(1)]) == ["0.0", "0.4"]
    taken = []
    for _ in range(5):
        for worker in (0, 1):
            queue.finish(worker, queue.in_flight(worker)[0].unit_id) if queue.in_flight(worker) else None
            taken += ids([queue.next_for(worker)])
    assert [unit for unit in taken if unit] == ["0.1", "0.5", "0.2", "0.6", "0.3"]
    assert queue.is_done


def test_a_suspect_runs_last_and_alone_in_its_process() -> None:
    queue = Dispatcher(units_of(1, 1, 1), {"0.0": Suspect(1)}, in_flight=2)
    assert ids([queue.next_for(0), queue.next_for(0)]) == ["1.0", "2.0"]
    queue.finish(0, "1.0")
    assert queue.next_for(0) is None, "another unit is in flight in the process"
    assert ids([queue.next_for(1)]) == ["0.0"]
    queue.finish(0, "2.0")
    assert not queue.is_done
    queue.finish(1, "0.0")
    assert queue.is_done


def test_nothing_joins_a_suspect() -> None:
    queue = Dispatcher(units_of(1, 1), {"1.0": Suspect(1)}, in_flight=4)
    assert ids([queue.next_for(0)]) == ["0.0"]
    queue.finish(0, "0.0")
    assert ids([queue.next_for(0)]) == ["1.0"]
    queue.take_back(1, {})
    assert queue.next_for(0) is None


def test_the_units_of_a_dead_worker_go_on_elsewhere_before_new_ones() -> None:
    queue = Dispatcher(units_of(3, 1), {}, in_flight=2)
    assert ids([queue.next_for(0), queue.next_for(0)]) == ["0.0", "0.1"]
    queue.take_back(0, {"0.0": Suspect(1)}, committed={"0.1"})
    assert ids([queue.next_for(1), queue.next_for(1)]) == ["0.2", "1.0"]
    assert ids([queue.next_for(0)]) == ["0.0"]
    assert queue.suspicion_of(queue.in_flight(0)[0]) == Suspect(1)


def test_a_unit_that_was_sent_but_not_begun_is_no_suspect() -> None:
    queue = Dispatcher(units_of(2), {}, in_flight=2)
    queue.next_for(0), queue.next_for(0)
    queue.take_back(0, {"0.0": Suspect(1)})
    assert ids([queue.next_for(1)]) == ["0.1"]


def test_a_unit_that_ran_out_of_memory_gets_the_machine_for_itself() -> None:
    queue = Dispatcher(units_of(1, 1, 1), {}, in_flight=1)
    assert ids([queue.next_for(0), queue.next_for(1)]) == ["0.0", "1.0"]
    queue.take_back(0, {"0.0": Suspect(1)}, short=True)
    assert ids([queue.next_for(0)]) == ["2.0"]
    queue.finish(0, "2.0")
    assert queue.next_for(0) is None, "another worker is busy"
    queue.finish(1, "1.0")
    assert ids([queue.next_for(0), queue.next_for(1)]) == ["0.0", None]
    queue.take_back(0, {"0.0": Suspect(2)})
    assert ids([queue.next_for(1), queue.next_for(0)]) == ["0.0", None], "it stays so after another death"
    queue.finish(1, "0.0")
    assert queue.is_done


def test_an_exclusive_unit_that_was_committed_before_its_worker_died_keeps_nobody_out() -> None:
    queue = Dispatcher(units_of(1, 1), {}, in_flight=1)
    queue.next_for(0), queue.next_for(1)
    queue.take_back(0, {"0.0": Suspect(1)}, short=True)
    queue.take_back(1, {"0.0": Suspect(1), "1.0": Suspect(1)}, short=True)
    assert ids([queue.next_for(0)]) == ["0.0"]
    queue.take_back(0, {"0.0": Suspect(1), "1.0": Suspect(1)}, committed={"0.0"})
    assert ids([queue.next_for(0)]) == ["1.0"]


def test_a_unit_that_was_being_written_when_memory_ran_out_gets_the_machine_too() -> None:
    queue = Dispatcher(units_of(1, 1), {}, in_flight=1)
    queue.next_for(0), queue.next_for(1)
    queue.take_back(0, {}, short=True)
    assert queue.next_for(0) is None, "another worker is busy"
    queue.finish(1, "1.0")
    assert ids([queue.next_for(0)]) == ["0.0"]


@given(
    sizes=st.lists(st.integers(1, 5), max_size=8),
    workers=st.integers(1, 4),
    in_flight=st.integers(1, 3),
    seed=st.integers(0, 10_000),
)
def test_every_unit_is_finished_once_whoever_dies(sizes: list[int], workers: int, in_flight: int, seed: int) -> None:
    random_of = random.Random(seed)
    units = units_of(*sizes)
    queue = Dispatcher(units, {}, in_flight=in_flight)
    finished: Counter[str] = Counter()
    deaths: Counter[str] = Counter()
    for _ in range(10_000):
        if queue.is_done:
            break
        for worker in range(workers):
            while (unit := queue.next_for(worker)) is not None:
                if queue.suspicion_of(unit):
                    assert len(queue.in_flight(worker)) == 1
        worker = random_of.choice([number for number in range(workers) if queue.in_flight(number)])
        busy = queue.in_flight(worker)
        if random_of.random() < 0.2 and sum(deaths.values()) < 50:
            begun = busy[: random_of.randint(0, len(busy))]
            deaths.update(unit.unit_id for unit in begun)
            suspects = {unit_id: Suspect(count) for unit_id, count in deaths.items()}
            committed = {unit.unit_id for unit in busy if random_of.random() < 0.3}
            finished.update(committed)
            queue.take_back(worker, suspects, committed=committed, short=random_of.random() < 0.3)
        else:
            unit = random_of.choice(busy)
            queue.finish(worker, unit.unit_id)
            finished[unit.unit_id] += 1
    assert finished == Counter(unit.unit_id for unit in units)
