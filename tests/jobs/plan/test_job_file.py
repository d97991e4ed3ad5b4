from __future__ import annotations

import dataclasses
import json

import pyarrow as pa
import pytest

from jobs.plan.job_file import SCHEMA_VERSION, JobFile, check_resume, hash_config, read_job
from jobs.plan.schemas import schema_to_text
from jobs.storage.folders import OutputFolder
from model.errors import ConfigError
from tests.jobs import uppercase

OPTIONS = uppercase.Options(input=("in",), output="out")
SCHEMA = pa.schema([("content", pa.large_string())])


def job_of(version: str = SCHEMA_VERSION, **options: object) -> JobFile:
    from jobs.options.fields import semantic_options

    return JobFile(
        job="infill",
        options=json.loads(json.dumps(semantic_options(OPTIONS))) | options,
        config_hash="cafe",
        checkpoint_sha256="ab",
        versions={},
        columns={"content": "content"},
        input_schema=schema_to_text(SCHEMA),
        projected=("content",),
        output_schema=schema_to_text(SCHEMA),
        plan_sha256="",
        totals={},
        created="2030-01-01T00:00:00Z",
        schema_version=version,
    )


def test_a_job_file_survives_its_json(tmp_path):
    job = job_of()
    assert JobFile.from_json(job.to_json()) == job
    (tmp_path / "_job").mkdir()
    (tmp_path / "_job/job.json").write_bytes(job.to_json())
    assert read_job(OutputFolder(str(tmp_path))) == job


def test_the_same_version_options_and_weights_resume():
    check_resume(job_of(), "out", OPTIONS, "ab")


@pytest.mark.parametrize("version", ["1", "99"])
def test_another_schema_version_resumes_nothing_and_the_line_names_both(version):
    with pytest.raises(ConfigError) as refused:
        check_resume(job_of(version), "out", OPTIONS, "ab")
    assert str(refused.value) == (
        f"out was started with schema version {version}, this codemill writes version {SCHEMA_VERSION}; "
        "finish it with the codemill that started it, or choose another --output"
    )


def test_what_is_finished_may_be_of_any_schema_version_but_not_of_other_options():
    check_resume(job_of("1"), "out", OPTIONS, "ab", is_finished=True)
    with pytest.raises(ConfigError, match="--mark was x"):
        check_resume(job_of("1", mark="x"), "out", OPTIONS, "ab", is_finished=True)


def test_the_version_in_a_shards_metadata_is_the_one_that_the_job_was_started_with():
    job = job_of("1")
    assert job.final_schema.metadata[b"schema_version"] == b"1"
    assert dataclasses.replace(job, schema_version=SCHEMA_VERSION).final_schema.metadata != job.final_schema.metadata


def test_commits_of_two_schema_versions_are_never_taken_for_one_jobs(monkeypatch):
    now = hash_config("filter", {}, "")
    monkeypatch.setattr("jobs.plan.job_file.SCHEMA_VERSION", "1")
    assert hash_config("filter", {}, "") != now
