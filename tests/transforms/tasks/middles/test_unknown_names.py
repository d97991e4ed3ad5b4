"""Names that stand nowhere else are counted, whatever the language, and those that a middle binds aren't."""

from __future__ import annotations

import pytest

from transforms.tasks.middles.unknown_names import count_unknown_names

KNOWN = "def area(width, height):\n    size = width * height\n"


@pytest.mark.parametrize(
    ("language", "middle", "count"),
    [
        ("python", "size = scaled(width)", 1),
        ("python", "total = 0\nfor one, two in sorted(width):\n    total += one + two", 0),
        ("python", "return [side for side in width if side]", 0),
        ("python", "width.strip().grown(by=height)", 0),
        ("python", "print('no such name')  # nor this", 0),
        ("python", "self.missing(width)", 1),
        ("python", "f = lambda side: side * height", 0),
        ("java", "int total = width; return Math.max(total, missing);", 1),
        ("java", "for (String side : width) { System.out.println(side); }", 0),
        ("kotlin", "val total = listOf(width).map { it + height }", 0),
        ("go", "total, err := missing(width)\nif err != nil { return total }", 1),
        ("rust", "let total = Some(width).unwrap_or(missing);", 1),
        ("rust", "items.iter().map(|side| side * height)", 1),
        ("typescript", "const total = width.map((side, index) => side + index);", 0),
        ("c++", "std::vector<int> sides(width); return sides.size() + missing;", 1),
        ("c#", "foreach (var side in width) Console.WriteLine(side);", 0),
    ],
)
def test_used_names_that_stand_nowhere_else_are_counted(language, middle, count):
    assert count_unknown_names(middle, [KNOWN], language) == count


def test_a_name_is_known_as_a_whole_word_only():
    assert count_unknown_names("wid", ["width swid"], "python") == 1
    assert count_unknown_names("wid", ["swid, wid"], "python") == 0


def test_of_languages_without_a_list_nothing_is_counted():
    assert count_unknown_names("missing", [""], "haskell") is None
    assert count_unknown_names("missing", [""], "no such language") is None
