"""Copyright lines are found where they state a notice, and nowhere else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.corpus import copyrights
from transforms.corpus.copyrights import MAX_LINE_CHARS, copyright_lines


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("# Copyright 2019 Example Authors\nx = 1\n", "Copyright 2019 Example Authors"),
        ("/*\n * Copyright (C) 2001-2020, Acme GmbH.\n */", "Copyright (C) 2001-2020, Acme GmbH."),
        ("/* Copyright (c) 2019 Example Authors */ int x;", "Copyright (c) 2019 Example Authors"),
        ("<!-- (c) 2019 Example Authors -->", "(c) 2019 Example Authors"),
        ("// © 2019 Example Authors. All rights reserved.", "© 2019 Example Authors. All rights reserved."),
        ("// SPDX-FileCopyrightText: 2019 Example Authors", "SPDX-FileCopyrightText: 2019 Example Authors"),
        (";; COPYRIGHT (C) THE AUTHORS", "COPYRIGHT (C) THE AUTHORS"),
        ("# Copyright: 2019 Example Authors", "Copyright: 2019 Example Authors"),
        ("   Portions Copyright (c) 2019 Example Authors", "Copyright (c) 2019 Example Authors"),
    ],
)
def test_a_notice_is_found_without_the_marks_of_its_comment(text, line):
    assert copyright_lines("a.c", text) == [line]


@pytest.mark.parametrize(
    "text",
    [
        "The above copyright notice and this permission notice shall be included in all copies.",
        "Copyright [yyyy] [name of copyright owner]",
        "Copyright (c) <year> <owner>",
        "Copyright (c) 2020",
        'print("Copyright (c) 2020 Example Authors")',
        "f(c) 2020 apples",
        "case (c) of",
        "the copyright (c) of all",
    ],
)
def test_a_sentence_a_template_and_code_are_no_notices(text):
    assert copyright_lines("a.c", text) == []


def test_addresses_are_left_out_and_lines_named_once():
    line = "Copyright (c) 2019 Example Authors <jane.doe@mail.example.org>, John Roe (john@example.org)"
    assert copyright_lines("LICENSE", f"{line}\n\n{line}\n") == ["Copyright (c) 2019 Example Authors, John Roe"]


def test_a_license_file_is_read_to_its_end_and_other_files_at_their_start():
    text = "\n" * 5000 + "Copyright 2019 Example Authors\n"
    assert copyright_lines("LICENSE.txt", text) == ["Copyright 2019 Example Authors"]
    assert copyright_lines("a.py", text) == []


def test_the_holder_of_a_gnu_license_is_not_that_of_the_code():
    text = "Copyright (C) 2007 Free Software Foundation, Inc. <https://fsf.org/>\n"
    assert copyright_lines("COPYING", text) == []
    assert copyright_lines("gcc.c", text) == [text.strip()]


def test_a_long_line_is_cut_and_says_so():
    (line,) = copyright_lines("a.py", "# Copyright 2019 " + "Example Authors, " * 100)
    assert len(line) == MAX_LINE_CHARS and line.endswith("…")


@pytest.mark.parametrize("filling", ["a", " ", "Jane Doe <jane@mail.example.org> "])
def test_what_is_far_behind_in_a_line_is_not_read(filling, monkeypatch):
    read = []

    class Addresses:
        def sub(self, new: str, text: str) -> str:
            read.append(len(text))
            return pattern.sub(new, text)

    pattern = copyrights._EMAIL
    monkeypatch.setattr(copyrights, "_EMAIL", Addresses())
    (line,) = copyright_lines("LICENSE", f"Copyright 2019 Example Authors {filling * 9_000}\n")
    assert line.startswith("Copyright 2019 Example Authors") and line.endswith("…") and len(line) <= MAX_LINE_CHARS
    assert read == [800]


@given(st.text(alphabet="Copyright(c)© 2019JD@.\n*#/-", max_size=300))
def test_each_line_is_one_short_line_and_found_again_in_itself(text):
    for line in copyright_lines("a.py", text):
        assert "\n" not in line and len(line) <= MAX_LINE_CHARS
        assert copyright_lines("a.py", line) in ([line], [])
