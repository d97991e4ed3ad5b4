"""The files that a row's file imports, as prompts may show them: looked up, filtered and redacted as rows are.

A file that the filter rejects is in no prompt. What was filtered is kept for a while, since the files of a repository
import the same ones.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable
from typing import Final, Protocol

from transforms.filters.content import filter_input
from transforms.packing.documents import SourceFile
from transforms.packing.lookup import FoundFile, GroupedCorpus, open_repository_files
from transforms.rows.row import Row, content_sha256
from transforms.scanning import ContentFilter
from transforms.scanning.policy import OFF
from transforms.tasks.base import TaskRequest
from transforms.tasks.middles.context import MAX_CHARS

_KEPT_BYTES: Final = 16 << 20  # of contents as found; with their texts about three times as much
_filtered: OrderedDict[tuple[str, str, FoundFile], SourceFile | None] = OrderedDict()
_kept_bytes = 0


class ContextSource(Protocol):
    """Finds the grouped corpus of a job; picklable."""

    def find(self) -> GroupedCorpus | None:
        """The corpus; None if the job hasn't grouped its input, as in a dry run."""
        ...


def imported_files(corpus: GroupedCorpus, content_filter: ContentFilter | None, row: Row) -> tuple[SourceFile, ...]:
    """Returns the files that a row's file imports; none if the corpus doesn't have the file.

    Args:
        corpus: The corpus, grouped by repository.
        content_filter: An opened filter; None passes every file unchanged.
        row: The row.
    """
    found = open_repository_files(corpus).imported(row.repo_name, row.path)
    usable = (_taken_in(content_filter, row, file) for file in found if len(file.content) <= MAX_CHARS)
    return tuple(file for file in usable if file is not None)


def context_counts(requests: Iterable[TaskRequest]) -> Counter[str]:
    """What stands in front of prompts: files by role, tokens, files left out, and prompts that have any."""
    counts: Counter[str] = Counter()
    for request in requests:
        if (context := request.context) is not None:
            counts.update(f"context_{file.role}" for file in context.files)
            counts["context_tokens"] += context.tokens
            counts["context_left_out"] += context.left_out
            counts["targets_with_context"] += bool(context.files)
    return counts


def _taken_in(content_filter: ContentFilter | None, row: Row, found: FoundFile) -> SourceFile | None:
    global _kept_bytes
    key = content_filter.version if content_filter is not None else "", row.repo_name, found
    if key not in _filtered:
        _filtered[key] = _filter(content_filter, row, found)
        _kept_bytes += len(found.content)
        while _kept_bytes > _KEPT_BYTES and len(_filtered) > 1:
            (_, _, oldest), _ = _filtered.popitem(last=False)
            _kept_bytes -= len(oldest.content)
    _filtered.move_to_end(key)
    return _filtered[key]


def _filter(content_filter: ContentFilter | None, row: Row, found: FoundFile) -> SourceFile | None:
    """The file after the filter; None if it can't be read or is rejected."""
    try:
        content = found.content.decode()
    except UnicodeDecodeError:
        return None
    sha256, path = content_sha256(content), found.path
    file = Row(row.source, content, sha256, sha256, path=path, repo_name=row.repo_name, language=found.language.lower())
    filtered = filter_input(content_filter, file)
    if not content or "\0" in content or filtered.rejection is not None:
        return None
    if content_filter is not None and (action := content_filter.policy.column_action("path", "path")) != OFF:
        path, _ = content_filter.filter_name(path, action)
    kept = filtered.row
    return SourceFile(row.repo_name, path, kept.language, kept.content, sha256, kept.redacted_sha256)
