"""Paths and hosts are taken out of texts, and nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.publication.private import Scrubber

SCRUBBER = Scrubber(["builder-7.example.net", "builder-7"])


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("can't read /home/me/in/a.parquet", "can't read a.parquet"),
        ("'/tmp/x/y.py': gone", "'y.py': gone"),
        ("(see /a/b/c)", "(see c)"),
        ("file:///home/me/a.parquet", "a.parquet"),
        ("opened:/home/me/in/a.parquet", "opened:a.parquet"),
        ("user@node:/home/me/a.parquet", "user@node:a.parquet"),
        ("no space in /home/jdoe", "no space in a home folder"),
        ("'/Users/jdoe/': full", "'a home folder': full"),
        ("~/data/a.parquet was read", "a.parquet was read"),
        ("no file: '/home/John Doe/My Files/a b.parquet'", "no file: 'a b.parquet'"),
        ('{"at": "/srv/My Files/a.parquet", "n": 1}', '{"at": "a.parquet", "n": 1}'),
        ("'/home/John Doe' is full", "'a home folder' is full"),
        (r"can't read C:\Users\jdoe\in\a.parquet: gone", "can't read a.parquet: gone"),
        (r"'C:\\Users\\John Doe\\a b.parquet'", "'a b.parquet'"),
        (r"C:\Users\jdoe and 'D:\Users\John Doe' are full", "a home folder and 'a home folder' are full"),
        ("killed on builder-7 and builder-7.example.net.", "killed on a host and a host."),
    ],
)
def test_a_path_leaves_its_last_part_and_a_host_its_kind(text, left):
    assert SCRUBBER.text(text) == left


@pytest.mark.parametrize(
    "text",
    [
        "https://ai.google.dev/gemma/terms",
        "gs://bucket/out/a.parquet",
        "a/part.parquet",
        "1/2 and/or 3/4",
        "/one",
        "x = a / b / c",
        "rebuilder-70",
        "isn't /one or a/b, can't be '/one two'",
        r"C:\one and a\b\c",
        r"the pattern '\d+:\s\w'",
    ],
)
def test_addresses_public_names_and_arithmetic_stay(text):
    assert SCRUBBER.text(text) == text


def test_a_word_of_the_project_is_not_taken_for_a_host_of_that_name(monkeypatch):
    monkeypatch.setattr("socket.gethostname", lambda: "filter")
    summary = {"job": "filter", "sources": [{"name": "data"}], "uri": "data/train-00000-of-00001.parquet"}
    assert Scrubber(["data", "python"]).value(summary) == summary


@given(st.text(alphabet="/\\'\" :~.aC", max_size=40))
def test_scrubbing_a_text_of_paths_twice_is_scrubbing_it_once(text):
    once = SCRUBBER.text(text)
    assert SCRUBBER.text(once) == once


@given(st.recursive(st.text(max_size=20) | st.integers() | st.none(), lambda inner: st.lists(inner, max_size=3)))
def test_scrubbing_twice_is_scrubbing_once(value):
    once = SCRUBBER.value(value)
    assert SCRUBBER.value(once) == once
