from __future__ import annotations

from collections.abc import Iterator

import pytest

from model.errors import ConfigError
from tests.transforms.sandbox.processes import remember
from transforms.sandbox.sandbox import Sandbox


@pytest.fixture(scope="package")
def sandbox() -> Iterator[Sandbox]:
    try:
        opened = Sandbox(slots=2).__enter__()
    except ConfigError as error:
        pytest.skip(f"programs can't be boxed here: {error}")
    with opened:
        yield opened


@pytest.fixture(autouse=True)
def _others() -> None:
    """Tests ask what they leave behind; what ran before them isn't theirs."""
    remember()
