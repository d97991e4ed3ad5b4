"""What a compiler or a reader sees of a body without running it.

    returns_on_every_path   control doesn't reach the end of a function with a result (`missing_return`)
    works_by_itself         it isn't only a call of its own function with its own arguments (`only_calls_itself`)
    awaits_in_async         no `await` in a function that isn't `async` (`await_outside_async`)
    stays_no_generator      no `yield` in a function that wasn't a generator (`makes_a_generator`)

Each is false only where the code contradicts it. Declared types decide; where there are none (Python, JavaScript), the
original does: a result that it gives on every path is expected of another body. Where the original itself seems to
reach its end, in a file that compiles, what is seen there isn't believed.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import tree_sitter

from transforms.bodies import flow, python_flow, rust_flow
from transforms.bodies.holes import BodyHole, is_expression
from transforms.bodies.placeholders import without_comments
from transforms.bodies.placement import Placed, block_at, body_parses, keeps_python_function, placed_body
from transforms.languages.syntax import Source
from transforms.symbols import Symbol

Node = tree_sitter.Node
Original = Callable[[], Sequence[ast.stmt] | None]

# verdict -> reason
CONTRADICTIONS: Final[Mapping[str, str]] = {
    "awaits_in_async": "await_outside_async",
    "stays_no_generator": "makes_a_generator",
    "returns_on_every_path": "missing_return",
    "works_by_itself": "only_calls_itself",
}
_ITERATED: Final = re.compile(r"Iter|Generator|Enumer|Sequence\b", re.I)
_OPTIONAL: Final = {
    "python": re.compile(r"\bNone\b|Optional|\bAny\b|\bobject\b|NoReturn|Never"),
    "typescript": re.compile(r"\b(?:undefined|void|any|unknown|asserts|never)\b"),
}
_LAZY_CALLS: Final = ("iter", "map", "filter", "zip", "enumerate", "reversed", "chain", "aiter")
_AWAITS: Final = ("await_expression", "co_await_expression")
_YIELDS: Final = ("yield_expression", "yield_statement", "co_yield_statement", "co_return_statement")
_PYTHON_SUSPENDS: Final = re.compile(r"\b(?:await|async)\b")
_SUSPENDS: Final = re.compile(r"\b(?:await|yield|co_\w+)\b")
_COROUTINE: Final = re.compile(r"task|corou?t?|generator|future|lazy|await|promise|async", re.I)


def judge_body(source: Source, symbol: Symbol, hole: BodyHole, body: str) -> dict[str, bool | None]:
    """The verdicts on a body in its place: `parses`, `keeps_signature`, and those of `CONTRADICTIONS`, which are None
    where it isn't the function's body.
    """
    verdicts: dict[str, bool | None] = dict.fromkeys(("parses", "keeps_signature", *CONTRADICTIONS))
    verdicts["parses"] = body_parses(source, symbol, hole, body)
    if source.grammar == "python":
        verdicts["keeps_signature"] = keeps_python_function(source, symbol, hole, body)
        return verdicts | _python_verdicts(source, symbol, hole, body)
    placed = placed_body(source, symbol, hole, body)
    verdicts["keeps_signature"] = placed if placed is None else bool(placed)
    if not isinstance(placed, Placed):
        return verdicts
    if source.grammar == "kotlin" and is_expression(source, symbol):
        verdicts["keeps_signature"] = not _became_a_function(source, symbol, placed)
    suspends = _suspensions(placed) if _SUSPENDS.search(body) else _Suspensions()
    return verdicts | {
        "awaits_in_async": _awaits_in_async(placed, symbol, suspends),
        "stays_no_generator": _stays_no_generator(source, placed, symbol, hole, suspends),
        "returns_on_every_path": _returns(source, symbol, placed, suspends),
        "works_by_itself": not is_only_itself(body, source, symbol, placed),
    }


# --- Python ------------------------------------------------------------------------------------------


def _python_verdicts(source: Source, symbol: Symbol, hole: BodyHole, body: str) -> dict[str, bool | None]:
    indent = source.data[source.data.rfind(b"\n", 0, hole.start) + 1 : hole.start].decode()
    written = python_flow.statements(body, indent)
    if written is None:  # it doesn't parse, which is the fault that is told
        return dict.fromkeys(CONTRADICTIONS, True)
    header = source.data[symbol.start : symbol.body_start].decode()
    is_async = re.search(r"\basync\s+def\b", header) is not None
    declared = symbol.result_types[0] if "->" in header and symbol.result_types else ""
    yields = "yield" in body and python_flow.yields(written)
    original = functools.partial(python_flow.statements, source.data[hole.start : hole.end].decode(), indent)
    return {
        "awaits_in_async": is_async or not (_PYTHON_SUSPENDS.search(body) and python_flow.awaits(written)),
        "stays_no_generator": not yields or symbol.yields or _may_yield(declared, original),
        "returns_on_every_path": yields or _python_returns(written, symbol, declared, original),
        "works_by_itself": not is_only_itself(body, source, symbol, None),
    }


def _may_yield(declared: str, original: Original) -> bool:
    """Whether a function that doesn't yield gives something to iterate over, by its type or its original."""
    if declared:
        return _ITERATED.search(declared) is not None or declared in ("Any", "object")
    values = python_flow.returned_values(original() or ())
    return any(python_flow.is_lazy(value, _LAZY_CALLS) for value in values)


def _python_returns(written: python_flow.Body, symbol: Symbol, declared: str, original: Original) -> bool:
    if not (symbol.returns_value or declared) or declared == "None" or not python_flow.passes_end(written):
        return True
    before = original()
    if before is None:
        return True
    expected = python_flow.returned_values(before)
    has_value = any(not python_flow.is_none(value) for value in python_flow.returned_values(written))
    if python_flow.passes_end(before) or _OPTIONAL["python"].search(declared):
        return has_value or all(map(python_flow.is_none, expected))
    return not declared and has_value and any(map(python_flow.is_none, expected))


# --- other languages ---------------------------------------------------------------------------------


def _became_a_function(source: Source, symbol: Symbol, placed: Placed) -> bool:
    """Kotlin: whether `= value` has become `= { ... }`, which is a function that gives the value."""
    old = block_at(source, symbol.body_start, symbol.body_end)
    kinds = [
        node.named_children[-1].type if node is not None and node.named_children else "" for node in (old, placed.block)
    ]
    return kinds[1] == "lambda_literal" != kinds[0] and not any("->" in kind for kind in symbol.result_types)


@dataclass(slots=True)
class _Suspensions:
    """Whether a body itself awaits, whether a function within it does that isn't `async`, whether it itself yields."""

    awaits: bool = False
    strays: bool = False
    yields: bool = False


def _suspensions(placed: Placed) -> _Suspensions:
    found = _Suspensions()
    waiting = [(placed.block, "")]
    while waiting:
        node, marks = waiting.pop()
        if node.type in flow.FUNCTIONS:
            marks = _marks_of(placed.item, node)
        if node.type in _AWAITS:
            found.awaits |= not marks
            found.strays |= marks == "function"
        elif node.type in _YIELDS:
            found.yields |= not marks
        waiting += [(child, marks) for child in node.named_children]
    return found


def _marks_of(source: Source, function: Node) -> str:
    """`function`, and `async` where a function within a body says so."""
    says = [c for c in function.children if c.type == "async" or c.type in ("modifier", "function_modifiers")]
    return "async function" if any("async" in source.text(child) for child in says) else "function"


def _header(placed: Placed, symbol: Symbol) -> str:
    return placed.item.data[symbol.start - placed.start : symbol.body_start - placed.start].decode("utf-8", "replace")


def _awaits_in_async(placed: Placed, symbol: Symbol, suspends: _Suspensions) -> bool:
    if placed.item.grammar == "cpp" or not (suspends.awaits or suspends.strays):
        return True
    return not suspends.strays and re.search(r"\basync\b", _header(placed, symbol)) is not None


def _stays_no_generator(source: Source, placed: Placed, symbol: Symbol, hole: BodyHole, suspends: _Suspensions) -> bool:
    grammar, declared = source.grammar, " ".join(symbol.result_types)
    if grammar == "cpp":
        is_coroutine = suspends.yields or suspends.awaits
        return not is_coroutine or b"co_" in source.data[hole.start : hole.end] or bool(_COROUTINE.search(declared))
    if not suspends.yields:
        return True
    if grammar == "csharp":
        return _ITERATED.search(declared) is not None
    return symbol.yields or "*" in _header(placed, symbol)


def _returns(source: Source, symbol: Symbol, placed: Placed, suspends: _Suspensions) -> bool:
    if not symbol.returns_value or suspends.yields or _is_main(source, symbol):
        return True
    if not _lacks_result(placed.item, placed.block):
        return True
    before = block_at(source, symbol.body_start, symbol.body_end)
    if before is None or source.grammar == "rust" or is_expression(source, symbol):
        return before is None or _lacks_result(source, before)
    expected, written = flow.returned(source, before), flow.returned(placed.item, placed.block)
    has_value = any(text and text != "undefined" for text in written)
    if _lacks_result(source, before) or _is_optional(source, symbol, expected):
        return has_value or not any(expected)
    return False


def _is_main(source: Source, symbol: Symbol) -> bool:
    """Whether it is the function of C and C++ that needs no `return`."""
    return symbol.name == "main" and source.grammar in ("c", "cpp")


def _lacks_result(source: Source, block: Node) -> bool:
    if source.grammar == "rust":
        return not rust_flow.gives_value(source, block)
    if source.grammar == "kotlin" and source.data.startswith(b"=", block.start_byte):
        value = block.named_children[-1] if block.named_children else None
        return value is not None and value.type == "if_expression" and value.child_by_field_name("alternative") is None
    if source.grammar == "csharp" and block.type == "arrow_expression_clause":
        return False
    return flow.passes_end(source, block)


def _is_optional(source: Source, symbol: Symbol, expected: list[str]) -> bool:
    """Whether a function may give nothing: by its type, or JavaScript's by what the original returns."""
    if source.grammar in ("typescript", "tsx") and symbol.result_types:
        return _OPTIONAL["typescript"].search(" ".join(symbol.result_types)) is not None
    return source.grammar in ("javascript", "typescript", "tsx") and any(text in ("", "undefined") for text in expected)


# --- a call of itself --------------------------------------------------------------------------------

_CALL: Final = re.compile(
    r"(?:return\s+)?(?:await\s+)?(?:(?P<receiver>[\w.]+?)(?:\.|->|::))?(?P<name>\w+)\s*\((?P<arguments>[^()]*)\)(?:\.await)?\s*;?"
)
_DOCSTRING: Final = re.compile(r"\A\s*r?(?P<quotes>\"{3}|'{3}).*?(?P=quotes)\s*", re.S)
_ARGUMENT: Final = re.compile(r"(?:\w+\s*=\s*)?(?:\*\*?|\.\.\.|ref |out |in )?(?P<name>\w+)(?:\.\.\.)?")
_OWN_RECEIVERS: Final[Mapping[str, tuple[str, ...]]] = {"python": ("self", "cls"), "rust": ("self", "Self")}
# A function's bare name within a method isn't the method.
_NEEDS_RECEIVER: Final = ("python", "javascript", "typescript", "tsx", "go", "rust")


def is_only_itself(body: str, source: Source, symbol: Symbol, placed: Placed | None) -> bool:
    """Whether a body is nothing but a call of its own function with its own arguments, which never ends."""
    if symbol.name not in body:
        return False
    bare = without_comments(body, source.grammar)
    called = _CALL.fullmatch(_DOCSTRING.sub("", bare) if source.grammar == "python" else bare)
    if called is None or called["name"] != symbol.name:
        return False
    given = [_ARGUMENT.fullmatch(text.strip()) for text in called["arguments"].split(",") if text.strip()]
    names = [found["name"] if found is not None else "" for found in given]
    if names != [parameter.name for parameter in symbol.parameters]:
        return False
    return _is_own(called["receiver"] or "", source, symbol, placed)


def _is_own(receiver: str, source: Source, symbol: Symbol, placed: Placed | None) -> bool:
    """Whether a call with this receiver reaches the function itself."""
    grammar, header = source.grammar, source.data[symbol.start : symbol.body_start].decode()
    if grammar == "kotlin" and symbol.name[:1].isupper():
        return False  # a class has that name, and a way to make one
    if grammar == "kotlin" and re.search(rf"\.\s*{re.escape(symbol.name)}\s*\(", header):
        return False  # an extension: a member of that name comes first
    if grammar == "csharp" and re.search(rf"\.\s*{re.escape(symbol.name)}\s*\(", header):
        return False  # of an interface, by its name: another method
    if grammar == "rust" and placed is not None and _is_of_a_trait(placed):
        return False  # the type's own method comes first
    if not receiver:
        return symbol.kind == "function" or grammar not in _NEEDS_RECEIVER
    if grammar == "go":
        return re.match(rf"func\s*\(\s*{re.escape(receiver)}\s", header) is not None
    scope = symbol.qualified_name.rpartition(".")[0].rpartition(".")[2]
    return symbol.kind == "method" and receiver in (*_OWN_RECEIVERS.get(grammar, ("this",)), scope)


def _is_of_a_trait(placed: Placed) -> bool:
    node: Node | None = placed.block
    while node is not None and node.type != "impl_item":
        node = node.parent
    return node is not None and node.child_by_field_name("trait") is not None
