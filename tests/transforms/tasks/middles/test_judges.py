"""Middles that say nothing, repeat what is there, or talk are told from code."""

from __future__ import annotations

from pathlib import Path

import pytest

from model.engine.requests import Completion
from tests.transforms.tasks.middles import answers
from transforms.fim.spans import Span
from transforms.rows.row import Row, SourceRef, content_sha256
from transforms.tasks.base import RejectedTarget
from transforms.tasks.infill import InfillTask
from transforms.tasks.middles.judges import is_nothing_instead, repeats_prefix
from transforms.tasks.middles.talk import is_talk
from transforms.tasks.middles.unknown_names import count_unknown_names


def reason_of(task: InfillTask, tokenizer, hole: answers.Hole, answer: str) -> str:
    """Why an answer is rejected; "" if it isn't."""
    before, original, after = hole.parts()
    content = before + original + after
    sha = content_sha256(content)
    row = Row(SourceRef("corpus.parquet", 0, 0), content, sha, sha, path=hole.path, language=hole.language)
    request = task.request_for(row, Span(hole.kind, len(before), len(before) + len(original)))
    tokens = tuple(tokenizer.encode(answer))
    completion = Completion(tokens=tokens, finish_reason="stop", stop_id=1, mean_logprob=-0.5, prompt_tokens=9)
    verdict = task.accept(row, request, completion)
    return verdict.rejection.reason if isinstance(verdict, RejectedTarget) else ""


@pytest.fixture(scope="module")
def task(small_vocabulary) -> InfillTask:
    return InfillTask(tokenizer=small_vocabulary, fim_format="psm", max_prompt_tokens=2048, max_middle_tokens=1000)


@pytest.mark.parametrize("hole", answers.FIRST, ids=lambda hole: f"{hole.language}-{hole.kind}")
def test_each_answer_has_its_verdict(hole, task, small_tokenizer):
    found = {answer: reason_of(task, small_tokenizer, hole, answer) for answer, _ in hole.answers()}
    expected = dict(hole.answers())
    assert {answer: reason for answer, reason in found.items() if reason != expected[answer]} == {}


def test_of_answers_that_the_judges_were_not_made_with_good_ones_are_kept_and_bad_ones_refused(task, small_tokenizer):
    good, bad = [], []
    for hole in answers.SECOND:
        good += [(answer, reason_of(task, small_tokenizer, hole, answer)) for answer in hole.good]
        bad += [(line[1:], reason_of(task, small_tokenizer, hole, line[1:])) for line in hole.bad]
    lost = [found for found in good if found[1]]
    passed = [answer for answer, reason in bad if not reason]
    assert len(lost) <= 0.02 * len(good), lost
    assert len(passed) <= 0.1 * len(bad), passed


@pytest.mark.parametrize("table", ["another_hand", "another_hand_sealed"])
def test_middles_of_a_second_hand_are_told_apart(table, task, small_tokenizer):
    judged = [
        (is_good, reason_of(task, small_tokenizer, hole, answer))
        for hole, is_good, answer in answers.read_holes(Path(__file__).with_name(f"{table}.txt"))
    ]
    lost, refused = ([bool(reason) for is_good, reason in judged if is_good is wanted] for wanted in (True, False))
    assert sum(lost) <= 0.05 * len(lost)
    assert sum(refused) >= 0.9 * len(refused)


@pytest.mark.parametrize(
    ("text", "is_nothing", "repeats", "unknown"),
    [
        (" " * 30_000, True, False, None),
        ("{" + " " * 30_000 + "x", False, True, None),
        ("a" * 19_000, False, True, 1),
        ("a, " * 6_000, False, True, 1),
        ("x\n" * 9_000, False, False, 0),
        ('"' * 19_000, False, True, 0),
    ],
)
@pytest.mark.timeout(20)
def test_long_middles_take_one_pass(text, is_nothing, repeats, unknown):
    assert is_nothing_instead(text, "x = 1", "statement", ("", ""), "java") is is_nothing
    assert not is_talk(text, "x = 1", "")
    assert repeats_prefix(text, "x = 1", text) is repeats
    assert count_unknown_names(text, ["x"], "java") == unknown
