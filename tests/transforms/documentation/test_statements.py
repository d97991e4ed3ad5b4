"""Lines of code and lines of prose."""

from __future__ import annotations

import pytest

from transforms.documentation.statements import is_call, is_code_line


@pytest.mark.parametrize(
    "line",
    [
        "s.total += count",
        "node, ok := o.(*apiv1.Node)",
        "var duplicates []compareRuleType",
        "defer s.mtx.RUnlock()",
        "ch <- mc.CacheBytes",
        "<-ctx.Done()",
        "return nil, err",
        "val ownerClass =",
        "if (exceptionAnnotated) return e",
        "return tags?.get(clazz) as T?",
        "let (dst, matches) = self.replacement();",
        "if let Some(x) = y {",
        "Ok(matched.load(Ordering::SeqCst))",
        "std::io::stderr().is_terminal()",
        "this.#updateResult()",
        "node.type === NodeTypes.ROOT ||",
        "#include <vector>",
        "#define RING 64",
        "use std::io::{self, BufRead};",
        "import kotlin.math.min",
        "String json =",
        "return true;  // Errors are treated as matches",
        "foreach (var host in _tunerHosts)",
        "throw new ArgumentNullException(nameof(x))",
        "yield image",
        "} else {",
    ],
)
def test_statements_of_all_languages_are_code(line):
    assert is_code_line(line)


@pytest.mark.parametrize(
    "line",
    [
        "Return the parts (if any).",
        "return the number of parts",
        "returns a set that counts up to a limit",
        "If the limit is negative, nothing happens.",
        "use carefully",
        "import of shapes from a file",
        "copy_name() - copies a name (of a file)",
        "Reads a line (at most 80 characters)",
        "Where a line ends depends on the platform",
        "# Errors",
        "#3110 reproducer: two calls in a row",
        "Whether a value is set, as `x == y` tells",
        "- a new name is remembered",
        "let users choose what they see",
        "throws if the file is missing",
        "package of all shapes",
        "From the left to the right",
        "for every line of the file",
        "switch between two modes",
        "Тихо читает файл.",
        "返回面积。",
    ],
)
def test_sentences_that_begin_like_statements_are_prose(line):
    assert not is_code_line(line)


def test_a_call_has_nothing_between_its_brackets():
    assert is_call("a.b(c, d(e)).f()")
    assert is_call('print("a) b(")')
    assert not is_call("a(b) and c(d)")
    assert not is_call("(b)")
