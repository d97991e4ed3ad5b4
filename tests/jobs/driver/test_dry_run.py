"""The output of a dry run in addition to the plan: the sample's rates, and the floors of a generation job."""

from __future__ import annotations

import importlib
from collections import Counter

import pytest

from jobs import catalog
from jobs.driver.dry_run import Sample, floor_lines, sample_lines
from jobs.options import GenerationOptions
from transforms.work import Unit

JOBS = [name for name in catalog.JOBS if issubclass(catalog.options_of(name), GenerationOptions)]
UNITS = [
    Unit(
        unit_id=f"{index:06}-a", uri="a", version="", row_group=index, row_start=0, row_count=1000, num_bytes=4_000_000
    )
    for index in range(10)
]
SAMPLE = Sample(
    Counter(rows_in=24, rows_kept=12, rows_rejected=12, targets=48, tokens_in=48 * 1200, tokens_out=48 * 80), 6.0, ()
)


def options_of(job: str, **given: object) -> GenerationOptions:
    needed = {"task": "question.yaml"} if job == "annotate" else {}
    return importlib.import_module(f"jobs.{job}").Options(
        input=("*.parquet",), output="out", model="codegemma-2b", max_prompt_tokens=2048, **{**needed, **given}
    )


@pytest.mark.parametrize("job", JOBS)
def test_every_generation_job_reports_the_floors_of_its_plan_with_the_samples_tokens(job):
    options = options_of(job)
    assert isinstance(options, GenerationOptions)
    said = "\n".join(floor_lines(options, UNITS, SAMPLE))
    assert "rows     10,000" in said
    assert "prompts  20,000: 2.00 per row, measured on 24 rows" in said
    assert "in       24,000,000 tokens: 1,200 per prompt, measured on 24 rows" in said
    for device in ("TPU v5e", "TPU v6e", "TPU v5p", "H100 SXM", "32-core CPU"):
        assert device in said
    assert "roofline limit at published peak rates; no program can be faster" in " ".join(said.split())


def test_weights_and_prompts_in_8_bits_count_as_such():
    said = "\n".join(floor_lines(options_of("infill", weights="int8", prompt_cache="int8"), UNITS, SAMPLE))
    assert "int8 weights 2.33 GiB, int8 cache 9.0 KiB per token" in said


def test_a_model_that_fits_nowhere_is_one_line():
    sample = Sample(Counter({**SAMPLE.counts, "tokens_in": 48 * 4000}), 6.0, ())
    (line,) = floor_lines(options_of("infill"), UNITS, sample)
    assert line.startswith("floors   means of 4,000 prompt")


def test_the_sample_is_scaled_to_all_rows():
    lines = sample_lines(SAMPLE, 240)
    assert lines[0] == "sample   24 rows in 6.0 s: 12 kept, 12 rejected"
    assert "prompts  about 480" in lines
    assert "tokens   about 576,000 in prompts, 38,400 generated" in lines
    assert lines[-1].startswith("time     about 01:00")


def test_a_sample_that_could_not_be_read_says_why():
    assert sample_lines(Sample(Counter(), 0.0, ("sample   damaged_input: x",)), 9) == [
        "sample   damaged_input: x",
        "sample   no row could be read",
    ]
