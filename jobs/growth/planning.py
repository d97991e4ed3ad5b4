"""Plans a further edition of a dataset: what is new in the input, and what of the dataset is no longer there.

    files now and then          new, changed, gone, the same (`jobs.plan.news`)
    rows of the same files      stay, unless their repositories have opted out since
    rows of the other files     are matched with the rows of new and changed files (`transforms.growth.matching`)
    rows without a partner      a plan of units for the new ones; a list of those that leave the dataset

Nothing is written until `freeze_growth`, which writes into the edition's own folder, `job.json` last.

Cost: proportional to the files that differ, but for one look at each input file and one pass over the list of the
dataset's rows (about 30 bytes a row). Where files were only added, they aren't read before their units are.
"""

from __future__ import annotations

import dataclasses
import io
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from jobs import storage
from jobs.finalize.summary import unread_rows
from jobs.growth.again import DECIDED_AGAIN, Dependents, places_of, with_again, with_files_of
from jobs.growth.columns import with_earlier_rows
from jobs.growth.failures import failures_over
from jobs.growth.present import read_present, rows_to_read
from jobs.growth.representatives import Place
from jobs.growth.rows import DEAD_SCHEMA, LIVE_SCHEMA, identity_map, live_rows
from jobs.options import CommonOptions, semantic_options
from jobs.plan.footers import InputFile
from jobs.plan.freezing import PlannedJob, column_overrides, freeze, plan_inputs
from jobs.plan.input_paths import expand, names_beside
from jobs.plan.inputs import Inputs, read_inputs
from jobs.plan.job_file import JobFile
from jobs.plan.news import Differences, compare
from jobs.plan.opt_out import matcher_of, read_matches
from jobs.plan.reader import ReadFooters
from jobs.plan.schemas import schema_from_text
from jobs.plan.units import inputs_to_parquet, read_source_files
from jobs.storage.failpoints import failpoint, register
from jobs.storage.folders import OutputFolder
from model.errors import ConfigError
from transforms.growth.matching import GONE, OPTED_OUT, REPLACED, match_rows
from transforms.opt_out.hashed import HashedOptOut
from transforms.rows.columns import ColumnMap
from transforms.work import Work

AFTER_LIVE = register("growth.after_live")
AFTER_BEFORE = register("growth.after_before")

_MOST_KEPT: Final = 262_144  # rows held between planning and freezing, about 30 MB

MAY_CHANGE: Final = ("input", "opt_out_sha256")
"""Options that may be others than those of the edition before."""


@dataclass(frozen=True)
class _Held:
    """Rows of a dataset that may not be in its input anymore, and what becomes of each.

    Args:
        rows: Rows of `LIVE_SCHEMA`.
        files: The file that has each of them now; None: none has, or it leaves the dataset.
        reasons: Why it leaves the dataset; "" if it stays.
    """

    rows: pa.Table
    files: Sequence[str | None]
    reasons: Sequence[str]


@dataclass(frozen=True)
class _Look:
    """What a look at the files that differ has found.

    Args:
        at: The files; with those that are read again among the changed ones.
        inputs: Those that were read.
        same: The names of the others.
        stays, out: How many rows the others have, and how many have opted out.
        retry: The rows to plan, None for all.
        held: What becomes of the rows of files that differ.
        known: How many rows of these files the dataset has already.
        kept: The rows of the others, if they are few enough to be held.
    """

    at: Differences
    inputs: Inputs
    same: frozenset[str]
    stays: int
    out: int
    retry: Mapping[tuple[str, int], list[int]] | None
    held: _Held
    known: int
    kept: Sequence[pa.Table] | None


@dataclass(frozen=True)
class Growth:
    """A further edition as it is planned.

    Args:
        base: The edition that it grows from.
        planned: The units for its new rows.
        sources: All files of the input now.
        same: The names of those that haven't changed.
        differing: The names of files of the edition before that have, or are gone.
        opted_out: Finds rows that have opted out since the edition before; None if the lists are the same.
        held: The rows of the other files.
        kept: The rows that stay with their files, if they are few enough to be held; None: they are read again.
        news: What is new, in numbers, for the summary.
    """

    base: OutputFolder
    planned: PlannedJob
    sources: Sequence[InputFile]
    same: frozenset[str]
    differing: frozenset[str]
    opted_out: HashedOptOut | None
    held: _Held
    kept: Sequence[pa.Table] | None
    news: Mapping[str, int]

    @property
    def output(self) -> OutputFolder:
        """The new edition."""
        return self.base.of_edition(self.base.edition + 1)


def plan_growth(
    base: OutputFolder,
    job: JobFile,
    options: CommonOptions,
    all_of_them: Mapping[str, Any],
    work: Work,
    say: Callable[[str], None] = lambda line: None,
    read: ReadFooters | None = None,
    dependents: Dependents | None = None,
) -> Growth | None:
    """Plans the edition that follows a complete one; None if nothing is new. Writes nothing.

    Args:
        base: The edition before.
        job: Its job.
        options: The job's options now.
        all_of_them: The same by name (`jobs.options.all_options`).
        work: The job's work.
        say: Reports skipped files to the user.
        read: Reads footers; None uses a separate child process.
        dependents: Which rows must be decided again when others leave the dataset.

    Raises:
        ConfigError: The input has no files; a file's types conflict with those of the dataset; or nothing says which
            rows the dataset was made of.
    """
    before = read_source_files(base.job)
    found = compare(before, present := expand(options.input, say))
    drops_gone = bool(all_of_them.get("drop_gone"))
    changed = changed_for_growth(job, options)
    if not (found.new or found.changed or found.gone or changed or drops_gone):
        return None
    opted_out = _entries_of(all_of_them) if "opt_out_sha256" in changed else None

    def look(at: Differences, again: Set[Place] = frozenset()) -> _Look:
        inputs = _read_differing(at, before, job, options, read)
        if inputs.columns != job.column_map:
            raise ConfigError(_other_columns(job.column_map, inputs.columns))
        same = frozenset(file.public_name for file in at.same)
        stays, held, out, kept = _split(base, same, opted_out)
        retry, held_now, known = _matched(inputs, held, drops_gone, identity_map(job), again)
        return _Look(at, inputs, same, stays, out, retry, held_now, known, kept)

    seen = look(found)
    if dependents is not None and (again := dependents(base, set(_leaving(base, seen.held, opted_out)))):
        seen = look(with_files_of(found, base, again), again)
    if not (found.new or found.changed or found.gone or changed or any(seen.held.reasons)):
        return None
    planned = plan_inputs(seen.inputs, options, work, seen.retry)
    reasons = Counter(reason for reason in seen.held.reasons if reason)
    news = {
        "rows_new": planned.plan.rows,
        "rows_known": seen.known,
        "rows_kept_as_they_were": seen.stays,
        "rows_opted_out": seen.out,
        **{f"rows_{reason}": reasons[reason] for reason in (REPLACED, GONE, *((DECIDED_AGAIN,) if dependents else ()))},
        "files_new": len(found.new),
        "files_changed": len(found.changed),
        "files_gone": len(found.gone),
    }
    read_now = {file.uri: file for file in (*seen.inputs.files, *seen.at.same)}
    sources = [read_now[uri] for uri in present if uri in read_now]
    differing = frozenset(file.public_name for file in (*seen.at.changed, *seen.at.gone))
    return Growth(base, planned, sources, seen.same, differing, opted_out, seen.held, seen.kept, news)


def changed_for_growth(job: JobFile, options: CommonOptions) -> list[str]:
    """The names of options that may be others in a further edition, and are."""
    now = json.loads(json.dumps(semantic_options(options)))
    return [name for name in MAY_CHANGE if name in now and now[name] != job.options.get(name)]


def _entries_of(options: Mapping[str, Any]) -> HashedOptOut | None:
    matcher = matcher_of(options)
    return None if matcher is None else HashedOptOut(matcher.opt_out)


def _read_differing(
    found: Differences,
    before: Sequence[InputFile],
    job: JobFile,
    options: CommonOptions,
    read: ReadFooters | None,
) -> Inputs:
    """Reads the footers of new and changed files; a changed one keeps its name."""
    schema = schema_from_text(job.input_schema)
    uris = [*(file.uri for file in found.changed), *found.new]
    if not uris:
        return Inputs((), {}, schema, job.column_map)
    names = [file.public_name for file in found.changed]
    names += names_beside((file.public_name for file in before), found.new)
    return read_inputs(uris, column_overrides(options), names=names, read=read, base=schema)


def _other_columns(before: ColumnMap, now: ColumnMap) -> str:
    told = [
        f"the column for {role.replace('_', ' ')} was {one or 'none'}, would now be {other or 'none'}"
        for role, one in dataclasses.asdict(before).items()
        if one != (other := getattr(now, role))
    ]
    return (
        f"new files have other columns: {'; '.join(told)}; rename the new column, name the old one with an option in "
        "another --output, or leave these files out"
    )


def _split(
    base: OutputFolder, same: frozenset[str], opted_out: HashedOptOut | None
) -> tuple[int, pa.Table, int, list[pa.Table] | None]:
    """How many rows are in files that haven't changed, the rows that aren't, how many have opted out, and the first
    ones, if they are few."""
    stays = out = 0
    held = [LIVE_SCHEMA.empty_table()]
    kept: list[pa.Table] | None = []
    names = pa.array(same, pa.large_string())
    for table in live_rows(base):
        table, gone = _without(table, opted_out)
        out += gone.num_rows
        is_same = _are_in(table, names)
        stays += pc.sum(is_same).as_py() or 0
        held.append(table.filter(pc.invert(is_same)))
        if kept is not None:
            kept.append(table.filter(is_same))
            if stays > _MOST_KEPT:
                kept = None
    return stays, pa.concat_tables(held), out, kept


def _without(table: pa.Table, opted_out: HashedOptOut | None) -> tuple[pa.Table, pa.Table]:
    """The rows that haven't opted out, and those that have."""
    if opted_out is None:
        return table, table.slice(0, 0)
    has = pa.array([any(map(opted_out.find, found)) for found in table["repositories"].to_pylist()], pa.bool_())
    return table.filter(pc.invert(has)), table.filter(has)


def _are_in(table: pa.Table, files: Any) -> Any:
    return pc.is_in(table["file"], files, skip_nulls=True)


def _matched(
    inputs: Inputs, held: pa.Table, drops_gone: bool, columns: ColumnMap, again: Set[Place]
) -> tuple[dict[tuple[str, int], list[int]] | None, _Held, int]:
    """Matches rows of the dataset with those of files that differ.

    Returns:
        The rows to plan, None for all; what becomes of the held rows; how many rows the dataset has already.
    """
    if not held.num_rows:
        return None, _Held(held, (), ()), 0
    present = read_present(dataclasses.replace(inputs, columns=columns))
    found = with_again(match_rows(held, present.identified), held, again)
    names = present.identified["name"].to_pylist()
    files = [None if partner is None else names[partner] for partner in found.partners]
    reasons = [reason if reason != GONE or drops_gone else "" for reason in found.reasons]
    known = len(found.is_new) - sum(found.is_new)
    return rows_to_read(present, list(found.is_new)), _Held(held, files, reasons), known


def _leaving(base: OutputFolder, held: _Held, opted_out: HashedOptOut | None) -> Iterator[Place]:
    """The rows that leave the dataset."""
    yield from places_of(held.rows.filter(pa.array([bool(reason) for reason in held.reasons], pa.bool_())))
    for table in live_rows(base) if opted_out is not None else ():
        yield from places_of(_without(table, opted_out)[1])


def growth_line(news: Mapping[str, int]) -> str:
    """What a further edition takes in and leaves out, for the user."""
    words = {
        "rows_new": "{} new",
        "rows_known": "{} known from other files",
        "rows_replaced": "{} replaced",
        "rows_gone": "{} gone",
        "rows_opted_out": "{} opted out",
        "rows_decided_again": "{} decided again",
    }
    told = [text.format(f"{news[name]:,}") for name, text in words.items() if news.get(name) or name == "rows_new"]
    files = [f"{news[f'files_{what}']:,} {what}" for what in ("new", "changed", "gone") if news[f"files_{what}"]]
    return f"rows: {', '.join(told)}; files: {', '.join(files) or 'the same'}"


# --- written ---------------------------------------------------------------------------------------


def freeze_growth(growth: Growth, job_name: str, options: CommonOptions, checkpoint_sha256: str) -> JobFile:
    """Writes the plan of a further edition; only under the output's lock, and while the edition before is complete.

    Raises:
        ConfigError: Another driver, whose lock was broken, has planned it in the meantime; or earlier rows don't fit.
    """
    job_dir = growth.output.job
    storage.remove_tree(job_dir.path)  # what a run left that was ended before it had written all of the plan
    with storage.open_output(job_dir.live) as file, pq.ParquetWriter(file, LIVE_SCHEMA, compression="zstd") as writer:
        for table in _live(growth):
            if table.num_rows:
                writer.write_table(table)
    dead = _dead(growth)
    storage.write_bytes(job_dir.dead, _parquet(dead))
    failpoint(AFTER_LIVE)
    storage.write_bytes(job_dir.sources, inputs_to_parquet(growth.sources, job_dir))
    summary = json.loads(storage.read_bytes(growth.base.summary))
    before = {
        "completed": json.loads(storage.read_bytes(growth.base.completed)),
        "summary": summary,
        "differing": sorted(growth.differing) if unread_rows(summary) else [],
        "over": failures_over(growth.base, summary, growth.differing),
        "news": dict(growth.news),
        "matched": _matched_entries(growth, dead),
    }
    storage.write_bytes(job_dir.before, json.dumps(before).encode())
    failpoint(AFTER_BEFORE)
    planned = with_earlier_rows(growth.planned, growth.base)
    return freeze(planned, job_name, options, checkpoint_sha256, growth.output.edition)


def _live(growth: Growth) -> Iterator[pa.Table]:
    if growth.kept is not None:
        yield from growth.kept
    else:
        names = pa.array(growth.same, pa.large_string())
        for table in live_rows(growth.base):
            stays, _ = _without(table, growth.opted_out)
            yield stays.filter(_are_in(stays, names))
    held = growth.held
    stays = pa.array([not reason for reason in held.reasons], pa.bool_())
    place = LIVE_SCHEMA.get_field_index("file")
    moved = held.rows.set_column(place, LIVE_SCHEMA.field("file"), pa.array(held.files, pa.large_string()))
    yield moved.filter(stays)


def _dead(growth: Growth) -> pa.Table:
    reasons = pa.array(growth.held.reasons, pa.string())
    tables = [growth.held.rows.append_column(DEAD_SCHEMA.field("reason"), reasons).filter(pc.not_equal(reasons, ""))]
    if growth.opted_out is not None:
        for table in live_rows(growth.base):
            _, gone = _without(table, growth.opted_out)
            told = pa.array([OPTED_OUT] * gone.num_rows, pa.string())
            tables.append(gone.append_column(DEAD_SCHEMA.field("reason"), told))
    return pa.concat_tables([DEAD_SCHEMA.empty_table(), *tables])


def _matched_entries(growth: Growth, dead: pa.Table) -> dict[str, int]:
    """How many rows each entry of the opt-out lists has matched in earlier editions, or in rows of theirs now."""
    found: Counter[str] = Counter(read_matches(growth.base.job))
    if growth.opted_out is not None:
        for repositories in dead.filter(pc.equal(dead["reason"], OPTED_OUT))["repositories"].to_pylist():
            numbers = {number for one in repositories for number in growth.opted_out.find(one)}
            found.update(str(growth.opted_out.entries[number]) for number in numbers)
    return dict(found)


def _parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()
