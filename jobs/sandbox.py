"""`codemill sandbox`: runs a hello-world of each language in a box, and tells what is missing.

Languages that are only compiled (`--verify compile`) have a line too.

    codemill sandbox --check
    codemill sandbox --check --language go --language rust

Jobs that run what a model wrote use the same boxes and tools (`transforms.sandbox`).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jobs.options import OptionSet, option
from jobs.terminal.escapes import print_line
from model.errors import ConfigError, one_line

if TYPE_CHECKING:
    from transforms.sandbox.program import Result
    from transforms.sandbox.sandbox import Sandbox
    from transforms.sandbox.toolchains import Toolchain
    from transforms.verification.compilers import Compiler


@dataclass(frozen=True, kw_only=True)
class Options(OptionSet):
    """Check that programs can be run in isolation, and in which languages."""

    check: bool = option(help="Run a hello-world of each language, and list versions.", operational=True)
    language: tuple[str, ...] = option(
        default=(),
        help="Only these languages, by any of their names; none given: all.",
        operational=True,
        metavar="NAME",
    )
    sandbox: str = option(
        default="bubblewrap",
        help="What programs run in: bubblewrap, or none, which isolates nothing.",
        choices=("bubblewrap", "none"),
        operational=True,
    )


def run(options: Options, beam_args: Sequence[str] = ()) -> int:
    """Prints a line per language; returns the exit code, 2 if a language that was named can't be run."""
    from jobs.system.exit_codes import DONE, USER_ERROR
    from transforms.sandbox.sandbox import Sandbox, isolation_named
    from transforms.sandbox.toolchains import toolchains
    from transforms.verification.compilers import compilers

    if beam_args:
        raise ConfigError("codemill sandbox runs without Beam; remove what follows --")
    if not options.check:
        raise ConfigError("codemill sandbox has nothing to do; add --check")
    known = toolchains()
    tools: dict[str, Toolchain | Compiler] = {**compilers(), **known}
    found = {language: tools[language] for language in _languages(options.language, sorted(tools))}
    folders = tuple({folder for one in known.values() if not one.missing for folder in one.folders})
    works = True
    with Sandbox(isolation=isolation_named(options.sandbox), folders=folders) as sandbox:
        print_line(f"sandbox: {sandbox.name}")
        for language, one in found.items():
            line, is_fine = _checked(sandbox, language, one)
            works &= is_fine
            print_line(line)
    if not works and options.language:
        print_line("codemill sandbox: a language that was asked for can't be run", sys.stderr)
        return USER_ERROR
    return DONE


def _languages(names: Sequence[str], known: Sequence[str]) -> list[str]:
    """The languages that are named, all that are known if none is. Raises ConfigError for one that isn't known."""
    from transforms.languages.lookup import find_language

    found = [(name, find_language(name)) for name in names]
    for name, language in found:
        if language is None or language.name not in known:
            raise ConfigError(f"the sandbox runs no {name}; it runs {', '.join(known)}")
    return [language.name for _, language in found if language is not None] or list(known)


def _checked(sandbox: Sandbox, language: str, tools: Toolchain | Compiler) -> tuple[str, bool]:
    from transforms.sandbox.toolchains import Toolchain

    name = f"{language:<11}"
    if missing := tools.missing:
        return f"{name} missing: {', '.join(missing)}; install {tools.packages}", False
    result = sandbox.run(tools.program(tools.hello))
    if not result.passed or (isinstance(tools, Toolchain) and result.last.stdout != "hello\n"):
        return f"{name} fails: {_why(result)}", False
    if not isinstance(tools, Toolchain):
        return f"{name} compiles in {result.last.wall_s:.1f} s, isn't run; {_version(sandbox, tools)}", True
    seconds = f"compiles in {result.compile_s:.1f} s, " if result.compiled else ""
    return f"{name} {seconds}runs in {result.last.wall_s:.2f} s; {_version(sandbox, tools)}", True


def _version(sandbox: Sandbox, tools: Toolchain | Compiler) -> str:
    from transforms.sandbox.program import Command, Limits, Program

    last = sandbox.run(Program(files={}, run=Command(tools.version, Limits(wall_s=60.0, processes=128)))).last
    said = (last.stdout + last.stderr).strip().splitlines()
    return one_line(said[0]) if said else "version unknown"


def _why(result: Result) -> str:
    last = result.last
    if last.timed_out:
        return "it ran out of time"
    if last.out_of_memory:
        return "it ran out of memory"
    said = (last.stderr or last.stdout).strip().splitlines()
    return one_line(said[0]) if said else f"exit code {last.exit}, signal {last.signal}"
