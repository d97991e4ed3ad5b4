from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from transforms.generation.selection import behavior_agreement, choose_samples, find_repeats


def test_a_single_sample_is_kept_and_has_no_agreement():
    (chosen,) = choose_samples(["return a"], [-3.0], keep=1)
    assert (chosen.index, chosen.agreement) == (0, None)


def test_what_most_samples_say_beats_a_likelier_outsider():
    texts = ["return width * height", "return width*height", "return (width * height)", "raise RuntimeError"]
    assert choose_samples(texts, [-0.5, -0.6, -0.6, -0.4], keep=1)[0].index == 0


def test_near_duplicates_are_kept_once_and_never_more_than_asked_for():
    texts = ["return a + b", "return a + b ", "total = sum(values)\nreturn total", "yield from values"]
    kept = choose_samples(texts, [-0.1, -0.2, -0.3, -0.4], keep=4)
    assert {chosen.index for chosen in kept} == {0, 2, 3}
    assert len(choose_samples(texts, [-0.1, -0.2, -0.3, -0.4], keep=2)) == 2


def test_ties_fall_to_the_earlier_sample():
    assert choose_samples(["x", "y"], [-1.0, -1.0], keep=1)[0].index == 0


BODY = "def area(width, height):\n    if width < 0:\n        raise ValueError(width)\n    return width * height\n"


def test_an_answer_repeats_another_only_where_question_and_answer_are_both_nearly_alike():
    told = "Gives the area of a rectangle, and raises where its width is below zero."
    again = told.replace("gives", "Gives")
    other = "Multiplies both sides; a negative width is refused with a ValueError."
    elsewhere = "class Disk:\n    def __init__(self, radius):\n        self.radius = radius\n"
    pairs = [(BODY, told), (elsewhere, told), (BODY + "\n", again), (BODY, other), (elsewhere, told)]
    assert find_repeats(pairs) == {2: 0, 4: 1}


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz")), max_size=20))
def test_what_stays_is_the_first_of_each_and_stays_itself(pairs):
    found = find_repeats(pairs)
    assert {pairs[position] for position in range(len(pairs)) if position not in found} == set(pairs)
    assert all(stays < position and stays not in found for position, stays in found.items())
    assert len(found) == len(pairs) - len(set(pairs))


def test_results_that_nobody_knows_are_no_agreement():
    assert behavior_agreement(0, [("1", "", ""), ("2", "", "")]) == 0.0
    assert behavior_agreement(0, [("1", "", "3"), ("", "", "3"), ("1", "2", "")]) == 1.0
    assert behavior_agreement(0, [("1", ""), ("", "2")]) is None
    assert behavior_agreement(0, [("1", "2"), None]) is None
