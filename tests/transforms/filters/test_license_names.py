# ruff: noqa: E501 - a list of names reads best unbroken
from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.errors import ConfigError
from transforms.filters.license_names import (
    _FAMILIES,
    _NAMES,
    _TABLE,
    _words_of,
    family_members,
    nearest_identifiers,
    parse_license,
)
from transforms.filters.licenses import LicenseStage, file_licenses, make_policy
from transforms.rows.row import Row, SourceRef

SPELLINGS = {
    "GPL-3.0-only": ["GPLv3", "gpl3", "GPL-3.0", "GNU General Public License v3.0", "GNU GPL 3", "GPL v3",
                     "GNU General Public License, version 3"],
    "GPL-3.0-or-later": ["GPL-3.0+", "GPLv3+", "GNU General Public License v3 or later (GPLv3+)",
                         "License :: OSI Approved :: GNU General Public License v3 or later (GPLv3+)"],
    "GPL-2.0-or-later": ["GPL v2 (or later)", "GPLv2+"],
    "GPL-2.0-only": ["GPLv2", "gpl-2.0", "GNU General Public License v2.0"],
    "GPL-1.0-or-later": ["GPL", "GNU GPL", "GNU General Public License"],
    "LGPL-2.0-or-later": ["GNU Library or Lesser General Public License (LGPL)", "GNU Lesser GPL", "LGPL"],
    "LGPL-2.1-only": ["LGPL-2.1", "LGPLv2.1", "GNU Lesser General Public License v2.1"],
    "AGPL-3.0-only": ["AGPL3", "GNU Affero General Public License v3.0", "Affero GPL v3"],
    "MIT": ["mit", "MIT License", "The MIT License", "Expat", "License :: OSI Approved :: MIT License", "MIT licence"],
    "Apache-2.0": ["apache-2.0", "Apache 2", "Apache License 2.0", "Apache License, Version 2.0", "Apache Software License",
                   "ASL 2.0", "Apache2", "Apache License 2.0 (Apache)"],
    "BSD-3-Clause": ["bsd-3-clause", "New BSD", "BSD 3-Clause", '"New" or "Revised" BSD License',
                     'BSD 3-Clause "New" or "Revised" License', "3-clause BSD"],
    "BSD-2-Clause": ["Simplified BSD", 'BSD 2-Clause "Simplified" License'],
    "MPL-2.0": ["MPLv2", "Mozilla Public License 2.0", "Mozilla Public License 2.0 (MPL 2.0)", "Mozilla Public License 2.0 (MPL)"],
    "CC0-1.0": ["CC0", "Creative Commons Zero v1.0 Universal"],
    "CC-BY-SA-4.0": ["Creative Commons Attribution Share Alike 4.0 International"],
    "BSL-1.0": ["Boost Software License 1.0"],
    "Unlicense": ["The Unlicense", "unlicense"],
    "ISC": ["ISC License", "ISC License (ISCL)"],
    "EPL-2.0": ["Eclipse Public License 2.0"],
    "MIT OR Apache-2.0": ["MIT/Apache-2.0", "MIT or Apache 2.0", "(MIT OR Apache-2.0)"],
    "GPL-1.0-or-later OR LGPL-2.0-or-later": ["GPL/LGPL", "GPL or LGPL"],
    "GPL-1.0-or-later AND LGPL-2.0-or-later": ["GPL and LGPL", "GNU GPL & GNU Lesser GPL"],
    "GPL-2.0-only AND LGPL-2.1-only": ["GPLv2 and LGPLv2.1"],
    "GPL-2.0-only WITH Classpath-exception-2.0": ["GPL-2.0 WITH Classpath-exception-2.0"],
}  # fmt: skip
UNKNOWN = [
    "Acme Source License 3",
    "BSD",
    "proprietary",
    "GPL-ish",
    "GPLv9",
    "see LICENSE",
    "",
    "MIT and friends",
    "Creative",
    "MIT (non-commercial use only)",
    "Apache 2.0 (with Commons Clause)",
    "ISC (MIT)",
    "GPLv2 (LGPL)",
    "MIT AND",
    "MIT AND ()",
    "(or MIT)",
    "GPL LGPL",
    "GNU GPL, AGPL",
]


def test_a_name_as_people_write_it_is_its_identifier():
    wrong = {
        name: str(parse_license(name))
        for expected, names in SPELLINGS.items()
        for name in [expected, *names]
        if str(parse_license(name)) != expected
    }
    assert wrong == {}


@pytest.mark.parametrize("name", UNKNOWN)
def test_a_name_that_is_no_license_is_not_recognized(name):
    assert parse_license(name) is None


@given(st.text(max_size=40))
def test_any_text_is_read_or_not_recognized(name):
    parsed = parse_license(name)
    assert parsed is None or str(parse_license(str(parsed))) == str(parsed)


def kept(column: list[str], **policy: list[str]) -> list[str]:
    stage = LicenseStage(policy=make_policy(**policy), column="license")
    rows = [Row(SourceRef("in.parquet", 0, 0), "x = 1\n", "", "", columns={"license": name}) for name in column]
    return [row.columns["license"] for row in rows if stage.examine(row).rejection is None]


NAMES = [
    "GPL-3.0-only",
    "GPL-3.0-or-later",
    "GPLv3",
    "GPL-3.0+",
    "GNU General Public License v3.0",
    "gpl3",
    "GPL",
    "mit",
    "LGPL-2.1",
    "Acme",
]


def test_a_family_denies_all_its_versions_and_no_other_license():
    assert kept(NAMES, deny=["GPL"]) == ["mit", "LGPL-2.1", "Acme"]


def test_a_version_without_only_denies_it_with_later_ones_too():
    assert kept(NAMES, deny=["GPLv3"]) == ["GPL", "mit", "LGPL-2.1", "Acme"]
    assert kept(NAMES, deny=["GPL-3.0-only"]) == ["GPL-3.0-or-later", "GPL-3.0+", "GPL", "mit", "LGPL-2.1", "Acme"]


def test_an_unrecognized_license_is_not_among_the_allowed_ones_and_none_is():
    assert kept([*NAMES, "NOASSERTION", ""], allow=["permissive"]) == ["mit", "NOASSERTION", ""]
    stage = LicenseStage(policy=make_policy(allow=["MIT"]), column="license")
    result = stage.examine(Row(SourceRef("in.parquet", 0, 0), "x = 1\n", "", "", columns={"license": "Acme 3"}))
    assert (result.rejection.reason, result.rejection.detail) == ("license_not_recognized", "not recognized: Acme 3")
    assert result.counts == {"license/not_recognized": 1}


def reason(text: str, column: list[str], **policy: list[str]) -> tuple[str, str] | None:
    stage = LicenseStage(policy=make_policy(**policy), column="license")
    rejection = stage.examine(Row(SourceRef("in.parquet", 0, 0), text, "", "", columns={"license": column})).rejection
    return None if rejection is None else (rejection.reason, rejection.detail)


def test_one_recognized_license_does_not_hide_one_that_is_not():
    rejected = ("license_not_recognized", "MIT, not recognized: Acme Proprietary")
    assert reason("x = 1\n", ["MIT", "Acme Proprietary"], allow=["MIT"]) == rejected
    assert reason("x = 1\n", ["MIT", "NOASSERTION"], allow=["MIT"]) is None
    assert reason("x = 1\n", ["MIT", "Acme Proprietary"], deny=["GPL"]) is None
    assert reason("x = 1\n", ["GPLv2", "Acme Proprietary"], deny=["GPL"])[0] == "license_denied"


def test_a_files_own_line_holds_even_if_it_names_no_known_license():
    for name in ("LicenseRef-Acme", "MIT AND", "Acme Proprietary"):
        rejected = ("license_not_recognized", f"not recognized: {name}")
        assert reason(f"# SPDX-License-Identifier: {name}\n", ["MIT"], allow=["MIT"]) == rejected
    for line in ("# SPDX-License-Identifier: NOASSERTION\n", "<!-- SPDX-License-Identifier: MIT -->\n"):
        assert reason(line, ["MIT"], allow=["MIT"]) is None
    assert reason("(SPDX-License-Identifier: ISC)\n", ["MIT"], allow=["MIT"]) == ("license_not_allowed", "ISC")


def test_a_family_in_the_column_is_denied_or_allowed_if_all_its_members_are():
    assert reason("x = 1\n", ["BSD"], deny=["BSD"]) == ("license_denied", "not recognized: BSD")
    assert reason("x = 1\n", ["BSD"], deny=["BSD-4-Clause"]) is None
    assert reason("x = 1\n", ["BSD"], allow=["BSD"]) is None
    assert reason("x = 1\n", ["BSD"], allow=["permissive"]) == ("license_not_recognized", "not recognized: BSD")


@pytest.mark.parametrize("name", ["BSD and GPL", "GPLv2 (LGPL)", "GPL-3.0 (linking allowed)", "Acme, GPL"])
def test_a_denied_license_beside_words_that_are_none_is_denied(name):
    assert kept([name], deny=["GPL"]) == [] and kept([name], allow=["permissive"]) == []
    assert kept([name], deny=["AGPL"]) == [name]


def test_one_side_of_an_or_is_enough_and_an_exception_is_kept():
    assert file_licenses("// SPDX-License-Identifier: MIT OR GPL-3.0-only\n") == ("MIT OR GPL-3.0-only",)
    assert make_policy(deny=["GPL"]).reason(["MIT OR GPL-3.0-only"]) is None
    assert make_policy(deny=["GPL"]).reason(["MIT AND GPL-3.0-only"]) == "license_denied"
    assert make_policy(allow=["permissive"]).reason(["MIT OR GPL-3.0-only"]) is None
    line = "// SPDX-License-Identifier: GPL-2.0-only WITH Classpath-exception-2.0\n"
    assert file_licenses(line) == ("GPL-2.0-only WITH Classpath-exception-2.0",)


@pytest.mark.parametrize("name", ["Apachee", "GPL-9.0", "copyleft-all", "MTI"])
def test_a_word_that_denies_nothing_is_refused_with_the_nearest_identifiers(name):
    with pytest.raises(ConfigError, match="is not an SPDX license identifier") as error:
        make_policy(deny=[name])
    assert all(near in str(error.value) for near in nearest_identifiers(name)) and "\n" not in str(error.value)


def test_families_have_members_and_versions_are_no_family():
    assert {"Apache-1.1", "Apache-2.0"} <= set(family_members("Apache")) and family_members("GPL-3.0") == ()


@pytest.mark.parametrize("key", _NAMES)
def test_every_name_of_the_table_is_its_identifier(key):
    assert str(parse_license(key)) == _TABLE[" ".join(_words_of(key))] == _NAMES[key]


@pytest.mark.parametrize("word", _FAMILIES)
def test_every_family_has_members_that_are_versions_of_it_alone(word):
    members = family_members(word)
    assert members and members == family_members(word.upper().replace(" ", "-"))
    if word != "cc":
        assert all(member.removeprefix(_FAMILIES[word])[0].isdigit() for member in members)


def test_allowing_attribution_allows_no_noncommercial_and_no_underivable_work():
    names = ["CC-BY-4.0", "CC-BY-3.0", "CC-BY-SA-4.0", "CC-BY-NC-4.0", "CC-BY-ND-4.0", "CC-BY-NC-ND-3.0", "CC0-1.0"]
    assert kept(names, allow=["CC-BY"]) == names[:2]
    assert kept(names, allow=["CC BY-NC"]) == ["CC-BY-NC-4.0"]
    assert kept(names, deny=["CC"]) == ["CC0-1.0"]


FSF = (
    "This program is free software: you can redistribute it and/or modify it under the terms of the GNU {name} as "
    "published by the Free Software Foundation, either version {version} of the License, or (at your option) any later "
    "version."
)
HEADERS = {
    "GPL-3.0-or-later": FSF.format(name="General Public License", version=3),
    "GPL-2.0-or-later": FSF.format(name="General Public License", version=2),
    "LGPL-2.1-or-later": FSF.format(name="Lesser General Public License", version=2.1),
    "LGPL-3.0-or-later": FSF.format(name="Lesser General Public License", version=3),
    "LGPL-2.0-or-later": FSF.format(name="Library General Public License", version=2),
    "AGPL-3.0-or-later": FSF.format(name="Affero General Public License", version=3),
    "GPL-2.0-only": "under the terms of the GNU General Public License version 2 as published by the FSF.",
    "GPL-3.0-only": "Licensed under the GNU General Public License v3.",
    "Apache-2.0": 'Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file',
    "MPL-2.0": "This Source Code Form is subject to the terms of the Mozilla Public License, v. 2.0.",
    "EPL-2.0": "are made available under the terms of the Eclipse Public License v2.0 which accompanies",
    "BSL-1.0": "Distributed under the Boost Software License, Version 1.0.",
    "MIT": "Use of this source code is governed by an MIT-style license that can be found in the LICENSE file.",
}


@pytest.mark.parametrize("identifier", HEADERS)
@pytest.mark.parametrize("mark", ["# ", " * ", "// ", ""])
def test_a_header_is_recognized_however_its_lines_are_broken(identifier, mark):
    words, lines = HEADERS[identifier].split(), []
    for at in range(0, len(words), 9):
        lines.append(mark + " ".join(words[at : at + 9]))
    assert file_licenses("\n".join(["#!/bin/x", *lines, "x = 1"]), ["ISC"]) == (identifier,)


@pytest.mark.parametrize(
    ("head", "identifier"),
    [
        ("# License: GPLv3+\n", "GPL-3.0-or-later"),
        ("/**\n * @license MIT\n */\n", "MIT"),
        ('__license__ = "Apache 2.0"\n', "Apache-2.0"),
    ],
)
def test_a_field_of_a_header_names_the_license(head, identifier):
    assert file_licenses(head, ["ISC"]) == (identifier,)


def test_the_column_holds_expressions():
    assert LicenseStage.fields[0].type == pa.list_(pa.field("item", pa.string(), nullable=False))
