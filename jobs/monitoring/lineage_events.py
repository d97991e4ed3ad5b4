"""`--openlineage`: events of a run for a catalog of datasets: START, then COMPLETE, FAIL or ABORT.

    job       OPENLINEAGE_NAMESPACE, else `codemill`; `filter.clean` for `codemill filter --output /data/clean`
    run       the run id if it is a UUID, else a UUID made of it; OPENLINEAGE_PARENT_ID names the run that started it
              of a pipeline's step: a UUID made of the run id and the step's name; the pipeline started it
    inputs    each --input as it was named, up to a first `*`
    outputs   the output's `data/`, with rows, bytes and files once it is complete

The client chooses where events go by its own configuration: `OPENLINEAGE_URL`, `OPENLINEAGE__TRANSPORT__...`, or
`openlineage.yml`. An event that can't be sent is logged, and no others are sent.

Source: https://openlineage.io/docs/spec/naming
"""

from __future__ import annotations

import logging
import os
import re
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from jobs import storage
from jobs.monitoring.observer import Observer, RunFacts, State
from jobs.pipelines.belonging import current_pipeline
from jobs.storage.folders import DATA
from model.errors import ConfigError

try:
    from openlineage.client import OpenLineageClient
    from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
    from openlineage.client.facet_v2 import (
        RunFacet,
        error_message_run,
        output_statistics_output_dataset,
        parent_run,
    )
except ImportError:
    OpenLineageClient = None

_PRODUCER: Final = "urn:codemill"
_NAMESPACE: Final = "OPENLINEAGE_NAMESPACE"
_PARENT: Final = "OPENLINEAGE_PARENT_ID"
_PIPELINE: Final = "pipeline"
_ENDS: Final = {"complete": "COMPLETE", "failed": "FAIL", "stopped": "ABORT"}
_GLOB: Final = re.compile(r"(?:^|/)[^/]*[*?\[].*", re.S)
_MOST_INPUTS: Final = 16
_log = logging.getLogger(__name__)


def dataset_name(path: str) -> tuple[str, str]:
    """Namespace and name of the dataset at a path, which may be a glob.

    >>> dataset_name("gs://bucket/corpus/data/*.parquet"), dataset_name("file:///data/corpus/")
    (('gs://bucket', 'corpus/data'), ('file', '/data/corpus'))
    """
    folder = _GLOB.sub("", path)
    if storage.is_local(folder):
        return "file", os.path.abspath(folder.removeprefix("file://"))
    scheme, _, rest = folder.partition("://")
    bucket, _, name = rest.partition("/")
    return f"{scheme}://{bucket}", name.rstrip("/") or "/"


def input_datasets(paths: Sequence[str]) -> list[tuple[str, str]]:
    """The datasets at these paths; of many, as a shell makes them of a `*`, their folders.

    >>> input_datasets([f"/data/{number}.parquet" for number in range(20)])
    [('file', '/data')]
    """
    if len(paths) > _MOST_INPUTS:
        paths = [os.path.dirname(path.rstrip("/")) or "." for path in paths]
    return list(dict.fromkeys(map(dataset_name, paths)))


def run_uuid(run_id: str) -> str:
    """The run's id as a UUID: itself, or one made of it.

    >>> run_uuid("nightly-7") == run_uuid("nightly-7"), run_uuid("00000000-0000-0000-0000-000000000001")
    (True, '00000000-0000-0000-0000-000000000001')
    """
    try:
        return str(uuid.UUID(run_id))
    except ValueError:
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"codemill:{run_id}"))


class LineageEvents(Observer):
    """Sends the events.

    Args:
        facts: What stays the same during the run.

    Raises:
        ConfigError: The client isn't installed, or its configuration is at fault.
    """

    def __init__(self, facts: RunFacts):
        if OpenLineageClient is None:
            raise ConfigError(
                "--openlineage needs the client of OpenLineage, which isn't installed: pip install "
                "'codemill[openlineage]'"
            )
        self._facts = facts
        try:
            self._client = OpenLineageClient()
        except (ValueError, TypeError, KeyError, RuntimeError, ImportError, OSError) as error:
            raise ConfigError(f"--openlineage: the client's configuration is at fault: {error}") from None

    def begin(self) -> None:
        self._send("START", {}, {})

    def end(self, state: State, summary: Mapping[str, Any]) -> None:
        run_facets: dict[str, Any] = {}
        output_facets: dict[str, Any] = {}
        if state == "complete":
            rows, files, num_bytes = _written(summary)
            output_facets["outputStatistics"] = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
                rowCount=rows, fileCount=files, size=num_bytes
            )
        else:
            run_facets["errorMessage"] = error_message_run.ErrorMessageRunFacet(
                message=summary["error"], programmingLanguage="Python"
            )
        try:
            self._send(_ENDS[state], run_facets, output_facets)
        finally:
            self._client.close()

    def _send(self, state: str, run_facets: dict[str, Any], output_facets: dict[str, Any]) -> None:
        f = self._facts
        pipeline = current_pipeline()
        # Two jobs can't be one run, so the steps' runs are parts of the pipeline's.
        run_id = run_uuid(f.run_id if pipeline is None else f"{f.run_id}/{pipeline['step']}")
        started_by = None if pipeline is None else f"{_namespace()}/{_PIPELINE}/{run_uuid(f.run_id)}"
        if (parent := os.environ.get(_PARENT, started_by)) is not None:
            run_facets = {**run_facets, **_parent_facet(parent)}
        output = storage.join(f.output, DATA)
        event = RunEvent(
            eventType=RunState[state],
            eventTime=datetime.now(UTC).isoformat(),
            producer=_PRODUCER,
            run=Run(runId=run_id, facets=run_facets),
            job=Job(namespace=_namespace(), name=_job_name(f)),
            inputs=[InputDataset(*name) for name in input_datasets(f.inputs)],
            outputs=[OutputDataset(*dataset_name(output), outputFacets=output_facets)],
        )
        self._client.emit(event)


def _namespace() -> str:
    return os.environ.get(_NAMESPACE, "codemill")


def _job_name(facts: RunFacts) -> str:
    folder = facts.output.rstrip("/").rpartition("/")[2]
    return f"{facts.job}.{folder}" if folder else facts.job


def _parent_facet(parent: str) -> dict[str, RunFacet]:
    """The run that started this one, from `namespace/job name/run id` as Airflow and others give it."""
    head, _, run_id = parent.rpartition("/")
    namespace, _, name = head.partition("/")
    if not (namespace and name and run_id):
        _log.warning("%s is %r instead of namespace/job/run id", _PARENT, parent)
        return {}
    facet = parent_run.ParentRunFacet(run=parent_run.Run(runId=run_id), job=parent_run.Job(namespace, name))
    return {"parent": facet}


def _written(summary: Mapping[str, Any]) -> tuple[int, int, int]:
    """Rows, files and bytes of `data/`."""
    if "rows" in summary:
        data = summary["shards"]["data"]
        return data["rows"], data["files"], data["bytes"]
    return summary["rows_kept"], summary["shards"], summary["bytes_kept"]
