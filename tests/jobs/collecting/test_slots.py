from __future__ import annotations

import os

from hypothesis import given
from hypothesis import strategies as st

from jobs.collecting.slots import Progress, Slot


def other_side(slot: Slot) -> Slot:
    return Slot(os.dup(slot.descriptor))


@given(st.lists(st.lists(st.binary(max_size=50), max_size=5), min_size=1, max_size=4))
def test_what_is_written_last_is_read(writes):
    slot = Slot()
    reader = other_side(slot)
    for pieces in writes:
        places = slot.write(pieces)
        assert [reader.read(*place) for place in places] == pieces
    slot.close()
    reader.close()


def test_more_pieces_than_one_call_takes_are_written():
    slot = Slot()
    pieces = [b"%d" % index for index in range(5000)]
    assert [slot.read(*place) for place in slot.write(pieces)] == pieces
    slot.close()


def test_a_slot_that_held_something_large_gives_the_memory_back():
    slot = Slot()
    slot.write([bytes(40 << 20)])
    slot.write([b"small"])
    assert os.fstat(slot.descriptor).st_size == 5
    slot.close()


def test_progress_is_seen_by_the_other_side_also_after_the_descriptor_is_closed():
    ours = Progress()
    its = Progress(os.dup(ours.descriptor))
    its.start(7)
    its.file_done()
    its.state = Progress.COUNTING
    ours.close()
    assert (ours.chunk, ours.files_done, ours.state) == (7, 1, Progress.COUNTING)
    before = ours.beats
    its.beat()
    assert ours.beats == before + 1
    its.close()
