"""The table of Dataflow's TPUs: what is derived in it agrees with what is written down, names find their neighbor."""

from __future__ import annotations

import re

import pytest

from jobs.beam.accelerators import ACCELERATORS
from jobs.catalog import options_of
from jobs.options import parse
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
    [("v5e4", "did you mean v5e-4?"), ("V6E-8", "did you mean v6e-8?"), ("h100", "v6e-8, v5p-4")],
)
def test_an_unknown_name_is_refused_with_the_nearest(name, hint):
    with pytest.raises(ConfigError) as error:
        parse(options_of("infill"), ["--input", "i", "--output", "o", "--accelerator", name])
    assert hint in str(error.value) and "\n" not in str(error.value)
