"""The body of a chat answer: a function alone, of the right class, in the file's form, with what the file has."""

from __future__ import annotations

import pytest

from model.errors import RecordError
from transforms.bodies.answers import body_of_answer
from transforms.bodies.holes import body_hole
from transforms.bodies.judge import CONTRADICTIONS, judge_body
from transforms.languages.syntax import parse
from transforms.symbols import find_symbols

FILES = {
    "java": "class A {\n  A(int n) {\n    this.n = n;\n  }\n  int size(int n) {\n    return n;\n  }\n}\n",
    "csharp": "class A\n{\n  A(int n)\n  {\n    this.n = n;\n  }\n  int size(int n) => n;\n}\n",
    "javascript": "const a = {\n  size(n) {\n    return n;\n  },\n};\n",
    "typescript": "class A {\n  size(n: number): number {\n    return n;\n  }\n}\n",
}


def read(text, grammar, name):
    source = parse(text.encode(), grammar)
    return source, next(one for one in find_symbols(source) if one.name == name and one.kind in ("function", "method"))


@pytest.mark.parametrize(
    ("grammar", "name", "answer", "body"),
    [
        ("java", "size", "int size(int n) { return n + 1; }", "return n + 1;"),
        ("java", "A", "A(int n) { this.n = n + 1; }", "this.n = n + 1;"),
        ("csharp", "A", "A(int n) { this.n = n + 1; }", "this.n = n + 1;"),
        ("csharp", "size", "int size(int n) { return n + 1; }", "n + 1"),
        ("javascript", "size", "size(n) { return n + 1; }", "return n + 1;"),
        ("typescript", "size", "size(n: number): number { return n + 1; }", "return n + 1;"),
    ],
)
def test_a_method_may_stand_without_its_class(grammar, name, answer, body):
    source, symbol = read(FILES[grammar], grammar, name)
    assert body_of_answer(answer, grammar, symbol, source) == body


def test_the_body_is_of_the_same_class_and_not_of_a_declaration():
    text = "interface S { int size(); }\nclass A { int size() { return 1; } }\nclass B { int size() { return 2; } }\n"
    source = parse(text.encode(), "java")
    for symbol in find_symbols(source):
        if symbol.qualified_name in ("A.size", "B.size"):
            wanted = "return 1;" if symbol.qualified_name == "A.size" else "return 2;"
            assert body_of_answer(text, "java", symbol, source) == wanted


def test_a_name_that_only_the_old_body_had_is_missing():
    source, symbol = read("class A { int f(int n) { int rest = n; return rest; } }\n", "java", "f")
    answer = "class A { int rest(int n) { return n; } int f(int n) { return rest(n); } }"
    with pytest.raises(RecordError, match="needs_other_code"):
        body_of_answer(answer, "java", symbol, source)


def test_a_word_of_a_comment_is_no_name_that_the_file_has():
    source, symbol = read(
        "/** Counts words. */\nfunction count(text: string): number {\n  return 1;\n}\n", "typescript", "count"
    )
    answer = "type Counts = number;\nfunction count(text: string): number {\n  const n: Counts = 2;\n  return n;\n}\n"
    with pytest.raises(RecordError, match="needs_other_code"):
        body_of_answer(answer, "typescript", symbol, source)
    known = parse(b"type Counts = number;\n" + source.data, "typescript")
    again = next(one for one in find_symbols(known) if one.name == "count")
    assert body_of_answer(answer, "typescript", again, known).startswith("const n")


def test_several_statements_do_not_become_an_expression():
    source, symbol = read("fun f(n: Int) = n + 1\n", "kotlin", "f")
    assert body_of_answer("fun f(n: Int): Int {\n  return n + 2\n}\n", "kotlin", symbol, source) == "n + 2"
    with pytest.raises(RecordError, match="signature_changed"):
        body_of_answer("fun f(n: Int): Int {\n  val m = n + 1\n  return m\n}\n", "kotlin", symbol, source)


@pytest.mark.parametrize(
    ("grammar", "text", "name", "body"),
    [
        ("c", "int g(int x) { CHECK_AND_RETURN(x); }\n", "g", "log(x);"),
        (
            "kotlin",
            "fun f(n: Int): Int {\n  state.spin { if (n > 1) return n }\n}\n",
            "f",
            "state.spin { if (it > n) return it }",
        ),
        ("kotlin", "fun f(n: Int): Int {\n  return n\n}\n", "f", '@Suppress("A")\n  return n + 1'),
        ("kotlin", "fun f(n: Int): Int {\n  return n\n}\n", "f", "state.loop { if (it > n) return it }"),
        ("csharp", "class A { void f(int n) { g(n); } }", "f", 'g("r", async ([X] P p) => { await h(p); });'),
        ("csharp", "class A { System.Collections.IEnumerator I.f() => null; }", "f", "f()"),
        ("cpp", "template <typename T> int f(T a) { return 1; }", "f", "return f<int>(a);"),
        ("rust", "impl Count for A {\n  fn count(&self) -> usize {\n    1\n  }\n}\n", "count", "self.count()"),
        (
            "rust",
            "fn f(n: u8) -> u8 {\n  n\n}\n",
            "f",
            "let r = match n { 0 => return 1, _ => 2 };\n  loop { use_it(r); }",
        ),
        ("python", "def f(n):\n    if n:\n        return n\n", "f", "for m in g(n):\n        return m"),
        ("python", "def f(n) -> int:\n    return n\n", "f", "with g(n) as m:\n        return m"),
        ("javascript", "function f(n) {\n  if (n) return n;\n  return;\n}\n", "f", "if (n > 1) return 1;"),
    ],
)
def test_what_the_code_does_not_contradict_is_no_fault(grammar, text, name, body):
    source, symbol = read(text, grammar, name)
    verdicts = judge_body(source, symbol, body_hole(source, symbol), body)
    assert all(verdicts[check] for check in CONTRADICTIONS), verdicts
