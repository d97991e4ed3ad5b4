# ruff: noqa: E501 - patterns, word lists and printed lines read best unbroken
"""License policy of a dataset: allow and deny lists of normalized SPDX identifiers.

A file's own statement takes precedence over its repository's: first an SPDX line, then a license header, then the
license column. Names are normalized to SPDX expressions (`license_names.py`). For "MIT OR GPL-3.0" one allowed license
is enough; for "MIT AND GPL-3.0" all licenses must be allowed. A license that is named but not recognized isn't the same
as none: it is counted, no list of allowed licenses contains it, and where a file's SPDX line names it, the repository's
license doesn't count.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import pyarrow as pa

from model.errors import SHOWN_CHARS, ConfigError, one_line, shown
from transforms.corpus.licenses import declared_name, license_of_text
from transforms.filters.license_names import family_members, named_parts, nearest_identifiers, parse_license
from transforms.filters.stage import Stage, StageResult
from transforms.rows.columns import CANDIDATES
from transforms.rows.row import Row

PERMISSIVE = (
    "0BSD", "AFL-3.0", "Apache-2.0", "Artistic-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0", "ISC", "MIT", "MIT-0",
    "NCSA", "PSF-2.0", "Python-2.0", "UPL-1.0", "Unlicense", "WTFPL", "Zlib",
)  # fmt: skip
"""The licenses most common in Stack v2 that are on Blue Oak Council's list (bronze and better)."""
NO_LICENSE = "no license found"
"""Detail of a rejection if a file has no license."""
NO_NAMES = frozenset(("NOASSERTION", "NONE", "none", "None", "other", "Other", "unknown", "no_license", "null"))
"""What columns say where there is no license, or no one knows."""
_HEADER_CHARS = 4096
_ASCII_LETTERS = str.maketrans("\u017f\u212a\u0130\u0131", "skii")
"""The characters that equal an ASCII letter when case is ignored."""
_FIELD_HINTS = ("license:", "licence:", "license :", "@license", "__license__", "license=", "license =", 'license":')
"""One of these is in a text with a field for a license; searching for them first is much faster."""
_FIELD = re.compile(
    r"^[^\w\n]{0,12}(?:@?(?:SPDX-)?licen[cs]e|__license__)[\"']?[ \t]*(?:[:=]|(?<=@license)[ \t])[ \t]*[\"']?(?P<name>[^\n<>]{2,80})",
    re.IGNORECASE | re.MULTILINE,
)
_GRANTS = ("permission is hereby", "permission to use", "permission is granted", "redistribution")
"""One of these is in the texts that don't call themselves a license, such as ISC's and zlib's."""
_LICENSE_WORD = re.compile(rf"licen[cs]e|{'|'.join(_GRANTS)}", re.IGNORECASE)
_COMMENT_MARKS = re.compile(r"^[ \t]*(?:#|//|\*|--|;|%|\"\"\"|/\*)+", re.MULTILINE)
_HEADERS: tuple[tuple[str, str, re.Pattern[str]], ...] = tuple(
    (identifier, words, re.compile(pattern, re.IGNORECASE))
    for identifier, words, pattern in (
        (
            "Apache-2.0",
            "licensed under the apache license",
            r"licensed under the apache license,? version 2\.0",
        ),
        (
            "AGPL-3.0-or-later",
            "gnu affero general public license",
            r"gnu affero general public license[^.]{0,200}version 3[^.]{0,80}or[^.]{0,40}later",
        ),
        (
            "LGPL-3.0-or-later",
            "gnu lesser general public license",
            r"gnu lesser general public license[^.]{0,200}version 3[^.]{0,80}or[^.]{0,40}later",
        ),
        (
            "LGPL-2.1-or-later",
            "gnu lesser general public license",
            r"gnu lesser general public license[^.]{0,200}version 2\.1[^.]{0,80}or[^.]{0,40}later",
        ),
        (
            "LGPL-2.0-or-later",
            " general public license",
            r"gnu (?:lesser|library) general public license[^.]{0,200}version 2[^.]{0,80}or[^.]{0,40}later",
        ),
        (
            "GPL-3.0-or-later",
            "gnu general public license",
            r"gnu general public license[^.]{0,200}version 3[^.]{0,80}or[^.]{0,40}later",
        ),
        (
            "GPL-2.0-or-later",
            "gnu general public license",
            r"gnu general public license[^.]{0,200}version 2[^.]{0,80}or[^.]{0,40}later",
        ),
        (
            "GPL-2.0-only",
            "gnu general public license ",
            r"gnu general public license (?:as published[^.]{0,80})?version 2",
        ),
        (
            "GPL-3.0-only",
            "gnu general public license ",
            r"gnu general public license (?:as published[^.]{0,80})?,? ?(?:\(gpl\) ?)?v(?:ersion|\.)? ?3(?!\.?\d)",
        ),
        (
            "AGPL-3.0-only",
            "gnu affero general public license",
            r"gnu affero general public license (?:as published[^.]{0,80})?,? ?v(?:ersion|\.)? ?3(?!\.?\d)",
        ),
        (
            "LGPL-3.0-only",
            " general public license",
            r"gnu lesser general public license (?:as published[^.]{0,80})?,? ?v(?:ersion|\.)? ?3(?!\.?\d)",
        ),
        (
            "LGPL-2.1-only",
            " general public license",
            r"gnu (?:lesser|library) general public license (?:as published[^.]{0,80})?,? ?v(?:ersion|\.)? ?2\.1",
        ),
        (
            "EPL-2.0",
            "eclipse public license",
            r"eclipse public license,? (?:- )?v(?:ersion|\.)? ?2\.0",
        ),
        (
            "EPL-1.0",
            "eclipse public license",
            r"eclipse public license,? (?:- )?v(?:ersion|\.)? ?1\.0",
        ),
        ("BSL-1.0", "boost software license", r"boost software license,? (?:- )?version 1\.0"),
        ("CDDL-1.0", "common development and distribution license", r"common development and distribution license"),
        ("EUPL-1.2", "eupl", r"\beupl,? v(?:ersion|\.)? ?1\.2"),
        ("MPL-2.0", "mozilla public license", r"mozilla public license,? v(?:ersion|\.)? ?2\.0"),
        (
            "MIT",
            "mit licen",
            r"(?:licen[cs]ed|released|distributed|available|governed) (?:under|by) (?:an? |the )?(?:terms of the )?mit licen[cs]e",
        ),
        (
            "MIT",
            "mit-style licen",
            r"(?:licen[cs]ed|released|distributed|available|governed) (?:under|by) (?:an? |the )?(?:terms of the )?mit-style licen[cs]e",
        ),
        (
            "MIT",
            "mit software licen",
            r"(?:licen[cs]ed|released|distributed|available|governed) (?:under|by) (?:an? |the )?(?:terms of the )?mit software licen[cs]e",
        ),
        (
            "BSD-3-Clause",
            "use of this source code is governed by a bsd-style license",
            r"use of this source code is governed by a bsd-style license",
        ),
    )
)
"""Identifier, words that each match contains, and the pattern. Searching for words is much faster than trying a pattern
at each position."""


@dataclass(frozen=True, kw_only=True)
class LicensePolicy:
    """The licenses that are allowed.

    Args:
        allow: SPDX identifiers; if empty, every license that is not denied is allowed.
        deny: SPDX identifiers; denied even if `allow` contains them.
        unknown_is_allowed: Whether files without a recognized license pass.
    """

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    unknown_is_allowed: bool = True

    def reason(self, expressions: Sequence[str], unrecognized: Sequence[str] = ()) -> str | None:
        """The reason to reject a file, or None: `license_denied`, `license_not_allowed`, `license_not_recognized`,
        `license_unknown`.

        Args:
            expressions: The file's licenses, as SPDX expressions.
            unrecognized: The file's other licenses, by names that are none of SPDX's. One that names a family, such as
                `BSD`, is denied or allowed if all its members are; one that names a denied license among others is
                denied.
        """
        parsed = [expression for expression in map(parse_license, expressions) if expression is not None]
        stated = [*parsed, *(part for name in unrecognized for part in _known_parts(name))]
        if self.deny and any(not _is_met(expression, self._is_not_denied) for expression in stated):
            return "license_denied"
        if self.allow and any(not _is_met(expression, self._is_allowed) for expression in parsed):
            return "license_not_allowed"
        is_strict = bool(self.allow) or not self.unknown_is_allowed
        if is_strict and not all(map(self._allows_family, unrecognized)):
            return "license_not_recognized"
        return None if parsed or unrecognized or self.unknown_is_allowed else "license_unknown"

    def _allows_family(self, name: str) -> bool:
        members = family_members(name)
        return bool(members) and (not self.allow or all(map(self._is_allowed, members)))

    def _is_not_denied(self, identifier: str) -> bool:
        return identifier not in self.deny

    def _is_allowed(self, identifier: str) -> bool:
        return identifier in self.allow and identifier not in self.deny


def make_policy(
    allow: Iterable[str] = (),
    deny: Iterable[str] = (),
    *,
    unknown_is_allowed: bool = True,
) -> LicensePolicy:
    """Checks identifiers. `permissive` in `allow` means all licenses in `PERMISSIVE`; a family such as `GPL` means all
    its versions. Raises ConfigError."""
    allowed = [name for word in allow for name in (PERMISSIVE if word == "permissive" else (word,))]
    return LicensePolicy(
        allow=tuple(sorted({identifier for name in allowed for identifier in _identifiers(name)})),
        deny=tuple(sorted({identifier for name in deny for identifier in _identifiers(name)})),
        unknown_is_allowed=unknown_is_allowed,
    )


class FileLicenses(NamedTuple):
    """A file's licenses: those that are recognized, as SPDX expressions, and the names of the others."""

    expressions: tuple[str, ...] = ()
    unrecognized: tuple[str, ...] = ()


def file_licenses(text: str, repository: Sequence[str] = ()) -> tuple[str, ...]:
    """The recognized licenses of `read_licenses`.

    >>> file_licenses("# Licensed under the Apache License, Version 2.0", ["MIT"])
    ('Apache-2.0',)
    """
    return read_licenses(text, repository).expressions


def read_licenses(text: str, repository: Sequence[str] = ()) -> FileLicenses:
    """The licenses of a file: those of its SPDX line, else of its header, else of its repository.

    >>> read_licenses("# SPDX-License-Identifier: LicenseRef-Acme", ["MIT"])
    FileLicenses(expressions=(), unrecognized=('LicenseRef-Acme',))
    """
    if declared := declared_name(text):
        return _read_names((declared,))
    head = text[:_HEADER_CHARS]
    if _mentions_license(head):
        flat = " ".join(_COMMENT_MARKS.sub(" ", head).split())
        if (found := _license_of_header(flat) or license_of_text(flat) or _license_of_field(head)) is not None:
            return FileLicenses((found,))
    return _read_names(tuple(repository))


@functools.lru_cache(maxsize=1024)
def _read_names(names: tuple[str, ...]) -> FileLicenses:
    parsed = [(name, parse_license(name)) for name in names if name and name not in NO_NAMES]
    return FileLicenses(
        tuple(str(expression) for _, expression in parsed if expression is not None),
        tuple(name for name, expression in parsed if expression is None),
    )


def _license_of_field(head: str) -> str | None:
    """The license that a header names in a field of its own: `License: GPLv3+`, `@license MIT`."""
    lowered = head.lower()
    if not any(map(lowered.__contains__, _FIELD_HINTS)):
        return None
    for field in _FIELD.finditer(head):
        parsed = parse_license(field["name"].strip(" \t\"'.,;*/#"))
        if parsed is not None:
            return str(parsed)
    return None


def _mentions_license(head: str) -> bool:
    if not head.isascii():
        return _LICENSE_WORD.search(head) is not None
    lowered = head.lower()
    mentions = "licen" in lowered and ("license" in lowered or "licence" in lowered)
    return mentions or any(map(lowered.__contains__, _GRANTS))


def _license_of_header(flat: str) -> str | None:
    lowered = (flat if flat.isascii() else flat.translate(_ASCII_LETTERS)).lower()
    for identifier, words, pattern in _HEADERS:
        if words in lowered and pattern.search(flat):
            return identifier
    return None


def license_names(value: Any) -> list[str]:
    """The licenses in a cell of a corpus's license column, which is one text, a list of texts, or null.

    >>> license_names("MIT"), license_names(["MIT", "ISC"]), license_names(None)
    (['MIT'], ['MIT', 'ISC'], [])
    """
    if value is None:
        return []
    return [str(name) for name in value] if isinstance(value, (list, tuple)) else [str(value)]


@dataclass(frozen=True, kw_only=True)
class LicenseStage(Stage):
    """Adds each file's licenses as a column, and rejects files that the policy doesn't allow.

    Args:
        policy: The licenses that are allowed; None allows all.
        column: The input's license column; None detects it by its usual names.
    """

    name: ClassVar[str] = "license"
    fields: ClassVar[tuple[pa.Field, ...]] = (
        pa.field("licenses", pa.list_(pa.field("item", pa.string(), nullable=False)), nullable=False),
    )

    policy: LicensePolicy | None = None
    column: str | None = None

    def examine(self, row: Row) -> StageResult:
        """Reasons: those of `LicensePolicy.reason`."""
        names = (self.column,) if self.column else CANDIDATES["license"]
        repository = next((license_names(row.columns[name]) for name in names if name in row.columns), [])
        found, unrecognized = read_licenses(row.content, repository)
        reason = self.policy.reason(found, unrecognized) if self.policy is not None else None
        detail = "" if reason is None else _stated(found, unrecognized)
        result = self.result({"licenses": list(found)}, reason, detail)
        return result._replace(counts={"license/not_recognized": 1}) if unrecognized else result


def _stated(found: Sequence[str], unrecognized: Sequence[str]) -> str:
    """The licenses that a file states, for the detail of its rejection."""
    stated = [*found, *(f"not recognized: {name}" for name in unrecognized)]
    return one_line(", ".join(stated), SHOWN_CHARS) if stated else NO_LICENSE


def _is_met(expression: Any, is_fine: Any) -> bool:
    """Whether allowed licenses (`is_fine`) satisfy an expression: one license of an OR, all licenses of an AND."""
    name = type(expression).__name__
    if name == "OR":
        return any(_is_met(part, is_fine) for part in expression.args)
    if name == "AND":
        return all(_is_met(part, is_fine) for part in expression.args)
    symbol = getattr(expression, "license_symbol", expression)
    return bool(is_fine(symbol.key))


def _known_parts(name: str) -> list[Any]:
    """The licenses and families that a name contains, as expressions; of a family, one member is enough."""
    parts = [" OR ".join(family_members(part)) or part for part in named_parts(name)]
    return [expression for expression in map(parse_license, parts) if expression is not None]


def _identifiers(name: str) -> tuple[str, ...]:
    """The identifiers that a word in a policy means. Raises ConfigError if it means none."""
    if members := family_members(name):
        return members
    parsed = parse_license(name)
    if parsed is None or not hasattr(parsed, "key"):
        near = nearest_identifiers(name)
        hint = f"; did you mean {', '.join(near)}?" if near else "."
        raise ConfigError(
            f"{shown(name)} is not an SPDX license identifier or a usual name{hint} See https://spdx.org/licenses/"
        )
    identifier = str(parsed.key)
    if identifier.endswith("-only") and "only" not in name.lower():
        return (identifier, f"{identifier.removesuffix('-only')}-or-later")  # GPLv3, GPL-3.0: that version, anyhow
    return (identifier,)
