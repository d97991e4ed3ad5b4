"""What a runner's worker finds out about itself before it runs units."""

from __future__ import annotations

import os
import shutil

import pytest

from jobs import storage
from jobs.hosts.checks import check_folder, check_versions, check_worker, driver_facts
from jobs.hosts.stopping import read_reason
from jobs.storage.folders import JobFolder
from model.errors import ConfigError


@pytest.fixture
def job_dir(tmp_path) -> JobFolder:
    return JobFolder(str(tmp_path / "out" / "_job"))


def test_a_worker_like_the_driver_is_good(job_dir, caplog):
    check_worker(driver_facts(job_dir))
    assert caplog.text == ""


def test_a_worker_is_checked_once_a_run(job_dir):
    facts = driver_facts(job_dir)
    check_worker(facts)
    storage.remove(job_dir.probe)
    check_worker(facts)
    with pytest.raises(ConfigError):
        check_worker({**driver_facts(job_dir), "probe": "another run's"})


@pytest.mark.parametrize("what", ["no folder", "another folder"])
def test_a_folder_that_isnt_the_drivers_is_told_with_its_path_and_left_as_it_is(job_dir, what):
    facts = driver_facts(job_dir)
    if what == "no folder":
        shutil.rmtree(os.path.dirname(job_dir.path))
    else:
        storage.write_bytes(job_dir.probe, b"other")
    before = sorted(os.walk(os.path.dirname(job_dir.path)))
    with pytest.raises(ConfigError, match=rf"doesn't see the job's folder {job_dir.path} of the driver on"):
        check_worker(facts)
    assert sorted(os.walk(os.path.dirname(job_dir.path))) == before


def test_a_bucket_is_probed_as_well(gcs_root):
    job_dir = JobFolder(storage.join(gcs_root, "out/_job"))
    facts = driver_facts(job_dir)
    check_folder(facts)
    storage.remove(job_dir.probe)
    with pytest.raises(ConfigError, match="doesn't see the job's folder gs://"):
        check_folder(facts)


@pytest.mark.parametrize("name", ["codemill", "output format"])
def test_another_version_of_codemill_is_told_with_both(job_dir, name):
    facts = driver_facts(job_dir)
    with pytest.raises(ConfigError, match=rf"has {name} 9, the driver on \S+ has {facts['versions'][name]};"):
        check_versions(facts, {**facts["versions"], name: "9"})


def test_another_version_of_a_library_is_a_note(job_dir, caplog):
    facts = driver_facts(job_dir)
    check_versions(facts, {**facts["versions"], "jax": "0.1", "python": "3.12.0"})
    assert "has jax 0.1, the driver on" in caplog.text
    assert "has python 3.12.0, the driver on" in caplog.text


def test_a_worker_with_another_version_leaves_the_reason_for_the_driver(job_dir):
    facts = driver_facts(job_dir)
    with pytest.raises(ConfigError):
        check_worker({**facts, "versions": {**facts["versions"], "codemill": "9"}})
    reason = read_reason(job_dir)
    assert reason is not None and "codemill" in reason["message"]


@pytest.mark.parametrize("flag", ["--input", "--model"])
def test_a_worker_that_doesnt_see_what_the_driver_sees_leaves_the_reason(job_dir, tmp_path, flag):
    there = tmp_path / "there"
    there.touch()
    facts = driver_facts(job_dir, [(flag, str(there), "")])
    check_worker(facts)
    facts = driver_facts(job_dir, [(flag, str(tmp_path / "not there"), "")])
    with pytest.raises(ConfigError, match=rf"can't see {flag} {tmp_path}/not there of the driver on"):
        check_worker(facts)
    reason = read_reason(job_dir)
    assert reason is not None and flag in reason["message"]
