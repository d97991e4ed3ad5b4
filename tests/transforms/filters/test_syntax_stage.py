"""`--require_syntax` rejects files that are known not to parse, and nothing else."""

from __future__ import annotations

import pytest

from transforms.filters.quality import QualityStage
from transforms.rows.row import Row, SourceRef

STAGE = QualityStage(require_syntax=True)
JAVASCRIPT = ("const f = (a) => a;\n", "const f = (a => a;\n")
CSHARP = ("class A { int F() { return 1; } }\n", "class A { int F( { return 1; } }\n")
GO = ("package a\n\nfunc f() {}\n", "package a\n\nfunc f( {}\n")


def reason(content: str, language: str, path: str) -> str | None:
    row = Row(SourceRef("in.parquet", 0, 0), content, "", "", path=path, language=language)
    rejection = STAGE.examine(row).rejection
    return rejection.reason if rejection is not None else None


@pytest.mark.parametrize(
    ("language", "path", "texts"),
    [
        ("js", "", JAVASCRIPT),
        ("", "web/a.js", JAVASCRIPT),
        ("c-sharp", "", CSHARP),
        ("C-Sharp", "", CSHARP),
        ("c_sharp", "", CSHARP),
        ("golang", "", GO),
        ("Python3", "", ("x = 1\n", "x = (\n")),
    ],
)
def test_a_language_is_checked_by_any_of_its_names(language, path, texts):
    sound, broken = texts
    assert reason(sound, language, path) is None
    assert reason(broken, language, path) == "does_not_parse"


@pytest.mark.parametrize(
    ("language", "path"), [("", ""), ("", "a.unknown"), ("no such language", "a.js"), ("text", "")]
)
def test_a_file_whose_syntax_is_undetermined_is_kept(language, path):
    assert reason("const f = (a => a;\n", language, path) is None


def test_a_file_too_large_to_be_checked_is_kept():
    assert reason("x = (1\n" * 200_000, "python", "a.py") is None
