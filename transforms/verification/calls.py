"""Programs that call a function with given arguments and print what it returns, in Python, JavaScript and Go.

Those of the languages whose types must be known to write any value at all are made in `transforms.verification.typed`.

Each call prints a line `NONCE NUMBER JSON`, or `NONCE NUMBER !` where it fails; results that JSON can't hold print
nothing. They are printed as they come, so that a call that never ends costs only those after it. Integers below 1e15
are compared exactly, other numbers to nine digits, since languages print and divide them differently.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from transforms.evaluation.problems import Problem
from transforms.verification.script import without_exports
from transforms.verification.typed.programs import calling_main, without_main

_MAX_RESULT: Final = 300  # characters
_EXACT: Final = 1e15  # integers from here on have more digits than a double is printed with
FAILED: Final = "!"


@dataclass(frozen=True, kw_only=True, slots=True)
class Function:
    """A function to call.

    Args:
        language: Linguist name.
        code: The text that it stands in.
        name: Its name.
        types: The types of its parameters, where the language wants them.
        results: How many values it returns, of which the last may be an error (`has_error`).
        call: The expression that calls it, where that isn't its name.
    """

    language: str
    code: str
    name: str
    types: tuple[str, ...] = ()
    results: int = 1
    has_error: bool = False
    call: str = ""


_PYTHON: Final = """
def _codemill_calls():
    import copy, io, json, math, os, sys
    real = os.dup(1)
    sys.stdout = io.StringIO()
    spelled = {"inf": "Infinity", "-inf": "-Infinity"}  # as JavaScript does
    def plain(value, depth=0):
        if depth > 20:
            raise TypeError
        if value is None or type(value) in (bool, int, str):
            return value
        if type(value) is float:
            return value if math.isfinite(value) else {"$": spelled.get(str(value), "NaN")}
        if type(value) in (list, tuple):
            return [plain(one, depth + 1) for one in value]
        if type(value) is dict and all(type(key) is str for key in value):
            return {key: plain(one, depth + 1) for key, one in value.items()}
        raise TypeError
    function = globals()["{name}"]
    for number, given in enumerate(json.loads({inputs!r})):
        try:
            result, again = function(*copy.deepcopy(given)), function(*copy.deepcopy(given))
        except SystemExit:
            text = "!"
        except Exception:
            text = "!"
        else:
            try:
                text = json.dumps(plain(result))
                if text != json.dumps(plain(again)):
                    continue
            except (TypeError, ValueError, RecursionError):
                continue
        if len(text) <= {most}:
            os.write(real, ("{nonce} %d %s\\n" % (number, text)).encode())


_codemill_calls()
"""
_JAVASCRIPT: Final = """
{
  const say = console.log;
  for (const name of ["log", "info", "warn", "error", "debug"]) console[name] = () => {};
  const plain = (value, depth) => {
    if (depth > 20) throw new TypeError();
    if (value === undefined || value === null) return null;
    if (typeof value === "number") return Number.isFinite(value) ? value : { $: String(value) };
    if (typeof value === "boolean" || typeof value === "string") return value;
    if (Array.isArray(value)) return value.map((one) => plain(one, depth + 1));
    if (Object.getPrototypeOf(value) !== Object.prototype) throw new TypeError();
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, plain(one, depth + 1)]));
  };
  JSON.parse({inputs}).forEach((given, number) => {
    let text;
    try {
      text = {name}(...structuredClone(given));
      const again = {name}(...structuredClone(given));
      try {
        text = JSON.stringify(plain(text, 0));
        if (text !== JSON.stringify(plain(again, 0))) return;
      } catch (error) { return; }
    } catch (error) { text = "!"; }
    if (text.length <= {most}) say(`{nonce} ${number} ${text}`);
  });
}
"""


def calls_problem(function: Function, inputs: Sequence[str], *, nonce: str, wall_s: float) -> Problem | None:
    """The program that makes the calls; None: there is none in this language, or for these types.

    Args:
        function: The function.
        inputs: Its arguments, each list as JSON text.
        nonce: What begins each line that counts.
        wall_s: Seconds that all calls may take.
    """
    if not re.fullmatch(r"[^\W\d]\w*", function.name):
        return None
    if function.language == "Go":
        test = _go_main(function, inputs, nonce)
    elif function.language in ("Python", "JavaScript"):
        whole = f"[{', '.join(inputs)}]"
        template = _PYTHON if function.language == "Python" else _JAVASCRIPT
        given = repr(whole) if function.language == "Python" else json.dumps(whole)
        test = _filled(template, name=function.name, inputs=given, most=str(_MAX_RESULT), nonce=nonce)
    else:
        call = function.call or function.name
        test = calling_main(function.language, call, function.types, inputs, nonce=nonce, most=_MAX_RESULT)
    if test is None:
        return None
    return Problem(problem_id="calls", language=function.language, form="program", test=test, wall_s=wall_s)


def code_of(function: Function) -> str:
    """The function's text, as a program has it."""
    if function.language == "Go":
        return re.sub(r"^func main\(\)", "func mainOfTheAnswer()", function.code, flags=re.M)
    if function.language == "JavaScript":
        return without_exports(function.code)
    return without_main(function.language, function.code)


def _filled(template: str, **values: str) -> str:
    return re.sub(r"\{(name|inputs|most|nonce)(?:!r)?\}", lambda found: values[found[1]], template)


def results_of(stdout: str, nonce: str, count: int) -> tuple[str | None, ...]:
    """What each call returned, in a form that is equal for equal values; `!`: it failed; None: can't tell."""
    found: list[str | None] = [None] * count
    for line in re.finditer(rf"^{nonce} (\d+) (.*)$", stdout, re.M):
        number = int(line[1])
        if number < count:
            found[number] = FAILED if line[2] == FAILED else _canonical(line[2])
    return tuple(found)


def _canonical(text: str) -> str | None:
    try:
        return json.dumps(_plain(json.loads(text)), sort_keys=True)
    except (ValueError, OverflowError, RecursionError):
        return None


def _plain(value: Any) -> Any:
    if type(value) in (int, float):
        return _number(value)
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    return value


def _number(value: float) -> float:
    """One form of a number, whether its language has it as an integer or not: exact only below `_EXACT`."""
    if not _is_exact(value):
        value = float(f"{value:.9g}")
    return int(value) if _is_exact(value) else value


def _is_exact(value: float) -> bool:
    return abs(value) < _EXACT and value == int(value)


# --- Go ----------------------------------------------------------------------------------------------


def _go_main(function: Function, inputs: Sequence[str], nonce: str) -> str | None:
    """A main that makes the calls; inputs that the types can't take are left out, so they have no result."""
    calls = []
    for number, given in enumerate(inputs):
        values = json.loads(given)
        if len(values) != len(function.types):
            return None
        literals = [_go_literal(kind, value) for kind, value in zip(function.types, values, strict=True)]
        if None not in literals:
            calls.append(_go_call(function, number, ", ".join(map(str, literals)), nonce))
    if not calls or not function.results:
        return None
    imports = 'import json_ "encoding/json"\nimport fmt_ "fmt"\n'
    return f"{imports}\nfunc main() {{\n{''.join(calls)}}}\n"


def _go_call(function: Function, number: int, arguments: str, nonce: str) -> str:
    names = [f"r{place}" for place in range(function.results)]
    fail = f'fmt_.Println("{nonce} {number} {FAILED}")'
    checked = f"if {names.pop()} != nil {{ {fail}; return }}\n" if function.has_error else ""
    targets = ", ".join(f"r{place}" for place in range(function.results))
    shown = names[0] if len(names) == 1 else f"[]interface{{}}{{{', '.join(names)}}}"
    return (
        f"func() {{\ndefer func() {{ if recover() != nil {{ {fail} }} }}()\n"
        f"{targets} := {function.name}({arguments})\n{checked}"
        f"text, failed := json_.Marshal({shown})\n"
        f'if failed == nil && len(text) <= {_MAX_RESULT} {{ fmt_.Printf("{nonce} {number} %s\\n", text) }}\n}}()\n'
    )


def _go_literal(kind: str, value: Any) -> str | None:
    """A value as a literal of a type; None if it isn't one."""
    if kind.startswith("[]") and isinstance(value, list):
        inner = [_go_literal(kind[2:], one) for one in value]
        return None if None in inner else f"{kind}{{{', '.join(map(str, inner))}}}"
    if kind.startswith("map[string]") and isinstance(value, dict):
        pairs = [(json.dumps(key), _go_literal(kind[11:], one)) for key, one in value.items()]
        return None if any(one is None for _, one in pairs) else f"{kind}{{{', '.join(f'{k}: {v}' for k, v in pairs)}}}"
    if kind == "bool" and isinstance(value, bool):
        return str(value).lower()
    if kind == "string" and isinstance(value, str):
        return json.dumps(value)
    if not re.fullmatch(r"u?int\d*|float(?:32|64)|byte|rune", kind) or type(value) not in (int, float):
        return None
    if not kind.startswith("float") and (type(value) is float or (kind[0] in "ub" and value < 0)):
        return None
    return f"{kind}({value})"
