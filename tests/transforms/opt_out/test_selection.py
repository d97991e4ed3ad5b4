"""Which rows are to be forgotten, by all that a row may tell of its source."""

from __future__ import annotations

import hashlib

import pyarrow as pa
import pytest

from transforms.corpus.rows import git_blob_id
from transforms.opt_out.lists import OptOut, parse_entry
from transforms.opt_out.selection import File, FileColumns, Selection, matches

TEXTS = ["a = 1\n", "b = 2\n", "c = 3\n"]
HASHES = [hashlib.sha256(text.encode()).hexdigest() for text in TEXTS]


def repositories(*entries: str) -> Selection:
    return Selection(opt_out=OptOut([parse_entry(entry) for entry in entries]))


def corpus() -> pa.Table:
    return pa.table({"content": TEXTS, "path": ["a.py", "b.py", "c.py"], "repo_name": ["in/a", "Out/b", None]})


CORPUS = FileColumns("path", "repo_name", "content", is_raw=True)


@pytest.mark.parametrize(
    ("selection", "gone"),
    [
        (repositories("https://github.com/out"), [False, True, False]),
        (Selection(paths=frozenset({"a.py", "x.py"})), [True, False, False]),
        (Selection(blobs=frozenset({git_blob_id(TEXTS[2].encode())})), [False, False, True]),
        (Selection(sha256s=frozenset({HASHES[1]})), [False, True, False]),
        (Selection(files=frozenset({File(("in/a",), "a.py", HASHES[0])})), [True, False, False]),
        (Selection(files=frozenset({File(("in/z",), "a.py", HASHES[0])})), [False, False, False]),
        (Selection(files=frozenset({File(("in/a",), "z.py", HASHES[0])})), [False, False, False]),
        (Selection(files=frozenset({File((), "", HASHES[2])})), [False, False, True]),
        (Selection(), [False, False, False]),
    ],
)
def test_rows_of_a_corpus_go_by_what_names_them(selection, gone):
    assert matches(corpus(), CORPUS, selection).tolist() == gone


def test_a_generated_row_goes_with_its_source_and_with_what_its_answer_copies():
    copy = {"path": "lib.py", "repo_name": "out/c", "licenses": [], "content_sha256": HASHES[2], "num_tokens": 30}
    table = pa.table(
        {
            "content": ["redacted 0", "redacted 1"],
            "repo_name": ["in/a", "in/a"],
            "lineage": [{"content_sha256": HASHES[0], "seed": 1}, {"content_sha256": HASHES[1], "seed": 1}],
            "verbatim_copies": pa.array([[copy], []]),
        }
    )
    columns = FileColumns(None, "repo_name", "content")
    assert matches(table, columns, Selection(sha256s=frozenset({HASHES[1]}))).tolist() == [False, True]
    assert matches(table, columns, repositories("out/c")).tolist() == [True, False]
    assert matches(table, columns, Selection(sha256s=frozenset({HASHES[2]}))).tolist() == [True, False]
    redacted = hashlib.sha256(b"redacted 0").hexdigest()
    assert not matches(table, columns, Selection(sha256s=frozenset({redacted}))).any()
    # As the input of another job, its content is the source's own.
    assert matches(table, FileColumns(content="content", is_raw=True), Selection(sha256s=frozenset({redacted}))).any()


def test_a_packed_row_goes_with_any_of_its_parts():
    def part(repo: str, number: int) -> dict[str, str]:
        return {"repo_name": repo, "path": f"{number}.py", "content_sha256": HASHES[number]}

    table = pa.table({"text": ["x", "y"], "parts": [[part("in/a", 0), part("out/b", 1)], [part("in/a", 2)]]})
    columns = FileColumns()
    assert matches(table, columns, repositories("out")).tolist() == [True, False]
    assert matches(table, columns, Selection(paths=frozenset({"2.py"}))).tolist() == [False, True]
    assert matches(table, columns, Selection(sha256s=frozenset({HASHES[0]}))).tolist() == [True, False]


def test_a_generated_row_goes_with_the_files_that_its_prompt_showed():
    shown = {"path": "lib.py", "content_sha256": HASHES[2], "role": "copy", "tokens": 9}
    lineage = [{"content_sha256": HASHES[n], "context": [shown] if n else []} for n in range(2)]
    table = pa.table({"path": ["a.py", "b.py"], "repo_name": ["in/a", "in/a"], "lineage": lineage})
    columns = FileColumns("path", "repo_name")
    assert matches(table, columns, Selection(sha256s=frozenset({HASHES[2]}))).tolist() == [False, True]
    assert matches(table, columns, Selection(paths=frozenset({"lib.py"}))).tolist() == [False, True]
    assert matches(table, columns, Selection(files=frozenset({File(("in/z",), "lib.py", HASHES[2])}))).tolist() == [
        False,
        False,
    ]
