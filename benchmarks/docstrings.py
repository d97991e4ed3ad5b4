"""Tests the docstring task on real code: `python -m benchmarks.docstrings CORPUS.parquet... [--files N]`.

Three questions for every symbol of every file, without a model, using made-up answers:

    targets    does the task find the same symbols in Python files as Python's own `ast`?
    echo       are all removed originals put back with the file's code unchanged, and which are rejected, and why?
    mutants    is an original that a rule changed (a parameter renamed or invented, a truncated end, a second form, an
               e-mail address) rejected?

The code is compared twice: by the task for each answer, and for the complete file with all of its answers inserted.
"""

from __future__ import annotations

import argparse
import ast
import re
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow.parquet as pq

from model.engine.requests import Completion
from model.errors import RecordError
from transforms.documentation.forms import DOCUMENTED_LANGUAGES, cut_hole, without_delimiters, write_answer
from transforms.documentation.reading import read_facts
from transforms.generation.stages import Answers, RowStages
from transforms.languages.grammars import grammar_name
from transforms.rows.row import Row, SourceRef, content_sha256
from transforms.scanning import ContentFilter
from transforms.symbols import Symbol
from transforms.tasks.base import TaskRequest
from transforms.tasks.docstring import DocstringTask
from transforms.tasks.shared import open_tokenizer, read_source

_QUOTES = re.compile(r"[rRuU]?(\"\"\"|''')")
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Module)


@dataclass
class Figures:
    """Statistics of one language."""

    files: int = 0
    found: int = 0
    wanted: int = 0  # Python: definitions by `ast`
    missed_files: int = 0
    too_long: int = 0  # targets whose function signature alone fills the prompt
    spent_s: float = 0.0
    not_asked: Counter[str] = field(default_factory=Counter)
    echo: Counter[str] = field(default_factory=Counter)
    unsound_files: int = 0  # files whose code changed with all of their documentation put back
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
    stages = RowStages(task=task, content_filter=ContentFilter("default"), nest=True)
    stages.open()
    by_language: defaultdict[str, Figures] = defaultdict(Figures)
    for row in rows:
        judge_file(row, stages, by_language[grammar_name(row.language, row.path) or ""])
    for language, figures in by_language.items():
        report(language, figures)


def read_rows(path: str) -> Iterator[Row]:
    """The corpus's files in languages with a supported form of documentation."""
    table = pq.read_table(path, columns=["content", "path", "language"])
    for number, item in enumerate(table.to_pylist()):
        if grammar_name(item["language"].lower(), item["path"]) in DOCUMENTED_LANGUAGES:
            sha = content_sha256(item["content"])
            language = item["language"].lower()
            yield Row(SourceRef(path, 0, number), item["content"], sha, sha, path=item["path"], language=language)


def judge_file(row: Row, stages: RowStages, figures: Figures) -> None:
    """Evaluates all three questions for one file."""
    wanted = ast_count(row.content) if grammar_name(row.language, row.path) == "python" else 0
    if wanted is None:
        figures.not_asked["does not parse"] += 1
        return
    figures.files += 1
    started = time.process_time()
    try:
        targets = list(stages.task.requests(row))
    except RecordError as error:
        figures.not_asked[error.reason] += 1
        targets = []
    figures.wanted += wanted
    figures.found += len(targets)
    figures.missed_files += wanted > len(targets)
    requests = [item for item in targets if isinstance(item, TaskRequest)]
    figures.too_long += len(targets) - len(requests)
    echoes = [(request, text) for request in requests if (text := original_text(row, request.payload[0])) is not None]
    accepted = put_back(row, echoes, stages, figures)
    for request, text in echoes:
        if request.target in accepted:
            for name, mutant in mutants(request.payload[0], text, row):
                figures.mutants[name, verdict(row, request, mutant, stages)] += 1
    figures.spent_s += time.process_time() - started


def ast_count(content: str) -> int | None:
    """Number of definitions according to Python's own parser, including the module; None if it doesn't parse the
    file.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(content.removeprefix("\ufeff"))
    except (SyntaxError, ValueError, RecursionError):
        return None
    return sum(isinstance(node, _DEFINITIONS) for node in ast.walk(tree))


def original_text(row: Row, symbol: Symbol) -> str | None:
    """The text that a model would have to generate to reproduce the original; None for Python strings without triple
    quotes.
    """
    source = read_source(row, DOCUMENTED_LANGUAGES)
    if symbol.doc is None:
        return None
    literal = source.data[slice(*symbol.doc)].decode()
    if source.grammar != "python":
        return write_answer(cut_hole(source, symbol), without_delimiters(literal))
    quotes = _QUOTES.match(literal)
    return literal[quotes.end() : -3] if quotes and literal.endswith(quotes[1]) else None


def completion_of(text: str) -> Completion:
    """A text as a completion."""
    tokens = tuple(open_tokenizer("embedded").encode(text))
    return Completion(tokens=tokens, finish_reason="stop", stop_id=1, mean_logprob=-0.5, prompt_tokens=1)


def put_back(row: Row, echoes: list[tuple[TaskRequest, str]], stages: RowStages, figures: Figures) -> set[str]:
    """Validates all originals of a file, and the file with all accepted ones inserted; returns their targets."""
    if not echoes:
        return set()
    requests = tuple(request for request, _ in echoes)
    judged = stages.validate(Answers(row, requests, tuple((completion_of(text),) for _, text in echoes)))
    figures.echo["accepted"] += len(judged.kept)
    figures.echo.update(item.rejection.reason for item in judged.rejected)
    figures.unsound_files += any(item.rejection.stage == "nest" for item in judged.rejected)
    return {requests[item.request].target for item in judged.kept}


def verdict(row: Row, request: TaskRequest, text: str, stages: RowStages) -> str:
    """The reason why an answer is rejected, or `accepted`."""
    judged = stages.validate(Answers(row, (request,), ((completion_of(text),),)))
    return "accepted" if judged.kept else judged.rejected[0].rejection.reason


def mutants(symbol: Symbol, text: str, row: Row) -> Iterator[tuple[str, str]]:
    """The original changed by each rule that applies to it."""
    grammar = read_source(row, DOCUMENTED_LANGUAGES).grammar
    ending = text.rstrip()
    yield "an e-mail address inserted", f"{ending} Ask jane.roe" + "@" + "corp-mail.dev."
    yield "a cut end", f"{ending.rstrip('.')} and the"
    if grammar == "python":
        yield "a second form", f"Args:\n    x: y\n\n:param x: y\n\n{text}"
    documented = read_facts(without_delimiters(text), grammar).parameters
    if not documented or symbol.kind in ("class", "module"):
        return
    entry = _entry(documented[0], grammar)
    if not (found := entry.search(text)):
        return
    renamed = entry.sub(lambda m: m[0].removesuffix(documented[0]) + "no_such_parameter", text, count=1)
    if read_facts(without_delimiters(renamed), grammar).parameters == documented:
        return  # the name started a line of prose: the documented parameters are still the real ones
    yield "a parameter renamed", renamed
    if grammar == "python" and ":" in text[found.end() : text.find("\n", found.end())]:
        line = f"{found[1]}no_such_parameter: What it is.\n"
        yield "a parameter invented", text[: found.start()] + line + text[found.start() :]


def _entry(name: str, grammar: str) -> re.Pattern[str]:
    """Start of the documentation of one parameter."""
    if grammar == "python":
        return re.compile(rf"^([ \t]*(?::param )?\*{{0,2}}){re.escape(name)}\b", re.M)
    return re.compile(
        rf"([@\\]param(?:\[[a-z, ]*\])?\s+(?:\{{[^}}\n]*\}}\s*)?\[?|<param name=\"|[*-] +`){re.escape(name)}\b"
    )


def report(language: str, figures: Figures) -> None:
    """Prints the statistics of one language."""
    rate = figures.found / figures.spent_s if figures.spent_s else 0.0
    print(f"{language}: {figures.files:,} files, not asked: {dict(figures.not_asked) or 'none'}", end="; ")
    print(f"{figures.found:,} symbols, {figures.spent_s:.0f} s of processor time, {rate:,.0f} symbols/s")
    if figures.wanted:
        print(
            f"  targets: {figures.found:,} found, {figures.wanted:,} by ast; files with fewer: {figures.missed_files}"
        )
    total = figures.echo.total()
    print(f"  echo: {total:,} originals; files whose code changed: {figures.unsound_files}")
    for reason, count in figures.echo.most_common():
        print(f"    {reason:28} {count:8,}  {count / total:.2%}")
    print("  mutants:")
    for name in sorted({name for name, _ in figures.mutants}):
        reasons = Counter({reason: n for (mutant, reason), n in figures.mutants.items() if mutant == name})
        print(f"    {name:28} {reasons.total():8,}  {dict(reasons.most_common())}")


if __name__ == "__main__":
    main()
