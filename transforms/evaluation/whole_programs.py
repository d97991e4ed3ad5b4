"""Programs of setup, code and test, for problems that users bring (`form` "program"), in seven languages.

    the test is for the language's own test tool     that tool compiles and runs it; the nonce comes after all tests
    (Go's `TestX`, Rust's `#[test]`, node:test)
    the test has the program's main                  that main is wrapped: the nonce is printed when it has returned 0
    the test is statements (JavaScript)              the nonce is printed when they have run

(Python's are tried by `python_trial`.) In each case exit code 0 isn't enough, and neither is what the tool prints: an
answer that ends the program early never gets to the nonce. A test that asks for a package that isn't there can't be
run, which is no failure (`third_party`).
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Final

from transforms.evaluation.problems import Problem
from transforms.sandbox.program import Program
from transforms.sandbox.toolchains import Toolchain


def whole_program(problem: Problem, answer: str, toolchain: Toolchain, nonce: str) -> Program:
    """The program of a problem of the form "program"; see the module."""
    text = "\n".join(filter(None, (problem.setup, problem.code(answer), problem.test)))
    return _FORMS[problem.language](problem, text, toolchain, nonce)


def third_party(problem: Problem) -> str | None:
    """A package that the test asks for and that no toolchain brings, if there is one."""
    pattern = _FOREIGN.get(problem.language)
    text = "\n".join((problem.setup, problem.prefix, problem.test))
    found = [next(filter(None, one.groups())) for one in pattern.finditer(text)] if pattern else []
    return next((name for name in found if not re.search(rf"\bmod {re.escape(name)}\b", text)), None)


# What isn't of the standard library or of the sandbox's own prelude, where an import tells.
_FOREIGN: Final[Mapping[str, re.Pattern[str]]] = {
    "Go": re.compile(r'^\s*(?:import\s+)?(?:[\w.]+\s+)?"((?:[\w-]+\.)+[\w-]+/[^"]+)"', re.M),
    "JavaScript": re.compile(
        r"""(?:require\(\s*|from\s+|import\s+)['"]((?!node:|\.|(?:assert|fs|path|util|events|crypto|buffer|stream|os|"""
        r"""url|timers|perf_hooks|string_decoder|readline|zlib)(?:/\w+)?['"])[\w@][^'"]*)['"]"""
    ),
    "Rust": re.compile(r"^\s*(?:extern crate (\w+)|use (?!(?:std|core|alloc|crate|self|super)::)([a-z]\w*)::)", re.M),
    "C++": re.compile(r"^\s*#\s*include\s*<((?:gtest|gmock|catch2?|boost|doctest|absl|openssl)/[^>]+)>", re.M),
    "Java": re.compile(r"^\s*import\s+(?:static\s+)?((?!java\.|javax\.)[a-z]\w*(?:\.\w+)+)", re.M),
    "Kotlin": re.compile(r"^\s*import\s+((?!java\.|javax\.|kotlin\.(?!test))[a-z]\w*(?:\.\w+)+)", re.M),
    "C#": re.compile(r"^\s*using\s+(?:static\s+)?((?:NUnit|Xunit|Microsoft\.VisualStudio|Newtonsoft)[\w.]*)", re.M),
}


# What tests of a language's own tool are recognized by.
_TOOL_TESTS: Final = {
    "Go": re.compile(r"^func Test\w*\(\w+ \*testing\.T\)", re.M),
    "JavaScript": re.compile(r"^\s*(?:describe|it|test)\s*\(|node:test", re.M),
    "Rust": re.compile(r"#\[test\]"),
}


def _has_tool_tests(problem: Problem) -> bool:
    return _TOOL_TESTS[problem.language].search(problem.test) is not None


# --- languages -------------------------------------------------------------------------------------


_JAVASCRIPT_HEAD: Final = """
console.assert = (held, ...words) => { if (!held) throw new Error("console.assert: " + words.join(" ")); };
let __ended = false;
process.on("exit", (code) => { if (code === 0 && __ended) console.log("\\n{nonce}"); });
"""
# As globals, since a test may well have a function of its own with one of these names.
_JAVASCRIPT_TOOL: Final = """
const __tool = require("node:test");
for (const name of ["describe", "it", "test", "before", "after", "beforeEach", "afterEach"]) {
  globalThis[name] = (...words) => { __asked = true; return __tool[name](...words); };
}
let __asked = false;
"""


def _javascript(problem: Problem, text: str, toolchain: Toolchain, nonce: str) -> Program:
    head = _JAVASCRIPT_HEAD.replace("{nonce}", nonce)
    # Promises may go on after the last statement; one that fails ends the program with another code.
    end = "\n;__ended = true;\n"
    if _has_tool_tests(problem):
        head += _JAVASCRIPT_TOOL
        asked = "true" if "node:test" in text else "__asked"
        end = f"\n;if ({asked}) __tool.after(() => {{ __ended = true; }}); else __ended = true;\n"
    return toolchain.program(head + text + end)


def _go(problem: Problem, text: str, toolchain: Toolchain, nonce: str) -> Program:
    say = f'println_.Println("\\n{nonce}")'
    if not _has_tool_tests(problem):
        text = re.sub(r"^func main\(\)", "func testedMain()", text, flags=re.M)
        text += f"\nfunc main() {{\n\ttestedMain()\n\t{say}\n}}\n"
        return toolchain.program(_one_package(text, 'println_ "fmt"'))
    text = re.sub(r"^func TestMain\(", "func testedTestMain(", text, flags=re.M)
    text += (
        f"\nfunc TestMain(m *testing.M) {{\n\tcode := m.Run()\n\tif code == 0 {{\n\t\t{say}\n\t}}\n"
        "\tos_.Exit(code)\n}\n"
    )
    program = toolchain.program("")
    assert program.compile is not None
    words = program.compile.argv
    build = (*words[: words.index("build")], "test", "-c", "-vet=off", "-o", "main", "main_test.go")
    return dataclasses.replace(
        program,
        files={"main_test.go": _one_package(text, 'println_ "fmt"', 'os_ "os"')},
        compile=dataclasses.replace(program.compile, argv=build),
        run=dataclasses.replace(program.run, argv=(*program.run.argv, "-test.v")),
    )


def _one_package(text: str, *more: str) -> str:
    """Go wants its package first and its imports before the rest: those of all parts are brought there."""
    imports: list[str] = list(more)

    def take(found: re.Match[str]) -> str:
        body = found[1] if found[1] is not None else found[2]
        imports.extend(line.strip() for line in body.splitlines() if line.strip() and not line.strip().startswith("//"))
        return ""

    text = re.sub(r"^import\s*\(([^)]*)\)|^import\s+((?:[\w.]+\s+)?\"[^\"]+\")", take, text, flags=re.M)
    text = re.sub(r"^package \w+[^\S\n]*$", "", text, flags=re.M)
    # Go refuses what is imported and not used; a test's setup often imports for all tests.
    used = [line for line in dict.fromkeys(imports) if _is_used(line, text)]
    return "package main\n" + "".join(f"import {line}\n" for line in used) + text


def _is_used(line: str, text: str) -> bool:
    name, _, path = line.rpartition(" ")
    short = name or path.strip('"').rpartition("/")[2]
    return short in ("_", ".") or re.search(rf"\b{re.escape(short)}\.", text) is not None


def _rust(problem: Problem, text: str, toolchain: Toolchain, nonce: str) -> Program:
    if not _has_tool_tests(problem):
        text = re.sub(r"^fn main\(\)", "fn tested_main()", text, flags=re.M)
        return toolchain.program(f'{text}\nfn main() {{ tested_main(); println!("\\n{nonce}"); }}\n')
    # Tests run in the order of their names, in one thread; the tool prints the name of the last one after all others.
    program = toolchain.program(f"{text}\n#[test]\nfn zzzz_{nonce}() {{}}\n")
    assert program.compile is not None
    build = dataclasses.replace(program.compile, argv=(*program.compile.argv, "--test"))
    run = dataclasses.replace(program.run, argv=(*program.run.argv, "--test-threads=1"))
    return dataclasses.replace(program, compile=build, run=run)


# The linker has the start-up code call __wrap_main, and gives the program's main the other name.
_CPP_END: Final = """
#include <cstdio>
extern "C" int __real_main(int, char**);
extern "C" int __wrap_main(int c, char** v) {
  int code = __real_main(c, v);
  if (code == 0) { std::printf("\\n%s\\n", "{nonce}"); }
  std::fflush(stdout);
  return code;
}
"""


def _cpp(problem: Problem, text: str, toolchain: Toolchain, nonce: str) -> Program:
    program = toolchain.program(text + _CPP_END.replace("{nonce}", nonce))
    assert program.compile is not None
    build = dataclasses.replace(program.compile, argv=(*program.compile.argv, "-Wl,--wrap=main"))
    return dataclasses.replace(program, compile=build)


def _java(problem: Problem, text: str, toolchain: Toolchain, nonce: str) -> Program:
    text = _imports_first(text)
    main = _class_with_main(text, r"public\s+static\s+void\s+main\s*\(")
    file = _public_class(text) or main
    trial = (
        "class CodemillTrial { public static void main(String[] a) throws Throwable {"
        f' {main}.main(a); System.out.flush(); System.out.println("\\n{nonce}"); }} }}\n'
    )
    program = toolchain.program(trial)
    files = {f"{file}.java": text, "CodemillTrial.java": trial}
    assert program.compile is not None
    build = dataclasses.replace(program.compile, argv=(*program.compile.argv[:-1], *files))
    run = dataclasses.replace(program.run, argv=(*program.run.argv[:-1], "-ea", "CodemillTrial"))
    return dataclasses.replace(program, files=files, compile=build, run=run)


def _imports_first(text: str) -> str:
    imports = re.findall(r"^\s*import\s+[^;]+;", text, re.M)
    rest = re.sub(r"^\s*import\s+[^;]+;", "", text, flags=re.M)
    return "".join(f"{line.strip()}\n" for line in dict.fromkeys(imports)) + rest


def _public_class(text: str) -> str | None:
    found = re.search(r"^\s*public\s+(?:final\s+|abstract\s+)*(?:class|interface|enum|record)\s+(\w+)", text, re.M)
    return found[1] if found else None


def _class_with_main(text: str, main: str) -> str:
    """The last class that begins before the main method."""
    at = re.search(main, text)
    classes = [one for one in re.finditer(r"\bclass\s+(\w+)", text) if at is None or one.start() < at.start()]
    return classes[-1][1] if classes else "Main"


_CSHARP_TRIAL: Final = """
static class CodemillAssert {
  public static void That(bool held, string words = "") {
    if (!held) throw new System.Exception("Debug.Assert " + words);
  }
}
class CodemillTrial {
  const System.Reflection.BindingFlags Any = System.Reflection.BindingFlags.Static
    | System.Reflection.BindingFlags.Public | System.Reflection.BindingFlags.NonPublic;
  static int Main(string[] a) {
    foreach (var type in typeof(CodemillTrial).Assembly.GetTypes()) {
      var main = type.GetMethod("Main", Any);
      if (main == null || type == typeof(CodemillTrial)) continue;
      var code = main.Invoke(null, main.GetParameters().Length == 0 ? new object[0] : new object[] { a });
      if (code is int && (int)code != 0) return (int)code;
    }
    System.Console.Out.Flush();
    System.Console.WriteLine("\\n{nonce}");
    return 0;
  }
}
"""


def _csharp(problem: Problem, text: str, toolchain: Toolchain, nonce: str) -> Program:
    usings = re.findall(r"^\s*using\s+[\w.= ]+;", text, re.M)
    rest = re.sub(r"^\s*using\s+[\w.= ]+;", "", text, flags=re.M)
    trial = _CSHARP_TRIAL.replace("{nonce}", nonce)
    # A failed Debug.Assert says nothing by itself.
    asserting = re.sub(r"\b(?:System\.Diagnostics\.)?Debug\.Assert\b", "CodemillAssert.That", rest)
    source = "".join(f"{line.strip()}\n" for line in dict.fromkeys(usings)) + asserting + trial
    program = toolchain.program(source)
    assert program.compile is not None
    build = dataclasses.replace(program.compile, argv=(*program.compile.argv, "-main:CodemillTrial"))
    return dataclasses.replace(program, compile=build)


def _kotlin(problem: Problem, text: str, toolchain: Toolchain, nonce: str) -> Program:
    imports = re.findall(r"^\s*import\s+[^\n;]+", text, re.M)
    rest = re.sub(r"^\s*(?:import|package)\s+[^\n;]+;?", "", text, flags=re.M)
    rest = re.sub(r"\bfun main\s*\(\s*(?:args\s*:\s*Array<String>)?\s*\)", "fun testedMain()", rest)
    head = "".join(f"{line.strip()}\n" for line in dict.fromkeys(imports))
    end = f'\nfun main() {{ testedMain(); System.out.flush(); println("\\n{nonce}") }}\n'
    program = toolchain.program(head + rest + end)
    run = dataclasses.replace(program.run, argv=(*program.run.argv[:-1], "-ea", program.run.argv[-1]))
    return dataclasses.replace(program, run=run)


_FORMS: Final[Mapping[str, Callable[[Problem, str, Toolchain, str], Program]]] = {
    "C#": _csharp,
    "C++": _cpp,
    "Go": _go,
    "Java": _java,
    "JavaScript": _javascript,
    "Kotlin": _kotlin,
    "Rust": _rust,
}
