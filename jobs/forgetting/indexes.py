"""Forgets files in an index of known text (`transforms.duplicates.known_removal`).

    <index>                            what jobs open
    .<name>.codemill-forget            the index without the files, while it is written; complete once it has made.json
    .<name>.codemill-forgotten         the old one, while the new one takes its place

The new folder takes the place of the old one in two renames. A kill between them leaves a moment's absence for longer,
which the same command ends, also where the index is one of those named by `--cascade`. What has the old one open,
keeps it.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jobs.forgetting.lists import Asked
from jobs.forgetting.searching import Found
from jobs.index import MADE
from jobs.storage import is_local
from jobs.storage.failpoints import failpoint, register
from jobs.system.clock import utc_now
from transforms.duplicates.known_removal import read_files, write_without
from transforms.opt_out.rows import names_of
from transforms.opt_out.selection import File, Selection

INSIDE_INDEX = register("forget.inside_index")
BEFORE_INDEX = register("forget.before_index")
BETWEEN_INDEXES = register("forget.between_indexes")
AFTER_INDEX = register("forget.after_index")

_NEW, _OLD = ".codemill-forget", ".codemill-forgotten"
_ABOUT, _FILES = "index.json", "data/files.arrow"


@dataclass(frozen=True)
class Index:
    """An index of known text.

    Args:
        folder: Its folder.
    """

    folder: Path

    def search(self, selection: Selection) -> Found:
        """Finds the files to be forgotten."""
        files = [
            File(tuple(names_of(row["repo_name"])), row["path"] or "", row["sha256"] or "")
            for row in read_files(self.folder).to_pylist()
        ]
        gone = np.fromiter(map(selection.names, files), dtype=bool, count=len(files))
        found = Found(files={file for file, goes in zip(files, gone, strict=True) if goes})
        if gone.any():
            found.gone[_FILES] = gone
        return found

    def rows(self) -> int:
        """How many files it has."""
        return int(read_files(self.folder).num_rows)

    def forget(self, found: Found, asked: Asked) -> None:
        """Writes it without these files."""
        new = _beside(self.folder, _NEW)
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir()
        write_without(self.folder, new, found.gone[_FILES])
        failpoint(INSIDE_INDEX)
        made = json.loads((self.folder / MADE).read_text()) if (self.folder / MADE).exists() else {}
        removal = {"date": utc_now(), "rows": int(found.gone[_FILES].sum()), "asked": asked.hashed()}
        made["removals"] = [*made.get("removals", []), removal]
        (new / MADE).write_text(json.dumps(made, indent=1))
        failpoint(BEFORE_INDEX)
        os.rename(self.folder, _beside(self.folder, _OLD))
        failpoint(BETWEEN_INDEXES)
        finish_index(str(self.folder))
        failpoint(AFTER_INDEX)


def is_index(path: str) -> bool:
    """Whether an index is there, or was until a removal was interrupted."""
    return is_local(path) and ((Path(path) / _ABOUT).exists() or has_pending_index(path))


def pending_indexes(folder: str) -> list[str]:
    """The indexes in a folder with a removal that was interrupted once it was decided, when some have no folder."""
    left = Path(folder).glob(f".*{_OLD}") if is_local(folder) else ()
    return sorted(str(path.with_name(path.name[1:].removesuffix(_OLD))) for path in left)


def has_pending_index(path: str) -> bool:
    """Whether a removal has been decided and isn't done."""
    return _beside(Path(path), _OLD).exists()


def open_index(path: str) -> Index:
    """Opens an index."""
    return Index(Path(path))


def finish_index(path: str) -> bool:
    """Finishes a removal that was interrupted once it was decided, and removes what is left of one that wasn't.

    Returns:
        Whether there was a decided one.
    """
    folder = Path(path)
    new, old = _beside(folder, _NEW), _beside(folder, _OLD)
    is_decided = has_pending_index(path)
    if is_decided and not folder.exists():
        os.rename(new, folder)
    for left in (new, old):
        shutil.rmtree(left, ignore_errors=True)
    return is_decided


def inputs_of_index(path: str) -> list[str]:
    """The files that it was made of; none if an earlier version made it."""
    folder = Path(path)
    if not folder.exists():  # a removal was ended between its renames
        folder = _beside(folder, _OLD)
    try:
        made = json.loads((folder / MADE).read_text())
    except FileNotFoundError:
        return []
    return [uri for uri, *_ in made.get("input", [])]


def _beside(folder: Path, what: str) -> Path:
    return folder.parent / f".{folder.name}{what}"
