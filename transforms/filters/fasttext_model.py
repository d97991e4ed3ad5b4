"""fastText's supervised models as text classifiers: what `--classifier` reads besides ONNX.

The library loads a file in C++ and believes each size that it states: it crashes on one that is cut off. So the file's
parts are measured first, and must end where the file ends.

    magic, version   int32 each           words    text\\0, count int64, kind int8 (0 a word, 1 a label)
    settings         12 int32, double     pruned   pairs of int32
    sizes            3 int32, 2 int64     input, output: a byte whether quantized, then the matrix

Cost: one pass over the words, a second for a million. Scoring is a few MB/s.

Joulin et al. 2016, https://arxiv.org/abs/1607.01759; the format is that of fastText's `saveModel`, version 12.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Any, Final

from model.errors import ConfigError

try:
    import fasttext
except ImportError:  # an extra
    fasttext = None

MAGIC: Final = struct.pack("<i", 793712314)
"""The first bytes of a model, whatever its file is called."""
_NEWEST_VERSION: Final = 12
_SUPERVISED: Final = 3
_LABEL: Final = "__label__"
_MAX_LABELS: Final = 100_000
_CENTROIDS: Final = 256


class FastTextScorer:
    """Scores texts by the probability of one class. Raises ConfigError: no such model, no such class, not installed.

    Args:
        path: The model's file.
        target: The class, with or without fastText's prefix; a model of two classes has no order, so it is needed.
    """

    def __init__(self, path: str, target: str):
        if fasttext is None:
            raise ConfigError("needs fastText: pip install 'codemill[classifier]'")
        with open(path, "rb") as file:
            labels = check_model(file.read())
        names = [label.removeprefix(_LABEL) for label in labels]
        if target.removeprefix(_LABEL) not in names:
            listed = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
            raise ConfigError(f"has the classes {listed}; choose one by --classifier_class")
        self._label = labels[names.index(target.removeprefix(_LABEL))]
        self._model: Any = fasttext.load_model(path)

    def __call__(self, texts: Sequence[str]) -> list[float]:
        """Probabilities of the class, from 0 to 1. A line end is a blank to fastText, which reads one line."""
        return [self._score(" ".join(text.splitlines())) for text in texts]

    def _score(self, line: str) -> float:
        labels, probabilities = self._model.predict(line, k=-1)
        # Rounding takes softmax a little beyond 1; a class below the library's lowest probability is left out.
        found = dict(zip(labels, probabilities, strict=True)).get(self._label, 0.0)
        if not math.isfinite(found):
            raise ValueError("the score is not a number")
        return min(1.0, float(found))


def check_model(data: bytes) -> list[str]:
    """The labels of a supervised model. Raises ConfigError, with what is wrong with it."""
    try:
        return _Reader(data).labels()
    except (struct.error, UnicodeDecodeError, OverflowError):
        raise ConfigError("is damaged or cut off") from None


class _Reader:
    def __init__(self, data: bytes):
        self._data, self._at = data, 0

    def labels(self) -> list[str]:
        magic, version = self._take("<4si")
        if magic != MAGIC or not 0 < version <= _NEWEST_VERSION:
            raise ConfigError(f"is no fastText model of version {_NEWEST_VERSION} or older")
        settings = self._take("<12id")
        if settings[7] != _SUPERVISED:
            raise ConfigError("is fastText's, but no classifier: it was trained without labels")
        dim, bucket = settings[0], settings[8]
        size, num_words, num_labels, _, num_pruned = self._take("<iiiqq")
        if min(dim, num_words, num_labels) <= 0 or bucket < 0 or size != num_words + num_labels:
            raise struct.error
        labels = self._words(size)
        if len(labels) != num_labels or num_labels > _MAX_LABELS:
            raise struct.error
        self._skip(8 * max(num_pruned, 0))
        inputs = num_words + (num_pruned if num_pruned >= 0 else bucket)
        is_quantized = self._matrix(inputs, dim, may_be_quantized=True)
        self._matrix(num_labels, dim, may_be_quantized=is_quantized)
        if self._at != len(self._data):
            raise struct.error
        return labels

    def _words(self, count: int) -> list[str]:
        labels = []
        for _ in range(count):
            end = self._data.find(b"\0", self._at)
            if end < 0:
                raise struct.error
            word, self._at = self._data[self._at : end], end + 1
            _, kind = self._take("<qb")
            if kind == 1:
                labels.append(word.decode("utf-8"))
        return labels

    def _matrix(self, rows: int, columns: int, *, may_be_quantized: bool) -> bool:
        (is_quantized,) = self._take("<?")
        if is_quantized and not may_be_quantized:
            raise struct.error
        has_norms = is_quantized and self._take("<?")[0]
        if self._take("<qq") != (rows, columns):
            raise struct.error
        if not is_quantized:
            self._skip(4 * rows * columns)
            return False
        (num_codes,) = self._take("<i")
        self._skip(num_codes)
        self._quantizer(columns, rows, num_codes)
        if has_norms:
            self._skip(rows)
            self._quantizer(1, rows, rows)
        return True

    def _quantizer(self, dim: int, rows: int, num_codes: int) -> None:
        stated, parts, width, last = self._take("<4i")
        if stated != dim or width <= 0 or num_codes != rows * parts or (parts - 1) * width + last != dim:
            raise struct.error
        self._skip(4 * dim * _CENTROIDS)

    def _take(self, form: str) -> tuple[Any, ...]:
        taken = struct.unpack_from(form, self._data, self._at)
        self._at += struct.calcsize(form)
        return taken

    def _skip(self, count: int) -> None:
        if not 0 <= count <= len(self._data) - self._at:
            raise struct.error
        self._at += count
