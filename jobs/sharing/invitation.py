"""The invitation: what a host that joins a job needs beside its plan. The driver writes it to `_job/orders.json`.

    {"job": {...orders...}, "in_flight": [units, bytes], "is_shared": true, "versions": {...}, "paths": {...}, ...}

It names the options and the versions of the driver, no environment and no credentials. A host with another version of
codemill or of its records refuses, since its rows could differ; other versions of libraries get a line.
"""

from __future__ import annotations

import dataclasses
import json
import os
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from jobs import storage
from jobs.execution.orders import Orders
from jobs.ledger.claimants import STALE_S
from jobs.options import OptionSet
from jobs.options.fields import fields_of
from jobs.plan.job_file import SCHEMA_VERSION, installed_versions
from jobs.storage.folders import JobFolder
from model.errors import ConfigError, one_line

_PROGRAM = "codemill"


@dataclass(frozen=True, kw_only=True)
class Invitation:
    """What a host needs to join.

    Args:
        orders: How the work is made; local paths among the options are absolute.
        is_shared: Whether the driver claims its own units or runs none: only then can others help.
        stale_s: For how long a claim lasts without a heartbeat, in seconds.
        paths: Local files and folders that options name, by option: every host must see them.
        versions: The driver's versions of Python and of the packages that affect rows.
        schema_version: The driver's version of the records.
        driver: The driver's host.
    """

    orders: Orders
    is_shared: bool
    stale_s: float = STALE_S
    paths: Mapping[str, str] = dataclasses.field(default_factory=dict)
    versions: Mapping[str, str] = dataclasses.field(default_factory=installed_versions)
    schema_version: str = SCHEMA_VERSION
    driver: str = dataclasses.field(default_factory=socket.gethostname)


def invitation_of(orders: Orders, options: OptionSet, *, is_shared: bool, stale_s: float = STALE_S) -> Invitation:
    """Makes the invitation to a job with these options."""
    paths = {}
    for field in fields_of(type(options)):
        value = getattr(options, field.name)
        # The input is in the plan, file by file; the output is where a host finds this.
        if field.is_path and isinstance(value, str) and field.name not in ("input", "output") and _is_here(value):
            paths[field.name] = os.path.abspath(value.removeprefix("file://"))
    orders = dataclasses.replace(orders, options={**orders.options, **paths})
    return Invitation(orders=orders, is_shared=is_shared, stale_s=stale_s, paths=paths)


def _is_here(value: str) -> bool:
    return storage.is_local(value) and os.path.exists(value.removeprefix("file://"))


def write_invitation(job_dir: JobFolder, invitation: Invitation) -> None:
    """Writes it, over that of an earlier run of the driver."""
    storage.write_bytes(job_dir.orders, json.dumps(asdict(invitation), indent=1, sort_keys=True).encode())


def read_invitation(job_dir: JobFolder) -> Invitation | None:
    """Returns the job's invitation; None if there is none yet.

    Raises:
        ConfigError: It is that of another version of codemill, or this host may not read it.
    """
    try:
        fields: dict[str, Any] = json.loads(storage.read_bytes(job_dir.orders))
    except FileNotFoundError:
        return None
    except PermissionError:
        raise ConfigError(
            f"can't read {job_dir.orders}: no permission; start the driver with --share_job_folder if its workers run "
            "as another user"
        ) from None
    _check_versions(job_dir, fields.get("versions", {}), fields.get("schema_version"))
    try:
        return Invitation(**{**fields, "orders": Orders(**fields["orders"])})
    except (TypeError, KeyError) as error:
        raise ConfigError(f"{job_dir.orders} is not from this version of codemill ({one_line(error)})") from None


def _check_versions(job_dir: JobFolder, theirs: Mapping[str, str], schema_version: object) -> None:
    ours = installed_versions()
    if theirs.get(_PROGRAM) != ours.get(_PROGRAM) or schema_version != SCHEMA_VERSION:
        raise ConfigError(
            f"{job_dir} was planned by codemill {theirs.get(_PROGRAM, '(not installed)')} with schema version "
            f"{schema_version}, {socket.gethostname()} has codemill {ours.get(_PROGRAM, '(not installed)')} with "
            f"{SCHEMA_VERSION}; install the driver's version here"
        )


def other_versions(invitation: Invitation) -> list[str]:
    """One line for each package whose version here is not the driver's."""
    ours = installed_versions()
    return [
        f"the driver has {name} {version}, this host {ours.get(name, 'none')}"
        for name, version in sorted(invitation.versions.items())
        if ours.get(name) != version
    ]


def check_paths(invitation: Invitation) -> None:
    """Raises ConfigError if this host can't see a file or folder that an option of the job names."""
    for name, path in invitation.paths.items():
        if not os.path.exists(path):
            raise ConfigError(
                f"{socket.gethostname()} can't see --{name} {path} of the driver on {invitation.driver}; put it at the "
                "same path on every host, or name a gs:// path"
            )
