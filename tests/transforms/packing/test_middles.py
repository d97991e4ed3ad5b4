"""What is counted of middles is what the packed rows hold."""

from __future__ import annotations

from collections import Counter

from transforms.fim.spans import Recipe
from transforms.packing.documents import DocumentRecipe, SourceFile
from transforms.packing.middles import MIDDLES, length_class
from transforms.packing.rows import RowPacker
from transforms.rows.row import content_sha256


def file_of(path, content, language):
    return SourceFile("org/shop", path, language, content, content_sha256(content))


def packed(tokenizer, files, **recipe):
    packer = RowPacker(tokenizer, DocumentRecipe(**recipe), 512)
    rows = [*packer.pack(files), *packer.finish()]
    return [part for row in rows for part in row["parts"]], packer.counts


def test_the_counts_are_those_of_the_rows_parts(small_tokenizer):
    files = [
        file_of(f"f{n}.{ending}", "".join(f"value_{n} = make({n}, {line})\n" for line in range(n + 2)), language)
        for n in range(30)
        for ending, language in (("py", "python"), ("go", ""), ("xyz", ""))
    ]
    parts, counts = packed(small_tokenizer, files)
    expected: Counter[str] = Counter()
    for part in parts:
        language = {"py": "Python", "go": "Go"}.get(part["path"].rsplit(".", 1)[1], "unknown")
        expected[f"language/{language}/{part['fim_mode']}/documents"] += 1
        expected[f"language/{language}/{part['fim_mode']}/tokens"] += part["token_end"] - part["token_start"]
        if part["span_kind"]:
            expected[f"kind/{part['span_kind']}/documents"] += 1
            expected[f"kind/{part['span_kind']}/tokens"] += part["middle_tokens"]
            expected[f"length/{length_class(part['middle_tokens'])}"] += 1
    assert counts == {MIDDLES + name: count for name, count in expected.items()}


def test_middles_that_say_nothing_and_comments_are_told_apart(small_tokenizer):
    files = [
        *(file_of(f"c{n}.py", f"# says {n}\n# and more {n}\n", "python") for n in range(5)),
        *(file_of(f"t{n}.py", ")" * (n + 3) + "\n", "python") for n in range(3)),
        *(file_of(f"x{n}.py", f"run({n})\n", "python") for n in range(2)),
    ]
    _, counts = packed(small_tokenizer, files, fim_rate=1.0, spans=Recipe(mix={"single_line": 1.0}))
    at = f"{MIDDLES}kind/single_line"
    assert [counts[f"{at}/{name}"] for name in ("documents", "comment_only", "trivial")] == [10, 5, 3]
