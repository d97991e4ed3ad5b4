from __future__ import annotations

from transforms.selection import choose_samples


def test_a_lone_sample_is_kept_and_no_agreement_is_told_of_it():
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
