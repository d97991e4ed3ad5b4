"""A program to run in the sandbox, its limits, and what became of it."""

from __future__ import annotations

import dataclasses
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

MB: Final = 1_000_000
HEAD_BYTES: Final = 16_384


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What a command may use; beyond it the command is killed, or its system call fails.

    Args:
        wall_s: Seconds from start to end, without what its processes wait for a processor; and processor seconds of
            all of them together.
        memory_mb: Memory of all its processes together, and data segment of each, in MB.
        processes: Processes and threads at a time.
        output_mb: Output, standard output and standard error each, in MB.
        disk_mb: Size of /tmp, and of any file, in MB.
    """

    wall_s: float = 10.0
    memory_mb: int = 2_000
    processes: int = 64
    output_mb: float = 4.0
    disk_mb: int = 64

    def __post_init__(self) -> None:
        for one in dataclasses.fields(self):
            if not getattr(self, one.name) > 0:
                raise ValueError(f"{one.name} must be positive, is {getattr(self, one.name)}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Server:
    """A compiler that stays in a box of its own and compiles the programs of a slot one after another.

    It reads an empty line for each program, compiles what lies in `/box/program`, and answers with a line of the exit
    code and the number of bytes that follow, and these bytes: what it says of the program.

    Args:
        files: Its own source, contents by name; it lies in `/box`.
        argv: Its command line.
        limits: What it may use, while it stays.
        trusted: The exit codes that its answers count with; else the program is compiled by itself.
    """

    files: tuple[tuple[str, str], ...]
    argv: tuple[str, ...]
    limits: Limits
    trusted: tuple[int, ...] = (0, 1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """What programs share read-only, made once in a box of its own and without a word of theirs.

    Args:
        files: What it is made of, contents by name.
        argv: The command line that makes it, in a folder that holds the files; the folder is `/prepared` afterward.
        limits: What making it may use.
        arguments: What is added to a command line that uses it.
    """

    files: tuple[tuple[str, str], ...]
    argv: tuple[str, ...]
    limits: Limits
    arguments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Command:
    """A command line, with paths as they are inside the box, its limits, and how much of its output is kept.

    `server` and `prepared` make the same of the same files, sooner; where they can't, the command line runs by itself.
    """

    argv: tuple[str, ...]
    limits: Limits = field(default_factory=Limits)
    keep_bytes: int = HEAD_BYTES
    server: Server | None = None
    prepared: Prepared | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Program:
    """Files, how to compile them, and how to run what comes of it.

    Args:
        files: Contents by relative path. They lie in `/box`, the working directory, until they are compiled.
        compile: Runs first and may write into `/box`; None for languages without compilation.
        run: Runs then; `/box` is read-only to it, `/tmp` isn't.
        stdin: Standard input of `run`.
    """

    files: Mapping[str, str]
    run: Command
    compile: Command | None = None
    stdin: str = ""

    def __post_init__(self) -> None:
        for path in self.files:
            normal = posixpath.normpath(path)
            if not path or normal != path or path.startswith(("/", "../")) or path in ("..", ".") or "\0" in path:
                raise ValueError(f"not a relative path in normal form: {path!r}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What became of one command.

    Args:
        exit: Exit code; None where a signal or the sandbox ended it.
        signal: The signal's name, as `SIGSEGV`, where one ended it that the sandbox didn't send.
        timed_out: Whether it ran into `wall_s`, by wall or by processor time.
        out_of_memory: Whether it was killed for the memory of its processes.
        too_much_output: Whether it was killed for its output.
        wall_s: Seconds from its start to its end.
        stdout, stderr: The output's beginning; bytes that aren't UTF-8 are replaced.
        stdout_end: The end of standard output, some kilobytes; of a short one, all.
    """

    exit: int | None
    signal: str | None = None
    timed_out: bool = False
    out_of_memory: bool = False
    too_much_output: bool = False
    wall_s: float = 0.0
    stdout: str = ""
    stderr: str = ""
    stdout_end: str = ""

    @property
    def is_success(self) -> bool:
        """Whether it ended by itself, with exit code 0."""
        return self.exit == 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """What became of a program: the outcome of its run or, where it didn't compile, of its compilation.

    Args:
        compiled: Whether it compiled; None where nothing is compiled.
        last: The outcome of the last command that ran.
        compile_s: Seconds that the compilation took.
    """

    compiled: bool | None
    last: Outcome
    compile_s: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether it compiled, and its run ended by itself with exit code 0."""
        return self.compiled is not False and self.last.is_success
