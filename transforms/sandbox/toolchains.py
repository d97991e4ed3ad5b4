"""How a source text becomes a program, in each language that the sandbox runs.

A toolchain is where its tools are found, inside the box's own PATH, so that what runs here runs in the box. Compilers
run inside the box too: a source text may well be written against its compiler.

Names of languages are those of `transforms.languages`, by all their aliases.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from model.errors import ConfigError
from transforms.languages.lookup import find_language
from transforms.sandbox.bubblewrap import PATH, PREPARED, WORK
from transforms.sandbox.kotlin import COMPILER, FILE, SETTINGS, kotlin_folder, kotlin_server
from transforms.sandbox.program import HEAD_BYTES, Command, Limits, Prepared, Program, Server

# One core a program: a slot is one, and a virtual machine would start threads for all that it sees.
_JAVA: Final = (
    *("java", "-XX:ActiveProcessorCount=1", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData"),
    *("-Xshare:auto", "-Xmx1g"),
)
_RUN: Final = Limits()
_RUN_JAVA: Final = Limits(wall_s=15.0, processes=128)
_COMPILE: Final = Limits(wall_s=60.0, disk_mb=256)
_COMPILE_JAVA: Final = Limits(wall_s=60.0, disk_mb=256, processes=128)
# It wants a cache; what it needs of the standard library comes with it, compiled.
_GO: Final = (
    *("env", "GOCACHE=/tmp/cache", "GOFLAGS=-mod=mod", "GO111MODULE=off", "GOMAXPROCS=1", "CGO_ENABLED=0"),
    "go",
)
_PYTHON_MODULES: Final = (
    "import pkgutil, sys; print(*sys.stdlib_module_names, *(one.name for one in pkgutil.iter_modules()))"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Toolchain:
    """The tools of one language.

    Args:
        language: Its Linguist name.
        file: What a source text is called.
        compile: Its compiler's command line; () where nothing is compiled.
        run: The command line that runs the program.
        version: The command line that tells the tools' version.
        hello: A program that prints `hello`.
        packages: Debian packages that bring the tools.
        tools: What must be there, by name or path.
        compile_limits, run_limits: What the two may use.
        folders: Folders outside of /usr that the tools lie in.
        modules: The command line that prints the names of the modules that can be imported; () where none can tell.
        server: Its compiler as one that stays.
        prepared: What its programs share, for those of which `shares` holds.
        shares: Whether a source text is compiled the same with `prepared`.
    """

    language: str
    file: str
    compile: tuple[str, ...] = ()
    run: tuple[str, ...]
    version: tuple[str, ...]
    hello: str
    packages: str
    tools: tuple[str, ...]
    compile_limits: Limits = _COMPILE
    run_limits: Limits = _RUN
    folders: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    server: Server | None = None
    prepared: Prepared | None = None
    shares: Callable[[str], bool] = bool

    @property
    def missing(self) -> tuple[str, ...]:
        """The tools that aren't there."""
        return tuple(tool for tool in self.tools if not is_there(tool))

    def program(
        self,
        source: str,
        *,
        stdin: str = "",
        files: Mapping[str, str] | None = None,
        run_limits: Limits | None = None,
        keep_bytes: int = HEAD_BYTES,
    ) -> Program:
        """The program of a source text.

        Args:
            source: The text.
            stdin: Its standard input.
            files: Further files beside it.
            run_limits: What its run may use; None: the language's own.
            keep_bytes: How much of its output is kept.
        """
        return Program(
            files={**(files or {}), self.file: source},
            compile=self.compiling(self.compile, source) if self.compile else None,
            run=Command(self.run, run_limits or self.run_limits, keep_bytes),
            stdin=stdin,
        )

    def compiling(self, argv: tuple[str, ...], source: str) -> Command:
        """The command that compiles a source text by a command line, with what is shared where that changes nothing."""
        prepared = self.prepared if self.shares(source) else None
        return Command(argv, self.compile_limits, server=self.server, prepared=prepared)


def is_there(tool: str) -> bool:
    """Whether a tool can be run in the box: a path, or a name on its PATH."""
    return os.path.exists(tool) if os.path.isabs(tool) else shutil.which(tool, path=PATH) is not None


def _kotlin() -> Toolchain:
    folder = kotlin_folder()
    jar = f"{folder}/lib/kotlin-compiler.jar"
    # The compiler's script would look for Java and for its own folder; this starts the same class.
    compiler = (*_JAVA, f"-Dkotlin.home={folder}", "-cp", jar, COMPILER)
    library = f"{folder}/lib/kotlin-stdlib.jar"
    return Toolchain(
        language="Kotlin",
        file=FILE,
        compile=(*compiler, *SETTINGS, "-d", f"{WORK}/out", FILE),
        server=kotlin_server(_JAVA, folder),
        run=(*_JAVA, "-cp", f"{WORK}/out:{library}", "MainKt"),
        version=(*compiler, "-version"),
        hello='fun main() { println("hello") }\n',
        packages="default-jdk-headless, and npm install -g kotlin-compiler",
        tools=("java", jar, library),
        compile_limits=Limits(wall_s=90.0, disk_mb=256, processes=128),
        run_limits=Limits(wall_s=30.0, processes=128),
        folders=() if folder.startswith("/usr/") else (folder,),
    )


def begins_with_all_headers(source: str) -> bool:
    """Whether a text in C++ includes all of the standard library before anything that could change its meaning.

    >>> begins_with_all_headers("#include <map>\\n#include <bits/stdc++.h>\\nint x;")
    True
    >>> begins_with_all_headers("#define int long\\n#include <bits/stdc++.h>\\n")
    False
    """
    for line in source.splitlines():
        words = line.strip()
        if not words or (words.startswith("//") and not words.endswith(("\\", "??/"))):
            continue
        included = _INCLUDE.fullmatch(words)
        if included is None or included[1] == _ALL_HEADERS:
            return included is not None
    return False


_ALL_HEADERS: Final = "bits/stdc++.h"
_INCLUDE: Final = re.compile(r"#\s*include\s*<([\w./+-]+)>")
_CPP: Final = ("g++", "-std=c++17", "-O1", "-w")
_CPP_PREPARED: Final = Prepared(
    files=(("all.h", f"#include <{_ALL_HEADERS}>\n"),),
    argv=(*_CPP, "-x", "c++-header", "-o", "all.h.gch", "all.h"),
    limits=_COMPILE,
    arguments=("-include", f"{PREPARED}/all.h"),
)


def toolchains() -> dict[str, Toolchain]:
    """All toolchains by their language's Linguist name, whether their tools are there or not."""
    known = [
        Toolchain(
            language="C++",
            file="main.cpp",
            compile=(*_CPP, "-o", "main", "main.cpp"),
            prepared=_CPP_PREPARED,
            shares=begins_with_all_headers,
            run=(f"{WORK}/main",),
            version=("g++", "--version"),
            hello='#include <iostream>\nint main() { std::cout << "hello" << std::endl; }\n',
            packages="g++",
            tools=("g++",),
        ),
        Toolchain(
            language="C#",
            file="main.cs",
            compile=("mcs", "-warn:0", "-r:System.Web.Extensions.dll", "-out:main.exe", "main.cs"),
            run=("mono", "main.exe"),
            version=("mcs", "--version"),
            hello='class Program { static void Main() { System.Console.WriteLine("hello"); } }\n',
            packages="mono-mcs libmono-system-web-extensions4.0-cil",
            tools=("mcs", "mono"),
        ),
        Toolchain(
            language="Go",
            file="main.go",
            compile=(*_GO, "build", "-o", "main", "main.go"),
            run=(f"{WORK}/main",),
            version=("go", "version"),
            hello='package main\n\nimport "fmt"\n\nfunc main() { fmt.Println("hello") }\n',
            packages="golang-go",
            tools=("go",),
            modules=(*_GO, "list", "std"),
        ),
        Toolchain(
            language="Java",
            file="Main.java",
            compile=(
                *("javac", "-J-XX:+UseSerialGC", "-J-XX:TieredStopAtLevel=1", "-J-Xmx1g"),
                "-nowarn",
                "-d",
                ".",
                "Main.java",
            ),
            run=(*_JAVA, "-cp", WORK, "Main"),
            version=("javac", "-version"),
            hello='class Main { public static void main(String[] a) { System.out.println("hello"); } }\n',
            packages="default-jdk-headless",
            tools=("java", "javac"),
            compile_limits=_COMPILE_JAVA,
            run_limits=_RUN_JAVA,
        ),
        Toolchain(
            language="JavaScript",
            file="main.js",
            run=("node", "--max-old-space-size=1000", "main.js"),
            version=("node", "--version"),
            hello='console.log("hello");\n',
            packages="nodejs",
            tools=("node",),
            modules=("node", "-p", "require('module').builtinModules.join(' ')"),
        ),
        _kotlin(),
        Toolchain(
            language="Python",
            file="main.py",
            run=("python3", "-B", "main.py"),
            version=("python3", "--version"),
            hello='print("hello")\n',
            packages="python3",
            tools=("python3",),
            modules=("python3", "-c", _PYTHON_MODULES),
        ),
        Toolchain(
            language="Rust",
            file="main.rs",
            compile=("rustc", "--edition", "2021", "-O", "-A", "warnings", "-o", "main", "main.rs"),
            run=(f"{WORK}/main",),
            version=("rustc", "--version"),
            hello='fn main() { println!("hello"); }\n',
            packages="rustc",
            tools=("rustc",),
        ),
    ]
    return {one.language: one for one in known}


def toolchain_of(language: str) -> Toolchain | None:
    """The toolchain of a language, by any of its names; None: the sandbox doesn't run it."""
    found = find_language(language)
    return None if found is None else toolchains().get(found.name)


def require(languages: Sequence[str]) -> None:
    """Raises ConfigError if the sandbox doesn't run one of the languages at all, with those that it runs."""
    for language in languages:
        if toolchain_of(language) is None:
            raise ConfigError(f"the sandbox runs no {language}; it runs {', '.join(sorted(toolchains()))}")
