"""Beam's flags for Dataflow: what is added, what stays, what is refused; the model must fit the accelerator."""

from __future__ import annotations

import pytest
from apache_beam.options.pipeline_options import DebugOptions, GoogleCloudOptions, PipelineOptions, WorkerOptions
from hypothesis import given
from hypothesis import strategies as st

from jobs import cli
from jobs.beam.accelerators import ACCELERATORS
from jobs.beam.dataflow import completed, is_dataflow, on_accelerator
from jobs.beam.flags import check_flags
from jobs.driver import generation
from model.config import PRESETS
from model.engine.settings import EngineSpec
from model.errors import ConfigError

KNOWN = ["--project=some-project", "--region=us-west1", "--temp_location=gs://b/tmp"]
IMAGE = ["--sdk_container_image=image"]


@pytest.mark.parametrize("name", ["DataflowRunner", "dataflow", "DATAFLOW", "apache_beam.runners.DataflowRunner"])
def test_the_runner_is_recognized_in_every_form(name):
    assert is_dataflow(["--runner", name]) and is_dataflow([f"--runner={name}"])
    assert not is_dataflow(["--runner", "FlinkRunner", "--job_name", name])


@pytest.mark.parametrize("name", ACCELERATORS)
def test_an_accelerator_becomes_flags_that_beam_reads(name):
    accelerator = ACCELERATORS[name]
    flags = on_accelerator(accelerator, [*KNOWN, *IMAGE])
    check_flags(flags)
    assert is_dataflow(flags)
    options = PipelineOptions(flags)
    worker, google = options.view_as(WorkerOptions), options.view_as(GoogleCloudOptions)
    assert worker.machine_type == accelerator.machine_type
    assert google.dataflow_service_options == [accelerator.service_option]
    assert (worker.disk_size_gb, worker.sdk_container_image) == (200, "image")
    assert options.view_as(DebugOptions).number_of_worker_harness_threads == 4
    assert "no_use_multiple_sdk_containers" in options.view_as(DebugOptions).experiments


@given(st.permutations([*KNOWN, *IMAGE, "--disk_size_gb=7", "--experiments=no_use_multiple_sdk_containers"]))
def test_completing_twice_adds_nothing(flags):
    once = completed(["--runner=DataflowRunner", *flags])
    assert completed(once) == once
    on_tpus = on_accelerator(ACCELERATORS["v6e-4"], flags)
    assert on_accelerator(ACCELERATORS["v6e-4"], on_tpus) == on_tpus


@pytest.mark.parametrize(
    ("machine", "threads"), [("n2-standard-32", 64), ("n2-custom-6-16384", 12), ("e2-medium", 32), (None, 16)]
)
def test_threads_follow_the_machines_cores(machine, threads):
    flags = completed([*KNOWN, *IMAGE, *([f"--machine_type={machine}"] if machine else [])])
    assert PipelineOptions(flags).view_as(DebugOptions).number_of_worker_harness_threads == threads


CONTRADICTIONS = {
    "--runner=FlinkRunner": "--accelerator v5e-4 is for Dataflow, but --runner after -- is FlinkRunner",
    "--worker_machine_type=n1-standard-4": "have --worker_machine_type n1-standard-4; leave one of the two out",
    "--machine_type=ct5lp-hightpu-8t": "means machine type ct5lp-hightpu-4t",
    "--dataflow_service_options=worker_accelerator=type:nvidia-l4;count:1": "worker_accelerator=type:nvidia-l4",
    "--dataflow_service_option=worker_accelerator=type:tpu-v5-lite-podslice;topology:1x1": "topology:1x1; leave one",
    "--experiments=worker_accelerator=type:nvidia-l4;count:1": "have --experiments worker_accelerator=type:nvidia-l4",
    "--experiments=use_multiple_sdk_containers": "starts a harness per core",
}


@pytest.mark.parametrize("flag", CONTRADICTIONS)
def test_a_flag_that_contradicts_the_accelerator_is_refused_in_one_line(flag):
    with pytest.raises(ConfigError) as error:
        on_accelerator(ACCELERATORS["v5e-4"], [*KNOWN, *IMAGE, flag])
    assert CONTRADICTIONS[flag] in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "flag", ["--machine_type=ct5lp-hightpu-4t", f"--dataflow_service_options={ACCELERATORS['v5e-4'].service_option}"]
)
def test_a_flag_that_says_the_same_is_no_contradiction(flag):
    flags = on_accelerator(ACCELERATORS["v5e-4"], [*KNOWN, *IMAGE, flag])
    assert sum(flag.partition("=")[2] in one for one in flags) == 1


INCOMPLETE = {
    "--project --region": (["--temp_location=gs://b/t", *IMAGE], "Dataflow needs --project, --region after --"),
    "bucket": ([*KNOWN[:2], *IMAGE], "Dataflow needs --temp_location gs://BUCKET/FOLDER after --"),
    "local": ([*KNOWN[:2], "--temp_location=/tmp", *IMAGE], "--temp_location after -- is /tmp; Dataflow needs a gs://"),
    "staging": ([*KNOWN, "--staging_location=x", *IMAGE], "--staging_location after -- is x"),
    "image": (KNOWN, "Dataflow's workers need codemill: pass --sdk_container_image IMAGE"),
}


@pytest.mark.parametrize("case", INCOMPLETE)
def test_what_only_the_user_can_know_is_asked_for_in_one_line(case):
    flags, line = INCOMPLETE[case]
    with pytest.raises(ConfigError) as error:
        completed(["--runner=DataflowRunner", *flags])
    assert str(error.value).startswith(line) and "\n" not in str(error.value)


def test_an_accelerator_needs_an_image_even_where_a_set_up_file_would_do():
    setup = [*KNOWN, "--setup_file=./setup.py"]
    completed(setup)
    with pytest.raises(ConfigError, match=r"needs --sdk_container_image IMAGE after --, an image with jax\[tpu\]"):
        on_accelerator(ACCELERATORS["v5e-1"], setup)


LOCAL = {
    "--input": ["--input", "corpus", "--output", "gs://b/out"],
    "--output": ["--input", "gs://b/in", "--output", "out"],
    "--policy": ["--input", "gs://b/in", "--output", "gs://b/out", "--policy", "policy.toml"],
}


@pytest.mark.parametrize("flag", LOCAL)
@pytest.mark.parametrize("job", ["filter", "pack"])
def test_a_path_that_dataflows_workers_cannot_see_is_refused(flag, job, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, "_check_reachable", lambda options: None)
    monkeypatch.setattr("jobs.storage.check_output_path", lambda path: None)
    (tmp_path / "policy.toml").write_text("{}\n")
    words = [job, *LOCAL[flag], "--", "--runner=DataflowRunner", *KNOWN, *IMAGE]
    assert cli.main(words) == cli.USER_ERROR
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{flag} is " in line and "which Dataflow's workers can't see" in line


# --- the model must fit ------------------------------------------------------------------------------

FITS = {
    ("codegemma-2b", "auto"): set(ACCELERATORS),
    ("codegemma-7b", "auto"): set(ACCELERATORS) - {"v5e-1"},
    ("codegemma-7b", "int8"): set(ACCELERATORS),
}


@pytest.fixture
def presets(monkeypatch):
    monkeypatch.setattr(generation, "read_config", PRESETS.__getitem__)


def engine(**settings) -> EngineSpec:
    return EngineSpec(**{"max_prompt_tokens": 1024, "max_new_tokens": 128, **settings})


@pytest.mark.parametrize(("model", "weights"), FITS)
def test_two_billion_weights_fit_one_v5e_and_seven_take_four(presets, model, weights):
    fitting = set()
    for name, accelerator in ACCELERATORS.items():
        try:
            generation._check_fits(engine(model=model, weights=weights), accelerator)
        except ConfigError as error:
            assert "\n" not in str(error)
        else:
            fitting.add(name)
    assert fitting == FITS[model, weights]


def test_a_model_that_does_not_fit_is_one_line_with_those_where_it_does(presets):
    with pytest.raises(ConfigError) as error:
        generation._check_fits(engine(model="codegemma-7b"), ACCELERATORS["v5e-1"])
    assert str(error.value) == (
        "15.9 GiB of bfloat16 weights and 1 slot of 1152 tokens don't fit on --accelerator v5e-1 (15.8 GiB for one "
        "model); they fit on v5e-4, v5e-8, v6e-1, v6e-4, v6e-8, v5p-4"
    )


def test_slots_that_fit_nowhere_are_refused_with_what_to_lower(presets):
    with pytest.raises(ConfigError, match="lower --slots or --max_prompt_tokens"):
        generation._check_fits(engine(model="codegemma-2b", slots=100_000), ACCELERATORS["v5e-8"])
