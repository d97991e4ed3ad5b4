from __future__ import annotations

from collections.abc import Iterator

import pytest

from model.errors import ConfigError
from transforms.evaluation.judge import Judge
from transforms.sandbox.sandbox import Sandbox
from transforms.sandbox.toolchains import toolchains


@pytest.fixture(scope="package")
def judge() -> Iterator[Judge]:
    try:
        opened = Sandbox(slots=2).__enter__()
    except ConfigError as error:
        pytest.skip(f"programs can't be boxed here: {error}")
    with opened:
        yield Judge(opened, toolchains())
