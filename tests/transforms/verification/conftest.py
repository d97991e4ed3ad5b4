from __future__ import annotations

from collections.abc import Iterator

import pytest

from model.errors import ConfigError
from transforms.verification.verifier import Verifier


@pytest.fixture(scope="package")
def verifier() -> Iterator[Verifier]:
    try:
        opened = Verifier(slots=2).__enter__()
    except ConfigError as error:
        pytest.skip(f"programs can't be boxed here: {error}")
    try:
        yield opened
    finally:
        opened.__exit__()
