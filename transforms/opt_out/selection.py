"""What is to be forgotten: rows by their repository, path, git blob or content, in tables of any job.

    repository       the columns of repositories, or those of the parts of packed rows
    path             the column of paths, the parts' paths, or a rejected record's
    blob             `blob_id`, or the git hash of the content where a row has it as it was found
    content hash     `lineage.content_sha256`, the parts' or a rejected record's, or the hash of the content itself

A packed row, which has parts of several files, goes with any of them, and a generated row with its source, with a file
that its answer copies (`verbatim_copies`), or with one that its prompt showed (`lineage.context`).
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from transforms.corpus.rows import git_blob_id
from transforms.opt_out.lists import OptOut
from transforms.opt_out.rows import names_of

_SHA256: Final = "content_sha256"
_CONTEXT: Final = "context"
PARTS: Final = ("parts", "verbatim_copies")
"""Columns of lists of files that a row is made of or copies from."""


@dataclass(frozen=True, slots=True)
class File:
    """What is known of a file that a row comes from; "" where it isn't."""

    repositories: tuple[str, ...] = ()
    path: str = ""
    sha256: str = ""
    blob: str = ""


@dataclass(frozen=True)
class Selection:
    """Files to be forgotten: those that any of these names.

    Args:
        opt_out: Repositories and owners.
        paths: Paths as in the dataset, in every repository.
        blobs: Hashes of git blobs.
        sha256s: SHA-256 of contents.
        files: Single files that went from a dataset that others derive from.
    """

    opt_out: OptOut = field(default_factory=lambda: OptOut(()))
    paths: frozenset[str] = frozenset()
    blobs: frozenset[str] = frozenset()
    sha256s: frozenset[str] = frozenset()
    files: frozenset[File] = frozenset()

    def __bool__(self) -> bool:
        return bool(len(self.opt_out) or self.paths or self.blobs or self.sha256s or self.files)

    def names(self, file: File) -> bool:
        """Whether a file is to be forgotten.

        >>> Selection(paths=frozenset({"a.py"})).names(File(path="a.py"))
        True
        """
        return bool(
            (file.path and file.path in self.paths)
            or (file.blob and file.blob in self.blobs)
            or (file.sha256 and file.sha256 in self.sha256s)
            or any(self.opt_out.find(name) for name in file.repositories)
            or (file.sha256 and any(_is_same(file, other) for other in self._by_sha256.get(file.sha256, ())))
        )

    def names_copied(self, repository: str, path: str) -> bool:
        """Whether a file of which only this is known is to be forgotten.

        >>> Selection(files=frozenset({File(("owner/b",), "b.py", "ab")})).names_copied("owner/b", "b.py")
        True
        """
        return self.names(File((repository,) if repository else (), path)) or (repository.lower(), path) in self._places

    @functools.cached_property
    def _places(self) -> frozenset[tuple[str, str]]:
        return frozenset((name.lower(), file.path) for file in self.files for name in file.repositories if file.path)

    @functools.cached_property
    def _by_sha256(self) -> dict[str, list[File]]:
        found: dict[str, list[File]] = {}
        for file in self.files:
            found.setdefault(file.sha256, []).append(file)
        return found


def _is_same(file: File, other: File) -> bool:
    """Whether two files of the same content may be one: what both tell of path and repositories is equal."""
    same_path = not file.path or not other.path or file.path == other.path
    mine, others = ({name.lower() for name in one.repositories} for one in (file, other))
    return same_path and (not mine or not others or bool(mine & others))


@dataclass(frozen=True)
class FileColumns:
    """Where a table's rows tell what file they come from.

    Args:
        path, repository, content: Names of columns, where there are such.
        is_raw: Whether the content is that of the source, as in a corpus and in a job's input.
    """

    path: str | None = None
    repository: str | None = None
    content: str | None = None
    is_raw: bool = False

    def read(self, schema: pa.Schema) -> list[str]:
        """The columns that `files_of` needs."""
        wanted = [self.path, self.repository, "content_sha256", "blob_id", "lineage", *PARTS]
        if self.is_raw:
            wanted.append(self.content)
        return [name for name in dict.fromkeys(wanted) if name is not None and name in schema.names]


def files_of(table: pa.Table, columns: FileColumns) -> Iterator[list[File]]:
    """Yields for each row the files that it comes from: one, those of its parts, and those that its prompt showed."""
    own = zip(_cells(table, columns.path), _cells(table, columns.repository), _sources(table), strict=True)
    contents = _cells(table, columns.content if columns.is_raw else None)
    parts = [_cells(table, name) for name in PARTS if _is_parts(table.schema, name)]
    shown = _shown(table)
    for row, (path, repository, (sha256, blob)) in enumerate(own):
        repositories = tuple(names_of(repository))
        files = [File(repositories, path or "", sha256 or "", blob or "")]
        if (content := contents[row]) is not None:
            data = content.encode() if isinstance(content, str) else content
            files.append(File(repositories, path or "", hashlib.sha256(data).hexdigest(), git_blob_id(data)))
        for cells in parts:
            files += (_part(part) for part in cells[row] or ())
        files += (File(repositories, one["path"], one["content_sha256"]) for one in shown[row] or ())
        yield files


def matches(table: pa.Table, columns: FileColumns, selection: Selection) -> npt.NDArray[np.bool_]:
    """Which rows of a table are to be forgotten."""
    return np.fromiter(
        (any(map(selection.names, files)) for files in files_of(table, columns)), dtype=bool, count=table.num_rows
    )


def _part(part: dict[str, Any]) -> File:
    name = part["repo_name"]
    return File((name,) if name else (), part["path"] or "", part["content_sha256"] or "")


def _is_parts(schema: pa.Schema, name: str) -> bool:
    place = schema.get_field_index(name)
    if place < 0:
        return False
    kind = schema.field(place).type
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    if not is_list or not pa.types.is_struct(kind.value_type):
        return False
    fields = {one.name for one in kind.value_type.fields}
    return {"repo_name", "path", "content_sha256"} <= fields


def _shown(table: pa.Table) -> Sequence[Any]:
    """Of each row the files of its repository that stood in its prompt, by its lineage."""
    lineage = table.schema.field("lineage").type if "lineage" in table.column_names else None
    if lineage is None or not pa.types.is_struct(lineage) or lineage.get_field_index(_CONTEXT) < 0:
        return [None] * table.num_rows
    shown: list[Any] = pc.struct_field(table.column("lineage"), _CONTEXT).to_pylist()
    return shown


def _cells(table: pa.Table, name: str | None) -> Sequence[Any]:
    if name is None or name not in table.column_names:
        return [None] * table.num_rows
    cells: list[Any] = table.column(name).to_pylist()
    return cells


def _sources(table: pa.Table) -> Iterable[tuple[str | None, str | None]]:
    """Of each row the hash of its source's content, by its lineage or its record, and its blob."""
    blobs = _cells(table, "blob_id")
    lineage = table.schema.field("lineage").type if "lineage" in table.column_names else None
    if lineage is not None and pa.types.is_struct(lineage) and lineage.get_field_index(_SHA256) >= 0:
        return zip(pc.struct_field(table.column("lineage"), _SHA256).to_pylist(), blobs, strict=True)
    return zip(_cells(table, _SHA256), blobs, strict=True)
