"""Symbols in ten languages against tables made by hand, and in Python against its own `ast`."""

from __future__ import annotations

import ast
import json
import textwrap
import warnings
from dataclasses import replace
from pathlib import Path

import pytest

from transforms.languages.syntax import parse
from transforms.symbols import find_symbols
from transforms.symbols.grammars import SYMBOL_GRAMMARS
from transforms.symbols.python_ast import python_symbols

FILES = {
    "python": '''\
        """Module."""
        import os

        @decorated(1)
        def area(w, h=1, *rest, scale: float = 2.0, **options) -> float:
            # a comment first
            """Old."""
            if w < 0:
                raise ValueError("w")
            return w * h

        class Shape(Base):
            x = 1

            def move(self, dx):
                def inner(a):
                    return a
                self.x += dx

            @staticmethod
            def make(kind): return Shape()

        async def stream(items):
            yield items
        ''',
    "javascript": """\
        /** Doc of area. */
        export function area(w, {h, d}, ...rest) { if (!w) throw new RangeError("w"); return w; }
        const twice = async (x = 1) => x * 2;
        class Shape extends Base {
          /** Old. */
          move(dx) { this.x += dx; }
          static make(kind) { return new Shape(); }
          grow = (by) => { return /** @type {number} */ (this.x += by); };
        }
        /** Old. */
        exports.half = function (x) { return x / 2; };
        Shape.prototype.turn = function (angle) { return angle; };
        var third = function (x) { return x / 3; };
        """,
    "typescript": """\
        // not documentation
        export abstract class Shape<T> {
          /** Old. */
          move(dx: number, dy?: number): void {}
          abstract area(): number;
        }
        interface Sized { size(unit: string): number }
        function over(a: string): void;
        """,
    "java": """\
        package a;
        /** Old. */
        @Deprecated
        public class Shape<T> {
          /** c */
          public Shape(int x, String... names) throws IOException { throw new IllegalStateException(); }
          @Override public <R> List<R> map(final Map<K, V> source) { return null; }
          void go() {}
        }
        """,
    "kotlin": """\
        /** Old. */
        class Shape(val x: Int) : Base() {
          fun move(dx: Int, vararg names: String): Int { throw E() }
          fun short(a: Int) = a + 1
          fun nothing() {}
        }
        """,
    "go": """\
        // Package a does things.
        package a

        // Area is old.
        func Area(w, h int, rest ...string) (int, error) { return 1, nil }

        // not for Move

        func (s *Shape) Move(dx int) { }

        // Shape is old.
        type Shape struct { x int }
        """,
    "rust": """\
        //! Crate.

        /// Old
        /// text.
        #[inline]
        pub fn area<T>(w: &T, mut h: i32, (c, d): (i32, i32)) -> i32 { 1 }
        pub struct Shape { x: i32 }
        impl Shape { pub fn go(&self, dx: i32) {} }
        """,
    "c": """\
        /** Old. */
        static int *area(const char *w, int h[3], void (*callback)(int)) { return 0; }
        struct shape { int x; };
        void nothing(void);
        """,
    "cpp": """\
        /// Old.
        template <typename T>
        class Shape : public Base {
         public:
          explicit Shape(int x = 1, T&& rest) : x_(x) {}
          virtual int move(const std::string& name) const override { throw std::runtime_error("x"); }
        };
        auto g() -> int { return 1; }
        int Shape::turn(int angle) { return angle; }
        """,
    "csharp": """\
        /// <summary>Old.</summary>
        [Attr]
        public class Shape<T> {
          public Shape(int x, params string[] names) { throw new ArgumentException(); }
          [X] public async Task<int> Map(ref int a, string b = "") => 1;
          void Go() { }
        }
        """,
}

# language -> (kind, qualified name, parameters, returns a value, raises, documented)
EXPECTED = {
    "python": [
        ("module", "", [], None, [], True),
        ("function", "area", ["w", "h", "rest", "scale", "options"], True, ["ValueError"], True),
        ("class", "Shape", [], None, [], False),
        ("method", "Shape.move", ["dx"], False, [], False),
        ("function", "Shape.move.inner", ["a"], True, [], False),
        ("method", "Shape.make", ["kind"], True, [], False),
        ("function", "stream", ["items"], True, [], False),
    ],
    "javascript": [
        ("module", "", [], None, [], False),
        ("function", "area", ["w", "", "rest"], True, ["RangeError"], True),
        ("function", "twice", ["x"], True, [], False),
        ("class", "Shape", [], None, [], False),
        ("method", "Shape.move", ["dx"], False, [], True),
        ("method", "Shape.make", ["kind"], True, [], False),
        ("method", "Shape.grow", ["by"], True, [], False),
        ("function", "half", ["x"], True, [], True),
        ("method", "Shape.turn", ["angle"], True, [], False),
        ("function", "third", ["x"], True, [], False),
    ],
    "typescript": [
        ("module", "", [], None, [], False),
        ("class", "Shape", [], None, [], False),
        ("method", "Shape.move", ["dx", "dy"], False, [], True),
        ("method", "Shape.area", [], True, [], False),
        ("class", "Sized", [], None, [], False),
        ("method", "Sized.size", ["unit"], True, [], False),
        ("function", "over", ["a"], False, [], False),
    ],
    "java": [
        ("class", "Shape", [], None, [], True),
        ("method", "Shape.Shape", ["x", "names"], False, ["IOException", "IllegalStateException"], True),
        ("method", "Shape.map", ["source"], True, [], False),
        ("method", "Shape.go", [], False, [], False),
    ],
    "kotlin": [
        ("class", "Shape", ["x"], None, [], True),
        ("method", "Shape.move", ["dx", "names"], True, ["E"], False),
        ("method", "Shape.short", ["a"], None, [], False),
        ("method", "Shape.nothing", [], False, [], False),
    ],
    "go": [
        ("module", "", [], None, [], True),
        ("function", "Area", ["w", "h", "rest"], True, [], True),
        ("method", "Shape.Move", ["dx"], False, [], False),
        ("class", "Shape", [], None, [], True),
    ],
    "rust": [
        ("module", "", [], None, [], True),
        ("function", "area", ["w", "h", ""], True, [], True),
        ("class", "Shape", [], None, [], False),
        ("method", "Shape.go", ["dx"], False, [], False),
    ],
    "c": [
        ("module", "", [], None, [], False),
        ("function", "area", ["w", "h", "callback"], True, [], True),
        ("class", "shape", [], None, [], False),
        ("function", "nothing", [], False, [], False),
    ],
    "cpp": [
        ("module", "", [], None, [], False),
        ("class", "Shape", [], None, [], True),
        ("method", "Shape.Shape", ["x", "rest"], False, [], False),
        ("method", "Shape.move", ["name"], True, ["runtime_error"], False),
        ("function", "g", [], True, [], False),
        ("method", "Shape.turn", ["angle"], True, [], False),
    ],
    "csharp": [
        ("class", "Shape", [], None, [], True),
        ("method", "Shape.Shape", ["x", "names"], False, ["ArgumentException"], False),
        ("method", "Shape.Map", ["a", "b"], True, [], False),
        ("method", "Shape.Go", [], False, [], False),
    ],
}


def symbols(language, text):
    source = parse(textwrap.dedent(text).encode(), language)
    assert source is not None
    return source, find_symbols(source)


@pytest.mark.parametrize("language", EXPECTED)
def test_symbols_parameters_returns_and_documentation_are_found(language):
    _, found = symbols(language, FILES[language])
    facts = [
        (s.kind, s.qualified_name, [p.name for p in s.parameters], s.returns_value, list(s.raises), s.doc is not None)
        for s in found
    ]
    assert facts == EXPECTED[language]


@pytest.mark.parametrize("folder", ["json", "importlib"])
def test_python_read_by_its_own_parser_gives_the_same_symbols(folder):
    texts = [file.read_bytes() for file in sorted((Path(json.__file__).parent.parent / folder).glob("*.py"))]
    texts += [textwrap.dedent(FILES["python"]).encode(), "\ufeffdef größe(ß): return ß\r\n".encode()]
    for data in texts:
        wanted, found = find_symbols(parse(data, "python")), python_symbols(data)
        assert len(found) == len(wanted)
        for ours, theirs in zip(found, wanted, strict=True):
            # Comments before the first statement are in the block for the one and before it for the other.
            assert replace(ours, body_start=theirs.body_start, constructor=theirs.constructor) == theirs


def test_a_file_that_only_pythons_own_parser_takes_gives_all_its_symbols():
    # The error that tree-sitter sees here takes the class with it.
    text = "class A:\n    def f(self):\n        match = 1\n        return (match\n\\\n)\n\nprint (yield_ := 1)\n"
    data = text.encode() + b"\x0cclass B:\n    pass\n"
    compile(data, "x", "exec")
    names = [symbol.qualified_name for symbol in find_symbols(parse(data, "python"))]
    assert names == ["", "A", "A.f", "B"]


LICENCE = "Copyright 2020 The authors. Licensed under the MIT licence."


@pytest.mark.parametrize(
    ("language", "text", "doc", "below"),
    [
        ("go", f"// {LICENCE}\n\n// Package a is good.\npackage a\n", "// Package a is good.", ""),
        ("go", f"/*\n * {LICENCE}\n */\n\npackage a\n", None, "package a"),
        ("go", f"// {LICENCE}\npackage a\n", None, "package a"),
        ("go", "//go:build linux\n\npackage a\n", None, "package a"),
        ("javascript", f"/**\n * {LICENCE}\n */\nfunction f() {{}}\n", None, "function"),
        ("javascript", f"/** {LICENCE} */\n\n/** All of it. */\n\nimport 'a';\n", "/** All of it. */", ""),
        ("javascript", "/** Of f. */\nfunction f() {}\n", None, "/** Of f. */"),
        ("typescript", "#!/usr/bin/env node\n// why\nimport 'a';\n", None, "// why"),
        ("c", f"/** {LICENCE} */\n#include <a.h>\n/** Of f. */\nint f(void) {{ return 1; }}\n", None, "#include"),
        ("rust", f"// {LICENCE}\n//! All\n//! of it.\nfn f() {{}}\n", "//! All\n//! of it.", ""),
    ],
)
def test_a_notice_is_never_documentation_and_new_documentation_parts_nothing(language, text, doc, below):
    source, found = symbols(language, text)
    (module,) = [symbol for symbol in found if symbol.kind == "module"]
    assert (source.data[slice(*module.doc)].decode() if module.doc else None) == doc
    assert source.data[module.insert_at :].decode().startswith(below)
    assert all(LICENCE.encode() not in source.data[slice(*s.doc)] for s in found if s.doc is not None)


@pytest.mark.parametrize(
    ("language", "text", "directive"),
    [
        ("go", "package a\n\n// f is good.\n//go:noinline\nfunc f() {}\n", "//go:noinline"),
        ("javascript", "/** Good. */\n// eslint-disable-next-line max-len\nfunction f() {}\n", "// eslint"),
        ("typescript", "/** Good. */\n// @ts-ignore\nfunction f(): void {}\n", "// @ts-ignore"),
        ("cpp", "/// Good.\n// NOLINTNEXTLINE\nint f() { return 1; }\n", "// NOLINT"),
    ],
)
def test_comments_that_speak_to_a_tool_stay_between_documentation_and_definition(language, text, directive):
    source, found = symbols(language, text)
    (function,) = [symbol for symbol in found if symbol.name == "f"]
    assert b"ood." in source.data[slice(*function.doc)] and directive.encode() not in source.data[slice(*function.doc)]
    assert source.data[function.insert_at :].decode().startswith(directive)


def test_what_a_body_tells_of_its_result_and_its_faults_is_found():
    text = """\
        def told(a) -> int: return g(a)
        def literal(a):
            if a:
                return "x"
            return ""
        def mixed(a): return "x" if a else 1
        def abstract(self): raise NotImplementedError(self)
        def empty(self): ...
        def calm(d):
            d = 1
        """
    found = {symbol.name: symbol for symbol in symbols("python", text)[1]}
    assert [found[name].result_types for name in ("told", "literal", "mixed", "calm")] == [("int",), ("str",), (), ()]
    assert [found[name].returns_value for name in ("abstract", "empty", "calm")] == [None, None, False]
    assert [found[name].has_calls for name in ("told", "abstract", "calm")] == [True, False, False]


@pytest.mark.parametrize(
    ("language", "text", "wanted"),
    [
        ("python", "class A:\n    def __init__(self, x, *rest): pass\n", ["x", "rest"]),
        ("python", "class A:\n    def go(self, x): pass\n", None),
        ("java", "class A { A(int x) {} }", ["x"]),
        ("java", "class A { A(int x) {} A(int x, int y) {} }", None),
        ("java", "record A(int x, int y) {}", ["x", "y"]),
        ("kotlin", "class A(val x: Int)", ["x"]),
        ("typescript", "class A { constructor(private x: number) {} }", ["x"]),
        ("csharp", "class A { A(int x) {} }", ["x"]),
        ("csharp", "record A(int X);", ["X"]),
        ("cpp", "class A { public: A(int x) {} };", ["x"]),
    ],
)
def test_a_class_has_the_parameters_of_its_only_constructor(language, text, wanted):
    (found,) = [symbol for symbol in symbols(language, text)[1] if symbol.kind == "class"]
    assert wanted == (None if found.constructor is None else [parameter.name for parameter in found.constructor])


def test_every_language_has_a_table():
    assert set(EXPECTED) | {"tsx"} == set(SYMBOL_GRAMMARS)


@pytest.mark.parametrize("language", [name for name in EXPECTED if name != "python"])
def test_documentation_ends_above_the_definition_and_new_documentation_goes_to_a_lines_start(language):
    source, found = symbols(language, FILES[language])
    for symbol in found:
        if symbol.doc is not None and symbol.kind != "module":
            between = source.data[symbol.doc[1] : symbol.insert_at]
            assert not between.strip(), (symbol, between)
            assert b"ld" in source.data[symbol.doc[0] : symbol.doc[1]] or symbol.name in ("area", "Shape")
        if not symbol.is_inline_body:
            line = source.data[: symbol.insert_at].rpartition(b"\n")[2]
            assert line == symbol.indent.encode()


def test_a_definition_with_a_syntax_error_is_left_out_and_the_others_are_found():
    _, found = symbols("python", "def good(a):\n    return a\n\ndef bad(:\n    pass\n\ndef fine(b):\n    return b\n")
    names = [symbol.name for symbol in found]
    assert "good" in names and "fine" in names and "bad" not in names


def test_symbols_nested_ten_deep_and_five_thousand_in_a_file_are_found():
    deep = "".join(f"{'    ' * i}def f{i}(a):\n" for i in range(10)) + "    " * 10 + "return a\n"
    assert symbols("python", deep)[1][-1].qualified_name == ".".join(f"f{i}" for i in range(10))
    many = "".join(f"def f{i}(a, b):\n    return a\n" for i in range(5000))
    assert len(symbols("python", many)[1]) == 5001


def test_offsets_are_bytes_whatever_the_text():
    source, found = symbols("python", 'é = "日本"\r\ndef größe(ß):\r\n\t"""Ü."""\r\n\treturn ß\r\n')
    assert source.data[found[1].doc[0] : found[1].doc[1]].decode() == '"""Ü."""'
    assert [p.name for p in found[1].parameters] == ["ß"]


@pytest.mark.parametrize("folder", ["json", "email", "importlib", "asyncio"])
def test_python_symbols_are_those_that_ast_counts(folder):
    for file in sorted((Path(json.__file__).parent.parent / folder).glob("*.py")):
        data = file.read_bytes()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(data)
        wanted = []
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                line = min([node.lineno] + [decorator.lineno for decorator in node.decorator_list])
                wanted.append((line, node.name, ast.get_docstring(node, clean=False)))
        found = []
        for symbol in find_symbols(parse(data, "python")):
            if symbol.kind != "module":
                doc = ast.literal_eval(data[slice(*symbol.doc)].decode()) if symbol.doc else None
                found.append((data.count(b"\n", 0, symbol.start) + 1, symbol.name, doc))
        assert sorted(found, key=str) == sorted(wanted, key=str)
