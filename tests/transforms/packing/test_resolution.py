"""Imports of twelve languages, against what a person reads out of small repositories; and what must not resolve."""

from __future__ import annotations

import gc
import weakref

import pytest

from transforms.packing.facts import _uses, read_facts
from transforms.packing.graph import dependency_edges
from transforms.packing.imports import Import
from transforms.packing.resolution import RepositoryIndex, is_config, resolve
from transforms.packing.resolution.index import joined

from .repositories import EDGES, REPOSITORIES


def index_of(files: dict[str, str], repo_name: str = "org/shop") -> RepositoryIndex:
    facts = [read_facts(path, text, top_lines=None) for path, text in files.items()]
    configs = {path: text for path, text in files.items() if is_config(path)}
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
    configs = {path: text for path, text in texts.items() if is_config(path)}
    index = RepositoryIndex(facts, "owner/a", configs)
    assert dependency_edges(index) == {"a.py": {"b.py": 1.0}}
    assert index.made, "something was made for the index"
    ended = weakref.ref(index)
    del index
    gc.collect()
    assert ended() is None


def test_a_tsconfig_takes_paths_of_what_it_extends_and_base_url_of_another():
    files = {
        "config/tsconfig.base.json": '{"compilerOptions": {"paths": {"@lib/*": ["../libs/*/src"]}}}',
        "config/tsconfig.strict.json": '{"compilerOptions": {"strict": true}}',
        "apps/web/tsconfig.json": '{"extends": ["../../config/tsconfig.base.json", "../../config/tsconfig.strict"]}',
        "apps/web/app.ts": "import '@lib/money';\n",
        "libs/money/src/index.ts": "",
        "apps/api/tsconfig.json": (
            '{"extends": "@org/config/tsconfig.base.json", "compilerOptions": {"baseUrl": "src"}}'
        ),
        "apps/api/src/main.ts": "import '@lib/money'; import 'routes/all';\n",
        "apps/api/src/routes/all.ts": "",
        "config/package.json": '{"name": "@org/config"}',
    }
    assert edges_of(files) == {
        ("apps/web/app.ts", "libs/money/src/index.ts"),
        ("apps/api/src/main.ts", "apps/api/src/routes/all.ts"),
    }
    del files["apps/api/tsconfig.json"]
    files["apps/api/tsconfig.app.json"] = '{"extends": "@org/config/tsconfig.base.json"}'
    assert ("apps/api/src/main.ts", "libs/money/src/index.ts") in edges_of(files)


def test_exports_and_imports_of_a_package_lead_to_what_they_are_built_from():
    files = {
        "packages/ui/package.json": (
            '{"name": "@org/ui", "exports": {".": {"types": "./dist/index.d.ts", "import": "./dist/esm/main.js"},'
            ' "./forms/*": "./dist/forms/*.js", "./deep": {"node": {"require": "./cjs/deep.cjs"}}},'
            ' "imports": {"#internal/*": "./src/internal/*.ts"}}'
        ),
        "packages/ui/src/main.ts": "import '#internal/state';\n",
        "packages/ui/src/forms/input.tsx": "",
        "packages/ui/src/deep.ts": "",
        "packages/ui/src/internal/state.ts": "",
        "packages/one/package.json": '{"name": "one", "exports": "./lib/one.js"}',
        "packages/one/src/one.ts": "",
        "app.ts": (
            "import '@org/ui'; import '@org/ui/forms/input'; import '@org/ui/deep'; import 'one'; import 'two';\n"
        ),
    }
    assert edges_of(files) == {
        ("app.ts", "packages/ui/src/main.ts"),
        ("app.ts", "packages/ui/src/forms/input.tsx"),
        ("app.ts", "packages/ui/src/deep.ts"),
        ("app.ts", "packages/one/src/one.ts"),
        ("packages/ui/src/main.ts", "packages/ui/src/internal/state.ts"),
    }


def test_a_library_of_another_name_and_place_is_found_and_so_is_what_a_dependent_calls_it():
    files = {
        "core/Cargo.toml": '[package]\nname = "shop-core"\n[lib]\nname = "corelib"\npath = "source/root.rs"\n',
        "core/source/root.rs": "mod money;\n",
        "core/source/money.rs": "use crate::Total;\n",
        "app/Cargo.toml": (
            '[package]\nname = "app"\n[dependencies]\nengine = { path = "../core", package = "shop-core" }\n'
        ),
        "app/src/main.rs": "use corelib::money::Euro;\nuse engine::Total;\n",
    }
    assert edges_of(files) == {
        ("core/source/root.rs", "core/source/money.rs"),
        ("core/source/money.rs", "core/source/root.rs"),
        ("app/src/main.rs", "core/source/money.rs"),
        ("app/src/main.rs", "core/source/root.rs"),
    }


def test_paths_in_rust_code_are_weak_edges_and_those_in_comments_none():
    files = {
        "Cargo.toml": '[package]\nname = "shop"\n',
        "src/lib.rs": "pub mod money;\npub mod cart;\n// crate::tax::due()\n",
        "src/money.rs": "",
        "src/tax.rs": "",
        "src/cart.rs": "fn total(x: crate::money::Euro) { crate::tax::due(x); super::money::round(x) }\n",
    }
    edges = dependency_edges(index_of(files))
    assert edges["src/cart.rs"] == {"src/money.rs": 0.5, "src/tax.rs": 0.25}
    assert edges["src/lib.rs"] == {"src/money.rs": 1.0, "src/cart.rs": 1.0}


def test_go_s_replace_leads_to_a_module_of_another_name():
    files = {
        "app/go.mod": (
            "module example.com/app\n\nrequire example.com/old v1.0.0\n\nreplace (\n"
            "\texample.com/old v1.0.0 => ../fork\n\texample.com/far => example.com/near v0.1.0\n)\n"
            "replace example.com/gone => ../../outside\n"
        ),
        "fork/go.mod": "module example.com/fork\n",
        "near/go.mod": "module example.com/near\n",
        "app/main.go": (
            'package main\nimport (\n\t"example.com/old/sub"\n\t"example.com/far"\n\t"example.com/gone"\n)\n'
        ),
        "fork/sub/sub.go": "package sub\n",
        "near/near.go": "package near\n",
    }
    assert edges_of(files) == {("app/main.go", "fork/sub/sub.go"), ("app/main.go", "near/near.go")}


def test_modules_that_python_imports_by_a_call_are_edges():
    files = {
        "shop/__init__.py": "",
        "shop/a.py": 'import importlib\nimportlib.import_module("shop.b")\nimport_module(".c", __package__)\n',
        "shop/b.py": 'import_module(".a", other)\nimport_module(name)\nx("shop.a")\n__import__("shop.c")\n',
        "shop/c.py": "# import_module('shop.a')\n",
    }
    assert edges_of(files) == {("shop/a.py", "shop/b.py"), ("shop/a.py", "shop/c.py"), ("shop/b.py", "shop/c.py")}


def test_the_portions_of_a_namespace_package_are_found_below_all_roots():
    files = {
        "one/ns/alpha.py": "from ns import alpha, beta\n",
        "two/ns/beta.py": "import ns.alpha\n",
        "app.py": "from ns import beta, alpha\n",
    }
    assert edges_of(files) == {
        ("one/ns/alpha.py", "two/ns/beta.py"),
        ("two/ns/beta.py", "one/ns/alpha.py"),
        ("app.py", "one/ns/alpha.py"),
        ("app.py", "two/ns/beta.py"),
    }


def test_files_of_a_java_package_depend_on_those_whose_names_they_use():
    files = {
        "a/Cart.java": 'package shop;\nclass Cart { Item item; String s = "Tax"; /* Tax */ Cart other; }\n',
        "a/Item.java": "package shop;\nclass Item { }\n",
        "a/Tax.java": "package shop;\nclass Tax { } // Item\n",
        "b/Item.java": "package other;\nclass Item { Cart c; }\n",
        "c/Use.java": "package use;\nimport shop.Cart.*;\nimport java.util.*;\nclass Use { }\n",
    }
    assert edges_of(files) == {("a/Cart.java", "a/Item.java"), ("c/Use.java", "a/Cart.java")}


def test_files_of_a_kotlin_package_depend_on_functions_and_enums_that_they_use():
    files = {
        "a/Cart.kt": "package shop\nfun total() = round(1) + listOf(2)\n",
        "a/Round.kt": "package shop\nfun round(x: Int) = x\n",
        "a/Color.kt": "package shop.paint\nenum class Color { RED }\n",
        "b/Paint.kt": "package b\nimport shop.paint.Color.*\nimport shop.paint.Color.RED\nval x = RED\n",
        "b/All.kt": "package b2\nimport shop.*\nval y = round(3)\n",
    }
    assert edges_of(files) == {
        ("a/Cart.kt", "a/Round.kt"),
        ("b/Paint.kt", "a/Color.kt"),
        ("b/All.kt", "a/Round.kt"),
    }


def test_what_if_0_leaves_out_is_no_include_and_its_else_is_one():
    text = '#if 0\n#include "a.h"\n#else\n#include "b.h"\n#endif\n#if X\n#include "c.h"\n#endif\n'
    assert edges_of({"x.c": text, "a.h": "", "b.h": "", "c.h": ""}) == {("x.c", "b.h"), ("x.c", "c.h")}


def test_modules_of_cpp_are_found_by_the_name_that_they_export():
    files = {
        "shop.cpp": (
            "module;\n#include <vector>\nexport module shop.cart;\nimport :detail;\nexport import shop.money;\n"
        ),
        "detail.cpp": "module shop.cart:detail;\n",
        "money.cc": "export module shop.money;\n// import shop.cart;\nimport std;\n",
        "impl.cpp": "module shop.cart;\nint total() { return 1; }\n",
        "main.cpp": 'import shop.cart;\nimport "legacy.h";\n',
        "legacy.h": "",
    }
    assert edges_of(files) == {
        ("shop.cpp", "detail.cpp"),
        ("shop.cpp", "money.cc"),
        ("impl.cpp", "shop.cpp"),
        ("main.cpp", "shop.cpp"),
    }


def test_of_a_go_package_those_files_are_imported_whose_names_are_used():
    files = {
        "go.mod": "module example.com/shop\n",
        "main.go": (
            'package main\n\nimport (\n\t"example.com/shop/money"\n\tm2 "example.com/shop/tax"\n'
            '\t_ "example.com/shop/side"\n)\n\nfunc main() { money.Total(1); x := m2.Rate; y.Other() }\n'
        ),
        "money/total.go": "package money\n\nfunc Total(x int) int { return x }\n",
        "money/other.go": "package money\n\nfunc Other() {}\n\nfunc (t T) Total() {}\n",
        "tax/rate.go": "package tax\n\nconst (\n\tRate = 7\n\tBase int = 1\n)\n",
        "tax/due.go": "package tax\n\ntype Due struct {\n\tAmount int\n}\n",
        "side/a.go": "package side\n",
        "side/b.go": "package side\n",
    }
    assert edges_of(files) == {
        ("main.go", "money/total.go"),
        ("main.go", "tax/rate.go"),
        ("main.go", "side/a.go"),
        ("main.go", "side/b.go"),
    }


def test_fields_of_a_go_struct_are_no_declarations_and_a_group_s_lines_are():
    text = (
        "package p\n\ntype Page struct {\n\tData any\n}\n\nvar (\n\tJSON Binding = j{}\n\t// Note\n\tA, B = 1, 2\n)\n\n"
        "type (\n\tKind struct {\n\t\tField int\n\t}\n\tName string\n)\n\nfunc Do() {\n\tX := 1\n}\n"
        "const (\n\tFirst = iota\n\tSecond\n)\n"
    )
    assert read_facts("p.go", text).declares == ("Page", "JSON", "A", "B", "Kind", "Name", "Do", "First", "Second")


def test_a_name_that_a_long_go_file_uses_at_its_end_is_seen():
    main = (
        'package main\nimport "example.com/shop/money"\nfunc main() {\n'
        + "\tt.Run()\n" * 3000
        + "\tmoney.Total(1)\n}\n"
    )
    files = {
        "go.mod": "module example.com/shop\n",
        "main.go": main,
        "money/total.go": "package money\n\nfunc Total(x int) int { return x }\n",
        "money/other.go": "package money\n\nfunc Other() {}\n",
    }
    assert edges_of(files) == {("main.go", "money/total.go")}


def test_the_type_of_a_variadic_go_parameter_is_used():
    files = {
        "go.mod": "module example.com/shop\n",
        "main.go": 'package main\n\nimport "example.com/shop/money"\n\nfunc Add(all ...money.Sum) {}\n',
        "money/sum.go": "package money\n\ntype Sum int\n",
        "money/other.go": "package money\n\nfunc Other() {}\n",
    }
    assert edges_of(files) == {("main.go", "money/sum.go")}


def test_modules_of_rust_that_are_passed_to_a_macro_are_edges():
    files = {
        "Cargo.toml": '[package]\nname = "shop"\n',
        "src/lib.rs": (
            "cfg_net! {\n    pub mod net;\n    cfg_io! { mod io; }\n    pub use crate::sale::Sale;\n}\n"
            'mod inner {\n    cfg_net! { mod far; }\n}\nfn f() { print!("mod sale; {}", 1); quote! { mod tax; } }\n'
        ),
        "src/net.rs": "",
        "src/io.rs": "",
        "src/inner/far.rs": "",
        "src/sale.rs": "pub struct Sale;\n",
        "src/tax.rs": "",
    }
    imported = ("src/net.rs", "src/io.rs", "src/inner/far.rs", "src/sale.rs")
    assert edges_of(files) == {("src/lib.rs", path) for path in imported}


def test_an_extern_crate_of_the_workspace_leads_to_its_root():
    files = {
        "shop/Cargo.toml": '[package]\nname = "shop"\n[dependencies]\nold-tax = { path = "../tax" }\n',
        "shop/src/lib.rs": "pub extern crate old_tax as tax;\nextern crate alloc;\nextern crate self as me;\n",
        "shop/src/old_tax.rs": "",
        "tax/Cargo.toml": '[package]\nname = "old-tax"\n',
        "tax/src/lib.rs": "",
    }
    assert edges_of(files) == {("shop/src/lib.rs", "tax/src/lib.rs")}


def test_a_path_attribute_counts_wherever_it_stands_among_a_module_s_attributes():
    files = {
        "src/lib.rs": '#[path = "unix/mod.rs"]\n// Not on Windows.\n#[cfg(unix)]\nmod imp;\n#[cfg(test)]\nmod other;\n',
        "src/unix/mod.rs": "",
        "src/imp.rs": "",
        "src/other.rs": "",
    }
    assert edges_of(files) == {("src/lib.rs", "src/unix/mod.rs"), ("src/lib.rs", "src/other.rs")}


@pytest.mark.parametrize("repeated", ["/* ", "fun ", "fun <", 'x """ ', "fun a, "])
def test_names_in_what_is_begun_without_end_are_read_in_one_pass(repeated):
    """What is searched for its end from each of its beginnings would take many minutes."""
    assert _uses(f"class A {{ B b; }}\n{repeated * 300_000}", "kotlin") >= {"A", "B"}
