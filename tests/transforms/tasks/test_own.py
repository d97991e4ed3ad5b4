"""Own tasks: what their base class asks and checks, and how they are found, hashed and sent to other processes."""

from __future__ import annotations

import dataclasses
import hashlib
import pickle
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from model.engine.requests import Completion
from model.errors import ConfigError, RecordError
from transforms.rows.row import Row, SourceRef, content_sha256
from transforms.tasks.base import Accepted, RejectedTarget
from transforms.tasks.own import OwnTask, Prompt, is_own_task, load_task, make_task

ROOT = Path(__file__).parents[3]
ROW = Row(SourceRef("corpus.parquet", 0, 0), "a\nb\n", *[content_sha256("a\nb\n")] * 2, path="a.py", language="python")
FILE = """
import dataclasses
from transforms.tasks.own import OwnTask, Prompt

@dataclasses.dataclass(frozen=True, kw_only=True)
class Ask(OwnTask):
    name = "ask"
    word: str = "What"

    def prompts(self, row):
        yield Prompt("file", f"{self.word}? {row.content}")

    def read(self, row, prompt, answer):
        return {}
"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Lines(OwnTask):
    """Asks about each line; its answers may not be long."""

    name = "lines"
    fields = (pa.field("num_chars", pa.int64(), nullable=False),)

    targets: tuple[str, ...] = ("0", "1")

    def prompts(self, row):
        for target, line in zip(self.targets, row.content.splitlines(), strict=True):
            yield Prompt(target, f"What is {line}?", data=line)

    def read(self, row, prompt, answer):
        if len(answer) > 20:
            raise RecordError("too_long", f"{len(answer)} characters about {prompt.data}")
        return {"num_chars": len(answer)} if answer != "nothing" else {}


class FirstLine(Lines):
    """The same, with answers of one line."""

    is_line = True


@pytest.fixture
def answered(small_vocabulary, small_tokenizer):
    def answer(text, *, kind=Lines, finish_reason="stop", **settings):
        task = kind(tokenizer=small_vocabulary, **settings)
        request = next(iter(task.requests(ROW)))
        tokens = tuple(small_tokenizer.encode(text))
        completion = Completion(
            tokens=tokens, finish_reason=finish_reason, stop_id=1, mean_logprob=-0.5, prompt_tokens=9
        )
        return task.accept(ROW, request, completion)

    return answer


@pytest.fixture
def file(tmp_path) -> Path:
    path = tmp_path / "ask.py"
    path.write_text(FILE)
    return path


def test_each_prompt_is_a_chat_request_with_its_own_seed(small_vocabulary, small_tokenizer):
    one, two = Lines(tokenizer=small_vocabulary, max_new_tokens=7, temperature=0.5).requests(ROW)
    assert (one.target, two.target, one.prompt_format) == ("0", "1", "chat")
    assert one.request.prompt[:2] == (small_tokenizer.bos, small_tokenizer.start_of_turn)
    assert one.request.sampling.temperature == 0.5 and one.request.max_new_tokens == 7
    assert one.request.sampling.seed != two.request.sampling.seed
    assert small_tokenizer.end_of_turn in one.request.stop_ids


def test_an_accepted_answer_has_the_columns_of_its_schema_and_is_scanned(answered, small_vocabulary):
    accepted = answered(" seven \n")
    assert isinstance(accepted, Accepted) and accepted.written == ("", "seven", "")
    schema = Lines(tokenizer=small_vocabulary).result_schema
    (row,) = pa.Table.from_pylist([accepted.columns], schema=schema).to_pylist()
    assert (row["prompt_text"], row["answer"], row["num_chars"]) == ("What is a?", "seven", 5)
    assert row["checks"] == {"not_empty": True, "not_cut_off": True, "mean_logprob": -0.5}
    assert list(accepted.columns) == schema.names


@pytest.mark.parametrize(
    ("text", "more", "reason"),
    [
        ("  \n ", {}, "empty_answer"),
        ("seven", {"finish_reason": "length"}, "cut_off"),
        ("seven", {"kind": FirstLine, "finish_reason": "length"}, "cut_off"),
        ("seven", {"min_score": -0.1}, "unlikely"),
    ],
)
def test_an_answer_that_no_task_takes_is_rejected_before_it_is_read(answered, text, more, reason):
    refused = answered(text, **more)
    assert isinstance(refused, RejectedTarget) and refused.rejection.reason == reason


def test_a_first_line_is_whole_though_the_rest_is_cut_off(answered):
    assert answered("seven\neight", kind=FirstLine, finish_reason="length").columns["answer"] == "seven"


def test_what_read_raises_is_the_reason_and_other_columns_than_its_fields_are_an_error(answered):
    with pytest.raises(RecordError, match="too_long: 21 characters about a"):
        answered("x" * 21)
    with pytest.raises(ValueError, match=r"Lines\.read gives nothing, not its fields"):
        answered("nothing")


def test_targets_beyond_a_limit_and_prompts_that_do_not_fit_are_rejected(small_vocabulary):
    one, two = Lines(tokenizer=small_vocabulary, max_targets=1).requests(ROW)
    assert one.target == "0" and two.rejection.reason == "too_many_targets"
    row = dataclasses.replace(ROW, content=f"{'long ' * 90}\nb\n")
    one, two = Lines(tokenizer=small_vocabulary, max_prompt_tokens=40).requests(row)
    assert one.rejection.reason == "prompt_too_long" and "raise --max_prompt_tokens" in one.rejection.detail
    assert two.target == "1" and two.request.prompt


def test_a_target_that_is_named_twice_is_an_error(small_vocabulary):
    with pytest.raises(ValueError, match="gives the target 0 twice"):
        list(Lines(tokenizer=small_vocabulary, targets=("0", "0")).requests(ROW))


def test_a_task_of_a_file_is_unpickled_in_another_process_unless_the_file_has_changed(file):
    name = f"{file}:Ask"
    task = make_task(name, load_task(name), ["word=Why"], {"tokenizer": "embedded"})
    assert task.template_version == f"ask-{hashlib.sha256(FILE.encode()).hexdigest()[:16]}"
    pickled = pickle.dumps(task)
    code = f"import pickle; task = pickle.loads({pickled!r}); print(task.word, task.tokenizer, task.code_sha256)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["Why", "embedded", hashlib.sha256(FILE.encode()).hexdigest()]
    file.write_text(FILE + "\n# changed\n")
    with pytest.raises(ConfigError, match="the code of --task changed during the job"):
        pickle.loads(pickled)  # noqa: S301 - made above


def test_a_task_of_a_module_is_pickled_by_its_name():
    task = Lines(tokenizer="embedded", targets=("a",))
    assert pickle.loads(pickle.dumps(task)) == task  # noqa: S301 - made here


def test_an_entry_point_names_a_task_and_shipped_tasks_and_files_come_first(tmp_path, monkeypatch):
    (tmp_path / "own_task_module.py").write_text(FILE)
    info = tmp_path / "mine-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[codemill.tasks]\nask = own_task_module:Ask\nexplain = own_task_module:Ask\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert is_own_task("ask") and not is_own_task("explain")
    assert load_task("ask").name == "ask"
    (tmp_path / "ask").write_text("name: ask\n")
    assert not is_own_task("ask")


@pytest.mark.parametrize(
    ("name", "is_own"),
    [
        ("m:C", True),
        ("a/b.py:C", True),
        ("b.py", True),
        ("explain", False),
        ("a.yaml", False),
        ("gs://b/a.yaml", False),
    ],
)
def test_a_name_with_a_class_is_an_own_task(name, is_own):
    assert is_own_task(name) is is_own
