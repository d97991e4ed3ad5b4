from __future__ import annotations

import pickle
import random
from pathlib import Path

import pytest

from jobs.filter import Options, stages_of
from model.errors import ConfigError
from transforms.filters import classifier
from transforms.filters import fasttext_model as fasttext_reader
from transforms.filters.classifier import MAX_CHARS, ClassifierStage, model_sha256
from transforms.filters.work import FilterStages
from transforms.rows.row import Row, SourceRef

FLOAT, STRING = 1, 8


def field(number: int, value: int | str | bytes) -> bytes:
    """A field of a protocol buffer."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def varint(value: int) -> bytes:
    return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + varint(value >> 7)


def tensor(name: str, kind: int) -> bytes:
    shape = field(1, field(2, "N"))
    return field(1, name) + field(2, field(1, field(1, kind) + field(2, shape)))


def node(operator: str, given: str, made: str, attribute: bytes) -> bytes:
    return field(1, given) + field(2, made) + field(4, operator) + field(5, attribute)


def tiny_model(word: str = "badcode", input_kind: int = STRING, output: str = "score") -> bytes:
    """An ONNX model: 1.0 for a text with the word, 0.0 for others; `onnx.proto` tells the numbers of the fields."""
    pattern = field(1, "pattern") + field(4, f"(?s).*{word}.*") + field(20, 3)
    cast = field(1, "to") + field(3, FLOAT) + field(20, 2)
    nodes = node("RegexFullMatch", "text", "found", pattern)
    graph = field(1, nodes) + field(1, node("Cast", "found", "score", cast)) + field(2, "tiny")
    kind = {"score": FLOAT, "found": 9}[output]
    graph += field(11, tensor("text", input_kind)) + field(12, tensor(output, kind))
    return field(1, 9) + field(7, graph) + field(8, field(2, 20))


@pytest.fixture
def model(tmp_path) -> Path:
    pytest.importorskip("onnxruntime", reason="an extra: codemill[classifier]")
    path = tmp_path / "tiny.onnx"
    path.write_bytes(tiny_model())
    return path


def stage_of(path: Path, **given) -> ClassifierStage:
    return ClassifierStage(str(path), model_sha256(str(path)), **given)


def rows(*texts: str) -> list[Row]:
    return [Row(SourceRef("in.parquet", 0, i), text, "", "") for i, text in enumerate(texts)]


def test_a_text_at_the_threshold_is_rejected_and_the_others_get_a_score(model):
    stage = stage_of(model)
    stage.open()
    good, bad, odd = stage.examine_all(rows("x = 1\n", "x = 'badcode'\n", "\0\ud800"))
    assert good.rejection is None and good.columns == {"classifier_score": 0.0} and odd.rejection is None
    assert (bad.rejection.stage, bad.rejection.reason) == ("classifier", "classified")
    assert bad.rejection.detail == "score 1.000, limit 0.5"


def test_a_long_text_is_cut_and_counted(model):
    stage = stage_of(model)
    stage.open()
    (result,) = stage.examine_all(rows("x" * MAX_CHARS + "badcode"))
    assert result.rejection is None and result.counts == {"classifier/cut": 1}


def test_many_rows_are_scored_as_each_alone_and_by_a_copy(model):
    stage = pickle.loads(pickle.dumps(stage_of(model)))  # noqa: S301
    stage.open()
    made = rows(*("badcode" if i % 3 else "fine" for i in range(70)))
    assert stage.examine_all(made) == [stage.examine(row) for row in made]


def test_the_lineage_names_model_threshold_and_class(model):
    stage = stage_of(model, threshold=0.25, target="0")
    assert stage.version == f"classifier-{model_sha256(str(model))[:16]}-0.25-0"
    options = Options(input="x", output="y", classifier=str(model), classifier_sha256=model_sha256(str(model)))
    assert "/classifier-" in "/" + FilterStages(stages_of(options)).version
    assert "classifier_score" in [one.name for one in FilterStages(stages_of(options)).fields]
    assert "classifier" not in FilterStages(stages_of(Options(input="x", output="y"))).version


def test_a_model_that_changed_is_refused(model):
    stage = stage_of(model)
    model.write_bytes(tiny_model("other"))
    with pytest.raises(ConfigError, match=r"tiny\.onnx changed during the job"):
        stage.open()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is not an ONNX model"),
        (b"no model at all", "is not an ONNX model"),
        (tiny_model()[:60], "is not an ONNX model"),
        (tiny_model(input_kind=FLOAT), "is not an ONNX model|it must take one"),
        (tiny_model(output="found"), "returns no probabilities"),
    ],
)
def test_a_bad_model_is_refused_in_one_line(model, data, reason):
    model.write_bytes(data)
    with pytest.raises(ConfigError, match=reason) as error:
        stage_of(model).open()
    assert "\n" not in str(error.value) and len(str(error.value)) < 300


def test_a_class_that_the_model_does_not_have_is_refused_before_the_job_starts(model):
    with pytest.raises(ConfigError, match="can't score a text"):
        stage_of(model, target="7").open()


def test_a_missing_file_or_package_is_one_line(tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match=r"absent\.onnx is not a file"):
        model_sha256(str(tmp_path / "absent.onnx"))
    path = tmp_path / "tiny.onnx"
    path.write_bytes(tiny_model())
    monkeypatch.setattr(classifier, "onnxruntime", None)
    with pytest.raises(ConfigError, match=r"pip install 'codemill\[classifier\]'"):
        stage_of(path).open()


def test_a_row_on_which_the_model_fails_costs_that_row_alone(model, monkeypatch):
    stage = stage_of(model)
    stage.open()
    scores = stage._scores

    def failing(texts):
        if "worse" in "".join(texts):
            raise RuntimeError("an operator failed")
        return scores(texts)

    monkeypatch.setattr(stage, "_scores", failing)
    good, bad = stage.examine_all(rows("fine", "worse"))
    assert good.rejection is None and bad.rejection.reason == "stage_error"


def fasttext_model(path: Path, **settings) -> Path:
    """A model trained in a tenth of a second: casinos against functions."""
    fasttext = pytest.importorskip("fasttext", reason="an extra: codemill[classifier]")
    lines = path.with_suffix(".txt")
    rng = random.Random(7)
    words = [f"w{i}" for i in range(400)]
    good = [f"__label__good def f return {' '.join(rng.sample(words, 4))}\n" for _ in range(200)]
    bad = [f"__label__bad casino money {' '.join(rng.sample(words, 4))}\n" for _ in range(200)]
    lines.write_text("".join(good + bad))
    model = fasttext.train_supervised(str(lines), dim=8, epoch=5, thread=1, bucket=500, verbose=0, **settings)
    if path.suffix == ".ftz":
        model.quantize(str(lines), qnorm=True)
    model.save_model(str(path))
    return path


@pytest.mark.parametrize(
    ("name", "settings"),
    [("a.bin", {}), ("b.bin", {"loss": "hs", "minn": 2, "maxn": 3, "wordNgrams": 2}), ("c.ftz", {"loss": "ova"})],
)
def test_a_fasttext_model_scores_by_the_class_that_is_named(tmp_path, name, settings):
    stage = stage_of(fasttext_model(tmp_path / name, **settings), target="bad")
    stage = pickle.loads(pickle.dumps(stage))  # noqa: S301
    stage.open()
    good, bad, *odd = stage.examine_all(rows("def f\n  return\n", "casino\nmoney\n", "", "\0\ud800\n"))
    assert good.rejection is None and good.columns["classifier_score"] < 0.5
    assert bad.rejection.reason == "classified" and len(odd) == 2
    assert stage.version.startswith(f"classifier-{stage.sha256[:16]}-0.5-bad")


def test_a_fasttext_model_without_the_class_or_its_end_is_refused_in_one_line(tmp_path):
    path = fasttext_model(tmp_path / "a.bin")
    for target in ("", "worse"):
        with pytest.raises(ConfigError, match=r"a\.bin has the classes \w+, \w+; choose one by --classifier_class"):
            stage_of(path, target=target).open()
    whole = path.read_bytes()
    for size in (4, 7, 60, 90, 500, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(ConfigError, match=r"a\.bin is damaged or cut off"):
            stage_of(path, target="bad").open()
    path.write_bytes(whole[:4] + b"\x63" + whole[5:])
    with pytest.raises(ConfigError, match="is no fastText model of version 12 or older"):
        stage_of(path, target="bad").open()


def test_without_the_library_its_name_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(fasttext_reader, "fasttext", None)
    (tmp_path / "a.bin").write_bytes(fasttext_reader.MAGIC)
    with pytest.raises(ConfigError, match=r"a\.bin needs fastText: pip install 'codemill\[classifier\]'"):
        stage_of(tmp_path / "a.bin", target="bad").open()
