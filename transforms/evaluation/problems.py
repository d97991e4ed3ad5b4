"""A problem of a benchmark, and the verdict on an answer to it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

import pyarrow as pa

Form = Literal["check", "asserts", "markers", "program", "run", "correction"]
"""How a problem's tests are run.

check       Python: `test` defines `check(candidate)`, which is called with the function `entry_point`
asserts     Python: `test` is statements that raise where the answer is wrong
markers     `test` is a whole program with a place for the code; it prints a line for each of `markers` that has passed
program     setup, code and `test` are one program, or one test of the language's own test tool
run         setup and code are a program that must end with exit code 0; `test` is empty
correction  nothing is run: the code must parse and differ from `test`, the code that it corrects
"""

ASSERTION: Final = re.compile(
    r"Assertion\b.*\bfailed|AssertionError|\bassertion (?:`.*` )?failed|\bDebug\.Assert\b|console\.assert:"
)
"""How languages say that an assertion has failed."""
CODE_BODY: Final = "PLACEHOLDER_CODE_BODY"
ENTRY_FUNCTION: Final = "PLACEHOLDER_FN_NAME"
ENTRY_CLASS: Final = "PLACEHOLDER_CLS_NAME"

Reason = Literal[
    "passed",
    "wrong",
    "exception",
    "exited_early",
    "crashed",
    "timed_out",
    "out_of_memory",
    "too_much_output",
    "does_not_compile",
    "cheated",
    "no_toolchain",
    "no_test_ran",
]
"""Why an answer passed or didn't. The last two say nothing about it: it could not be run here, or its test would have
tested nothing."""
NOT_RUN: Final = ("no_toolchain", "no_test_ran")


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """What is asked, and how an answer is tried.

    Args:
        problem_id: Its id in the benchmark, as `HumanEval/3`.
        language: Linguist name of the answer's language.
        form: How its tests are run.
        test: The tests, as `form` says.
        setup: Lines that stand before everything else.
        prefix: The code before the answer: what a model continues.
        suffix: The code after the answer.
        entry_point: The function that is tested.
        entry_class: The class that it is in, in languages that need one.
        markers: The ids of the tests that must have passed.
        wall_s: Seconds that the run may take.
    """

    problem_id: str
    language: str
    form: Form
    test: str
    setup: str = ""
    prefix: str = ""
    suffix: str = ""
    entry_point: str = ""
    entry_class: str = ""
    markers: tuple[str, ...] = ()
    wall_s: float = 10.0

    def code(self, answer: str) -> str:
        """The text with the answer in its place."""
        return self.prefix + answer + self.suffix


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What became of an answer.

    Args:
        reason: Why it passed or didn't.
        detail: One line of evidence: the exception, the compiler's first line, the test that failed.
        wall_s: Seconds of the run.
        compile_s: Seconds of the compilation.
        exit, signal: How the run ended.
        stdout, stderr: The output's beginning.
    """

    reason: Reason
    detail: str = ""
    wall_s: float = 0.0
    compile_s: float = 0.0
    exit: int | None = None
    signal: str | None = None
    stdout: str = ""
    stderr: str = ""

    @property
    def passed(self) -> bool:
        """Whether every test passed."""
        return self.reason == "passed"

    @property
    def was_run(self) -> bool:
        """Whether it counts: neither a missing toolchain nor a test without tests says anything about an answer."""
        return self.reason not in NOT_RUN


EXECUTED_TYPE: Final = pa.struct(
    [
        pa.field("reason", pa.string(), nullable=False),
        pa.field("detail", pa.string(), nullable=False),
        pa.field("wall_s", pa.float32(), nullable=False),
        pa.field("compile_s", pa.float32(), nullable=False),
        pa.field("exit", pa.int32()),
        pa.field("signal", pa.string()),
        pa.field("stdout", pa.string(), nullable=False),
        pa.field("stderr", pa.string(), nullable=False),
    ]
)
"""The evidence that a row keeps."""
