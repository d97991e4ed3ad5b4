"""Which rows the second check of a dataset accepts, and which it doesn't."""

from __future__ import annotations

import pytest

from benchmarks.outputs import changed

CONTENT = '''\
import os


class A:
    def area(self, w):
        """Old."""
        return w

    def other(self):
        pass
'''
CODE = "    def area(self, w):\n        return w"


def documented(code_documented):
    start = CONTENT.index("def area")
    return {
        "content": CONTENT,
        "language": "python",
        "symbol_kind": "method",
        "symbol_start": start,
        "symbol_end": CONTENT.index("return w") + len("return w"),
        "code": CODE,
        "code_documented": code_documented,
    }


def generated(body):
    start = CONTENT.index("return w")
    row = {"content": CONTENT, "language": "python", "symbol_name": "A.area", "generated_code": body}
    return row | {"code_start": start, "code_end": start + len("return w")}


@pytest.mark.parametrize(
    ("row", "wanted"),
    [
        (documented('    def area(self, w):\n        """New."""\n        return w'), None),
        (documented('    def area(self, w):\n        """New."""\n        return w + 1'), "code changed"),
        (documented('    def area(self, w):\n        """New."""'), "code changed"),
        (generated("w = 2 * w\n        return w"), None),
        (generated("return w\n\n    def evil(self):\n        pass"), "code outside the body changed"),
        (generated("return w\n\nimport sys"), "code outside the body changed"),
    ],
)
def test_changed_code_is_detected(row, wanted):
    assert changed(row) == wanted
