"""What a corpus that grows has to do: which files of its sources are new or changed, and which of its rows leave.

    corpus     kept rows as (repository, path, blob id), rejected ones as (source, path, hash)
    sources    listed, read and hashed again; a file takes the row that is the same off the list
    a file without such a row is worked on anew, with all others of its path; what is left on the list is replaced
    where its file has a new row, else gone

The licenses of a row are those of the license files above it, so where one of these is new, has changed or is dropped,
all files below its folder are worked on anew. Rows are counted: a corpus may have a file twice.

Cost: a look at each file, and reading and hashing those that may have changed since the last night
(`jobs.collecting.seen`), and archives. Memory: about a kilobyte a file.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from jobs.collecting.chunks import CRASHED_WORKER, TIMEOUT
from jobs.collecting.seen import Contents, SeenFiles
from transforms.corpus.entries import File, Known, Refused, Stamp
from transforms.corpus.licenses import is_license_file
from transforms.corpus.rows import git_blob_id
from transforms.corpus.sources import Source
from transforms.opt_out.lists import REASON

Row = tuple[str, str, str]
"""Of a kept row repository, path and blob id; of a rejected one source, path and `rejected_hash`."""
_Key = tuple[str, str]

_UNREAD, _LOST, _OPTED_OUT = "unread", "lost", "opted out"


def rejected_hash(sha256: str | None, reason: str) -> str:
    """What tells whether a rejected file has changed: its SHA-256, or why there is none."""
    if reason == REASON:
        return _OPTED_OUT
    return sha256 or (_LOST if reason in (CRASHED_WORKER, TIMEOUT) else _UNREAD)


@dataclass
class Held:
    """The rows of a corpus, how many of each."""

    kept: Counter[Row] = field(default_factory=Counter)
    rejected: Counter[Row] = field(default_factory=Counter)

    def identities(self) -> Counter[str]:
        """What tells the rows from others, without their names: 16 digits of a hash, and how many rows have it."""
        found: Counter[str] = Counter()
        for kind, rows in (("kept", self.kept), ("rejected", self.rejected)):
            for row, count in rows.items():
                text = "\0".join((kind, *row)).encode("utf-8", "surrogateescape")
                found[hashlib.blake2b(text, digest_size=8).hexdigest()] += count
        return found


@dataclass
class Night:
    """What there is to do.

    Args:
        paths: For each source the paths of the files to work on.
        leaving: The rows that leave the corpus.
        gone: The rows whose files are gone, whether they leave or stay.
        news: `rows_known`, `rows_replaced`, `rows_gone`, `rows_opted_out`, `files_new`, `files_changed`, `files_gone`.
    """

    paths: list[set[str]]
    leaving: Held = field(default_factory=Held)
    gone: Held = field(default_factory=Held)
    news: Counter[str] = field(default_factory=Counter)

    def __bool__(self) -> bool:
        return any(self.paths) or bool(self.leaving.kept or self.leaving.rejected)


@dataclass
class _Found:
    """A path of a source: the rows that its files have already, how many files have none, and whether one of these was
    to be forgotten: then none of them is worked on, since files are chosen by their paths."""

    kept: list[Row] = field(default_factory=list)
    rejected: list[Row] = field(default_factory=list)
    others: int = 0
    has_forgotten: bool = False


class Comparison:
    """Compares sources with a corpus.

    Args:
        held: The corpus's rows; used up.
        has_opted_out: Whether a repository has.
        is_forgotten: Whether a file that a corpus doesn't have is one that was to be forgotten.
        drops_gone: Whether rows leave whose files are gone.
        seen: Files that needn't be read again; those of these sources are noted anew.
    """

    def __init__(
        self,
        held: Held,
        *,
        has_opted_out: Callable[[str], bool],
        is_forgotten: Callable[[Source, File | Refused], bool] = lambda source, entry: False,
        drops_gone: bool = False,
        seen: SeenFiles | None = None,
    ):
        self._held = held
        self._by_kept = _by_key(held.kept)
        self._by_rejected = _by_key(held.rejected)
        self._has_opted_out = has_opted_out
        self._is_forgotten = is_forgotten
        self._drops_gone = drops_gone
        self._seen = seen or SeenFiles()

    def night(self, sources: Sequence[tuple[Source, str]]) -> Night:
        """Reads the sources, each with its public name, and tells what there is to do."""
        night = Night([set() for _ in sources])
        self._leave_opted_out(night)
        found = [self._found(source, name, night) for source, name in sources]
        for (source, name), files, paths in zip(sources, found, night.paths, strict=True):
            paths |= {path for path, one in files.items() if one.others}
            paths |= set(_below(self._license_folders(source, paths), files))
            paths -= {path for path, one in files.items() if one.has_forgotten}
            for path in sorted(paths):
                self._replace(files[path], (source.repo_name, path), (name, path), night)
        self._leave_gone(night)
        night.news["rows_known"] = sum(
            len(one.kept) + len(one.rejected)
            for files, paths in zip(found, night.paths, strict=True)
            for path, one in files.items()
            if path not in paths
        )
        return night

    def _leave_opted_out(self, night: Night) -> None:
        for row in [row for row in self._held.kept if self._has_opted_out(row[0])]:
            night.news["rows_opted_out"] += self._held.kept[row]
            night.leaving.kept[row] += self._held.kept.pop(row)

    def _found(self, source: Source, name: str, night: Night) -> dict[str, _Found]:
        is_out = self._has_opted_out(source.repo_name)
        found: dict[str, _Found] = defaultdict(_Found)
        for entry in source.read_unseen(self._seen_of(source, name, is_out)):
            one = found[entry.path]
            contents = self._contents(entry, name, is_out)
            if (row := None if is_out else self._kept_row(source, entry, contents)) is not None:
                one.kept.append(row)
            elif (row := self._rejected_row(name, entry, contents, is_out)) is not None:
                one.rejected.append(row)
            elif not isinstance(entry, Known) and self._is_forgotten(source, entry):
                one.has_forgotten = True
                continue  # not noted: no list has its name
            else:
                one.others += 1
                is_known = self._is_known(source.repo_name, name, entry.path)
                if not is_out:  # else it adds a record at most
                    night.news["files_changed" if is_known else "files_new"] += 1
            if contents is not None and not isinstance(entry, Refused):
                self._seen.note(source.path, entry, contents)
        return {path: one for path, one in found.items() if one.kept or one.rejected or one.others or one.has_forgotten}

    def _seen_of(self, source: Source, name: str, is_out: bool) -> Callable[[str, Stamp], Known | None]:
        """What is known of a source's files that have a row; another one is read."""
        find = self._seen.of(source.path)

        def find_with_row(path: str, stamp: Stamp) -> Known | None:
            known = find(path, stamp)
            if known is None:
                return None
            sha256 = _OPTED_OUT if is_out else known.sha256
            has_row = not is_out and (source.repo_name, path, known.blob_id) in self._held.kept
            return known if has_row or (sha256 and (name, path, sha256) in self._held.rejected) else None

        return find_with_row

    def _contents(self, entry: File | Known | Refused, name: str, is_out: bool) -> Contents | None:
        """The hashes of a file; None where nobody needs them, or there are none."""
        if isinstance(entry, Known):
            return entry.blob_id, entry.sha256
        if isinstance(entry, Refused) or is_out:
            return None
        needs_sha256 = (name, entry.path) in self._by_rejected
        return git_blob_id(entry.data), hashlib.sha256(entry.data).hexdigest() if needs_sha256 else None

    def _kept_row(self, source: Source, entry: File | Known | Refused, contents: Contents | None) -> Row | None:
        return None if contents is None else _taken(self._held.kept, (source.repo_name, entry.path, contents[0]))

    def _rejected_row(
        self, name: str, entry: File | Known | Refused, contents: Contents | None, is_out: bool
    ) -> Row | None:
        hashes = self._by_rejected.get((name, entry.path), ())
        if not hashes:
            return None
        if is_out:
            same = [_OPTED_OUT]
        elif contents is not None:
            same = [contents[1] or "", _LOST]
        else:
            same = [one for one in hashes if one != _OPTED_OUT]
        rows = (_taken(self._held.rejected, (name, entry.path, one)) for one in same)
        return next((row for row in rows if row is not None), None)

    def _is_known(self, repo_name: str, name: str, path: str) -> bool:
        return (repo_name, path) in self._by_kept or (name, path) in self._by_rejected

    def _license_folders(self, source: Source, paths: set[str]) -> list[str]:
        """The folders whose license files have changed."""
        gone = (path for repo, path, _ in self._held.kept if self._drops_gone and repo == source.repo_name)
        return [posixpath.dirname(path) for path in (*paths, *gone) if is_license_file(path)]

    def _replace(self, one: _Found, kept: _Key, rejected: _Key, night: Night) -> None:
        """Lets the rows leave that a path had: those that its files are the same as, and those that none is."""
        night.leaving.kept.update(one.kept)
        night.leaving.rejected.update(one.rejected)
        night.news["rows_replaced"] += len(one.kept) + len(one.rejected)
        for rows, leaving, hashes, key in (
            (self._held.kept, night.leaving.kept, self._by_kept, kept),
            (self._held.rejected, night.leaving.rejected, self._by_rejected, rejected),
        ):
            for value in hashes.get(key, ()):
                if count := rows.pop((*key, value), 0):
                    leaving[*key, value] += count
                    night.news["rows_replaced"] += count

    def _leave_gone(self, night: Night) -> None:
        """What no file has any more; an opted-out repository's other records, whatever else, are replaced before."""
        for rows, leaving, gone in (
            (self._held.kept, night.leaving.kept, night.gone.kept),
            (self._held.rejected, night.leaving.rejected, night.gone.rejected),
        ):
            gone.update(rows)
            night.news["files_gone"] += rows.total()
            if self._drops_gone:
                night.news["rows_gone"] += rows.total()
                leaving.update(rows)


def _by_key(rows: Mapping[Row, int]) -> dict[_Key, list[str]]:
    found: dict[_Key, list[str]] = defaultdict(list)
    for owner, path, value in rows:
        found[owner, path].append(value)
    return dict(found)


def _taken(rows: Counter[Row], row: Row) -> Row | None:
    """Takes one of these rows off; None if there is none."""
    if not rows.get(row):
        return None
    rows[row] -= 1
    if not rows[row]:
        del rows[row]
    return row


def _below(folders: Sequence[str], paths: Mapping[str, object]) -> Iterator[str]:
    for folder in folders:
        yield from (path for path in paths if not folder or path.startswith(f"{folder}/"))
