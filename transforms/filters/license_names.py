# ruff: noqa: E501, SIM905 - tables read best unbroken
"""Names of licenses as people write them -> SPDX expressions.

    GPLv3, gpl3, GNU General Public License v3.0     GPL-3.0-only
    GPL-2.0+, GPLv2 or later (GPLv2+)                GPL-2.0-or-later
    mit, The MIT License, Expat                      MIT
    MIT/Apache-2.0                                   MIT OR Apache-2.0
    Acme Source License 3                            None: not recognized, which isn't the same as none

A name is first read as an SPDX expression. Else it is split into words and numbers, without those that carry nothing
(`the`, `license`, `v`), and looked up. A *family* is a word for several licenses, such as `GPL`, which is for policies.

Sources: the SPDX license list (through `license-expression`); the names that GitHub, PyPI, npm and Cargo show.
"""

from __future__ import annotations

import difflib
import functools
import re
from typing import Any

from transforms.corpus.licenses import parse_expression, spdx

_EMPTY_WORDS = frozenset(
    "the license licenses licensed v version software free open source under terms of to and a is this file project all osi approved see in".split()
)
_WORDS = re.compile(r"[a-z]+|\d+(?:\.\d+)*[a-z]?(?![a-z\d])|\d+(?:\.\d+)*|\+")
_JOINED = re.compile(r"\b(a?gpl|lgpl|mpl|epl|asl|eupl|osl|cddl|afl|apache|gfdl|bsl)v(?=\d)")
_GNU = frozenset(
    "gnu affero agpl lesser library lgpl general public gpl gfdl fdl documentation only or any later newer above higher at your option foundation + fsf".split()
)
_GNU_TITLE = re.compile(
    r"\b(?:(?P<AGPL>agpl|affero(?: gnu)?(?: gpl| general public)?)"
    r"|(?P<LGPL>lgpl|(?:lesser|library)(?: or (?:lesser|library))?(?: gnu)?(?: gpl| general public)?)"
    r"|(?P<GFDL>g?fdl|documentation)|(?P<GPL>gpl|general public))\b"
)
_OLDEST_VERSIONS = {"LGPL": "2", "GFDL": "1.1"}
_MAX_PARTS = 6
_PARTS = re.compile(r"[()&,;]|\band\b", re.IGNORECASE)
_LATER = frozenset("later newer above higher +".split())
_CLASSIFIER = re.compile(r"^.*::\s*")
_ABBREVIATED = re.compile(r"(?P<name>.*?)\s*\((?P<abbreviation>[^()]{1,40})\)\s*")
_DANGLING = re.compile(r"^[\s(]*(?:and|or|with)\b|\b(?:and|or|with)[\s)]*$|\(\s*\)", re.IGNORECASE)
"""An operator without a license on one side: what is missing is unknown."""
_JOINS = {
    " OR ": re.compile(r"\s*(?:/|\||,\s*or\b|\bor\b)\s*", re.IGNORECASE),
    " AND ": re.compile(r"\s*(?:&|,\s*and\b|\band\b)\s*", re.IGNORECASE),
}
"""How names of several licenses are joined, by the operator that it means."""
_NAMES = {
    key: identifier
    for identifier, keys in {
        "0BSD": "bsd zero clause|zero clause bsd|0 bsd|bsd 0 clause",
        "AFL-3.0": "academic 3|academic|afl 3|afl",
        "Apache-1.1": "apache 1.1",
        "Apache-2.0": "apache 2|apache|asl 2|apache license 2|apache foundation 2",
        "Artistic-1.0": "artistic 1",
        "Artistic-2.0": "artistic 2",
        "BSD-2-Clause": "bsd 2 clause|2 clause bsd|simplified bsd|bsd simplified|bsd 2|freebsd|bsd 2 clause simplified|simplified bsd 2 clause",
        "BSD-3-Clause": "bsd 3 clause|3 clause bsd|new bsd|modified bsd|revised bsd|bsd new|bsd revised|bsd modified|bsd 3|bsd 3 clause new or revised|new or revised bsd|new bsd 3 clause",
        "BSD-3-Clause-Clear": "bsd 3 clause clear|clear bsd",
        "BSD-4-Clause": "bsd 4 clause|4 clause bsd|original bsd|bsd original|old bsd|bsd 4",
        "BSL-1.0": "boost 1|boost|bsl 1",
        "CC0-1.0": "cc 0|cc 0 1|cc 0 1 universal|creative commons zero 1 universal|creative commons zero|creative commons cc 0|creative commons 0|cc zero",
        "CC-BY-4.0": "cc by 4|creative commons attribution 4|creative commons attribution 4 international|cc by 4 international",
        "CC-BY-3.0": "cc by 3|creative commons attribution 3|creative commons attribution 3 unported",
        "CC-BY-SA-4.0": "cc by sa 4|creative commons attribution share alike 4|creative commons attribution sharealike 4|creative commons attribution share alike 4 international|creative commons attribution sharealike 4 international",
        "CC-BY-SA-3.0": "cc by sa 3|creative commons attribution share alike 3|creative commons attribution sharealike 3|creative commons attribution sharealike 3 unported",
        "CC-BY-NC-4.0": "cc by nc 4|creative commons attribution noncommercial 4|creative commons attribution noncommercial 4 international",
        "CC-BY-NC-SA-4.0": "cc by nc sa 4|creative commons attribution noncommercial sharealike 4|creative commons attribution noncommercial sharealike 4 international",
        "CDDL-1.0": "cddl 1|cddl|common development distribution 1|common development distribution",
        "CPL-1.0": "cpl 1|common public 1",
        "ECL-2.0": "ecl 2|educational community 2",
        "EPL-1.0": "epl 1|eclipse public 1",
        "EPL-2.0": "epl 2|eclipse public 2",
        "EUPL-1.1": "eupl 1.1|european union public 1.1",
        "EUPL-1.2": "eupl 1.2|european union public 1.2",
        "ISC": "isc|iscl",
        "LPPL-1.3c": "lppl 1.3c|latex project public 1.3c|lppl",
        "MIT": "mit|expat|mit expat|expat mit|mit x 11|mitl",
        "MIT-0": "mit 0|mit no attribution",
        "MPL-1.1": "mpl 1.1|mozilla public 1.1",
        "MPL-2.0": "mpl 2|mozilla public 2|mpl|mozilla public",
        "MS-PL": "ms pl|microsoft public",
        "MS-RL": "ms rl|microsoft reciprocal",
        "MulanPSL-2.0": "mulan psl 2|mulan permissive 2|mulanpsl 2",
        "NCSA": "ncsa|university illinois ncsa|uiuc",
        "ODbL-1.0": "odbl 1|odbl|open data commons open database 1",
        "OFL-1.1": "ofl 1.1|ofl|sil font 1.1|sil ofl 1.1|sil font",
        "OSL-3.0": "osl 3|osl 3.0",
        "PostgreSQL": "postgresql|postgres",
        "PSF-2.0": "psf 2|psf|python foundation 2|python foundation|psfl",
        "Ruby": "ruby",
        "UPL-1.0": "upl 1|universal permissive 1",
        "Unlicense": "unlicense|un",
        "Vim": "vim",
        "W3C": "w 3 c",
        "WTFPL": "wtfpl|do what the f ck you want public|do what the fuck you want public|wtfpl 2",
        "X11": "x 11",
        "Zlib": "zlib|zlib libpng",
    }.items()
    for key in keys.split("|")
}
_FAMILIES = {
    "gpl": "GPL-", "lgpl": "LGPL-", "agpl": "AGPL-", "gfdl": "GFDL-", "apache": "Apache-", "bsd": "BSD-", "mpl": "MPL-", "epl": "EPL-", "cddl": "CDDL-",
    "cc by": "CC-BY-", "cc by sa": "CC-BY-SA-", "cc by nc": "CC-BY-NC-", "cc by nd": "CC-BY-ND-", "cc by nc sa": "CC-BY-NC-SA-",
    "cc by nc nd": "CC-BY-NC-ND-", "cc": "CC-", "eupl": "EUPL-", "osl": "OSL-", "artistic": "Artistic-",
}  # fmt: skip
"""Words for all versions of a license, and how their identifiers start, before the version. `cc` means all licenses of
Creative Commons: its identifiers have other words behind the start."""
_GROUP = "cc"


@functools.lru_cache(maxsize=8192)
def parse_license(name: str) -> Any | None:
    """The SPDX expression of a license's name or of an expression, as `license-expression` parses it; None if it isn't
    recognized.

    >>> [str(parse_license(n)) for n in ("GPLv3", "mit", "GNU General Public License v3.0", "MIT/Apache-2.0", "Acme")]
    ['GPL-3.0-only', 'MIT', 'GPL-3.0-only', 'MIT OR Apache-2.0', 'None']
    """
    name = " ".join(name.split())
    if (parsed := parse_expression(name)) is not None:
        return parsed
    if _DANGLING.search(name):
        return None
    named = _CLASSIFIER.sub("", name)
    if identifier := _identifier_of(named) or _abbreviated(named):
        return parse_expression(identifier)
    for operator, join in _JOINS.items():
        parts = [part for part in join.split(named.strip("()")) if part]
        if 2 <= len(parts) <= _MAX_PARTS:
            found = [parse_expression(part) or parse_expression(_identifier_of(part)) for part in parts]
            if all(part is not None for part in found):
                return parse_expression(operator.join(f"({part})" for part in found))
    return None


def _abbreviated(name: str) -> str:
    """The identifier of a name with an abbreviation of the same license in parentheses, or "". Other parentheses may
    restrict the license: `MIT (non-commercial use only)`."""
    found = _ABBREVIATED.fullmatch(name)
    identifier = _identifier_of(found["name"]) if found else ""
    if not found or not identifier:
        return ""
    abbreviation = found["abbreviation"].strip()
    initials = "".join(word[0] for word in re.findall(r"[a-z]+", found["name"].lower()))
    is_same = (
        identifier in (_identifier_of(abbreviation), str(parse_expression(abbreviation)))
        or identifier in family_members(abbreviation)
        or abbreviation.lower() == initials
    )
    return identifier if is_same else ""


def _words_of(name: str) -> list[str]:
    text = _JOINED.sub(r"\1 ", name.lower().replace("licence", "license"))
    words = [word for word in _WORDS.findall(text) if word not in _EMPTY_WORDS]
    return [re.sub(r"\.0$", "", word) for word in words]


_TABLE = {" ".join(_words_of(key)): identifier for key, identifier in _NAMES.items()}


def _identifier_of(name: str) -> str:
    """The identifier of one license that is named in words, or ""."""
    words = _words_of(name)
    known = _TABLE.get(" ".join(words))
    return known or _gnu_identifier(words)


def _gnu_identifier(words: list[str]) -> str:
    versions = [word for word in words if word[0].isdigit()]
    families = {title.lastgroup for title in _GNU_TITLE.finditer(" ".join(words))}
    if len(versions) > 1 or len(families) != 1 or not set(words) - set(versions) <= _GNU:
        return ""
    family = str(families.pop())
    oldest = _OLDEST_VERSIONS.get(family, "1")
    version = versions[0] if versions else oldest
    suffix = "or-later" if _LATER & set(words) or not versions else "only"
    identifier = f"{family}-{version if '.' in version else version + '.0'}-{suffix}"
    return identifier if identifier in spdx().known_symbols else ""


def family_members(name: str) -> tuple[str, ...]:
    """The identifiers of all licenses of a family, such as `GPL`; empty if the word names none.

    >>> "GPL-2.0-only" in family_members("gpl"), "LGPL-2.1-only" in family_members("gpl"), family_members("mit")
    (True, False, ())
    """
    word = " ".join(_words_of(name))
    start = _FAMILIES.get(word)
    if start is None or re.search(r"\d", name):
        return ()
    member = re.compile(re.escape(start) + (".*" if word == _GROUP else r"\d.*"))
    symbols = spdx().known_symbols
    return tuple(sorted(key for key, symbol in symbols.items() if member.fullmatch(key) and not symbol.is_exception))


def named_parts(name: str) -> list[str]:
    """The parts of a name, of which each may name a license that holds: a recognized one beside words that aren't.

    >>> named_parts("GPLv2 (linking allowed) and Acme")
    ['GPLv2', 'linking allowed', 'Acme']
    """
    return [part.strip() for part in _PARTS.split(name) if part.strip()]


def nearest_identifiers(name: str) -> list[str]:
    """Up to three SPDX identifiers that resemble a name, for messages."""
    by_lower = {key.lower(): key for key in spdx().known_symbols if not key.startswith("LicenseRef-")}
    found = difflib.get_close_matches(name.lower().replace(" ", "-"), by_lower, n=3, cutoff=0.5)
    return [by_lower[key] for key in found]
