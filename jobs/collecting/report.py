"""`report.html` of a corpus: what became of the files, and what is in it. The page is that of other jobs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jobs.finalize.report import bar, page, pairs
from jobs.terminal.escapes import html


def corpus_report(summary: Mapping[str, Any]) -> str:
    """The page, from a corpus's summary."""
    kept, rejected = summary["rows_kept"], summary["rows_rejected"]
    figures = {
        "repositories": f"{summary['repositories']:,}",
        "text": f"{summary['bytes_kept'] / 1e6:,.1f} MB",
        "files in data/": f"{summary['shards']:,}",
        "wall time": f"{summary['seconds']:,.1f} s",
    }
    options = {name: value for name, value in summary["options"].items() if value not in (None, [], "")}
    return page(
        "codemill corpus",
        f"finished {summary['finished']}",
        [
            "<h2>Files</h2>",
            *bar(summary["files_seen"], [("kept", "kept", kept), ("rejected", "rejected", rejected)]),
            *_counts("Rejected because", summary["rejected"], rejected, "rejected"),
            *_counts("Languages", summary["languages"], kept, "kept"),
            *_counts("Detected licenses", summary["licenses"], kept, "kept"),
            *_counts("How encodings are known", summary["src_encoding_confidence"], kept, "kept"),
            *pairs("Corpus", figures),
            *pairs("Options", options),
            *pairs("Versions", summary["versions"]),
        ],
    )


def _counts(heading: str, counts: Mapping[str, int], total: int, color: str) -> Iterator[str]:
    """Yields a table of counts with their shares of `total`."""
    if not counts:
        return
    yield f"<h2>{html(heading)}</h2>"
    yield '<div class="scroll"><table><tr><th></th><th class="number">files</th><th style="width:40%">share</th></tr>'
    for name, count in counts.items():
        yield (
            f'<tr><td>{html(name)}</td><td class="number">{count:,}</td><td><div class="bar"><div class="{color}" '
            f'style="width:{count / total:.2%}"></div></div></td></tr>'
        )
    yield "</table></div>"
