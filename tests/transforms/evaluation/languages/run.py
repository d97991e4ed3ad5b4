"""Tries all answers of known verdict, and prints a table; exit code 1 if a verdict isn't as it should be.

python -m tests.transforms.evaluation.languages.run [--language go ...] [--problem sum ...] [--slots 2]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter

from tests.transforms.evaluation.languages import NAMES, PROBLEMS, cases_of, language_of
from transforms.evaluation.judge import Judge
from transforms.sandbox.sandbox import Sandbox
from transforms.sandbox.toolchains import toolchains


def main() -> int:
    """Runs and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--language", action="append", choices=NAMES)
    parser.add_argument("--problem", action="append", choices=tuple(PROBLEMS), help="only these")
    parser.add_argument("--slots", type=int)
    given = parser.parse_args()
    bad = 0
    print("| language | pass | fail | how the others failed | s |\n|---|---|---|---|---|")
    with Sandbox(slots=given.slots) as sandbox:
        judge = Judge(sandbox, toolchains())
        for name in given.language or NAMES:
            bad += _run(judge, name, tuple(given.problem or PROBLEMS))
    return 1 if bad else 0


def _run(judge: Judge, name: str, problems: tuple[str, ...]) -> int:
    language, began, bad = language_of(name), time.monotonic(), 0
    cases = list(cases_of(language, problems))
    waiting = [(case, judge.submit(case.problem, case.answer)) for case in cases]
    passed, sound, reasons = Counter[bool](), Counter[bool](), Counter[str]()
    for case, pending in waiting:
        verdict = pending.verdict()
        is_right = verdict.reason in case.expected if case.expected else verdict.passed
        should_fail = bool(case.expected)
        sound[should_fail] += is_right
        passed[should_fail] += 1
        if should_fail:
            reasons[verdict.reason] += 1
        if not is_right:
            bad += 1
            print(f"{language.name}, {case.problem.problem_id}, {case.way}: {verdict}", file=sys.stderr)
    told = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common())
    print(
        f"| {language.name} | {sound[False]} of {passed[False]} | {sound[True]} of {passed[True]} | {told} "
        f"| {time.monotonic() - began:.0f} |",
        flush=True,
    )
    return bad


if __name__ == "__main__":
    sys.exit(main())
