"""Which file is packed next."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.packing.documents import DocumentRecipe, SourceFile
from transforms.packing.queue import FILLERS, FileQueue, Waiting
from transforms.packing.rows import RowPacker
from transforms.rows.row import content_sha256

PLAIN = DocumentRecipe(fim_rate=0.0, path_line=False)
LENGTH = 256


def queue_of(tokenizer, files: dict[str, str], imports: dict[str, set[str]]) -> FileQueue:
    source = [SourceFile("org/shop", path, "", text, content_sha256(text)) for path, text in files.items()]
    return FileQueue((Waiting(tokenizer, PLAIN, LENGTH, file) for file in source), imports)


def order_of(queue: FileQueue, present: set[str], room: int = LENGTH) -> list[str]:
    """All files in the order in which they are taken, each of which the row has from then on."""
    found: list[str] = []
    while queue.fill():
        index = queue.choose(room, present | set(found))
        if index is None:
            found.append(queue.head.file.path)
            queue.advance(len(queue.head.file.content))
        else:
            found.append(queue.take(index).file.path)
    return found


def test_files_keep_their_order(small_tokenizer):
    names = [f"m{n}.py" for n in range(9)]
    assert order_of(queue_of(small_tokenizer, dict.fromkeys(names, "x = 1\n"), {}), set()) == names


def test_the_file_of_whose_imports_the_row_has_most_comes_first(small_tokenizer):
    files = dict.fromkeys(["a.py", "b.py", "c.py", "d.py"], "x = 1\n")
    imports = {"b.py": {"m.py"}, "d.py": {"m.py", "n.py"}}
    assert order_of(queue_of(small_tokenizer, files, imports), {"m.py", "n.py"}) == ["d.py", "b.py", "a.py", "c.py"]


def test_no_file_overtakes_one_that_it_imports(small_tokenizer):
    files = dict.fromkeys(["a.py", "b.py", "c.py"], "x = 1\n")
    imports = {"c.py": {"b.py", "m.py"}}
    assert order_of(queue_of(small_tokenizer, files, imports), {"m.py"}) == ["a.py", "b.py", "c.py"]


def test_tests_come_right_behind_their_file_though_others_suit_the_row_better(small_tokenizer):
    files = dict.fromkeys(["a.py", "test_a.py", "a_test.py", "b.py", "c.py"], "x = 1\n")
    imports = {"test_a.py": {"a.py"}, "a_test.py": {"a.py"}, "b.py": {"m.py"}, "c.py": {"m.py"}}
    found = order_of(queue_of(small_tokenizer, files, imports), {"m.py"})
    assert found == ["b.py", "c.py", "a.py", "test_a.py", "a_test.py"]


def test_a_test_that_does_not_fit_lets_one_file_pass_and_is_split_then(small_tokenizer):
    long = "x = 1\n" * 30
    files = {"a.py": "x\n", "test_a.py": long, **{f"m{n}.py": f"{n}\n" for n in range(4)}}
    queue = queue_of(small_tokenizer, files, {"test_a.py": {"a.py"}})
    assert queue.fill() and queue.take(0).file.path == "a.py"
    for number in range(FILLERS):
        index = queue.choose(50, set())
        assert index is not None and queue.take(index).file.path == f"m{number}.py"
    assert queue.choose(50, set()) is None
    assert queue.head.file.path == "test_a.py"


@settings(max_examples=30)
@given(data=st.data())
def test_every_file_stands_behind_its_imports(small_tokenizer, data):
    length = data.draw(st.sampled_from([64, 256]))
    sizes = data.draw(st.lists(st.integers(0, 40), min_size=1, max_size=12))
    names = [f"{'test_' * data.draw(st.booleans())}m{n}.py" for n in range(len(sizes))]
    imports = {
        name: frozenset(data.draw(st.lists(st.sampled_from(names[:n]), max_size=3)))
        for n, name in enumerate(names)
        if n
    }
    files = [
        SourceFile("org/shop", name, "", f"# {name}\n" + "x = 1\n" * size, content_sha256(name))
        for name, size in zip(names, sizes, strict=True)
    ]
    packer = RowPacker(small_tokenizer, PLAIN, length, context_share=data.draw(st.sampled_from([0.0, 0.25])))
    rows = [*packer.pack(files, imports), *packer.finish()]
    begun: dict[str, int] = {}
    ended: dict[str, int] = {}
    for number, part in enumerate(part for row in rows for part in row["parts"] if part["role"] == "file"):
        begun.setdefault(part["path"], number)
        ended[part["path"]] = number
    assert set(begun) == set(names)
    assert all(ended[imported] < begun[name] for name, imported_by in imports.items() for imported in imported_by)
