"""`codemill corpus SOURCE... --output DIR`: folders, git work trees and archives -> a corpus in Parquet.

Each file becomes one row with Stack v2's columns, or one rejected row with its reason: files seen = kept + rejected.
Rows stand in the order of the sources and, within one, in its own fixed order, so the same sources give the same
bytes. Row groups are as large as a unit of work, so later jobs read each group once.

Shards are written under a name of this run's own and get their final names at the end; `COMPLETED` comes last. An
interrupted run is repeated from the start, and takes away what that had published already. Memory: one row group and
one file.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from jobs.escapes import markdown, print_line
from jobs.options import OptionSet, changed_options, option, semantic_options
from model.errors import ConfigError, RecordError

if TYPE_CHECKING:
    import pyarrow as pa

    from jobs.storage.folders import OutputFolder
    from jobs.terminal.display import CountLine
    from transforms.corpus.neighbors import Neighbors
    from transforms.corpus.sources import File, Source

SCHEMA_VERSION = "2"
UNREAD = 3  # the exit code where the sources held more than could be read

# Why something that was asked for could not be read. Other reasons are rules: a link, a binary file, one too large.
UNREAD_REASONS = frozenset(
    ("unreadable", "dangling_link", "bare_repository", "corrupt_archive", "corrupt_entry", "encrypted",
     "too_many_entries", "archive_too_large", "compression_ratio", "archive_too_slow")
)  # fmt: skip


# Failpoints.
BEFORE_CLEANING, AFTER_CLEANING = "corpus.before_cleaning", "corpus.after_cleaning"
AFTER_COMPLETED = "corpus.after_completed"


@dataclass(frozen=True, kw_only=True)
class Options(OptionSet):
    """Make a corpus in Parquet from folders, git work trees (their tracked files) and archives."""

    source: tuple[str, ...] = option(
        help="Folders, git work trees, archives (zip, tar.*, whl, sdist) or files.", positional=True, is_path=True
    )
    output: str = option(help="Folder of the corpus, local or gs://.", operational=True, metavar="DIR", is_path=True)
    include: tuple[str, ...] = option(
        (), help="Only files whose path in the source matches one of these; * matches / too.", metavar="PATTERN"
    )
    exclude: tuple[str, ...] = option((), help="No files whose path matches one of these.", metavar="PATTERN")
    repo_name: str | None = option(
        None, help="For the column repo_name; by default git's owner/name, else the name of the folder or archive."
    )
    untracked: bool = option(False, help="In a git work tree take all files, not only the tracked ones.")
    max_content_mb: float = option(10.0, help="Reject a file that has more megabytes.", minimum=0.001, metavar="MB")
    keep_uncertain_encoding: bool = option(
        False,
        help="Keep a file whose encoding is only a guess, marked `uncertain` in src_encoding_confidence; "
        "by default it is rejected.",
    )
    max_archive_entries: int = option(100_000, help="Entries read from one archive, at most.", minimum=1)
    max_archive_mb: int = option(4096, help="Unpacked megabytes of one archive, at most.", minimum=1, metavar="MB")
    max_archive_ratio: float = option(
        200.0, help="Unpacked size of an archive over its own size, at most (from 64 MB on).", minimum=1
    )
    max_archive_s: float = option(
        600.0, help="Seconds spent on reading one archive, at most.", minimum=0.001, metavar="S"
    )
    shard_mb: int = option(256, help="Megabytes of text in an output file, at most.", minimum=1, metavar="MB")
    group_rows: int = option(256, help="Rows in a row group, at most: later a unit of work.", minimum=1)
    group_mb: float = option(16.0, help="Megabytes of text in a row group, at most.", minimum=0.01, metavar="MB")
    break_lock: bool = option(
        False, help="Take over an output that another run, known to be dead, has locked.", operational=True
    )
    share_job_folder: bool = option(False, help="Let other users open the output's _job folder.", operational=True)
    progress: Literal["auto", "bar", "lines", "none"] = option(
        "auto", help="Live line, plain lines, or nothing; auto: live in a terminal.", operational=True
    )


def run(options: Options, beam_args: Sequence[str] = ()) -> int:
    """Makes the corpus. Raises ConfigError for what the user can mend."""
    from jobs import storage
    from jobs.ledger.lock import acquire
    from jobs.signals import raise_on_signals
    from jobs.storage.folders import OutputFolder

    if beam_args:
        raise ConfigError(f"corpus runs without Beam, so nothing can follow --; got {' '.join(beam_args)}")
    raise_on_signals()
    sources = _open_sources(options)
    finished = _claim_output(options)
    if finished is None:
        with acquire(OutputFolder(options.output).job, break_lock=options.break_lock):
            finished = _claim_output(options)  # another run may have ended since
            if finished is None:
                summary = storage.with_new_attempts(lambda: _make(options, sources))
                return _exit_code(summary, options.output)
    _sweep(OutputFolder(options.output))
    print_line(f"{options.output} is complete already: {_counts_line(finished)}; the sources were not read again")
    return _exit_code(finished, options.output)


def _exit_code(summary: Mapping[str, Any], output: str) -> int:
    """3, with a line that says why, where something that belongs to the sources could not be read."""
    from jobs import storage

    unread = {reason: count for reason, count in summary["rejected"].items() if reason in UNREAD_REASONS}
    if not unread:
        return 0
    shown = ", ".join(f"{count:,} {reason}" for reason, count in unread.items())
    where = storage.join(output, "rejected")
    print_line(f"codemill corpus: not all of the sources could be read: {shown}; {where} names each", sys.stderr)
    return UNREAD


def _make(options: Options, sources: Sequence[Source]) -> dict[str, Any]:
    from jobs.plan.input_paths import public_names
    from jobs.storage.folders import OutputFolder
    from jobs.terminal.display import count_line

    attempt = OutputFolder(options.output).job.attempts_of(uuid.uuid4().hex[:12])
    started = time.monotonic()
    names = public_names([os.path.abspath(source.path) for source in sources])
    called = {source.path: name for source, name in zip(sources, names, strict=True)}
    with count_line(options.progress, "files") as line, _Corpus(options, attempt, called) as corpus:
        for source in sources:
            corpus.add_source(source, line)
    if corpus.counts["seen"] == 0:
        raise ConfigError(f"no files in {' '.join(options.source)}{' that match' if options.include else ''}")
    summary = corpus.publish()
    print_line(f"{_counts_line(summary)} in {time.monotonic() - started:.1f} s -> {options.output}")
    return summary


def corpus_schema() -> pa.Schema:
    """The columns of a corpus: Stack v2's names."""
    import pyarrow as pa

    return pa.schema(
        [
            pa.field("blob_id", pa.string(), nullable=False),  # as `git hash-object` computes it
            pa.field("path", pa.large_string(), nullable=False),
            pa.field("repo_name", pa.string(), nullable=False),
            pa.field("language", pa.string()),  # Linguist's name; null where unknown
            pa.field("extension", pa.string(), nullable=False),
            pa.field("length_bytes", pa.int64(), nullable=False),  # of the file as it was found
            pa.field("src_encoding", pa.string(), nullable=False),
            pa.field("src_encoding_confidence", pa.string(), nullable=False),  # certain, declared, likely, ...
            pa.field("is_vendor", pa.bool_(), nullable=False),
            pa.field("is_generated", pa.bool_(), nullable=False),
            pa.field("detected_licenses", pa.list_(pa.field("element", pa.string())), nullable=False),
            pa.field("content", pa.large_string(), nullable=False),
        ],
        metadata={"schema_version": SCHEMA_VERSION},
    )


def git_blob_id(data: bytes) -> str:
    """The SHA-1 that git names this content by.

    >>> git_blob_id(b"")
    'e69de29bb2d1d6434b8b29ae775ad8c2e48c5391'
    """
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def corpus_row(
    file: File,
    repo_name: str,
    by_folder: Mapping[str, tuple[str, ...]],
    neighbors: Neighbors | None = None,
    *,
    keep_uncertain: bool = False,
) -> dict[str, Any]:
    """One file as a row. Raises RecordError where it has no text, or none that is sure enough."""
    from transforms.corpus.encoding import decode
    from transforms.corpus.licenses import licenses_of
    from transforms.languages.files import extension_of, is_generated, is_vendor, language_of

    near = (lambda: neighbors.of(file.path)) if neighbors else tuple
    decoded = decode(file.data, near, keep_uncertain=keep_uncertain)
    return {
        "blob_id": git_blob_id(file.data),
        "path": file.path,
        "repo_name": repo_name,
        "language": language_of(file.path, decoded.text),
        "extension": extension_of(file.path),
        "length_bytes": len(file.data),
        "src_encoding": decoded.encoding,
        "src_encoding_confidence": decoded.confidence,
        "is_vendor": is_vendor(file.path),
        "is_generated": is_generated(file.path, decoded.text),
        "detected_licenses": list(licenses_of(file.path, decoded.text, by_folder)),
        "content": decoded.text,
    }


def _open_sources(options: Options) -> list[Source]:
    from transforms.corpus.entries import ArchiveLimits
    from transforms.corpus.sources import Selection, open_source

    limits = ArchiveLimits(
        max_entries=options.max_archive_entries,
        max_entry_bytes=int(options.max_content_mb * 1e6),
        max_total_bytes=options.max_archive_mb * 1_000_000,
        max_ratio=options.max_archive_ratio,
        max_seconds=options.max_archive_s,
    )
    selection = Selection(include=options.include, exclude=options.exclude)
    return [
        open_source(path, repo_name=options.repo_name, untracked=options.untracked, limits=limits, selection=selection)
        for path in options.source
    ]


# --- the output folder -------------------------------------------------------------------------------


def _claim_output(options: Options) -> dict[str, Any] | None:
    """Makes the output this job's own and returns None, or its summary where it is complete.

    Raises:
        ConfigError: The output is another job's, or was begun with other options.
    """
    from jobs import storage
    from jobs.plan.job_file import defaults_of
    from jobs.storage.folders import JOB_FOLDER, OutputFolder

    output = OutputFolder(options.output)
    job_path = output.job.job_file
    job = {"job": "corpus", "schema_version": SCHEMA_VERSION, "options": semantic_options(options)}
    names = [] if storage.exists(job_path) else storage.list_names(options.output)
    if names and JOB_FOLDER not in names:  # with it: a run that was killed before it had begun
        shown = ", ".join(names[:3])
        raise ConfigError(f"{options.output} is not empty and no corpus (it has {shown}); choose another --output")
    storage.make_job_folder(output.job.path, shared=options.share_job_folder)
    if storage.create_if_absent(job_path, json.dumps(job, indent=2).encode()):
        return None
    found = json.loads(storage.read_bytes(job_path))
    if found.get("job", found.get("name")) != "corpus":
        raise ConfigError(f"{options.output} belongs to another job; choose another --output")
    now = json.loads(json.dumps(semantic_options(options)))
    if changes := changed_options({**defaults_of(options, now), **found["options"]}, now):
        raise ConfigError(
            f"{options.output} was started with other options: {'; '.join(changes)}; choose another --output"
        )
    whole = _whole_summary(output) if storage.exists(output.completed) else None
    if whole is None and (version := found.get("schema_version")) != SCHEMA_VERSION:
        raise ConfigError(
            f"{options.output} was started with schema version {version}, this codemill writes version "
            f"{SCHEMA_VERSION}; finish it with the codemill that started it, or choose another --output"
        )
    return whole


def _whole_summary(output: OutputFolder) -> dict[str, Any] | None:
    """The summary of a complete corpus; None, with a line that says so, where a part of it is gone since."""
    from jobs import storage

    shards = [name for name in storage.list_names(output.data) if name.startswith("train-")]
    try:
        summary = json.loads(storage.read_bytes(output.summary))
    except (FileNotFoundError, ValueError):
        lost = "summary.json"
    else:
        if len(shards) >= summary["shards"]:
            return summary
        lost = f"{summary['shards'] - len(shards)} of {summary['shards']} files in data/"
    print_line(f"codemill corpus: {output} was complete and lacks {lost} now: making it again", sys.stderr)
    return None


@dataclass
class _Corpus:
    """The corpus of one run while it is written. `called` gives each source the name that is published."""

    options: Options
    attempt: str
    called: Mapping[str, str]
    counts: Counter[str] = field(default_factory=Counter)
    _files: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> _Corpus:
        from jobs.storage.row_files import RowFiles
        from transforms.rows.rejections import REJECTED_SCHEMA

        def files(name: str, schema: pa.Schema) -> RowFiles:
            return RowFiles(
                f"{self.attempt}/{name}",
                schema,
                file_bytes=self.options.shard_mb * 1e6,
                group_rows=self.options.group_rows,
                group_bytes=self.options.group_mb * 1e6,
            )

        self._kept = self._files.enter_context(files("kept", corpus_schema()))
        self._rejected = self._files.enter_context(files("rejected", REJECTED_SCHEMA))
        return self

    def __exit__(self, *error: Any) -> None:
        self._files.__exit__(*error)

    def add_source(self, source: Source, line: CountLine) -> None:
        """Reads one source to its end."""
        from transforms.corpus.entries import File
        from transforms.corpus.neighbors import Neighbors

        by_folder = source.licenses()
        neighbors = Neighbors(source.contents)
        keep = self.options.keep_uncertain_encoding
        for index, entry in enumerate(source.read()):
            self.counts["seen"] += 1
            if isinstance(entry, File):
                try:
                    row = corpus_row(entry, source.repo_name, by_folder, neighbors, keep_uncertain=keep)
                    self._keep(row)
                except RecordError as error:
                    self._reject(source, index, entry.path, "decode", error.reason, error.detail, entry.data)
            else:
                self._reject(source, index, entry.path, "read", entry.reason, entry.detail)
            line.update(self.counts["seen"], f"{self.counts['rejected']} rejected, {source.repo_name}")

    def _keep(self, row: Mapping[str, Any]) -> None:
        self._kept.add(row, len(row["content"].encode("utf-8")))
        self.counts["kept"] += 1
        self.counts["bytes"] += row["length_bytes"]
        self.counts[f"confidence/{row['src_encoding_confidence']}"] += 1
        self.counts[f"language/{row['language'] or 'unknown'}"] += 1

    def _reject(
        self, source: Source, index: int, path: str, stage: str, reason: str, detail: str, data: bytes | None = None
    ) -> None:
        """Adds a rejected row. A file has no row group: `row` is its place in the source's order."""
        from transforms.rows.rejections import RejectedRow, Rejection
        from transforms.rows.row import SourceRef

        sha256 = None if data is None else hashlib.sha256(data).hexdigest()
        origin = SourceRef(self.called[source.path], 0, index)
        row = RejectedRow(origin, Rejection(stage, reason, detail), sha256, path).record()
        self._rejected.add(row, len(path) + len(detail))
        self.counts["rejected"] += 1
        self.counts[f"reason/{reason}"] += 1

    def publish(self) -> dict[str, Any]:
        """Gives the files their final names, then writes card, summary and `COMPLETED`, in this order."""
        from jobs import storage
        from jobs.finalize.shards import remove_stale
        from jobs.storage.failpoints import failpoint
        from jobs.storage.folders import OutputFolder

        counts = self.counts
        assert counts["seen"] == counts["kept"] + counts["rejected"], f"files were lost: {counts}"
        published = set()
        for name, paths in (("data/train", self._kept.paths), ("rejected/rejected", self._rejected.paths)):
            for index, path in enumerate(paths):
                final = f"{name}-{index:05}-of-{len(paths):05}.parquet"
                storage.publish(path, storage.join(self.options.output, final))
                published.add(final)
        remove_stale(OutputFolder(self.options.output), published)
        summary = {
            "job": "corpus",
            "files_seen": counts["seen"],
            "rows_kept": counts["kept"],
            "rows_rejected": counts["rejected"],
            "bytes_kept": counts["bytes"],
            "shards": len(self._kept.paths),
            "languages": _by_count(counts, "language/"),
            "src_encoding_confidence": _by_count(counts, "confidence/"),
            "rejected": _by_count(counts, "reason/"),
        }
        root = OutputFolder(self.options.output)
        storage.write_bytes(root.card, _card(summary).encode())
        storage.write_bytes(root.summary, json.dumps(summary, indent=2).encode())
        failpoint(BEFORE_CLEANING)
        # Before the mark, so that nothing is left whenever it is killed: what isn't complete is made again.
        _sweep(root)
        failpoint(AFTER_CLEANING)
        storage.write_bytes(root.completed, b"")
        failpoint(AFTER_COMPLETED)
        return summary


def _sweep(output: OutputFolder) -> None:
    """Removes the files under this run's own name, and what interrupted runs left, halves of published files too."""
    from jobs import storage

    for place in (output.path, output.data, output.rejected):
        storage.remove_temporaries(place)
    storage.remove_temporaries(output.job.path, below=True)
    folder = output.job.attempts
    for attempt in storage.list_names(folder):
        for name in storage.list_names(storage.join(folder, attempt)):
            storage.remove(storage.join(folder, attempt, name))


def _by_count(counts: Counter[str], prefix: str) -> dict[str, int]:
    named = {key.removeprefix(prefix): count for key, count in counts.items() if key.startswith(prefix)}
    return dict(sorted(named.items(), key=lambda item: (-item[1], item[0])))


def _counts_line(summary: Mapping[str, Any]) -> str:
    from jobs.wording import counted

    reasons = ", ".join(f"{count:,} {reason}" for reason, count in summary["rejected"].items())
    return (
        f"{counted(summary['files_seen'], 'file')} seen = {summary['rows_kept']:,} kept + "
        f"{summary['rows_rejected']:,} rejected{f' ({reasons})' if reasons else ''}; "
        f"{summary['bytes_kept'] / 1e6:,.1f} MB in {counted(summary['shards'], 'shard')}"
    )


def _card(summary: Mapping[str, Any]) -> str:
    """The dataset card, whose head tells `load_dataset` where the rows are."""

    def table(heading: str, counts: Mapping[str, int]) -> Iterator[str]:
        yield from (f"| {heading} | files |", "|---|---|")
        yield from (f"| {markdown(name)} | {count} |" for name, count in counts.items())

    has_rows = summary["rows_kept"] > 0
    return "\n".join(
        [
            "---",
            *(("configs:", "- config_name: default", "  data_files: data/train-*.parquet") if has_rows else ()),
            "tags: [code]",
            "---",
            "# A corpus of source files",
            "",
            f"{_counts_line({**summary, 'rejected': {markdown(name): n for name, n in summary['rejected'].items()}})}.",
            "",
            *(() if has_rows else ("There are no rows, so there is no file in `data/`.", "")),
            "One row a file, with the columns of The Stack v2. The files stay under their own licences: "
            "`detected_licenses` holds what could be",
            "recognised, and is empty where nothing was. `content` is the text without a byte order mark, line ends "
            "as found; `blob_id` and `length_bytes`",
            "are those of the file as it was found. `src_encoding_confidence` says how `src_encoding` is known: "
            "`certain` (a byte order mark, or",
            "valid UTF-8), `declared` in the file, `likely` by how usual the text reads, by its `neighbors`, or "
            "`uncertain`, which is only kept",
            "where that was asked for. What was not kept stands in `rejected/`, with its reason.",
            "",
            *table("language", summary["languages"]),
            "",
            *(table("rejected because", summary["rejected"]) if summary["rejected"] else ()),
            "",
        ]
    )
