# ruff: noqa: E501 - patterns, word lists and printed lines read best unbroken
from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.errors import ConfigError
from transforms.duplicates.signatures import find_duplicates, jaccard, sign
from transforms.filters.benchmark_index import build_index, load_index, merge_indexes
from transforms.filters.licenses import file_licenses, make_policy
from transforms.filters.quality import FAULTS, Limits, fault, measure
from transforms.scanning.findings import Finding, resolve_overlaps


def words(count: int, seed: int = 0) -> str:
    rng = random.Random(seed)
    return " ".join(f"w{rng.randrange(10**6)}" for _ in range(count))


# --- quality ---------------------------------------------------------------------------------------

UNFIT = {
    "line_too_long": ("python", "x = '" + "word " * 300 + "'\n"),
    "lines_too_long_on_average": ("python", ("y = " + "word " * 30 + "\n") * 3),
    "too_few_alphanumeric": ("python", "(((((((((((((())))))))))))))\n"),
    "mostly_encoded": ("python", "\n".join(["A1b2" * 20] * 10)),
    "lines_repeat": ("python", "value = 1\n" * 50),
    "too_many_comments": ("python", "# a comment here\n# another one\n# and more\n# and again\n# five\n# six\nx = 1\n"),
    "data_like": ("json", '{"a": 1}\n' + "".join(f'{{"k{i}": {i}}}\n' for i in range(6000))),
}


@pytest.mark.parametrize("reason", sorted(UNFIT))
def test_each_fault_is_named(reason):
    language, text = UNFIT[reason]
    assert fault(measure(text, language), Limits(), language) == reason


@pytest.mark.parametrize(
    "text", ["", "x", "x = 1\n", "a = 1\nb = 2\nc = 3\nd = 4\ne = 5\n", "def f(x):\n    # why\n    return x + 1\n"]
)
def test_short_and_ordinary_files_have_no_fault(text):
    assert fault(measure(text, "python"), Limits(), "python") is None


@given(st.text(max_size=200), st.sampled_from(["python", "sql", "", "json"]))
def test_no_text_breaks_a_predicate(text, language):
    signals = measure(text, language)
    assert 0 <= signals.alphanumeric_share <= 1 and 0 <= signals.repeated_line_share <= 1
    assert all(check(signals, Limits(), language) in (True, False) for check in FAULTS)


# --- licenses --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expressions", "reason"),
    [
        (["MIT"], None),
        (["MIT OR GPL-3.0-only"], None),
        (["MIT AND GPL-3.0-only"], "license_denied"),
        (["GPL-3.0-only"], "license_denied"),
        (["EUPL-1.2"], "license_not_allowed"),
        ([], "license_unknown"),
        (["no such license"], "license_unknown"),
    ],
)
def test_licenses_are_checked_by_their_expression(expressions, reason):
    policy = make_policy(["permissive"], ["GPL-3.0-only"], unknown_is_allowed=False)
    assert policy.reason(expressions) == reason


def test_an_unknown_license_identifier_is_refused():
    with pytest.raises(ConfigError, match="is not an SPDX license identifier"):
        make_policy(["MITT"])


def test_a_header_says_more_than_the_repository():
    header = "# This program is free software under the GNU General Public License as published by\n# the FSF, either version 3 of the License, or any later version.\n"
    assert file_licenses(header + "x = 1\n", ["MIT"]) == ("GPL-3.0-or-later",)
    assert file_licenses("x = 1\n", ["MIT", "unheard of"]) == ("MIT",)


# --- contamination, duplicates ---------------------------------------------------------------


def test_an_item_is_found_in_reformatted_text_with_where_it_stands():
    item = words(40, 1)
    index = build_index([("bench", "item/1", item), ("bench", "item/2", words(40, 2))])
    (found,) = index.find("before it all\n" + item.replace(" ", ";\n    ").upper())
    assert (found.benchmark, found.item, found.num_ngrams, found.first_token) == ("bench", "item/1", 29, 3)


def test_an_item_shorter_than_an_ngram_must_stand_whole():
    item = words(9, 3)
    index = build_index([("bench", "short", item)])
    assert index.find(f"a {item} b") and not index.find(item.rsplit(" ", 1)[0])


def test_what_three_problems_share_is_boilerplate():
    shared = words(20, 4)
    index = build_index([("b", str(i), shared + " " + words(20, 10 + i)) for i in range(3)])
    assert index.find(shared) == []


def test_the_public_index_holds_hashes_and_names_only_and_merges():
    public = load_index()
    assert all(name and item for name, item in public.items) and len(public.by_length[12][0]) > 10_000
    item = words(30, 5)
    merged = merge_indexes(public, build_index([("own", "1", item)]))
    assert [c.benchmark for c in merged.find(item)] == ["own"]


def test_near_duplicates_are_found_and_others_left():
    base = words(300, 8).split()
    near = [*base[:290], *words(10, 9).split()]
    signatures = [sign("a", " ".join(base)), sign("b", " ".join(near)), sign("c", words(300, 10))]
    assert {key: d.kept for key, d in find_duplicates(signatures).items()} == {"b": "a"}


@given(st.permutations(range(5)))
def test_clusters_do_not_depend_on_order(order):
    texts = [words(60, 11), words(60, 11) + " more", words(60, 12), words(60, 11), "x = 1"]
    signatures = [sign(str(i), texts[i]) for i in range(5)]
    assert find_duplicates([signatures[i] for i in order]) == find_duplicates(signatures)


def test_jaccard_is_that_of_the_sets_of_five_grams():
    assert jaccard(sign("a", "a b c d e f g"), sign("b", "a b c d e f x")) == pytest.approx(2 / 4)


# --- overlaps --------------------------------------------------------------------------------------


def finding(start: int, end: int, *, validated: bool = False, specificity: int = 0, rule: str = "r") -> Finding:
    return Finding("t", rule, start, end, start, end, 0.5, validated, specificity, "")


@pytest.mark.parametrize(
    ("other", "winner"),
    [
        (finding(0, 9, validated=True), 1),
        (finding(2, 5, specificity=2), 1),
        (finding(0, 30), 1),
        (finding(2, 5), 0),
    ],
)
def test_validated_beats_specific_beats_longest(other, winner):
    pair = [finding(0, 20), other]
    assert resolve_overlaps(pair) == resolve_overlaps(pair[::-1]) == [pair[winner]]


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 20), st.booleans(), st.integers(0, 2)), max_size=12))
def test_resolved_findings_never_overlap(spans):
    findings = [finding(s, s + n, validated=v, specificity=p) for s, n, v, p in spans]
    resolved = resolve_overlaps(findings)
    assert all(a.end <= b.start for a, b in itertools.pairwise(resolved))
    assert bool(resolved) == bool(findings)
