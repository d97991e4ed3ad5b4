"""License headers and import blocks are found, and little else; middles in them are few."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.fim import spans as spans_module
from transforms.fim.boilerplate import boilerplate
from transforms.fim.kinds import KINDS
from transforms.fim.spans import Recipe, choose_spans
from transforms.languages.lookup import find_language
from transforms.rows.row import content_sha256

HEADS = {
    "Python": "#!/usr/bin/env python\n# Copyright 2020 A\n# All rights reserved\nimport os\nfrom a import (\n  b,\n)",
    "Java": "/*\n * Licensed under X\n */\npackage a.b;\n\nimport c.D;\nimport static e.F.*;",
    "Kotlin": "/* Copyright */\n@file:JvmName(\"A\")\npackage a\n\nimport b.C",
    "Go": "// Copyright A\n// more\n\npackage a\n\nimport (\n\t\"fmt\"\n)\nimport \"os\"",
    "Rust": "// SPDX-License-Identifier: MIT\n#![deny(x)]\nuse a::{b, c::{d}};\nmod e;\npub(crate) use f::g;",
    "JavaScript": "// Copyright\n'use strict';\nimport a, {\n  b,\n} from 'c'\nconst d = require('e')",
    "TypeScript": "import type { A } from './a'\n// of these\nexport { B } from './b'",
    "C++": "// Copyright A\n#ifndef A_H\n#define A_H\n\n#include <a>\n#include \"b.h\"",
    "C#": "// Copyright A\nusing System;\nusing static A.B;\nnamespace C;",
    "PHP": "<?php\n/* Copyright */\nnamespace A;\nuse B\\C;",
    "Ruby": "# Copyright A\nrequire 'a'\nrequire_relative 'b'",
}  # fmt: skip


@pytest.mark.parametrize("language", HEADS)
def test_license_header_and_imports_are_one_range_that_ends_before_the_code(language):
    head = HEADS[language]
    found = boilerplate(f"{head}\n\nrest_of_it(1);\n", find_language(language))
    assert list(found) == [(0, len(head))]


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("Python", "# What this is.\nx = 1\nimport os\n"),
        ("Python", '"""What this is."""\nx = 1\n'),
        ("Rust", "mod tests {\n    use super::*;\n}\n"),
        ("JavaScript", "import('a').then(b)\n"),
        ("Go", "// A is what it is.\nfunc A() {}\n"),
        ("C#", "using (var a = b) { }\n"),
        ("Markdown", "import this\n"),
        ("no such language", "import this\n"),
    ],
)
def test_what_tells_of_the_file_or_runs_is_no_boilerplate(language, text):
    assert boilerplate(text, find_language(language)) == ()


def test_a_comment_that_is_no_license_stays_out_of_the_ranges():
    text = "# Copyright A\n\n# What this is.\n\nimport os\n\n# Why.\nx = 1\n"
    found = boilerplate(text, find_language("Python"))
    assert all("Why" not in text[start:end] for start, end in found)
    assert text[found[0][0] : found[0][1]].startswith("# Copyright A")


def _spans(kinds, count=3, seeds=80):
    body = "".join(f"def part_{n}(value):\n    result = value + {n}\n    return result\n\n\n" for n in range(6))
    text = HEADS["Python"] + "\n\n\n" + body
    recipe = Recipe(mix=dict.fromkeys(kinds, 1.0))
    for seed in range(seeds):
        for span in choose_spans(
            text, "Python", job_seed=seed, content_sha256=content_sha256(text), count=count, recipe=recipe
        ):
            yield span, span.end <= len(HEADS["Python"])


def test_few_middles_lie_in_the_head_and_the_others_are_what_they_were(monkeypatch):
    now = list(_spans(["single_line"]))
    monkeypatch.setattr(spans_module, "BOILERPLATE_SHARE", 1.0)
    before = list(_spans(["single_line"]))
    in_head_now, in_head = (sum(inside for _, inside in found) for found in (now, before))
    assert in_head > 20
    assert 0 < in_head_now < in_head / 3
    firsts = list(zip(now[::3], before[::3], strict=True))
    assert all(new == old for new, old in firsts if not old[1])


@given(st.text(alphabet="#/*\n \"'(){};imporuseckag", max_size=80), st.sampled_from([*HEADS, "Markdown", "SQL", ""]))
def test_ranges_are_ordered_and_inside_the_file(text, language):
    place = 0
    for start, end in boilerplate(text, find_language(language)):
        assert place <= start < end <= len(text)
        assert not text[start:end].isspace()
        place = end


@pytest.mark.timeout(20)  # a pass for each line takes minutes
@pytest.mark.parametrize(
    ("text", "blocks_in"),
    [
        ("// x\n" * 30_000, set()),
        ("import a\n" * 30_000, {"JavaScript", "Go"}),
        ("/*", set()),
        ("use a" * 10_000, set()),
        ("import {" * 10_000, {"JavaScript", "Go"}),
    ],
)
def test_long_heads_take_one_pass(text, blocks_in):
    languages = ("Rust", "JavaScript", "Go")
    assert {language for language in languages if boilerplate(text, find_language(language))} == blocks_in


def test_few_runs_of_lines_begin_among_the_imports_and_end_in_the_code():
    found = list(_spans(["multi_line"]))
    straddling = [span for span, inside in found if span.start < len(HEADS["Python"]) and not inside]
    assert len(found) > 100
    assert len(straddling) < len(found) / 20


def test_a_file_of_imports_alone_still_has_middles():
    text = "import os\nimport re\nfrom a import b\nfrom c import d\n"
    found = choose_spans(
        text,
        "Python",
        job_seed=1,
        content_sha256=content_sha256(text),
        count=3,
        recipe=Recipe(mix=dict.fromkeys(KINDS, 1)),
    )
    assert found
