"""`report.html`: the outcome of a job as a page: what became of all rows, with plots and samples.

One file, without scripts or anything from another host, in colors that follow the reader's light or dark setting. Plots
are inline SVG (`jobs.finalize.plots`), samples are drawn as `codemill inspect` shows them (`jobs.viewing`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final

from jobs.finalize import plots
from jobs.finalize.figures import MAX_SAMPLES, Figures
from jobs.finalize.publishing import public_options
from jobs.terminal.escapes import html
from jobs.terminal.wording import counted
from jobs.viewing.markup import STYLE, drawn
from transforms.packing.middles import MIDDLES

_MAX_LANGUAGES: Final = 12
_MAX_REASONS: Final = 6
_MAX_EXAMPLES: Final = 12
_LONG_S: Final = 300
_LEAST_VALUES: Final = 2  # of a distribution


def html_report(summary: Mapping[str, Any], figures: Figures | None = None) -> str:
    """Returns the page. All text from the data is escaped, because file names may contain anything.

    Args:
        summary: The content of `summary.json`.
        figures: What was read from the rows; None shows nothing of them.
    """
    figures = figures or Figures()
    options = public_options(summary["job"], summary["options"])
    when = f"started {summary['created']}, finished {summary['finished']}, configuration {summary['config_hash']}"
    return page(
        f"codemill {summary['job']}",
        when,
        [
            *_pipeline(summary),
            *_results(summary),
            *_funnels(summary),
            *_reasons(summary["rejected"]),
            *_breakdown("Rejected, by language", "language", "languages", summary["rejected"]),
            *_breakdown("Rejected, by kind of target", "kind of target", "target_kinds", summary["rejected"]),
            *_distributions(summary, figures),
            *_kept_samples(figures),
            *_rejected_samples(summary["rejected"], figures),
            *_failures(summary),
            *_timings(summary),
            *pairs("Options", {name: value for name, value in options.items() if value not in (None, [], "")}),
            *pairs("Versions", summary["versions"]),
        ],
    )


def page(title: str, subtitle: str, parts: Iterable[str]) -> str:
    """A page with this title, a line below it, and these parts, which are HTML."""
    head = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{html(title)}</title><style>{STYLE}</style></head><body>",
        f"<h1>{html(title)}</h1>",
        f'<p class="soft">{html(subtitle)}</p>',
    ]
    return "\n".join([*head, *parts, "</body></html>"])


def _pipeline(summary: Mapping[str, Any]) -> Iterator[str]:
    """Yields the steps of the pipeline that the job is a step of, this one in bold."""
    if not (pipeline := summary.get("pipeline")):
        return
    steps = []
    for step in pipeline["steps"]:
        name = html(step["name"]) + (f" ({html(step['job'])})" if step["name"] != step["job"] else "")
        steps.append(f"<strong>{name}</strong>" if step["name"] == pipeline["step"] else name)
    yield f'<p class="pipeline">Step of a pipeline: {" → ".join(steps)}</p>'


def _results(summary: Mapping[str, Any]) -> Iterator[str]:
    if lines := summary.get("results"):
        yield "<h2>Results</h2><ul>"
        yield from (f"<li>{html(line)}</li>" for line in lines)
        yield "</ul>"


# --- what became of the rows -------------------------------------------------------------------------


def _funnels(summary: Mapping[str, Any]) -> Iterator[str]:
    rows, targets = summary["rows"], summary["targets"]
    yield "<h2>Source rows</h2>"
    yield from bar(
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
        yield "<h2>Targets</h2>"
        yield from bar(
            targets["chosen"],
            [
                ("kept", "accepted", targets["accepted"]),
                ("rejected", "rejected", targets["rejected"]),
                *([("removed", "removed", targets["removed"])] if targets.get("removed") else []),
            ],
        )


def bar(total: int, shares: Sequence[tuple[str, str, int]]) -> Iterator[str]:
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


def _breakdown(title: str, noun: str, key: str, rejected: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yields a table of rejections by language or kind of target, and their most frequent reasons."""
    totals: Counter[str] = Counter()
    cells: Counter[tuple[str, str]] = Counter()
    reasons: Counter[str] = Counter()
    for entry in rejected:
        for name, count in entry.get(key, {}).items():
            totals[name] += count
            cells[name, entry["reason"]] += count
            reasons[entry["reason"]] += count
    if len(totals) < 2:
        return
    names = [name for name, _ in totals.most_common(_MAX_LANGUAGES)]
    shown = [reason for reason, _ in reasons.most_common(_MAX_REASONS)]
    yield f"<h2>{html(title)}</h2>"
    yield plots.bars(f"rejected rows and targets, by {noun}", {name: totals[name] for name in names}, of="rejected")
    yield f'<div class="scroll"><table><tr><th>{html(noun)}</th>'
    yield "".join(f'<th class="number">{html(reason)}</th>' for reason in [*shown, "all"]) + "</tr>"
    for name in names:
        numbers = [*(cells[name, reason] for reason in shown), totals[name]]
        yield f"<tr><td>{html(name)}</td>" + "".join(f'<td class="number">{number:,}</td>' for number in numbers)
        yield "</tr>"
    yield "</table></div>"
    if left := len(totals) - len(names):
        yield f'<p class="soft">and {left:,} more, in summary.json</p>'


# --- plots and samples -------------------------------------------------------------------------------


def _distributions(summary: Mapping[str, Any], figures: Figures) -> Iterator[str]:
    found = [plots.bars("languages", dict(figures.languages.most_common(_MAX_LANGUAGES)))] if figures.languages else []
    found += [
        plots.columns(f"{title}, of {counted(len(values), 'row')}", plots.histogram(values))  # fewer than were read
        for title, values in figures.distributions.items()
        if len(values) >= _LEAST_VALUES
    ]
    if found:
        read = figures.rows_read
        of = "all" if read == figures.rows_all else f"{read:,} of"
        yield f'<h2>Kept rows</h2><p class="soft">Of {of} {counted(figures.rows_all, "row")}.</p>'
        yield from ('<div class="plots">', *found, "</div>")
    timeline = summary.get("timeline") or {}
    if len(timeline.get("rows", ())) > 1:
        yield "<h2>Throughput</h2>"
        width = timeline["bin_s"]
        unit, unit_s = ("minutes", 60.0) if width * len(timeline["rows"]) > _LONG_S else ("seconds", 1.0)
        yield f'<p class="soft">By the time at which units were committed, in {unit} from the first one on.</p>'
        yield '<div class="plots">'
        for title, key in (("source rows per second", "rows"), ("tokens generated per second", "tokens_out")):
            if any(timeline[key]):
                yield plots.line(title, [(n * width / unit_s, value / width) for n, value in enumerate(timeline[key])])
        yield "</div>"


def _kept_samples(figures: Figures) -> Iterator[str]:
    if not figures.kept:
        return
    yield "<h2>Samples of kept rows</h2>"
    yield (
        f'<p class="soft">The first row of each combination of verdicts, of at most {MAX_SAMPLES}, '
        "if the filters find nothing in it.</p>"
    )
    for sample in figures.kept:
        yield f'<div class="sample"><h3>{html(sample.title)}</h3>{"".join(drawn(sample.blocks))}</div>'


def _rejected_samples(rejected: Sequence[Mapping[str, Any]], figures: Figures) -> Iterator[str]:
    """Yields an example of each reason: where it is, why, and the answer if it is kept; never the row's text."""
    shown = [entry for entry in rejected if entry.get("example")]
    if not shown:
        return
    yield "<h2>An example of each reason</h2>"
    for entry in islice(shown, _MAX_EXAMPLES):
        example = entry["example"]
        where = example.get("path") or f"{example.get('uri', '')} group {example['row_group']} row {example['row']}"
        yield f'<div class="sample"><h3>{html(entry["stage"])}/{html(entry["reason"])}</h3>'
        target = f" {html(example['target'])}" if example.get("target") else ""
        yield f"<div>{html(where)}{target}</div>"
        yield f'<div class="soft">{html(example.get("detail", ""))}</div>'
        if answer := figures.answers.get(f"{entry['kind']}/{entry['stage']}/{entry['reason']}"):
            yield from drawn([answer])
        yield "</div>"
    if (left := len(shown) - _MAX_EXAMPLES) > 0:
        yield f'<p class="soft">and {counted(left, "more reason")}, in summary.json</p>'


# --- figures -----------------------------------------------------------------------------------------


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
    figures |= {name: f"{value:,}" for name, value in counts.items() if not name.startswith(MIDDLES)}
    yield from pairs("Timings and counts", figures)
    shards = {
        folder: f"{counted(s['files'], 'file')}, {counted(s['rows'], 'row')}, {_size(s['bytes'])}"
        for folder, s in summary["shards"].items()
    }
    yield from pairs("Output files", shards)


def pairs(heading: str, values: Mapping[str, Any]) -> Iterator[str]:
    """Yields a heading and a table of names and values."""
    yield f'<h2>{html(heading)}</h2><div class="scroll"><table class="pairs">'
    for name, value in values.items():
        yield f"<tr><td>{html(name)}</td><td>{html(_shown(value))}</td></tr>"
    yield "</table></div>"


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _size(num_bytes: int) -> str:
    return f"{num_bytes / 1e6:,.1f} MB" if num_bytes >= 1e6 else f"{num_bytes / 1e3:,.1f} kB"
