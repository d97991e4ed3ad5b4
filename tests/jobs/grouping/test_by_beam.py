"""Grouping on a Beam runner whose workers see something else than the driver, or lose what they wrote."""

from __future__ import annotations

import functools
import os
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import storage
from jobs.beam.orphans import signs_of_life
from jobs.grouping import by_beam
from jobs.grouping.by_beam import ReadPieces, WriteBuckets, group_on_runner, job_dir_of
from jobs.grouping.on_disk import group_on_disk
from jobs.grouping.reading import GroupSettings, pieces, reading_of
from jobs.grouping.repositories import group_by_repository
from jobs.hosts.checks import driver_facts
from jobs.plan.inputs import Inputs, read_inputs
from jobs.plan.needs import needs_of_input
from jobs.storage.folders import JobFolder
from model.errors import ConfigError
from transforms.rows.columns import ColumnOverrides
from transforms.spool import scratch_for_process

LOCAL = ["--runner", "apache_beam.runners.portability.fn_api_runner.FnApiRunner"]
COLUMNS = ColumnOverrides(content="content", path="path", repo_name="repo_name", language="language")
NUM_ROWS = 40


@pytest.fixture
def job_dir(tmp_path) -> JobFolder:
    found = JobFolder(str(tmp_path / "out" / "_job"))
    storage.make_job_folder(found.path, shared=False)
    return found


@pytest.fixture
def corpus(tmp_path) -> Path:
    numbers = range(NUM_ROWS)
    rows = {
        "content": [f"import os\nx = {number}\n" * 50 for number in numbers],
        "path": [f"a{number}.py" for number in numbers],
        "repo_name": [f"r{number}" for number in numbers],
        "language": ["Python"] * NUM_ROWS,
    }
    path = tmp_path / "in" / "a.parquet"
    path.parent.mkdir()
    pq.write_table(pa.table(rows), path, row_group_size=10, compression="none", use_dictionary=False)
    return path


def inputs_of(corpus: Path) -> Inputs:
    return read_inputs([str(corpus)], COLUMNS)


def group(corpus: Path, job_dir: JobFolder):
    def spread(inputs, folder, limit, settings):
        return group_on_runner(inputs, folder, limit, settings, beam_args=LOCAL)

    with scratch_for_process():
        return group_by_repository([str(corpus)], job_dir, COLUMNS, spread=spread, settings=GroupSettings(workers=0))


def functions(corpus: Path, job_dir: JobFolder) -> list:
    inputs = inputs_of(corpus)
    facts = driver_facts(job_dir, needs_of_input(inputs.files))
    return [
        ReadPieces(reading_of(inputs), facts),
        WriteBuckets(job_dir.join("grouped", "0"), GroupSettings(), facts),
    ]


@pytest.mark.parametrize("number", [0, 1])
def test_a_worker_whose_folder_isnt_the_drivers_groups_nothing(corpus, job_dir, number):
    function = functions(corpus, job_dir)[number]
    storage.write_bytes(job_dir.probe, b"another machine's")
    with pytest.raises(ConfigError, match="doesn't see the job's folder"):
        function.setup()


def test_a_worker_that_doesnt_see_the_input_groups_nothing(corpus, job_dir):
    function = functions(corpus, job_dir)[0]
    corpus.unlink()
    with pytest.raises(ConfigError, match=f"can't see --input {corpus} of the driver"):
        function.setup()


def test_rows_that_were_written_elsewhere_freeze_no_manifest(corpus, job_dir, monkeypatch):
    reading = by_beam.reading_of
    write = WriteBuckets._write

    def write_elsewhere(self, number, parts):
        self._folder, mine = self._folder + ("-elsewhere" if number % 2 else ""), self._folder
        write(self, number, parts)
        self._folder = mine

    def many(inputs, only=None):
        found = reading(inputs, only)
        return type(found)(found.columns, found.schema, 8)

    monkeypatch.setattr(by_beam, "reading_of", many)
    monkeypatch.setattr(WriteBuckets, "_write", write_elsewhere)
    with pytest.raises(ConfigError, match=rf"grouped \d+ rows, .* but the input has {NUM_ROWS}: ") as told:
        group(corpus, job_dir)
    assert "\n" not in str(told.value)
    assert not os.path.exists(job_dir.grouping)
    monkeypatch.setattr(WriteBuckets, "_write", write)
    assert group(corpus, job_dir).rows == NUM_ROWS


def test_rows_of_damaged_row_groups_are_counted_as_lost(corpus, job_dir):
    footer = pq.ParquetFile(corpus).metadata
    column = footer.row_group(2).column(0)
    with corpus.open("r+b") as file:
        file.seek(column.data_page_offset)
        file.write(b"\xff" * 200)
    grouped = group(corpus, job_dir)
    assert grouped.rows == 30
    ((name, fault),) = grouped.bad_files
    assert name == "a.parquet" and "damaged_input" in fault


def test_a_file_that_has_gone_is_the_runners_error_and_no_damage(corpus, job_dir):
    inputs = inputs_of(corpus)
    function = functions(corpus, job_dir)[0]
    function.setup()
    corpus.unlink()
    with pytest.raises(FileNotFoundError):
        list(function.process(next(pieces(inputs, None))))


def test_a_worker_that_groups_gives_signs_of_life(corpus, job_dir):
    function = functions(corpus, job_dir)[0]
    function.setup()
    before = signs_of_life(job_dir)
    list(function.process(next(pieces(inputs_of(corpus), None))))
    assert signs_of_life(job_dir) != before


def test_the_jobs_folder_is_found_by_that_of_the_grouped_files(job_dir):
    assert job_dir_of(job_dir.join("grouped", "0f")) == job_dir
    shutil.rmtree(job_dir.path)


def test_a_runner_groups_some_rows_as_local_disk_does(corpus, job_dir):
    only = {("a.parquet", 0): [1, 7], ("a.parquet", 2): [0], ("a.parquet", 3): [9]}
    inputs = inputs_of(corpus)
    assert {file.public_name for file in inputs.files} == {"a.parquet"}
    settings = GroupSettings(workers=0, only=only)
    found = []
    for spread in (group_on_disk, functools.partial(group_on_runner, beam_args=LOCAL)):
        folder = job_dir.join("grouped", str(len(found)))
        with scratch_for_process():
            assert spread(inputs, folder, None, settings) == (4, ())
        tables = [pq.read_table(path) for path in sorted(Path(folder).glob("*.parquet"))]
        found.append(pa.concat_tables(tables).to_pylist())
    assert found[0] == found[1]
    assert sorted((one["source_row_group"], one["source_row"]) for one in found[0]) == [(0, 1), (0, 7), (2, 0), (3, 9)]
