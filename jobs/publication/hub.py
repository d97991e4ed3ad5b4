"""Publishes to a dataset repository of the Hugging Face Hub: one commit, so a reader sees all of it or nothing.

Files are uploaded before the commit, and the Hub knows them by their hashes: a command that was killed and is repeated
uploads only what is missing. Needs `huggingface_hub`, the extra `codemill[hub]`, and a token as `hf auth login` leaves
it or in HF_TOKEN.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from jobs.publication.items import Item
from jobs.storage.failpoints import failpoint, register
from jobs.storage.folders import PUBLISHED
from model.errors import ConfigError, one_line

REPOSITORY_MADE = register("publish.repository_made")
BEFORE_COMMIT = register("publish.before_commit")
AFTER_COMMIT = register("publish.after_commit")

PREFIX: Final = "hf://"
_TARGET = re.compile(r"hf://datasets/(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?/?")
_OWN_FILES: Final = frozenset((".gitattributes", "README.md"))
"""What a new repository may have."""


@dataclass(frozen=True, slots=True)
class HubTarget:
    """A dataset repository, and the branch of it; None: the main one."""

    repo_id: str
    revision: str | None = None


def hub_target(url: str) -> HubTarget:
    """Reads `hf://datasets/OWNER/NAME[@BRANCH]`. Raises ConfigError.

    >>> hub_target("hf://datasets/me/code@v2")
    HubTarget(repo_id='me/code', revision='v2')
    """
    found = _TARGET.fullmatch(url)
    if found is None:
        raise ConfigError(f"{url}: expected hf://datasets/OWNER/NAME, or hf://datasets/OWNER/NAME@BRANCH")
    return HubTarget(found["repo"], found["revision"])


def load_hub() -> Any:
    """The module `huggingface_hub`. Raises ConfigError if it isn't installed."""
    try:
        return importlib.import_module("huggingface_hub")
    except ImportError:
        raise ConfigError("hf:// needs huggingface_hub; install it with: pip install 'codemill[hub]'") from None


def publish_to_hub(items: Sequence[Item], target: HubTarget, *, is_private: bool) -> bool:
    """Publishes local files; returns False if they are published already.

    Args:
        items: The files, the manifest last.
        target: The repository, which is made if it doesn't exist.
        is_private: Whether a repository that is made is private.

    Raises:
        ConfigError: The repository has other files, or the Hub refuses or doesn't answer.
    """
    hub = load_hub()
    try:
        return _publish(hub, items, target, is_private=is_private)
    except Exception as error:
        if not isinstance(error, OSError | ValueError | hub.errors.HfHubHTTPError) and not _is_of_client(error):
            raise
        raise ConfigError(f"can't publish to {PREFIX}datasets/{target.repo_id}: {one_line(str(error))}") from error


def _is_of_client(error: Exception) -> bool:
    """Whether the Hub's HTTP client raised it, as where no connection is made; its classes have no base in Python's."""
    return type(error).__module__.partition(".")[0].startswith("httpx")


def _publish(hub: Any, items: Sequence[Item], target: HubTarget, *, is_private: bool) -> bool:
    api, where = hub.HfApi(), {"repo_id": target.repo_id, "repo_type": "dataset", "revision": target.revision}
    api.create_repo(target.repo_id, repo_type="dataset", private=is_private, exist_ok=True)
    if target.revision is not None:
        api.create_branch(target.repo_id, branch=target.revision, repo_type="dataset", exist_ok=True)
    failpoint(REPOSITORY_MADE)
    there = set(api.list_repo_files(**where))
    if PUBLISHED in there:
        with open(api.hf_hub_download(filename=PUBLISHED, **where), "rb") as old, open(items[-1].path, "rb") as new:
            if old.read() == new.read() and {item.name for item in items} <= there:
                return False
    elif others := sorted(there - _OWN_FILES):
        shown = ", ".join(others[:3])
        raise ConfigError(
            f"{PREFIX}datasets/{target.repo_id} is not empty and no published dataset (it has {shown}); choose another "
            "repository"
        )
    added = [hub.CommitOperationAdd(path_in_repo=item.name, path_or_fileobj=item.path) for item in items]
    gone = sorted(there - {item.name for item in items} - {".gitattributes"})
    removed = [hub.CommitOperationDelete(path_in_repo=name) for name in gone]
    failpoint(BEFORE_COMMIT)
    api.create_commit(operations=[*added, *removed], commit_message="Publish with codemill", **where)
    failpoint(AFTER_COMMIT)
    return True
