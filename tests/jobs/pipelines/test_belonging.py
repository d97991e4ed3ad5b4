"""The pipeline that a job is a step of."""

from __future__ import annotations

from jobs.inspect import Options
from jobs.pipelines.belonging import current_pipeline, running
from jobs.pipelines.steps import Step


def test_what_runs_meanwhile_is_a_step_of_the_pipeline_and_nothing_after_it():
    steps = [
        Step(name="clean", job="filter", options=Options(path="/home/me/in"), reads=()),
        Step(name="unique", job="dedup", options=Options(path="x"), reads=("clean",)),
    ]
    with running(steps[1], steps):
        found = current_pipeline()
    assert found == {
        "step": "unique",
        "steps": [
            {"name": "clean", "job": "filter", "reads": []},
            {"name": "unique", "job": "dedup", "reads": ["clean"]},
        ],
    }
    assert current_pipeline() is None
