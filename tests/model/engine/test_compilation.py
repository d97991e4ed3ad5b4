"""Programs are compiled once, and how long the present one takes can be asked in any thread."""

from __future__ import annotations

import pytest

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
