"""What git knows of a work tree: the tracked files, the commit, where it came from and when.

No program that a repository's own configuration names is run: neither its file-system monitor nor its filters. Of an
address never more is told than host and path, since it may hold a password.
"""

from __future__ import annotations

import os
import re
import subprocess
from urllib.parse import urlsplit

from model.errors import ConfigError
from transforms.corpus.origin import Provenance

_OWNER_AND_NAME = re.compile(r"[:/]([\w.-]+/[\w.-]+?)(?:\.git)?/?$")
_SCP = re.compile(r"(?:[\w.-]+@)?([\w.-]+\.[a-z]{2,}):(?!//)(.+)", re.IGNORECASE)
_HOST = re.compile(r"[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}", re.IGNORECASE)
_CLONED = re.compile(r"> (\d+) [+-]\d{4}\tclone: ")


def tracked_files(folder: str) -> tuple[str, ...]:
    """The paths of the tracked files, those of submodules too, sorted. Raises ConfigError."""
    listing = _git(folder, "ls-files", "-z", "--cached", "--recurse-submodules")
    return tuple(sorted({os.fsdecode(name) for name in listing.split(b"\0") if name}))


def remote_address(folder: str) -> str:
    """The address of the remote `origin`; "" if there is none. It may hold a password."""
    try:
        return _git(folder, "config", "--get", "remote.origin.url").decode("utf-8", "replace").strip()
    except ConfigError:
        return ""


def owner_and_name(address: str) -> str | None:
    """The end of a remote's address; None if it is a local path.

    >>> owner_and_name("git@github.com:owner/name.git")
    'owner/name'
    """
    found = _OWNER_AND_NAME.search(address) if "://" in address or "@" in address else None
    return found.group(1) if found else None


def public_url(address: str) -> str | None:
    """The page of a repository, by a remote's address: without user, password, port and query.

    None for local paths and hosts without a domain.

    >>> public_url("https://me:secret@github.com/owner/name.git"), public_url("git@gitlab.com:group/sub/name.git")
    ('https://github.com/owner/name', 'https://gitlab.com/group/sub/name')
    >>> public_url("/home/me/name.git"), public_url("ssh://git@buildbox/name")
    (None, None)
    """
    if "://" in address:
        try:
            parts = urlsplit(address)
            host, path = parts.hostname or "", parts.path
        except ValueError:
            return None
    elif found := _SCP.fullmatch(address):
        host, path = found.groups()
    else:
        return None
    path = path.strip("/").removesuffix(".git")
    return f"https://{host.lower()}/{path}" if path and _HOST.fullmatch(host) else None


def provenance_of(folder: str, address: str) -> Provenance:
    """Commit, address and time of retrieval of a work tree, each None where git doesn't know it.

    Retrieved is what the last `git fetch` or `git pull` brought, else `git clone`.
    """
    revision = _answer(folder, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    return Provenance(revision or None, public_url(address), _retrieved_ms(folder))


def _retrieved_ms(folder: str) -> int | None:
    fetched, log = (
        os.path.join(folder, _answer(folder, "rev-parse", "--git-path", name)) for name in ("FETCH_HEAD", "logs/HEAD")
    )
    try:
        return int(os.stat(fetched).st_mtime) * 1000
    except OSError:
        pass
    try:
        with open(log, encoding="utf-8", errors="replace") as file:
            cloned = _CLONED.search(file.readline())
    except OSError:
        return None
    return int(cloned.group(1)) * 1000 if cloned else None


def _answer(folder: str, *words: str) -> str:
    try:
        return _git(folder, *words).decode("utf-8", "surrogateescape").strip()
    except ConfigError:
        return ""


def _git(folder: str, *words: str) -> bytes:
    # A repository's own configuration may name a program as its file-system monitor: it is not run.
    command = ["git", "-C", folder, "-c", "core.fsmonitor=false", *words]
    try:
        return subprocess.run(command, capture_output=True, check=True, stdin=subprocess.DEVNULL).stdout
    except FileNotFoundError:
        why = "git is not installed"
    except subprocess.CalledProcessError as error:
        why = (error.stderr.decode("utf-8", "replace").strip().splitlines() or [f"git exited with {error.returncode}"])[
            0
        ]
    raise ConfigError(f"{folder}: can't list the tracked files: {why}; --untracked takes all files without asking git")
