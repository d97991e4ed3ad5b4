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
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from transforms.packing.resolution.index import shared_folders

_TEST_FOLDERS = frozenset({"test", "tests", "__tests__", "spec", "specs", "testing", "unittest", "unittests"})
_SOURCE_FOLDERS = frozenset({"src", "lib", "main", "java", "kotlin", "app"})

# Patterns of a test's stem, with the part that remains; the first match counts.
_TEST_STEMS = (
    re.compile(r"^[Tt]ests?[_-](?P<of>.+)$"),  # test_foo
    re.compile(r"^(?P<of>.+?)[._-](?:unit|e2e|integration)?[._-]?(?:[Tt]ests?|[Ss]pecs?)$"),  # foo_test, foo.spec
    re.compile(r"^Tests?(?P<of>[A-Z].*)$"),  # TestFoo
    re.compile(r"^(?P<of>.*[a-z0-9])(?:Unit|Integration)?(?:Tests?|TestCase|Specs?|IT)$"),  # FooTests
)

# Extensions under which a test and what it tests may stand, by the first of them.
_FAMILIES: Final = {
    extension: family[0]
    for family in (
        (".js", ".ts", ".mjs", ".cjs", ".mts", ".cts", ".jsx", ".tsx", ".vue"),
        (".c", ".cc", ".cpp", ".cxx", ".h", ".hh", ".hpp", ".hxx", ".cu", ".cuh"),
        (".java", ".kt"),
    )
    for extension in family
}
_OF_A_FOLDER: Final = frozenset({"__init__", "index", "mod", "lib"})  # files that stand for the folder that they are in
_HEADERS: Final = frozenset({".h", ".hh", ".hpp", ".hxx", ".cuh"})
# Gradle's and Maven's source sets that hold no tests: `src/main`, `src/commonMain`.
_MAIN_SOURCES: Final = re.compile(r"(?:^|/)src/(?:main|[a-z]\w*Main)/")


def name_under_test(path: str) -> str | None:
    """Returns the stem of the file that a test tests, by the test's name; None if the name is not a test's.

    In Rust, the files of a folder `tests` are tests whatever their names; below `src/main`, none are (`FunSpec.kt`).

    >>> name_under_test("a/TestFoo.java"), name_under_test("foo.spec.ts"), name_under_test("contest.py")
    ('Foo', 'foo', None)
    """
    if _MAIN_SOURCES.search(path):
        return None
    stem = _stem(path)
    for pattern in _TEST_STEMS:
        match = pattern.match(stem)
        if match:
            return match.group("of")
    is_integration_test = path.endswith(".rs") and posixpath.basename(posixpath.dirname(path)) == "tests"
    return stem if is_integration_test and stem not in _OF_A_FOLDER else None


def pair_tests(
    paths: Iterable[str],
    implementations: Iterable[str],
    imports: Mapping[str, Iterable[str]] | None = None,
) -> dict[str, str]:
    """Returns the implementation for each test among `paths` that has one.

    Args:
        paths: The files to pair.
        implementations: Files that may be tested. A test among them isn't, but for one outside of folders for tests
            that is no other file's: `ApiSpec.ts` without an `Api.ts` may be what `ApiSpec.test.ts` tests.
        imports: The files that each test imports.
    """
    by_name: dict[tuple[str, str], list[str]] = defaultdict(list)
    named_as_tests = []
    for path in sorted(implementations):
        if name_under_test(path) is None:
            for own in _names(path):
                by_name[_key(own, path)].append(path)
        elif _TEST_FOLDERS.isdisjoint(path.lower().split("/")[:-1]):
            named_as_tests.append(path)
    alone = [path for path in named_as_tests if _key(name_under_test(path) or "", path) not in by_name]
    for path in alone:
        by_name[_key(_stem(path), path)].append(path)
    pairs = {}
    for path in sorted(paths):
        name = name_under_test(path)
        if name is None:
            continue
        imported = set((imports or {}).get(path, ()))
        tested = _best_by_name(path, by_name.get(_key(name, path), ()), imported)
        if tested is not None:
            pairs[path] = tested
    return pairs


def _best_by_name(test: str, candidates: Sequence[str], imported: Collection[str]) -> str | None:
    """One that is imported or, as a source beside its test, has a header that is; then by agreement of folders."""
    stems = {posixpath.splitext(path)[0] for path in imported}
    extension = posixpath.splitext(test)[1]
    has_header = any(path in imported and posixpath.splitext(path)[1] in _HEADERS for path in candidates)

    def rank(path: str) -> tuple[Any, ...]:
        stem, own = posixpath.splitext(path)
        agreement = _agreement(test, path)
        is_tied = stem in stems or (has_header and own not in _HEADERS and agreement > 0)
        return not is_tied, own in _HEADERS, -agreement, -shared_folders(test, path), own != extension, path

    return min(candidates, key=rank, default=None)


def _is_of_tests(path: str) -> bool:
    return name_under_test(path) is not None or not _TEST_FOLDERS.isdisjoint(path.lower().split("/")[:-1])


def _stem(path: str) -> str:
    return posixpath.splitext(posixpath.basename(path))[0]


def _names(path: str) -> set[str]:
    """Under which names a file is tested: its stem, its folder's where it stands for that, `sync_mpsc` in Rust."""
    *folders, _ = path.split("/")
    stem = _stem(path)
    stands_for_folder = stem in _OF_A_FOLDER and bool(folders) and not _is_of_tests(path)
    names = {stem, folders[-1]} if stands_for_folder else {stem}
    if path.endswith(".rs") and "src" in folders:
        below = folders[folders.index("src") + 1 :]
        names.add("_".join(below if stands_for_folder else [*below, stem]))
    return names


def _key(name: str, path: str) -> tuple[str, str]:
    """The name without case and separators, and the family of the extension: `.ts` and `.tsx` are one."""
    extension = posixpath.splitext(path)[1].lower()
    return re.sub(r"[_\-.]", "", name).lower(), _FAMILIES.get(extension, extension)


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
