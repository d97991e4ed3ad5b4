"""Judges of annotations, held to answers written by hand: those that they were built with, and others."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from model.engine.requests import Completion
from model.errors import ConfigError
from tests.transforms.bodies.answers import GOOD, read_answers
from transforms.tasks.annotate import AnnotateTask
from transforms.tasks.answer_texts import asks_for_code, quotes
from transforms.tasks.base import RejectedTarget
from transforms.tasks.contents import changes_only_faults
from transforms.tasks.task_file import load_annotation

HERE = Path(__file__).parent / "annotations"
BY_HAND = list(read_answers(HERE / "by_hand.txt"))


@pytest.fixture
def verdict_on(small_vocabulary, small_tokenizer):
    def judge(answer):
        spec = load_annotation(answer.asked)
        task = AnnotateTask(tokenizer=small_vocabulary, spec=spec, max_prompt_tokens=4096)
        request = next(iter(task.requests(answer.row)))
        tokens = tuple(small_tokenizer.encode(answer.text))
        completion = Completion(tokens=tokens, finish_reason="stop", stop_id=1, mean_logprob=-0.5, prompt_tokens=9)
        verdict = task.accept(answer.row, request, completion)
        return verdict.rejection.reason if isinstance(verdict, RejectedTarget) else GOOD

    return judge


@pytest.mark.parametrize("task", sorted({answer.asked for answer in BY_HAND}))
def test_annotations_are_kept_or_rejected_for_their_reason(task, verdict_on):
    answers = [answer for answer in BY_HAND if answer.asked == task]
    assert not [
        (answer.text, answer.wanted, verdict) for answer in answers if (verdict := verdict_on(answer)) != answer.wanted
    ]


@pytest.mark.parametrize("table", ["held_out", "another_hand", "another_hand_sealed"])
def test_annotations_that_were_held_out_are_told_apart(table, verdict_on):
    answers = read_answers(HERE / f"{table}.txt")
    counts = Counter((answer.wanted == GOOD, verdict_on(answer) == GOOD) for answer in answers)
    assert counts[True, True] >= 0.98 * (counts[True, True] + counts[True, False])
    assert counts[False, False] >= 0.9 * (counts[False, True] + counts[False, False])


def test_a_repair_may_be_made_in_several_places_and_nowhere_else():
    broken = "def f(:\n    return 1\n\n\ndef g(x:\n    return x\n"
    sound = "def f():\n    return 1\n\n\ndef g(x):\n    return x\n"
    assert changes_only_faults(sound, broken, "python")
    assert changes_only_faults(sound.replace("\n\n\n", "\n\n"), broken, "python")
    assert not changes_only_faults(sound.replace("return 1", "return 2"), broken, "python")
    assert not changes_only_faults("import os\n" + sound, broken, "python")


def test_what_is_quoted_stands_in_the_code_with_other_blanks_and_with_parts_left_out():
    code = "def f(a, b):\n    total = a + b\n    return total\n"
    for text in (
        "total = a+b",
        "`return total`",
        "def f(...):",
        "line 2",
        "2: total = a + b",
        "total = a + b\nreturn total",
    ):
        assert quotes([{"where": text}], "where", code), text
    for text in ("total = a - b", "line 9", "def g(...):", "return total ... total = a + b", "tot"):
        assert not quotes([{"where": text}], "where", code), text


@pytest.mark.parametrize(
    "text",
    [
        "The caller must provide the code of a country, e.g. CH.",
        "Please note that the file is closed by the caller.",
        "There is no callback function provided by default, so nothing is called.",
        "If the class is not included, it returns False.",
    ],
)
def test_an_explanation_that_names_code_does_not_ask_for_it(text):
    assert not asks_for_code(text)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("{kind: text, only_faults: true}", "answer.only_faults applies to answers of kind code"),
        ("{kind: code, only_faults: true}", "add whole: true"),
        ("{kind: text, quoted_field: where}", "answer.quoted_field applies to answers of kind json"),
        ("{kind: json, distinct_fields: [1]}", "answer.distinct_fields contains 1"),
    ],
)
def test_keys_about_contents_are_refused_where_they_have_no_use(answer, message, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(f"name: mine\ntargets: [file]\ntemplate: x\nanswer: {answer}\n")
    with pytest.raises(ConfigError, match=message):
        load_annotation(str(path))
