"""An index of known text without some of its files: the bytes that it has when it is built without them.

Only a 20-gram that more than two files have may differ: the index names two of them, so if both go, the others aren't
known by it anymore.

Cost: one pass over the hashes. Memory: a few megabytes, and four bytes a file.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms.duplicates.known_index import BATCH_FILES, ENTRY
from transforms.duplicates.known_text import FILES_SCHEMA

_CHUNK: Final = 1 << 20


def read_files(folder: Path) -> pa.Table:
    """The files of an index, with the columns of `FILES_SCHEMA`."""
    with pa.memory_map(str(folder / "files.arrow")) as opened:
        return pa.ipc.open_file(opened).read_all().rename_columns(FILES_SCHEMA.names)


def write_without(folder: Path, new: Path, gone: npt.NDArray[np.bool_]) -> None:
    """Writes an index without the files that go into a new folder.

    Args:
        folder: The index.
        new: The new folder, which exists.
        gone: Whether each of its files goes.
    """
    numbers = (np.cumsum(~gone) - 1).astype(np.uint32)
    hashes = np.load(folder / "hashes.npy", mmap_mode="r", allow_pickle=False)
    owners = np.load(folder / "owners.npy", mmap_mode="r", allow_pickle=False)
    stays = [~gone[owners[start : start + _CHUNK]] for start in range(0, len(owners), _CHUNK)]
    total = sum(int(some.sum()) for some in stays)
    new_hashes = np.lib.format.open_memmap(new / "hashes.npy", "w+", "<u8", (total,))
    new_owners = np.lib.format.open_memmap(new / "owners.npy", "w+", "<u4", (total,))
    digest, at = hashlib.sha256(), 0
    for number, some in enumerate(stays):
        chunk = slice(number * _CHUNK, number * _CHUNK + len(some))
        entries = np.empty(int(some.sum()), ENTRY)
        entries["hash"], entries["owner"] = hashes[chunk][some], numbers[owners[chunk][some]]
        new_hashes[at : at + len(entries)], new_owners[at : at + len(entries)] = entries["hash"], entries["owner"]
        at += len(entries)
        digest.update(entries.tobytes())
    new_hashes.flush()
    new_owners.flush()
    left = read_files(folder).filter(pa.array(~gone))
    _write_files(new / "files.arrow", left)
    digest.update((new / "files.arrow").read_bytes())
    about: dict[str, Any] = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    about |= {"files": left.num_rows, "sha256": digest.hexdigest()}
    (new / "index.json").write_text(json.dumps(about) + "\n", encoding="utf-8")


def _write_files(path: Path, files: pa.Table) -> None:
    with pa.ipc.new_file(str(path), FILES_SCHEMA) as writer:
        for start in range(0, max(files.num_rows, 1), BATCH_FILES):
            # With buffers of its own: those of a slice may be longer, which would show in the file.
            writer.write_table(pa.Table.from_pylist(files.slice(start, BATCH_FILES).to_pylist(), FILES_SCHEMA))
