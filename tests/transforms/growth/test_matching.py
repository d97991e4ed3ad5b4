"""Rows of a dataset and rows of its input are matched by identity, and counted."""

from __future__ import annotations

from collections import Counter

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from transforms.growth.identity import ROWS_SCHEMA
from transforms.growth.matching import GONE, REPLACED, match_rows


def rows(*identities: str) -> pa.Table:
    """Rows of a letter for the key (`-`: none) and one for the content."""
    table = [
        {"key": None if key == "-" else key.encode() * 16, "content": text.encode() * 16} for key, text in identities
    ]
    return pa.Table.from_pylist(table, schema=pa.schema([ROWS_SCHEMA.field("key"), ROWS_SCHEMA.field("content")]))


def test_the_same_row_in_another_file_is_known():
    found = match_rows(rows("a1", "b1"), rows("b1", "a1"))
    assert list(found.partners) == [1, 0]
    assert not any(found.is_new) and not any(found.reasons)


def test_a_row_of_the_same_path_and_other_content_replaces_the_earlier_one():
    found = match_rows(rows("a1"), rows("a2"))
    assert (found.partners, found.reasons, found.is_new) == ([None], [REPLACED], [True])


def test_a_row_without_a_partner_is_gone():
    assert match_rows(rows("a1"), rows("b1")).reasons == [GONE]


def test_rows_without_a_key_replace_nothing():
    found = match_rows(rows("-1", "-2"), rows("-2", "-3"))
    assert found.reasons == [GONE, ""] and found.is_new == [False, True]


def test_a_row_that_the_input_has_twice_is_needed_twice():
    assert match_rows(rows("a1"), rows("a1", "a1")).is_new == [False, True]
    assert match_rows(rows("a1", "a1"), rows("a1")).reasons == ["", REPLACED]


IDENTITIES = st.lists(st.tuples(st.sampled_from("ab-"), st.sampled_from("12")).map("".join), max_size=8)


@given(IDENTITIES, IDENTITIES)
def test_what_has_partners_and_what_is_new_is_what_the_input_has(held, present):
    found = match_rows(rows(*held), rows(*present))
    stays = Counter(one for one, partner in zip(held, found.partners, strict=True) if partner is not None)
    new = Counter(one for one, is_new in zip(present, found.is_new, strict=True) if is_new)
    assert stays + new == Counter(present)
    partners = [partner for partner in found.partners if partner is not None]
    assert len(set(partners)) == len(partners)
    assert all((partner is None) == bool(reason) for partner, reason in zip(found.partners, found.reasons, strict=True))
