"""JSON schemas of task files: checked before anything runs, and applied to answers within a limit of time.

    plain       no references, no alternatives, at most one level of cost for each value: applied here
    any other   in `transforms.bounded`'s child, at most `bounded.ROW_CPU_S` for an answer

Two kinds are refused while checking: a cycle of references that leads back to the same value (`allOf`, `anyOf`, ...:
no answer could ever be validated), and alternatives that multiply (twenty definitions that each name the next one
twice make a million paths to one value). A recursive schema of nested values (a tree) is allowed.

Cost: 0.2 ms for an answer that a schema which isn't plain is applied to.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import jsonschema
import referencing
import referencing.exceptions
import referencing.jsonschema

from model.errors import ConfigError, RecordError, one_line, shown
from transforms import bounded
from transforms.tasks import patterns

MAX_NODES: Final = 5_000
MAX_PATHS: Final = 1_000
"""Paths on which schemas reach one value."""
_MAX_PLAIN_NODES: Final = 300
_LISTS: Final = ("allOf", "anyOf", "oneOf")
_SINGLES: Final = ("not", "if", "then", "else")
_REFERENCES: Final = ("$ref", "$dynamicRef")
_COSTLY: Final = frozenset(
    (*_LISTS, *_SINGLES, *_REFERENCES, "$recursiveRef", "dependentSchemas", "unevaluatedProperties")
) | {"unevaluatedItems", "uniqueItems", "contains", "patternProperties", "propertyNames", "multipleOf"}

Schema = Mapping[str, Any]


def check_schema(where: str, schema: Schema) -> None:
    """Checks a schema before anything runs.

    Raises:
        ConfigError: It isn't a schema, refers to what isn't there, or can't be applied within bounds.
    """
    count = sum(1 for _ in _nodes(schema))
    if count > MAX_NODES:
        raise ConfigError(f"{where} has {count} values, the limit is {MAX_NODES}")
    written = _json(where, schema)
    try:
        if is_plain(written):
            fault = fault_of(where, schema)
        else:
            fault = bounded.call("check_schema", (where, schema), cpu_s=bounded.CHECK_CPU_S)
    except bounded.LimitExceeded as error:
        fault = f"{where} was checked, but {error}; simplify it"
    if fault:
        raise ConfigError(fault)


def _json(where: str, schema: Schema) -> str:
    for node in _nodes(schema):
        keys = [key for key in node if not isinstance(key, str)] if isinstance(node, dict) else []
        if keys:
            raise ConfigError(f"{where} has the key {shown(keys[0])}; put it in quotes")
    try:
        return json.dumps(schema, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError):
        raise ConfigError(f"{where} contains a value that JSON doesn't have, such as a date; put it in quotes") from None


def fault_of(where: str, schema: Schema) -> str | None:
    """What is wrong with a schema, or None. Takes as long as the schema's author wants: see `check_schema`."""
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.SchemaError as error:
        place = "/".join(map(str, error.absolute_path))
        # The message quotes the schema's own value, however large it is.
        text = one_line(error.message)
        detail = text if len(text) <= 100 else f"{text[:50]}...{text[-50:]}"
        return f"{where} is not a valid JSON schema: {detail}" + (f" (at {one_line(place)[:60]})" if place else "")
    except (ValueError, TypeError, LookupError, ArithmeticError) as error:
        return f"{where} is not a valid JSON schema: {type(error).__name__}"
    try:
        for ref in _references(schema):
            if not ref.startswith("#"):
                return f"{where} refers to {_short(ref)}; it may only refer to its own parts, e.g. #/$defs/x"
            _target(schema, ref)
        for node in _nodes(schema):
            if isinstance(node, dict):
                _paths(schema, node, {}, {})
            if isinstance(node, dict) and isinstance(node.get("pattern"), str):
                patterns.check_pattern(f"{where}: pattern", node["pattern"])
    except ConfigError as error:
        return str(error) if str(error).startswith(where) else f"{where} {error}"
    return None


def is_valid(where: str, schema: Schema, found: Any) -> bool:
    """Whether a JSON value has the form that a schema asks for.

    Raises:
        RecordError: `check_timed_out`: it took more than `bounded.ROW_CPU_S`; `wrong_form`: it is nested too deeply.
    """
    written = json.dumps(schema, sort_keys=True)
    if is_plain(written):
        return is_valid_here(written, found)
    try:
        return bool(bounded.call("is_valid", (written, found), cpu_s=bounded.ROW_CPU_S))
    except bounded.LimitExceeded as error:
        raise RecordError("check_timed_out", f"{where} was applied to the answer, but {error}") from None


def is_valid_here(written: str, found: Any) -> bool:
    """Whether a value has the form of a schema, in this process and without a limit."""
    try:
        return _validator(written).is_valid(found)
    except RecursionError:
        raise RecordError("wrong_form", "the answer is nested too deeply for the schema") from None


@functools.lru_cache(maxsize=16)
def _validator(written: str) -> jsonschema.Draft202012Validator:
    # An empty registry: a validator never fetches anything.
    return jsonschema.Draft202012Validator(json.loads(written), registry=referencing.Registry())


@functools.lru_cache(maxsize=16)
def is_plain(written: str) -> bool:
    """Whether a schema, as JSON, evidently takes little time for any answer.

    >>> is_plain('{"type": "object"}'), is_plain('{"$ref": "#/$defs/x"}')
    (True, False)
    """
    found = list(_nodes(json.loads(written)))
    keys = {key for node in found if isinstance(node, dict) for key in node}
    written_patterns = [node.get("pattern") for node in found if isinstance(node, dict)]
    return (
        len(found) <= _MAX_PLAIN_NODES
        and not keys & _COSTLY
        and all(patterns.is_plain(pattern) for pattern in written_patterns if isinstance(pattern, str))
    )


def _nodes(schema: Any) -> Iterator[Any]:
    """A schema's values and the values in them."""
    yield schema
    for value in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        yield from _nodes(value)


def _references(schema: Any) -> Iterator[str]:
    """All references of a schema; one that points outside it would be fetched."""
    for node in _nodes(schema):
        for key in _REFERENCES if isinstance(node, dict) else ():
            if isinstance(node.get(key), str):
                yield node[key]


def _target(schema: Schema, ref: str) -> Any:
    """What a reference refers to. Raises ConfigError."""
    try:
        return _resolver(json.dumps(schema, sort_keys=True)).lookup(ref).contents
    except (referencing.exceptions.Unresolvable, ValueError, TypeError, LookupError):
        raise ConfigError(f"refers to {_short(ref)}, which it does not define") from None


@functools.lru_cache(maxsize=4)
def _resolver(written: str) -> Any:
    resource = referencing.jsonschema.DRAFT202012.create_resource(json.loads(written))
    return referencing.Registry().with_resource("", resource).resolver()


def _paths(schema: Schema, node: Any, counts: dict[str, int], open_: dict[str, str]) -> int:
    """The number of paths on which schemas reach the value that `node` is applied to.

    Args:
        schema: The whole schema, which references refer to.
        node: A part of it.
        counts: The results for parts that are done, by what they contain.
        open_: The parts that the present path leads through, each with the reference by which it was left.

    Raises:
        ConfigError: A path leads back to where it was, or there are more than MAX_PATHS.
    """
    if not isinstance(node, dict):
        return 1
    key = json.dumps(node, sort_keys=True)
    if key in counts:
        return counts[key]
    if key in open_:
        raise ConfigError(f"refers to {_short(open_[key] or '#')} in a cycle")
    total = 1
    for ref, part in _applied_to_the_same_value(schema, node):
        open_[key] = ref or next(iter(_references(node)), "")
        total += _paths(schema, part, counts, open_)
        if total > MAX_PATHS:
            raise ConfigError(f"has more than {MAX_PATHS} paths to one value; reduce its alternatives")
    open_.pop(key, None)
    counts[key] = total
    return total


def _applied_to_the_same_value(schema: Schema, node: Schema) -> Iterator[tuple[str, Any]]:
    for key in _REFERENCES:
        if isinstance(node.get(key), str):
            yield node[key], _target(schema, node[key])
    for key in _LISTS:
        yield from (("", part) for part in node.get(key) or ())
    for key in _SINGLES:
        yield "", node.get(key)
    dependent = node.get("dependentSchemas")
    yield from (("", part) for part in (dependent.values() if isinstance(dependent, dict) else ()))


def _short(text: str) -> str:
    line = one_line(text)
    return line if len(line) <= 100 else line[:100] + "..."
