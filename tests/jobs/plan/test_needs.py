"""What every host of a job must see of the driver's machine."""

from __future__ import annotations

import os

import pytest

from jobs import filter as filter_job
from jobs import storage
from jobs.options import CommonOptions
from jobs.plan.footers import InputFile
from jobs.plan.needs import absolute_paths, check_needs, needs_of_input, needs_of_options
from model.errors import ConfigError


@pytest.fixture(autouse=True)
def at_home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def filter_options(**more) -> filter_job.Options:
    return filter_job.Options(input=("in",), output="out", **more)


def test_single_paths_and_lists_of_paths_are_needed(tmp_path):
    for name in ("policy.yaml", "one", "two"):
        (tmp_path / name).touch()
    options = filter_options(policy="policy.yaml", benchmarks=("one", "gs://bucket/three", str(tmp_path / "two")))
    wanted = [str(tmp_path / name) for name in ("policy.yaml", "one", "two")]
    assert sorted(path for _, path, _ in needs_of_options(options)) == sorted(wanted)
    assert absolute_paths(options)["benchmarks"] == [wanted[1], "gs://bucket/three", wanted[2]]


def test_a_name_of_ours_is_no_path_even_where_a_file_is_called_so(tmp_path):
    default = filter_options().policy
    (tmp_path / default).touch()
    assert needs_of_options(filter_options(policy=default)) == []


def test_what_each_machine_has_of_its_own_isnt_needed(tmp_path):
    for name in ("job.log", "told.json"):
        (tmp_path / name).touch()
    assert needs_of_options(CommonOptions(input=("in",), output="out", log_file="job.log", summary="told.json")) == []


@pytest.mark.parametrize("flag", ["--policy", "--input"])
def test_what_a_host_cant_see_is_one_line_with_host_and_path(tmp_path, flag):
    with pytest.raises(ConfigError, match=rf"^\S+ can't see {flag} {tmp_path}/x of the driver on there; put it at"):
        check_needs([(flag, str(tmp_path / "x"), "")], "there")


def test_another_file_of_the_same_name_is_no_input(tmp_path):
    path = tmp_path / "a.parquet"
    path.write_bytes(b"rows")
    _, version = storage.file_info(str(path))
    check_needs([("--input", str(path), version)], "there")
    os.utime(path, (1, 1))  # as a copy that was made without the times
    check_needs([("--input", str(path), version)], "there")
    path.write_bytes(b"ROWS")
    with pytest.raises(
        ConfigError, match=rf"sees another file than --input {path} of the driver on there: its size or footer differ"
    ):
        check_needs([("--input", str(path), version)], "there")


def test_the_input_that_is_needed_is_one_that_is_here_as_it_was_planned(tmp_path):
    files = []
    for name in ("changed", "gone", "good"):
        (tmp_path / name).write_bytes(name.encode())
        uri = str(tmp_path / name)
        files.append(InputFile(uri=uri, version=storage.file_info(uri)[1]))
    (tmp_path / "changed").write_bytes(b"more than it was")
    (tmp_path / "gone").unlink()
    others = [InputFile(uri="gs://b/x"), InputFile(uri=files[2].uri, version=files[2].version, state="bad")]
    assert needs_of_input([*others, *files]) == [("--input", files[2].uri, files[2].version)]
    assert needs_of_input([*others, *files[:2]]) == []
