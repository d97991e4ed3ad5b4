"""Lengths of prompts and answers follow from model and task, and a resumed job keeps its own."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs import annotate, docstring, generate, infill
from jobs.driver import generation
from jobs.execution.lengths import choose_lengths, with_lengths
from jobs.options import all_options
from jobs.plan.job_file import JobFile

GIVEN = {"input": ("in",), "output": "out"}


@given(
    st.integers(64, 1 << 20),
    st.integers(1, 4096),
    st.integers(16, 8192),
    st.none() | st.integers(1, 9000),
    st.none() | st.integers(16, 9000),
)
def test_given_lengths_stay_and_the_others_fit_the_context(context, answer_tokens, prompt_tokens, new, prompt):
    chosen_new, chosen_prompt = choose_lengths(context, answer_tokens, prompt_tokens, new=new, prompt=prompt)
    assert new in (None, chosen_new)
    assert prompt in (None, chosen_prompt)
    if (new or 0) + (prompt or 0) <= context - 17:
        assert chosen_new + chosen_prompt <= context
    assert chosen_new >= 1
    assert chosen_prompt >= 16


@pytest.mark.parametrize(
    ("job", "more", "lengths"),
    [
        (infill, {}, (128, 896)),
        (docstring, {}, (256, 768)),
        (generate, {}, (256, 768)),
        (annotate, {"task": "explain", "any_model": True}, (256, 768)),
        (annotate, {"task": "explain", "any_model": True, "max_new_tokens": 100}, (100, 924)),
        (infill, {"max_prompt_tokens": 64, "max_new_tokens": 8}, (8, 64)),
    ],
)
def test_the_embedded_models_context_is_filled_as_the_task_needs(job, more, lengths):
    work = job.build_work(all_options(job.Options(**GIVEN, **more)))
    assert (work.engine.max_new_tokens, work.engine.max_prompt_tokens) == lengths
    assert (work.task.max_new_tokens, work.task.max_prompt_tokens) == lengths


def test_a_model_with_a_long_context_gives_whole_answers(monkeypatch):
    config = type("Config", (), {"context_length": 8192})
    monkeypatch.setattr("jobs.execution.lengths.read_config", lambda path: config)
    options = with_lengths(infill.Options(**GIVEN), answer_tokens=768, prompt_tokens=4096)
    assert (options.max_new_tokens, options.max_prompt_tokens) == (768, 4096)


def begun(tmp_path, **options) -> dict:
    """An output that an earlier version began; returns the options that name it."""
    values = {field.name: "" for field in dataclasses.fields(JobFile)} | {"projected": (), "totals": {}, "columns": {}}
    job = JobFile(**{**values, "job": "infill", "options": options})
    (tmp_path / "out" / "_job").mkdir(parents=True)
    (tmp_path / "out" / "_job" / "job.json").write_bytes(job.to_json())
    return {"input": ("in",), "output": str(tmp_path / "out")}


def test_a_resumed_job_keeps_the_lengths_that_it_was_started_with(tmp_path):
    command = begun(tmp_path, max_prompt_tokens=700, max_new_tokens=99)
    found = generation._with_frozen_lengths("infill", infill.Options(**command))
    assert (found.max_prompt_tokens, found.max_new_tokens) == (700, 99)
    found = generation._with_frozen_lengths("infill", infill.Options(**command, max_new_tokens=50))
    assert (found.max_prompt_tokens, found.max_new_tokens) == (700, 50)  # which the driver then refuses by name


def test_another_jobs_output_gives_no_lengths(tmp_path):
    options = generate.Options(**begun(tmp_path, max_prompt_tokens=700, max_new_tokens=99))
    assert generation._with_frozen_lengths("generate", options) == options
