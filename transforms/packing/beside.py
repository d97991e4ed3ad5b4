"""Places each test next to the file it tests: by name, by mirrored folders, and by what the test imports.

`TestFoo.java` next to `Foo.java`, `foo_test.go` next to `foo.go`, `test_foo.py` next to `foo.py`, `foo.spec.ts` next to
`foo.ts`, `FooTests.cs` next to `Foo.cs`. A test's name without its test affixes is the name of the tested file, in any
case and without `_` and `-`. Among several files with that name, one that the test imports comes first, then the one
whose folders agree best after `test` folders are removed.
Source: arXiv 2406.11409, "unit test-based lexical packing".
"""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping

_TEST_FOLDERS = frozenset({"test", "tests", "__tests__", "spec", "specs", "testing", "unittest", "unittests"})
_SOURCE_FOLDERS = frozenset({"src", "lib", "main", "java", "kotlin", "app"})

# Patterns of a test's stem, with the part that remains; the first match counts.
_TEST_STEMS = (
    re.compile(r"^[Tt]ests?[_-](?P<of>.+)$"),  # test_foo
    re.compile(r"^(?P<of>.+?)[._-](?:unit|e2e|integration)?[._-]?(?:[Tt]ests?|[Ss]pecs?)$"),  # foo_test, foo.spec
    re.compile(r"^Tests?(?P<of>[A-Z].*)$"),  # TestFoo
    re.compile(r"^(?P<of>.*[a-z0-9])(?:Unit|Integration)?(?:Tests?|TestCase|Specs?|IT)$"),  # FooTests
)


def name_under_test(path: str) -> str | None:
    """Returns the stem of the file that a test tests, by the test's name; None if the name is not a test's.

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
    """Returns the implementation for each test among `paths` that has one.

    Args:
        paths: The files to pair.
        implementations: Files that may be tested; tests among them are ignored.
        imports: The resolved imports of each test.
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
    """Returns all paths in order, each test moved behind the file it tests.

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
    """The name without case and separators, and the family of the extension (`.ts` and `.tsx` are one)."""
    extension = posixpath.splitext(path)[1].lower()
    return re.sub(r"[_\-.]", "", name).lower(), re.sub(r"^\.(ts|js|mjs|cjs|jsx|tsx|vue)$", ".js", extension)


def _agreement(test: str, implementation: str) -> int:
    """How many folders agree, counted from the file upward, after folders that only mean test or source are removed."""
    skipped = _TEST_FOLDERS | _SOURCE_FOLDERS
    a = [part for part in test.split("/")[:-1] if part.lower() not in skipped]
    b = [part for part in implementation.split("/")[:-1] if part.lower() not in skipped]
    count = 0
    for left, right in zip(reversed(a), reversed(b), strict=False):
        if left != right:
            break
        count += 1
    return count
