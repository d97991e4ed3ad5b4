from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from transforms.filters import licenses
from transforms.filters.licenses import file_licenses

PARTS = [
    "Licensed under the Apache License, Version 2.0",
    "GNU Affero General Public License version 3 or any later version",
    "GNU Lesser General Public License",
    "GNU Library General Public License version 2 or later",
    "gnu general public license as published by the FSF version 2",
    "GNU General Public License",
    "version 3 or (at your option) any later",
    "Mozilla Public License, v. 2.0",
    "released under the terms of the MIT licence",
    "Use of this source code is governed by a BSD-style license",
    "Permission is hereby granted, free of charge, to any person obtaining a copy",
    "the above copyright notice and this permission notice shall be included",
    "Redistribution and use in source and binary forms",
    "permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is "
    "hereby granted. the software is provided",
    "licensing",
    "licencing",
    "LICEN\u017fED under the apache licen\u017fe, version 2.0",
    "the M\u0130T l\u0131cense",
    "x = 1",
    "# ",
    "\n//",
    ".",
]
TEXTS = st.lists(st.sampled_from(PARTS), max_size=5).map(" ".join)


def with_patterns_alone(text: str) -> tuple[str, ...]:
    """`file_licenses` of a text without an SPDX line, by trying all patterns."""
    head = text[:4096]
    if not re.search(r"(?i)licen[cs]e|permission (?:is hereby|to use|is granted)|redistribution", head):
        return ()
    flat = " ".join(re.sub(r"(?m)^[ \t]*(?:#|//|\*|--|;|%|\"\"\"|/\*)+", " ", head).split())
    for identifier, _, pattern in licenses._HEADERS:
        if pattern.search(flat):
            return (identifier,)
    full = licenses.license_of_text(flat)
    return () if full is None else (full,)


@given(TEXTS)
@example(PARTS[16])
@example(" ".join(PARTS[13:15]))
@example(" ".join(PARTS[13:16:2]))
def test_words_that_are_searched_for_first_change_no_license(text):
    assert file_licenses(text) == with_patterns_alone(text)


@pytest.mark.parametrize(
    ("identifier", "text"),
    [
        ("ISC", "Permission to use, copy, modify, and distribute this software for any purpose with or without fee\n"
                "is hereby granted, provided that the above copyright notice and this permission notice appear in all"
                " copies."),
        ("Zlib", "This software is provided 'as-is', without any express or implied warranty.\nPermission is granted to"
                 " anyone. Altered source versions must be plainly marked as such."),
    ],
)  # fmt: skip
def test_a_text_that_does_not_call_itself_a_license_is_one(identifier, text):
    for mark in ("#", "//", " *"):
        assert file_licenses("".join(f"{mark} {line}\n" for line in text.split("\n"))) == (identifier,)


@pytest.mark.parametrize(("identifier", "words", "pattern"), licenses._HEADERS)
def test_the_words_of_a_header_are_part_of_its_pattern(identifier, words, pattern):
    assert words.strip() in pattern.pattern and words == words.lower()
