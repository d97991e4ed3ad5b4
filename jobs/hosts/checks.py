"""What a worker of a Beam runner checks before it works: that it sees the driver's files and runs its version.

    driver                                          worker (`setup` of each `DoFn` that reads or writes files)
    _job/probe <- a random word                     reads _job/probe: the word must be the same
    versions of codemill, Python, JAX, ...      ->  codemill's must be the same; others are noted
    local input, files of options (`jobs.plan.needs`)   must be there as well

A folder on a local disk of the driver's machine may exist on the worker's machine as well, and be another one. These
facts travel as plain values, since nothing else is sure to be understood by another version.
"""

from __future__ import annotations

import json
import logging
import socket
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from jobs import storage
from jobs.execution.orders import failure_of
from jobs.hosts.stopping import write_reason
from jobs.plan.job_file import SCHEMA_VERSION, installed_versions
from jobs.plan.needs import Need, check_needs
from jobs.storage.folders import JobFolder
from model.errors import ConfigError

_OURS = "codemill"
_FORMAT = "output format"
_checked: set[str] = set()  # the facts for which this process was found good
_log = logging.getLogger(__name__)


def driver_facts(job_dir: JobFolder, needs: Iterable[Need] = ()) -> dict[str, Any]:
    """Writes the probe, unless an earlier run has, whose pipeline may still run; returns what workers compare.

    Args:
        job_dir: The job's folder.
        needs: What workers must see beside it.
    """
    storage.create_if_absent(job_dir.probe, uuid.uuid4().hex.encode())
    word = storage.read_bytes(job_dir.probe).decode("ascii")
    facts = {"host": socket.gethostname(), "job_dir": job_dir.path, "probe": word, "versions": _versions()}
    return {**facts, "needs": [list(need) for need in needs]}


def check_worker(facts: Mapping[str, Any]) -> None:
    """Checks this process, once for each set of facts.

    Raises:
        ConfigError: As `check_folder`, `check_versions` and `check_needs` do; the reason is left where the driver sees
            it.
    """
    told = json.dumps(facts, sort_keys=True)
    if told in _checked:
        return
    check_folder(facts)
    try:
        check_versions(facts)
        check_needs(facts["needs"], facts["host"])
    except ConfigError as error:
        write_reason(JobFolder(facts["job_dir"]), failure_of(error))
        raise
    _checked.add(told)


def check_versions(facts: Mapping[str, Any], versions: Mapping[str, str] | None = None) -> None:
    """Compares this process's versions (tests pass others) with the driver's.

    Raises:
        ConfigError: Another version of codemill runs here.
    """
    mine = _versions() if versions is None else versions
    theirs: Mapping[str, str] = facts["versions"]
    here, there = socket.gethostname(), facts["host"]
    for name in (_OURS, _FORMAT):
        if mine.get(name) != theirs.get(name):
            raise ConfigError(
                f"the worker on {here} has {name} {mine.get(name, 'absent')}, the driver on {there} has "
                f"{theirs.get(name, 'absent')}; install the same version on both"
            )
    others = [name for name in sorted({*mine, *theirs}) if mine.get(name) != theirs.get(name)]
    for name in others:
        _log.warning(
            "the worker on %s has %s %s, the driver on %s has %s: rows may differ",
            *(here, name, mine.get(name, "absent"), there, theirs.get(name, "absent")),
        )


def check_folder(facts: Mapping[str, Any]) -> None:
    """Reads the probe.

    Raises:
        ConfigError: This machine doesn't see the driver's folder.
    """
    job_dir = JobFolder(facts["job_dir"])
    try:
        is_same = storage.read_bytes(job_dir.probe).decode("ascii", "replace") == facts["probe"]
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        is_same = False
    if not is_same:
        raise ConfigError(
            f"the worker on {socket.gethostname()} doesn't see the job's folder {job_dir} of the driver on "
            f"{facts['host']}; choose an --output that all machines share and may read: a network folder (with "
            "--share_job_folder where workers run as another user), or a bucket"
        )


def _versions() -> dict[str, str]:
    return {**installed_versions(), _FORMAT: SCHEMA_VERSION}
