"""Answers written by hand, each with what a judge should say of it: of bodies one text file per language.

    @@ file words.py                what follows is the file whose functions are asked for
    @@ good longest                 what follows is an answer for the function `longest` that must be kept
    @@ placeholder_body longest     ... that must be rejected for this reason

An answer that begins with a fence is a chat model's; another one takes the body's place as it is. Of annotations the
task stands in the function's place.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from model.engine.requests import Completion
from model.tokenizer import Tokenizer
from transforms.rows.row import Row, SourceRef, content_sha256
from transforms.tasks.base import RejectedTarget
from transforms.tasks.generate import GenerateTask

GOOD = "good"


@dataclass(frozen=True)
class Answer:
    """One answer: for which function or task of which file, what it says, and `good` or the reason to reject it."""

    row: Row
    asked: str
    text: str
    wanted: str


def read_answers(path: Path) -> Iterator[Answer]:
    """The answers of one text file."""
    row = None
    for part in path.read_text(encoding="utf-8").split("@@ ")[1:]:
        head, _, text = part.partition("\n")
        wanted, _, name = head.partition(" ")
        if wanted == "file":
            sha = content_sha256(text)
            row = Row(SourceRef("corpus.parquet", 0, 0), text, sha, sha, path=name)
        else:
            assert row is not None
            yield Answer(row, name, text.rstrip("\n"), wanted)


def verdict_on(task: GenerateTask, tokenizer: Tokenizer, answer: Answer) -> str:
    """`good`, or the reason for which the task rejects an answer."""
    asked = replace(task, is_chat=answer.text.startswith("```"), only_documented=False, reject_copies=False)
    function = answer.asked.split(".")[-1]
    *_, request = (one for one in asked.requests(answer.row) if one.target.split(":")[1].split(".")[-1] == function)
    if isinstance(request, RejectedTarget):
        return request.rejection.reason
    tokens = tuple(tokenizer.encode(answer.text))
    completion = Completion(tokens=tokens, finish_reason="stop", stop_id=1, mean_logprob=-0.5, prompt_tokens=9)
    verdict = asked.accept(answer.row, request, completion)
    return verdict.rejection.reason if isinstance(verdict, RejectedTarget) else GOOD
