"""How rows look in a terminal.

    a middle          in its place, between the end of its prefix and the start of its suffix
    documentation     a diff of the definition without it and with it
    generated code    what described it, then a diff against the original
    an answer         the beginning of its prompt, then the answer
    a packed row      its parts (`jobs.terminal.packed`)
    anything else     column by column

Lines that the model wrote begin with `+`, the original ones with `-`, so that no colour is needed. What rows hold is
untrusted: control characters, terminal escapes and characters that reorder text are made visible.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jobs.terminal import packed

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

_FIM_COLUMNS = ("prefix", "generated_middle", "suffix")
GENERATED, ORIGINAL, FAINT, _CONTEXT = "bold green", "red", "bright_black", "default"
# C0 and C1 controls but for tab and newline, the characters that reorder text, and lone surrogates.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200e\u200f\ud800-\udfff]")
_MAX_VALUE_CHARS = 100_000  # of one value, before it is cut to lines


def visible(text: str) -> str:
    r"""The text with every character that could act on a terminal, or deceive its reader, written out.

    >>> visible("a\x1b[31mb")
    'a\\x1b[31mb'
    """
    return _UNSAFE.sub(lambda found: found.group().encode("unicode_escape").decode("ascii"), text)


def shown_row(number: int, row: Mapping[str, Any], context_lines: int) -> list[RenderableType]:
    """One row under a heading, in the form that fits what it holds.

    Args:
        number: Its place in the dataset.
        row: Its values.
        context_lines: Lines shown around what was generated, and of any other long text.
    """
    from rich.rule import Rule

    title = visible(" ".join(str(row[name]) for name in ("repo_name", "path") if row.get(name)))
    heading = Rule(f"row {number:,}  {title}".replace("[", "\\["), align="left", style=FAINT, characters="-")
    if all(isinstance(row.get(name), str) for name in _FIM_COLUMNS):
        return [heading, *_fim_row(row, context_lines)]
    for name, show in _FORMS.items():
        if isinstance(row.get(name), str):
            return [heading, *show(row, context_lines)]
    if all(name in row for name in packed.COLUMNS):
        return [heading, *packed.packed_row(row, context_lines)]
    return [heading, *_any_row(row, context_lines)]


def _fim_row(row: Mapping[str, Any], context_lines: int) -> Iterator[RenderableType]:
    from rich.text import Text

    facts = [str(row[name]) for name in ("span_kind", "fim_mode") if row.get(name)]
    yield Text(visible("  ".join(facts)), style=FAINT)
    before = "".join(row["prefix"].splitlines(keepends=True)[-context_lines:])
    after = "".join(row["suffix"].splitlines(keepends=True)[:context_lines])
    original, generated = row.get("original_middle"), row["generated_middle"]
    yield _code(before, generated, after, mark="+", style=GENERATED)
    if original == generated:
        yield Text("  = the original", style=FAINT)
    elif original is not None:
        # Only the lines that the original touches: the rest stands above.
        line_before = before.rsplit("\n", 1)[-1]
        line_after = after.split("\n", 1)[0] if not original.endswith("\n") else ""
        yield _code(line_before, original, line_after, mark="-", style=ORIGINAL)
    yield from _verdicts(row)


def _code(before: str, middle: str, after: str, *, mark: str, style: str) -> RenderableType:
    """The three parts as they follow each other, with `mark` at each line that has a part of the middle."""
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=0)
    grid.add_column(width=2)
    grid.add_column(overflow="fold")
    text = Text()
    for part, part_style in ((before, _CONTEXT), (middle, style), (after, _CONTEXT)):
        text.append(visible(part.replace("\r\n", "\n")), style=part_style)
    text.expand_tabs(4)
    for line in text.split("\n", allow_blank=not text.plain.endswith("\n")):
        is_middle = any(span.style == style for span in line.spans)
        grid.add_row(Text(mark, style=style) if is_middle else Text(), line)
    return grid


def _checks(checks: Mapping[str, Any]) -> Text:
    """`ok parses  NO exact_match  edit_similarity 0.83`; what could not be checked is left out."""
    from rich.text import Text

    text = Text()
    for name, value in checks.items():
        if isinstance(value, bool):
            text.append(("ok " if value else "NO ") + name, style="green" if value else "red").append("  ")
        elif value is not None:
            shown = f"{value:.2f}" if isinstance(value, float) else str(value)
            text.append(visible(f"{name} {shown}"), style=FAINT).append("  ")
    return text


def _documentation_row(row: Mapping[str, Any], context_lines: int) -> Iterator[RenderableType]:
    yield from _facts(row, "symbol_kind", "symbol_name", "form")
    yield _diff(row.get("code") or "", row["code_documented"], context_lines)
    if isinstance(row.get("original_documentation"), str):
        yield marked("-", row["original_documentation"], ORIGINAL)
    yield from _verdicts(row)


def _generated_row(row: Mapping[str, Any], context_lines: int) -> Iterator[RenderableType]:
    yield from _facts(row, "symbol_name", "generated_language")
    if isinstance(row.get("description"), str):
        yield marked(" ", "\n".join(row["description"].splitlines()[-2 * context_lines :]), _CONTEXT)
    yield _diff(row.get("original_code") or "", row["generated_code"], context_lines)
    yield from _verdicts(row)


def _answer_row(row: Mapping[str, Any], context_lines: int) -> Iterator[RenderableType]:
    yield from _facts(row, "target_kind", "symbol_name")
    if isinstance(row.get("prompt_text"), str):
        yield marked(" ", "\n".join(row["prompt_text"].rstrip().splitlines()[: 2 * context_lines]), FAINT)
    yield marked("+", row["answer"], GENERATED)
    yield from _verdicts(row)


# The column that tells what a row is, and how it is shown then.
_FORMS = {"code_documented": _documentation_row, "generated_code": _generated_row, "answer": _answer_row}


def _facts(row: Mapping[str, Any], *names: str) -> Iterator[Text]:
    from rich.text import Text

    yield Text(visible("  ".join(str(row[name]) for name in names if row.get(name))), style=FAINT)


def _verdicts(row: Mapping[str, Any]) -> Iterator[Text]:
    if isinstance(row.get("checks"), Mapping):
        yield _checks(row["checks"])


def _diff(before: str, after: str, context_lines: int) -> RenderableType:
    """The lines that changed, with some around them."""
    lines = list(difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=context_lines))[2:]
    styles = {"+": GENERATED, "-": ORIGINAL, "@": FAINT}
    return _rows(
        [("  " if line[:1] == "@" else line[:1], line if line[:1] == "@" else line[1:]) for line in lines], styles
    )


def marked(mark: str, text: str, style: str) -> RenderableType:
    """A text with a mark before each of its lines."""
    return _rows([(mark, line) for line in text.splitlines()], {mark: style})


def _rows(lines: Sequence[tuple[str, str]], styles: Mapping[str, str]) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=0)
    grid.add_column(width=2)
    grid.add_column(overflow="fold")
    for mark, line in lines:
        style = styles.get(mark if line[:2] != "@@" else "@", _CONTEXT)
        text = Text(visible(line), style=style)
        text.expand_tabs(4)
        grid.add_row(Text(mark, style=style), text)
    return grid


def _any_row(row: Mapping[str, Any], max_lines: int) -> Iterator[RenderableType]:
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 1))
    grid.add_column(style=FAINT, overflow="fold", max_width=24)
    grid.add_column(overflow="fold")
    for name, value in _flat(row):
        shown = "null" if value is None else str(value)
        lines = visible(shown[:_MAX_VALUE_CHARS]).split("\n")
        text = Text("\n".join(lines[:max_lines]), style=FAINT if value is None else _CONTEXT)
        if (left := shown.count("\n") + 1 - max_lines) > 0:
            text.append(f"\n({left:,} more lines)", style=FAINT)
        grid.add_row(Text(visible(name)), text)
    yield grid


def _flat(row: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in row.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value
