"""Templates of task files: Jinja2 in a sandbox, deterministic, and bounded in time and size.

    plain       fields, text, `if`, a few filters: its cost is evident, so it is rendered here
    any other   loops, arithmetic, calls, macros: checked and rendered in `transforms.bounded`'s child

A prompt must be the same twice, so what isn't deterministic is missing (`random`, `lipsum`, `cycler`, `namespace` and
Jinja's other globals), and a prompt that shows an object's address is rejected.

Cost: a plain template takes what Jinja takes, any other 0.2 ms more.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Mapping
from typing import Final

import jinja2
import jinja2.meta
import jinja2.sandbox
from jinja2 import nodes

from model.errors import SHOWN_CHARS, ConfigError, RecordError, one_line
from transforms import bounded

MAX_TEMPLATE_CHARS: Final = 1 << 18
MAX_ADDED_CHARS: Final = 1 << 20
MAX_COPIES: Final = 8
"""A prompt has at most MAX_ADDED_CHARS characters, plus MAX_COPIES times those of its fields."""
TOO_COSTLY: Final = "template_too_costly"
_MAX_DEPTH: Final = 12  # of a plain template; Python can't compile blocks that are nested 20 deep
_PLAIN_FILTERS: Final = frozenset(
    {"capitalize", "count", "d", "default", "e", "escape", "first", "last", "length", "lower", "title", "trim", "upper"}
)
_PLAIN_TESTS: Final = frozenset({"defined", "undefined", "none", "string", "eq", "equalto", "ne", "in"})
_PLAIN_NODES: Final = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.Const,
    nodes.If,
    nodes.CondExpr,
    nodes.Compare,
    nodes.Operand,
    nodes.And,
    nodes.Or,
    nodes.Not,
)
_ADDRESS: Final = re.compile(r" at 0x[0-9a-f]+>")


@functools.cache
def _jinja() -> jinja2.Environment:
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
        undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    )
    environment.globals.clear()
    for name in ("random", "xmlattr"):  # not deterministic; for HTML only
        del environment.filters[name]
    return environment


def check_template(where: str, template: str, known: Collection[str], params: Mapping[str, str]) -> None:
    """Checks a template before anything runs.

    Args:
        where: The template's key, for messages.
        template: The template.
        known: The names that it may use.
        params: Those among them whose values are known.

    Raises:
        ConfigError: It doesn't parse, names an unknown field or filter, or exceeds a bound.
    """
    if len(template) > MAX_TEMPLATE_CHARS:
        raise ConfigError(f"{where} has {len(template)} characters, the limit is {MAX_TEMPLATE_CHARS}")
    arguments = (where, template, sorted(known), dict(params))
    fault = None
    try:
        if is_plain(template):
            fault = fault_of(*arguments)
        else:
            bounded.check(where, "rendered as a test", "check_template", *arguments[1:])
    except jinja2.TemplateSyntaxError as error:
        fault = f"{where}, line {error.lineno}: {one_line(error.message, SHOWN_CHARS)}"
    except RecursionError:
        fault = f"{where} is nested too deeply; simplify it"
    if fault:
        raise ConfigError(fault)


def fault_of(where: str, template: str, known: Collection[str], params: Mapping[str, str]) -> str | None:
    """What is wrong with a template, or None. Takes as long as the template's author wants: see `check_template`."""
    try:
        parsed = _jinja().parse(template)
        names = jinja2.meta.find_undeclared_variables(parsed)
        if unknown := sorted(names - set(known)):
            return f"{where}: unknown field {one_line(unknown[0], SHOWN_CHARS)}; fields are {', '.join(sorted(known))}"
        if any(True for _ in jinja2.meta.find_referenced_templates(parsed)):
            return f"{where}: it refers to another template; write it all in this file"
        fields = {**dict.fromkeys(known, "text"), **params}
        _check_text(template, _jinja().from_string(template).render(fields), fields)
    except jinja2.TemplateSyntaxError as error:
        return f"{where}, line {error.lineno}: {one_line(error.message, SHOWN_CHARS)}"
    except jinja2.UndefinedError as error:
        if "'str object' has no attribute" in str(error):  # fields are always strings; other types vary
            return f"{where}: {one_line(error.message, SHOWN_CHARS)}; each field is a string"
    except jinja2.TemplateError as error:
        return f"{where}: {one_line(error, SHOWN_CHARS)}"
    except RecordError as error:
        return f"{where}: {error.detail}"
    except SyntaxError as error:  # of the Python code that Jinja makes
        return f"{where} is nested too deeply: {one_line(error.msg, SHOWN_CHARS)}"
    except (TypeError, ValueError, ArithmeticError, LookupError):
        return None  # depends on the value: other values may work
    return None


def render(template: str, fields: Mapping[str, str]) -> str:
    """Fills in a template, within the limits of `bounded.call_for_row`.

    Raises:
        RecordError: `template_failed`; `template_too_costly`: it exceeded a limit of time or memory.
    """
    if is_plain(template):
        return render_here(template, fields)
    try:
        rendered: str = bounded.call_for_row("render", template, dict(fields))
    except bounded.LimitExceeded as error:
        raise RecordError(TOO_COSTLY, f"the task's template was rendered, but {error}") from None
    return rendered


def render_here(template: str, fields: Mapping[str, str]) -> str:
    """Fills in a template in this process, without a limit of time. Raises RecordError: `template_failed`."""
    try:
        rendered = _jinja().from_string(template).render(fields)
    except (MemoryError, RecursionError):
        raise
    except Exception as error:  # a template is a user's program: any error in it rejects this target
        raise RecordError("template_failed", f"{type(error).__name__} in the task's template") from None
    _check_text(template, rendered, fields)
    return rendered


def _check_text(template: str, rendered: str, fields: Mapping[str, str]) -> None:
    limit = MAX_ADDED_CHARS + MAX_COPIES * sum(map(len, fields.values()))
    if len(rendered) > limit:
        raise RecordError("template_failed", f"it makes {len(rendered)} characters, the limit is {limit}")
    if len(_ADDRESS.findall(rendered)) > sum(len(_ADDRESS.findall(text)) for text in (template, *fields.values())):
        detail = "it shows an object's address, which differs from run to run; call the method, or use | list"
        raise RecordError("template_failed", detail)


@functools.lru_cache(maxsize=64)
def is_plain(template: str) -> bool:
    """Whether a template evidently takes little time and memory.

    >>> is_plain("Explain {{ name }}: {% if code %}{{ code | trim }}{% endif %}"), is_plain("{{ 'a' * 10 ** 10 }}")
    (True, False)
    """
    parsed = _jinja().parse(template)
    return _is_plain(parsed, 0) and sum(1 for _ in parsed.find_all(nodes.Name)) <= 2 * MAX_COPIES


def _is_plain(node: nodes.Node, depth: int) -> bool:
    if depth > _MAX_DEPTH or not (isinstance(node, _PLAIN_NODES) or _is_plain_use(node)):
        return False
    return all(_is_plain(child, depth + 1) for child in node.iter_child_nodes())


def _is_plain_use(node: nodes.Node) -> bool:
    if isinstance(node, nodes.Name):
        return node.ctx == "load"
    if isinstance(node, nodes.Filter):
        return node.name in _PLAIN_FILTERS and node.dyn_args is None and node.dyn_kwargs is None
    return isinstance(node, nodes.Test) and node.name in _PLAIN_TESTS
