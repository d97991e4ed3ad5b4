"""Answers are compiled in their place: what compiles, what doesn't, and what can't be told."""

from __future__ import annotations

import dataclasses

import pytest

from transforms.sandbox.program import Outcome
from transforms.tasks.trials import compile_trial
from transforms.verification.compilers import as_file
from transforms.verification.python_names import undefined_names
from transforms.verification.trials import Compile, _was_killed
from transforms.verification.verifier import Verifier

# language: what compiles alone; what doesn't; what asks for something that isn't there
CASES = {
    "C": ("int f(int a) { return a; }\n", "int f(int a) { return b; }\n", '#include "no_such.h"\nint a;\n'),
    "C++": ("#include <vector>\nint f() { return 1; }\n", "int f() { return x; }\n", "#include <no_such.h>\n"),
    "C#": (
        "class A { int F() { return 1; } }\n",
        "class A { int F() { return x; } }\n",
        "using System.Nowhere;\nclass A {}\n",
    ),
    "Go": (
        "package p\n\nfunc f() int { return 1 }\n",
        "package p\n\nfunc f() int { return x }\n",
        'package p\n\nimport "example.com/nowhere/x"\n\nfunc f() int { return x.Y() }\n',
    ),
    "Java": (
        "public class Shape { int f() { return 1; } }\n",
        'public class Shape { int f() { return "x"; } }\n',
        "import org.junit.Test;\nclass A { @Test int f() { return 1; } }\n",
    ),
    "JavaScript": ("export const x = 1;\n", "function f( { return }\n", None),
    "Rust": (
        "pub fn f() -> i32 { 1 }\n",
        'pub fn f() -> i32 { "x" }\n',
        "use serde::Serialize;\n#[derive(Serialize)]\npub struct A;\n",
    ),
    "TypeScript": (
        "interface A { b?: number }\nconst name = 'of a module';\nexport const c: A = {}; let d: number = c.b;\n",
        "let x: number = 'a';\n",
        "import * as fs from 'fs';\nlet x: number = fs.nowhere;\n",
    ),
    "Python": ("import nowhere\nx = nowhere.y\n", "def f(x):\n    return y\n", "from nowhere import *\nprint(z)\n"),
}


@pytest.mark.parametrize("language", sorted(CASES))
def test_a_text_that_stands_alone_compiles_or_not_or_can_not_be_told(verifier: Verifier, language: str) -> None:
    if (version := verifier.version(language)).startswith("missing"):
        pytest.skip(f"{language}: {version}")
    good, bad, unknown = CASES[language]
    verdicts = [verifier.submit(compile_trial(language, text, None)).result() for text in (good, bad)]
    assert [one.checks["compiles"] for one in verdicts] == [True, False]
    assert [one.fault is None for one in verdicts] == [True, False]
    assert verdicts[1].fault is not None and verdicts[1].fault[0] == "does_not_compile"
    if unknown is not None:
        found = verifier.submit(compile_trial(language, unknown, None)).result()
        assert found.checks["compiles"] is None and found.fault is None


def test_a_file_that_needs_others_does_not_hold_an_answer_to_what_is_not_there(verifier: Verifier) -> None:
    whole = "class A {{ Other other; int f() {{ return {}; }} }}\n"
    found = verifier.submit(compile_trial("Java", whole.format("2"), whole.format("1"))).result()
    assert found.checks["compiles"] is None and found.fault is None
    alone = "class A {{ int f() {{ return {}; }} }}\n"
    found = verifier.submit(compile_trial("Java", alone.format("x"), alone.format("1"))).result()
    assert found.checks["compiles"] is False


def test_a_language_without_compiler_can_not_be_told(verifier: Verifier) -> None:
    for language in ("TypeScript", "Ruby", ""):
        found = verifier.submit(Compile(language=language, text="let x: number = 'a'")).result()
        if found.toolchain.startswith(("missing", "no toolchain")):
            assert found.checks["compiles"] is None and found.fault is None
        else:
            assert language == "TypeScript" and found.checks["compiles"] is False


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome(exit=None, out_of_memory=True),
        Outcome(exit=None, timed_out=True),
        Outcome(exit=None, too_much_output=True),
        Outcome(exit=None, signal="SIGKILL"),
    ],
)
def test_a_compiler_that_was_killed_has_said_nothing(outcome: Outcome) -> None:
    assert _was_killed(outcome)


@pytest.mark.parametrize("memory_mb", [20, 60])
def test_a_compiler_without_memory_can_not_tell(
    verifier: Verifier, monkeypatch: pytest.MonkeyPatch, memory_mb: int
) -> None:
    compiler = verifier._compilers["C++"]
    small = dataclasses.replace(compiler, limits=dataclasses.replace(compiler.limits, memory_mb=memory_mb))
    monkeypatch.setitem(verifier._compilers, "C++", small)
    text = f"#include <bits/stdc++.h>\nint f() {{ return std::vector<int>({memory_mb}).size(); }}\n"
    found = verifier.submit(Compile(language="C++", text=text)).result()
    assert found.checks["compiles"] is None and found.fault is None


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("def f():\n    global x\n    x = 1\n\n\ndef g():\n    return x\n", set()),
        ("class A:\n    y = 1\n    def f(self):\n        return __class__, y\n", {"y"}),
        ("try:\n    import a\nexcept ImportError:\n    a = None\nprint(a, __file__)\n", set()),
        ("print([i for i in range(3)], i)\n", {"i"}),
        ("def f(a: Missing) -> int: ...\n", {"Missing"}),
        ("from __future__ import annotations\ndef f(a: Missing) -> int: ...\n", set()),
        ("x = y = 1\ndel x\nwith open('a') as z: print(z, y)\nfor k in (): print(k)\n", set()),
        ("match p:\n    case [q, *r]:\n        print(q, r)\n", {"p"}),
        ("globals()['u'] = 1\nprint(u)\n", None),
        ("def (:\n", None),
    ],
)
def test_names_that_nothing_binds_are_found(text: str, names: set[str] | None) -> None:
    assert undefined_names(text) == names


def test_only_names_that_the_answer_adds_count_against_it() -> None:
    original = "def f(x):\n    return _(x)\n"
    same = compile_trial("Python", "def f(x):\n    return _(x) + 1\n", original)
    more = compile_trial("Python", "def f(x):\n    return _(helper(x))\n", original)
    assert (same.compiles, more.compiles) == (True, False)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("language", "part"),
    [
        ("Go", "func Up(s string) string { return strings.ToUpper(s) }\n"),
        ("Java", "static List<Integer> f(int n) { return new ArrayList<>(); }\n"),
        ("C#", "static List<int> F(int n) { return new List<int>(); }\n"),
        ("C++", "vector<int> f(int n) { return std::vector<int>(n); }\n"),
        ("C", "size_t f(const char *s) { return strlen(s); }\n"),
    ],
)
def test_a_part_of_a_file_gets_what_a_file_has_around_it(verifier: Verifier, language: str, part: str) -> None:
    assert verifier.submit(compile_trial(language, part, None)).result().checks["compiles"] is True
    broken = part.replace("return ", "return nothing_such + ", 1)
    assert verifier.submit(compile_trial(language, broken, None)).result().checks["compiles"] is False


METHOD = "static int F(int x) { return x; }\n"


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("Java", "import java.util.List;\n\nstatic int f(List<Integer> x) { return x.size(); }"),
        ("Java", "/* its import */ import static java.lang.Math.max;\nint f(int x) { return max(x, 1); }\n"),
        ("Java", "package a;\n// a list\nimport java.util.List;\nint f(List<Integer> x) { return x.size(); }\n"),
        ("Java", "// the class of numbers\n" + METHOD),
        ("Java", "int f() {\n    class Inner { int x = 1; }\n    return new Inner().x;\n}\n"),
        ("Java", "static class Node { int x; }\nstatic int f(Node node) { return node.x; }\n"),
        ("Java", "import java.util.List;\n\n@Deprecated\npublic final class Own { List<Integer> x; }\n"),
        ("Java", "    enum Own {\n        A\n    }\n"),
        ("C#", "using System;\n" + METHOD),
        ("C#", "using System;\nusing Text = System.Text;\nText.StringBuilder f() { return null; }\n"),
        ("C#", "// a struct of numbers\n" + METHOD),
        ("C#", "using System;\n[Serializable]\npublic static class Own { " + METHOD + "}\n"),
        ("C#", "namespace Own {\n    class Part { }\n}\n"),
    ],
)
def test_parts_of_files_compile_with_imports_in_front_and_words_in_comments(
    verifier: Verifier, language: str, text: str
) -> None:
    found = verifier.submit(compile_trial(language, text, None)).result()
    assert found.checks["compiles"] is True, as_file(language, text)
    assert ("class Answer" in as_file(language, text)) is ("Own" not in text)


@pytest.mark.parametrize("start", ["import a;\n", "// a\n", "/* a */", "/*", "import ", " "])
def test_the_look_for_imports_takes_no_longer_on_long_texts_without_any(start: str) -> None:
    text = start * 20_000 + METHOD
    assert METHOD in as_file("Java", text)
