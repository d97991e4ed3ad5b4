"""How a source text becomes a program, in each language that the sandbox runs.

A toolchain is where its tools are found, inside the box's own PATH, so that what runs here runs in the box. Compilers
run inside the box too: a source text may well be written against its compiler.

Names of languages are those of `transforms.languages`, by all their aliases.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from model.errors import ConfigError
from transforms.languages.lookup import find_language
from transforms.sandbox.bubblewrap import PATH, WORK
from transforms.sandbox.program import HEAD_BYTES, Command, Limits, Program

KOTLIN_FOLDER_VARIABLE: Final = "KOTLIN_HOME"
_KOTLIN_FOLDERS: Final = (
    "/usr/lib/node_modules/kotlin-compiler",
    "/usr/local/lib/node_modules/kotlin-compiler",
    "/opt/kotlinc",
)
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
            compile=Command(self.compile, self.compile_limits) if self.compile else None,
            run=Command(self.run, run_limits or self.run_limits, keep_bytes),
            stdin=stdin,
        )


def is_there(tool: str) -> bool:
    """Whether a tool can be run in the box: a path, or a name on its PATH."""
    return os.path.exists(tool) if os.path.isabs(tool) else shutil.which(tool, path=PATH) is not None


def kotlin_folder() -> str:
    """Where Kotlin's compiler is: KOTLIN_HOME, else where npm and its archive put it."""
    named = os.environ.get(KOTLIN_FOLDER_VARIABLE)
    found = [folder for folder in _KOTLIN_FOLDERS if os.path.exists(f"{folder}/lib/kotlin-compiler.jar")]
    return named or next(iter(found), _KOTLIN_FOLDERS[0])


def _kotlin() -> Toolchain:
    folder = kotlin_folder()
    jar = f"{folder}/lib/kotlin-compiler.jar"
    # The compiler's script would look for Java and for its own folder; this starts the same class.
    compiler = (*_JAVA, f"-Dkotlin.home={folder}", "-cp", jar, "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler")
    library = f"{folder}/lib/kotlin-stdlib.jar"
    return Toolchain(
        language="Kotlin",
        file="main.kt",
        compile=(*compiler, "-no-reflect", "-nowarn", "-d", f"{WORK}/out", "main.kt"),
        run=(*_JAVA, "-cp", f"{WORK}/out:{library}", "MainKt"),
        version=(*compiler, "-version"),
        hello='fun main() { println("hello") }\n',
        packages="default-jdk-headless, and npm install -g kotlin-compiler",
        tools=("java", jar, library),
        compile_limits=Limits(wall_s=90.0, disk_mb=256, processes=128),
        run_limits=Limits(wall_s=30.0, processes=128),
        folders=() if folder.startswith("/usr/") else (folder,),
    )


def toolchains() -> dict[str, Toolchain]:
    """All toolchains by their language's Linguist name, whether their tools are there or not."""
    known = [
        Toolchain(
            language="C++",
            file="main.cpp",
            compile=("g++", "-std=c++17", "-O1", "-w", "-o", "main", "main.cpp"),
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
