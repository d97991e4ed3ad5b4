"""The invitation: what a host that joins a job needs beside its plan. The driver writes it to `_job/orders.json`.

    {"job": {...orders...}, "in_flight": [units, bytes], "is_shared": true, "versions": {...}, "needs": [...], ...}

It names the options and the versions of the driver, no environment and no credentials. A host with another version of
codemill or of its records refuses, since its rows could differ; other versions of libraries get a line.
"""

from __future__ import annotations

import dataclasses
import json
import socket
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from jobs import storage
from jobs.execution.orders import Orders
from jobs.ledger.claimants import STALE_S
from jobs.options import OptionSet
from jobs.plan.job_file import SCHEMA_VERSION, installed_versions
from jobs.plan.needs import Need, absolute_paths, needs_of_options, needs_of_plan
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
        needs: What every host must see (`jobs.plan.needs`).
        versions: The driver's versions of Python and of the packages that affect rows.
        schema_version: The driver's version of the records.
        driver: The driver's host.
        run_id: Name of the driver's run.
    """

    orders: Orders
    is_shared: bool
    stale_s: float = STALE_S
    needs: Sequence[Need] = ()
    versions: Mapping[str, str] = dataclasses.field(default_factory=installed_versions)
    schema_version: str = SCHEMA_VERSION
    driver: str = dataclasses.field(default_factory=socket.gethostname)
    run_id: str = ""


def invitation_of(
    orders: Orders,
    options: OptionSet,
    job_dir: JobFolder,
    *,
    is_shared: bool,
    stale_s: float = STALE_S,
    run_id: str = "",
) -> Invitation:
    """Makes the invitation to a job with these options, whose plan is in `job_dir`."""
    orders = dataclasses.replace(orders, options={**orders.options, **absolute_paths(options)})
    needs = (*needs_of_options(options), *needs_of_plan(job_dir))
    return Invitation(orders=orders, is_shared=is_shared, stale_s=stale_s, needs=needs, run_id=run_id)


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
