"""Functions in Java, Kotlin, C++, Rust and C# are called with generated inputs, as far as their types are known."""

from __future__ import annotations

import pytest

from tests.transforms.verification.test_behavior import PYTHON, TEXT, compare
from transforms.sandbox.toolchains import toolchains
from transforms.tasks.settings import VerifySettings
from transforms.tasks.trials import Place, trial_of_code
from transforms.verification.functions import called_function, function_like
from transforms.verification.typed.literals import literal
from transforms.verification.typed.types import split, type_of
from transforms.verification.verifier import Verifier

# language: sum_of_squares of PYTHON, and what a fault of it changes
SUMS = {
    "C++": (
        "int sumOfSquares(const std::vector<int>& xs) { int t = 0; for (int x : xs) if (x > 0) t += x * x; return t; }",
        "x > 0",
    ),
    "C#": (
        "public static int SumOfSquares(List<int> xs) { return xs.Where(x => x > 0).Sum(x => x * x); }",
        "x > 0",
    ),
    "Java": (
        "public static int sumOfSquares(List<Integer> xs) {\n"
        "  return xs.stream().filter(x -> x > 0).mapToInt(x -> x * x).sum();\n}",
        "x > 0",
    ),
    "Kotlin": ("fun sumOfSquares(xs: List<Int>): Int = xs.filter { it > 0 }.sumOf { it * it }", "it > 0"),
    "Rust": (
        "pub fn sum_of_squares(xs: &[i64]) -> i64 { xs.iter().filter(|x| **x > 0).map(|x| x * x).sum() }",
        "**x > 0",
    ),
}
# shout of TEXT: texts, and failures of small numbers
TEXTS = {
    "C++": (
        "string shout(string text, int n) {\n  for (auto& c : text) c = toupper(c);\n"
        "  return text + string(max(n, 0), '!');\n}"
    ),
    "C#": "static string Shout(string text, int n) { return text.ToUpper() + new string('!', Math.Max(n, 0)); }",
    "Java": 'String shout(String text, int n) { return text.toUpperCase() + "!".repeat(Math.max(n, 0)); }',
    "Kotlin": 'fun shout(text: String, n: Int) = text.uppercase() + "!".repeat(maxOf(n, 0))',
    "Rust": 'fn shout(text: &str, n: i32) -> String { text.to_uppercase() + &"!".repeat(n.max(0) as usize) }',
}
# each kind of result, by the letters of a text
RESULTS = {
    "C++": (
        "map<string, vector<double>> f(const string& s) {\n  map<string, vector<double>> found;\n"
        "  for (char c : s) found[string(1, c)].push_back(s.size() / 2.0);\n  return found;\n}"
    ),
    "C#": (
        "static Dictionary<string, List<double>> F(string s) {\n"
        "  var found = new Dictionary<string, List<double>>();\n"
        "  foreach (var c in s) {\n"
        "    if (!found.ContainsKey(c.ToString())) found[c.ToString()] = new List<double>();\n"
        "    found[c.ToString()].Add(s.Length / 2.0);\n  }\n  return found;\n}"
    ),
    "Java": (
        "static Map<String, List<Double>> f(String s) {\n  Map<String, List<Double>> found = new HashMap<>();\n"
        "  for (char c : s.toCharArray())\n"
        '    found.computeIfAbsent("" + c, x -> new ArrayList<>()).add(s.length() / 2.0);\n  return found;\n}'
    ),
    "Kotlin": "fun f(s: String) = s.groupBy({ it.toString() }, { s.length / 2.0 })",
    "Rust": (
        "use std::collections::HashMap;\nfn f(s: &str) -> HashMap<String, Vec<f64>> {\n"
        "    let mut found: HashMap<String, Vec<f64>> = HashMap::new();\n"
        "    for c in s.chars() { found.entry(c.to_string()).or_default().push(s.len() as f64 / 2.0); }\n    found\n}"
    ),
}
LETTERS = "def f(s: str) -> dict:\n    return {c: [len(s) / 2] * s.count(c) for c in s}\n"
LANGUAGES = sorted(SUMS)


@pytest.fixture(autouse=True)
def _there(request: pytest.FixtureRequest) -> None:
    language = request.node.callspec.params.get("language") if hasattr(request.node, "callspec") else None
    if "verifier" in request.fixturenames and language and (missing := toolchains()[language].missing):
        pytest.skip(f"{language}: {', '.join(missing)} missing")


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_into_a_typed_language_must_give_the_same_results(verifier: Verifier, language: str) -> None:
    answer, part = SUMS[language]
    for code, alike in ((answer, True), (answer.replace(part, part.replace("0", "1")), False)):
        found = compare(verifier, PYTHON, code, language)
        assert found is not None and found.checks["behaves_alike"] is alike, code
        assert found.checks["inputs_compared"] >= 4


@pytest.mark.parametrize("language", LANGUAGES)
def test_texts_and_nested_results_are_compared(verifier: Verifier, language: str) -> None:
    for content, code in ((TEXT, TEXTS[language]), (LETTERS, RESULTS[language])):
        found = compare(verifier, content, code, language)
        assert found is not None and found.checks["behaves_alike"] is True, (code, found)


FAILING = {
    "Go": "package p\n\nfunc F(n int) int { if n > 2 { panic(n) }; return n }\n",
    "C++": "int f(int n) { if (n > 2) throw 1; return n; }",
    "C#": "static int F(int n) { if (n > 2) throw new Exception(); return n; }",
    "Java": "static int f(int n) { if (n > 2) throw new RuntimeException(); return n; }",
    "Kotlin": "fun f(n: Int): Int { check(n <= 2); return n }",
    "Rust": "fn f(n: i32) -> Result<i32, ()> { if n > 2 { panic!() }; if n > 1 { Err(()) } else { Ok(n) } }",
}


@pytest.mark.parametrize("language", sorted(FAILING))
def test_samples_in_a_typed_language_are_compared_by_what_they_return(verifier: Verifier, language: str) -> None:
    settings = VerifySettings(verify="run", program_timeout_s=4.0)
    whole = FAILING[language] if language not in ("C#", "Java") else f"public class A {{ {FAILING[language]} }}"
    if language == "C#":
        whole = f"using System;\n{whole}"
    name = {"C#": "A.F", "Go": "F", "Java": "A.f"}.get(language, "f")
    place = Place(language=language, kept="", start=0, name=name)
    found = verifier.submit(trial_of_code(place, whole, path="", tests=None, settings=settings, seed=1)).result()
    assert found.outputs is not None, found
    assert {"0", "1", "!"} <= set(found.outputs)


@pytest.mark.parametrize(
    ("language", "code", "name"),
    [
        ("Go", "package p\nfunc F(x ...int) int { return 1 }\n", "F"),
        ("Go", "package p\nfunc F(x *int) int { return 1 }\n", "F"),
        ("Java", "class A { static <T> int f(T x) { return 1; } }", "A.f"),
        ("Java", "class A { private static int f(int x) { return 1; } }", "A.f"),
        ("Java", "class A { static int f(int... x) { return 1; } }", "A.f"),
        ("Java", "class A { static int f(float x) { return 1; } }", "A.f"),
        ("Java", "class A { A(int y) {} int f(int x) { return 1; } }", "A.f"),
        ("Java", "abstract class A { int f(int x) { return 1; } }", "A.f"),
        ("Java", "class A { static int f(A x) { return 1; } }", "A.f"),
        ("Java", "class A { static int f(int x) { return 1; } static int f(long x) { return 2; } }", "A.f"),
        ("Kotlin", "fun <T> f(x: T) = 1", "f"),
        ("Kotlin", "fun String.f(x: Int) = 1", "f"),
        ("Kotlin", "suspend fun f(x: Int) = 1", "f"),
        ("Kotlin", "fun f(vararg x: Int) = 1", "f"),
        ("C++", "template <class T> int f(T x) { return 1; }", "f"),
        ("C++", "int f(int* x) { return 1; }", "f"),
        ("C++", "int f(int x[]) { return 1; }", "f"),
        ("Rust", "fn f<T>(x: T) -> i32 { 1 }", "f"),
        ("Rust", "async fn f(x: i32) -> i32 { 1 }", "f"),
        ("Rust", "fn f(x: impl Fn() -> i32) -> i32 { 1 }", "f"),
        ("C#", "class A { static int F(ref int x) { return 1; } }", "A.F"),
        ("C#", "class A { static int F(int[,] x) { return 1; } }", "A.F"),
        ("C#", "class A { static async Task<int> F(int x) { return 1; } }", "A.F"),
    ],
)
def test_what_can_not_be_called_with_plain_values_is_not_called(language: str, code: str, name: str) -> None:
    assert called_function(language, code, name) is None
    assert language == "Go" or function_like(language, code, name, 1) is None


@pytest.mark.parametrize(
    ("language", "code", "name", "kinds", "call"),
    [
        (
            "Java",
            "class A { public int f(final List<String> x, int[] y) { return 1; } }",
            "A.f",
            "list[str] list[int]",
            2,
        ),
        (
            "Go",
            "package p\nfunc F(x, z []int, y map[string]bool) int { return 1 }",
            "F",
            "list[int] list[int] dict[str, bool]",
            0,
        ),
        ("Kotlin", "fun f(x: Map<String, Long>, y: Double = 2.0) = 1", "f", "dict[str, int] float", 1),
        (
            "C++",
            "static int f(const std::vector<double> &x, unsigned int y = 3) { return 1; }",
            "f",
            "list[float] int",
            1,
        ),
        ("Rust", "pub fn f<'a>(x: &'a str, mut y: Vec<bool>) -> i32 { 1 }", "f", None, 1),
        ("Rust", "pub fn f(x: &str, mut y: &mut Vec<bool>) -> i32 { 1 }", "f", "str list[bool]", 1),
        (
            "C#",
            "class A { public static int F(IEnumerable<string> x, bool y = true) { return 1; } }",
            "A.F",
            "list[str] bool",
            1,
        ),
    ],
)
def test_the_types_of_parameters_say_what_is_drawn(
    language: str, code: str, name: str, kinds: str | None, call: int
) -> None:
    found = called_function(language, code, name)
    if kinds is None:
        assert found is None
        return
    assert found is not None
    assert " ".join(annotation for _, annotation in found[1]) == kinds
    assert found[0].call == ("", name, f"new {name.replace('.', '().')}")[call]


@pytest.mark.parametrize(
    ("language", "kind", "value", "text"),
    [
        ("Java", "List<Long>", [1], "new java.util.ArrayList<Long>(java.util.Arrays.<Long>asList(1L))"),
        ("Java", "int[][]", [[1], []], "new int[][]{new int[]{1}, new int[]{}}"),
        ("Java", "String", "a\n", None),
        ("Kotlin", "String", "a$b", '"a\\$b"'),
        ("Kotlin", "Array<Int>", [1], "arrayOf<Int>(1)"),
        ("Kotlin", "IntArray", [], "intArrayOf()"),
        ("C++", "std::map<std::string, int>", {"a": 1}, 'std::map<std::string, int>{{std::string("a"), 1}}'),
        ("C++", "size_t", -1, None),
        ("C++", "int", 0.5, None),
        ("C++", "int", True, None),
        ("Rust", "f64", 2, "2.0"),
        ("Rust", "&[String]", ["a"], 'vec![String::from("a")]'),
        ("Rust", "u32", 7, "7u32"),
        ("Rust", "i32", 2**31, None),
        ("C#", "Dictionary<string, bool>", {}, "new System.Collections.Generic.Dictionary<string, bool>{}"),
        ("C#", "bool", 1, None),
    ],
)
def test_values_are_written_in_their_types_or_not_at_all(
    language: str, kind: str, value: object, text: str | None
) -> None:
    found = type_of(language, kind)
    assert found is not None
    assert literal(language, found, value) == text


def test_lists_are_split_outside_of_brackets() -> None:
    assert split("f: (Int) -> Int, Map<A, B>") == ["f: (Int) -> Int", "Map<A, B>"]
    assert split("") == []
