"""Translates jobs for Dataflow without a network: keeps what the service would be sent.

Beam's own Dataflow runner builds the job's description. Only what talks to Google is replaced: the check of the
buckets, the upload of files (kept instead), and the request itself. Beam is imported where the fixture is used.
"""

from __future__ import annotations

import base64
import bz2
from collections.abc import Mapping
from typing import Any

import pytest


class Translated(BaseException):
    """Ends the command where it would ask the service for the job."""


class Submission:
    """What would have been sent: the request as JSON, and the files that were to be uploaded."""

    def __init__(self) -> None:
        self.staged: dict[str, bytes] = {}
        self.request: dict[str, Any] = {}

    @property
    def environment(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.request["environment"]
        return found

    @property
    def pool(self) -> Mapping[str, Any]:
        (found,) = self.environment["workerPools"]
        return found

    @property
    def beam_options(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.environment["sdkPipelineOptions"]["options"]
        return found

    def pickled(self) -> list[bytes]:
        """The pickled functions of the graph, unpacked."""
        from apache_beam.portability.api import beam_runner_api_pb2

        pipeline = beam_runner_api_pb2.Pipeline.FromString(self.staged["pipeline.pb"])
        found = []
        for transform in pipeline.components.transforms.values():
            if transform.spec.urn == "beam:transform:pardo:v1":
                payload = beam_runner_api_pb2.ParDoPayload.FromString(transform.spec.payload)
                found.append(bz2.decompress(base64.b64decode(payload.do_fn.payload)))
        return found

    def calls(self, name: str) -> bool:
        """Whether a function of the graph is one of ours, named by its module and class and not copied into it."""
        module, _, cls = name.rpartition(".")
        return any(module.encode() in one and cls.encode() in one for one in self.pickled())


@pytest.fixture
def submission(monkeypatch) -> Submission:
    """Catches the next submission to Dataflow."""
    pytest.importorskip("google.cloud.dataflow", reason="google-cloud-dataflow-client (extra dev) is not installed")
    from apache_beam.options.pipeline_options import GoogleCloudOptions
    from apache_beam.runners.dataflow.internal import apiclient
    from google.protobuf import json_format

    made = Submission()

    def locations(self, validator):
        self.staging_location = self.staging_location or self.temp_location
        return []

    def keep(self, location, name, stream, *args, **kwargs):
        made.staged[name] = stream.read()

    def send(self, job):
        self.create_job_description(job)
        proto = job.proto
        made.request = json_format.MessageToDict(getattr(proto, "_pb", proto))
        raise Translated

    monkeypatch.setattr(GoogleCloudOptions, "_handle_temp_and_staging_locations", locations)
    monkeypatch.setattr(apiclient.DataflowApplicationClient, "stage_file", keep)
    monkeypatch.setattr(apiclient.DataflowApplicationClient, "create_job", send)
    return made
