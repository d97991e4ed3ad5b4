"""The engine's programs, compiled for TPUs that aren't present, are checked against memory limits and a baseline.

Needs `make tpu-aot`. A target's programs are compiled once per process, so its tests belong in one: with several
workers, `--dist loadgroup`. To write the baseline again after a change that is meant to change it:

    python tests/model/test_tpu_gate.py
"""

from __future__ import annotations

import json
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest

from model.errors import ConfigError
from model.estimates.report import Report, Target, is_available, report_from_json, report_in_subprocess, report_to_json

BASELINE = Path(__file__).with_name("tpu_baseline.json")
TARGETS = {
    "2b": Target(preset="codegemma-2b", topology="v5e:1x1x1", slots=192),
    "7b": Target(preset="codegemma-7b", topology="v5e:2x2", slots=32),
    "gemma-3-1b": Target(preset="gemma-3-1b", topology="v5e:1x1x1", slots=192),
    "gemma-3-12b": Target(preset="gemma-3-12b", topology="v5e:2x2", slots=48),
}
SLOW = {"gemma-3-12b"}  # minutes
GIB = 1 << 30
MAX_BYTES = int(15.75 * GIB)
MAX_DECODE_TEMP = GIB // 2
# A row of 4,096 tokens: its feed-forward activations, and no scores of attention.
MAX_PREFILL_TEMP = GIB // 2
TOLERANCE = 0.10

needs_libtpu = pytest.mark.skipif(
    not is_available(), reason="libtpu isn't installed: make tpu-aot lets this compile for TPUs"
)
each_target = pytest.mark.parametrize(  # compiled once: see tests/groups.py
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in TARGETS]
)
may_take_long = pytest.mark.timeout(3600)  # several compiles, each of them seconds to minutes


@cache
def compiled(name: str) -> Report:
    return report_in_subprocess(TARGETS[name], timeout_s=3600)


@needs_libtpu
@may_take_long
@each_target
def test_everything_fits_a_chip(name: str) -> None:
    assert compiled(name).peak_bytes <= MAX_BYTES


@needs_libtpu
@may_take_long
@each_target
def test_temporaries_of_decoding_stay_small(name: str) -> None:
    assert compiled(name).programs["burst"].temp_bytes <= MAX_DECODE_TEMP


@needs_libtpu
@may_take_long
@each_target
def test_temporaries_of_a_prefill_row_and_an_insert_stay_in_their_limits(name: str) -> None:
    programs = compiled(name).programs
    assert programs["prefill"].temp_bytes <= MAX_PREFILL_TEMP
    assert programs["insert"].temp_bytes <= MAX_DECODE_TEMP


@needs_libtpu
@may_take_long
@each_target
def test_no_loop_copies_a_cache(name: str) -> None:
    for program in compiled(name).programs.values():
        assert program.loop_copies == ()


@needs_libtpu
@may_take_long
@each_target
def test_state_that_a_program_replaces_is_donated(name: str) -> None:
    programs = compiled(name).programs
    burst, insert = programs["burst"], programs["insert"]
    assert burst.output_bytes - burst.alias_bytes < 1 << 20
    assert insert.output_bytes - insert.alias_bytes < 1 << 20


@needs_libtpu
@may_take_long
@each_target
def test_estimated_cycles_stay_near_the_baseline(name: str) -> None:
    baseline = report_from_json(json.dumps(json.loads(BASELINE.read_text())[TARGETS[name].name]))
    installed = {package: metadata.version(package) for package in baseline.versions}
    if installed != baseline.versions:
        pytest.skip(f"the baseline is of {baseline.versions}, installed are {installed}: estimates don't compare")
    for program, expected in baseline.programs.items():
        found = compiled(name).programs[program]
        assert found.cycles == pytest.approx(expected.cycles, rel=TOLERANCE), (
            f"{program}: rewrite the baseline if meant"
        )
        assert found.step_cycles == pytest.approx(expected.step_cycles, rel=TOLERANCE)


@needs_libtpu
@may_take_long
def test_a_batch_that_does_not_fit_is_refused_by_the_compiler() -> None:
    too_many = Target(preset="codegemma-2b", topology="v5e:1x1x1", slots=4096)
    with pytest.raises(ConfigError, match=r"doesn't compile: .*(RESOURCE_EXHAUSTED|memory)"):
        report_in_subprocess(too_many, programs=["insert"], timeout_s=3600)


def test_the_baseline_holds_every_target_and_each_fits_a_chip() -> None:
    baseline = json.loads(BASELINE.read_text())
    assert set(baseline) == {target.name for target in TARGETS.values()}
    assert all(report_from_json(json.dumps(fields)).peak_bytes <= MAX_BYTES for fields in baseline.values())


def test_a_report_survives_json() -> None:
    for fields in json.loads(BASELINE.read_text()).values():
        text = json.dumps(fields)
        assert json.loads(report_to_json(report_from_json(text))) == fields


def test_a_target_without_a_preset_is_refused() -> None:
    with pytest.raises(ConfigError, match="unknown preset codegemma-9b"):
        Target(preset="codegemma-9b", topology="v5e:1x1x1", slots=1)


@pytest.mark.skipif(is_available(), reason="libtpu is installed")
def test_without_libtpu_one_line_says_what_to_install() -> None:
    with pytest.raises(ConfigError, match="tpu-aot"):
        report_in_subprocess(TARGETS["2b"])


if __name__ == "__main__":
    reports = {target.name: json.loads(report_to_json(compiled(name))) for name, target in TARGETS.items()}
    BASELINE.write_text(json.dumps(reports, indent=1, sort_keys=True) + "\n")
