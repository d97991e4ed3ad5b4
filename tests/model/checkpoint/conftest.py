"""Fixtures of the checkpoints' tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.model.checkpoint.loader import Loader


@pytest.fixture(scope="module")
def loader() -> Iterator[Loader]:
    """The process that loads, one for each module."""
    one = Loader()
    yield one
    one.stop()
