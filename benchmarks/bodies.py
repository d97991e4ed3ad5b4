"""Tests the judges of bodies on real code: `python -m benchmarks.bodies CORPUS.parquet... [--functions N]`.

Each function's own body is judged as if a model had written it, without a model. Printed for each language: how many
functions there are, of how many a body is asked for, how many of these are kept, the reasons for the others, and the
processor time of a verdict. `--show` prints the rejected bodies, to look at.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow.parquet as pq

from model.engine.requests import Completion
from model.errors import RecordError
from transforms.bodies.holes import BODY_LANGUAGES
from transforms.languages.grammars import grammar_name
from transforms.rows.row import Row, SourceRef, content_sha256
from transforms.tasks.base import RejectedTarget
from transforms.tasks.generate import GenerateTask
from transforms.tasks.shared import open_tokenizer


@dataclass
class Figures:
    """What became of one language's functions."""

    functions: int = 0
    not_asked: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    spent_s: float = 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", nargs="+")
    parser.add_argument("--functions", type=int, default=1_000, help="functions of each language at most")
    parser.add_argument("--show", action="store_true")
    options = parser.parse_args()
    task = GenerateTask(
        tokenizer="embedded", max_prompt_tokens=100_000, only_documented=False, reject_copies=False, max_functions=40
    )
    by_language: defaultdict[str, Figures] = defaultdict(Figures)
    for path in options.corpus:
        for row in read_rows(path):
            figures = by_language[grammar_name(row.language, row.path) or ""]
            if figures.functions < options.functions:
                judge_file(task, row, figures, is_shown=options.show)
    for language, figures in sorted(by_language.items()):
        report(language, figures)


def read_rows(path: str) -> Iterator[Row]:
    """The corpus's files in languages whose functions have bodies."""
    table = pq.read_table(path, columns=["content", "path", "language"])
    for number, (content, name, language) in enumerate(zip(*(table[c] for c in table.column_names), strict=True)):
        text = content.as_py() or ""
        row = Row(
            SourceRef(path, 0, number),
            text,
            content_sha256(text),
            content_sha256(text),
            path=name.as_py() or "",
            language=language.as_py() or "",
        )
        if grammar_name(row.language, row.path) in BODY_LANGUAGES:
            yield row


def judge_file(task: GenerateTask, row: Row, figures: Figures, *, is_shown: bool) -> None:
    """Judges the body of each function of a file."""
    tokenizer, data = open_tokenizer(task.tokenizer), row.content.encode()
    try:
        requests = list(task.requests(row))
    except RecordError:
        return
    for request in requests:
        figures.functions += 1
        if isinstance(request, RejectedTarget):
            figures.not_asked[request.rejection.reason] += 1
            continue
        body = data[request.payload.start : request.payload.end].decode()
        tokens = tuple(tokenizer.encode(body))
        completion = Completion(tokens=tokens, finish_reason="stop", stop_id=1, mean_logprob=0.0, prompt_tokens=1)
        start = time.process_time()
        verdict = task.accept(row, request, completion)
        figures.spent_s += time.process_time() - start
        reason = verdict.rejection.reason if isinstance(verdict, RejectedTarget) else "kept"
        figures.verdicts[reason] += 1
        if is_shown and reason != "kept":
            print(f"--- {reason}: {row.path} {request.target}\n{body}")


def report(language: str, figures: Figures) -> None:
    """Prints one language's figures."""
    judged = max(1, figures.verdicts.total())
    print(
        f"{language}: {figures.functions} functions, {figures.verdicts.total()} asked for, "
        f"{100 * figures.verdicts['kept'] / judged:.1f}% kept, {1e6 * figures.spent_s / judged:.0f} us a verdict; "
        f"not asked for: {dict(figures.not_asked)}; verdicts: {dict(figures.verdicts)}"
    )


if __name__ == "__main__":
    main()
