"""Whether benchmarks' tests see faults: their own Python solutions with one inserted fault each, tried in the sandbox.

    python -m benchmarks.reference_faults human_eval.parquet [--benchmark human_eval] [--faults 4] [--slots 2]

Faults are drawn by syntax (`transforms.verification.mutants`): another comparison, an off-by-one, a removed statement,
another constant. A fault that survives is either one that the tests don't see or no fault: the program means the same.
They are listed, with what was changed.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator

from jobs.evaluation.tables import read_rows
from transforms.evaluation.benchmarks import BENCHMARKS
from transforms.evaluation.problems import Problem
from transforms.evaluation.trials import Trials
from transforms.languages.syntax import parse
from transforms.verification.mutants import Mutant, draw_mutants


def faults_of(problem: Problem, reference: str, most: int, seed: int) -> Iterator[tuple[Mutant, bytes, str]]:
    """Yields faults in a solution: the change, the code that it is made in, and the answer with it."""
    before = problem.prefix.encode()
    code = before + reference.encode() + problem.suffix.encode()
    source = parse(code, "python")
    assert source is not None
    for mutant in draw_mutants(source, len(before), len(before) + len(reference.encode()), most=most, seed=seed):
        whole = mutant.of(code)
        yield mutant, code, whole[len(problem.prefix) : len(whole) - len(problem.suffix)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--benchmark", default="human_eval", choices=[*BENCHMARKS])
    parser.add_argument("--faults", type=int, default=4)
    parser.add_argument("--slots", type=int, default=2)
    given = parser.parse_args()
    benchmark = BENCHMARKS[given.benchmark]
    trials = Trials(given.slots, "bubblewrap")
    asked = []
    for number, row in enumerate(read_rows(given.data, "data")):
        problem = benchmark.problem(row)
        reference = benchmark.reference(row)
        if isinstance(problem, Problem) and problem.language == "Python" and reference:
            for mutant, code, answer in faults_of(problem, reference, given.faults, number):
                asked.append((problem, mutant, code, trials.submit(problem, answer)))
    reasons: Counter[str] = Counter()
    by_kind: Counter[tuple[str, bool]] = Counter()
    survived = []
    for problem, mutant, code, pending in asked:
        verdict = pending.verdict()
        reasons[verdict.reason] += 1
        by_kind[mutant.kind, verdict.passed] += 1
        if verdict.passed:
            line = code[: mutant.start].count(b"\n")
            changed = mutant.of(code).splitlines()[line].strip()
            was = code.decode().splitlines()[line].strip()
            survived.append(f"{problem.problem_id}: {mutant.kind}: {was} -> {changed}")
    trials.close()
    print(f"{given.benchmark}: {len(asked):,} faults in {len({one[0].problem_id for one in asked}):,} solutions")
    print(", ".join(f"{reason} {count:,}" for reason, count in reasons.most_common()))
    for kind in sorted({kind for kind, _ in by_kind}):
        print(f"| {kind} | {by_kind[kind, False] + by_kind[kind, True]} | {by_kind[kind, True]} |")
    print(*survived, sep="\n")


if __name__ == "__main__":
    main()
