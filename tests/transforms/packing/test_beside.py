"""Tests are recognized by their names and placed next to the files they test."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.packing.beside import alphabetical_with_tests, name_under_test, pair_tests


@pytest.mark.parametrize(
    ("test", "implementation"),
    [
        ("src/test/java/a/TestFoo.java", "src/main/java/a/Foo.java"),
        ("src/test/java/a/FooTest.java", "src/main/java/a/Foo.java"),
        ("pkg/foo_test.go", "pkg/foo.go"),
        ("tests/test_foo.py", "pkg/foo.py"),
        ("pkg/foo_test.py", "pkg/foo.py"),
        ("src/foo.spec.ts", "src/foo.ts"),
        ("src/__tests__/foo.test.tsx", "src/foo.ts"),
        ("Shop.Tests/FooTests.cs", "Shop/Foo.cs"),
        ("spec/foo_spec.rb", "lib/foo.rb"),
        ("tests/FooBarTest.php", "src/FooBar.php"),
        ("test/foo_bar_unittest.cc", "src/foo_bar.cc"),
        ("src/FooSpec.kt", "src/Foo.kt"),
    ],
)
def test_a_test_finds_its_implementation_by_name(test, implementation):
    assert pair_tests([test], [test, implementation, "other/bar.py"]) == {test: implementation}


@pytest.mark.parametrize(
    "path", ["contest.py", "latest.js", "attestation.go", "test.py", "tests/helper.py", "inspector.rb"]
)
def test_names_that_only_look_like_a_test_s_are_none(path):
    assert name_under_test(path) is None


def test_mirrored_folders_decide_among_equal_names():
    implementations = ["src/a/util.py", "src/b/util.py"]
    assert pair_tests(["tests/b/test_util.py"], implementations) == {"tests/b/test_util.py": "src/b/util.py"}


def test_what_the_test_imports_decides_before_folders():
    implementations = ["src/a/util.py", "src/b/util.py"]
    imports = {"tests/b/test_util.py": {"src/a/util.py"}}
    assert pair_tests(["tests/b/test_util.py"], implementations, imports) == {"tests/b/test_util.py": "src/a/util.py"}


def test_a_test_in_another_language_is_not_its_test():
    assert pair_tests(["test_foo.py"], ["foo.js"]) == {}


@given(
    st.lists(
        st.sampled_from(["a/foo.py", "t/test_foo.py", "b/bar.go", "b/bar_test.go", "test_x.py", "z.py"]), unique=True
    )
)
def test_each_path_comes_once(paths):
    assert sorted(alphabetical_with_tests(paths)) == sorted(paths)
