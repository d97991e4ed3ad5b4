"""Documentation in its place: what was written is found again as that of its symbol, alone and with all the others."""

from __future__ import annotations

import pytest

from model.engine.requests import Completion
from transforms.languages.syntax import parse
from transforms.rows.row import Row, SourceRef, content_sha256
from transforms.symbols import find_symbols
from transforms.tasks.base import Accepted
from transforms.tasks.docstring import DocstringTask

FILES = [
    ("python", "def f(a): return a\nclass A: pass\n"),
    ("python", "\ufeffdef f(a):\n    return a\n"),
    ("python", "@overload\ndef f(a: int) -> int: ...\n@overload\ndef f(a: str) -> str: ...\ndef f(a):\n\treturn a\n"),
    ("javascript", "function f(a) {\n  return a;\n}\nfunction g() {}\n"),
    ("javascript", "// eslint-disable-next-line\nfunction f(a) {\n  return a;\n}\n"),
    ("javascript", "\ufefffunction f(a) {\n  return a;\n}\n"),
    ("javascript", "class A { m(a) { return a; } n() {} }\nlet a = 1; function f() {}\n"),
    (
        "typescript",
        "function f(a: string): string;\nfunction f(a: number): number;\nfunction f(a: any) { return a; }\n",
    ),
    ("typescript", "/* eslint-disable */\n\nexport const f = (a: number) => a;\n"),
    ("java", "@A class A { @B int m(int a) { return a; } enum E { X; int n() { return 1; } } }\n"),
    ("kotlin", "object O { fun f(a: Int) = a }\n"),
    ("go", "package a\nfunc F() {}; func G() {}\n"),
    ("rust", "#[inline]\nfn f(a: i32) -> i32 { a }\ntrait T { fn m(&self); }\n"),
    ("rust", "// Why.\n#[derive(A)]\npub enum E { X }\n"),
    ("c", "/* Copyright (c) 2020 by all. */\nint f(int a) { return a; }\nint x; int g(void) { return 1; }\n"),
    ("cpp", "namespace a { class A { public: int m(int a) { return a; } A(int a); }; }\n"),
    ("csharp", "class A { int M(int a) { return a; } }\n"),
]
TRUE = "Tells something true of it."


def documented(data, language):
    """What documents each symbol of a file."""
    found = find_symbols(parse(data, language))
    return {(s.kind, s.qualified_name, i): data[slice(*s.doc)].decode() if s.doc else "" for i, s in enumerate(found)}


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize(("language", "text"), FILES)
def test_what_was_written_is_found_again_as_the_documentation_of_its_symbol(
    language, text, newline, small_vocabulary, small_tokenizer
):
    content = text.replace("\n", newline)
    sha = content_sha256(content)
    row = Row(SourceRef("corpus.parquet", 0, 0), content, sha, sha, language=language)
    task = DocstringTask(tokenizer=small_vocabulary, max_prompt_tokens=4096)
    kept = []
    for number, request in enumerate(task.requests(row)):
        words = f"{TRUE} Number {number}." + "</summary>" * (language == "csharp")
        tokens = tuple(small_tokenizer.encode(words))
        completion = Completion(tokens=tokens, finish_reason="stop", stop_id=1, mean_logprob=-0.5, prompt_tokens=1)
        accepted = task.accept(row, request, completion)
        assert isinstance(accepted, Accepted), accepted
        alone = documented("".join(accepted.written).encode(), language)
        assert [i for i, doc in enumerate(alone.values()) if TRUE in doc] == [number]
        kept.append((request, accepted))
    together = documented(task.nest(row, kept)["content_documented"].encode(), language)
    assert list(together) == list(documented(content.encode(), language))
    assert all(f"{TRUE} Number {number}." in doc for number, doc in enumerate(together.values()))


@pytest.mark.parametrize(
    ("language", "text", "wanted"),
    [
        ("rust", "// Why.\n/// Doc.\n// SAFETY: fine\nfn f() {}\n", "/// Doc."),
        ("javascript", "/** Doc. */\n// Why.\nfunction f() {}\n", "/** Doc. */"),
        ("csharp", "// Why.\n/// Doc.\nclass f {}\n", "/// Doc."),
        ("javascript", "/* eslint-disable */\n\nfunction f() {}\n", ""),
    ],
)
def test_other_comments_around_documentation_are_none_of_it(language, text, wanted):
    assert [doc for (_, name, _), doc in documented(text.encode(), language).items() if name == "f"] == [wanted]


def test_a_comment_that_a_tool_reads_is_not_taken_for_the_files_documentation():
    for text in ("/** @flow */\n\nimport 'a';\n", "/**\n * @jest-environment jsdom\n */\n\nimport 'a';\n"):
        assert list(documented(text.encode(), "javascript").values()) == [""]


def test_a_variable_that_reads_as_a_declared_function_is_not_documented():
    found = documented(b"void f() { Lock lock(mutex); Foo x(a); }\n", "cpp")
    assert [name for _, name, _ in found] == ["", "f"]
