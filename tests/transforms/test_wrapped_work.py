"""A work around another one is like it in all that it doesn't change."""

from __future__ import annotations

import inspect
from typing import Any
from unittest.mock import Mock

import pytest

from transforms.work import Work
from transforms.wrapped_work import WrappedWork

MEMBERS = sorted(name for name in vars(Work) if not name.startswith("_"))


@pytest.mark.parametrize("name", MEMBERS)
def test_what_is_not_overridden_is_the_inner_work_s(name):
    inner: Any = Mock()
    found = getattr(WrappedWork(inner), name)
    if isinstance(vars(Work)[name], property):
        assert found is getattr(inner, name)
        return
    given = [object() for _ in inspect.signature(found).parameters]
    assert found(*given) is getattr(inner, name).return_value or name in ("open", "close")
    getattr(inner, name).assert_called_once_with(*given)
