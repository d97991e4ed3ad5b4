"""The protocols of benchmarks with choices: prompts, choices, right answers and verdicts, on rows made here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.errors import ConfigError, RecordError
from model.tokenizer import Tokenizer
from transforms.evaluation.language import CHOICE_BENCHMARKS
from transforms.evaluation.language.questions import Choice, Question, verdict_of
from transforms.evaluation.language.tokens import encode_choice, requests_of

SHARED = Path(__file__).parents[4].parent / "shared" / "benchmarks"

ROWS = {
    "boolq": {"passage": "Tin melts at 232 degrees.", "question": "does tin melt at all", "answer": True},
    "piqa": {"goal": "Dry a cup.", "sol1": "Use a towel.", "sol2": "Use a hose.", "label": 0},
    "hellaswag": {
        "activity_label": "Baking bread",
        "ctx_a": "A baker stands at a table.",
        "ctx_b": "she",
        "endings": ["kneads dough.", "paints  a wall.", "flies.", "[step] swims."],
        "label": "0",
        "source_id": "made~1",
    },
    "arc_challenge": {
        "id": "Q7",
        "question": "What do plants take in?",
        "choices": {"text": ["iron", "light", "salt"], "label": ["1", "2", "3"]},
        "answerKey": "2",
    },
    "winogrande": {
        "sentence": "The lamp lit the shelf because _ was bright.",
        "option1": "the lamp",
        "option2": "the shelf",
        "answer": "1",
    },
    "mmlu": {"question": " 2 + 2? ", "subject": "small_sums", "choices": ["3", "4", "5", "6"], "answer": 1},
}
PROMPTS = {
    "boolq": ["Tin melts at 232 degrees.\nQuestion: does tin melt at all?\nAnswer:"] * 2,
    "piqa": ["Question: Dry a cup.\nAnswer:"] * 2,
    "hellaswag": ["Baking bread: A baker stands at a table. She"] * 4,
    "arc_challenge": ["Question: What do plants take in?\nAnswer:"] * 3,
    "winogrande": ["The lamp lit the shelf because the lamp", "The lamp lit the shelf because the shelf"],
}
CONTINUATIONS = {
    "boolq": [" no", " yes"],
    "piqa": [" Use a towel.", " Use a hose."],
    "hellaswag": [" kneads dough.", " paints a wall.", " flies.", "  swims."],
    "arc_challenge": [" iron", " light", " salt"],
    "winogrande": [" was bright."] * 2,
    "mmlu": [" A", " B", " C", " D"],
}
GOLDS = {"boolq": 1, "piqa": 0, "hellaswag": 0, "arc_challenge": 1, "winogrande": 0, "mmlu": 1}


def examples(count: int = 5) -> list[dict]:
    return [{**ROWS["mmlu"], "question": f"{n} + 1?", "answer": n % 4} for n in range(count)]


def ask(name: str, **changes: object) -> Question:
    benchmark, row = CHOICE_BENCHMARKS[name], {**ROWS[name], **changes}
    return benchmark.ask(row, benchmark.examples(examples()) if benchmark.shots else None)


@pytest.mark.parametrize("name", CHOICE_BENCHMARKS)
def test_a_row_becomes_its_prompts_choices_and_right_answer(name: str) -> None:
    question = ask(name)
    assert [choice.continuation for choice in question.choices] == CONTINUATIONS[name]
    assert question.gold == GOLDS[name]
    if name in PROMPTS:
        assert [choice.prompt for choice in question.choices] == PROMPTS[name]


def test_mmlu_has_the_first_five_examples_of_its_subject_before_the_question() -> None:
    benchmark = CHOICE_BENCHMARKS["mmlu"]
    others = [{**row, "subject": "botany"} for row in examples()]
    question = benchmark.ask(ROWS["mmlu"], benchmark.examples([*others, *examples(7)]))
    solved = "".join(f"{n} + 1?\nA. 3\nB. 4\nC. 5\nD. 6\nAnswer: {'ABCD'[n % 4]}\n\n" for n in range(5))
    start = "The following are multiple choice questions (with answers) about small sums.\n\n"
    assert question.choices[0].prompt == start + solved + "2 + 2?\nA. 3\nB. 4\nC. 5\nD. 6\nAnswer:"


def test_too_few_examples_of_a_subject_are_one_line() -> None:
    benchmark = CHOICE_BENCHMARKS["mmlu"]
    with pytest.raises(ConfigError, match=r"mmlu needs 5 rows with subject small_sums of its dev split .* has 4"):
        benchmark.examples(examples(4))
    with pytest.raises(ConfigError, match=r"with subject botany .* the file has 0"):
        benchmark.examples(examples(), [{**ROWS["mmlu"], "subject": "botany"}])
    with pytest.raises(ConfigError, match=r"the examples, row 1: it is no example of mmlu \(missing_value"):
        benchmark.examples([{**ROWS["mmlu"], "answer": None}])


def test_wikihows_marks_are_dropped_and_an_empty_second_part_leaves_no_blank() -> None:
    question = ask(
        "hellaswag", activity_label="Home", ctx_a="[header] How to rest [title] Sit down. [step] Sit.", ctx_b=""
    )
    assert question.choices[0].prompt == "Home: How to rest. Sit down. Sit."


@pytest.mark.parametrize("name", CHOICE_BENCHMARKS)
def test_a_wrong_layout_is_one_line_that_names_the_columns(name: str) -> None:
    benchmark = CHOICE_BENCHMARKS[name]
    benchmark.check_columns([*ROWS[name], "more"])
    with pytest.raises(ConfigError) as caught:
        benchmark.check_columns(["text", "label"])
    line = str(caught.value)
    assert "\n" not in line and "the file has text, label" in line
    assert all(column in line for column in benchmark.columns)


@pytest.mark.parametrize(
    ("name", "changes", "reason"),
    [
        ("boolq", {"answer": 2}, "no_gold"),
        ("piqa", {"label": -1}, "no_gold"),
        ("piqa", {"goal": None}, "missing_value"),
        ("hellaswag", {"label": ""}, "no_gold"),
        ("arc_challenge", {"answerKey": "E"}, "no_gold"),
        ("winogrande", {"answer": ""}, "no_gold"),
        ("winogrande", {"answer": "0"}, "no_gold"),
        ("winogrande", {"sentence": "no place"}, "no_blank"),
        ("mmlu", {"answer": 4}, "no_gold"),
        ("mmlu", {"choices": ["a", "b"]}, "wrong_number_of_choices"),
    ],
)
def test_a_row_that_cannot_be_scored_says_why(name: str, changes: dict, reason: str) -> None:
    with pytest.raises(RecordError) as caught:
        ask(name, **changes)
    assert caught.value.reason == reason


def question_of(*texts: str, gold: int = 0) -> Question:
    return Question(choices=tuple(Choice("Q:", f" {text}") for text in texts), gold=gold)


def test_acc_goes_by_the_sum_and_acc_norm_by_the_sum_a_byte() -> None:
    verdict = verdict_of(question_of("no", "certainly not", gold=1), [-4.0, -10.0])
    assert (verdict.predicted, verdict.predicted_norm) == (0, 1)
    assert (verdict.correct, verdict.correct_norm) == (False, True)
    assert verdict.num_bytes == (2, 13) and verdict.logprobs == (-4.0, -10.0)


def test_bytes_are_those_of_utf_8() -> None:
    assert verdict_of(question_of("ä€", ""), [-1.0, -2.0]).num_bytes == (5, 1)


def test_a_tie_goes_to_the_earlier_choice() -> None:
    assert verdict_of(question_of("a", "b", "c", gold=2), [-2.0, -1.0, -1.0]).predicted == 1


texts = st.text(alphabet="ab .\nÄ", max_size=12)


@given(prompt=texts, continuations=st.lists(texts.map(lambda text: f" {text}"), min_size=2, max_size=4))
def test_tokens_of_prompt_and_choice_are_those_of_the_whole_text(small_tokenizer: Tokenizer, prompt, continuations):
    for continuation in continuations:
        first, second = encode_choice(small_tokenizer, Choice(prompt, continuation))
        assert [*first, *second] == [small_tokenizer.bos, *small_tokenizer.encode(prompt + continuation)]
    question = Question(choices=tuple(Choice(prompt, text) for text in continuations), gold=0)
    asked = requests_of(question, small_tokenizer)
    scores = [
        tuple(np.full(len(tokens), -float(i + 1), np.float32) for i, tokens in enumerate(request.continuations))
        for request in asked.requests
    ]
    for choice, (request, number), logprob in zip(question.choices, asked.places, asked.logprobs(scores), strict=True):
        first, second = encode_choice(small_tokenizer, choice)
        assert asked.requests[request].prompt == first and asked.requests[request].continuations[number] == second
        assert logprob == -(number + 1) * len(second)


def test_choices_of_one_prompt_are_one_request_and_those_of_two_are_two(small_tokenizer: Tokenizer) -> None:
    assert len(requests_of(ask("mmlu"), small_tokenizer).requests) == 1
    assert len(requests_of(ask("winogrande"), small_tokenizer).requests) == 2


FILES = {
    "boolq": ("boolq_validation", 3270),
    "piqa": ("piqa_validation", 1838),
    "hellaswag": ("hellaswag_validation", 10_042),
    "arc_challenge": ("arc_challenge_test", 1172),
    "winogrande": ("winogrande_xl_validation", 1267),
    "mmlu": ("mmlu_all_test", 14_042),
}


@pytest.mark.parametrize("name", CHOICE_BENCHMARKS)
def test_every_row_of_the_published_files_is_a_question(name: str) -> None:
    file, count = FILES[name]
    if not (SHARED / f"{file}.parquet").exists():
        pytest.skip("the published benchmarks aren't in ../shared: their texts don't ship with the project")
    table, benchmark = pq.read_table(SHARED / f"{file}.parquet"), CHOICE_BENCHMARKS[name]
    benchmark.check_columns(table.column_names)
    rows = table.to_pylist()
    shots = None
    if benchmark.shots:
        shots = benchmark.examples(pq.read_table(SHARED / "mmlu_all_dev.parquet").to_pylist(), rows)
    questions = [benchmark.ask(row, shots) for row in rows]
    assert len(questions) == count
    golds = [question.gold for question in questions]
    assert set(golds) >= set(range(2)) and all(gold < len(q.choices) for gold, q in zip(golds, questions, strict=True))
    assert max(np.bincount(golds)) < 0.7 * count  # no column is read as the wrong one
