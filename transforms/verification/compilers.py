"""How a text is compiled or type-checked, without being run, in each language that has a way to.

    C, C++    -fsyntax-only        Java      javac                Rust         rustc --emit=metadata
    C#        mcs, as a library    Kotlin    kotlinc              TypeScript   tsc --noEmit
    Go        go vet               JavaScript  node --check       Python       `transforms.verification.python_names`

Compilers run in the sandbox too: a text may be written against them.
"""

from __future__ import annotations

import dataclasses
import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from transforms.sandbox.program import Command, Limits, Program
from transforms.sandbox.toolchains import Toolchain, is_there, toolchains

_LIMITS: Final = Limits(wall_s=60.0, disk_mb=256)
_OUT: Final = "/tmp/codemill-compiled"
_PUBLIC_CLASS: Final = re.compile(
    r"^\s*public\s+(?:final\s+|abstract\s+|sealed\s+|static\s+)*(?:class|@?interface|enum|record)\s+(\w+)", re.M
)
_ES_MODULE: Final = re.compile(r"^\s*(?:import\s+[\w{*'\"]|export\s)", re.M)


@dataclass(frozen=True, slots=True)
class Compiler:
    """One language's compiler.

    Args:
        file: What the text is called.
        argv: The command line, which ends with the file's name.
        tools: What must be there.
        limits: What it may use.
        version: The command line that tells its version.
        hello: A text that compiles.
        packages: What brings the tools.
        toolchain: What else it shares with the language's toolchain: a compiler that stays, a prepared header.
    """

    file: str
    argv: tuple[str, ...]
    tools: tuple[str, ...]
    limits: Limits
    version: tuple[str, ...]
    hello: str
    packages: str
    toolchain: Toolchain | None = None

    @property
    def missing(self) -> tuple[str, ...]:
        """The tools that aren't there."""
        return tuple(tool for tool in self.tools if not is_there(tool))

    def program(self, text: str) -> Program:
        """The program that compiles a text."""
        file = _file_of(self.file, text)
        command = Command((*self.argv, file), self.limits)
        if self.toolchain is not None:
            command = dataclasses.replace(self.toolchain.compiling(command.argv, text), limits=self.limits)
        if command.server is None:
            return Program(files={file: text}, run=command)
        return Program(files={file: text}, compile=command, run=Command(("/usr/bin/true",)))


def compilers() -> dict[str, Compiler]:
    """All compilers by their language's Linguist name, whether their tools are there or not."""
    known = toolchains()
    found = {language: _of(known[language], argv) for language, argv in _arguments(known).items()}
    c = ("gcc", "-std=gnu11", "-fsyntax-only", "-w")
    found["C"] = Compiler("main.c", c, ("gcc",), _LIMITS, ("gcc", "--version"), "int hello;\n", "gcc")
    # A file by itself is a module: a script would share its names with those of all browsers' windows.
    tsc = (
        *("tsc", "--noEmit", "--skipLibCheck", "--target", "es2022", "--strict", "false"),
        *("--module", "esnext", "--moduleResolution", "bundler", "--moduleDetection", "force"),
    )
    memory = dataclasses.replace(_LIMITS, processes=128)
    found["TypeScript"] = Compiler(
        *("main.ts", tsc, ("tsc", "node"), memory, ("tsc", "--version"), 'export const hello: string = "hello";\n'),
        "nodejs, and npm install -g typescript",
    )
    return found


def as_file(language: str, text: str) -> str:
    """A text as a file: answers are often parts of one, which get what a file has around them, and the usual imports.

    >>> as_file("Go", "func f() string { return strings.ToUpper(x) }").splitlines()[:2]
    ['package main', 'import "strings"']
    """
    if language == "Go" and not re.search(r"^package \w+", text, re.M):
        names = [path for path in _GO_PACKAGES if re.search(rf"\b{path.rpartition('/')[2]}\.[A-Z]", text)]
        has_imports = re.search(r"^import\b", text, re.M)
        return "".join(
            ["package main\n", *([] if has_imports else (f'import "{path}"\n' for path in names)), "\n", text]
        )
    if language in _TYPES and not _TYPES[language].search(textwrap.dedent(text)):
        imports = _IMPORTS.match(text)
        own = imports[0] if imports is not None else ""
        return f"{own}{_HEADS[language]}class Answer {{\n{text[len(own) :]}\n}}\n"
    if language in ("C", "C++") and "#include" not in text:
        return _HEADS[language] + text
    return text


_BEFORE_TYPE: Final = r"^(?:@\w+(?:\([^)\n]*\))?\s+|\[[^\]\n]*\]\s*)*"  # annotations, attributes
# A type at the top of its file; one with other modifiers is a member of another.
_TYPES: Final = {
    "Java": re.compile(
        _BEFORE_TYPE
        + r"(?:(?:public|abstract|final|sealed|non-sealed|strictfp)\s+)*(?:class|@?interface|enum|record)\s+\w",
        re.M,
    ),
    "C#": re.compile(
        _BEFORE_TYPE + r"(?:(?:public|internal|abstract|sealed|static|partial|unsafe|readonly|ref)\s+)*"
        r"(?:class|interface|enum|record|struct|namespace)\s+\w",
        re.M,
    ),
}
_IMPORTS: Final = re.compile(
    r"(?:(?:\s|//[^\n]*\n|(?>/\*.*?\*/)|(?!))*+(?:package|import|using)\s[\w \t.*=<>,]+;[^\S\n]*\n?)+", re.S
)
_GO_PACKAGES: Final = (
    *("bufio", "bytes", "errors", "fmt", "io", "math", "math/bits", "os", "regexp", "sort", "strconv", "strings"),
    *("sync", "time", "unicode", "unicode/utf8"),
)
_HEADS: Final = {
    "Java": "import java.util.*;\nimport java.util.function.*;\nimport java.util.stream.*;\n",
    "C#": "using System;\nusing System.Collections.Generic;\nusing System.Linq;\nusing System.Text;\n",
    "C": "".join(
        f"#include <{one}.h>\n" for one in ("stdbool", "stdint", "stdio", "stdlib", "string", "math", "ctype")
    ),
    "C++": "#include <bits/stdc++.h>\nusing namespace std;\n",
}


def _arguments(known: Mapping[str, Toolchain]) -> dict[str, tuple[str, ...]]:
    """Command lines made of those that build programs, up to the names of input and output."""
    cpp = known["C++"].compile
    go = known["Go"].compile
    kotlin = known["Kotlin"].compile
    return {
        "C++": (*cpp[: cpp.index("-o")], "-fsyntax-only"),
        "C#": ("mcs", "-target:library", "-warn:0", "-r:System.Web.Extensions.dll", f"-out:{_OUT}.dll"),
        "Go": (*go[: go.index("build")], "vet"),
        "Java": (*known["Java"].compile[:-1], "-proc:none", "-d", _OUT),
        "JavaScript": ("node", "--check"),
        "Kotlin": (*kotlin[: kotlin.index("-d")], "-d", _OUT),
        "Rust": (
            *("rustc", "--edition", "2021", "--crate-type", "lib", "--emit=metadata", "-A", "warnings"),
            *("-o", f"{_OUT}.rmeta"),
        ),
    }


def _of(toolchain: Toolchain, argv: tuple[str, ...]) -> Compiler:
    limits = toolchain.compile_limits if toolchain.compile else _LIMITS
    return Compiler(
        *(toolchain.file, argv, toolchain.tools, limits, toolchain.version, toolchain.hello, toolchain.packages),
        toolchain if toolchain.compile else None,
    )


def _file_of(file: str, text: str) -> str:
    """What the text must be called: Java's public class names its file, node goes by the extension."""
    if file == "Main.java" and (found := _PUBLIC_CLASS.search(text)):
        return f"{found[1]}.java"
    return "main.mjs" if file == "main.js" and _ES_MODULE.search(text) else file
