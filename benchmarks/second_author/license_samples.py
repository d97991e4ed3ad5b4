"""Headers, expressions and names of licenses as projects write them, with the verdicts that they must get."""

from __future__ import annotations

from dataclasses import dataclass

_GNU = """This program is free software{s} you can redistribute it and/or modify it under the terms of the GNU {name}
License as published by the Free Software Foundation{v}.

This program is distributed in the hope that it will be useful, but WITHOUT ANY WARRANTY."""


@dataclass(frozen=True)
class Header:
    """A file's beginning and the SPDX expression that it states; None where it states none."""

    name: str
    path: str
    text: str
    license: str | None


def _commented(text: str, mark: str) -> str:
    return "".join(f"{mark} {line}".rstrip() + "\n" for line in text.splitlines())


def _gnu(name: str, version: str, *, later: bool, semicolon: bool = True) -> str:
    words = (
        f"; either version {version} of the License, or (at your option) any later version"
        if later
        else f", version {version} of the License"
    )
    return _GNU.format(s=";" if semicolon else ":", name=name, v=words)


_APACHE = """Copyright 2019 Boats
Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
the License. You may obtain a copy of the License at

    http://www.apache.org/licenses/LICENSE-2.0
"""
_MPL = """This Source Code Form is subject to the terms of the Mozilla Public License, v. 2.0. If a copy of the MPL was
not distributed with this file, You can obtain one at https://mozilla.org/MPL/2.0/."""
_MIT = """Copyright (c) 2019 Boats

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED."""
_BSD = """Redistribution and use in source and binary forms, with or without modification, are permitted provided that
the following conditions are met:
1. Redistributions of source code must retain the above copyright notice, this list of conditions and the following
   disclaimer.
2. Redistributions in binary form must reproduce the above copyright notice, this list of conditions and the following
   disclaimer in the documentation and/or other materials provided with the distribution.
{third}
THIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS AND CONTRIBUTORS "AS IS" AND ANY EXPRESS OR IMPLIED WARRANTIES,
INCLUDING, BUT NOT LIMITED TO, THE IMPLIED WARRANTIES OF MERCHANTABILITY ARE DISCLAIMED."""
_THIRD = """3. Neither the name of the copyright holder nor the names of its contributors may be used to endorse or
   promote products derived from this software without specific prior written permission.
"""
_ISC = """Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby
granted, provided that the above copyright notice and this permission notice appear in all copies.

THE SOFTWARE IS PROVIDED "AS IS" AND THE AUTHOR DISCLAIMS ALL WARRANTIES WITH REGARD TO THIS SOFTWARE."""


def headers() -> list[Header]:
    """Headers of files, in comments of several languages."""
    made = []

    def add(name: str, text: str, license: str | None, *, also_block: bool = False) -> None:
        made.append(Header(f"{name}, hashes", "a.py", _commented(text, "#") + "\nx = 1\n", license))
        made.append(Header(f"{name}, slashes", "a.go", _commented(text, "//") + "\npackage a\n", license))
        block = "/*\n" + _commented(text, " *") + " */\n\nint x;\n"
        made.append(Header(f"{name}, block", "a.c", block, license))

    for family, kind in (
        ("GPL", "General Public"),
        ("LGPL", "Lesser General Public"),
        ("AGPL", "Affero General Public"),
    ):
        for version in {"GPL": ("2", "3"), "LGPL": ("2.1", "3"), "AGPL": ("3",)}[family]:
            spdx = f"{family}-{version}" + ("" if "." in version else ".0")
            add(f"{spdx} or later", _gnu(kind, version, later=True), f"{spdx}-or-later")
            add(f"{spdx} only", _gnu(kind, version, later=False), f"{spdx}-only")
    for name, text, license in (
        ("Apache", _APACHE, "Apache-2.0"), ("MPL", _MPL, "MPL-2.0"), ("MIT", _MIT, "MIT"), ("ISC", _ISC, "ISC"),
        ("BSD 2", _BSD.format(third=""), "BSD-2-Clause"), ("BSD 3", _BSD.format(third=_THIRD), "BSD-3-Clause"),
        ("SPDX line", "SPDX-License-Identifier: MIT", "MIT"),
        ("SPDX or", "SPDX-License-Identifier: Apache-2.0 OR MIT", "Apache-2.0 OR MIT"),
        ("SPDX with", "SPDX-License-Identifier: GPL-2.0-only WITH Classpath-exception-2.0",
         "GPL-2.0-only WITH Classpath-exception-2.0"),
        ("SPDX old plus", "SPDX-License-Identifier: GPL-2.0+", "GPL-2.0-or-later"),
        ("MIT by name", "Released under the MIT license.", "MIT"),
        ("BSD style of Go", "Copyright 2009 The Boats Authors. All rights reserved.\nUse of this source code is"
         " governed by a BSD-style\nlicense that can be found in the LICENSE file.", None),
        ("all rights reserved", "Copyright 2019 Boats Inc. All rights reserved. Proprietary and confidential.", None),
        ("plain comment", "This module draws boats. See the docs for the license of the pictures.", None),
        ("word license", "Checks the driver's license of the user; mit freundlichen Gruessen.", None),
        ("gpl mentioned", "Doesn't use readline, since that is GPL code.", None),
    ):  # fmt: skip
        add(name, text, license)
    return made


# What a field states, the flag's value, and whether a row with it is kept.
ALLOWED = [
    ("MIT", "permissive", True), ("mit", "permissive", True), ("MIT License", "permissive", True),
    ("Apache License 2.0", "permissive", True), ("apache-2.0", "permissive", True),
    ("BSD 3-Clause \"New\" or \"Revised\" License", "permissive", True), ("ISC", "permissive", True),
    ("GNU General Public License v3.0", "permissive", False), ("GPLv3", "permissive", False),
    ("gpl-3.0", "permissive", False), ("GNU Lesser General Public License v2.1", "permissive", False),
    ("AGPL-3.0-or-later", "permissive", False), ("MIT OR GPL-3.0-only", "permissive", True),
    ("GPL-3.0-only OR MIT", "permissive", True), ("MIT AND GPL-3.0-only", "permissive", False),
    ("(MIT OR Apache-2.0) AND BSD-3-Clause", "permissive", True),
    ("(MIT OR Apache-2.0) AND GPL-2.0-or-later", "permissive", False),
    ("Apache-2.0 WITH LLVM-exception", "permissive", True),
    ("GPL-2.0-only WITH Classpath-exception-2.0", "permissive", False),
    ("MIT/Apache-2.0", "permissive", True), ("MIT", "MIT", True), ("Apache-2.0", "MIT", False),
    ("GPL-3.0-or-later", "GPL-3.0-or-later", True), ("MIT OR Apache-2.0", "Apache-2.0", True),
    ("Unlicense", "permissive", True), ("CC0-1.0", "permissive", True), ("Zlib", "permissive", True),
    ("BSL-1.0", "permissive", True), ("MPL-2.0", "permissive", False), ("EUPL-1.2", "permissive", False),
    ("CC-BY-NC-4.0", "permissive", False), ("Proprietary", "permissive", False), ("NOASSERTION", "permissive", False),
]  # fmt: skip
DENIED = [
    ("GPL-3.0-only", "GPL-3.0-only", False), ("GPL-2.0-or-later", "GPL-3.0-only", True), ("MIT", "GPL-3.0-only", True),
    ("GNU General Public License v3.0", "GPL-3.0-only", False), ("MIT AND GPL-3.0-only", "GPL-3.0-only", False),
    ("MIT OR GPL-3.0-only", "GPL-3.0-only", True),
]  # fmt: skip
