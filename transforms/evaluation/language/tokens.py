"""A question as requests to score, and its choices' log-likelihoods from the scores.

Prompt and choice are encoded together and divided where the prompt alone would end, as the harnesses do, so that the
choice begins with the tokens that a model would generate. White space at the prompt's end counts to the choice. Choices
with the same prompt tokens are one request, whose prompt the engine computes once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model.engine.requests import ScoreRequest, Scores
from model.tokenizer import Tokenizer
from transforms.evaluation.language.questions import Choice, Question


@dataclass(frozen=True, slots=True)
class Asked:
    """A question's requests.

    Args:
        requests: What to score.
        places: For each choice its request and its continuation therein.
    """

    requests: tuple[ScoreRequest, ...]
    places: tuple[tuple[int, int], ...]

    def logprobs(self, scores: Sequence[Scores]) -> list[float]:
        """Each choice's log-likelihood, from the scores of the requests."""
        return [float(np.sum(scores[request][number], dtype=np.float64)) for request, number in self.places]


def requests_of(question: Question, tokenizer: Tokenizer) -> Asked:
    """The requests of a question's choices."""
    prompts: dict[tuple[int, ...], list[tuple[int, ...]]] = {}
    places = []
    for choice in question.choices:
        prompt, continuation = encode_choice(tokenizer, choice)
        same = prompts.setdefault(prompt, [])
        places.append((list(prompts).index(prompt), len(same)))
        same.append(continuation)
    requests = tuple(ScoreRequest(prompt=prompt, continuations=tuple(same)) for prompt, same in prompts.items())
    return Asked(requests, tuple(places))


def encode_choice(tokenizer: Tokenizer, choice: Choice) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Tokens of a choice's prompt, which begins a sequence, and of its continuation."""
    prompt = choice.prompt.rstrip()
    whole = tokenizer.encode(choice.prompt + choice.continuation)
    length = len(tokenizer.encode(prompt))
    return (tokenizer.bos, *whole[:length]), tuple(whole[length:])
