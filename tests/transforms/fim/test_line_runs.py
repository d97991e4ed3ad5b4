"""Runs of lines: balanced and of whole statements, in every language; judged by the syntax tree, which chose none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.fim.line_runs import Lines
from transforms.fim.spans import MAX_LINES, Recipe, choose_spans
from transforms.languages import syntax
from transforms.languages.brackets import is_balanced
from transforms.languages.grammars import grammar_name
from transforms.languages.lookup import find_language
from transforms.rows.row import content_sha256

from .samples import SAMPLES


def runs(text, language="Python", *, first=None):
    """All runs that start with a line (of which `first` is the text), or all of all lines."""
    lines = Lines(text, find_language(language))
    starts = range(len(lines)) if first is None else [text[: text.index(first)].count("\n")]
    return [
        text[lines[start].start : lines[end].end] for start in starts for end in lines.run_ends(start, MAX_LINES, 600)
    ]


def multi_lines(text, language, count=30):
    spans = choose_spans(
        text,
        language,
        job_seed=0,
        content_sha256=content_sha256(text),
        count=count,
        recipe=Recipe(mix={"multi_line": 1.0}),
    )
    return [text[span.start : span.end] for span in spans if span.kind == "multi_line"]


@pytest.mark.parametrize("language", SAMPLES)
def test_no_node_of_the_syntax_tree_is_cut_by_a_run(language):
    path, text = SAMPLES[language]
    source = syntax.parse(text.encode(), grammar_name(language, path))
    lines, straddled, checked = Lines(text, find_language(language)), [], 0
    # Kotlin's grammar puts a comment into what stands before it, or outside of the statements that it begins.
    for first in (place for place in range(len(lines)) if lines[place].code):
        for last in lines.run_ends(first, MAX_LINES, 600):
            start, end = lines[first].start, lines[last].end
            node = source.tree.root_node.descendant_for_byte_range(start, end)
            checked += 1
            for child in node.children if (node.start_byte, node.end_byte) != (start, end) else ():
                stop = child.start_byte + len(source.data[child.start_byte : child.end_byte].rstrip())
                straddled += [child.type for edge in (start, end) if child.start_byte < edge < stop]
    assert checked >= 3
    assert not set(straddled) - {"package_header"}


def test_a_run_ends_where_a_block_ends_and_not_within_it():
    text = "a = 1\nfor x in y:\n    b = x\n    c = x\nd = 2\n"
    assert runs(text, first="a = 1") == ["a = 1", "a = 1\nfor x in y:\n    b = x\n    c = x", text[:-1]]
    assert runs(text, first="    b") == ["b = x", "b = x\n    c = x"]


@pytest.mark.parametrize(
    ("language", "text", "first", "within"),
    [
        ("Python", "if a:\n    b()\nelse:\n    c()\nd()\n", "if a", "if a:\n    b()"),
        ("Python", "try:\n    b()\nexcept E:\n    c()\n", "try", "try:\n    b()"),
        ("Python", "@cached\ndef f():\n    pass\n", "@cached", "@cached"),
        ("Python", "x = 1\n# why it is so\ny = 2\n", "x = 1", "x = 1\n# why it is so"),
        ("Java", "if (a) {\n  b();\n} else {\n  c();\n}\n", "if (a)", "if (a) {\n  b();\n}"),
        ("Java", "@Test\n@Slow\nvoid f() {\n}\n", "@Test", "@Test\n@Slow"),
        ("JavaScript", "load(a)\n.then(b)\n.catch(c)\n", "load", "load(a)\n.then(b)"),
        ("C", "int x = a +\nb;\nint y;\n", "int x", "int x = a +"),
        ("C", "int f()\n{\n  return 1;\n}\n", "int f", "int f()"),
        ("C", "#ifdef A\nint a;\n#else\nint b;\n#endif\n", "#ifdef", "#ifdef A\nint a;"),
        ("Rust", "#[test]\nfn f() {\n}\n", "#[test]", "#[test]"),
        ("TypeScript", "@A({\n  b: 1,\n})\nclass C {\n}\n", "@A", "@A({\n  b: 1,\n})"),
        ("TypeScript", "type A = B<\n  C\n>\nrun()\n", "type A", "type A = B<\n  C"),
        ("Ruby", "if a\n  b\nend\nc\n", "if a", "if a\n  b"),
        ("Shell", "for x in a; do\n  echo $x\ndone\n", "for", "for x in a; do\n  echo $x"),
        ("HTML", "<p>\n  x\n</p>\n<b>y</b>\n", "<p>", "<p>\n  x"),
    ],
)
def test_a_run_never_ends_where_its_statement_goes_on(language, text, first, within):
    found = runs(text, language, first=first)
    assert found and within not in found


@pytest.mark.parametrize(
    ("language", "text", "first"),
    [
        ("Python", "if a:\n    b()\nelse:\n    c()\n", "else"),
        ("Java", "if (a) {\n  b();\n} else {\n  c();\n}\n", "} else"),
        ("Java", "x = a\n    .b()\n    .c();\n", "    .b"),
        ("Java", "call(\n    a,\n    b);\n", ");"),
        ("C", "// first\n// second\nint x;\n", "// second"),
        ("Kotlin", "/*\n first\n second\n*/\nval x = 1\n", " second"),
        ("Python", 's = """\nfirst\nsecond\n"""\n', "second"),
        ("C", "#ifdef A\nint a;\n#endif\n", "#endif"),
    ],
)
def test_a_run_never_starts_amid_a_statement_a_string_or_a_comment(language, text, first):
    inside = [run for run in runs(text, language) if run.startswith(first.strip())]
    assert not inside


@pytest.mark.parametrize("language", ["", "no such language", "Markdown", "YAML", "COBOL"])
def test_a_language_without_a_grammar_has_runs_with_balanced_brackets(language):
    text = "one (\n  two\n)\nthree\nfour [\n  five\n]\nsix\n"
    found = multi_lines(text, language)
    assert found and all(is_balanced(middle) for middle in found)


@given(
    st.lists(
        st.sampled_from(
            [
                "a(",
                ")",
                "{",
                "}",
                "x = 1",
                "if y:",
                "  b",
                "    c]",
                "[",
                "'",
                '"',
                '"""',
                "/*",
                "*/",
                "//",
                "#if",
                "\t",
                "",
            ]
        ),
        max_size=25,
    ),
    st.sampled_from(["Python", "Java", "C", "Rust", "JavaScript", "Ruby", "Shell", "HTML", "YAML", "Go", ""]),
    st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_whatever_the_text_a_multi_line_middle_is_balanced_and_has_no_blanks_at_its_ends(parts, language, ending):
    text = ending.join(parts)
    lines = Lines(text, find_language(language))
    for first in range(len(lines)):
        for last in lines.run_ends(first, MAX_LINES, 600):
            start, end = lines[first].start, lines[last].end
            assert is_balanced(lines.masked[start:end])
            assert text[start:end] and text[start:end] == text[start:end].strip()
