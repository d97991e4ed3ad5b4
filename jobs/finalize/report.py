"""`report.html`: the outcome of all rows as a page. One file, without scripts or anything from another host.

Bars are plain boxes whose widths are shares, in colors that follow the reader's light or dark setting.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jobs.finalize.publishing import public_options
from jobs.terminal.escapes import html
from jobs.terminal.wording import counted

_STYLE = """
:root { color-scheme: light dark; --ink: #1c1e21; --paper: #ffffff; --soft: #5b6168; --line: #d9dde2;
  --kept: #2f7d4f; --rejected: #b7791f; --failed: #b3372f; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --paper: #16181b; --soft: #9aa2ab; --line: #33383e;
  --kept: #4fae78; --rejected: #d9a441; --failed: #e0665d; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 60rem;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; } td, th { text-align: left; padding: .3rem 1.2rem .3rem 0;
  border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere; }
th { overflow-wrap: normal; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
table.pairs td:first-child { width: 38%; color: var(--soft); }
.soft { color: var(--soft); } .scroll { overflow-x: auto; }
.bar { display: flex; height: 1.1rem; background: var(--line); border-radius: 3px; overflow: hidden; }
.kept { background: var(--kept); } .rejected { background: var(--rejected); } .failed { background: var(--failed); }
.removed { background: var(--soft); }
.key::before { content: ""; display: inline-block; width: .8rem; height: .8rem; margin-right: .4rem; border-radius: 2px;
  background: currentColor; } .key.kept, .key.rejected, .key.failed, .key.removed { background: none; }
.key.kept { color: var(--kept); } .key.rejected { color: var(--rejected); } .key.failed { color: var(--failed); }
.key.removed { color: var(--soft); }
"""


def html_report(summary: Mapping[str, Any]) -> str:
    """Returns the page. All text from the data is escaped, because file names may contain anything."""
    options = public_options(summary["job"], summary["options"])
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>codemill {html(summary['job'])}</title><style>{_STYLE}</style></head><body>",
        f"<h1>codemill {html(summary['job'])}</h1>",
        f'<p class="soft">started {html(summary["created"])}, finished {html(summary["finished"])}, '
        f"configuration {html(summary['config_hash'])}</p>",
        *_results(summary),
        *_funnels(summary),
        *_reasons(summary["rejected"]),
        *_failures(summary),
        *_timings(summary),
        *_pairs("Options", {name: value for name, value in options.items() if value not in (None, [], "")}),
        *_pairs("Versions", summary["versions"]),
        "</body></html>",
    ]
    return "\n".join(parts)


def _results(summary: Mapping[str, Any]) -> Iterator[str]:
    if lines := summary.get("results"):
        yield "<h2>Results</h2><ul>"
        yield from (f"<li>{html(line)}</li>" for line in lines)
        yield "</ul>"


def _funnels(summary: Mapping[str, Any]) -> Iterator[str]:
    rows, targets = summary["rows"], summary["targets"]
    yield "<h2>Source rows</h2>"
    yield from _bar(
        rows["planned"],
        [
            ("kept", "kept", rows["kept"]),
            ("rejected", "rejected", rows["rejected"]),
            ("failed", "in failed units", rows["in_failed_units"]),
            *([("removed", "removed", rows["removed"])] if rows.get("removed") else []),
        ],
    )
    if targets["chosen"]:
        yield '<p class="soft">A source row is kept when at least one of its targets was accepted.</p>'
    if targets["chosen"]:
        yield "<h2>Targets</h2>"
        yield from _bar(
            targets["chosen"],
            [
                ("kept", "accepted", targets["accepted"]),
                ("rejected", "rejected", targets["rejected"]),
                *([("removed", "removed", targets["removed"])] if targets.get("removed") else []),
            ],
        )


def _bar(total: int, shares: Sequence[tuple[str, str, int]]) -> Iterator[str]:
    """Yields a bar of `shares`: color class, label, count."""
    if not total:
        yield "<p>none</p>"
        return
    label = ", ".join(f"{count:,} {words}" for _, words, count in shares)
    yield f'<div class="bar" role="img" aria-label="{html(label)} of {total:,}">'
    yield "".join(f'<div class="{name}" style="width:{count / total:.4%}"></div>' for name, _, count in shares)
    yield "</div><p>"
    yield f"{total:,} = " + " + ".join(
        f'<span class="key {name}"></span>{count:,} {html(words)} ({count / total:.1%})'
        for name, words, count in shares
    )
    yield "</p>"


def _reasons(rejected: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yields the table of rejections by stage and reason, with shares of all rejected rows or targets."""
    if not rejected:
        return
    of_kind: Counter[str] = Counter()
    for entry in rejected:
        of_kind[entry["kind"]] += entry["count"]
    yield "<h2>Rejected, by stage and reason</h2>"
    yield '<div class="scroll"><table><tr><th>kind</th><th>stage</th><th>reason</th>'
    yield '<th class="number">count</th><th style="width:30%">share of this kind</th></tr>'
    for entry in rejected:
        yield (
            f"<tr><td>{html(entry['kind'])}</td><td>{html(entry['stage'])}</td><td>{html(entry['reason'])}</td>"
            f'<td class="number">{entry["count"]:,}</td><td><div class="bar"><div class="rejected" '
            f'style="width:{entry["count"] / of_kind[entry["kind"]]:.2%}"></div></div></td></tr>'
        )
    yield "</table></div>"


def _failures(summary: Mapping[str, Any]) -> Iterator[str]:
    if not summary["failed_units"]:
        return
    yield f"<h2>Failed units: {summary['units']['failed']:,} of {summary['units']['all']:,}</h2>"
    yield '<div class="scroll"><table><tr><th>file</th><th class="number">rows</th><th>reason</th><th>detail</th></tr>'
    for unit in summary["failed_units"]:
        yield (
            f'<tr><td>{html(unit["uri"])}</td><td class="number">{html(unit["rows"])}</td>'
            f"<td>{html(unit['reason'])}</td><td>{html(unit['detail'])}</td></tr>"
        )
    yield "</table></div>"
    left_off = summary["units"]["failed"] - len(summary["failed_units"])
    if left_off:
        yield f'<p class="soft">and {left_off:,} more, listed in _job/commits</p>'


def _timings(summary: Mapping[str, Any]) -> Iterator[str]:
    seconds, counts = summary["seconds"], summary["counts"]
    figures: dict[str, Any] = {
        "units, summed over all workers": f"{seconds['units']:,.1f} s",
        "last session, wall time": f"{seconds['last_session']:,.1f} s",
        "rows in the last session": f"{summary['last_session']['rows']:,}",
        "restarted units": f"{summary['units']['restarted']:,}",
    }
    if summary["last_session"]["tokens_out"]:
        figures["tokens/s in the last session"] = f"{summary['last_session']['tokens_per_s']:,.1f}"
    figures |= {name: f"{value:,}" for name, value in counts.items()}
    yield from _pairs("Timings and counts", figures)
    shards = {
        folder: f"{counted(s['files'], 'file')}, {counted(s['rows'], 'row')}, {_size(s['bytes'])}"
        for folder, s in summary["shards"].items()
    }
    yield from _pairs("Output files", shards)


def _pairs(heading: str, pairs: Mapping[str, Any]) -> Iterator[str]:
    yield f'<h2>{html(heading)}</h2><div class="scroll"><table class="pairs">'
    for name, value in pairs.items():
        yield f"<tr><td>{html(name)}</td><td>{html(_shown(value))}</td></tr>"
    yield "</table></div>"


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _size(num_bytes: int) -> str:
    return f"{num_bytes / 1e6:,.1f} MB" if num_bytes >= 1e6 else f"{num_bytes / 1e3:,.1f} kB"
