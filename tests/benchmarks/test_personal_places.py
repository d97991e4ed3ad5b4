from __future__ import annotations

from collections import Counter

import pytest

from benchmarks.personal_data import is_covered
from benchmarks.personal_places import DEVELOPED, HELD_OUT, LOCALES, PLACES, TYPES, plant


@pytest.mark.parametrize("half", PLACES)
def test_each_country_has_each_type_and_each_value_stands_in_its_text(half):
    planted = plant(half, 2, seed=1)
    assert Counter((item.country, item.type) for item in planted) == {(c, t): 2 for c in LOCALES for t in TYPES}
    assert all(item.value in item.text for item in planted)
    assert planted == plant(half, 2, seed=1)


def test_the_halves_share_no_place():
    assert not {place.text for place in DEVELOPED} & {place.text for place in HELD_OUT}


def test_a_value_counts_as_found_only_if_all_of_it_is_covered():
    text = "tel: (030) 901820, again (030) 901820"
    assert is_covered(text, "(030) 901820", [(6, 17), (25, 37)])
    assert not is_covered(text, "(030) 901820", [(5, 17)])
    assert not is_covered(text, "(030) 901820", [(5, 14), (25, 37)])
