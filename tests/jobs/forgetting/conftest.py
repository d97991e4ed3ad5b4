from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.jobs import uppercase


@pytest.fixture(scope="package")
def forker() -> Iterator[uppercase.Forker]:
    """Runs commands that are to be killed."""
    made = uppercase.Forker()
    yield made
    made.close()
