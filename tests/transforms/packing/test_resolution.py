"""Imports of twelve languages, against what a person reads out of small repositories; and what must not resolve."""

from __future__ import annotations

import gc
import weakref

import pytest

from transforms.packing.facts import Import, read_facts
from transforms.packing.graph import dependency_edges
from transforms.packing.resolution import CONFIG_NAMES, RepositoryIndex, resolve
from transforms.packing.resolution.index import joined

from .repositories import EDGES, REPOSITORIES


def index_of(files: dict[str, str], repo_name: str = "org/shop") -> RepositoryIndex:
    facts = [read_facts(path, text, top_lines=None) for path, text in files.items()]
    configs = {path: text for path, text in files.items() if path.rsplit("/", 1)[-1] in CONFIG_NAMES}
    return RepositoryIndex(facts, repo_name, configs)


def edges_of(files: dict[str, str], repo_name: str = "org/shop") -> set[tuple[str, str]]:
    edges = dependency_edges(index_of(files, repo_name))
    return {(importer, imported) for importer, targets in edges.items() for imported in targets}


@pytest.mark.parametrize("name", REPOSITORIES)
def test_edges_are_those_that_a_person_reads(name):
    assert edges_of(REPOSITORIES[name]) == EDGES[name]


def test_precision_and_recall_over_all_small_repositories(record_property):
    true_positives = found = expected = 0
    for name, files in REPOSITORIES.items():
        edges = edges_of(files)
        true_positives += len(edges & EDGES[name])
        found, expected = found + len(edges), expected + len(EDGES[name])
    record_property("precision", true_positives / found)
    record_property("recall", true_positives / expected)
    assert true_positives / found >= 0.98 and true_positives / expected >= 0.98


def test_a_file_that_imports_itself_has_no_edge_to_itself():
    assert edges_of({"a.py": "import a\nfrom a import b\n"}) == set()


def test_paths_that_differ_in_case_alone_are_different_files():
    files = {"Shop.py": "", "shop.py": "", "a.py": "import Shop\n", "b.py": "import shop\n"}
    assert edges_of(files) == {("a.py", "Shop.py"), ("b.py", "shop.py")}


def test_relative_imports_do_not_leave_the_repository():
    assert edges_of({"a/b.py": "from ....x import y\n", "x.py": "", "c.js": "import '../../x'\n"}) == set()
    assert joined("a", "../../b") is None


def test_the_nearest_of_several_files_is_meant():
    files = {"one/util.h": "", "two/util.h": "", "two/sub/a.c": '#include "util.h"\n'}
    assert edges_of(files) == {("two/sub/a.c", "two/util.h")}


def test_go_without_a_go_mod_goes_by_the_repository_s_name():
    files = {"pkg/x/x.go": "package x\n", "main.go": 'package main\nimport "github.com/org/shop/pkg/x"\n'}
    assert edges_of(files) == {("main.go", "pkg/x/x.go")}


def test_broken_configuration_files_are_passed_over():
    files = {"tsconfig.json": "{ not json", "package.json": "[1]", "a.ts": "import './b'\n", "b.ts": ""}
    assert edges_of(files) == {("a.ts", "b.ts")}


def test_a_tsconfig_that_extends_itself_ends():
    files = {"tsconfig.json": '{"extends": "./tsconfig.json"}', "a.ts": "import 'b'\n", "b.ts": ""}
    assert edges_of(files) == set()


def test_files_of_unknown_languages_resolve_nothing():
    index = RepositoryIndex([read_facts("a.cob", "COPY b.", "cobol")])
    assert resolve(Import("b"), "a.cob", index) == []


def test_imports_below_the_top_count_only_when_asked():
    text = "import a\n" + "x = 1\n" * 300 + "import b\n"
    assert [found.target for found in read_facts("c.py", text).imports] == ["a"]
    assert [found.target for found in read_facts("c.py", text, top_lines=None).imports] == ["a", "b"]


def test_imports_in_functions_and_type_checking_blocks_are_nested():
    text = "import a\nif TYPE_CHECKING:\n    import b\ndef f():\n    import c\ntry:\n    import d\nexcept E: ...\n"
    assert [(i.target, i.is_nested) for i in read_facts("x.py", text).imports] == [
        ("a", False),
        ("b", True),
        ("c", True),
        ("d", False),
    ]


@pytest.mark.parametrize(
    "text", ["", "\0", "import", "from . import", "x = (" * 1000, "\ufeffimport a\n", "import a\r\n"]
)
def test_facts_of_odd_files_are_read_without_a_fault(text):
    assert read_facts("x.py", text).path == "x.py"


def test_a_repository_that_was_ordered_is_not_kept_in_memory():
    texts = {
        "go.mod": "module example.org/a\n",
        "Cargo.toml": '[package]\nname = "a"\n',
        "package.json": '{"name": "a"}',
        "tsconfig.json": '{"compilerOptions": {"baseUrl": "."}}',
        "a.go": 'package a\nimport "example.org/a/b"\n',
        "a.rs": "use b::c;\n",
        "a.ts": 'import "b";\n',
        "a.py": "import b\n",
        "b.py": "",
    }
    facts = [read_facts(path, text) for path, text in texts.items()]
    configs = {path: text for path, text in texts.items() if path in CONFIG_NAMES}
    index = RepositoryIndex(facts, "owner/a", configs)
    assert dependency_edges(index) == {"a.py": {"b.py": 1.0}}
    assert index.made, "something was made for the index"
    ended = weakref.ref(index)
    del index
    gc.collect()
    assert ended() is None
