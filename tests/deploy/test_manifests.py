"""Manifests of Kubernetes and of Flink's operator: valid, and their commands are commands of codemill."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from apache_beam.options.pipeline_options import PipelineOptions

from jobs.beam.flags import check_flags
from jobs.catalog import options_of
from jobs.options import parse

DEPLOY = Path(__file__).parents[2] / "deploy"
MANIFESTS = sorted(DEPLOY.rglob("*.yaml"))
KUBERNETES_VERSION = "1.37"

# The fields of a FlinkDeployment that we use, of those that the operator's reference documents; its pods are checked as
# pods of Kubernetes.
_RESOURCE = {
    "type": "object",
    "additionalProperties": False,
    "required": ["cpu", "memory"],
    "properties": {"cpu": {"type": "number"}, "memory": {"type": "string", "pattern": r"^\d+(m|g)$"}},
}
FLINK_DEPLOYMENT = {
    "type": "object",
    "additionalProperties": False,
    "required": ["apiVersion", "kind", "metadata", "spec"],
    "properties": {
        "apiVersion": {"const": "flink.apache.org/v1beta1"},
        "kind": {"const": "FlinkDeployment"},
        "metadata": {"type": "object", "required": ["name"]},
        "spec": {
            "type": "object",
            "additionalProperties": False,
            "required": ["image", "flinkVersion", "serviceAccount", "jobManager", "taskManager"],
            "properties": {
                "image": {"type": "string"},
                "flinkVersion": {"enum": ["v1_19", "v1_20", "v2_0", "v2_1", "v2_2"]},
                "serviceAccount": {"type": "string"},
                "flinkConfiguration": {"type": "object", "additionalProperties": {"type": "string"}},
                "jobManager": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {"resource": _RESOURCE, "replicas": {"const": 1}},
                },
                "taskManager": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {
                        "resource": _RESOURCE,
                        "replicas": {"type": "integer", "minimum": 1},
                        "podTemplate": {"type": "object"},
                    },
                },
            },
        },
    },
}


def read(path: Path) -> dict[str, Any]:
    (found,) = yaml.safe_load_all(path.read_text(encoding="utf-8"))
    return found


def validated(manifest: dict[str, Any]) -> None:
    validate = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate (extra dev) is not installed")
    validate.validate(manifest, KUBERNETES_VERSION, strict=True)


def containers(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """The containers of a Job, a CronJob or a FlinkDeployment's TaskManager."""
    spec = manifest["spec"]
    if manifest["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    pod = spec["taskManager"]["podTemplate"] if manifest["kind"] == "FlinkDeployment" else spec["template"]
    found: list[dict[str, Any]] = pod["spec"]["containers"]
    return found


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_kubernetes_takes_the_manifest(path):
    manifest = read(path)
    if manifest["kind"] != "FlinkDeployment":
        validated(manifest)
        return
    jsonschema.validate(manifest, FLINK_DEPLOYMENT)
    pod = manifest["spec"]["taskManager"]["podTemplate"]
    # Flink's own container gets its image from the operator.
    validated(
        {**pod, "spec": {**pod["spec"], "containers": [{"image": "flink", **one} for one in containers(manifest)]}}
    )


def test_a_field_with_a_typing_mistake_is_found():
    manifest = read(DEPLOY / "kubernetes/work.yaml")
    manifest["spec"]["completionmode"] = manifest["spec"].pop("completionMode")
    validate = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate (extra dev) is not installed")
    with pytest.raises(validate.ValidationError):
        validated(manifest)
    cluster = read(DEPLOY / "flink/session-cluster.yaml")
    cluster["spec"]["taskManager"]["podtemplate"] = cluster["spec"]["taskManager"].pop("podTemplate")
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(cluster, FLINK_DEPLOYMENT)


def commands() -> list[tuple[str, list[str]]]:
    """The manifests' commands of codemill, as words."""
    found = []
    for path in MANIFESTS:
        for one in containers(read(path)):
            words = [*one.get("command", []), *one.get("args", [])]
            words = shlex.split(words[-1]) if words[:1] == ["sh"] else words
            if "codemill" in words:
                found.append((path.name, words[words.index("codemill") + 1 :]))
    return found


@pytest.mark.parametrize(("name", "words"), commands(), ids=lambda value: value if isinstance(value, str) else "")
def test_every_command_parses(name, words):
    job, *rest = words
    _, beam_args = parse(options_of(job), rest)
    check_flags(beam_args)
    assert not PipelineOptions(beam_args).display_data().get("unknown")


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_memory_has_a_limit_where_codemill_runs_so_that_it_can_keep_within_it(path):
    for one in containers(read(path)):
        if "codemill" in one.get("image", ""):
            assert one["resources"]["limits"]["memory"] == one["resources"]["requests"]["memory"]


@pytest.mark.parametrize("path", sorted(one for one in DEPLOY.rglob("*") if one.is_file()), ids=lambda path: path.name)
def test_each_file_says_that_nobody_here_has_run_it(path):
    text = path.read_text(encoding="utf-8")
    assert path.suffix == ".dockerignore" or "not run" in text or "on a local runner only" in text
