"""Packed rows lose nothing, cut no middle, are nearly full, and are the same each time."""

from __future__ import annotations

import random
from array import array
from collections import defaultdict

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.errors import ConfigError
from tests.transforms.fim.documents import read_fim_document
from transforms.packing.documents import DocumentRecipe, LineTokens, SourceFile, cut_point, make_document
from transforms.packing.rows import ROW_SCHEMA, RowPacker
from transforms.packing.tokens import TextTokens
from transforms.rows.row import content_sha256


def file_of(path: str, content: str, repo_name: str = "org/shop") -> SourceFile:
    return SourceFile(repo_name, path, "python", content, content_sha256(content))


def code(seed: int, lines: int) -> str:
    rng = random.Random(seed)
    body = [f"    value_{rng.randint(0, 99)} = compute({rng.randint(0, 999)}, first + second)\n" for _ in range(lines)]
    return f"def function_{seed}(first, second):\n" + "".join(body) + "    return first\n\n\n"


def packed(tokenizer, files, length=512, recipe=None, imports=None):
    packer = RowPacker(tokenizer, recipe or DocumentRecipe(), length)
    return [*packer.pack(files, imports), *packer.finish()]


def texts_of(tokenizer, rows):
    """For each file its parts as decoded from the rows' tokens, with their positions."""
    pieces = defaultdict(list)
    for row in rows:
        for part in row["parts"]:
            ids = row["input_ids"][part["token_start"] : part["token_end"]]
            if part["fim_mode"] == "none":
                text = tokenizer.decode(ids[part["path_tokens"] :])
            else:
                parts = read_fim_document(tokenizer, ids, prefix_tokens=part["prefix_tokens"])
                assert parts.mode == part["fim_mode"] or not part["prefix_tokens"]
                middle = tokenizer.decode(parts.middle)
                assert len(middle) == part["span_end"] - part["span_start"]
                text = tokenizer.decode(parts.prefix) + middle + tokenizer.decode(parts.suffix)
            assert len(text) == part["end"] - part["start"]
            pieces[part["path"]].append((part["start"], text))
    return {path: "".join(text for _, text in sorted(found)) for path, found in pieces.items()}


@pytest.mark.parametrize("spm_mode", ["spm", "spm_v2"])
def test_the_parts_of_all_rows_rebuild_every_file(small_tokenizer, spm_mode):
    files = [file_of(f"f{n}.py", code(n, n % 40)) for n in range(40)]
    rows = packed(small_tokenizer, files, recipe=DocumentRecipe(spm_mode=spm_mode))
    assert texts_of(small_tokenizer, rows) == {file.path: file.content for file in files}
    modes = {part["fim_mode"] for row in rows for part in row["parts"]}
    assert modes == {"psm", spm_mode, "none"}


def test_rows_are_full_to_99_percent(small_tokenizer):
    files = [file_of(f"f{n}.py", code(n, n % 40)) for n in range(120)]
    rows = packed(small_tokenizer, files, length=2048)
    full = rows[:-1]
    assert max(row["num_tokens"] for row in rows) <= 2048
    assert sum(row["num_tokens"] for row in full) / (2048 * len(full)) >= 0.99


def test_a_file_longer_than_a_row_goes_on_in_the_next(small_tokenizer):
    (path, content) = "long.py", "".join(code(n, 12) for n in range(20))
    rows = packed(small_tokenizer, [file_of(path, content)], recipe=DocumentRecipe(fim_rate=0.0), length=1024)
    assert len(rows) > 3
    assert texts_of(small_tokenizer, rows) == {path: content}
    ends = [part["end"] for row in rows[:-1] for part in row["parts"]]
    assert all(content[end - 1] == "\n" for end in ends)


def test_a_one_line_file_is_cut_within_its_line(small_tokenizer):
    content = "x = [" + "1, " * 4000 + "]"
    rows = packed(small_tokenizer, [file_of("one.py", content)], length=256)
    assert texts_of(small_tokenizer, rows) == {"one.py": content}


def test_segments_are_repositories_and_begin_and_end_as_sequences_do(small_tokenizer):
    t = small_tokenizer
    packer = RowPacker(t, DocumentRecipe(fim_rate=0.0), 4096)
    one = [file_of("a.py", "a = 1\n", "org/one"), file_of("b.py", "b = 1\n", "org/one")]
    two = [file_of("c.py", "c = 1\n", "org/two")]
    (row,) = [*packer.pack(one), *packer.pack(two), *packer.finish()]
    assert row["text"] == ("<bos>a.py\na = 1\n<|file_separator|>b.py\nb = 1\n<eos><bos>c.py\nc = 1\n<eos>")
    shown = [row["text"][part["text_start"] : part["text_end"]] for part in row["parts"]]
    assert shown == ["a.py\na = 1\n", "b.py\nb = 1\n", "c.py\nc = 1\n"]
    second = row["input_ids"].index(t.bos, 1)
    assert row["segment_ids"].tolist() == [1] * second + [2] * (len(row["input_ids"]) - second)
    assert [place for place, target in enumerate(row["loss_mask"]) if not target] == [0, second]


def test_a_file_does_not_overtake_what_it_imports(small_tokenizer):
    first, big = file_of("first.py", code(4, 26)), file_of("big.py", code(1, 24))
    user, small = file_of("user.py", code(3, 2)), file_of("small.py", code(2, 1))
    recipe = DocumentRecipe(fim_rate=0)
    tokens = [len(make_document(small_tokenizer, file, recipe).ids) + 1 for file in (first, user)]
    length = 1 + sum(tokens)  # room for first and user, not for first and big

    def order(imports):
        rows = packed(small_tokenizer, [first, big, user, small], length, recipe, imports)
        return [part["path"] for row in rows for part in row["parts"]]

    assert order({})[:3] == ["first.py", "user.py", "big.py"]
    assert order({"user.py": frozenset({"big.py"})})[:3] == ["first.py", "small.py", "big.py"]


def test_packing_the_same_files_again_gives_the_same_rows(small_tokenizer):
    files = [file_of(f"f{n}.py", code(n, n % 30)) for n in range(20)]
    assert packed(small_tokenizer, files) == packed(small_tokenizer, files)


def test_rates_decide_how_many_documents_get_fim(small_tokenizer):
    files = [file_of(f"f{n}.py", code(n, 3)) for n in range(400)]
    modes = [make_document(small_tokenizer, file, DocumentRecipe(fim_rate=0.8)).fim_mode for file in files]
    assert 0.72 < 1 - modes.count("none") / len(modes) < 0.88
    assert 0.4 < modes.count("spm") / (len(modes) - modes.count("none")) < 0.6
    assert {make_document(small_tokenizer, file, DocumentRecipe(fim_rate=0)).fim_mode for file in files} == {"none"}


def test_no_middle_has_more_tokens_than_asked_and_a_shorter_one_takes_its_place(small_tokenizer):
    files = [file_of(f"m{n}.py", code(n, 60)) for n in range(30)]
    parts = [
        part
        for row in packed(
            small_tokenizer, files, recipe=DocumentRecipe(fim_rate=1.0, max_middle_tokens=24), length=8192
        )
        for part in row["parts"]
    ]
    assert max(part["middle_tokens"] for part in parts) <= 24
    assert sum(part["fim_mode"] != "none" for part in parts) > 0.8 * len(parts)
    free = packed(small_tokenizer, files, recipe=DocumentRecipe(fim_rate=1.0), length=8192)
    assert max(part["middle_tokens"] for row in free for part in row["parts"]) > 24


def test_a_whole_file_s_document_depends_on_its_content_alone(small_tokenizer):
    here, there = file_of("a.py", code(7, 5)), file_of("b/c.py", code(7, 5), "org/other")
    recipe = DocumentRecipe(path_line=False)
    documents = [make_document(small_tokenizer, file, recipe) for file in (here, there)]
    assert documents[0].ids.tolist() == documents[1].ids.tolist()
    assert documents[0].text == documents[1].text


def test_a_cut_falls_between_functions_where_it_can(small_tokenizer):
    text = code(1, 10) + code(2, 10)
    whole = len(small_tokenizer.encode(text))
    end = cut_point(LineTokens(TextTokens(small_tokenizer, text)), 0, whole - 40, whole // 2)
    assert end == len(code(1, 10))


def test_rows_are_of_the_schema(small_tokenizer):
    rows = packed(small_tokenizer, [file_of("a.py", code(1, 9)), file_of("b.py", code(2, 9))])
    plain = [
        {name: value.tolist() if isinstance(value, array) else value for name, value in row.items()} for row in rows
    ]
    assert pa.Table.from_pylist(rows, schema=ROW_SCHEMA).to_pylist() == plain


@pytest.mark.parametrize("options", [{"fim_rate": 1.1}, {"spm_rate": -0.1}, {"spm_mode": "psm"}])
def test_bad_recipes_are_refused(options):
    with pytest.raises(ConfigError):
        DocumentRecipe(**options)


def test_a_context_too_short_to_hold_anything_is_refused(small_tokenizer):
    with pytest.raises(ConfigError, match="the minimum is 64"):
        RowPacker(small_tokenizer, DocumentRecipe(), 10)


PIECES = [
    "def f():\n",
    "    return 1\n",
    "\r\n",
    "\r",
    "\n\n",
    "é\U0001f600",
    "<|fim_middle|>",
    "<eos>",
    "\ufeff",
    "\0",
    "x" * 300,
]
CONTENTS = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=9)), min_size=1, max_size=25).map("".join)


@settings(max_examples=40, deadline=None)
@given(contents=st.lists(CONTENTS, max_size=6), length=st.integers(64, 300), rate=st.sampled_from([0.0, 0.8, 1.0]))
def test_nothing_is_lost_whatever_the_files_say(small_tokenizer, contents, length, rate):
    contents = [content for content in contents if content and content.isprintable() is not None]
    contents = [content.encode("utf-8", "ignore").decode() for content in contents]
    files = [file_of(f"f{n}.py", content) for n, content in enumerate(contents) if content]
    rows = packed(small_tokenizer, files, length=length, recipe=DocumentRecipe(fim_rate=rate))
    assert all(0 < row["num_tokens"] <= length == max(length, len(row["input_ids"])) for row in rows)
    assert texts_of(small_tokenizer, rows) == {file.path: file.content for file in files}
    for row in rows:
        assert row["text"] == small_tokenizer.decode(row["input_ids"], keep_control=True)
        for part in row["parts"]:
            ids = row["input_ids"][part["token_start"] : part["token_end"]]
            shown = row["text"][part["text_start"] : part["text_end"]]
            assert shown == small_tokenizer.decode(ids, keep_control=True)
