"""Where a dataset comes from: the datasets it was made of, and every model that wrote any of its text.

Both stand in `summary.json` and are carried on from dataset to dataset, since the terms of a model hold for what is
made of its text. An input file at `X/data/...` belongs to the dataset `X`, whose own summary says the same of it.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterable, Mapping
from typing import Any

from jobs import storage
from jobs.finalize.publishing import last_part, public_options
from jobs.plan.footers import InputFile
from jobs.plan.job_file import JobFile
from jobs.storage.folders import DATA, OutputFolder

EMBEDDED = "embedded"


def input_datasets(files: Iterable[InputFile]) -> list[OutputFolder]:
    """The datasets that input files belong to, each once, in their order: the folder above `data/`, else the file's."""
    folders = map(posixpath.dirname, dict.fromkeys(file.uri[: file.uri.rfind("/") + 1] for file in files))
    found = dict.fromkeys(
        posixpath.dirname(folder) if posixpath.basename(folder) == DATA else folder for folder in folders
    )
    return [OutputFolder(folder) for folder in found]


def origins_of(job: JobFile, datasets: Iterable[OutputFolder]) -> dict[str, Any]:
    """The summary's `sources` and `models`.

    Args:
        job: The job that makes the dataset.
        datasets: What it reads (`input_datasets`).
    """
    sources: list[dict[str, Any]] = []
    models: list[dict[str, Any]] = []
    for dataset in datasets:
        summary = read_summary(dataset)
        sources.append({"name": last_part(dataset.path), "job": summary.get("job")})
        models += summary.get("models", [])
    if job.checkpoint_sha256:
        name = public_options(job.job, job.options).get("model") or "unknown"
        models.append({"name": name, "checkpoint_sha256": job.checkpoint_sha256})
    return {"sources": each_once(sources), "models": each_once(models)}


def read_summary(dataset: OutputFolder) -> dict[str, Any]:
    """A dataset's summary; empty if it has none that can be read."""
    try:
        found = json.loads(storage.read_bytes(dataset.summary))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def each_once(records: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Records without repetitions, sorted."""
    unique = {json.dumps(record, sort_keys=True): dict(record) for record in records}
    return [unique[key] for key in sorted(unique)]
