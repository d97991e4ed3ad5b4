"""Jobs translated for Dataflow without a network: what the service would be sent, from the command line on.

Input and output are in an emulated bucket (`tests.dataflow` says what is replaced).
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import apache_beam
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import jobs
from jobs import cli, storage
from jobs.beam.accelerators import ACCELERATORS
from jobs.beam.dataflow import PLAIN_MACHINE
from tests.dataflow import Translated

IMAGE = "region-docker.pkg.dev/project/repository/codemill:tpu"
KNOWN = ["--project=some-project", "--region=us-west1", "--temp_location=gs://bucket/tmp"]
FLAGS = [*KNOWN, f"--sdk_container_image={IMAGE}"]


@pytest.fixture
def bucket(gcs_root, tmp_path) -> str:
    rows = [{"content": f"def f{number}():\n    return {number}\n", "path": f"{number}.py"} for number in range(20)]
    table = pa.Table.from_pylist([{**row, "repo_name": "o/r", "language": "Python"} for row in rows])
    pq.write_table(table, tmp_path / "a.parquet")
    storage.write_bytes(f"{gcs_root}/in/a.parquet", (tmp_path / "a.parquet").read_bytes())
    return gcs_root


def translate(job: str, bucket: str, flags: list[str], beam: list[str]) -> None:
    words = [job, "--input", f"{bucket}/in", "--output", f"{bucket}/out", "--progress", "none", *flags]
    with pytest.raises(Translated):
        cli.main([*words, "--", *beam, "--no_auth"])


@pytest.mark.parametrize("name", ["v5e-4", "v6e-1"])
def test_a_job_on_an_accelerator_asks_the_service_for_all_that_it_needs(submission, bucket, name):
    translate("infill", bucket, ["--accelerator", name], FLAGS)
    accelerator, pool = ACCELERATORS[name], submission.pool
    assert pool["machineType"] == accelerator.machine_type
    assert submission.environment["serviceOptions"] == [accelerator.service_option]
    assert submission.beam_options["dataflow_service_options"] == [accelerator.service_option]
    assert pool["workerHarnessContainerImage"] == IMAGE
    assert [one["containerImage"] for one in pool["sdkHarnessContainerImages"]] == [IMAGE]
    # `useSingleCorePerContainer` stays as Beam sets it: the experiment decides.
    assert "no_use_multiple_sdk_containers" in submission.environment["experiments"]
    assert "use_multiple_sdk_containers" not in submission.environment["experiments"]
    assert pool["numThreadsPerWorker"] == 4
    assert pool["diskSizeGb"] == 200


def test_a_job_without_a_model_takes_plain_machines(submission, bucket):
    translate("filter", bucket, [], ["--runner=DataflowRunner", *FLAGS])
    assert submission.pool["machineType"] == PLAIN_MACHINE == "n2-standard-8"
    assert submission.pool["numThreadsPerWorker"] == 16
    assert submission.pool["diskSizeGb"] == 100
    assert "no_use_multiple_sdk_containers" in submission.environment["experiments"]
    assert "serviceOptions" not in submission.environment


def test_flags_that_the_user_gives_stay_as_they_are(submission, bucket):
    given = ["--disk_size_gb=500", "--number_of_worker_harness_threads=7", "--max_num_workers=9"]
    translate("infill", bucket, ["--accelerator", "v5e-1"], [*FLAGS, *given, "--job_name=filled"])
    assert submission.pool["diskSizeGb"] == 500
    assert submission.pool["numThreadsPerWorker"] == 7
    assert submission.pool["autoscalingSettings"]["maxNumWorkers"] == 9
    assert submission.request["name"] == "filled"


def test_what_beam_has_against_a_flags_value_is_one_line(submission, bucket, capsys):
    words = ["infill", "--input", f"{bucket}/in", "--output", f"{bucket}/out", "--accelerator", "v5e-1", "--"]
    assert cli.main([*words, *FLAGS, "--project=P"]) == cli.USER_ERROR
    assert capsys.readouterr().err.splitlines()[-1] == (
        "codemill infill: error: Beam's flags after --: Invalid Project ID (P). Please make sure you specified the "
        "Project ID, not project description."
    )


OURS = {
    "infill": ["jobs.execution.pipeline.ReadPlan", "jobs.execution.pipeline.RunUnits"],
    "filter": ["jobs.execution.pipeline.ReadPlan", "jobs.execution.pipeline.RunUnits"],
    "pack": ["jobs.grouping.by_beam.ReadPieces", "jobs.grouping.by_beam.WriteBuckets"],
}


@pytest.mark.parametrize("job", OURS)
def test_the_graph_names_our_functions_and_no_path_of_this_machine(submission, bucket, job, tmp_path):
    translate(job, bucket, [], ["--runner=DataflowRunner", *FLAGS])
    for name in OURS[job]:
        assert submission.calls(name), name
    assert set(submission.staged) == {"pipeline.pb"}  # the image has codemill: nothing else is uploaded
    sent = [json.dumps(submission.request).encode(), submission.staged["pipeline.pb"], *submission.pickled()]
    # Beam's own functions name the file that they are in, which may lie in the current folder.
    beam = str(Path(apache_beam.__file__).parent).encode()
    sent = [one.replace(beam, b"") for one in sent]
    for path in (str(tmp_path), os.getcwd(), str(Path(jobs.__file__).parent), sys.executable):
        assert not any(path.encode() in one for one in sent), path
