"""The pages of `codemill browse`, in HTML. All text comes from data or from the address, so all of it is escaped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlencode

from jobs.browsing.request import MAX_CHARS, ROWS_PER_PAGE, TABLES, Asked, Table
from jobs.browsing.store import Page, Store
from jobs.catalog import layouts
from jobs.terminal.escapes import html
from jobs.terminal.wording import counted
from jobs.viewing.blocks import CONTEXT, GENERATED, Block, Lines
from jobs.viewing.conditions import NULL, Condition, names_in
from jobs.viewing.layout import blocks_of, title_of, verdicts
from jobs.viewing.markup import STYLE, drawn

_SNIPPET_LINES: Final = 3
_SNIPPET_CHARS: Final = 240
_CONTEXT_LINES: Final = 12
_VALUE_LINES: Final = 40

BROWSE_STYLE: Final = (
    STYLE
    + """
body { max-width: 90rem; }
header { display: flex; flex-wrap: wrap; gap: .3rem 1.5rem; align-items: baseline; }
nav a, nav strong { margin-right: 1rem; }
form { display: flex; flex-wrap: wrap; gap: .5rem; margin: 1rem 0; }
input { font: inherit; color: var(--ink); background: var(--paper); border: 1px solid var(--line); border-radius: 4px;
  padding: .3rem .5rem; min-width: 0; flex: 1 1 12rem; }
button { font: inherit; padding: .3rem 1rem; }
.layout { display: grid; grid-template-columns: 15rem minmax(0, 1fr); gap: 2rem; }
@media (max-width: 60rem) { .layout { grid-template-columns: minmax(0, 1fr); gap: 0; } }
aside ul { list-style: none; padding: 0; margin: 0 0 1rem; } aside h3 { margin-bottom: 0; overflow-wrap: anywhere; }
aside li { display: flex; justify-content: space-between; gap: 1rem; overflow-wrap: anywhere; }
.chosen a { display: inline-block; background: var(--panel); border: 1px solid var(--line); border-radius: 1rem;
  padding: .1rem .7rem; margin: 0 .5rem .5rem 0; text-decoration: none; overflow-wrap: anywhere; }
.error { color: var(--failed); } .pager { margin: 1rem 0; } .pager > * { margin-right: 1.5rem; }
"""
)


def list_page(store: Store, asked: Asked, page: Page | None, error: str = "") -> str:
    """The page with a list of rows, or with what was wrong about what was asked for."""
    parts = [
        *_head(f"{asked.table} rows of {store.path}"),
        *_tabs(store, asked.table),
        *_form(store, asked),
        *_chosen(asked),
    ]
    if error:
        parts.append(f'<p class="error" role="alert">{html(error)}</p>')
    if page is not None:
        parts += [
            f'<p class="soft" id="count">{html(_count(page, asked))}</p>',
            '<div class="layout"><aside>',
            *_facets(page, asked),
            "</aside><main>",
            *(_entry(store, asked.table, number, row) for number, row in page.rows),
            *_pager(page, asked),
            "</main></div>",
        ]
    return "\n".join([*parts, "</body></html>"])


def row_page(store: Store, table: Table, number: int, row: Mapping[str, Any]) -> str:
    """The page with one row: as its job shows it, then column by column."""
    title = f"{table} row {number:,}"
    shown: list[Block] = blocks_of(row, _CONTEXT_LINES, layouts()) if table == "kept" else []
    if table == "rejected" and row.get("answer"):
        shown = [Lines([(GENERATED, line) for line in str(row["answer"]).split("\n")])]
    neighbors = [
        f'<a href="{html(_row_link(table, other))}">{name}</a>'
        for name, other in (("previous", number - 1), ("next", number + 1))
        if 0 <= other < store.tables[table].total
    ]
    parts = [
        *_head(title),
        *_tabs(store, table),
        f"<h2>{html(title)} {html(title_of(row))}</h2>",
        f'<p class="pager">{" ".join(neighbors)}</p>',
        f'<div class="sample">{"".join(drawn(shown))}</div>' if shown else "",
        "<h2>All columns</h2>",
        *drawn(blocks_of(row, _VALUE_LINES, ())),
        "</body></html>",
    ]
    return "\n".join(parts)


def message_page(title: str, text: str) -> str:
    """A page that says one thing."""
    return "\n".join([*_head(title), f"<h1>{html(title)}</h1><p>{html(text)}</p></body></html>"])


def _head(title: str) -> Iterator[str]:
    yield '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f'<title>{html(title)}</title><link rel="stylesheet" href="/style.css"></head><body>'


def _tabs(store: Store, table: Table) -> Iterator[str]:
    yield f"<header><h1>{html(store.path)}</h1><nav>"
    for name in TABLES:
        label = f"{name} {store.tables[name].total:,}"
        yield f"<strong>{label}</strong>" if name == table else f'<a href="/?table={name}">{label}</a>'
    units = store.tables[table].units
    yield "</nav>"
    if units is not None:
        yield f'<span class="soft">unfinished: {counted(units, "unit")} committed when this was opened</span>'
    yield "</header>"


def _form(store: Store, asked: Asked) -> Iterator[str]:
    names = names_in(store.schemas[asked.table])
    yield f'<form method="get" action="/"><input type="hidden" name="table" value="{html(asked.table)}">'
    for text in asked.where:
        yield f'<input type="hidden" name="where" value="{html(text)}">'
    searched = " and ".join(path[0] for path in store.searched(asked.table)) or "nothing"
    yield f'<input name="q" value="{html(asked.text)}" placeholder="text in {html(searched)}" aria-label="text">'
    yield '<input name="where" list="names" placeholder="condition: language=Python" aria-label="condition">'
    yield f'<input name="sort" list="names" value="{html(asked.sort)}" placeholder="sort by" aria-label="sort">'
    yield '<datalist id="names">'
    yield "".join(f'<option value="{html(name)}"></option>' for name in names)
    yield "</datalist><button>Show</button></form>"


def _chosen(asked: Asked) -> Iterator[str]:
    if asked.where:
        yield '<p class="chosen">'
        yield from (f'<a href="{html(_link(asked.without(text)))}">{html(text)} ×</a>' for text in asked.where)
        yield "</p>"


def _count(page: Page, asked: Asked) -> str:
    if page.count is not None:
        found = counted(page.count, "row")
    else:
        seen = asked.start + len(page.rows)
        found = f"more than {counted(seen, 'row')}" if page.has_more else counted(seen, "row")
    if not page.rows:
        return f"{found}; none here"
    return f"{found}; {asked.start + 1:,} to {asked.start + len(page.rows):,} shown"


def _facets(page: Page, asked: Asked) -> Iterator[str]:
    for name, values in page.facets.items():
        yield f"<h3>{html(name)}</h3><ul>"
        for value, count in values:
            yield f"<li>{_facet(asked, name, value)}<span>{count:,}</span></li>"
        yield "</ul>"


def _facet(asked: Asked, name: str, value: Any) -> str:
    """A value that links to its rows, if a condition can say it: a text may start with a blank or be `null`."""
    text = _as_written(value)
    shown = html(text[:_SNIPPET_CHARS] or "(empty)")
    condition = f"{name}={text}"
    if len(condition) > MAX_CHARS or Condition.parse(condition).value != text or (text == NULL and value is not None):
        return f"<span>{shown}</span>"
    return f'<a href="{html(_link(asked.adding(condition)))}">{shown}</a>'


def _as_written(value: Any) -> str:
    return NULL if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _entry(store: Store, table: Table, number: int, row: Mapping[str, Any]) -> str:
    titles = [str(row[name])[:_SNIPPET_CHARS] for name in store.titles(table) if row.get(name)]
    columns = (path[0] for path in store.facet_paths(table))
    facts = " \N{MIDDLE DOT} ".join(f"{name} {row[name]}"[:_SNIPPET_CHARS] for name in columns if _is_fact(row, name))
    texts = [str(row[name])[:_SNIPPET_CHARS] for name in store.texts(table) if row.get(name)]
    lines = [(CONTEXT, line) for text in texts for line in text.split("\n")[:_SNIPPET_LINES]]
    return (
        f'<div class="sample"><h3><a href="{html(_row_link(table, number))}">{number:,}</a> '
        f'{html(" ".join(titles))}</h3><div class="soft">{html(facts)}</div>'
        f"{''.join(drawn([*verdicts(row.get('checks')), Lines(lines)]))}</div>"
    )


def _is_fact(row: Mapping[str, Any], name: str) -> bool:
    return row.get(name) is not None and not isinstance(row[name], Mapping)


def _pager(page: Page, asked: Asked) -> Iterator[str]:
    yield '<p class="pager">'
    if asked.start:
        before = replace(asked, start=max(0, asked.start - ROWS_PER_PAGE))
        yield f'<a href="{html(_link(before))}">previous</a>'
    if page.has_more:
        after = replace(asked, start=asked.start + ROWS_PER_PAGE)
        yield f'<a href="{html(_link(after))}">next</a>'
    yield "</p>"


def _link(asked: Asked) -> str:
    return f"/?{asked.query}"


def _row_link(table: Table, number: int) -> str:
    return f"/row?{urlencode({'table': table, 'number': number})}"
