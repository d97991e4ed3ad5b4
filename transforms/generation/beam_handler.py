"""The engine as a model handler for Beam's `RunInference`, for custom pipelines.

    prompts -> BatchElements -> JaxModelHandler.run_inference -> PredictionResult(example, Answer, model)
                                        |
                          one engine per process (transforms.generation.engine): batches of all threads share its slots

An element is a text, token ids or a `Request`; or a `ScoreRequest`, whose answer has log-probabilities. A prompt that
can't be run (too long, not valid text) gets an `Answer` with a `reason`, and the rest of its batch continues. An error
that breaks the engine itself is raised, so that the runner retries the batch. Jobs don't use this handler:
`transforms.generation.work` keeps more requests in flight and commits units.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, fields, replace
from typing import Any

from apache_beam.ml.inference.base import ModelHandler, PredictionResult

from model.engine.requests import Completion, Generator, Request, Sampling, ScoreRequest, Scores
from model.engine.settings import EngineSpec
from model.errors import ConfigError, RecordError
from model.tokenizer import Tokenizer
from transforms.fim.formats import known_ids
from transforms.generation.engine import acquire_engine
from transforms.rows.row import derive_seed

Prompt = str | Sequence[int] | Request | ScoreRequest

# A batch holds its thread until its last prompt is done, so it should be several times the engine's slots.
_MIN_BATCH, _MAX_BATCH = 128, 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """The outcome of one prompt.

    Args:
        text: The generated text, without control tokens; bytes that aren't UTF-8 become U+FFFD.
        completion: Tokens, finish reason and mean log-probability; None if the prompt failed or was only scored.
        logprobs: Of a `ScoreRequest`: for each continuation, its tokens' log-probabilities.
        reason: "" or why the prompt wasn't run, as a snake_case word such as `prompt_too_long`.
        detail: A one-line explanation of the reason.
    """

    text: str = ""
    completion: Completion | None = None
    logprobs: tuple[tuple[float, ...], ...] | None = None
    reason: str = ""
    detail: str = ""

    @property
    def is_failed(self) -> bool:
        """Whether the prompt wasn't run."""
        return self.completion is None and self.logprobs is None


@dataclass
class LoadedModel:
    """The loaded model as Beam stores it. Beam needs a weak reference, which a frozen slots class doesn't allow."""

    engine: Generator
    tokenizer: Tokenizer


class JaxModelHandler(ModelHandler[Prompt, PredictionResult, LoadedModel]):
    """Runs prompts on this process's engine.

    >>> RunInference(JaxModelHandler("embedded", max_new_tokens=32))  # doctest: +SKIP

    Args:
        model: A checkpoint's folder or URL, or `embedded`.
        sampling: How tokens are sampled for texts and token ids; greedy by default. Each prompt's seed derives from
            this seed and the prompt, so that the same prompt gets the same answer wherever it runs.
        stop_ids: Ids that end the completion of a text or of token ids. If None, the ends of the sequence, of the file
            and of a turn.
        min_batch_size: Minimum number of prompts in a batch, except in the last batches.
        max_batch_size: Maximum number of prompts in a batch. A larger one keeps slots fuller; a smaller one loses less
            when a batch is retried.
        settings: The engine's settings, by name, as in `model.engine.settings.EngineSpec`: `max_prompt_tokens` (a
            longer prompt gets a failed answer), `max_new_tokens`, `determinism`, `slots`, `dtype`, ... Also the other
            arguments of `ModelHandler`, such as `max_batch_duration_secs`. Sharing a model across processes is
            refused: run one worker process per device instead.

    Raises:
        ConfigError: A setting that can't work; in the worker, a model that can't be loaded.
    """

    def __init__(
        self,
        model: str,
        *,
        sampling: Sampling | None = None,
        stop_ids: Iterable[int] | None = None,
        min_batch_size: int = _MIN_BATCH,
        max_batch_size: int = _MAX_BATCH,
        **settings: Any,
    ):
        if settings.get("large_model") or settings.get("model_copies") is not None:
            raise ConfigError(
                "large_model and model_copies share a model between processes, but only one process can own a device; "
                "run one worker process per device instead (its threads share the engine)"
            )
        of_engine = {field.name for field in fields(EngineSpec)} & settings.keys()
        self._spec = EngineSpec(model=model, **{name: settings.pop(name) for name in of_engine})
        super().__init__(min_batch_size=min_batch_size, max_batch_size=max_batch_size, **settings)
        self._sampling = Sampling() if sampling is None else sampling
        self._stop_ids = None if stop_ids is None else frozenset(stop_ids)

    def load_model(self) -> LoadedModel:
        """Returns the process's engine for these settings, created on the first call, and the model's vocabulary."""
        return LoadedModel(engine=acquire_engine(self._spec), tokenizer=Tokenizer.load(self._spec.model))

    def run_inference(
        self, batch: Sequence[Prompt], model: LoadedModel, inference_args: dict[str, Any] | None = None
    ) -> list[PredictionResult]:
        """Runs a batch of prompts and returns one result per prompt, in order. Thread-safe."""
        asked = [self._request_or_fault(prompt, model.tokenizer) for prompt in batch]
        completions = iter(model.engine.submit([request for request in asked if isinstance(request, Request)]))
        scored = [request for request in asked if isinstance(request, ScoreRequest)]
        scores = iter(model.engine.score(scored) if scored else ())
        waiting: list[Future[Completion] | Future[Scores] | RecordError] = []
        for request in asked:
            if isinstance(request, RecordError):
                waiting.append(request)
            else:
                waiting.append(next(completions) if isinstance(request, Request) else next(scores))
        return [
            PredictionResult(prompt, _answer(outcome, model.tokenizer), self._spec.model)
            for prompt, outcome in zip(batch, waiting, strict=True)
        ]

    def get_num_bytes(self, batch: Sequence[Prompt]) -> int:
        """Bytes of a batch, for Beam's metrics: one per character or 4 per id, without pickling."""
        return sum(map(_num_bytes, batch))

    def get_metrics_namespace(self) -> str:
        """The namespace in which Beam counts inferences and latencies."""
        return "BeamML_Codemill"

    def validate_inference_args(self, inference_args: dict[str, Any] | None) -> None:
        """Refuses arguments for a whole batch, because each request states how it is run."""
        if inference_args:
            raise ConfigError(
                f"inference_args has {', '.join(inference_args)}; pass them to JaxModelHandler, or use elements "
                "of type model.engine.requests.Request"
            )

    def update_model_path(self, model_path: str | None = None) -> None:
        """Refuses another model in a running pipeline: a device holds one engine's weights and caches."""
        if model_path and model_path != self._spec.model:
            raise ConfigError(f"the model can't change to {model_path} while the pipeline runs; start a new one")

    def _request_or_fault(self, prompt: Prompt, tokenizer: Tokenizer) -> Request | ScoreRequest | RecordError:
        if isinstance(prompt, Request | ScoreRequest):
            return prompt
        try:
            ids = _token_ids(prompt, tokenizer)
        except RecordError as error:
            return error
        return Request(
            prompt=ids,
            max_new_tokens=self._spec.max_new_tokens,
            stop_ids=_final_ids(tokenizer) if self._stop_ids is None else self._stop_ids,
            sampling=replace(self._sampling, seed=derive_seed(self._sampling.seed, *ids)),
        )


def _token_ids(prompt: Any, tokenizer: Tokenizer) -> tuple[int, ...]:
    """Returns a prompt's ids. A text gets a `<bos>` in front; ids are used as they are. Raises RecordError."""
    if isinstance(prompt, str):
        return (tokenizer.bos, *tokenizer.encode(prompt))
    try:
        return tuple(int(id_) for id_ in prompt)
    except (TypeError, ValueError):
        raise RecordError(
            "prompt_not_readable", f"got {type(prompt).__name__}; a prompt must be a string, token ids or a Request"
        ) from None


def _final_ids(tokenizer: Tokenizer) -> frozenset[int]:
    return frozenset(known_ids(tokenizer, "eos", "file_separator", "end_of_turn"))


def _answer(outcome: Future[Completion] | Future[Scores] | RecordError, tokenizer: Tokenizer) -> Answer:
    try:
        if isinstance(outcome, RecordError):
            raise outcome
        result = outcome.result()
    except RecordError as error:
        return Answer(reason=error.reason, detail=error.detail)
    if isinstance(result, Completion):
        return Answer(text=tokenizer.decode(result.tokens), completion=result)
    return Answer(logprobs=tuple(tuple(one.tolist()) for one in result))


def _num_bytes(prompt: Prompt) -> int:
    if isinstance(prompt, Request):
        return 4 * len(prompt.prompt)
    if isinstance(prompt, ScoreRequest):
        return 4 * (len(prompt.prompt) + sum(map(len, prompt.continuations)))
    try:
        return len(prompt) if isinstance(prompt, str) else 4 * len(prompt)
    except TypeError:  # not a prompt; `run_inference` reports that
        return 0
