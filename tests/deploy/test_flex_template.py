"""The Flex Template's metadata: the documented fields, the service's own types, and the program's arguments."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

ROOT = Path(__file__).parents[2]
METADATA = json.loads((ROOT / "deploy/dataflow/metadata.json").read_text(encoding="utf-8"))
SCHEMA = json.loads((Path(__file__).parent / "flex_template.schema.json").read_text(encoding="utf-8"))
PARAMETERS = {one["name"]: one for one in METADATA["parameters"]}


def test_the_metadata_has_the_documented_fields_only():
    checker = jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.FormatChecker())
    assert [error.message for error in checker.iter_errors(METADATA)] == []
    assert list(checker.iter_errors({**METADATA, "parameters": [{"name": "x", "help_text": "y"}]}))


def test_the_services_own_types_take_it():
    reason = "google-cloud-dataflow-client (extra dev) is not installed"
    dataflow = pytest.importorskip("google.cloud.dataflow_v1beta3", reason=reason)
    read = dataflow.TemplateMetadata.from_json(json.dumps(METADATA))
    assert [one.name for one in read.parameters] == list(PARAMETERS)
    assert read.parameters[0].param_type == dataflow.ParameterType.GCS_WRITE_FOLDER


def test_its_parameters_are_the_programs_arguments_and_a_flag_of_beam():
    script = ROOT / "deploy/dataflow/launch.py"
    done = subprocess.run([sys.executable, script, "--help"], capture_output=True, text=True, cwd=ROOT, check=True)
    required = set(re.findall(r"--(\w+)", done.stdout.partition("options:")[0].partition("[-h]")[2]))
    assert required == {"output", "slots"} == set(PARAMETERS) - {"sdk_container_image"}


VALUES = {
    "output": (["gs://bucket/out"], ["/local/out", "gs://", "s3://bucket/out"]),
    "slots": (["1", "256"], ["0", "-1", "four", ""]),
    "sdk_container_image": (["region-docker.pkg.dev/p/r/codemill:tpu"], ["", "two words"]),
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_the_patterns_take_what_they_should_and_nothing_else(name):
    good, bad = VALUES[name]
    (pattern,) = PARAMETERS[name]["regexes"]
    assert all(re.fullmatch(pattern, value) for value in good)
    assert not any(re.fullmatch(pattern, value) for value in bad)
