from __future__ import annotations

import json
import random
import shutil
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model.engine.requests import Completion, Request
from model.errors import ConfigError
from transforms.duplicates.known_index import build
from transforms.duplicates.known_text import (
    COPY_TOKENS,
    Copy,
    KnownFile,
    KnownText,
    known_files,
    open_known_text,
)
from transforms.generation.stages import Answers, RowStages
from transforms.rows.columns import ColumnOverrides
from transforms.rows.row import Row, SourceRef, content_sha256
from transforms.scanning import ContentFilter
from transforms.tasks.base import Accepted, TaskRequest


def words(count: int, seed: int) -> str:
    rng = random.Random(seed)
    return " ".join(f"w{rng.randrange(10**6)}" for _ in range(count))


def file(text: str, name: str = "lib/b.py", licenses: tuple[str, ...] = ("GPL-3.0-only",)) -> KnownFile:
    return KnownFile(text, content_sha256(text), name, "owner/b", licenses)


COPIED = words(COPY_TOKENS + 5, 6)
OTHER = f"x = 1\n{COPIED}\ny = 2\n"
OWN = f"z = 3\n{COPIED}\n"


@pytest.fixture(scope="module")
def index(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("known") / "index"
    many = [file(words(60, 100 + i), f"many/{i}.py") for i in range(50)]
    assert build(folder, [file(OWN, "own.py", ("MIT",)), *many, file(OTHER), file(OTHER + "# third", "third.py")]) == 53
    return folder


def test_text_of_another_file_is_reported_with_its_license_and_length(index):
    (copy,) = KnownText(index).copies_of(f"def f(): {COPIED}", own={content_sha256(OWN)})
    assert (copy.path, copy.repo_name, copy.licenses) == ("lib/b.py", "owner/b", ("GPL-3.0-only",))
    assert copy.num_tokens == COPY_TOKENS + 5


def test_layout_and_punctuation_hide_nothing_and_shorter_runs_are_idiom(index):
    known = KnownText(index)
    assert known.copies_of(COPIED.replace(" ", ",\n\t").upper())
    assert known.copies_of(" ".join(COPIED.split()[: COPY_TOKENS - 1])) == []
    assert known.copies_of("") == []


def test_a_texts_own_file_does_not_count(index):
    shared_by_two = KnownText(index).copies_of(COPIED, own={content_sha256(OWN)})
    assert [copy.path for copy in shared_by_two] == ["lib/b.py"]
    alone = words(60, 100)
    assert KnownText(index).copies_of(alone, own={content_sha256(alone)}) == []


def test_an_index_of_the_format_before_is_read_as_well(index, tmp_path):
    """Format 1 spelled the column of licenses in British English."""
    shutil.copytree(index, tmp_path / "old")
    files = pa.ipc.open_file((tmp_path / "old/files.arrow").read_bytes()).read_all()
    old = files.rename_columns(["path", "repo_name", "licen" + "ces", "sha256"])
    with pa.ipc.new_file(str(tmp_path / "old/files.arrow"), old.schema) as writer:
        writer.write_table(old)
    about = json.loads((tmp_path / "old/index.json").read_text())
    (tmp_path / "old/index.json").write_text(json.dumps(about | {"format": 1}))
    assert KnownText(tmp_path / "old").copies_of(COPIED) == KnownText(index).copies_of(COPIED)
    (tmp_path / "old/index.json").write_text(json.dumps(about | {"format": 3}))
    with pytest.raises(ConfigError, match="has format 3, this version reads 1 and 2"):
        KnownText(tmp_path / "old")


def test_a_copy_without_a_license_says_so():
    assert Copy("b.py", "o/b", (), "", 24).told() == "24 tokens of o/b b.py (no license found)"


def test_an_index_of_a_corpus_takes_each_files_own_license_before_its_repositorys(tmp_path):
    header = "# SPDX-License-Identifier: Apache-2.0\n"
    columns = {"content": [header + COPIED, words(30, 1), None], "path": ["a.py", "b.py", "c.py"]}
    columns["detected_licenses"] = [["MIT"], ["MIT"], []]
    pq.write_table(pa.table(columns), tmp_path / "in.parquet")
    assert build(tmp_path / "index", known_files(pq.ParquetFile(tmp_path / "in.parquet"), ColumnOverrides())) == 2
    (copy,) = KnownText(tmp_path / "index").copies_of(COPIED)
    assert (copy.path, copy.licenses) == ("a.py", ("Apache-2.0",))


def test_a_folder_that_holds_no_index_and_one_that_is_there_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="known text"):
        KnownText(tmp_path)
    with pytest.raises(ConfigError, match="already exists; choose a new folder"):
        build(tmp_path, [])


# --- in a generation job -----------------------------------------------------------------------------


@dataclass(frozen=True)
class WriteTask:
    """Its answer is the payload, whatever the model generates."""

    name: str = "write"
    template_version: str = "1"

    @property
    def result_schema(self):
        return pa.schema([("written", pa.large_string())])

    def requests(self, row):
        request = Request(prompt=(1,), max_new_tokens=1, stop_ids=frozenset())
        yield TaskRequest(target="all", request=request, payload=COPIED, prompt_format="plain")

    def accept(self, row, request, completion):
        return Accepted(columns={"written": request.payload}, written=(row.content, request.payload, ""))


def validated(index: Path, policy: str | None, content: str = "a = 1\n"):
    content_filter = ContentFilter(policy) if policy else None
    stages = RowStages(task=WriteTask(), content_filter=content_filter, known_text=str(index))
    stages.open()
    sha256 = content_sha256(content)
    row = Row(source=SourceRef("in", 0, 0), content=content, content_sha256=sha256, redacted_sha256=sha256)
    (request,) = stages.prepare(row).requests
    done = Completion(tokens=(1,), finish_reason="stop", stop_id=1, mean_logprob=0.0, prompt_tokens=1)
    return stages.validate(Answers(row, (request,), ((done,),)))


@pytest.mark.parametrize("policy", ["default", "annotate", None])
def test_a_copied_answer_is_kept_with_its_source(index, policy):
    (kept,) = validated(index, policy).kept
    copies = kept.accepted.columns["verbatim_copies"]
    assert [(c["path"], c["licenses"], c["num_tokens"]) for c in copies] == [
        ("own.py", ["MIT"], 25), ("lib/b.py", ["GPL-3.0-only"], 25),
    ]  # fmt: skip


def test_a_policy_that_says_drop_rejects_a_copied_answer_and_names_file_and_license(index):
    result = validated(index, "strict", content=OWN)
    (refused,) = result.rejected
    assert not result.kept
    assert (refused.rejection.stage, refused.rejection.reason) == ("filter_output", "verbatim_copy")
    assert refused.rejection.detail == "25 tokens of owner/b lib/b.py (GPL-3.0-only)"


def test_the_index_is_part_of_the_filters_version_and_its_column_of_the_schema(index):
    from model.engine.settings import EngineSpec
    from transforms.generation.work import GenerationWork, filter_version
    from transforms.rows.columns import ColumnOverrides, RowLimits

    assert filter_version(None, str(index)).endswith(open_known_text(str(index)).version)
    engine = EngineSpec(model="none", max_prompt_tokens=16, max_new_tokens=4)
    fields = {"engine": engine, "columns": ColumnOverrides(), "limits": RowLimits(), "checkpoint_sha256": ""}
    schema = pa.schema([("content", pa.string())])
    names = [GenerationWork(task=WriteTask(), known_text=k, **fields).output_schema(schema).names for k in ("", "x")]
    assert names == [["content", "written", "lineage"], ["content", "written", "verbatim_copies", "lineage"]]


def test_a_policy_cannot_redact_a_copy(tmp_path):
    from transforms.scanning import load_policy

    (tmp_path / "p.yaml").write_text("actions:\n  verbatim_copy: redact\n")
    with pytest.raises(ConfigError, match="keep, drop or off"):
        load_policy(str(tmp_path / "p.yaml"))
