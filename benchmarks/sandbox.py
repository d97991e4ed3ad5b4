"""Programs a second: of each language in the sandbox, and of Python in the sandbox beside less isolated ways.

    python -m benchmarks.sandbox [--slots 2] [--seconds 10] [--language go ...]

    fork with an alarm      what harnesses for Python do: the program runs in a forked copy of the harness, which an
                            alarm interrupts; nothing keeps it from the host's files, network and processes
    a process               an interpreter of its own, with deadlines and nothing else (`--sandbox none`)
    a box                   the same in the sandbox

The ways take turns, so that a load of the machine hits them alike; medians of the turns are told. Each program defines
a function and checks it, as an answer to HumanEval does.
"""

from __future__ import annotations

import argparse
import dataclasses
import io
import multiprocessing
import os
import resource
import signal
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from model.errors import ConfigError
from transforms.evaluation.judge import Judge
from transforms.evaluation.problems import Problem
from transforms.sandbox.program import Program
from transforms.sandbox.sandbox import Sandbox
from transforms.sandbox.toolchains import Toolchain, toolchains
from transforms.sandbox.usage import Meter

TURNS: Final = 5
PROGRAMS: Final = 40  # a turn
LIMIT_S: Final = 3.0
CHECKED: Final = Problem(
    problem_id="double",
    language="Python",
    form="check",
    prefix="def double(x):\n",
    test="def check(candidate):\n    for x in range(100):\n        assert candidate(x) == x + x\n",
    entry_point="double",
    wall_s=LIMIT_S,
)
ANSWER: Final = "    return 2 * x\n"


def _interrupted(*_: object) -> None:
    raise TimeoutError


def _tried(text: str, sending: multiprocessing.connection.Connection) -> None:
    """In the forked process: runs the text with an alarm, and sends whether it passed."""
    signal.signal(signal.SIGALRM, _interrupted)
    signal.setitimer(signal.ITIMER_REAL, LIMIT_S)
    sys.stdout = sys.stderr = io.StringIO()
    try:
        exec(text, {})
        sending.send(True)
    except BaseException:
        sending.send(False)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def forked(text: str) -> bool:
    """Runs a text in a forked process with an alarm."""
    context = multiprocessing.get_context("fork")
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=_tried, args=(text, sending))
    process.start()
    sending.close()
    try:
        return bool(receiving.recv()) if receiving.poll(LIMIT_S + 1) else False
    except EOFError:
        return False
    finally:
        process.kill()
        process.join()


def spent_s() -> float:
    """Processor seconds of this process and of all that it has waited for."""
    return sum(
        used.ru_utime + used.ru_stime
        for used in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def timed(work: Callable[[], Sequence[bool]]) -> tuple[float, float]:
    """Programs a second by the clock, and processor milliseconds a program, of work that must all pass."""
    began, spent = time.perf_counter(), spent_s()
    passed = work()
    seconds = time.perf_counter() - began
    assert all(passed), f"{passed.count(False)} of {len(passed)} programs didn't pass"
    return len(passed) / seconds, 1000 * (spent_s() - spent) / len(passed)


def price_of_isolation(slots: int) -> list[str]:
    """Lines of the table that compares ways to run Python."""
    text = CHECKED.code(ANSWER) + CHECKED.test + f"check({CHECKED.entry_point})\n"
    with (
        ThreadPoolExecutor(slots) as threads,
        Sandbox(slots=slots) as box,
        Sandbox(slots=slots, isolation="none") as bare,
    ):

        def judged(sandbox: Sandbox) -> list[bool]:
            judge = Judge(sandbox, toolchains())
            waiting = [judge.submit(CHECKED, ANSWER) for _ in range(PROGRAMS)]
            return [one.verdict().passed for one in waiting]

        ways: dict[str, Callable[[], Sequence[bool]]] = {
            "fork with an alarm": lambda: list(threads.map(forked, [text] * PROGRAMS)),
            "a process": lambda: judged(bare),
            "a box": lambda: judged(box),
        }
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
        for _ in range(TURNS):
            for name, work in ways.items():
                found[name].append(timed(work))
    rows = {name: [statistics.median(one) for one in zip(*values, strict=True)] for name, values in found.items()}
    return [f"| {name} | {rate:.0f} | {used:.0f} |" for name, (rate, used) in rows.items()]


def programs_of(toolchain: Toolchain) -> dict[str, Program]:
    """A language's programs by the name of their line: hello-worlds, and those that are compiled in other ways."""
    found = {toolchain.language: toolchain.program(toolchain.hello)}
    if toolchain.server is not None:
        found[f"{toolchain.language}, a new compiler for each"] = by_itself(found[toolchain.language])
    if toolchain.prepared is not None:
        shared = toolchain.program(f"#include <bits/stdc++.h>\n{toolchain.hello}")
        found[f"{toolchain.language} with all headers"] = shared
        found[f"{toolchain.language} with all headers, read for each"] = by_itself(shared)
    return found


def by_itself(program: Program) -> Program:
    """The program, compiled with nothing that others share."""
    assert program.compile is not None
    return dataclasses.replace(program, compile=dataclasses.replace(program.compile, server=None, prepared=None))


def line_of(sandbox: Sandbox, name: str, program: Program, slots: int, seconds: float) -> str:
    """A line of the table: the program as many times as there is time for, at least once for each slot.

    What the first round makes for those after it (a compiler that stays, a compiled header) isn't in it.
    """
    compile_s, run_s = [], []
    for future in [sandbox.submit(program) for _ in range(slots)]:
        future.result()
    meter = Meter(os.getpid(), time.monotonic())  # compilers that stay are children that nobody has waited for
    began, spent = time.perf_counter(), meter.look(time.monotonic()).cpu_s
    while time.perf_counter() - began < seconds:
        for result in [future.result() for future in [sandbox.submit(program) for _ in range(slots)]]:
            assert result.passed, result
            compile_s.append(result.compile_s)
            run_s.append(result.last.wall_s)
    rate = len(run_s) / (time.perf_counter() - began)
    used = (meter.look(time.monotonic()).cpu_s - spent) / len(run_s)
    compiled = f"{statistics.median(compile_s):.2f}" if program.compile else ""
    return f"| {name} | {rate:.2f} | {compiled} | {statistics.median(run_s):.3f} | {used:.2f} |"


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=10.0, help="for each language")
    parser.add_argument("--language", action="append", default=[])
    given = parser.parse_args()
    print("| Python in | programs/s | processor ms each |\n|---|---|---|")
    print("\n".join(price_of_isolation(given.slots)), flush=True)
    print(
        "\n| language | programs/s | compiles in s | runs in s | processor s each |\n|---|---|---|---|---|", flush=True
    )
    known = toolchains()
    folders = tuple({folder for one in known.values() if not one.missing for folder in one.folders})
    with Sandbox(slots=given.slots, folders=folders) as sandbox:
        for toolchain in known.values():
            if not toolchain.missing and (not given.language or toolchain.language in given.language):
                for name, program in programs_of(toolchain).items():
                    print(line_of(sandbox, name, program, given.slots, given.seconds), flush=True)


if __name__ == "__main__":
    try:
        main()
    except ConfigError as error:
        sys.exit(f"benchmarks.sandbox: {error}")
