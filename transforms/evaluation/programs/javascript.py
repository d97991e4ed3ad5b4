"""Whole programs in JavaScript, for node; see `whole_programs`.

A program of node ends when nothing is left to do, with exit code 0 even where a function still waits for a promise
that nobody will ever settle. So each statement of the test whose value is a promise must have been fulfilled at the
end. The test's own `process.exit` counts as an end, the answer's doesn't.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from typing import Final

import tree_sitter

from transforms.evaluation.problems import Problem
from transforms.languages import syntax
from transforms.sandbox.program import Program
from transforms.sandbox.toolchains import Toolchain

_GRAMMAR: Final = "javascript"
_MODULE: Final = "main.mjs"
_REQUIRE: Final = """
import { createRequire as require_{nonce} } from "node:module";
const require = require_{nonce}(import.meta.url);
"""
_HEAD: Final = """
const trial_{nonce} = (() => {
  const { log, error } = console, exit = process.exit, put = Object.defineProperty, freeze = Object.freeze;
  const state = { ended: false, waits: 0 };
  const assert = (held, ...words) => { if (!held) throw new Error("console.assert: " + words.join(" ")); };
  put(console, "assert", { value: assert, writable: false, configurable: false });
  put(globalThis, "console", { value: console, writable: false, configurable: false });
  for (const name of ["node:assert", "node:assert/strict"]) freeze(require(name));
  let idle = false;
  process.on("beforeExit", () => { if (!idle) setImmediate(() => { idle = true; }); });
  process.on("exit", (code) => {
    if (code !== 0 || !state.ended || !idle) return;
    if (state.waits) error("a promise of the test was never settled");
    else log("\\n{nonce}");
  });
  return {
    waitFor(value) {
      if (value && typeof value.then === "function") {
        state.waits += 1;
        value.then(() => { state.waits -= 1; });
      }
      return value;
    },
    end() { state.ended = true; },
    exit(code) {
      if (!(code ?? process.exitCode)) { state.ended = idle = true; state.waits = 0; }
      exit.call(process, code);
    },
  };
})();
"""
# As globals, since a test may well have a function of its own with one of these names.
_TOOL: Final = """
let asked_{nonce} = false;
for (const name of ["describe", "it", "test", "before", "after", "beforeEach", "afterEach"]) {
  const given = require("node:test")[name];
  globalThis[name] = (...words) => { asked_{nonce} = true; return given(...words); };
}
"""
_TOOL_TESTS: Final = re.compile(r"^\s*(?:describe|it|test)\s*[.(]|node:test", re.M)
_DECLARATIONS: Final = (
    *("function_declaration", "generator_function_declaration", "class_declaration", "import_statement", "comment"),
    *("empty_statement", "hash_bang_line"),
)
_BINDINGS: Final = ("lexical_declaration", "variable_declaration")


def javascript(problem: Problem, text: str, toolchain: Toolchain, nonce: str) -> Program:
    """A program in JavaScript: CommonJS or, where it imports, exports or awaits, a module."""
    before = text[: len(text) - len(problem.test)]
    test = _watched(problem.test, nonce)
    is_module = _is_module(text)
    head = _HEAD
    # Promises may go on after the last statement; one that fails ends the program with another code.
    end = "\n;trial_{nonce}.end();\n"
    if _TOOL_TESTS.search(problem.test):
        head += _TOOL
        asked = "true" if "node:test" in problem.test else "asked_{nonce}"
        end = f'\n;if ({asked}) require("node:test").after(() => trial_{{nonce}}.end()); else trial_{{nonce}}.end();\n'
    whole = before + test
    if not is_module:
        return toolchain.program(head.replace("{nonce}", nonce) + whole + end.replace("{nonce}", nonce))
    imports, whole = _imports(whole)
    head = "".join(f"{line}\n" for line in imports) + (_REQUIRE + head).replace("{nonce}", nonce)
    program = toolchain.program("")
    run = dataclasses.replace(program.run, argv=(*program.run.argv[:-1], _MODULE))
    return dataclasses.replace(program, files={_MODULE: head + whole + end.replace("{nonce}", nonce)}, run=run)


def does_something(test: str) -> bool:
    """Whether a test has a statement that isn't only a definition; or can't be read, which running it tells."""
    source, nodes = _outermost(test)
    return source is None or not source.is_sound or any(_acts(source, node) for node in nodes)


def _acts(source: syntax.Source, node: tree_sitter.Node) -> bool:
    if node.type in _BINDINGS:
        return any(_is_call(source, value) for value in _values(node))
    return node.type not in _DECLARATIONS


def _is_call(source: syntax.Source, value: tree_sitter.Node) -> bool:
    called = source.text(value.child_by_field_name("function"))
    return value.type == "await_expression" or (value.type == "call_expression" and called != "require")


def _values(node: tree_sitter.Node) -> Iterator[tree_sitter.Node]:
    """The values of a statement: of an expression, or of what it declares."""
    if node.type == "expression_statement":
        yield from node.named_children[:1]
    for declarator in node.named_children if node.type in _BINDINGS else ():
        if (value := declarator.child_by_field_name("value")) is not None:
            yield value


def _watched(test: str, nonce: str) -> str:
    """The test, with the values of its statements watched, and its `process.exit` known as its own."""
    data = test.encode("utf-8", "surrogatepass")
    source = syntax.parse(data, _GRAMMAR)
    if source is None:
        return test
    edits: list[tuple[int, int, str]] = []
    for node in source.tree.root_node.named_children:
        if node.type == "expression_statement" and (value := node.named_children[0]).type == "call_expression":
            edits.append((value.start_byte, value.start_byte, f"trial_{nonce}.waitFor("))
            edits.append((value.end_byte, value.end_byte, ")"))
    for node in syntax.captures(source, "(member_expression) @x").get("x", ()):
        if source.text(node) == "process.exit":
            edits.append((node.start_byte, node.end_byte, f"trial_{nonce}.exit"))
    for begin, end, words in sorted(edits, reverse=True):
        data = data[:begin] + words.encode() + data[end:]
    return data.decode("utf-8", "surrogatepass")


def _outermost(text: str) -> tuple[syntax.Source | None, list[tree_sitter.Node]]:
    source = syntax.parse(text.encode("utf-8", "surrogatepass"), _GRAMMAR)
    return source, [] if source is None else source.tree.root_node.named_children


def _is_module(text: str) -> bool:
    _, nodes = _outermost(text)
    return any(
        node.type in ("import_statement", "export_statement")
        or any(value.type == "await_expression" for value in _values(node))
        for node in nodes
    )


def _imports(text: str) -> tuple[list[str], str]:
    """A module's imports, each once, since twice is an error; and the rest."""
    source, nodes = _outermost(text)
    if source is None:
        return [], text
    found = [node for node in nodes if node.type == "import_statement"]
    rest = source.data
    for node in reversed(found):
        rest = rest[: node.start_byte] + rest[node.end_byte :]
    return list(dict.fromkeys(source.text(node) for node in found)), rest.decode("utf-8", "surrogatepass")
