"""Plans a further edition of a dataset: what is new in the input, and what of the dataset is no longer there.

    files now and then          new, changed, gone, the same (`jobs.plan.news`)
    rows of files that differ   are matched with those of the dataset (`jobs.growth.looking`)
    rows without a partner      a plan of units for the new ones; a list of those that leave the dataset

Nothing is written until `freeze_growth`, which writes into the edition's own folder, `job.json` last.

Cost: proportional to the files that differ, but for one look at each input file and one pass over the list of the
dataset's rows (about 30 bytes a row). Where files were only added, they aren't read before their units are.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from jobs import storage
from jobs.finalize.summary import unread_rows
from jobs.growth.again import DECIDED_AGAIN, Dependents, with_files_of
from jobs.growth.columns import with_earlier_rows
from jobs.growth.failures import failures_over
from jobs.growth.looking import Held, Look, Looking, stay_with_files, without
from jobs.growth.present import Rows
from jobs.growth.representatives import Place
from jobs.growth.rows import DEAD_SCHEMA, LIVE_SCHEMA, identity_map, input_of, live_rows
from jobs.options import CommonOptions, semantic_options
from jobs.plan.footers import InputFile
from jobs.plan.freezing import PlannedJob, freeze, plan_inputs
from jobs.plan.input_paths import expand
from jobs.plan.inputs import Inputs
from jobs.plan.job_file import JobFile
from jobs.plan.news import Differences, compare
from jobs.plan.opt_out import matcher_of, read_matches
from jobs.plan.reader import ReadFooters
from jobs.plan.units import inputs_to_parquet, read_source_files
from jobs.storage.failpoints import failpoint, register
from jobs.storage.folders import OutputFolder
from model.errors import ConfigError
from transforms.growth.identity import repository_number
from transforms.growth.matching import GONE, OPTED_OUT, REPLACED
from transforms.opt_out.hashed import HashedOptOut
from transforms.scanning.policy import load_policy
from transforms.work import Work

AFTER_LIVE = register("growth.after_live")
AFTER_BEFORE = register("growth.after_before")

MAY_CHANGE: Final = ("input", "opt_out_sha256")
"""Options that may be others than those of the edition before."""

MakeRegrouped = Callable[[OutputFolder, Inputs, Rows, frozenset[int]], PlannedJob]
"""Makes what a further edition's units read, of rows of the input and given the repositories that have changed."""


@dataclass(frozen=True)
class Growth:
    """A further edition as it is planned.

    Args:
        base: The edition that it grows from.
        planned: The units for its new rows.
        sources: All files of the input now.
        differing: The names of files of the edition before that have, or are gone.
        opted_out: Finds rows that have opted out since the edition before; None if the lists are the same.
        held: The rows of the other files.
        kept: The rows that stay with their files, if they are few enough to be held; None: they are read again.
        news: What is new, in numbers, for the summary.
        is_begun: Whether its folder has files already that its units read.
    """

    base: OutputFolder
    planned: PlannedJob
    sources: Sequence[InputFile]
    differing: frozenset[str]
    opted_out: HashedOptOut | None
    held: Held
    kept: Sequence[pa.Table] | None
    news: Mapping[str, int]
    is_begun: bool = False

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
    regroup: MakeRegrouped | None = None,
) -> Growth | None:
    """Plans the edition that follows a complete one; None if nothing is new. Writes nothing, unless `regroup` does.

    Args:
        base: The edition before.
        job: Its job.
        options: The job's options now.
        all_of_them: The same by name (`jobs.options.all_options`).
        work: The job's work.
        say: Reports skipped files to the user.
        read: Reads footers; None uses a separate child process.
        dependents: Which rows must be decided again when others leave the dataset or are new.
        regroup: Makes what the new edition's units read, in its folder, of rows of the input; they read these if None.

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
    needs_new = dependents is not None and dependents.needs_new
    if needs_new:
        _refuse_failed(base)
    opted_out = _entries_of(all_of_them) if "opt_out_sha256" in changed else None
    schema, columns = input_of(base, job)

    looking = Looking(
        base=base,
        before=before,
        known=Inputs((), {}, schema, columns),
        identified_by=identity_map(job, columns),
        options=options,
        read=read,
        opted_out=opted_out,
        drops_gone=drops_gone,
        needs_new=needs_new,
    )
    seen, touched = _look_until_settled(looking, found, dependents)
    if not (found.new or found.changed or found.gone or changed or any(seen.held.reasons)):
        return None
    if regroup is None:
        planned = plan_inputs(seen.inputs, options, work, seen.retry)
    else:
        planned = regroup(base.of_edition(base.edition + 1), seen.inputs, seen.retry or {}, touched)
    news = {
        **_news_of_rows(planned, seen, dependents),
        "files_new": len(found.new),
        "files_changed": len(found.changed),
        "files_gone": len(found.gone),
    }
    read_now = {file.uri: file for file in (*seen.inputs.files, *seen.at.same)}
    sources = [read_now[uri] for uri in present if uri in read_now]
    differing = frozenset(file.public_name for file in (*seen.at.changed, *seen.at.gone))
    is_begun = regroup is not None
    return Growth(base, planned, sources, differing, opted_out, seen.held, seen.kept, news, is_begun)


def _look_until_settled(
    looking: Looking, found: Differences, dependents: Dependents | None
) -> tuple[Look, frozenset[int]]:
    """Looks at the files that differ, and once more with the rows that depend on what was found.

    Returns:
        What the last look found; and if anything depends on new rows, the numbers of the repositories that changed.
    """
    seen, again = looking.look(found), frozenset[Place]()
    touched = _touched(seen) if dependents is not None and dependents.needs_new else frozenset[int]()
    while dependents is not None:
        more = again.union(dependents.find(looking.base, set(looking.leaving(seen.held)), seen.new))
        if more == again:
            break
        seen, again = looking.look(with_files_of(found, looking.base, more), more), more
        if not dependents.needs_new:
            break
    return seen, touched


def _touched(seen: Look) -> frozenset[int]:
    """The numbers of the repositories of rows that are new, or leave but for those that have opted out."""
    leaving = seen.held.rows.filter(pa.array([bool(reason) for reason in seen.held.reasons], pa.bool_()))
    both = [(table["repositories"].to_pylist(), table["key"].to_pylist()) for table in (leaving, seen.new)]
    return frozenset(number for columns in both for number in map(repository_number, *columns))


def _news_of_rows(planned: PlannedJob, seen: Look, dependents: Dependents | None) -> dict[str, int]:
    reasons = Counter(reason for reason in seen.held.reasons if reason)
    news = {
        "rows_new": planned.plan.rows,
        "rows_known": seen.known,
        "rows_kept_as_they_were": seen.stays,
        "rows_opted_out": seen.out,
        f"rows_{REPLACED}": reasons[REPLACED],
        f"rows_{GONE}": reasons[GONE],
    }
    if dependents is None:
        return news
    if not dependents.needs_new:
        return news | {f"rows_{DECIDED_AGAIN}": reasons[DECIDED_AGAIN]}
    news["rows_new"] = max(0, planned.plan.rows - seen.again)
    news["rows_kept_as_they_were"] += news["rows_known"]
    news["rows_known"] = 0  # nearly all are in files that were read for the rows that are packed again
    news[f"rows_{GONE}"] += reasons[DECIDED_AGAIN] - seen.again
    return news | {"rows_packed_again": seen.again}


def _refuse_failed(base: OutputFolder) -> None:
    """Raises ConfigError if units of a packed dataset have failed: nothing tells which repositories these have."""
    summary = json.loads(storage.read_bytes(base.summary))
    if failed := summary["units"]["failed"] or unread_rows(summary):
        raise ConfigError(
            f"{base} can't grow: nothing tells which repositories its {failed:,} failed units or rows are of; run "
            "--retry_failed first, or make it anew in another --output"
        )


def changed_for_growth(job: JobFile, options: CommonOptions) -> list[str]:
    """The names of options that may be others in a further edition, and are."""
    now = json.loads(json.dumps(semantic_options(options)))
    return [name for name in MAY_CHANGE if name in now and now[name] != job.options.get(name)]


def may_change(job: JobFile, options: CommonOptions) -> tuple[str, ...]:
    """The names of options that may be others in a further edition: those of its input, and codemill's own rules."""
    return (*MAY_CHANGE, *may_change_when_finished(job, options))


def may_change_when_finished(job: JobFile, options: CommonOptions) -> tuple[str, ...]:
    """The names of options that may be others once a job is finished: the policy's version, if codemill's rules differ.

    Each night may run a later codemill, whose rules find more; the policy is the same, and each edition tells its own.
    A changed policy, and one with files of the user's own, whose changes can't be told from codemill's, is refused.
    """
    now = semantic_options(options)
    then, name = str(job.options.get("policy_version", "")), "policy_version"
    if name not in now or then == now[name] or _without_rules(then) != _without_rules(str(now[name])):
        return ()
    policy = load_policy(str(now["policy"]))
    return () if policy.rule_files or policy.term_lists else (name,)


def _without_rules(version: str) -> str:
    return "/".join(part for part in version.split("/") if not part.startswith("rules-"))


def _entries_of(options: Mapping[str, Any]) -> HashedOptOut | None:
    matcher = matcher_of(options)
    return None if matcher is None else HashedOptOut(matcher.opt_out)


def growth_line(news: Mapping[str, int]) -> str:
    """What a further edition takes in and leaves out, for the user."""
    words = {
        "rows_new": "{} new",
        "rows_known": "{} known from other files",
        "rows_replaced": "{} replaced",
        "rows_gone": "{} gone",
        "rows_opted_out": "{} opted out",
        "rows_decided_again": "{} decided again",
        "rows_packed_again": "{} packed again",
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
    if not growth.is_begun:
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
        for table in live_rows(growth.base):
            stays, _ = without(table, growth.opted_out)
            yield stays.filter(stay_with_files(stays, growth.differing))
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
            _, gone = without(table, growth.opted_out)
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
