"""Whether what one signal of malicious code gets is what another one runs or sends: by names, without a parser.

    data = base64.b64decode(blob)      a source; what is assigned in its line is tainted
    code = data.decode()               a line with a tainted name passes it to the names that it assigns
    exec(code)                         a sink whose arguments contain a tainted name: they are linked

Also linked are a sink and a source in one short line or in one unfinished call, and a file that is written near the
source and run under the same name. It reads at most `_MAX_LINES` lines after a source, so a pair costs tens of
microseconds; it errs in both directions, as every reading without a parser does.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_MAX_LINES = 60
_REACH_BYTES = 3000
_BEHIND_BYTES = 400
_SHORT_LINE_BYTES = 400
_NESTED_BYTES = 120
_MAX_NAMES = 24
_WORD = re.compile(rb"[A-Za-z_$][\w$]*")
_ASSIGNED = re.compile(
    rb"(?:\A\s{0,80}(?:[A-Za-z_][\w.<>\[\]]{0,40}\s{1,4})?|[;{]\s{0,4}|\b(?:let|var|const|my)\s{1,4})"
    rb"([$@A-Za-z_][\w$.]{0,60}(?:,\s{0,3}[$@A-Za-z_][\w$.]{0,60}){0,4})\s{0,4}(?::|\+|\.)?=(?![=>~])"
)
_APPENDED = re.compile(rb"(?<![\w$])([A-Za-z_$][\w$]{0,40})\s{0,3}\+=")
_PARAMETERS = re.compile(
    rb"(?<![\w$])([A-Za-z_$][\w$]{0,40}(?:,\s{0,2}[A-Za-z_$][\w$]{0,40}){0,3})\)?\s{0,2}=>|function\s{0,2}\w{0,40}\(([\w$,\s]{1,80})\)"
    rb"|\|([\w,\s]{1,40})\||\bas\s{1,3}(\w{1,40})\s{0,2}:"
)
_DEFINED = re.compile(rb"\A\s{0,80}(?:def|func|function)\s{1,4}(\w{1,60})")
_OPENED = re.compile(
    rb"(?i)\b(?:open|os\.create|createwritestream|writefile(?:sync)?|urlretrieve|downloadfile|namedtemporaryfile"
    rb"|-outfile|file\.write)[( ]([^\n]{1,160})"
)
_LITERAL = re.compile(rb"[\"'`]([^\"'`\n]{2,80}[./\\][^\"'`\n]{1,80}|/[^\"'`\n]{2,120})[\"'`]")
_COMMON = frozenset(
    b"_ a e err error ok self this os sys path true false True False None nil null if for in with as def func return "
    b"function const let var my new not and or await async wb w r rb open data import from require https http url str "
    b"bytes string utf8 utf join args shell env name x i".split()
)
"""Words that link nothing. `data` and `x` are linked as names that were assigned, but not as names of files."""
_NEVER_TAINTED = frozenset(b"_ err error ok self this e os sys".split())


def linked_sink(data: bytes, source: tuple[int, int], sinks: Sequence[int]) -> int | None:
    """The index of the first sink that gets what the source produces; None if there is none.

    Args:
        data: The text.
        source: Start and end of the source.
        sinks: Starts of the sinks, ascending.
    """
    start, end = source
    line = data.rfind(b"\n", 0, start) + 1
    near = [i for i, at in enumerate(sinks) if line - _BEHIND_BYTES <= at <= line + _REACH_BYTES]
    for i in near:
        if _is_one_statement(data, line, start, end, sinks[i]):
            return i
    later = [i for i in near if sinks[i] > end]
    if not later:
        return None
    found = _by_names(data, line, later, sinks)
    return _by_file(data, line, later, sinks) if found is None else found


def _is_one_statement(data: bytes, line: int, start: int, end: int, sink: int) -> bool:
    """Whether source and sink are in one short line, or the source is an argument of the sink's unfinished call."""
    line_end = data.find(b"\n", end)
    line_end = len(data) if line_end < 0 else line_end
    if line <= sink < line_end and line_end - line <= _SHORT_LINE_BYTES:
        return True
    between = data[sink:start] if sink < start else data[end:sink]
    if len(between) > _NESTED_BYTES or b";" in between:
        return False
    return sink < start and between.count(b"(") > between.count(b")")


def _by_names(data: bytes, line: int, later: Sequence[int], sinks: Sequence[int]) -> int | None:
    tainted: set[bytes] = set()
    for number, (at, text) in enumerate(_lines(data, line)):
        if number and (not tainted or tainted.isdisjoint(_WORD.findall(text))):
            continue
        if number:
            for i in later:
                if at <= sinks[i] < at + len(text) and not tainted.isdisjoint(_WORD.findall(text, sinks[i] - at)):
                    return i
        if len(tainted) < _MAX_NAMES and len(text) <= 2 * _SHORT_LINE_BYTES:
            tainted |= _assigned(text)
        if number == 0 and text.lstrip().startswith(b"return") and (name := _function_before(data, line)):
            tainted.add(name)
    return None


def _lines(data: bytes, at: int) -> list[tuple[int, bytes]]:
    lines = []
    for text in data[at : at + _REACH_BYTES].split(b"\n")[:_MAX_LINES]:
        lines.append((at, text))
        at += len(text) + 1
    return lines


def _assigned(text: bytes) -> set[bytes]:
    """The names that a line assigns, appends to, or takes as a callback's parameters."""
    found = b" ".join(match[1] for match in (*_ASSIGNED.finditer(text), *_APPENDED.finditer(text)))
    parameters = b" ".join(part for match in _PARAMETERS.finditer(text) for part in match.groups() if part)
    names = set(_WORD.findall(found + b" " + parameters))
    return names if len(names) == 1 else names - _NEVER_TAINTED  # Go's `x, _ := f()`, but also Python's `_ = f()`


def _function_before(data: bytes, line: int) -> bytes | None:
    before = data[max(0, line - _BEHIND_BYTES) : line].splitlines()
    return next((match[1] for text in reversed(before) if (match := _DEFINED.match(text))), None)


def _by_file(data: bytes, line: int, later: Sequence[int], sinks: Sequence[int]) -> int | None:
    """A sink that names a file which is opened or written near the source."""
    around = data[max(0, line - _BEHIND_BYTES) : line + _REACH_BYTES // 2]
    files: set[bytes] = set()
    for match in _OPENED.finditer(around):
        files.update(name for name in _LITERAL.findall(match[1]) if not name.startswith(b"http"))
        files.update(_WORD.findall(_LITERAL.sub(b"", match[1].partition(b",")[0])))
    files = {name for name in files - _COMMON if len(name) < 120}
    if not files:
        return None
    for i in later:
        text = data[sinks[i] : sinks[i] + 200].partition(b"\n")[0]
        if not files.isdisjoint({*_LITERAL.findall(text), *_WORD.findall(text)} - _COMMON):
            return i
    return None
