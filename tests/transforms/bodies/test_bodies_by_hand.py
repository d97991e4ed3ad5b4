"""Judges of bodies, held to answers written by hand: 40 a language that they were built with, 20 that they were not,
and 40 by another hand.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.transforms.bodies.answers import GOOD, read_answers, verdict_on
from transforms.bodies.holes import BODY_LANGUAGES
from transforms.tasks.generate import GenerateTask

HERE = Path(__file__).parent
BY_HAND = sorted((HERE / "by_hand").glob("*.txt"))
HELD_OUT = sorted((HERE / "held_out").glob("*.txt"))
LEAST_KEPT, LEAST_REFUSED = 0.98, 0.9


@pytest.fixture
def task(small_vocabulary):
    return GenerateTask(tokenizer=small_vocabulary, max_prompt_tokens=8192)


def test_every_language_has_its_answers():
    languages = set(BODY_LANGUAGES) - {"tsx"}
    assert {path.stem for path in BY_HAND} == {path.stem for path in HELD_OUT} == languages
    for path in BY_HAND:
        counts = Counter(answer.wanted == GOOD for answer in read_answers(path))
        assert counts[True] >= 20 and counts[False] >= 20, path.stem


@pytest.mark.parametrize("path", BY_HAND, ids=lambda path: path.stem)
def test_answers_are_kept_or_rejected_for_their_reason(path, task, small_tokenizer):
    wrong = [
        (answer.asked, answer.text, answer.wanted, verdict)
        for answer in read_answers(path)
        if (verdict := verdict_on(task, small_tokenizer, answer)) != answer.wanted
    ]
    assert not wrong


@pytest.mark.parametrize("folder", ["held_out", "another_hand", "another_hand_sealed"])
def test_answers_that_were_held_out_are_told_apart_as_often_as_is_claimed(folder, task, small_tokenizer):
    kept, refused = Counter(), Counter()
    for path in sorted((HERE / folder).glob("*.txt")):
        for answer in read_answers(path):
            is_kept = verdict_on(task, small_tokenizer, answer) == GOOD
            (kept if answer.wanted == GOOD else refused)[is_kept] += 1
    assert kept[True] >= LEAST_KEPT * kept.total()
    assert refused[False] >= LEAST_REFUSED * refused.total()
