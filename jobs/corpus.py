"""`codemill corpus SOURCE... --output DIR`: folders, git work trees and archives -> a corpus in Parquet.

Each file becomes one row with Stack v2's columns, or one rejected row with its reason: files seen = kept + rejected.
Rows stand in the order of the sources and, within one, in its own fixed order, so the same sources give the same
bytes. Row groups are as large as a unit of work, so later jobs read each group once; each is encoded in the process
that has worked on its files.

Shards are written under a name of this run's own and get their final names at the end; `COMPLETED` comes last. An
interrupted run is repeated from the start, and takes away what that had published already. With `--grow`, a complete
corpus takes in what is new or has changed as a further edition (`jobs.collecting.growing`). Files are worked on in
several processes (`jobs.collecting`), and the rows are the same bytes for any number of them.
Memory: a few row groups a process.

The module is long because most of what it imports is imported where it is needed: workers start first.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from jobs.options import GrowOptions, OptOutOptions, ReportOptions, RerunOptions, option
from jobs.terminal.escapes import keep_line, print_line
from model.errors import ConfigError

if TYPE_CHECKING:
    from jobs.collecting.collect import Collection, RowWork
    from jobs.collecting.output import CorpusFiles
    from jobs.monitoring.run import Run
    from jobs.storage.folders import OutputFolder
    from transforms.corpus.sources import Source
    from transforms.opt_out.lists import OptOut

# Why something that was asked for could not be read. Other reasons are rules: a link, a binary file, one too large.
UNREAD_REASONS = frozenset(
    ("unreadable", "dangling_link", "bare_repository", "corrupt_archive", "corrupt_entry", "encrypted",
     "too_many_entries", "archive_too_large", "compression_ratio", "archive_too_slow", "crashed_worker", "timeout")
)  # fmt: skip

WORKER_MB = 160  # what a worker needs: 141 MB were seen


@dataclass(frozen=True, kw_only=True)
class Options(GrowOptions, OptOutOptions, ReportOptions, RerunOptions):
    """Make a corpus in Parquet from folders, git work trees (their tracked files) and archives."""

    resumes = True

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
    retrieved_at: str | None = option(
        None,
        help="When the sources were retrieved, such as 2026-05-31 or 2026-05-31T08:00:00+02:00, for the column "
        "retrieved_at; by default the last fetch or clone of a git work tree, and the time of an archive's file.",
        metavar="TIME",
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
    workers: int | None = option(
        None,
        help="Processes that work on files; default: as many as its cores, or the part of them that a control group "
        "grants, and memory allow.",
        operational=True,
        minimum=1,
        metavar="N",
    )
    reread: bool = option(
        False,
        help="Of a complete corpus, read all files again, also those whose size and times are as before.",
        operational=True,
    )
    break_lock: bool = option(
        False, help="Take over an output that another run, known to be dead, has locked.", operational=True
    )
    share_job_folder: bool = option(False, help="Let other users open the output's _job folder.", operational=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.retrieved_ms()

    def retrieved_ms(self) -> int | None:
        """`retrieved_at` in milliseconds since 1970, without a zone in UTC; raises ConfigError if it is no time."""
        if self.retrieved_at is None:
            return None
        try:
            time_ = datetime.fromisoformat(self.retrieved_at)
        except ValueError:
            raise ConfigError(
                f"--retrieved_at {self.retrieved_at}: not a time; give it as 2026-05-31 or 2026-05-31T08:00:00+02:00"
            ) from None
        return int((time_ if time_.tzinfo else time_.replace(tzinfo=UTC)).timestamp() * 1000)


def run(options: Options, beam_args: Sequence[str] = ()) -> int:
    """Makes the corpus. Raises ConfigError for what the user can mend."""
    from jobs import storage
    from jobs.collecting.claim import claim_output
    from jobs.ledger.lock import acquire
    from jobs.monitoring.run import monitored, with_run_id
    from jobs.monitoring.summaries import keep_failure
    from jobs.storage.folders import OutputFolder
    from jobs.system.signals import raise_on_signals

    if beam_args:
        raise ConfigError(f"corpus runs without Beam, so nothing can follow --; got {' '.join(beam_args)}")
    raise_on_signals()
    options = with_run_id(options)
    if options.opt_out:
        from jobs.plan.opt_out import freeze_opt_out

        options = freeze_opt_out(options)
    output = OutputFolder(options.output)
    with monitored("corpus", options) as run:
        _finish_interrupted(options, output)
        is_new = not storage.exists(output.completed)
        with _collection(options, _named(options, _open_sources(options)), starts_early=is_new) as collection:
            finished = claim_output(output, options, shared=options.share_job_folder, grows=options.grow)
            if finished is None or options.grow:
                with acquire(output.job, break_lock=options.break_lock) as lock:
                    # Another run may have ended since.
                    finished = claim_output(output, options, shared=options.share_job_folder, grows=options.grow)
                    make = _make if finished is None else _grow
                    try:
                        summary = storage.with_new_attempts(lambda: make(options, collection, run))
                    except BaseException as error:
                        if lock.still_held():
                            keep_failure(output, run.failure(error))
                        raise
                    if summary is not None:
                        return _end(options, collection, summary, run)
            assert finished is not None
            return _tell_complete(options, output, collection, finished, run)


def _finish_interrupted(options: Options, output: OutputFolder) -> None:
    """Carries out a change that was decided by a run that has ended: of a further edition, or of `codemill forget`."""
    from jobs.finalize.rewriting import finish_pending
    from jobs.ledger.completed import has_pending
    from jobs.ledger.lock import acquire

    if has_pending(output):
        with acquire(output.job, break_lock=options.break_lock):
            finish_pending(output)
        print_line(f"codemill corpus: {output}: finished a change that was interrupted", sys.stderr)


def _tell_complete(
    options: Options, output: OutputFolder, collection: Collection, finished: dict[str, Any], run: Run
) -> int:
    """Says that the corpus was made before, and how its sources differ since."""
    from jobs.collecting.card import counts_line
    from jobs.collecting.output import sweep

    sweep(output)
    say = keep_line if options.quiet else print_line
    say(f"{options.output} is complete already: {counts_line(finished)}")
    news = ""
    if not options.input_frozen and not options.grow:
        from jobs.collecting.news import news_of_sources

        news = news_of_sources(
            output, collection.sources, _read_opt_out(options.opt_out), trusts_stamps=not options.reread
        )
    if news:
        print_line(
            f"codemill corpus: {news}; none of it is in this output: --grow takes it in; pass --input_frozen if "
            "that is meant",
            sys.stderr,
        )
    return _end(options, collection, finished, run, is_news=bool(news))


def _end(options: Options, collection: Collection, summary: dict[str, Any], run: Run, *, is_news: bool = False) -> int:
    """Says what there is to say of each exit code, puts them into the summary, and returns the one that counts."""
    from jobs.monitoring.summaries import keep_codes
    from jobs.storage.folders import OutputFolder
    from jobs.system.exit_codes import FAILED_UNITS, INPUT_CHANGED, USER_ERROR, in_order
    from jobs.terminal.wording import counted

    told = (
        (USER_ERROR, _tell_opt_out(options, collection, summary)),
        (FAILED_UNITS, _tell_unread(summary, options.output)),
        (INPUT_CHANGED, is_news),
    )
    if not summary["rows_kept"]:
        print_line(f"codemill corpus: warning: 0 of {counted(summary['files_seen'], 'file')} kept", sys.stderr)
    codes = in_order([code for code, applies in told if applies])
    if summary.get("exit_codes", []) != codes:
        summary = {**summary, "run_id": run.facts.run_id, "exit_codes": codes}
        keep_codes(
            OutputFolder(options.output), summary, lambda line: print_line(f"codemill corpus: {line}", sys.stderr)
        )
    run.complete({**summary, "run_id": run.facts.run_id, "state": "complete", "exit_codes": codes})
    return codes[0] if codes else 0


def _tell_opt_out(options: Options, collection: Collection, summary: Mapping[str, Any]) -> bool:
    """Says what the opt-out lists did; returns whether entries matched nothing although all must match."""
    if not options.opt_out:
        return False
    from jobs.plan.opt_out import opt_out_lines, read_opt_out
    from transforms.opt_out.lists import REASON

    opt_out = read_opt_out(options.opt_out)
    assert opt_out is not None
    matched = {entry for source, _ in collection.sources for entry in collection.entries_of(source)}
    unmatched = [str(entry) for entry in opt_out.entries if str(entry) not in matched]
    for line in opt_out_lines(opt_out, unmatched, summary["rejected"].get(REASON, 0), 0):
        if unmatched or not options.quiet:
            print_line(f"codemill corpus: {line}", sys.stderr)
    if unmatched and options.strict_opt_out:
        print_line("codemill corpus: error: --strict_opt_out: check these entries before it is used", sys.stderr)
        return True
    return False


def _tell_unread(summary: Mapping[str, Any], output: str) -> bool:
    """Says what belongs to the sources and could not be read; returns whether there is any."""
    from jobs import storage

    unread = {reason: count for reason, count in summary["rejected"].items() if reason in UNREAD_REASONS}
    if unread:
        shown = ", ".join(f"{count:,} {reason}" for reason, count in unread.items())
        where = storage.join(output, "rejected")
        print_line(f"codemill corpus: not all of the sources could be read: {shown}; {where} names each", sys.stderr)
    return bool(unread)


def _named(options: Options, sources: Sequence[Source]) -> Sequence[tuple[Source, str]]:
    """Each source with its public name."""
    from jobs import storage
    from jobs.plan.input_paths import public_names
    from jobs.storage.folders import OutputFolder

    output = OutputFolder(options.output)
    if storage.exists(output.completed):
        from jobs.collecting.growing import named_sources

        return named_sources(output, sources)
    return list(zip(sources, public_names([os.path.abspath(source.path) for source in sources]), strict=True))


def _collection(options: Options, sources: Sequence[tuple[Source, str]], *, starts_early: bool = True) -> Collection:
    from jobs.collecting.collect import Collection
    from jobs.execution.processes import workers_that_fit
    from transforms.corpus.origin import GroupLimits

    return Collection(
        sources,
        workers_that_fit(options.workers, WORKER_MB),
        _row_work,
        limits=GroupLimits(rows=options.group_rows, num_bytes=options.group_mb * 1e6),
        keep_uncertain=options.keep_uncertain_encoding,
        opt_out=_read_opt_out(options.opt_out),
        starts_early=starts_early,
    )


def _read_opt_out(paths: Sequence[str]) -> OptOut | None:
    if not paths:  # most of what reads them takes a while to import
        return None
    from jobs.plan.opt_out import read_opt_out

    return read_opt_out(paths)


def _row_work() -> RowWork:
    import jobs.collecting.output  # noqa: F401 - what writes is needed soon as well
    from jobs.collecting import here

    return here


def _make(options: Options, collection: Collection, run: Run) -> dict[str, Any]:
    started = time.monotonic()
    files = _collected(options, collection, run)
    if files.counts["seen"] == 0:
        raise ConfigError(f"no files in {' '.join(options.source)}{' that match' if options.include else ''}")
    summary = files.publish(_public(options), run.facts.run_id, time.monotonic() - started)
    _tell_counts(options, summary, started)
    return summary


def _grow(options: Options, collection: Collection, run: Run) -> dict[str, Any] | None:
    """Makes a further edition of a complete corpus; returns its summary, or None if nothing is new."""
    from jobs.collecting.growing import grow
    from jobs.collecting.output import told_of_run
    from jobs.options import semantic_options
    from jobs.storage.folders import OutputFolder

    started = time.monotonic()

    def collect(sources: Sequence[tuple[Source, str]]) -> CorpusFiles:
        with _collection(options, sources, starts_early=False) as new:  # of a large source few files may be new
            return _collected(options, new, run)

    summary = grow(
        OutputFolder(options.output),
        collection.sources,
        json.loads(json.dumps(semantic_options(options))),
        _read_opt_out(options.opt_out),
        drops_gone=options.drop_gone,
        trusts_stamps=not options.reread,
        collect=collect,
        tell=lambda: told_of_run(_public(options), run.facts.run_id, time.monotonic() - started),
    )
    if summary is not None:
        _tell_counts(options, summary, started)
    return summary


def _collected(options: Options, collection: Collection, run: Run) -> CorpusFiles:
    """The rows of all files, in files under this run's own name."""
    from jobs.terminal.display import count_line

    parts = collection.parts()
    first = list(itertools.islice(parts, 1))  # before what writes is imported, so that workers have something to do
    from jobs.collecting.output import CorpusFiles
    from jobs.storage.folders import OutputFolder

    files = CorpusFiles(
        OutputFolder(options.output), uuid.uuid4().hex[:12], file_bytes=options.shard_mb * 1e6, limits=collection.limits
    )
    with count_line(options.shown_progress, "files") as line, files:
        for repo_name, part in itertools.chain(first, parts):
            files.add(part)
            line.update(files.counts["seen"], f"{files.counts['rejected']} rejected, {repo_name}")
            run.progress(files_seen=files.counts["seen"], rejected=files.counts["rejected"])
    return files


def _public(options: Options) -> dict[str, Any]:
    from jobs.finalize.publishing import public_options
    from jobs.options import semantic_options

    return public_options("corpus", semantic_options(options))


def _tell_counts(options: Options, summary: Mapping[str, Any], started: float) -> None:
    from jobs.collecting.card import counts_line

    say = keep_line if options.quiet or options.summary == "-" else print_line
    edition = f"edition {summary['editions'][-1]['edition']}: " if "editions" in summary else ""
    say(f"{edition}{counts_line(summary)} in {time.monotonic() - started:.1f} s -> {options.output}")


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
        open_source(
            path,
            repo_name=options.repo_name,
            untracked=options.untracked,
            limits=limits,
            selection=selection,
            retrieved_at=options.retrieved_ms(),
        )
        for path in options.source
    ]
