"""The model handler, on a tiny random model through Beam's own RunInference, and on a fake engine."""

from __future__ import annotations

import pickle
import re
import weakref
from concurrent.futures import Future
from pathlib import Path

import apache_beam as beam
import jax
import pytest
from apache_beam.ml.inference.base import KeyedModelHandler, RunInference
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that, equal_to
from flax import nnx

import model
from model.engine.requests import Completion, Request, Sampling, ScoreRequest
from model.errors import ConfigError, RecordError
from model.tokenizer import Tokenizer
from transforms.generation.beam_handler import JaxModelHandler, LoadedModel
from transforms.generation.engine import release_engines

DOCUMENT = Path(__file__).parents[3] / "docs" / "inference.md"


@pytest.fixture(scope="module")
def tiny_model(small_vocabulary: str, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("tiny")
    shapes = {"num_layers": 1, "d_model": 32, "d_ff": 64, "num_heads": 2, "num_kv_heads": 1, "head_dim": 16}
    config = model.GemmaConfig(**shapes, vocab_size=360, context_length=256)
    model.save(model.Gemma(config, rngs=nnx.Rngs(params=jax.random.key(3))), folder)
    (folder / "tokenizer.model").write_bytes(Path(small_vocabulary).read_bytes())
    yield str(folder)
    release_engines()


class EchoEngine:
    """Answers with the prompt's own ids; refuses prompts above ten tokens; breaks when told to."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.fault: Exception | None = None

    def submit(self, requests) -> list[Future[Completion]]:
        self.requests += requests
        return [self._answer(request) for request in requests]

    def _answer(self, request: Request) -> Future[Completion]:
        future: Future[Completion] = Future()
        if self.fault is not None:
            future.set_exception(self.fault)
        elif len(request.prompt) > 10:
            future.set_exception(RecordError("prompt_too_long", "got more than 10"))
        else:
            future.set_result(
                Completion(
                    tokens=request.prompt,
                    finish_reason="length",
                    stop_id=None,
                    mean_logprob=0.0,
                    prompt_tokens=len(request.prompt),
                )
            )
        return future


@pytest.fixture
def echo(small_tokenizer: Tokenizer) -> LoadedModel:
    return LoadedModel(engine=EchoEngine(), tokenizer=small_tokenizer)


HANDLER = JaxModelHandler("nowhere", max_prompt_tokens=16, max_new_tokens=4)


def test_the_documents_example_runs_as_it_stands(tiny_model: str, capfd: pytest.CaptureFixture[str]) -> None:
    code = re.search(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert code
    long = "x" * 5000
    exec(
        compile(code[1], "inference.md", "exec"), {"prompts": ["def add(", "import os", long], "model_path": tiny_model}
    )
    printed = capfd.readouterr().out
    assert "def add( -> " in printed and "import os -> " in printed
    assert f"{long[:20]} prompt_too_long" in printed


def test_a_request_to_score_gets_the_log_probabilities_of_its_continuations(tiny_model: str) -> None:
    handler = JaxModelHandler(tiny_model, max_prompt_tokens=32, max_new_tokens=8)
    loaded = handler.load_model()
    ask = ScoreRequest(prompt=(2, 5, 6), continuations=((7, 8), (9,)))
    too_long = ScoreRequest(prompt=(2,) * 40, continuations=((7,),))
    scored, refused, generated = [
        result.inference for result in handler.run_inference([ask, too_long, "def f("], loaded)
    ]
    (expected,) = loaded.engine.score([ask])
    assert scored.logprobs == tuple(tuple(one.tolist()) for one in expected.result())
    assert [len(one) for one in scored.logprobs] == [2, 1] and not scored.is_failed
    assert refused.is_failed and refused.reason == "prompt_too_long" and "at most 40 can be scored" in refused.detail
    assert generated.completion is not None and generated.logprobs is None
    assert handler.get_num_bytes([ask]) == 4 * 6


def test_run_inference_gives_what_the_engine_gives_for_texts_ids_and_requests(tiny_model: str) -> None:
    tokenizer = Tokenizer.load(tiny_model)
    ids = (tokenizer.bos, *tokenizer.encode("import os"))
    request = Request(prompt=ids, max_new_tokens=5, stop_ids=frozenset({tokenizer.eos}))
    handler = JaxModelHandler(tiny_model, max_new_tokens=16)
    loaded = handler.load_model()
    expected = loaded.engine.submit([request])[0].result().tokens

    def tokens(result) -> tuple[str, tuple[int, ...]]:
        return type(result.example).__name__, result.inference.completion.tokens[: len(expected)]

    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        results = pipeline | beam.Create(["import os", ids, request]) | RunInference(handler) | beam.Map(tokens)
        assert_that(results, equal_to([("str", expected), ("tuple", expected), ("Request", expected)]))


def test_a_prompt_that_fails_leaves_its_batch_alone(echo: LoadedModel) -> None:
    batch = ["def add(", "self.value = value" * 9, "\ud800", 7, (2, 5, 6)]
    results = HANDLER.run_inference(batch, echo)
    assert [result.example for result in results] == batch
    assert [result.inference.reason for result in results] == [
        "",
        "prompt_too_long",
        "lone_surrogate",
        "prompt_not_readable",
        "",
    ]
    assert results[0].inference.text == "def add("
    assert results[4].inference.completion.tokens == (2, 5, 6)
    assert [result.inference.is_failed for result in results] == [False, True, True, True, False]


def test_a_fault_of_the_engine_is_raised_so_that_the_runner_retries(echo: LoadedModel) -> None:
    echo.engine.fault = RuntimeError("the device is gone")
    with pytest.raises(RuntimeError, match="the device is gone"):
        HANDLER.run_inference(["def add("], echo)


def test_a_prompts_seed_depends_on_it_alone_and_not_on_its_place_in_the_batch(echo: LoadedModel) -> None:
    handler = JaxModelHandler("nowhere", sampling=Sampling(temperature=0.7, seed=5))
    handler.run_inference(["import os", "def add("], echo)
    handler.run_inference(["def add("], echo)
    first, second, again = (request.sampling for request in echo.engine.requests)
    assert second == again
    assert first.seed != second.seed
    assert first.temperature == 0.7


def test_a_request_is_passed_on_untouched(echo: LoadedModel) -> None:
    request = Request(prompt=(2, 5), max_new_tokens=3, stop_ids=frozenset({1}), sampling=Sampling(seed=9))
    HANDLER.run_inference([request], echo)
    assert echo.engine.requests == [request]


def test_threads_of_a_process_share_one_engine(tiny_model: str) -> None:
    first = JaxModelHandler(tiny_model, max_new_tokens=16).load_model()
    second = pickle.loads(pickle.dumps(JaxModelHandler(tiny_model, max_new_tokens=16))).load_model()  # noqa: S301
    assert first.engine is second.engine


def test_keys_stay_with_their_answers(tiny_model: str) -> None:
    handler = KeyedModelHandler(JaxModelHandler(tiny_model, max_new_tokens=16))
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        results = pipeline | beam.Create([("a", "import os"), ("b", "x" * 5000)]) | RunInference(handler)
        assert_that(
            results | beam.MapTuple(lambda key, r: (key, r.inference.reason)),
            equal_to([("a", ""), ("b", "prompt_too_long")]),
        )


def test_beam_can_hold_the_loaded_model_weakly(echo: LoadedModel) -> None:
    assert weakref.ref(echo)() is echo


def test_bytes_of_a_batch_are_counted_without_pickling_it() -> None:
    request = Request(prompt=(1, 2), max_new_tokens=1, stop_ids=frozenset())
    assert HANDLER.get_num_bytes(["abc", (1, 2, 3), request, None]) == 3 + 12 + 8


def test_batch_sizes_reach_beam() -> None:
    handler = JaxModelHandler("nowhere", min_batch_size=2, max_batch_size=4)
    assert handler.batch_elements_kwargs() == {"min_batch_size": 2, "max_batch_size": 4}


@pytest.mark.parametrize("settings", [{"large_model": True}, {"model_copies": 2}, {"max_new_tokens": 0}])
def test_settings_that_can_not_work_are_refused(settings: dict) -> None:
    with pytest.raises(ConfigError):
        JaxModelHandler("nowhere", **settings)


def test_arguments_for_a_batch_and_a_change_of_the_model_are_refused() -> None:
    with pytest.raises(ConfigError, match="temperature"):
        HANDLER.validate_inference_args({"temperature": 1.0})
    with pytest.raises(ConfigError, match="start a new one"):
        HANDLER.update_model_path("elsewhere")
    HANDLER.update_model_path("nowhere")
    HANDLER.update_model_path(None)
