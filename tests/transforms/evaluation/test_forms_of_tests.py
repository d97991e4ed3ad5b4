"""Layouts of setup, prompt and test that languages allow, failures that a main doesn't see, redefined assertions."""

from __future__ import annotations

import dataclasses
from typing import Final

import pytest

from tests.transforms.evaluation.test_whole_programs import MAINS, RIGHT, WRONG, of
from transforms.evaluation.judge import Judge
from transforms.evaluation.programs.refusals import refused

# Tests whose failure a main that just returns would hide: (language, test).
HIDDEN: Final = {
    "rust: a main that returns an error": (
        "rust",
        'fn main() -> Result<(), String> {\n    if twice(5) != 10 {\n        return Err("no".into());\n    }\n'
        "    Ok(())\n}\n",
    ),
    "c#: a main that is a task": (
        "c#",
        "class T { static async System.Threading.Tasks.Task Main() {\n  await System.Threading.Tasks.Task.Delay(20);\n"
        '  if (S.Twice(5) != 10) throw new Exception("no"); } }\n',
    ),
    "c#: a main that is a task with a number": (
        "c#",
        "class T { static async System.Threading.Tasks.Task<int> Main() {\n"
        "  await System.Threading.Tasks.Task.Delay(20);\n  return S.Twice(5) == 10 ? 0 : 1; } }\n",
    ),
    "c#: a thread": (
        "c#",
        "class T { static void Main() { var t = new System.Threading.Thread(() => {\n"
        '  if (S.Twice(5) != 10) throw new Exception("no"); }); t.Start(); t.Join(); } }\n',
    ),
    "js: an asynchronous function": (
        "js",
        "(async () => { await null; if (twice(5) !== 10) throw new Error('no'); })();\n",
    ),
    "js: a timer": ("js", "setTimeout(() => { if (twice(5) !== 10) throw new Error('no'); }, 20);\n"),
    "js: an exit code": ("js", "if (twice(5) !== 10) process.exitCode = 1;\n"),
    "js: its own exit": (
        "js",
        "(async () => { await null; console.assert(twice(5) === 10); })().then(() => process.exit(0), () => "
        "process.exit(1));\n",
    ),
    "js: a module": ("js", "import assert from 'node:assert';\nawait null;\nassert.strictEqual(twice(5), 10);\n"),
    "go: a goroutine": (
        "go",
        'import "sync"\n\nfunc main() {\n\tvar wait sync.WaitGroup\n\twait.Add(1)\n\tgo func() {\n'
        '\t\tdefer wait.Done()\n\t\tif twice(5) != 10 {\n\t\t\tpanic("no")\n\t\t}\n\t}()\n\twait.Wait()\n}\n',
    ),
    "java: a thread": (
        "java",
        "class Main { public static void main(String[] a) throws Exception { Thread t = new Thread(() -> {\n"
        "  if (new Solution().twice(5) != 10) throw new AssertionError(); }); t.start(); t.join(); } }\n",
    ),
    "java: a thread that main does not wait for": (
        "java",
        "class Main { public static void main(String[] a) { new Thread(() -> {\n"
        "  try { Thread.sleep(50); } catch (InterruptedException e) {}\n"
        "  if (new Solution().twice(5) != 10) throw new AssertionError(); }).start(); } }\n",
    ),
    "kotlin: a main that suspends, and a thread": (
        "kotlin",
        "suspend fun main() {\n    kotlin.concurrent.thread { Thread.sleep(50); check(twice(5) == 10) }\n}\n",
    ),
    "cpp: a thread": (
        "cpp",
        "#include <future>\n#include <stdexcept>\nint main() { auto f = std::async(std::launch::deferred, [] {\n"
        '  if (twice(5) != 10) throw std::runtime_error("no"); }); f.get(); }\n',
    ),
    "cpp: a main that returns a number": ("cpp", "int main() { return twice(5) == 10 ? 0 : 3; }\n"),
}


@pytest.mark.parametrize("case", HIDDEN)
def test_a_failure_that_main_does_not_see_is_no_pass(judge: Judge, case: str) -> None:
    language, test = HIDDEN[case]
    asked = dataclasses.replace(of(f"{language}: main"), test=test)
    right = judge.judge(asked, MAINS[language][RIGHT])
    if right.reason == "no_toolchain":
        pytest.skip(right.detail)
    assert right.passed, right
    wrong = judge.judge(asked, MAINS[language][WRONG])
    assert not wrong.passed
    assert wrong.reason != "does_not_compile", wrong


def test_a_promise_that_is_never_settled_is_no_pass(judge: Judge) -> None:
    test = "(async () => { if (await twice(1) !== 2) throw new Error('no'); })();\n"
    asked = dataclasses.replace(of("js: main"), test=test)
    if judge.toolchains["JavaScript"].missing:
        pytest.skip("node is missing")
    assert judge.judge(asked, MAINS["js"][RIGHT]).passed
    assert judge.judge(asked, "  return new Promise(() => {});\n};\n").reason == "exited_early"
    late = "  setTimeout(() => process.exit(0), 20);\n  return new Promise(() => {});\n};\n"
    assert judge.judge(asked, late).reason == "exited_early"


# Layouts of setup, prompt and test that the languages allow: (language, prompt, test).
LAYOUTS: Final = {
    "java: two public classes": (
        "java",
        "package demo;\nimport java.util.List;\npublic class Solution {\n  int twice(int x) {\n",
        "import java.util.List;\npublic class Main { public static void main(final String... a) {\n"
        "  if (new Solution().twice(5) != 10) throw new AssertionError(List.of(a)); } }\n",
    ),
    "java: a class before main": (
        "java",
        "class Solution {\n  int twice(int x) {\n",
        "class Main { // the class under test\n  static class Helper {}\n  static public void main(String[] a) {\n"
        '    assert new Solution().twice(5) == 10 : "class A {"; }\n}\n',
    ),
    "java: a main in a nested class": (
        "java",
        "class Solution {\n  int twice(int x) {\n",
        "class Outer { static class Main { static void main(String[] a) {\n"
        "  assert new Solution().twice(5) == 10; } } }\n",
    ),
    "kotlin: arguments": (
        "kotlin",
        "package demo\nimport kotlin.math.*\nfun twice(x: Int): Int {\n",
        "import kotlin.text.*\nfun main(args: Array<String>) { check(twice(5 + args.size) == 10) }\n",
    ),
    "kotlin: an object": (
        "kotlin",
        "fun twice(x: Int): Int {\n",
        "object T { @JvmStatic fun main(args: Array<String>) { check(twice(5) == 10) } }\n",
    ),
    "kotlin: an expression": ("kotlin", "fun twice(x: Int): Int {\n", "fun main() = check(twice(5) == 10)\n"),
    "go: imports in a line": (
        "go",
        'package main // the program\nimport ("fmt"; "os") // both\nfunc twice(x int) int {\n',
        'func main() { if twice(5) != 10 { fmt.Println("no"); os.Exit(1) } }\n',
    ),
    "go: imports with comments and names": (
        "go",
        'package main\nimport (\n\t"fmt" // print\n\t// "os"\n\tm "math"\n)\nfunc twice(x int) int {\n',
        'import "fmt"\n\nfunc main() {\n\tif twice(5) != 10 { panic(fmt.Sprint("import \\"x\\"", m.Pi)) }\n}\n',
    ),
    "go: a TestMain": (
        "go",
        "package main\nfunc twice(x int) int {\n",
        'import (\n\t"os"\n\t"testing"\n)\n\nvar ten int\n\n'
        "func TestMain(m *testing.M) { ten = 10; os.Exit(m.Run()) }\n"
        "func TestTwice(t *testing.T) {\n\tif twice(5) != ten {\n\t\tt.Fatal()\n\t}\n}\n",
    ),
    "go: an example": (
        "go",
        "package main\nfunc twice(x int) int {\n",
        'import "fmt"\n\nfunc ExampleTwice() {\n\tfmt.Println(twice(5))\n\t// Output: 10\n}\n',
    ),
    "rust: attributes, a public main, a name used twice": (
        "rust",
        "use std::fmt;\n#![allow(dead_code)]\nuse std::collections::{HashMap, HashSet};\nfn twice(x: i32) -> i32 {\n",
        "use std::collections::{HashMap, HashSet};\npub fn main() { assert_eq!(twice(5), 10); }\n",
    ),
    "c#: namespaces and aliases": (
        "c#",
        "using System;\nusing L = System.Collections.Generic.List<int>;\n"
        "class S {\n  public static int Twice(int x) {\n",
        "using System.Linq;\nnamespace B { class P { static int Main() {\n"
        '  using (var s = new System.IO.StringReader("")) {\n'
        "  return new L { S.Twice(5) }.Sum() == 10 ? 0 : 1; } } } }\n",
    ),
    "js: both import": (
        "js",
        "import assert from 'node:assert';\nconst twice = (x) => {\n",
        "import assert from 'node:assert';\nassert.strictEqual(twice(5), 10);\n",
    ),
}


@pytest.mark.parametrize("case", LAYOUTS)
def test_an_ordinary_layout_is_understood(judge: Judge, case: str) -> None:
    language, prompt, test = LAYOUTS[case]
    asked = dataclasses.replace(of(f"{language}: main"), prefix=prompt, test=test)
    right = judge.judge(asked, MAINS[language][RIGHT])
    if right.reason == "no_toolchain":
        pytest.skip(right.detail)
    assert right.passed, right
    wrong = judge.judge(asked, MAINS[language][WRONG])
    assert wrong.reason in ("wrong", "exception"), wrong


# Answers that redefine what the test says, or read their own source while they are compiled.
REDEFINED: Final = {
    "rust: a macro": ("rust", "    0\n}\nmacro_rules! assert_eq { ($($t:tt)*) => {} }\n"),
    "rust: its source": ("rust", '    print!("{}", include_str!("main.rs")); std::process::exit(0)\n}\n'),
    "cpp: a macro": ("cpp", "  return 0;\n}\n#undef assert\n#define assert(x) ((void)0)\n"),
    "cpp: its source": ("cpp", '  exit(0);\n}\nasm(".global s\\ns: .incbin \\"/box/main.cpp\\"\\n");\n'),
    "go: a function": ("go", "\treturn 0\n}\n\nfunc panic(x any) {}\n"),
    "kotlin: a function": ("kotlin", "    return 0\n}\nfun check(b: Boolean) {}\n"),
    "c#: a class": ("c#", "    return 0;\n  }\n}\nclass Debug { public static void Assert(bool b) {} }\n"),
    "java: a class": ("java", "    return 0;\n  }\n}\nclass Arrays {}\n"),
}


@pytest.mark.parametrize("case", REDEFINED)
def test_an_answer_may_not_redefine_what_the_test_says(judge: Judge, case: str) -> None:
    language, answer = REDEFINED[case]
    verdict = judge.judge(of(f"{language}: main"), answer)
    if verdict.reason == "no_toolchain":
        pytest.skip(verdict.detail)
    assert verdict.reason == "cheated", verdict


@pytest.mark.parametrize(
    ("case", "answer"),
    [
        ("cpp: main", "  return 0;\n}\n#define NDEBUG\n"),
        ("js: main", "  return 0;\n};\nconsole.assert = () => {};\n"),
        ("js: main", "  return 0;\n};\nglobalThis.console = { assert() {} };\n"),
        ("js: tool", "  return 0;\n};\nrequire('node:assert').strictEqual = () => {};\n"),
        ("python: tool", "    return 0\nimport unittest\nunittest.TestCase.assertEqual = lambda *a: None\n"),
    ],
)
def test_an_answer_can_not_switch_assertions_off(judge: Judge, case: str, answer: str) -> None:
    verdict = judge.judge(of(case), answer)
    if verdict.reason == "no_toolchain":
        pytest.skip(verdict.detail)
    assert not verdict.passed
    assert verdict.reason in ("wrong", "exception"), verdict


READS: Final = {
    "asm": 'asm(".incbin \\"/box/main.cpp\\"");',
    "embed": "#embed </box/main.cpp>",
    "embed with blanks": "  #  /* a */ embed </box/main.cpp>",
    "embed as a digraph": "%:embed </box/main.cpp>",
    "embed over two lines": "#\\\nembed </box/main.cpp>",
    "embed behind a comment": "/* a */ #embed </box/main.cpp>",
    "an include": '#include "main.cpp"',
    "an include without a blank": "#include<main.cpp>",
    "an include of the file itself": "#include __FILE__",
    "an include of a macro": '#define OWN "main.cpp"\n#include OWN',
    "an include of the next": '#include_next "main.cpp"',
    "an import": "#import <main.cpp>",
    "an include by way of a folder of headers": "#include <bits/../../../../../box/main.cpp>",
}


@pytest.mark.parametrize("case", READS)
def test_an_answer_that_reads_files_in_cpp_is_refused(case: str) -> None:
    assert refused(of("cpp: main"), f"  return 0;\n}}\n{READS[case]}\n") is not None


@pytest.mark.parametrize(
    "comment", ["// see #embed", "//#embed", "/*\n#embed <a>\n*/", "// not .incbin", '/*\n#include "main.cpp"\n*/']
)
def test_a_comment_reads_no_files(comment: str) -> None:
    assert refused(of("cpp: main"), f"  return 2 * x;\n}}\n{comment}\n") is None


def test_headers_are_no_files_of_the_answers_reading() -> None:
    includes = "#include <bits/stdc++.h>\n#include <sys/types.h>\n# include<map>\nint important; // import x\n"
    assert refused(of("cpp: main"), f"  return 2 * x;\n}}\n{includes}") is None


def test_a_macro_of_the_answers_own_is_no_cheat(judge: Judge) -> None:
    verdict = judge.judge(of("cpp: main"), "#define TWO 2\n  return TWO * x;\n}\n")
    assert verdict.passed or "missing" in verdict.detail, verdict
