"""What counts as sound code, and as sound as before."""

from __future__ import annotations

import threading
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.languages.parsing import MAX_CHECKED_CHARS, compiles, parses, parses_as_before
from transforms.languages.table import LANGUAGES

SOUND = {  # language: (sound, broken)
    "Ada": ("procedure A is\nbegin\n   null;\nend A;\n", "procedure A is\nbegin\n   null\nend A;\n"),
    "C": ("int f(void) { return 1; }\n", "int f(void) { return 1;\n"),
    "C#": ("class A { int F() => 1; }\n", "class A { int F( => 1; }\n"),
    "C++": ("template <class T> T f(T x) { return x; }\n", "template <class T> T f(T x) { return x; \n"),
    "Clojure": ("(defn f [x] (+ x 1))\n", "(defn f [x] (+ x 1)\n"),
    "Common Lisp": ("(defun f (x) (+ x 1))\n", "(defun f (x) (+ x 1)\n"),
    "Dart": ("void main() { print('x'); }\n", "void main() { print('x'; }\n"),
    "Emacs Lisp": ("(defun f (x) (+ x 1))\n", "(defun f (x) (+ x 1)\n"),
    "F#": ("module A\n\nlet f x = x + 1\n", "module A\n\nlet f x = (x + 1\n"),
    "Go": ("package a\n\nfunc f() {}\n", "package a\n\nfunc f() {\n"),
    "Hack": ("<?hh\nfunction f(int $x): int { return $x; }\n", "<?hh\nfunction f(int $x): int { return $x; \n"),
    "Haskell": ("module A where\n\nf :: Int -> Int\nf x = x + 1\n", "module A where\n\nf x = (x + 1\n"),
    "Java": ("class A { int x = f(1); }\n", "class A { int x = f(1; }\n"),
    "JavaScript": ("const f = (a) => a + 1;\n", "const f = (a => a + 1;\n"),
    "JSON": ('{"a": [1, 2]}\n', '{"a": [1, 2}\n'),
    "Kotlin": ("fun f(x: Int): Int { return x }\n", "fun f(x: Int): Int { return x \n"),
    "Lua": ("local function f(x) return x end\n", "local function f(x return x end\n"),
    "Objective-C": ("@interface A : NSObject\n- (int)f;\n@end\n", "@interface A : NSObject\n- (int f;\n@end\n"),
    "OCaml": ("let f x = x + 1\n", "let f x = (x + 1\n"),
    "PHP": ("<?php\nfunction f($x) { return $x; }\n", "<?php\nfunction f($x { return $x; }\n"),
    "Protocol Buffer": (
        'syntax = "proto3";\nmessage A { int32 b = 1; }\n',
        "message A { int32 b\n",
    ),
    "Python": ("def f(x):\n    return x\n", "def f(x:\n    return x\n"),
    "R": ("f <- function(x) { x + 1 }\n", "f <- function(x) { x + 1 \n"),
    "Ruby": ("def f(x)\n  x + 1\nend\n", "def f(x\n  x + 1\nend\n"),
    "Rust": ("fn f(x: i32) -> i32 { x + 1 }\n", "fn f(x: i32 -> i32 { x + 1 }\n"),
    "Scala": ("object A { def f(x: Int) = x + 1 }\n", "object A { def f(x: Int = x + 1 }\n"),
    "Shell": ("if true; then\n  echo x\nfi\n", "if true; then\n  echo x\n"),
    "SQL": ("SELECT a FROM b WHERE c = 1;\n", "SELECT a FROM b WHERE (c = 1;\n"),
    "Swift": ("func f(_ x: Int) -> Int { return x }\n", "func f(_ x: Int -> Int { return x }\n"),
    "TOML": ('[a]\nb = "c"\n', '[a\nb = "c"\n'),
    "TSX": ("const a = <p>{x as string}</p>;\n", "const a = <p>{x as string</p>;\n"),
    "TypeScript": ("const f = (a: number): number => a;\n", "const f = (a: number: number => a;\n"),
    "XML": ("<a><b/></a>\n", "<a><b></a>\n"),
    "YAML": ("a:\n  - b: 1\n", "a: [b\nc: }\n"),
    "Zig": ("pub fn main() void {}\n", "pub fn main( void {}\n"),
}
BY_NAME = {language.name: language for language in LANGUAGES}


@pytest.mark.parametrize("name", SOUND)
def test_sound_text_parses_and_broken_text_does_not_by_every_name_and_extension(name):
    sound, broken = SOUND[name]
    language = BY_NAME[name]
    for called in (name, name.upper(), *language.aliases):
        assert parses(sound, called) is True, called
        assert parses(broken, called) is False, called
    for extension in set(language.extensions) - {"mli"}:
        assert parses(sound, "", f"src/a.{extension}") is True, extension
        assert parses(broken, "", f"src/a.{extension}") is False, extension


@pytest.mark.parametrize(
    ("language", "path", "text", "verdict"),
    [
        ("TypeScript", "a.tsx", "const a = <p>x</p>;\n", True),
        ("TypeScript", "a.ts", "const a = <p>x</p>;\n", False),
        ("OCaml", "a.mli", "val f : int -> int\n", True),
        ("OCaml", "a.ml", "val f : int -> int\n", False),
        ("", "a.h", "namespace x {\nclass A { public: int b; };\n}\n", True),
        ("", "bin/run", "#!/bin/sh\nif true; then\n", False),
        ("", "a.unknown", "x = (\n", None),
        ("", "", "x = (\n", None),
    ],
)
def test_where_the_name_says_too_little_the_path_and_the_text_tell(language, path, text, verdict):
    assert parses(text, language, path) is verdict


@pytest.mark.parametrize(
    "language",
    [
        "",
        "no such language",
        "python2",
        "COBOL",
        "Perl",
        "Makefile",
        "INI",
        "Markdown",
        "TeX",
        "text",
        "csv",
        "Assembly",
        "PowerShell",
    ],
)
def test_no_verdict_where_the_language_is_not_known_or_has_no_grammar_to_trust(language):
    assert parses("x = ((\n", language) is None


@pytest.mark.parametrize("language", ["Python", "js", "Shell", "Java"])
def test_no_verdict_on_what_is_too_large_too_hard_or_holds_nul_bytes(language):
    assert parses("x" * (MAX_CHECKED_CHARS + 1), language) is None
    assert parses("x = 1\0\n", language) is None
    assert parses("é" * (MAX_CHECKED_CHARS // 2 + 1), "js") is None  # more bytes than the parser is given
    assert parses("-" * 100_000 + "1", "Python") is None


def test_an_error_beside_a_preprocessor_s_conditionals_is_no_verdict():
    both = "#ifdef A\nint f(int a) {\n#else\nint f() {\n#endif\n  return 1;\n}\n"
    assert [parses(both, language) for language in ("C", "c++", "cuda", "objc")] == [None] * 4
    guarded = "#ifndef A_H\n#define A_H\n{}\n#endif\n"
    assert parses(guarded.format("int f(void);"), "C") is True
    assert parses(guarded.format("int f(void;"), "C") is False


@given(st.text(max_size=60), st.sampled_from([language.name for language in LANGUAGES]))
def test_any_text_gets_a_verdict_in_any_language_and_the_same_one_twice(text, language):
    verdict = parses(text, language)
    assert verdict in (True, False, None) and parses(text, language) is verdict


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("x = 1\n", True),
        ("\ufeffx = 1\n", True),
        ("print 'hi'\n", False),
        ("def f():\n", False),
        ("return 1\n", False),
        ("x = '\0'\n", False),
        ("x = '\ud800'\n", False),
        ("(" * 10_000, False),
        ("-" * 100_000 + "1", None),
        ("not " * 20_000 + "x", None),
    ],
)
def test_python_is_checked_by_its_compiler(text, verdict):
    assert compiles(text) is verdict


def test_the_compiler_s_warnings_are_not_shown_and_others_still_are():
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        assert compiles("x = '\\d'; 1 is 1\n")
        warnings.warn("something else", stacklevel=1)
    assert [str(warning.message) for warning in seen] == ["something else"]


def test_nothing_is_executed():
    assert compiles("raise SystemExit(1)\n")


def test_a_verdict_is_relative_to_the_original():
    assert parses_as_before("print 'hi'\n", "print 'ho'\n", "python") is None
    assert parses_as_before("x = (1\n", "x = 1\n", "python") is False
    assert parses_as_before("x = 2\n", "x = 1\n", "Python") is True


@pytest.mark.parametrize(
    ("language", "original", "good", "bad"),
    [
        ("Java", "class A { int x = f(1); }", "class A { int x = g(2); }", "class A { int x = f(1; }"),
        ("Go", "package a\nfunc f() { g(1) }\n", "package a\nfunc f() { h() }\n", "package a\nfunc f() { g(1 }\n"),
        ("C++", "int f() { return 1; }", "int f() { return 2; }", "int f() { return }}"),
    ],
)
def test_other_languages_may_have_no_more_errors_than_before(language, original, good, bad):
    assert parses_as_before(good, original, language) is True
    assert parses_as_before(bad, original, language) is False
    assert parses_as_before(bad, bad, language) is True


def test_no_verdict_without_a_parser_or_above_the_size_limit():
    assert parses_as_before("a", "b", "COBOL") is None
    assert parses_as_before("x" * 1_000_001, "x", "python") is None


def test_parses_is_safe_in_many_threads():
    verdicts: list[bool | None] = []

    def check(n):
        verdicts.append(parses_as_before(f"x = '\\d{n}'\n", f"x = {n}\n", "python"))

    threads = [threading.Thread(target=check, args=(n,)) for n in range(30)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert verdicts == [True] * 30


@pytest.mark.parametrize(
    ("original", "middle", "verdict"),
    [
        ("import os\n\n\ndef f():\n    return <1>\n", "2", True),
        ("import os\n\n\ndef f():\n    return <1>\n", "(2", False),
        (
            "print 'old'\n\n\ndef f():\n    return <1>\n",
            "2",
            True,
        ),  # what else is wrong with the file is none of its fault
        ("print 'old'\n\n\ndef f():\n    return <1>\n", "(2", False),
        ("print 'old'\n\n\nprint <'hi'>\n", "'ho'", None),
        ("if a:\n    b()\n<c()>\n", "else:\n    c()", True),  # compiles with its neighbour alone
        ("x = [\n1,\n<2,>\n]\n", "2", True),
        ("x = [\n1,\n<2,>\n]\n", "2]", False),
        ('"""\nimport os\n<text>\n"""\n', 'a """', False),
        ("class A:\n    x = 1\n\n    def f(self):\n        <pass>\n\n    def g(self): pass\n", "return 1", True),
        ("class A:\n    def f(self):\n        <pass>\n\n    def g(self): pass\n", "pass\n\ndef h():\n  pass", False),
        ("class A:\n    @property\n    def f(self):\n        <pass>\n", "return self.x", True),
        ("class A:\n    @property\n<    def f(self): pass>\n", "    x = 1", False),
        ("x = 1\n<y = 2>\n", "global x", False),
        ("import os\n<y = 2>\n", "from __future__ import annotations", False),
        ('<"""Doc."""\n>from __future__ import annotations\n', "import os\n", False),
        ('"<>""Doc."""\nfrom __future__ import annotations\n', 'x"""\n"""', False),  # the docstring becomes two
        ('<"""Doc."""\n>from __future__ import annotations\n', "# a comment\n", True),
        ("def f():\n    <pass>\n", "break", False),
    ],
)
def test_a_change_is_validated_by_the_statement_that_it_is_in(original, middle, verdict):
    start = original.index("<")
    end = original.index(">") - 1
    original = original.replace("<", "").replace(">", "")
    changed = original[:start] + middle + original[end:]
    assert parses_as_before(changed, original, "python", hole=(start, end)) is verdict
