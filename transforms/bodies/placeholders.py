"""Bodies that are still to be written: nothing, `pass`, "not implemented", a note of what is to do and a constant."""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Sequence
from typing import Final

from transforms.bodies.python_flow import statements
from transforms.languages.lookup import find_language

# Comments are removed first.
_UNWRITTEN = r"not\s+(?:yet\s+)?(?:been\s+)?implemented|unimplemented|\bto\s?do\b|implement\s+(?:me|this)"
_PLACEHOLDER = re.compile(
    r"(?:pass|\.\.\.|return(?: None| null| nil| undefined)?|raise NotImplementedError(?:\(.*\))?|"
    r"throw (?:new )?[\w.:]*(?:NotImplemented|UnsupportedOperation)\w*\(.*\)|"
    rf"(?:throw|panic|error|abort|raise)\b[^;\n]*(?:{_UNWRITTEN})[^;\n]*|"
    r"TODO\(.*\)|(?:unimplemented|todo)!\(.*\))",
    re.I | re.S,
)
_COMMENT: Final = {True: re.compile(r"#[^\n]*"), False: re.compile(r"//[^\n]*|/\*.*?\*/", re.S)}
# Languages in which the last expression is the result: a name alone is a body.
_EXPRESSION_LANGUAGES: Final = ("rust", "kotlin", "ruby", "scala", "bash", "sql", "")

# A comment that says that the code is still to come.
_NOTE: Final = re.compile(
    r"(?-i:\b(?:TODO|FIXME|TBD|XXX)\b)|not\s+(?:yet\s+)?(?:been\s+)?implemented|unimplemented|"
    r"\bimplement(?:ation)?\s+(?:this|me|here|the|it|goes|it later)\b|your\s+(?:own\s+)?(?:code|implementation|logic)|"
    r"(?:code|logic|implementation)\s+(?:goes|here|comes)|\bplaceholder\b|\bstub\b|to be (?:written|implemented)",
    re.I,
)
# What needs no thought: a literal, an empty collection, one of them as a result.
_EMPTY: Final = (
    r"[-+]?\d[\w.]*|\"[^\"\n]*\"|'[^'\n]*'|`[^`\n]*`|true|false|null|None|nil|undefined|nullptr|NULL|NaN|"
    r"\[\]|\{\}|\(\)|vec!\[\]|(?:\[\]|map\[\w+\])[\w.*\[\]]+\{\}|[A-Z]\w*(?:<[^()\n]*>)?::(?:new|default)\(\)|"
    r"new\s+[\w.]*(?:List|Map|Set|Dictionary|Object|Array|Collection)\w*(?:<[^()\n]*>)?(?:\(\)|\[0\])|"
    r"std::\w+(?:<[^()\n]*>)?(?:\(\)|\{\})|(?:List|Map|Set)\.of\(\)|Collections\.empty\w+\(\)|Optional\.empty\(\)|"
    r"(?:(?:mutable)?(?:List|Map|Set)Of|(?:list|map|set)Of|empty(?:List|Map|Set))(?:<[^()\n]*>)?\(\)|"
    r"string\.Empty|default(?:\(\w+\))?|Task\.CompletedTask"
)
_LITERAL: Final = rf"(?:{_EMPTY}|(?:Ok|Some|Promise\.resolve|Task\.FromResult)\((?:{_EMPTY})?\))"
_MOST_PLACEHOLDER_CHARS: Final = 300
_CONSTANT: Final = re.compile(rf"(?:(?:return\b\s*)?\(?{_LITERAL}(?:\s*,\s*{_LITERAL})*\)?\s*;?|return\s*;?)?", re.I)
# Statements that say only that nothing is here; `return error("not implemented")` in any language's form.
_SAYS_SO: Final = re.compile(
    rf"(?:[\w.:]*(?:print|log|warn|echo|puts|write|cout|cerr)[\w.!]*\s*(?:\(|<<)[^;\n]*(?:{_UNWRITTEN})[^;\n]*|"
    r"return\b[^;\n]*\b(?:not\s+(?:yet\s+)?implemented|unimplemented|NotImplemented\w*)\b[^;\n]*|"
    r"Err\([^;\n]*(?:not\s+(?:yet\s+)?implemented|unimplemented)[^;\n]*\)|"
    r"return\s+[\"'](?-i:TODO|FIXME)\b[^\n]*)\s*;?",
    re.I,
)


def without_comments(body: str, grammar: str) -> str:
    """A body without its comments and the blanks around it."""
    language = find_language(grammar)
    return _COMMENT[language is not None and language.comments == "hash"].sub("", body).strip()


def is_placeholder(body: str, grammar: str) -> bool:
    """Whether a body is only a placeholder, or does nothing.

    >>> is_placeholder("pass  # later", "python"), is_placeholder("return 1", "python")
    (True, False)
    >>> is_placeholder("// TODO: implement\\nreturn 0;", "java"), is_placeholder("return 0;", "java")
    (True, False)
    """
    written = statements(body) if grammar == "python" else None
    if written is not None:
        reached = list(itertools.takewhile(_does_nothing, written))
        if len(reached) == len(written) or any(isinstance(statement, ast.Raise) for statement in reached):
            return True
    if written is not None:
        return len(body) <= _MOST_PLACEHOLDER_CHARS and is_note_with_constant(body, _without_texts(written))
    bare = without_comments(body, grammar)
    if is_note_with_constant(body, bare):
        return True
    may_be_name = grammar in _EXPRESSION_LANGUAGES or (grammar == "csharp" and not bare.endswith(";"))
    bare = bare.rstrip(";").strip()
    is_name = not may_be_name and re.fullmatch(r"[^\W\d]\w*", bare) is not None
    return not bare or is_name or _PLACEHOLDER.fullmatch(bare) is not None


def is_note_with_constant(body: str, bare: str) -> bool:
    """Whether a body is a constant beside a note that it is still to be written, or says only that.

    Args:
        body: The body.
        bare: The body without comments.
    """
    if len(bare) > _MOST_PLACEHOLDER_CHARS:
        return False
    said = [line for line in bare.splitlines() if not _SAYS_SO.fullmatch(line.strip())]
    rest = "\n".join(said).strip()
    if len(said) < len(bare.splitlines()):
        return _CONSTANT.fullmatch(rest) is not None
    return _CONSTANT.fullmatch(rest) is not None and _NOTE.search(body) is not None


def _without_texts(written: Sequence[ast.stmt]) -> str:
    """Python's statements as text, without comments and without those that are only a text."""
    return "\n".join(
        _unparsed(one) for one in written if not isinstance(one, ast.Expr) or not isinstance(one.value, ast.Constant)
    )


def _does_nothing(statement: ast.stmt) -> bool:
    match statement:
        case ast.Pass() | ast.Expr(ast.Constant() | ast.Name()) | ast.Return(None | ast.Constant(None)):
            return True
        case ast.Return(ast.Constant(value)):
            return value is ...
        case ast.Assert(ast.Constant(value)):
            return not value
        case ast.Raise():
            return _PLACEHOLDER.fullmatch(_unparsed(statement)) is not None
    return False


def _unparsed(statement: ast.stmt) -> str:
    """The statement as text; "" if it nests too deeply."""
    try:
        return ast.unparse(statement)
    except RecursionError:
        return ""
