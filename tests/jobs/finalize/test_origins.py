"""Where a dataset comes from, as its summary tells it."""

from __future__ import annotations

import json
from types import SimpleNamespace

from jobs.finalize.origins import input_datasets, origins_of
from jobs.plan.footers import InputFile
from jobs.storage.folders import OutputFolder

NO_MODEL = SimpleNamespace(checkpoint_sha256="")


def test_files_belong_to_the_dataset_above_data_each_once_in_their_order():
    uris = ["/b/data/0.parquet", "/a/x.parquet", "/b/data/1.parquet", "gs://c/out/data/0.parquet"]
    assert [dataset.path for dataset in input_datasets(InputFile(uri=uri, name="") for uri in uris)] == [
        "/b",
        "/a",
        "gs://c/out",
    ]


def test_models_of_what_was_read_are_told_each_once_beside_the_jobs_own(tmp_path):
    models = [{"name": "codegemma-2b", "checkpoint_sha256": "ab"}]
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "summary.json").write_text(json.dumps({"job": "infill", "models": models}))
    job = SimpleNamespace(checkpoint_sha256="cd", job="infill", options={"model": "/home/me/mine"})
    told = origins_of(job, [OutputFolder(str(tmp_path / name)) for name in ("one", "two")])
    assert told["sources"] == [{"name": "one", "job": "infill"}, {"name": "two", "job": "infill"}]
    assert told["models"] == [*models, {"name": "mine", "checkpoint_sha256": "cd"}]


def test_a_source_that_is_a_users_home_does_not_tell_the_users_name():
    told = origins_of(NO_MODEL, [OutputFolder("/home/jdoe"), OutputFolder("/no/such/in")])
    assert told["sources"] == [{"name": "a home folder", "job": None}, {"name": "in", "job": None}]
