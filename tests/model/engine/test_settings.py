"""A setting is defined once: classes that inherit it, or are made from it, have its default and its limits."""

from __future__ import annotations

import dataclasses

import pytest

from jobs.infill import Options
from model.engine.options import EngineOptions
from model.engine.requests import Sampling
from model.engine.settings import EngineSettings, EngineSpec, GenerationSettings, SamplingSettings, TokenLimits
from model.errors import ConfigError


def test_an_engine_is_made_with_every_setting_of_its_spec():
    spec = EngineSpec(dtype="float32", slots=3, prompt_cache="int8", prompt_lookup="off", max_new_tokens=7)
    options = EngineOptions.of(spec)
    assert options.values_of(EngineSettings) == spec.values_of(EngineSettings)
    assert (options.prompt_buckets[-1], options.max_new_tokens) == (spec.max_prompt_tokens, 7)


def test_an_engine_without_a_spec_has_the_defaults_of_the_jobs():
    # A job that is told no lengths takes them from model and task (`jobs.execution`).
    lengths = {"max_prompt_tokens": TokenLimits.max_prompt_tokens, "max_new_tokens": TokenLimits.max_new_tokens}
    job = Options(input=("in",), output="out", **lengths)
    assert EngineOptions() == EngineOptions.of(job.part(EngineSpec))
    assert Sampling() == Sampling(**job.values_of(SamplingSettings))
    assert job.part(GenerationSettings) == GenerationSettings()


@pytest.mark.parametrize("cls", [TokenLimits, GenerationSettings, EngineSpec])
def test_limits_hold_wherever_a_setting_is_made_and_flags_are_named_by_jobs_alone(cls):
    with pytest.raises(ConfigError, match=r"^max_new_tokens is 0, the minimum is 1$"):
        cls(max_new_tokens=0)
    with pytest.raises(ConfigError, match=r"^--max_new_tokens is 0, the minimum is 1$"):
        Options(input=("in",), output="out", max_new_tokens=0)


def test_a_part_holds_the_values_that_were_given_and_nothing_else():
    job = Options(input=("in",), output="out", temperature=0.5, top_k=4, slots=9)
    assert job.part(SamplingSettings) == SamplingSettings(temperature=0.5, top_k=4)
    assert {field.name for field in dataclasses.fields(job.part(SamplingSettings))} == {"temperature", "top_k", "top_p"}
