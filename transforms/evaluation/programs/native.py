"""Whole programs in C++, Go and Rust; see `whole_programs`."""

from __future__ import annotations

import dataclasses
import re
from typing import Final

from transforms.evaluation.problems import Problem
from transforms.evaluation.programs.layouts import code_of, outer_of, replace_code, take_out
from transforms.sandbox.program import Program
from transforms.sandbox.toolchains import Toolchain

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
# <cassert> may be read again and defines assert as it is called then, whatever the answer has made of it.
_CPP_ASSERT: Final = "\n#undef NDEBUG\n#undef assert\n#include <cassert>\n"


def cpp(problem: Problem, text: str, toolchain: Toolchain, nonce: str) -> Program:
    """A program in C++."""
    if text.endswith(problem.test) and re.search(r"\bassert\b", problem.test):
        text = text[: len(text) - len(problem.test)] + _CPP_ASSERT + problem.test
    program = toolchain.program(text + _CPP_END.replace("{nonce}", nonce))
    assert program.compile is not None
    build = dataclasses.replace(program.compile, argv=(*program.compile.argv, "-Wl,--wrap=main"))
    return dataclasses.replace(program, compile=build)


_GO_PACKAGE: Final = re.compile(r"^[^\S\n]*package[^\S\n]+\w+[^\S\n]*;?", re.M)
_GO_IMPORT: Final = re.compile(r"(?:^|(?<=;))[^\S\n]*import\b\s*(?:\([^)]*\)|(?:[\w.]+[^\S\n]+)?\"[^\"]*\");?", re.M)
_GO_SPEC: Final = re.compile(r"(?:(?P<name>[\w.]+)[^\S\n]+)?\"(?P<path>[^\"\s]+)\"")
_GO_MAIN: Final = re.compile(r"^([^\S\n]*func\s+)main(\s*\(\s*\))", re.M)
_GO_TESTS: Final = re.compile(r"^\s*func\s+(?:Test|Fuzz|Example)\w*\s*\(", re.M)
_GO_TEST_MAIN: Final = re.compile(r"^[^\S\n]*func\s+TestMain\s*\(\s*(\w+)\s+\*testing\.M\s*\)", re.M)

_GO_OURS: Final = (("say", "fmt"), ("end", "os"), ("test", "testing"))


def go(problem: Problem, text: str, toolchain: Toolchain, nonce: str) -> Program:
    """A program in Go, or a test of its package `testing`."""
    say = f'say_{nonce}.Println("\\n{nonce}")'
    if not _GO_TESTS.search(code_of(problem.test, "Go")):
        text = replace_code(text, _GO_MAIN, rf"\1main_{nonce}\2", "Go", outer=True)
        text += f"\nfunc main() {{\n\tmain_{nonce}()\n\t{say}\n}}\n"
        return toolchain.program(_one_package(text, f'say_{nonce} "fmt"'))
    code = outer_of(code_of(text, "Go"))
    if own := _GO_TEST_MAIN.search(code):
        text = replace_code(text, re.compile(rf"\b{own[1]}\.Run\(\s*\)"), f"run_{nonce}({own[1]})", "Go")
    else:
        text += f"\nfunc TestMain(m *test_{nonce}.M) {{ end_{nonce}.Exit(run_{nonce}(m)) }}\n"
    text += (
        f"\nfunc run_{nonce}(m *test_{nonce}.M) int {{\n\tcode := m.Run()\n\tif code == 0 {{\n\t\t{say}\n\t}}\n"
        "\treturn code\n}\n"
    )
    program = toolchain.program("")
    assert program.compile is not None
    words = program.compile.argv
    build = (*words[: words.index("build")], "test", "-c", "-vet=off", "-o", "main", "main_test.go")
    return dataclasses.replace(
        program,
        files={"main_test.go": _one_package(text, *(f'{name}_{nonce} "{path}"' for name, path in _GO_OURS))},
        compile=dataclasses.replace(program.compile, argv=build),
        run=dataclasses.replace(program.run, argv=(*program.run.argv, "-test.v")),
    )


def _one_package(text: str, *more: str) -> str:
    """Go wants its package first and its imports before the rest: those of all parts are brought there."""
    _, text = take_out(text, _GO_PACKAGE, "Go")
    imports, text = go_imports(text)
    code = code_of(text, "Go")
    # Go refuses what is imported and not used; a test's setup often imports for all tests.
    used = [line for line in dict.fromkeys((*more, *imports)) if _is_used(line, code)]
    return "package main\n" + "".join(f"import {line}\n" for line in used) + text


def go_imports(text: str) -> tuple[list[str], str]:
    """What a program imports, each as `name "path"` or `"path"`; and the rest of it."""
    clauses, rest = take_out(text, _GO_IMPORT, "Go")
    found = [spec for clause in clauses for spec in _GO_SPEC.finditer(_specs(clause))]
    return [f'{spec["name"] or ""} "{spec["path"]}"'.strip() for spec in found], rest


def _specs(clause: str) -> str:
    """What an import names, without the word itself and comments."""
    code = code_of(clause, "Go")
    own = "".join(given if seen == "_" else seen for given, seen in zip(clause, code, strict=True))
    return own.strip().removeprefix("import")


def _is_used(line: str, code: str) -> bool:
    name, _, path = line.rpartition(" ")
    parts = path.strip('"').split("/")
    # The last part of a path but its version, as in math/rand/v2.
    short = name or (parts[-2] if len(parts) > 1 and re.fullmatch(r"v\d+", parts[-1]) else parts[-1])
    return short in ("_", ".") or re.search(rf"\b{re.escape(short)}\s*\.", code) is not None


_RUST_INNER: Final = re.compile(r"#!\[[^\]]*\]")
_RUST_USE: Final = re.compile(r"\b(?:pub\s+)?use\s[^;]*;")
_RUST_MAIN: Final = re.compile(r"^([^\S\n]*(?:pub\s+)?fn\s+)main(\s*\(\s*\))", re.M)


def rust(problem: Problem, text: str, toolchain: Toolchain, nonce: str) -> Program:
    """A program in Rust, or a test of its own."""
    inner, text = take_out(text, _RUST_INNER, "Rust")
    head = "".join(f"{line}\n" for line in inner)
    if "#[test]" not in code_of(problem.test, "Rust"):
        text = replace_code(_each_use_once(text), _RUST_MAIN, rf"\1main_{nonce}\2", "Rust", outer=True)
        return toolchain.program(head + text + _RUST_END.replace("{nonce}", nonce))
    # Tests run in the order of their names, in one thread; the tool prints the name of the last one after all others.
    program = toolchain.program(f"{head}{_each_use_once(text)}\n#[test]\nfn zzzz_{nonce}() {{}}\n")
    assert program.compile is not None
    build = dataclasses.replace(program.compile, argv=(*program.compile.argv, "--test"))
    run = dataclasses.replace(program.run, argv=(*program.run.argv, "--test-threads=1"))
    return dataclasses.replace(program, compile=build, run=run)


# A main may return whatever `Termination` makes an exit code of, and exit codes can only be printed.
_RUST_END: Final = """
fn main() -> ::std::process::ExitCode {
    let code = ::std::process::Termination::report(main_{nonce}());
    if ::std::format!("{:?}", code) == ::std::format!("{:?}", ::std::process::ExitCode::SUCCESS) {
        ::std::println!("\\n{nonce}");
    }
    code
}
"""


def _each_use_once(text: str) -> str:
    """What prompt and test both `use` is an error in Rust where it stands twice; one that has an attribute stays."""
    seen: set[str] = set()
    outer = outer_of(code_of(text, "Rust"))
    for found in _RUST_USE.finditer(outer):
        begin, end = found.span()
        words = " ".join(text[begin:end].split())
        if words in seen and not outer[:begin].rstrip().endswith("]"):
            text = text[:begin] + " " * (end - begin) + text[end:]
        seen.add(words)
    return text
