"""What a chip needs for the training step, by the TPU compiler. A compile takes a minute on an idle core: slow."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from model.estimates.report import ENVIRONMENT, is_available

CHIP_BYTES = int(15.75 * (1 << 30))
needs_libtpu = pytest.mark.skipif(
    not is_available(), reason="libtpu isn't installed: make tpu-aot lets this compile for TPUs"
)


def memory(*flags: str) -> dict[str, int]:
    words = [sys.executable, "-m", "model.estimates.training_aot", "codegemma-2b", "v5e:2x4", *flags]
    environment = {**os.environ, **ENVIRONMENT}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=1800, check=True)
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.timeout(3600)
@needs_libtpu
def test_all_weights_of_2b_are_trained_within_the_eight_chips_of_a_host_and_in_place():
    found = memory("--rows", "8", "--length", "2048")
    assert found["peak"] < CHIP_BYTES
    assert found["output"] - found["alias"] < 1 << 20
    # Weights and two moments of 2.5 billion parameters in float32, an eighth of each.
    assert 3.5e9 < found["argument"] < 4e9


@pytest.mark.slow
@pytest.mark.timeout(3600)
@needs_libtpu
def test_adapters_of_2b_leave_room_for_four_times_the_rows():
    found = memory("--rows", "32", "--length", "2048", "--lora_rank", "16")
    assert found["peak"] < CHIP_BYTES
    assert found["argument"] < 1.5e9
