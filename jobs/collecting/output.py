"""The corpus of one run while it is written: parts in, files under this run's own name, published at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from jobs import storage
from jobs.collecting.card import card
from jobs.collecting.report import corpus_report
from jobs.finalize.notice import write_notice
from jobs.finalize.shard_plan import remove_stale
from jobs.monitoring.summaries import summary_text
from jobs.plan.job_file import installed_versions
from jobs.storage.failpoints import failpoint
from jobs.storage.folders import OutputFolder
from jobs.storage.row_files import RowFiles
from jobs.system.clock import utc_now
from transforms.corpus.notice import Notice
from transforms.corpus.origin import GroupLimits
from transforms.corpus.rows import CORPUS_SCHEMA, Part
from transforms.rows.rejections import REJECTED_SCHEMA
from transforms.rows.row_groups import EncodedGroup

# Failpoints.
BEFORE_CLEANING, AFTER_CLEANING = "corpus.before_cleaning", "corpus.after_cleaning"
AFTER_COMPLETED = "corpus.after_completed"


class CorpusFiles:
    """Writes parts. Use with `with`, then `publish`.

    Args:
        output: The output folder.
        attempt: This run's own name.
        file_bytes: As `RowFiles` takes it.
        limits: What a row group holds.
    """

    def __init__(self, output: OutputFolder, attempt: str, *, file_bytes: float, limits: GroupLimits):
        def files(name: str, schema: pa.Schema) -> RowFiles:
            prefix = f"{output.job.attempts_of(attempt)}/{name}"
            return RowFiles(prefix, schema, file_bytes=file_bytes, group_rows=limits.rows, group_bytes=limits.num_bytes)

        self.counts: Counter[str] = Counter()
        self.notice = Notice()
        self._output = output
        self._kept = files("kept", CORPUS_SCHEMA)
        self._rejected = files("rejected", REJECTED_SCHEMA)
        self._files = ExitStack()

    def __enter__(self) -> CorpusFiles:
        self._files.enter_context(self._kept)
        self._files.enter_context(self._rejected)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._files.__exit__(kind, error, traceback)

    def add(self, part: Part) -> None:
        """Writes the next part."""
        if isinstance(part.kept, EncodedGroup):
            self._kept.add_group(part.kept, part.counts["bytes"])
        else:
            self._kept.add(part.kept, part.kept["length_bytes"].to_pylist())
        self._rejected.add(part.rejected, _text_sizes(part.rejected, ["path", "detail"]))
        self.counts += part.counts
        self.counts["seen"] += part.num_files
        if part.attribution.rows:
            self.notice.add(part.attribution)

    @property
    def paths(self) -> dict[str, list[str]]:
        """The files as they are written, by the beginning of their final names."""
        return {"data/train": self._kept.paths, "rejected/rejected": self._rejected.paths}

    def publish(self, options: Mapping[str, Any], run_id: str, seconds: float) -> dict[str, Any]:
        """Gives the files their final names, then writes the pages and `COMPLETED`, in this order.

        Args:
            options: As they may be published.
            run_id: The run's id.
            seconds: What it took to make the corpus.
        """
        counts = self.counts
        assert counts["seen"] == counts["kept"] + counts["rejected"], f"files were lost: {counts}"
        published = set()
        for name, paths in self.paths.items():
            for index, path in enumerate(paths):
                final = f"{name}-{index:05}-of-{len(paths):05}.parquet"
                storage.publish(path, self._output.join(final))
                published.add(final)
        remove_stale(self._output, published)
        summary = self.summary() | told_of_run(options, run_id, seconds)
        self._write_pages(summary)
        failpoint(BEFORE_CLEANING)
        # Before the mark, so that nothing is left whenever it is killed: what isn't complete is made again.
        sweep(self._output)
        failpoint(AFTER_CLEANING)
        storage.write_bytes(self._output.completed, b"")
        failpoint(AFTER_COMPLETED)
        return summary

    def summary(self) -> dict[str, Any]:
        """What the summary says of the rows."""
        counts, licenses = self.counts, Counter[str]()
        for repository in self.notice.repositories.values():
            licenses.update({f"license/{name}": count for name, count in repository.licenses.items()})
        return {
            "job": "corpus",
            "files_seen": counts["seen"],
            "rows_kept": counts["kept"],
            "rows_rejected": counts["rejected"],
            "bytes_kept": counts["bytes"],
            "shards": len(self._kept.paths),
            "repositories": len(self.notice.repositories),
            "languages": _by_count(counts, "language/"),
            "licenses": _by_count(licenses, "license/"),
            "src_encoding_confidence": _by_count(counts, "confidence/"),
            "rejected": _by_count(counts, "reason/"),
        }

    def _write_pages(self, summary: Mapping[str, Any]) -> None:
        write_notice(self._output, self.notice)
        storage.write_bytes(self._output.card, card(summary).encode())
        storage.write_bytes(self._output.report, corpus_report(summary).encode())
        storage.write_bytes(self._output.summary, summary_text(summary))


def told_of_run(options: Mapping[str, Any], run_id: str, seconds: float) -> dict[str, Any]:
    """What a run that ends well says of itself in the summary.

    Args:
        options: As they may be published.
        run_id: The run's id.
        seconds: What it took.
    """
    return {
        "run_id": run_id,
        "state": "complete",
        "exit_codes": [],  # the job's, once it knows them
        "options": dict(options),
        "versions": installed_versions(),
        "finished": utc_now(),
        "seconds": round(seconds, 3),
    }


def sweep(output: OutputFolder) -> None:
    """Removes the files under this run's own name, and what interrupted runs left, halves of published files too."""
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


def _text_sizes(table: pa.Table, columns: Sequence[str]) -> list[int]:
    """The bytes of text in each row: of these columns, which are of large strings; a null has none."""
    sizes = [0] * table.num_rows
    for name in columns:
        lengths = pc.binary_length(table[name]).to_pylist()
        sizes = [size + (length or 0) for size, length in zip(sizes, lengths, strict=True)]
    return sizes
