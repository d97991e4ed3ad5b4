"""A corpus grows: its sources are compared with it, and what is new or has changed is worked on.

    sources -> `jobs.collecting.comparing` -> the sources again, with the new files only -> rows, as for any corpus
            -> `jobs.collecting.editions`

A corpus's sources have the public names of the edition in which they came, whatever comes later.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from jobs import storage
from jobs.collecting.comparing import Comparison, Held, Night
from jobs.collecting.editions import Edition, rows_of, shards_of
from jobs.collecting.output import CorpusFiles, sweep
from jobs.collecting.seen import SeenFiles, read_seen
from jobs.finalize.rewriting import finish_pending
from jobs.forgetting.lists import read_forgotten
from jobs.plan.input_paths import names_beside, public_names
from jobs.storage.folders import DATA, OutputFolder
from transforms.corpus.entries import File, Refused
from transforms.corpus.rows import git_blob_id
from transforms.corpus.sources import ChosenPaths, Source
from transforms.opt_out.lists import OptOut
from transforms.opt_out.selection import File as SourceFile

Sources = Sequence[tuple[Source, str]]
"""Sources with their public names."""
GONE: Final = "gone"
"""In the job file: which rows stay although their files were gone when the corpus grew last (`Held.identities`)."""


def named_sources(output: OutputFolder, sources: Sequence[Source]) -> Sources:
    """Sources with their public names, of which those that the corpus has keep theirs."""
    located = [os.path.abspath(source.path) for source in sources]
    job = read_corpus_job(output)
    before = job.get("sources") or _names([os.path.abspath(path) for path in job.get("options", {}).get("source", ())])
    new = [path for path in dict.fromkeys(located) if path not in before]
    known = before | (dict(zip(new, names_beside(before.values(), new), strict=True)) if before else _names(new))
    return [(source, known[path]) for source, path in zip(sources, located, strict=True)]


def _names(paths: Sequence[str]) -> dict[str, str]:
    return dict(zip(paths, public_names(paths), strict=True))


def read_corpus_job(output: OutputFolder) -> dict[str, Any]:
    """The content of the job file; empty if it isn't that of a complete corpus."""
    try:
        job = json.loads(storage.read_bytes(output.job.job_file))
    except (FileNotFoundError, ValueError):
        return {}
    is_corpus = isinstance(job, dict) and job.get("job") == "corpus" and storage.exists(output.completed)
    return job if is_corpus else {}


def grow(
    output: OutputFolder,
    sources: Sources,
    options: Mapping[str, Any],
    opt_out: OptOut | None,
    *,
    drops_gone: bool,
    trusts_stamps: bool,
    collect: Callable[[Sources], CorpusFiles],
    tell: Callable[[], Mapping[str, Any]],
) -> dict[str, Any] | None:
    """Makes a further edition of a complete corpus; returns its summary, or None if nothing is new. Requires the lock.

    Args:
        output: The corpus.
        sources: What it is made of now.
        options: The options that affect its rows.
        opt_out: The repositories to leave out.
        drops_gone: Whether rows leave whose files are gone.
        trusts_stamps: Whether a file that looks as it did isn't read again (`jobs.collecting.seen`).
        collect: Works on all files of sources.
        tell: What the run says of itself in the summary.
    """
    finish_pending(output)  # what a run prepared that was ended
    sweep(output)
    job = read_corpus_job(output)
    seen = read_seen(output, time.time()) if trusts_stamps else SeenFiles({}, time.time())
    night = compare_sources(output, sources, opt_out, drops_gone=drops_gone, seen=seen)
    seen.write(output)
    names = {os.path.abspath(source.path): name for source, name in sources}
    now = {**job, "options": options, "sources": {**job.get("sources", {}), **names}}
    now[GONE] = {} if drops_gone else dict(sorted(night.gone.identities().items()))
    if not night:
        if now != job:
            storage.write_bytes(output.job.job_file, json.dumps(now, indent=2).encode())
        return None
    number = job.get("edition", 1) + 1
    edition = Edition(output, number, night, collect(_chosen(sources, night)), {**now, "edition": number})
    return edition.publish(tell())


def compare_sources(
    output: OutputFolder, sources: Sources, opt_out: OptOut | None, *, drops_gone: bool, seen: SeenFiles
) -> Night:
    """Compares sources, each with its public name, with a complete corpus."""
    forgotten = read_forgotten(output.job).selection()

    def is_forgotten(source: Source, entry: File | Refused) -> bool:
        if not forgotten:
            return False
        data = entry.data if isinstance(entry, File) else None
        blob = "" if data is None else git_blob_id(data)
        sha256 = "" if data is None else hashlib.sha256(data).hexdigest()
        return forgotten.names(SourceFile(repositories=(source.repo_name,), path=entry.path, sha256=sha256, blob=blob))

    comparison = Comparison(
        _held(output),
        has_opted_out=lambda name: opt_out is not None and bool(opt_out.find(name)),
        is_forgotten=is_forgotten,
        drops_gone=drops_gone,
        seen=seen,
    )
    return comparison.night(sources)


def _chosen(sources: Sources, night: Night) -> Sources:
    """The sources with something to work on, of each only that."""
    return [
        (replace(source, selection=ChosenPaths(paths=frozenset(paths))), name)
        for (source, name), paths in zip(sources, night.paths, strict=True)
        if paths
    ]


def _held(output: OutputFolder) -> Held:
    held = Held()
    for path in shards_of(output):
        rows = held.kept if path.startswith(f"{DATA}/") else held.rejected
        for found in rows_of(output, path):
            rows.update(found)
    return held
