"""Whose an output folder is: a new corpus, an interrupted one that is begun again, a complete one, another job's."""

from __future__ import annotations

import json
import sys
from typing import Any, Final

from jobs import storage
from jobs.ledger.completed import has_pending
from jobs.options.fields import OptionSet, changed_options, defaults_of, semantic_options
from jobs.storage.folders import JOB_FOLDER, OutputFolder
from jobs.terminal.escapes import print_line
from model.errors import ConfigError
from transforms.corpus.origin import SCHEMA_VERSION

MAY_CHANGE: Final = ("source", "opt_out_sha256")
"""Options that may be others in a further edition."""


def claim_output(
    output: OutputFolder, options: OptionSet, *, shared: bool, grows: bool = False
) -> dict[str, Any] | None:
    """Makes the output this job's own and returns None, or its summary where it is complete.

    Args:
        output: The folder.
        options: The job's options.
        shared: Whether other users may open the folder `_job`.
        grows: Whether a complete output is to take in what is new.

    Raises:
        ConfigError: The output is another job's, or was begun with other options.
    """
    job = {"job": "corpus", "schema_version": SCHEMA_VERSION, "options": semantic_options(options)}
    names = [] if storage.exists(output.job.job_file) else storage.list_names(output.path)
    if names and JOB_FOLDER not in names:  # with it: a run that was killed before it had begun
        shown = ", ".join(names[:3])
        raise ConfigError(f"{output} is not empty and no corpus (it has {shown}); choose another --output")
    storage.make_job_folder(output.job.path, shared=shared)
    if storage.create_if_absent(output.job.job_file, json.dumps(job, indent=2).encode()):
        return None
    found = json.loads(storage.read_bytes(output.job.job_file))
    if found.get("job", found.get("name")) != "corpus":
        raise ConfigError(f"{output} belongs to another job; choose another --output")
    now = json.loads(json.dumps(semantic_options(options)))
    before = {**defaults_of(options, now), **found["options"]}
    if grows and storage.exists(output.completed):
        before |= {name: now[name] for name in MAY_CHANGE if name in now}
    if changes := changed_options(before, now):
        raise ConfigError(f"{output} was started with other options: {'; '.join(changes)}; choose another --output")
    if has_pending(output):
        raise ConfigError(f"{output} has a change that was interrupted meanwhile; run the same command again")
    whole = _whole_summary(output) if storage.exists(output.completed) else None
    if whole is None and found.get("edition", 1) > 1:
        raise ConfigError(
            f"{output} isn't complete anymore: files of it are missing, and it has several editions, so it can't be "
            "made again; restore them, or choose another --output"
        )
    if whole is None and storage.exists(output.job.forgotten):
        raise ConfigError(
            f"{output} isn't complete anymore, and made again it would have rows that were forgotten "
            f"({output.removals}); choose another --output, with --opt_out or --exclude for those"
        )
    if whole is None and (version := found.get("schema_version")) != SCHEMA_VERSION:
        raise ConfigError(
            f"{output} was started with schema version {version}, this codemill writes version "
            f"{SCHEMA_VERSION}; finish it with the codemill that started it, or choose another --output"
        )
    return whole


def _whole_summary(output: OutputFolder) -> dict[str, Any] | None:
    """The summary of a complete corpus; None, with a line that says so, where a part of it is gone since."""
    shards = [name for name in storage.list_names(output.data) if name.startswith("train-")]
    try:
        summary = json.loads(storage.read_bytes(output.summary))
    except (FileNotFoundError, ValueError):
        lost = "summary.json"
    else:
        if "shards" not in summary:  # of a run that failed
            return None
        if len(shards) >= summary["shards"]:
            return summary
        lost = f"{summary['shards'] - len(shards)} of {summary['shards']} files in data/"
    print_line(f"codemill corpus: {output} was complete and lacks {lost} now: making it again", sys.stderr)
    return None
