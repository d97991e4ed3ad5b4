from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from transforms.corpus.licenses import (
    declared_expression,
    declared_licenses,
    is_license_file,
    license_of_text,
    licenses_by_folder,
    licenses_of,
    parse_expression,
)

MIT = (
    "Permission is hereby granted, free of charge, to any person obtaining a copy of this software.\n"
    "The above copyright notice and this\n   permission notice shall be included in all copies.\n"
)
BSD_3 = (
    "Redistribution and use in source and binary forms are permitted.\nNeither the name of the owner nor those of its\n"
)


@pytest.mark.parametrize(
    ("text", "identifier"),
    [
        (MIT, "MIT"),
        (BSD_3, "BSD-3-Clause"),
        ("Redistribution and use in source and binary forms, with or without modification", "BSD-2-Clause"),
        ("GNU GENERAL PUBLIC LICENSE\n   Version 2, June 1991", "GPL-2.0-only"),
        ("GNU LESSER GENERAL PUBLIC LICENSE\n Version 3, 29 June 2007. GNU General Public License", "LGPL-3.0-only"),
        ("All rights reserved.", None),
        ("", None),
    ],
)
def test_a_licence_is_known_by_its_own_phrases(text, identifier):
    assert license_of_text(text) == identifier


GNU_TITLES = {
    "GPL-1.0-only": ("GNU GENERAL PUBLIC LICENSE", "Version 1, February 1989"),
    "GPL-2.0-only": ("GNU GENERAL PUBLIC LICENSE", "Version 2, June 1991"),
    "GPL-3.0-only": ("GNU GENERAL PUBLIC LICENSE", "Version 3, 29 June 2007"),
    "LGPL-2.0-only": ("GNU LIBRARY GENERAL PUBLIC LICENSE", "Version 2, June 1991"),
    "LGPL-2.1-only": ("GNU LESSER GENERAL PUBLIC LICENSE", "Version 2.1, February 1999"),
    "LGPL-3.0-only": ("GNU LESSER GENERAL PUBLIC LICENSE", "Version 3, 29 June 2007"),
    "AGPL-3.0-only": ("GNU AFFERO GENERAL PUBLIC LICENSE", "Version 3, 19 November 2007"),
    "GFDL-1.2-only": ("GNU Free Documentation License", "Version 1.2, November 2002"),
    "GFDL-1.3-only": ("GNU Free Documentation License", "Version 1.3, 3 November 2008"),
}


@pytest.mark.parametrize("identifier", GNU_TITLES)
@pytest.mark.parametrize("form", ["{}\n  {}\n", "# {}\n\n## {}\n", "{}\n=====\n**{}**\n", "{}\n------\n\n_{}_\n"])
def test_a_gnu_license_is_known_by_its_title_whatever_others_its_text_names(identifier, form):
    others = sorted({title.title() for title, _ in GNU_TITLES.values()})
    tail = "".join(f"Use the {title} instead of this License, or the Apache License.\n" for title in others)
    assert license_of_text(form.format(*GNU_TITLES[identifier]) + tail) == identifier


def test_this_projects_own_licence_is_recognised():
    text = (Path(__file__).parents[3] / "LICENSE").read_text(encoding="utf-8")
    assert license_of_text(text) == "Apache-2.0"


def test_licence_files_are_told_from_sources_of_that_name():
    assert all(map(is_license_file, ["LICENSE", "a/LICENCE.md", "COPYING.LESSER", "LICENSE-APACHE", "UNLICENSE"]))
    assert not any(map(is_license_file, ["license.py", "licensing.md", "copyings.txt", "a/license/x.c"]))


@pytest.mark.parametrize(
    ("text", "identifiers"),
    [
        ("// SPDX-License-Identifier: MIT", ("MIT",)),
        ("/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause) */", ("BSD-3-Clause", "GPL-2.0-only")),
        ("# SPDX-License-Identifier: No-Such-Licence", ()),
        ("# SPDX-License-Identifier: MIT OR", ()),
        ("nothing", ()),
    ],
)
def test_a_files_own_line_is_parsed_against_the_spdx_list(text, identifiers):
    assert declared_licenses(text) == identifiers


TOKENS = ["MIT", "GPL-2.0-only", "Classpath-exception-2.0", "Acme", "AND", "OR", "WITH", "or", "(", ")", "+", ""]


@given(st.lists(st.sampled_from(TOKENS), max_size=8).map(" ".join))
@example("()")
@example("MIT AND ()")
@example("( OR MIT")
def test_any_row_of_license_tokens_is_an_expression_or_none(text):
    parsed = parse_expression(text)
    assert parsed is None or str(parse_expression(str(parsed))) == str(parsed)
    declared = declared_expression(f"# SPDX-License-Identifier: {text}\n")
    assert declared is None or str(parse_expression(declared)) == declared


def test_the_nearest_licence_above_a_file_holds_unless_the_file_names_its_own():
    by_folder = licenses_by_folder([("LICENSE", MIT), ("lib/x/COPYING", BSD_3), ("lib/y/LICENSE", "unknown words")])
    assert licenses_of("a.py", "", by_folder) == ("MIT",)
    assert licenses_of("lib/x/deep/a.py", "", by_folder) == ("BSD-3-Clause",)
    assert licenses_of("lib/xx/a.py", "", by_folder) == ("MIT",)
    assert licenses_of("lib/y/a.py", "", by_folder) == ("MIT",)
    assert licenses_of("lib/x/a.py", "# SPDX-License-Identifier: ISC", by_folder) == ("ISC",)
    assert licenses_of("lib/x/a.py", "# SPDX-License-Identifier: LicenseRef-Acme", by_folder) == ()
    assert licenses_of("lib/x/a.py", "# SPDX-License-Identifier: NOASSERTION", by_folder) == ("BSD-3-Clause",)


def test_two_licences_of_one_folder_both_count():
    assert licenses_by_folder([("LICENSE-MIT", MIT), ("LICENSE-BSD", BSD_3)]) == {"": ("BSD-3-Clause", "MIT")}


def test_a_wheels_licence_holds_for_all_that_it_installs():
    by_folder = licenses_by_folder([("pkg-1.0.dist-info/licenses/LICENSE", MIT)])
    assert licenses_of("pkg/core.py", "", by_folder) == ("MIT",)
