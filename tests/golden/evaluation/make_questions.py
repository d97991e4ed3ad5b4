"""Writes small benchmarks of our own in the published layouts, and the questions that they are asked by.

    python tests/golden/evaluation/make_questions.py     from the project's folder, with PYTHONPATH=.

`questions.json` changes whenever a model would be asked otherwise: then the protocol's version must change as well.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jobs.evaluation.asking import Questions, asked_rows
from jobs.evaluation.prepare import Sources
from transforms.evaluation.benchmarks import BENCHMARKS
from transforms.evaluation.benchmarks.own_tests import OWN_TESTS
from transforms.evaluation.protocol import protocol_of

HERE = Path(__file__).parent
SIGNATURES = {
    "C++": "int twice(int x) {",
    "CSharp": "class Solution {\n    public int Twice(int x) {",
    "Go": "func twice(x int) int {",
    "Java": "class Solution {\n    public Integer twice(Integer x) {",
    "Javascript": "function twice(x) {",
    "Kotlin": "fun twice(x: Int): Int {",
    "Python": 'def twice(x: int) -> int:\n    """Give the double."""',
    "Rust": "pub fn twice(x: i32) -> i32 {",
}


def _checked(number: int) -> dict[str, Any]:
    return {
        "task_id": f"Own/{number}",
        "prompt": f'def times{number}(x):\n    """Multiply by {number}."""\n',
        "entry_point": f"times{number}",
        "canonical_solution": f"    product = {number} * x\n    return product\n",
        "test": f"def check(candidate):\n    assert candidate(7) == {7 * number}\n",
    }


def _filled(number: int, cut: int) -> dict[str, Any]:
    whole = _checked(number)
    lines = whole["canonical_solution"].splitlines(keepends=True)
    before, after = "".join(lines[:cut]), "".join(lines[cut + 1 :])
    return {**whole, "prompt": whole["prompt"] + before, "suffix": after, "canonical_solution": lines[cut]}


def _task(number: int) -> dict[str, Any]:
    return {
        "id": str(number),
        "title": f"Own/{number}",
        "text": f"Write a function that multiplies by {number}.",
        "testing_code": f"assert times(1) == {number}\nassert times(2) == {2 * number} ",
        "solution": f"def times(x):\r\n    return {number} * x",
        "entry_fn_name": "times",
    }


def _spoken(language: str) -> dict[str, Any]:
    return {
        "qid": "0",
        "language": language,
        "signature_with_docstring": SIGNATURES[language],
        "test_code": "PLACEHOLDER_CODE_BODY\n",
        "test_case_ids": ["0"],
        "entry_fn_name": "twice",
        "entry_cls_name": "Solution",
        "python_solution": "def twice(x):\n    return 2 * x\n",
    }


def _trivia(number: int) -> dict[str, Any]:
    answer = {"value": f"Town {number}", "aliases": [f"Town no. {number}"], "normalized_aliases": [f"town {number}"]}
    return {"question": f"Which town has the number {number}?", "question_id": f"own_{number}", "answer": answer}


def _sum(number: int) -> dict[str, Any]:
    return {"question": f"How much is {number} and 1,000?", "answer": f"Add them.\n#### {number + 1000:,}"}


def _formula(number: int) -> dict[str, Any]:
    solution = f"It is $\\boxed{{\\frac{{{number}}}{{2}}}}$."
    return {"problem": f"What is half of {number}?", "level": "Level 1", "type": "Algebra", "solution": solution}


def _own(number: int) -> dict[str, Any]:
    text = _checked(number)
    return {"task_id": f"own/{number}", "language": "python", "prompt": text["prompt"], "test": text["test"]}


DATA: dict[str, list[dict[str, Any]]] = {
    "human_eval": [_checked(2), _checked(3)],
    **{f"human_eval_infilling_{kind}": [_filled(2, 0), _filled(2, 1)] for kind in ("single_line", "multi_line")},
    "human_eval_infilling_random_span": [_filled(3, 1)],
    "mbpp": [_task(number) for number in (2, 3, 4, 11, 510, 511)],
    **{f"babelcode_{name}": list(map(_spoken, SIGNATURES)) for name in ("human_eval", "mbpp")},
    "trivia_qa": [_trivia(1), _trivia(2)],
    "gsm8k": [_sum(1), _sum(2)],
    "math": [_formula(1), _formula(3)],
    "tests": [_own(2), {**_own(3), "suffix": "\n"}],
}


def questions(name: str, shots: int, *, is_chat: bool = False) -> list[dict[str, Any]]:
    """The questions of one of these benchmarks; its own rows serve as examples where it has none of its own."""
    benchmark = OWN_TESTS if name == "tests" else BENCHMARKS[name]
    assert benchmark.asking is not None
    path = str(HERE / f"{name}.jsonl")
    sources = Sources(benchmark=benchmark, data=path, answers=None, reference=False, limit=None)
    rows = asked_rows(
        Questions(
            sources=sources,
            benchmark=benchmark,
            asking=benchmark.asking,
            protocol=protocol_of(benchmark.asking.protocol),
            shots=shots,
            shots_data=path if benchmark.is_text and shots else None,
            samples=1,
            is_chat=is_chat,
        )
    )
    return [{key: row[key] for key in ("task_id", "language", "content")} | json.loads(row["question"]) for row in rows]


def all_questions() -> dict[str, Any]:
    """The questions of all benchmarks, without and with examples, and in chat form."""
    texts = {name for name, benchmark in BENCHMARKS.items() if benchmark.is_text}
    shots = {name: [0, 3] if name == "mbpp" else [0, 2] if name in texts else [0] for name in DATA}
    asked = {f"{name}/{count}": questions(name, count) for name, counts in shots.items() for count in counts}
    chat = {
        f"{name}/{counts[-1]}/chat": questions(name, counts[-1], is_chat=True)
        for name, counts in shots.items()
        if "infilling" not in name
    }
    return {**asked, **chat}


def main() -> None:
    for name, rows in DATA.items():
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (HERE / f"{name}.jsonl").write_text(text, encoding="utf-8")
    text = json.dumps(all_questions(), indent=1, ensure_ascii=False) + "\n"
    (HERE / "questions.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
