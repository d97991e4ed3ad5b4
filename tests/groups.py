"""Which tests run in one process when several share the work, as they share what is dear to make.

`xdist_group` would say so beside the tests, but pytest-xdist 3.8 writes groups where pytest 9.2 doesn't read them.
"""

from __future__ import annotations

import re

from xdist.scheduler import LoadGroupScheduling

_GROUPS = (
    (re.compile(r"tests/model/test_tpu_gate\.py::.*\[(.+)\]$"), r"compiled for \1"),
    (re.compile(r"tests/model/engine/(?:test_mesh|scoring/test_scoring_mesh)\.py::.*"), "eight devices"),
)


def group_of(nodeid: str) -> str:
    """The group of a test; a test of none is one by itself.

    >>> group_of("tests/model/test_tpu_gate.py::test_everything_fits_a_chip[2b]"), group_of("tests/a.py::test_b")
    ('compiled for 2b', 'tests/a.py::test_b')
    """
    for pattern, group in _GROUPS:
        if found := pattern.match(nodeid):
            return found.expand(group)
    return nodeid


class Scheduling(LoadGroupScheduling):
    """Sends the tests of a group to one process."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)
