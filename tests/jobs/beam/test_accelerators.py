"""The table of Dataflow's TPUs: what is derived in it agrees with what is written down, names find their neighbor."""

from __future__ import annotations

import re

import pytest

from jobs.beam.accelerators import ACCELERATORS, accelerator_named
from model.errors import ConfigError
from model.roofline import DEVICES


@pytest.mark.parametrize("name", ACCELERATORS)
def test_name_topology_and_machine_type_count_the_same_chips(name):
    one = ACCELERATORS[name]
    assert name == f"{one.device}-{one.chips}"
    assert one.chip is DEVICES[one.device]
    assert re.search(r"-(\d+)t$", one.machine_type)[1] == str(one.chips)


@pytest.mark.parametrize("name", ACCELERATORS)
def test_the_containers_variables_count_the_same_chips(name):
    one = ACCELERATORS[name]
    bounds = [int(size) for size in one.environment["TPU_CHIPS_PER_HOST_BOUNDS"].split(",")]
    assert len(bounds) == 3
    assert bounds[0] * bounds[1] * bounds[2] == one.chips
    cores_per_chip = 2 if one.device == "v5p" else 1
    assert one.environment["TPU_ACCELERATOR_TYPE"].rpartition("-")[2] == str(one.chips * cores_per_chip)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("v5e4", "did you mean v5e-4?"),
        ("V6E-8", "did you mean v6e-8?"),
        ("v5p-8", "did you mean v5p-4?"),
        ("h100", "there are v5e-1, v5e-4, v5e-8, v6e-1, v6e-4, v6e-8, v5p-4"),
        ("\x1b[31m", "there are v5e-1"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(name, hint):
    with pytest.raises(ConfigError) as error:
        accelerator_named(name)
    assert hint in str(error.value)
    assert str(error.value).isprintable()
