"""What a file imports stands in front of it in its row, without loss; every file is trained on once all the same."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.packing.context import MAX_SIGNATURE_TOKENS, RepositoryContext
from transforms.packing.documents import DocumentRecipe, SourceFile, make_document
from transforms.packing.rows import RowPacker
from transforms.packing.tokens import TextTokens
from transforms.rows.row import content_sha256

PLAIN = DocumentRecipe(fim_rate=0.0)


def file_of(path: str, content: str, language: str = "") -> SourceFile:
    return SourceFile("org/shop", path, language, content, content_sha256(content))


def before(tokenizer, importer, *imported, present=(), room=10_000, path_line=True):
    context = RepositoryContext(tokenizer, path_line=path_line)
    for file in imported:
        context.add(file, TextTokens(tokenizer, file.content))
    document = make_document(tokenizer, importer, PLAIN)
    return list(context.before(document, [file.path for file in imported], set(present), room))


def filled(name: str, lines: int) -> str:
    return f"def {name}(first, second):\n" + "".join(f"    first += second * {n}\n" for n in range(lines))


def test_a_small_file_is_repeated_whole(small_tokenizer):
    money = file_of("money.py", "def total(prices):\n    return sum(prices)\n")
    (found,) = before(small_tokenizer, file_of("cart.py", "import money\n"), money)
    assert (found.role, found.text) == ("copy", f"money.py\n{money.content}")
    assert small_tokenizer.decode(found.ids.tolist()) == found.text


SIGNATURES = [
    (
        "money.py",
        'class Purse:\n    """Holds coins."""\n\n    def add(self, coin):\n        """Adds."""\n        self.x = coin\n'
        "\n    def unused(self):\n        pass\n\n\ndef total(prices: list) -> int:\n    return 0\n",
        "Purse add total",
        'class Purse:\n    """Holds coins."""\n    def add(self, coin):\n        """Adds."""\n'
        "def total(prices: list) -> int:\n    ...\n",
    ),
    (
        "Money.java",
        "class Money {\n  /** The sum. */\n  int total(int[] prices) {\n    return 0;\n  }\n"
        "  int unused() { return 1; }\n}\n",
        "Money total",
        "class Money;\n  /** The sum. */\n  int total(int[] prices);\n",
    ),
    (
        "money.go",
        "package money\n\n// Total adds.\nfunc Total(prices []int) int {\n\treturn 0\n}\n",
        "Total",
        "// Total adds.\nfunc Total(prices []int) int;\n",
    ),
    (
        "money.ts",
        "export function total(prices: number[]): number {\n  return 0;\n}\nexport function other() {}\n",
        "total",
        "export function total(prices: number[]): number;\n",
    ),
    (
        "money.rs",
        "/// Adds.\npub fn total(prices: &[u32]) -> u32 {\n    0\n}\n",
        "total",
        "/// Adds.\npub fn total(prices: &[u32]) -> u32;\n",
    ),
]


@pytest.mark.parametrize(("path", "text", "words", "expected"), SIGNATURES, ids=[path for path, *_ in SIGNATURES])
def test_of_a_larger_file_the_signatures_of_used_names_are_repeated(
    monkeypatch, small_tokenizer, path, text, words, expected
):
    monkeypatch.setattr("transforms.packing.context.MAX_FILE_TOKENS", 4)
    monkeypatch.setattr("transforms.packing.context.MAX_DEFINITION_TOKENS", 0)
    (found,) = before(small_tokenizer, file_of("x", words), file_of(path, text), path_line=False)
    assert (found.role, found.text) == ("signatures", expected)
    assert found.ids.tolist() == small_tokenizer.encode(expected)


DEFINITIONS = [
    (
        "Purse add total",
        'class Purse:\n    """Holds coins."""\n    def add(self, coin):\n        """Adds."""\n        self.x = coin\n'
        "def total(prices: list) -> int:\n    return 0\n",
    ),
    (
        "Purse",
        'class Purse:\n    """Holds coins."""\n\n    def add(self, coin):\n        """Adds."""\n        self.x = coin\n'
        "\n    def unused(self):\n        pass\n",
    ),
]


@pytest.mark.parametrize(("words", "expected"), DEFINITIONS, ids=[words for words, _ in DEFINITIONS])
def test_where_there_is_room_definitions_are_repeated_with_their_bodies_and_of_a_class_the_used_members(
    monkeypatch, small_tokenizer, words, expected
):
    monkeypatch.setattr("transforms.packing.context.MAX_FILE_TOKENS", 4)
    path, text, *_ = SIGNATURES[0]
    (found,) = before(small_tokenizer, file_of("x", words), file_of(path, text), path_line=False)
    assert (found.role, found.text) == ("definitions", expected)
    assert small_tokenizer.decode(found.ids.tolist()) == expected


def test_a_definition_that_is_too_long_for_its_body_is_shown_by_its_signature(monkeypatch, small_tokenizer):
    monkeypatch.setattr("transforms.packing.context.MAX_FILE_TOKENS", 4)
    monkeypatch.setattr("transforms.packing.context.MAX_DEFINITION_TOKENS", 200)
    short, long = filled("short", 2), filled("long", 80)
    (found,) = before(small_tokenizer, file_of("x.py", "long short"), file_of("m.py", long + short), path_line=False)
    assert found.role == "definitions"
    assert found.text == "def long(first, second):\n    ...\n" + short


def test_bodies_get_only_the_room_that_signatures_of_all_imports_leave(monkeypatch, small_tokenizer):
    monkeypatch.setattr("transforms.packing.context.MAX_FILE_TOKENS", 4)
    files = [file_of(f"m{n}.py", filled(f"f{n}", 12)) for n in range(3)]
    importer = file_of("x.py", "f0 f1 f2")
    full = before(small_tokenizer, importer, *files)
    assert {found.role for found in full} == {"definitions"}
    room = sum(len(one.ids) + 1 for one in full) - 1
    assert [one.role for one in before(small_tokenizer, importer, *files, room=room)] == [
        "signatures", "definitions", "definitions",
    ]  # fmt: skip


def test_definitions_that_a_row_has_are_not_repeated_and_others_of_the_file_are(monkeypatch, small_tokenizer):
    monkeypatch.setattr("transforms.packing.context.MAX_FILE_TOKENS", 4)
    context = RepositoryContext(small_tokenizer, path_line=False)
    money = file_of("money.py", filled("total", 2) + filled("due", 2))
    context.add(money, TextTokens(small_tokenizer, money.content))
    document = make_document(small_tokenizer, file_of("x.py", "total() due()"), PLAIN)
    (found,) = context.before(document, ["money.py"], set(), 1000, {"money.py": {"total"}})
    assert found.text == filled("due", 2)
    assert context.before(document, ["money.py"], set(), 1000, {"money.py": {"total", "due"}}) == []


def test_signatures_of_a_file_are_bounded(monkeypatch, small_tokenizer):
    monkeypatch.setattr("transforms.packing.context.MAX_FILE_TOKENS", 4)
    monkeypatch.setattr("transforms.packing.context.MAX_DEFINITION_TOKENS", 0)
    names = [f"function_{n}" for n in range(200)]
    large = file_of("large.py", "".join(filled(name, 2) for name in names))
    (found,) = before(small_tokenizer, file_of("x.py", " ".join(names)), large)
    assert MAX_SIGNATURE_TOKENS / 2 < found.prefix_tokens <= MAX_SIGNATURE_TOKENS


def test_what_the_row_has_and_what_has_no_used_name_is_not_repeated(monkeypatch, small_tokenizer):
    monkeypatch.setattr("transforms.packing.context.MAX_FILE_TOKENS", 4)
    money, tax = file_of("money.py", filled("total", 3)), file_of("tax.py", filled("due", 3))
    importer = file_of("cart.py", "total()\n")
    assert [found.file.path for found in before(small_tokenizer, importer, money, tax)] == ["money.py"]
    assert before(small_tokenizer, importer, money, present=["money.py"]) == []
    assert before(small_tokenizer, importer, file_of("note.txt", "total\n" * 50)) == []


def test_context_stays_within_its_room_and_the_smallest_comes_first(small_tokenizer):
    files = [file_of(f"m{n}.py", filled(f"f{n}", 30 - 5 * n)) for n in range(5)]
    found = before(small_tokenizer, file_of("x.py", "x\n"), *files)
    assert [one.file.path for one in found] == ["m4.py", "m3.py", "m2.py", "m1.py", "m0.py"]
    sizes = [len(one.ids) + 1 for one in found]
    for room in (0, sizes[0] - 1, sizes[0], sum(sizes[:2]), sum(sizes) - 1):
        some = before(small_tokenizer, file_of("x.py", "x\n"), *files, room=room)
        assert sum(len(one.ids) + 1 for one in some) <= room
        assert [one.file.path for one in some] == [one.file.path for one in found[: len(some)]]


def packed(tokenizer, files, imports, length, share):
    packer = RowPacker(tokenizer, DocumentRecipe(job_seed=3), length, context_share=share)
    return [*packer.pack(files, imports), *packer.finish()]


def test_a_row_has_its_context_before_the_importer_and_no_loss_on_it(small_tokenizer):
    names = [f"m{n:02}.py" for n in range(30)]
    files = [file_of(name, filled(f"f{name[1:3]}", 12)) for name in names]
    imports = {name: frozenset(names[:1]) for name in names[1:]}
    rows = packed(small_tokenizer, files, imports, 1024, 0.25)
    assert len(rows) > 3
    for row in rows:
        seen = []
        for part in row["parts"]:
            is_context = part["role"] != "file"
            tokens = slice(part["token_start"], part["token_end"] + 1)  # with the separator behind it
            assert set(row["loss_mask"][tokens]) <= ({0} if is_context else {0, 1})
            assert is_context or sum(row["loss_mask"][tokens]) >= part["token_end"] - part["token_start"]
            if not is_context and part["start"] == 0 and part["path"] != names[0]:
                assert names[0] in seen
            seen.append(part["path"])
        assert (
            sum(part["token_end"] - part["token_start"] + 1 for part in row["parts"] if part["role"] != "file") <= 256
        )
    assert {part["path"] for row in rows for part in row["parts"] if part["role"] == "copy"} == {names[0]}


def test_no_share_means_no_context(small_tokenizer):
    files = [file_of(f"m{n}.py", filled(f"f{n}", 40)) for n in range(20)]
    rows = packed(small_tokenizer, files, {"m9.py": frozenset({"m0.py"})}, 512, 0.0)
    assert {part["role"] for row in rows for part in row["parts"]} == {"file"}


@given(st.data())
def test_every_character_is_trained_on_once_in_rows_of_bounded_length(small_tokenizer, data):
    lengths = data.draw(st.lists(st.integers(0, 60), min_size=1, max_size=12))
    names = [f"m{n}.py" for n in range(len(lengths))]
    files = [
        file_of(name, filled(f"f{n}", lines) * (lines > 0))
        for n, (name, lines) in enumerate(zip(names, lengths, strict=True))
    ]
    imports = {
        name: frozenset(data.draw(st.lists(st.sampled_from(names[:n]), max_size=3)))
        for n, name in enumerate(names)
        if n
    }
    share = data.draw(st.sampled_from([0.0, 0.1, 0.25, 0.75]))
    rows = packed(small_tokenizer, files, imports, 256, share)
    ranges: dict[str, list[tuple[int, int]]] = {}
    for row in rows:
        assert row["num_tokens"] == len(row["input_ids"]) == len(row["loss_mask"]) <= 256
        for part in row["parts"]:
            if part["role"] == "file":
                ranges.setdefault(part["path"], []).append((part["start"], part["end"]))
            else:
                assert part["start"] == part["end"] == 0
    for file in files:
        found = sorted(ranges[file.path])
        assert found[0][0] == 0 and found[-1][1] == len(file.content)
        assert all(a[1] == b[0] for a, b in itertools.pairwise(found))
