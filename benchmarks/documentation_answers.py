"""Judges the tables of hand-made answers of `tests/transforms/documentation/answers`: which are kept, which refused.

`python -m benchmarks.documentation_answers [FOLDER] [--show]`

A table is a text file of one language. A line `=== NAME` starts code with the definition of that name, `+++ KIND` a
good answer to a request for its documentation, and `--- FAULT` a bad one:

    === add
    def add(a, b):
        return a + b
    +++ one sentence
    Adds two numbers.
    --- refusal
    I'm sorry, I can't do that.

Every answer is judged as a chat model's and, unless it brings delimiters or a fence of its own, as a base model's, in
the place where the documentation belongs. A good one must be kept in both, a bad one refused in both.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from model.engine.requests import Completion
from transforms.documentation.forms import DOCUMENTED_LANGUAGES, cut_hole, write_answer
from transforms.rows.row import Row, SourceRef, content_sha256
from transforms.tasks.base import Accepted, TaskRequest
from transforms.tasks.docstring import DocstringTask
from transforms.tasks.shared import open_tokenizer, read_source

TABLES: Final = Path(__file__).parent.parent / "tests" / "transforms" / "documentation" / "answers"
_MARK: Final = re.compile(r"^(===|\+\+\+|---) (\S.*)$", re.M)
_HAS_OWN_FORM: Final = re.compile(r'\A\s*(?:[^\n`]*\n\s*)?(?:```|"""|/\*|//)')


@dataclass(frozen=True, slots=True)
class HandMade:
    """A hand-made answer: the code and the definition that it is for, whether it is good, its kind, and its text."""

    code: str
    name: str
    is_good: bool
    kind: str
    text: str


def read_table(path: Path) -> list[HandMade]:
    """The answers of one table, in its order."""
    pieces = _MARK.split(path.read_text(encoding="utf-8"))
    code, name, found = "", "", []
    for mark, title, text in zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True):
        if mark == "===":
            code, name = text.lstrip("\n"), title
        else:
            found.append(HandMade(code, name, mark == "+++", title, text.strip("\n")))
    return found


def judge(answers: list[HandMade], language: str, *, tokenizer: str = "embedded") -> Iterator[tuple[HandMade, str]]:
    """Each answer with the reason for which it is refused, "" if it is kept.

    A good answer that one of the two ways of asking refuses is refused; a bad one that one of them keeps is kept.
    """
    base = DocstringTask(tokenizer=tokenizer, targets="all", max_prompt_tokens=4096)
    tasks = (replace(base, is_chat=True), base)
    requests: dict[tuple[str, str, bool], tuple[Row, TaskRequest]] = {}
    for answer in answers:
        reasons = []
        for task in tasks:
            key = (answer.code, answer.name, task.is_chat)
            if key not in requests:
                requests[key] = _request(task, answer, language)
            if task.is_chat or not _HAS_OWN_FORM.match(answer.text):
                reasons.append(_reason(task, *requests[key], answer.text))
        refused = [reason for reason in reasons if reason]
        yield answer, (refused[0] if refused and (answer.is_good or len(refused) == len(reasons)) else "")


def _request(task: DocstringTask, answer: HandMade, language: str) -> tuple[Row, TaskRequest]:
    sha = content_sha256(answer.code)
    row = Row(SourceRef(f"{language}.txt", 0, 0), answer.code, sha, sha, language=language)
    wanted = answer.name.rpartition("::")[2]
    found = [r for r in task.requests(row) if isinstance(r, TaskRequest)]
    # Of a C++ method's declaration and its definition, the latter.
    fitting = [r for r in found if r.payload[0].qualified_name.endswith(wanted)]
    # A class rather than its constructor.
    exact = [r for r in fitting if r.payload[0].qualified_name in (answer.name, answer.name.replace("::", "."))]
    return row, (exact or fitting)[-1]


def _reason(task: DocstringTask, row: Row, request: TaskRequest, text: str) -> str:
    if not task.is_chat:
        source = read_source(row, DOCUMENTED_LANGUAGES)
        text = write_answer(cut_hole(source, request.payload[0]), text)
    tokens = tuple(open_tokenizer(task.tokenizer).encode(text))
    completion = Completion(tokens=tokens, finish_reason="stop", stop_id=1, mean_logprob=-0.5, prompt_tokens=1)
    verdict = task.accept(row, request, completion)
    return "" if isinstance(verdict, Accepted) else verdict.rejection.reason


def main() -> None:
    """Prints the shares by language, and with `--show` every answer that is judged wrongly."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=TABLES, help="a folder of tables, LANGUAGE.txt")
    parser.add_argument("--show", action="store_true", help="print the answers that are judged wrongly")
    options = parser.parse_args()
    sums = [0, 0, 0, 0]
    for path in sorted(options.folder.glob("*.txt")):
        judged = list(judge(read_table(path), path.stem))
        good = [reason for answer, reason in judged if answer.is_good]
        bad = [reason for answer, reason in judged if not answer.is_good]
        figures = [good.count(""), len(good), len(bad) - bad.count(""), len(bad)]
        sums = [a + b for a, b in zip(sums, figures, strict=True)]
        print(f"{path.stem:12} {_shares(figures)}")
        for answer, reason in judged if options.show else ():
            if answer.is_good == bool(reason):
                print(f"    {answer.name}: {'good' if answer.is_good else 'bad'}, {answer.kind}: {reason or 'kept'}")
    print(f"{'all':12} {_shares(sums)}")


def _shares(figures: list[int]) -> str:
    kept, good, refused, bad = figures
    good_kept = f"good kept {kept:3} of {good:3} ({kept / good:.1%})"
    return f"{good_kept}, bad refused {refused:3} of {bad:3} ({refused / bad:.1%})"


if __name__ == "__main__":
    main()
