"""Draws blocks (`jobs.viewing.blocks`) in HTML, and the style of all pages about a dataset.

All text comes from data, so all of it is escaped (`jobs.terminal.escapes.html`). Pages have no scripts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from jobs.terminal.escapes import html, visible
from jobs.terminal.wording import counted
from jobs.viewing import blocks
from jobs.viewing.blocks import Block, MarkedLine, Value, Verdicts

MAX_LINES: Final = 400  # of a block
_MAX_LINE_CHARS: Final = 2_000
_CLASSES: Final = {
    blocks.GENERATED: "plus",
    blocks.ORIGINAL: "minus",
    blocks.PLACE: "place",
    blocks.HEADING: "heading",
    blocks.FAINT: "faint",
}

STYLE: Final = """
:root { color-scheme: light dark; --ink: #1c1e21; --paper: #ffffff; --soft: #5b6168; --line: #d9dde2;
  --kept: #2f7d4f; --rejected: #b7791f; --failed: #b3372f; --link: #1a5fb4; --panel: #f5f6f8;
  --plus: #e3f4e8; --minus: #fbe7e5; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --paper: #16181b; --soft: #9aa2ab; --line: #33383e;
  --kept: #4fae78; --rejected: #d9a441; --failed: #e0665d; --link: #7db3f0; --panel: #1f2327;
  --plus: #17351f; --minus: #41201d; } }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 70rem;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; } h3 { font-size: 1rem; margin: 1.2rem 0 .3rem; }
a { color: var(--link); }
table { border-collapse: collapse; width: 100%; } td, th { text-align: left; padding: .3rem 1.2rem .3rem 0;
  border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere; }
th { overflow-wrap: normal; } .scroll table:not(.pairs) td { overflow-wrap: break-word; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
table.pairs td:first-child { width: 38%; color: var(--soft); }
.soft { color: var(--soft); } .scroll { overflow-x: auto; }
.bar { display: flex; height: 1.1rem; min-width: 6rem; background: var(--line); border-radius: 3px; overflow: hidden; }
.kept { background: var(--kept); } .rejected { background: var(--rejected); } .failed { background: var(--failed); }
.key::before { content: ""; display: inline-block; width: .8rem; height: .8rem; margin-right: .4rem; border-radius: 2px;
  background: currentColor; } .key.kept, .key.rejected, .key.failed { background: none; }
.key.kept { color: var(--kept); } .key.rejected { color: var(--rejected); } .key.failed { color: var(--failed); }
.sample { background: var(--panel); border: 1px solid var(--line); border-radius: 4px; padding: .6rem .8rem;
  margin: .6rem 0; }
.sample h3 { margin: 0 0 .3rem; overflow-wrap: anywhere; }
.code { font: 13px/1.45 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere; margin: .3rem 0;
  tab-size: 4; }
.code div { padding-left: 1.6em; text-indent: -1.6em; min-height: 1.45em; }
.code div::before { content: "\\00a0"; display: inline-block; width: 1.6em; text-indent: 0; color: var(--soft); }
.code div.plus { background: var(--plus); } .code div.plus::before { content: "+"; }
.code div.minus { background: var(--minus); } .code div.minus::before { content: "-"; }
.code div.place, .code div.faint { color: var(--soft); } .code div.heading { font-weight: 600; }
.yes { color: var(--kept); } .no { color: var(--failed); } .verdicts span { margin-right: 1rem; white-space: nowrap; }
.value { display: grid; grid-template-columns: minmax(6rem, 14rem) 1fr; gap: .2rem 1rem; overflow-wrap: anywhere; }
.value > span { color: var(--soft); }
@media (max-width: 40rem) { .value { grid-template-columns: 1fr; } table.pairs td:first-child { width: 45%; }
  td, th { padding-right: .6rem; } }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); gap: 1rem; }
.plot { margin: 0; max-width: 32rem; } .plot svg { width: 100%; height: auto; display: block; }
.plot figcaption { font-size: .9rem; }
.plot svg text { fill: var(--soft); font-family: inherit; } .plot svg line { stroke: var(--line); }
.plot svg > g > rect { fill: none; } .plot svg .series rect { fill: var(--kept); }
.plot svg .series path { stroke: var(--kept); }
.plot.of-rejected svg .series rect { fill: var(--rejected); }
"""


def drawn(found: Iterable[Block]) -> Iterator[str]:
    """Yields the HTML of blocks."""
    for block in found:
        if isinstance(block, Verdicts):
            yield _verdicts(block)
        elif isinstance(block, Value):
            yield f'<div class="value"><span>{html(block.name)}</span>{_code(block.lines)}</div>'
        else:
            yield _code(block.lines)


def _code(lines: Iterable[MarkedLine]) -> str:
    shown = list(lines)
    left = len(shown) - MAX_LINES
    if left > 0:
        shown = [*shown[:MAX_LINES], (blocks.FAINT, f"({counted(left, 'more line')})")]
    return f'<div class="code">{"".join(_line(mark, line) for mark, line in shown)}</div>'


def _line(mark: str, line: str) -> str:
    if len(line) > _MAX_LINE_CHARS:
        line = f"{line[:_MAX_LINE_CHARS]} ({len(line) - _MAX_LINE_CHARS:,} more characters)"
    name = _CLASSES.get(mark)
    # A tab stays a tab: `html` shows one as its escape, since names have none.
    text = "\t".join(map(html, visible(line).split("\t")))
    return f'<div class="{name}">{text}</div>' if name else f"<div>{text}</div>"


def _verdicts(block: Verdicts) -> str:
    spans = [f"<strong>{html(block.title)}</strong>"] if block.title else []
    for name, value in block.items:
        if isinstance(value, bool):
            spans.append(f'<span class="{"yes" if value else "no"}">{"ok" if value else "NO"} {html(name)}</span>')
        else:
            spans.append(f'<span class="soft">{html(name)} {html(value)}</span>')
    return f'<div class="verdicts">{" ".join(spans)}</div>'
