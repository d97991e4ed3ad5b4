"""Puts each test beside what it tests: by name, by mirrored folders, by what the test imports.

`TestFoo.java` by `Foo.java`, `foo_test.go` by `foo.go`, `test_foo.py` by `foo.py`, `foo.spec.ts` by `foo.ts`,
`FooTests.cs` by `Foo.cs`. A test's name without the marks of a test is the name of what it tests, in any case and
without `_` and `-`; of several files of that name, one that the test imports comes first, then the one whose folders
agree best once `test` folders are left out.
Source: arXiv 2406.11409, "unit test-based lexical packing".
"""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping

_TEST_FOLDERS = frozenset({"test", "tests", "__tests__", "spec", "specs", "testing", "unittest", "unittests"})
_SOURCE_FOLDERS = frozenset({"src", "lib", "main", "java", "kotlin", "app"})

# A test's stem and what is left of it; the first that matches counts.
_TEST_STEMS = (
    re.compile(r"^[Tt]ests?[_-](?P<of>.+)$"),  # test_foo
    re.compile(r"^(?P<of>.+?)[._-](?:unit|e2e|integration)?[._-]?(?:[Tt]ests?|[Ss]pecs?)$"),  # foo_test, foo.spec
    re.compile(r"^Tests?(?P<of>[A-Z].*)$"),  # TestFoo
    re.compile(r"^(?P<of>.*[a-z0-9])(?:Unit|Integration)?(?:Tests?|TestCase|Specs?|IT)$"),  # FooTests
)


def name_under_test(path: str) -> str | None:
    """The stem of what a test file tests, by its name; None where the name is no test's.

    >>> name_under_test("a/TestFoo.java"), name_under_test("foo.spec.ts"), name_under_test("contest.py")
    ('Foo', 'foo', None)
    """
    stem = posixpath.splitext(posixpath.basename(path))[0]
    for pattern in _TEST_STEMS:
        match = pattern.match(stem)
        if match:
            return match.group("of")
    return None


def pair_tests(
    paths: Iterable[str], implementations: Iterable[str], imports: Mapping[str, Iterable[str]] | None = None
) -> dict[str, str]:
    """For each test among `paths` the implementation that it belongs to, where there is one.

    Args:
        paths: The files to pair.
        implementations: The files that may be what a test tests; tests among them don't count.
        imports: What each test imports, resolved.
    """
    by_name: dict[tuple[str, str], list[str]] = defaultdict(list)
    for path in sorted(implementations):
        if name_under_test(path) is None:
            by_name[_key(posixpath.splitext(posixpath.basename(path))[0], path)].append(path)
    pairs = {}
    for path in sorted(paths):
        name = name_under_test(path)
        candidates = by_name.get(_key(name, path), ()) if name else ()
        if candidates:
            imported = set((imports or {}).get(path, ()))
            pairs[path] = min(candidates, key=lambda other: (other not in imported, -_agreement(path, other), other))
    return pairs


def alphabetical_with_tests(paths: Iterable[str], imports: Mapping[str, Iterable[str]] | None = None) -> list[str]:
    """All paths in order, each test moved behind what it tests.

    >>> alphabetical_with_tests(["a/foo.py", "b/bar.py", "tests/test_foo.py"])
    ['a/foo.py', 'tests/test_foo.py', 'b/bar.py']
    """
    ordered = sorted(paths)
    tests: dict[str, list[str]] = defaultdict(list)
    pairs = pair_tests(ordered, ordered, imports)
    for test in ordered:
        if test in pairs:
            tests[pairs[test]].append(test)
    return [item for path in ordered if path not in pairs for item in (path, *tests[path])]


def _key(name: str, path: str) -> tuple[str, str]:
    """Name without case and separators, and the family of the extension (`.ts` and `.tsx` are one)."""
    extension = posixpath.splitext(path)[1].lower()
    return re.sub(r"[_\-.]", "", name).lower(), re.sub(r"^\.(ts|js|mjs|cjs|jsx|tsx|vue)$", ".js", extension)


def _agreement(test: str, implementation: str) -> int:
    """How many folders, from the file upwards, agree once those that only say test or source are left out."""
    skipped = _TEST_FOLDERS | _SOURCE_FOLDERS
    a = [part for part in test.split("/")[:-1] if part.lower() not in skipped]
    b = [part for part in implementation.split("/")[:-1] if part.lower() not in skipped]
    count = 0
    for left, right in zip(reversed(a), reversed(b), strict=False):
        if left != right:
            break
        count += 1
    return count
