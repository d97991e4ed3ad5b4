"""A text classifier that the user names, as a stage: a model that takes a text and returns probabilities, in ONNX or,
as the file's first bytes tell, in fastText's format (`fasttext_model.py`). For ONNX:

    input     one tensor of strings, of shape [N] or [N, 1], as scikit-learn's text pipelines are exported
    output    probabilities: a float tensor [N] or [N, C], or for each row a map from class to probability
    score     that of the class `target`; by default that of the last one

The lineage has the hash of the model's file. It runs on one thread of the processor, on at most `MAX_CHARS` of a text
(what is cut is counted), in batches of `BATCH_ROWS`. The libraries are an extra: `codemill[classifier]`.

ONNX: https://onnx.ai/onnx/intro/
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import pyarrow as pa

from model.errors import SHOWN_CHARS, ConfigError, one_line
from transforms.filters.fasttext_model import MAGIC, FastTextScorer
from transforms.filters.stage import Stage, StageResult
from transforms.row_pool import beat
from transforms.rows.rejections import Rejection, stage_error
from transforms.rows.row import Row

try:
    import onnxruntime
except ImportError:  # an extra
    onnxruntime = None

MAX_CHARS: Final = 20_000
MAX_MODEL_BYTES: Final = 1 << 30
BATCH_ROWS: Final = 32
_TEXT: Final = "tensor(string)"
_PROBABILITIES: Final = (
    "tensor(float)",
    "tensor(double)",
    "seq(map(string,tensor(float)))",
    "seq(map(int64,tensor(float)))",
)

Scorer = Callable[[Sequence[str]], list[float]]
"""The probability of the class for each text."""


@dataclass
class ClassifierStage(Stage):
    """Rejects rows whose text a classifier scores at the threshold or above, and gives the score of the others.

    Args:
        path: The model's file.
        sha256: The hash that the file must have; see `model_sha256`.
        threshold: The score from which a row is rejected.
        target: The class whose probability is the score: a name or a number of a map, or a column's number; "" for the
            last one. For fastText, a label.
    """

    name: ClassVar[str] = "classifier"
    fields: ClassVar[tuple[pa.Field, ...]] = (pa.field("classifier_score", pa.float32(), nullable=False),)

    path: str
    sha256: str
    threshold: float = 0.5
    target: str = ""
    _scores: Scorer | None = field(default=None, repr=False, compare=False)

    @property
    def version(self) -> str:
        """The hash of the model, the threshold and the class."""
        target = f"-{self.target}" if self.target else ""
        return f"classifier-{self.sha256[:16]}-{self.threshold:g}{target}"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_scores": None}

    def open(self) -> None:
        """Loads the model, once. Raises ConfigError: it is another file, or no text classifier."""
        if self._scores is not None:
            return
        if model_sha256(self.path) != self.sha256:
            raise ConfigError(f"{_called(self.path)} changed during the job; restore it, or start a new --output")
        scores = self._loaded()
        try:
            scores(["def f(x):\n    return x\n"])
        except Exception as error:  # whatever the model's operators raise
            raise ConfigError(f"{_called(self.path)} can't score a text: {_reason(error)}") from None
        self._scores = scores

    def _loaded(self) -> Scorer:
        with open(self.path, "rb") as file:
            is_fasttext = file.read(len(MAGIC)) == MAGIC
        if not is_fasttext:
            return functools.partial(_onnx_scores, _load(self.path), self.target)
        try:
            return FastTextScorer(self.path, self.target)
        except ConfigError as error:
            raise ConfigError(f"{_called(self.path)} {error}") from None

    def examine(self, row: Row) -> StageResult:
        """Reason: `classified`."""
        return self.examine_all([row])[0]

    def examine_all(self, rows: Sequence[Row]) -> list[StageResult]:
        """Scores the rows in batches."""
        results: list[StageResult] = []
        for start in range(0, len(rows), BATCH_ROWS):
            results += self._examine_batch(rows[start : start + BATCH_ROWS])
            beat()
        return results

    def _examine_batch(self, rows: Sequence[Row]) -> Iterator[StageResult]:
        assert self._scores is not None, "call open() first"
        try:
            scores = self._scores([_encodable(row.content[:MAX_CHARS]) for row in rows])
        except Exception as error:
            if len(rows) > 1:  # so that only the row that fails is lost
                for row in rows:
                    yield from self._examine_batch([row])
                return
            rejection = stage_error(self.name, error, "the classifier failed on %s", rows[0].source)
            yield StageResult(rejection=rejection)
            return
        for row, score in zip(rows, scores, strict=True):
            counts: Mapping[str, int] = {"classifier/cut": 1} if len(row.content) > MAX_CHARS else {}
            rejection_or_none = None
            if score >= self.threshold:
                detail = f"score {score:.3f}, limit {self.threshold:g}"
                rejection_or_none = Rejection(self.name, "classified", detail)
            yield StageResult({"classifier_score": score}, rejection_or_none, None, counts)


def _onnx_scores(session: Any, target: str, texts: Sequence[str]) -> list[float]:
    given = session.get_inputs()[0]
    values = np.array(texts, dtype=object)
    if len(given.shape) == 2:
        values = values[:, None]
    output = _output_of(session)
    (result,) = session.run([output.name], {given.name: values})
    if output.type.startswith("seq"):
        return [_finite(_of_map(probabilities, target)) for probabilities in result]
    matrix = np.asarray(result, dtype=np.float64).reshape(len(texts), -1)
    return [_finite(row[int(target) if target else -1]) for row in matrix]


def model_sha256(path: str) -> str:
    """The hash of a model's file. Raises ConfigError if it can't be read or is too large."""
    file = Path(path)
    try:
        if not file.is_file():
            raise ConfigError(f"{_called(path)} is not a file")
        if file.stat().st_size > MAX_MODEL_BYTES:
            raise ConfigError(f"{_called(path)} is larger than {MAX_MODEL_BYTES >> 20} MB, the limit of a model")
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise ConfigError(f"{_called(path)} can't be read: {error.strerror or error}") from None


def _load(path: str) -> Any:
    if onnxruntime is None:
        raise ConfigError("--classifier needs onnxruntime: pip install 'codemill[classifier]'")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # it has no common class of its own
        raise ConfigError(f"{_called(path)} is not an ONNX model: {_reason(error)}") from None
    inputs = session.get_inputs()
    if len(inputs) != 1 or inputs[0].type != _TEXT or len(inputs[0].shape) not in (1, 2):
        given = ", ".join(f"{one.name} {one.type}{one.shape}" for one in inputs)
        raise ConfigError(
            f"{_called(path)} takes {one_line(given, SHOWN_CHARS)}; it must take one {_TEXT} [N] or [N, 1]"
        )
    if _output_of(session) is None:
        raise ConfigError(f"{_called(path)} returns no probabilities; it must return a tensor of floats, [N] or [N, C]")
    return session


def _output_of(session: Any) -> Any:
    return next((output for output in session.get_outputs() if output.type in _PROBABILITIES), None)


def _of_map(probabilities: Mapping[Any, float], target: str) -> float:
    if not target:
        return list(probabilities.values())[-1]
    return {str(key): value for key, value in probabilities.items()}[target]


def _finite(score: Any) -> float:
    if not np.isfinite(score):
        raise ValueError("the score is not a number")
    return float(score)


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", " ")


def _called(path: str) -> str:
    return f"--classifier {one_line(Path(path).name, SHOWN_CHARS)}"


def _reason(error: Exception) -> str:
    return one_line(error, SHOWN_CHARS) or type(error).__name__
