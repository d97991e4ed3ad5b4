"""Brings JavaScript code and tests for it into one script, as `transforms.evaluation` runs them.

Modules export and import; in one script all names are there already. So exports lose their keyword (nothing moves: it
is replaced by blanks), imports of the code's own module go, and other imports become `require`.
"""

from __future__ import annotations

import re
from typing import Final

_EXPORT: Final = re.compile(r"^export\s+(?:default\s+)?(?=async\b|function\b|class\b|const\b|let\b|var\b)", re.M)
_EXPORT_LIST: Final = re.compile(r"^export\s*\{[^}]*\}[^\n]*", re.M)
_IMPORT: Final = re.compile(r"""^import(?=[\s{*])\s*([\w$\s*,{}]+?)\s*from\s*(['"])([^'"\n]+)\2;?""", re.M)
_BARE_IMPORT: Final = re.compile(r"""^import\s*(['"])([^'"\n]+)\1;?""", re.M)
_REQUIRE: Final = re.compile(
    r"""^(?:const|let|var)\s+(?:[^=\n]+|\{[^{}=]*\})\s*=\s*require\(\s*['"]\.[^'"\n]*['"]\s*\)[^\n]*""", re.M
)


def without_exports(code: str) -> str:
    """The code with blanks instead of `export`, each at its place.

    >>> without_exports("export function f() {}")
    '       function f() {}'
    """
    code = _EXPORT.sub(lambda found: _blanks(found[0]), code)
    return _EXPORT_LIST.sub(lambda found: _blanks(found[0]), code)


def without_imports(tests: str) -> str:
    """The tests without imports of the code, which is in the same script, and others as `require`.

    >>> without_imports('import assert from "node:assert";')
    'const assert = require("node:assert");'
    """
    tests = _BARE_IMPORT.sub(lambda found: "" if found[2].startswith(".") else f'require("{found[2]}");', tests)
    return _REQUIRE.sub("", _IMPORT.sub(_required, tests))


def _required(found: re.Match[str]) -> str:
    names, module = " ".join(found[1].split()), found[3]
    if module.startswith("."):
        return ""
    whole, _, more = names.partition(",") if not names.startswith("{") else ("", "", names)
    bound = [f'{_target(one)} = require("{module}")' for one in (whole.strip(), more.strip()) if one]
    return f"const {', '.join(bound)};"


def _target(names: str) -> str:
    """What a part of an import binds, as `const` has it: the module itself, or some of its names."""
    return names.rpartition(" ")[2] if names.startswith("*") else names.replace(" as ", ": ")


def _blanks(text: str) -> str:
    return re.sub(r"[^\r\n]", " ", text)
