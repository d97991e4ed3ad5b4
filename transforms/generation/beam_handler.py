"""The engine as a model handler of Beam's `RunInference`, for pipelines of one's own.

    prompts -> BatchElements -> JaxModelHandler.run_inference -> PredictionResult(example, Answer, model)
                                        |
                          one engine a process (transforms.generation.engine): batches of all threads share its slots

An element is a text, token ids or a `Request`. A prompt that can't be run (too long, not valid text) gets an `Answer`
that says so, and its batch goes on: `answer.reason` tells the two apart. What breaks the engine itself is raised, so
that the runner retries the batch. Jobs don't use this: `transforms.generation.work` keeps more in flight and commits
units.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, fields, replace
from typing import Any

from apache_beam.ml.inference.base import ModelHandler, PredictionResult

from model.engine.requests import Completion, Generator, Request, Sampling
from model.engine.settings import EngineSpec
from model.errors import ConfigError, RecordError
from model.tokenizer import Tokenizer
from transforms.generation.engine import acquire_engine
from transforms.rows.row import derive_seed

Prompt = str | Sequence[int] | Request

# A batch holds its thread until its last prompt is done, so it should be several times the engine's slots.
_MIN_BATCH, _MAX_BATCH = 128, 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What became of one prompt.

    Args:
        text: What the model wrote, without control tokens; bytes that aren't UTF-8 stand as U+FFFD.
        completion: Tokens, why they ended, their mean log-probability; None where the prompt failed.
        reason: "" or why the prompt wasn't run, as a snake_case word such as `prompt_too_long`.
        detail: One line for a person about it.
    """

    text: str = ""
    completion: Completion | None = None
    reason: str = ""
    detail: str = ""

    @property
    def is_failed(self) -> bool:
        """Whether the prompt wasn't run."""
        return self.completion is None


@dataclass
class LoadedModel:
    """What Beam holds of a loaded model: weakly, which a frozen slots class wouldn't allow."""

    engine: Generator
    tokenizer: Tokenizer


class JaxModelHandler(ModelHandler[Prompt, PredictionResult, LoadedModel]):
    """Runs prompts on this process's engine.

    >>> RunInference(JaxModelHandler("embedded", max_new_tokens=32))  # doctest: +SKIP

    Args:
        model: A checkpoint's folder or URL, or `embedded`.
        sampling: How tokens are drawn for texts and token ids, greedy if left out. Each prompt's seed derives from
            this one's and the prompt, so that the same prompt gets the same answer wherever it runs.
        stop_ids: Ids that end a text's or token ids' completion; the end of the sequence, of the file and of a
            turn if None.
        min_batch_size: Fewest prompts in a batch but for the last ones.
        max_batch_size: Most prompts in a batch. Larger keeps slots fuller; smaller loses less where a batch is retried.
        settings: The engine's, by name, as in `model.engine.settings.EngineSpec`: `max_prompt_tokens` (a longer prompt
            gets a failed answer), `max_new_tokens`, `determinism`, `slots`, `dtype`, ... And what else `ModelHandler`
            takes, such as `max_batch_duration_secs`. Sharing a model across processes is refused: run one worker
            process a device instead.

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
        """The process's engine for these settings, made on the first call, and the model's vocabulary."""
        return LoadedModel(engine=acquire_engine(self._spec), tokenizer=Tokenizer.load(self._spec.model))

    def run_inference(
        self, batch: Sequence[Prompt], model: LoadedModel, inference_args: dict[str, Any] | None = None
    ) -> list[PredictionResult]:
        """Runs a batch of prompts; one result each, in order. May be called by many threads at once."""
        asked = [self._request_or_fault(prompt, model.tokenizer) for prompt in batch]
        futures = iter(model.engine.submit([request for request in asked if isinstance(request, Request)]))
        waiting = [next(futures) if isinstance(request, Request) else request for request in asked]
        return [
            PredictionResult(prompt, _answer(outcome, model.tokenizer), self._spec.model)
            for prompt, outcome in zip(batch, waiting, strict=True)
        ]

    def get_num_bytes(self, batch: Sequence[Prompt]) -> int:
        """Bytes of a batch, for Beam's metrics: a character or 4 bytes an id, without pickling."""
        return sum(map(_num_bytes, batch))

    def get_metrics_namespace(self) -> str:
        """Where Beam counts inferences and latencies."""
        return "BeamML_Codemill"

    def validate_inference_args(self, inference_args: dict[str, Any] | None) -> None:
        """Refuses arguments for a whole batch, since a request says for itself how it is run."""
        if inference_args:
            raise ConfigError(
                f"inference_args has {', '.join(inference_args)}; pass them to JaxModelHandler, or use elements "
                "of type model.engine.requests.Request"
            )

    def update_model_path(self, model_path: str | None = None) -> None:
        """Refuses another model in a running pipeline: a device holds one engine's weights and caches."""
        if model_path and model_path != self._spec.model:
            raise ConfigError(f"the model can't change to {model_path} while the pipeline runs; start a new one")

    def _request_or_fault(self, prompt: Prompt, tokenizer: Tokenizer) -> Request | RecordError:
        if isinstance(prompt, Request):
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
    """A prompt's ids; a text begins a sequence, ids stand as they are. Raises RecordError."""
    if isinstance(prompt, str):
        return (tokenizer.bos, *tokenizer.encode(prompt))
    try:
        return tuple(int(id_) for id_ in prompt)
    except (TypeError, ValueError):
        raise RecordError(
            "prompt_not_readable", f"got {type(prompt).__name__}; a prompt must be a string, token ids or a Request"
        ) from None


def _final_ids(tokenizer: Tokenizer) -> frozenset[int]:
    return frozenset((tokenizer.eos, tokenizer.file_separator, tokenizer.end_of_turn))


def _answer(outcome: Future[Completion] | RecordError, tokenizer: Tokenizer) -> Answer:
    try:
        if isinstance(outcome, RecordError):
            raise outcome
        completion = outcome.result()
    except RecordError as error:
        return Answer(reason=error.reason, detail=error.detail)
    return Answer(text=tokenizer.decode(completion.tokens), completion=completion)


def _num_bytes(prompt: Prompt) -> int:
    if isinstance(prompt, Request):
        return 4 * len(prompt.prompt)
    try:
        return len(prompt) if isinstance(prompt, str) else 4 * len(prompt)
    except TypeError:  # no prompt at all, which `run_inference` says of it
        return 0
