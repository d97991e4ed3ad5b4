"""Entries match repositories that are known by their hashes as they match their names."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from transforms.opt_out.hashed import HashedOptOut, hashed_repository
from transforms.opt_out.lists import Entry, OptOut, parse_entry

NAMES = [
    "own/repo",
    "Own/Repo.git",
    "own",
    "own/other",
    "https://github.com/own/repo",
    "gitlab.com/own/repo",
    "https://gitlab.com/own/sub/repo",
    "own/*",
    "gitlab.com/own/*",
    "gitlab.com/own/sub/*",
    "not a repository",
]


def entries(texts: list[str]) -> list[Entry]:
    return [entry for text in texts if (entry := parse_entry(text)) is not None]


@given(st.lists(st.sampled_from(NAMES)), st.sampled_from(NAMES))
def test_the_same_entries_match_names_and_hashes(texts, name):
    opt_out = OptOut(entries(texts))
    assert HashedOptOut(opt_out).find(hashed_repository(name)) == opt_out.find(name)


def test_an_owner_matches_all_its_repositories_and_a_repository_itself_alone():
    find = HashedOptOut(OptOut(entries(["own", "other/one"]))).find
    assert [find(hashed_repository(name)) for name in ("own/a", "other/one", "other/two")] == [(0,), (1,), ()]


def test_hashes_hold_no_name():
    assert b"own" not in hashed_repository("own/repo") and len(hashed_repository("own/repo")) == 24
