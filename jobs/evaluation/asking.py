"""Builds the rows that a model is asked: the questions of a benchmark, with examples in front where it has some.

Examples are rows of the benchmark's own file that aren't scored (MBPP), or the first rows of the file that
`--shots_data` names: what a benchmark's authors or another harness chose doesn't come with codemill.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from jobs.evaluation.prepare import Found, Sources, read_problems
from jobs.evaluation.tables import checked_rows
from model.errors import ConfigError
from transforms.evaluation.benchmarks.base import Benchmark
from transforms.evaluation.chat import with_lead
from transforms.evaluation.columns import reading_row
from transforms.evaluation.problems import Problem
from transforms.evaluation.protocol import Protocol
from transforms.evaluation.question import Asking, Question
from transforms.evaluation.texts.problem import TextProblem
from transforms.evaluation.work import problem_text


@dataclass(frozen=True, kw_only=True, slots=True)
class Questions:
    """What a model is asked.

    Args:
        sources: Where the problems stand.
        benchmark: Whose they are.
        asking: How its rows become questions.
        protocol: The facts of it.
        shots: Examples in front of each question.
        shots_data: The file that they come from; None: the benchmark's own.
        samples: Answers to each.
        is_chat: Whether the model is asked in chat form, as instruction-tuned ones are.
    """

    sources: Sources
    benchmark: Benchmark
    asking: Asking
    protocol: Protocol
    shots: int
    shots_data: str | None
    samples: int
    is_chat: bool = False

    @property
    def version(self) -> str:
        """Protocol, examples and form in one word, for the lineage."""
        return f"{self.protocol.version}/shots-{self.shots}" + ("/chat" if self.is_chat else "")


def asked_rows(questions: Questions) -> list[dict[str, Any]]:
    """The rows to ask, one per sample; writes nothing.

    Raises:
        ConfigError: A file can't be read, has another layout, or too few examples.
    """
    examples = "".join(_examples(questions))
    rows = list(_asked(questions, examples))
    if not rows:
        wanted = f" in {', '.join(questions.sources.languages)}" if questions.sources.languages else ""
        raise ConfigError(f"{questions.sources.data}: {questions.benchmark.name} has no problem there{wanted}")
    return rows


def _asked(questions: Questions, examples: str) -> Iterator[dict[str, Any]]:
    for one in read_problems(questions.sources):
        with one.reading():
            content, question, problem = _question(questions, one, examples)
        for sample in range(questions.samples):
            yield {
                "content": content,
                "task_id": problem.problem_id,
                "sample": sample,
                "language": problem.language,
                "benchmark": questions.benchmark.name,
                "question": question.text(),
                "problem": problem.text() if isinstance(problem, TextProblem) else problem_text(problem),
            }


def _question(questions: Questions, one: Found, examples: str) -> tuple[str, Question, Problem | TextProblem]:
    """What a row's model is sent, the rest of its question, and the problem that its answer is tried by."""
    asking, row, problem = questions.asking, one.row, one.problem
    if (conversation := asking.conversation(row)) is not None:
        if not questions.is_chat:
            raise ConfigError(
                f"{one.where}: conversations need an instruction-tuned model (codegemma-7b-it); or use --prompt chat "
                "to try anyway"
            )
        return conversation, Question(form="conversation", protocol=questions.version, answer="code"), problem
    prompt_of = asking.shot_prompt if questions.shots and asking.shot_prompt is not None else asking.prompt
    prompt = prompt_of(row)
    if not isinstance(prompt, str):
        raise TypeError(f"the prompt must be text, is {type(prompt).__name__}")
    question = Question(
        form="fill" if asking.suffix(row) else questions.protocol.form,  # a model can't be told of it otherwise
        protocol=questions.version,
        suffix=asking.suffix(row),
        is_line=asking.is_line,
        lead=asking.lead(row),
        ending=questions.protocol.ending_of(problem.language, questions.shots),
    )
    if questions.is_chat and question.form == "continue":
        return _turn(questions, examples + prompt, question, problem)
    return examples + prompt, question, problem


def _turn(
    questions: Questions, prompt: str, question: Question, problem: Problem | TextProblem
) -> tuple[str, Question, Problem | TextProblem]:
    """A question in chat form."""
    chat = questions.protocol.chat
    if chat is None:
        raise ConfigError(
            "the protocol has no table chat, which says how an instruction-tuned model is asked; add it, or use "
            "--prompt base"
        )
    lead = question.lead
    if chat.answer == "code" and isinstance(problem, Problem):
        problem, lead = with_lead(problem, lead)
    question = replace(question, form="turn", answer=chat.answer, lead=lead)
    return chat.turn(prompt, problem.language), question, problem


def _examples(questions: Questions) -> Iterator[str]:
    """The examples' texts, as many as are asked for."""
    wanted, asking = questions.shots, questions.asking
    if not wanted:
        if questions.shots_data is not None:
            raise ConfigError(
                "--shots_data: with 0 shots no example is shown; give their number by --shots, or remove it"
            )
        return
    if asking.shot is None:
        raise ConfigError(f"--shots {wanted}: {questions.benchmark.name} is asked without examples; remove --shots")
    is_shot: Callable[[Mapping[str, Any]], bool] = _always
    if questions.shots_data is not None:
        path, flag = questions.shots_data, "--shots_data"
    elif asking.is_shot is not None:
        path, flag, is_shot = questions.sources.data, "--data", asking.is_shot
    else:
        raise ConfigError(
            f"{questions.benchmark.name} with --shots {wanted} needs --shots_data, a file of its layout whose first "
            "rows are the examples (rows that aren't scored, such as those of its train split)"
        )
    found: list[str] = []
    for where, row in checked_rows(path, flag, questions.benchmark.check_columns):
        with reading_row(where, f"example of {questions.benchmark.name}"):
            if is_shot(row):
                found.append(asking.shot(row))
        if len(found) == wanted:
            break
    if len(found) < wanted:
        raise ConfigError(f"--shots {wanted}: {flag} {path} has {len(found)} examples")
    yield from found


def _always(row: Mapping[str, Any]) -> bool:
    return True
