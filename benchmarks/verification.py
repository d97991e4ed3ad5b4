"""What running answers costs, and which scripted answers it accepts: rows a second, shares of accepted tests by kind.

    python -m benchmarks.verification --functions 40

The corpus are functions of Python's own standard library that can be called with generated inputs. For each of them,
tests of several kinds are written without a model: from what the function returns (`recorded`), the same with one
result changed (`wrong`), calls whose results nobody looks at (`smoke`), a look at the function alone (`idle`), and
recorded ones that need a package that isn't there (`foreign`). Small files of each language are compiled.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sysconfig
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from transforms.languages.syntax import parse
from transforms.machine import available_cores
from transforms.rows.row import Row, SourceRef, content_sha256
from transforms.symbols import Symbol, find_symbols
from transforms.tasks.settings import VerifySettings
from transforms.tasks.trials import compile_trial, generated_tests_trial
from transforms.verification.behavior import ObserveCalls
from transforms.verification.calls import FAILED
from transforms.verification.functions import called_function
from transforms.verification.inputs import draw_inputs
from transforms.verification.python_context import needed_context
from transforms.verification.verifier import Verifier

SETTINGS = VerifySettings(verify="run", mutants=8, program_timeout_s=5.0)
KINDS = ("recorded", "wrong", "smoke", "idle", "foreign")
FILES = {
    "C++": "#include <vector>\nint f(int a) { return std::vector<int>(a).size(); }\n",
    "C#": "class A { int F(int a) { return a + 1; } }\n",
    "Go": 'package p\n\nimport "strings"\n\nfunc f(s string) string { return strings.ToUpper(s) }\n',
    "Java": "class A { int f(int a) { return a + 1; } }\n",
    "JavaScript": "function f(a) { return a + 1; }\n",
    "Kotlin": "fun f(a: Int): Int { return a + 1 }\n",
    "Python": "def f(a):\n    return a + 1\n",
    "Rust": "pub fn f(a: i32) -> i32 { a + 1 }\n",
}


def functions(verifier: Verifier, count: int) -> Iterator[tuple[Row, Symbol, list[tuple[str, str]]]]:
    """Functions of the standard library with inputs and what they return, in an order drawn by a fixed seed."""
    paths = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
    random.Random(1).shuffle(paths)
    found = 0
    for path in paths:
        text = path.read_text(encoding="utf-8", errors="replace")
        source = parse(text.encode(), "python")
        for symbol in find_symbols(source) if source is not None else ():
            if symbol.kind != "function" or symbol.name != symbol.qualified_name or found == count:
                continue
            code = needed_context(text, symbol.start, symbol.end).code
            called = called_function("Python", code, symbol.name)
            if called is None or not called[1]:
                continue
            inputs = draw_inputs(called[1], 1)
            outputs = verifier.submit(ObserveCalls(function=called[0], inputs=inputs, wall_s=5.0)).result().outputs
            pairs = [(i, o) for i, o in zip(inputs, outputs or (), strict=False) if o not in ("", FAILED)]
            if len({output for _, output in pairs}) >= 2:
                found += 1
                sha = content_sha256(text)
                row = Row(SourceRef("stdlib", 0, found), text, sha, sha, path=path.name, language="python")
                yield row, symbol, pairs[:8]


def tests_of(kind: str, name: str, pairs: list[tuple[str, str]]) -> str:
    """Tests of one kind for a function."""
    calls = [f"{name}(*{json.loads(given)!r})" for given, _ in pairs]
    results = [repr(json.loads(output)) for _, output in pairs]
    head = f"from solution import {name}\n" + ("import no_such_package\n" if kind == "foreign" else "")
    if kind == "idle":
        return f"{head}\ndef test_it():\n    assert callable({name})\n"
    if kind == "wrong":
        results[0] = "'something else'"
    # JSON has no tuples: results are compared as it writes them.
    plain = "import json\n\ndef plain(value):\n    return json.loads(json.dumps(value))\n\n"
    lines = [
        f"    {call}\n" if kind == "smoke" else f"    assert plain({call}) == {result}\n"
        for call, result in zip(calls, results, strict=True)
    ]
    return f"{head}{plain}\ndef test_it():\n{''.join(lines)}"


def measure_tests(verifier: Verifier, count: int) -> None:
    """Prints for each kind of tests what became of them, and rows and programs a second."""
    rows = list(functions(verifier, count))
    print(f"{len(rows)} functions of the standard library, {SETTINGS.mutants} mutants each at most")
    for kind in KINDS:
        began, used, before = time.monotonic(), processor_s(), verifier.programs_done
        trials = [
            generated_tests_trial(
                row,
                tests_of(kind, symbol.name, pairs),
                span=(symbol.start, symbol.end),
                name=symbol.name,
                settings=SETTINGS,
                seed=1,
            )
            for row, symbol, pairs in rows
        ]
        evidence = [future.result() for future in [verifier.submit(trial) for trial in trials]]
        wall, programs = time.monotonic() - began, verifier.programs_done - before
        fates = Counter(one.fault[0] if one.fault else "accepted" for one in evidence)
        mutants = [one.checks["mutants_killed"] for one in evidence if one.checks.get("mutants_killed")]
        killed = f"{sum(one['killed'] for one in mutants)} of {sum(one['of'] for one in mutants)} mutants killed"
        shares = ", ".join(f"{fate} {number / len(rows):.0%}" for fate, number in fates.most_common())
        print(
            f"{kind:9} {shares}; {killed}; {len(rows) / wall:.1f} rows/s, {programs / wall:.0f} programs/s, "
            f"{(processor_s() - used) / max(1, programs) * 1000:.0f} ms of processor time a program"
        )


def measure_compilers(verifier: Verifier, count: int) -> None:
    """Prints rows a second of compiling a small file, by language, once what files share is made."""
    for language, text in FILES.items():
        for rounds in (range(2), range(2, 2 + count)):
            began = time.monotonic()
            trials = [
                compile_trial(language, f"{text}\n// {n}\n" if language != "Python" else text, None) for n in rounds
            ]
            evidence = [future.result() for future in [verifier.submit(trial) for trial in trials]]
        verdicts = Counter(str(one.checks["compiles"]) for one in evidence)
        print(f"{language:11} {count / (time.monotonic() - began):7.1f} rows/s; compiles: {dict(verdicts)}")


def processor_s() -> float:
    """Processor time of this process and of those that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def main() -> None:
    """Measures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--functions", type=int, default=40)
    parser.add_argument("--files", type=int, default=10)
    parser.add_argument("--slots", type=int, default=available_cores())
    given = parser.parse_args()
    with Verifier(slots=given.slots) as verifier:
        measure_tests(verifier, given.functions)
        measure_compilers(verifier, given.files)


if __name__ == "__main__":
    main()
