"""Hand-made answers in every language: good ones are kept, and bad ones refused, each in a named way."""

from __future__ import annotations

import pytest

from benchmarks.documentation_answers import TABLES, judge, read_table
from transforms.documentation.forms import DOCUMENTED_LANGUAGES

# `Promise<string>` for `Promise<User>`: whether User is another name of a string, the syntax alone doesn't tell.
KNOWN_MISSES = {("typescript", "promise of another")}
LEAST_KEPT, LEAST_REFUSED = 0.98, 0.90


@pytest.mark.parametrize("language", sorted(set(DOCUMENTED_LANGUAGES) - {"tsx"}))
def test_good_answers_are_kept_and_bad_ones_refused(language):
    answers = read_table(TABLES / f"{language}.txt")
    wrong = [
        f"{answer.name}, {answer.kind}: {reason or 'kept'}"
        for answer, reason in judge(answers, language)
        if answer.is_good == bool(reason) and (language, answer.kind) not in KNOWN_MISSES
    ]
    assert not wrong
    assert len(answers) >= 40
    assert 0.4 < sum(answer.is_good for answer in answers) / len(answers) < 0.6


def test_shares_of_the_held_out_answers_reach_the_aim():
    good, bad = shares_of("held_out")
    assert (len(good), len(bad)) == (100, 100)
    assert sum(good) >= LEAST_KEPT * len(good)
    assert sum(bad) >= LEAST_REFUSED * len(bad)


@pytest.mark.parametrize("folder", ["another_hand", "another_hand_sealed"])
def test_answers_of_a_second_hand_are_told_apart(folder):
    good, bad = shares_of(folder)
    assert len(good) == 90 and len(bad) >= 90
    assert sum(good) >= LEAST_KEPT * len(good)
    assert sum(bad) >= LEAST_REFUSED * len(bad)


def test_answers_made_to_be_hard_are_told_apart():
    good, bad = shares_of("hard")
    assert len(good) + len(bad) == 67
    assert all(good)
    assert sum(bad) >= LEAST_REFUSED * len(bad)


def shares_of(folder):
    judged = [item for path in (TABLES / folder).glob("*.txt") for item in judge(read_table(path), path.stem)]
    good = [not reason for answer, reason in judged if answer.is_good]
    return good, [bool(reason) for answer, reason in judged if not answer.is_good]
