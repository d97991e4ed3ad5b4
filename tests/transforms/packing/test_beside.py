"""Tests are recognized by their names and placed next to the files they test."""

from __future__ import annotations

import pytest

from transforms.packing.beside import name_under_test, pair_tests


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
        ("src/test/kotlin/FooTest.kt", "src/main/java/Foo.java"),
        ("tests/test_foo.py", "pkg/foo/__init__.py"),
        ("src/foo.test.ts", "src/foo/index.ts"),
        ("tests/foo.rs", "src/foo.rs"),
        ("tests/foo.rs", "src/foo/mod.rs"),
        ("tests/sync_mpsc.rs", "src/sync/mpsc.rs"),
        ("tests/sync_mpsc.rs", "src/sync/mpsc/mod.rs"),
        ("src/foo_tests.rs", "src/foo.rs"),
        ("foo_test.cpp", "foo.hpp"),
        ("core/src/jvmTest/kotlin/FunSpecTest.kt", "core/src/jvmMain/kotlin/FunSpec.kt"),
        ("core/src/test/java/SplitTest.java", "core/src/main/java/Split.java"),
        ("core/src/test/java/ConditionsTestsTest.java", "core/src/main/java/ConditionsTests.java"),
        ("src/ApiSpec.test.ts", "src/ApiSpec.ts"),
    ],
)
def test_a_test_finds_its_implementation_by_name(test, implementation):
    assert pair_tests([test], [test, implementation, "other/bar.py"]) == {test: implementation}


@pytest.mark.parametrize(
    "path", ["contest.py", "latest.js", "attestation.go", "test.py", "tests/helper.py", "inspector.rb"]
)
def test_names_that_only_look_like_a_test_s_are_none(path):
    assert name_under_test(path) is None


def test_a_test_of_another_file_is_not_tested_itself():
    files = ["src/Foo.kt", "src/FooSpec.kt", "src/FooSpecTest.kt"]
    assert pair_tests(files, files) == {"src/FooSpec.kt": "src/Foo.kt"}
    assert pair_tests(["test/FooSpecTest.kt"], ["test/FooSpec.kt"]) == {}


def test_mirrored_folders_decide_among_equal_names():
    implementations = ["src/a/util.py", "src/b/util.py"]
    assert pair_tests(["tests/b/test_util.py"], implementations) == {"tests/b/test_util.py": "src/b/util.py"}


def test_what_the_test_imports_decides_before_folders():
    implementations = ["src/a/util.py", "src/b/util.py"]
    imports = {"tests/b/test_util.py": {"src/a/util.py"}}
    assert pair_tests(["tests/b/test_util.py"], implementations, imports) == {"tests/b/test_util.py": "src/a/util.py"}


def test_a_test_in_another_language_is_not_its_test():
    assert pair_tests(["test_foo.py"], ["foo.js"]) == {}


def test_folders_from_the_root_decide_where_nothing_else_does():
    implementations = ["benches/timeout.rs", "tokio/src/time/timeout.rs"]
    assert pair_tests(["tokio/tests/timeout.rs"], implementations) == {
        "tokio/tests/timeout.rs": "tokio/src/time/timeout.rs"
    }


def test_a_source_whose_header_the_test_includes_comes_before_the_header():
    implementations = ["include/db/cache.h", "util/cache.cc", "other/cache.cc"]
    imports = {"util/cache_test.cc": {"include/db/cache.h"}}
    assert pair_tests(["util/cache_test.cc"], implementations, imports) == {"util/cache_test.cc": "util/cache.cc"}
    assert pair_tests(["util/cache_test.cc"], implementations[:1], imports) == {
        "util/cache_test.cc": "include/db/cache.h"
    }


def test_a_helper_of_tests_is_not_tested_under_its_folder_s_name():
    assert pair_tests(["tests/client/test_client.py"], ["tests/client/__init__.py"]) == {}
