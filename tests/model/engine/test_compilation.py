"""Programs are compiled once, and how long the present one takes can be asked in any thread."""

from __future__ import annotations

import threading

import pytest

from model.engine.abstract_device import OutOfMemory
from model.engine.compilation import CompiledPrograms


class Programs:
    """Programs whose compilation calls a function."""

    def __init__(self, compile_one):
        self._compile = compile_one

    def program(self, key):
        return self

    def lower(self):
        return self

    def compile(self):
        return self._compile()


def test_the_time_of_a_compilation_is_told_while_it_lasts_and_added_when_it_ends():
    compiled = CompiledPrograms()
    seen = []
    programs = Programs(lambda: seen.append((compiled.count, compiled.compiling_s)) or seen.append)
    compiled.get(programs, ("burst", 1))
    ((count, compiling_s),) = seen
    assert count == 0 and 0 < compiling_s <= compiled.seconds
    assert compiled.count == 1 and compiled.compiling_s == 0
    compiled.get(programs, ("burst", 1))
    assert len(seen) == 1


def test_a_compilation_that_fails_is_none_that_lasts():
    def fails():
        raise ValueError

    compiled = CompiledPrograms()
    with pytest.raises(ValueError):
        compiled.get(Programs(fails), ("burst", 1))
    assert compiled.compiling_s == 0 and compiled.count == 0


def test_a_program_that_was_begun_ahead_is_compiled_once_and_waited_for():
    compiled = CompiledPrograms()
    is_allowed, made = threading.Event(), []
    programs = Programs(lambda: (is_allowed.wait(10) and made.append("burst")) or made.append)
    for _ in range(2):
        compiled.begin(programs, ("burst", 1))
    assert compiled.has_kind("burst") and compiled.count == 0
    assert compiled.choose([("burst", 0), ("burst", 1)], lambda key: 1.0) == ("burst", 1)
    is_allowed.set()
    compiled.get(programs, ("burst", 1))
    compiled.begin(programs, ("burst", 1))
    assert made == ["burst"] and compiled.count == 1 and ("burst", 1) in compiled


def test_a_fault_of_a_program_that_was_begun_ahead_is_raised_where_it_is_used():
    def fails():
        raise OutOfMemory("none left")

    compiled = CompiledPrograms()
    compiled.begin(Programs(fails), ("burst", 1))
    with pytest.raises(OutOfMemory):
        compiled.get(Programs(fails), ("burst", 1))
    assert compiled.count == 0 and not compiled.has_kind("burst")


def test_a_longer_program_is_used_until_that_has_cost_as_much_as_compiling_the_one_that_fits():
    compiled = CompiledPrograms()
    keys = [("row", 1), ("row", 2), ("row", 4)]
    assert compiled.choose(keys, lambda key: 0.0) == keys[0], "there is none yet"
    compiled.get(Programs(lambda: print), keys[2])
    compiled.last_s["row"] = 1.0
    lost = [compiled.choose(keys, lambda key: key[1] / 10) for _ in range(4)]
    assert lost == [keys[2], keys[2], keys[0], keys[0]], "0.4 s each time, of 1.0"
    assert compiled.choose([keys[2]], lambda key: 9.0) == keys[2]
