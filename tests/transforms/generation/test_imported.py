"""Files that prompts show pass the same filter as rows."""

from __future__ import annotations

import dataclasses
import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model.engine.requests import Request
from transforms.generation.imported import context_counts, imported_files
from transforms.packing.lookup import GroupedCorpus, index_of
from transforms.rows.row import Row, SourceRef, content_sha256
from transforms.scanning import ContentFilter
from transforms.tasks.base import ContextFile, PromptContext, TaskRequest

MAIL = "jane.roe" + "@" + "corp-mail.dev"
TEXTS = {
    "a.py": b"A = 1\n",
    "mail.py": f"# ask {MAIL}\n".encode(),
    "nul.py": b"a\0b",
    "bad.py": b"\xff\xfe",
    "e.py": b"",
}
ROW = Row(SourceRef("c", 0, 0), "import a\n", "", "", path="main.py", repo_name="o/r", language="python")
_STORED: dict[str, bytes] = {}


def opened(name: str) -> io.BytesIO:
    return io.BytesIO(_STORED[name])


@pytest.fixture(scope="module")
def corpus() -> GroupedCorpus:
    records = [
        {"content": content, "path": path, "repo_name": "o/r", "language": "Python", "position": n, "imports": []}
        for n, (path, content) in enumerate(TEXTS.items())
    ]
    last = {"content": b"import a\n", "path": "main.py", "repo_name": "o/r", "language": "Python"}
    records.append({**last, "position": len(TEXTS), "imports": list(range(len(TEXTS)))})
    text = pa.large_string()
    types = {"content": pa.large_binary(), "path": text, "repo_name": text, "language": text}
    schema = pa.schema([*types.items(), ("position", pa.int64()), ("imports", pa.list_(pa.int64()))])
    sink, index = io.BytesIO(), io.BytesIO()
    pq.write_table(pa.Table.from_pylist(records, schema=schema), sink)
    np.save(index, index_of([pq.ParquetFile(io.BytesIO(sink.getvalue()))]))
    _STORED.update({"imported": sink.getvalue(), "imported.npy": index.getvalue()})
    return GroupedCorpus(("imported",), "imported.npy", opened)


def test_files_that_rows_could_not_be_are_shown_nowhere(corpus):
    found = imported_files(corpus, None, ROW)
    assert [file.path for file in found] == ["a.py", "mail.py"]
    assert [file.content_sha256 for file in found] == [content_sha256(file.content) for file in found]


def test_files_are_redacted_as_rows_are(corpus):
    content_filter = ContentFilter("default")
    content_filter.open()
    mail = imported_files(corpus, content_filter, ROW)[1]
    assert MAIL not in mail.content and mail.path == "mail.py"
    assert mail.content_sha256 == content_sha256(TEXTS["mail.py"].decode())
    assert mail.redacted_sha256 == content_sha256(mail.content)


def test_what_prompts_show_is_counted():
    request = TaskRequest(target="t", request=Request(prompt=(1,), max_new_tokens=1, stop_ids=frozenset()))
    files = (ContextFile("a.py", "", "copy", 9), ContextFile("b.py", "", "signatures", 4))
    shown = dataclasses.replace(request, context=PromptContext(files, 15, 2))
    bare = dataclasses.replace(request, context=PromptContext((), 0, 1))
    assert context_counts([request]) == {}
    assert context_counts([shown, bare]) == {
        "context_copy": 1,
        "context_signatures": 1,
        "context_tokens": 15,
        "context_left_out": 3,
        "targets_with_context": 1,
    }
