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

from model.errors import SHOWN_CHARS, ConfigError, RecordError, one_line, shown
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
    if not is_plain(written):
        bounded.check(where, "checked", "check_schema", schema)
    elif fault := fault_of(where, schema):
        raise ConfigError(fault)


def _json(where: str, schema: Schema) -> str:
    for node in _nodes(schema):
        keys = [key for key in node if not isinstance(key, str)] if isinstance(node, dict) else []
        if keys:
            raise ConfigError(f"{where} has the key {shown(keys[0])}; put it in quotes")
    try:
        return json.dumps(schema, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError):
        raise ConfigError(
            f"{where} contains a value that JSON doesn't have, such as a date; put it in quotes"
        ) from None


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
                outside = one_line(ref, SHOWN_CHARS)
                return f"{where} refers to {outside}; it may only refer to its own parts, e.g. #/$defs/x"
        paths = _Paths(schema)
        for node in filter(lambda node: isinstance(node, dict), _nodes(schema)):
            paths.count(node)
    except ConfigError as error:
        return f"{where} {error}"
    return next(filter(None, (patterns.fault_of(f"{where}: pattern", one) for one in _patterns(schema))), None)


def is_valid(where: str, schema: Schema, found: Any, num_chars: int) -> bool:
    """Whether a JSON value has the form that a schema asks for.

    Args:
        where: The schema's key, for messages.
        schema: A schema that `check_schema` accepts.
        found: The value.
        num_chars: Its length as it was written.

    Raises:
        RecordError: `check_timed_out`: it exceeded the limits of `bounded.call_for_row`; `wrong_form`: it is nested too
            deeply.
    """
    written = json.dumps(schema, sort_keys=True)
    if is_plain(written) and num_chars <= patterns.MAX_PLAIN_TEXT_CHARS:
        return is_valid_here(written, found)
    return bounded.judge(where, "applied to the answer", "is_valid", written, found)


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
    return (
        len(found) <= _MAX_PLAIN_NODES
        and not keys & _COSTLY
        and all(map(patterns.is_plain, _patterns(json.loads(written))))
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


def _patterns(schema: Any) -> Iterator[str]:
    for node in _nodes(schema):
        if isinstance(node, dict):
            found = node.get("patternProperties")
            written = [node.get("pattern"), *(found if isinstance(found, dict) else ())]
            yield from (pattern for pattern in written if isinstance(pattern, str))


class _Paths:
    """Counts the paths on which the parts of a schema reach one value. Raises ConfigError, without the schema's name.

    Each part is visited once: the paths through it are the sum of those through the parts that it applies to the same
    value, and a part that is visited again before it is done is in a cycle.
    """

    def __init__(self, schema: Schema):
        resource = referencing.jsonschema.DRAFT202012.create_resource(schema)
        self._resolver = referencing.Registry().with_resource("", resource).resolver()
        self._done: dict[int, int] = {}  # by the part's `id`: all of them live as long as the schema
        self._open: dict[int, str] = {}  # parts that the present path leads through, and by which reference

    def count(self, node: Any, ref: str = "") -> int:
        """The paths from a part. Raises ConfigError for a cycle, an undefined reference, or too many."""
        if not isinstance(node, dict):
            return 1
        if id(node) in self._done:
            return self._done[id(node)]
        if id(node) in self._open:
            raise ConfigError(f"refers to {one_line(ref or self._open[id(node)], SHOWN_CHARS)} in a cycle")
        self._open[id(node)] = ref
        total = 1
        for next_ref, part in self._applied_to_the_same_value(node):
            total += self.count(part, next_ref or ref)
            if total > MAX_PATHS:
                raise ConfigError(f"has more than {MAX_PATHS} paths to one value; reduce its alternatives")
        del self._open[id(node)]
        self._done[id(node)] = total
        return total

    def _applied_to_the_same_value(self, node: Schema) -> Iterator[tuple[str, Any]]:
        for key in _REFERENCES:
            if isinstance(node.get(key), str):
                yield node[key], self._target(node[key])
        for key in _LISTS:
            yield from (("", part) for part in node.get(key) or () if isinstance(node.get(key), list))
        for key in _SINGLES:
            yield "", node.get(key)
        dependent = node.get("dependentSchemas")
        yield from (("", part) for part in (dependent.values() if isinstance(dependent, dict) else ()))

    def _target(self, ref: str) -> Any:
        try:
            return self._resolver.lookup(ref).contents
        except (referencing.exceptions.Unresolvable, ValueError, TypeError, LookupError):
            raise ConfigError(f"refers to {one_line(ref, SHOWN_CHARS)}, which it does not define") from None
