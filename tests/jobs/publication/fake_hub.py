"""A stand-in for `huggingface_hub` whose repositories are folders below $FAKE_HUB.

It has what `jobs.publication.hub` calls; `test_hub.py` compares the parameters with those of the real one. A commit
takes its place by one rename, as the Hub's are seen whole or not at all. The real Hub is not asked by any test.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from types import SimpleNamespace


class HfHubHTTPError(OSError):
    pass


errors = SimpleNamespace(HfHubHTTPError=HfHubHTTPError)


@dataclass
class CommitOperationAdd:
    path_in_repo: str
    path_or_fileobj: str


@dataclass
class CommitOperationDelete:
    path_in_repo: str


class DatasetCardData:
    def __init__(self, **fields):
        self.fields = fields

    def to_yaml(self) -> str:
        return json.dumps(self.fields)  # which is YAML


class HfApi:
    def __init__(self):
        self.root = os.environ["FAKE_HUB"]

    def _head(self, repo_id: str, revision: str | None) -> str:
        return os.path.join(self.root, repo_id, revision or "main")

    def create_repo(self, repo_id, *, repo_type, private, exist_ok):
        if repo_id.startswith("nobody/"):
            raise HfHubHTTPError("403 Forbidden: you don't have the rights to create a dataset here\nRequest ID: 1")
        assert repo_type == "dataset" and exist_ok
        head = self._head(repo_id, None)
        if not os.path.exists(head):
            os.makedirs(head)
            with open(os.path.join(head, ".gitattributes"), "w") as file:
                file.write("private" if private else "public")

    def create_branch(self, repo_id, *, branch, repo_type, exist_ok):
        if not os.path.exists(self._head(repo_id, branch)):
            shutil.copytree(self._head(repo_id, None), self._head(repo_id, branch))

    def list_repo_files(self, repo_id, *, repo_type, revision):
        head = self._head(repo_id, revision)
        return [os.path.relpath(os.path.join(at, name), head) for at, _, names in os.walk(head) for name in names]

    def hf_hub_download(self, repo_id, filename, *, repo_type, revision):
        return os.path.join(self._head(repo_id, revision), filename)

    def create_commit(self, repo_id, operations, *, commit_message, repo_type, revision):
        head = self._head(repo_id, revision)
        new, old = f"{head}.new", f"{head}.old"
        for left in (new, old):
            shutil.rmtree(left, ignore_errors=True)
        shutil.copytree(head, new)
        for operation in operations:
            path = os.path.join(new, operation.path_in_repo)
            if isinstance(operation, CommitOperationDelete):
                os.unlink(path)
            else:
                os.makedirs(os.path.dirname(path), exist_ok=True)
                shutil.copyfile(operation.path_or_fileobj, path)
        os.rename(head, old)
        os.rename(new, head)
        shutil.rmtree(old)
