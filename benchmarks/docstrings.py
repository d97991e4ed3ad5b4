"""Holds the docstring task to real code: `python -m benchmarks.docstrings CORPUS.parquet... [--files N]`.

Three questions, asked of every symbol of every Python file, with no model but made-up answers:

    targets    are the symbols that the task finds those that Python's own `ast` counts?
    echo       is the removed original put back with the code unchanged, and which originals are rejected, for what?
    mutants    is an original that a rule changed (a parameter renamed, invented or dropped, a cut end, a second style,
               an e-mail address) rejected?
"""

from __future__ import annotations

import argparse
import ast
import re
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow.parquet as pq

from model.engine.api import Completion
from model.errors import RecordError
from transforms.documentation.facts import read_facts
from transforms.filters import ContentFilter
from transforms.row_stages import Answers, RowStages
from transforms.rows import Row, SourceRef, content_sha256
from transforms.symbols import Symbol
from transforms.tasks.base import TaskRequest
from transforms.tasks.docstring import DOCUMENTED_LANGUAGES, DocstringTask
from transforms.tasks.shared import open_tokenizer, read_source

_QUOTES = re.compile(r"[rRuU]?(\"\"\"|''')")


@dataclass
class Figures:
    files: int = 0
    wanted: int = 0
    found: int = 0
    spent_s: float = 0.0
    rows: Counter[str] = field(default_factory=Counter)
    echo: Counter[str] = field(default_factory=Counter)
    mutants: Counter[tuple[str, str]] = field(default_factory=Counter)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", nargs="+")
    parser.add_argument(
        "--files", type=int, default=10**9, help="take every so many-th file, so that about this many are"
    )
    options = parser.parse_args()
    rows = [row for path in options.corpus for row in read_rows(path)]
    rows = rows[:: max(1, len(rows) // options.files)]
    task = DocstringTask(tokenizer="embedded", targets="all", max_prompt_tokens=512)
    stages = RowStages(task=task, content_filter=ContentFilter("default"))
    stages.open()
    figures = Figures()
    for row in rows:
        judge_file(row, stages, figures)
    report(figures)


def read_rows(path: str) -> Iterator[Row]:
    """The corpus's Python files that parse."""
    table = pq.read_table(path, columns=["content", "path", "language"])
    for number, item in enumerate(table.to_pylist()):
        if item["language"].lower() != "python":
            continue
        sha = content_sha256(item["content"])
        yield Row(SourceRef(path, 0, number), item["content"], sha, sha, path=item["path"], language="python")


def judge_file(row: Row, stages: RowStages, figures: Figures) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(row.content)
    except (SyntaxError, ValueError):
        figures.rows["does not parse"] += 1
        return
    figures.files += 1
    started = time.perf_counter()
    try:
        requests = [item for item in stages.task.requests(row) if isinstance(item, TaskRequest)]
    except RecordError as error:
        figures.rows[error.reason] += 1
        requests = []
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Module)
    figures.wanted += sum(isinstance(node, kinds) for node in ast.walk(tree))
    figures.found += len(requests)
    for request in requests:
        symbol: Symbol = request.payload[0]
        inner = original_text(row, symbol)
        if inner is None:
            continue
        reason = verdict(row, request, inner, stages)
        figures.echo[reason] += 1
        if reason == "accepted":
            for name, mutant in mutants(symbol, inner):
                figures.mutants[name, verdict(row, request, mutant, stages)] += 1
    figures.spent_s += time.perf_counter() - started


def original_text(row: Row, symbol: Symbol) -> str | None:
    """What stands between the quotes of a triple-quoted original."""
    if symbol.doc is None:
        return None
    literal = read_source(row, DOCUMENTED_LANGUAGES).data[slice(*symbol.doc)].decode()
    quotes = _QUOTES.match(literal)
    return literal[quotes.end() : -3] if quotes and literal.endswith(quotes[1]) else None


def verdict(row: Row, request: TaskRequest, text: str, stages: RowStages) -> str:
    tokens = tuple(open_tokenizer("embedded").encode(text))
    completion = Completion(tokens=tokens, finish_reason="stop", stop_id=1, mean_logprob=-0.5, prompt_tokens=1)
    judged = stages.judge(Answers(row, (request,), ((completion,),)))
    return "accepted" if judged.kept else judged.rejected[0].rejection.reason


def mutants(symbol: Symbol, text: str) -> Iterator[tuple[str, str]]:
    """The original changed by each rule that applies to it."""
    yield "an e-mail address inserted", f"{text.rstrip()} Ask jane.roe" + "@" + "corp-mail.dev.\n"
    yield "a cut end", f"{text.rstrip().rstrip('.')} and the"
    yield "a second style", f"Args:\n    x: y\n\n:param x: y\n\n{text}"
    documented = list(read_facts(text, "python").parameters)
    entry = re.compile(rf"^([ \t]*)(:param )?(\*{{0,2}}{re.escape(documented[0])})\b", re.M) if documented else None
    if entry is None or symbol.kind in ("class", "module") or not (found := entry.search(text)):
        return
    renamed = entry.sub(r"\1\2no_such_parameter", text, count=1)
    if read_facts(renamed, "python").parameters == tuple(documented):
        return  # the name began a line of prose: the documented parameters are still the real ones
    yield "a parameter renamed", renamed
    line = f"{found[1]}{found[2] or ''}no_such_parameter: What it is.\n"
    if ":" in text[found.end() : text.find("\n", found.end())]:
        yield "a parameter invented", text[: found.start()] + line + text[found.start() :]


def report(figures: Figures) -> None:
    print(f"files {figures.files:,}, not judged: {dict(figures.rows) or 'none'}, {figures.spent_s:.0f} s")
    print(f"targets: {figures.found:,} found, {figures.wanted:,} by ast ({figures.found / figures.wanted:.2%})")
    total = figures.echo.total()
    print(f"echo: {total:,} originals, code changed: {figures.echo['code_changed']:,}")
    for reason, count in figures.echo.most_common():
        print(f"  {reason:28} {count:8,}  {count / total:.2%}")
    print("mutants:")
    for name in sorted({name for name, _ in figures.mutants}):
        reasons = Counter({reason: n for (mutant, reason), n in figures.mutants.items() if mutant == name})
        print(f"  {name:28} {reasons.total():8,}  {dict(reasons.most_common())}")


if __name__ == "__main__":
    main()
