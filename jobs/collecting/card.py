"""What `codemill corpus` says about a corpus: one line of counts, and the dataset card."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jobs.terminal.escapes import markdown
from jobs.terminal.wording import counted


def counts_line(summary: Mapping[str, Any]) -> str:
    """Files seen, kept and rejected, as one line."""
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in summary["rejected"].items())
    removed = summary.get("rows_removed", 0)
    return (
        f"{counted(summary['files_seen'], 'file')} seen = {summary['rows_kept']:,} kept + "
        f"{summary['rows_rejected']:,} rejected{f' ({reasons})' if reasons else ''}"
        f"{f' + {removed:,} removed' if removed else ''}; "
        f"{summary['bytes_kept'] / 1e6:,.1f} MB in {counted(summary['shards'], 'shard')}"
    )


def card(summary: Mapping[str, Any]) -> str:
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
            f"{counts_line({**summary, 'rejected': {markdown(name): n for name, n in summary['rejected'].items()}})}.",
            "",
            *(() if has_rows else ("There are no rows, so there is no file in `data/`.", "")),
            "One row a file, with the columns of The Stack v2. The files stay under their own licenses: "
            "`detected_licenses` holds what could be",
            "recognized, and is empty where nothing was. `content` is the text without a byte order mark, line ends "
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
