"""Files that users write (configs, tasks, policies, rules): read within bounds, every fault one line with its place.

YAML is bounded while it is composed, before any value is constructed:

    size        MAX_BYTES of the file
    depth       MAX_DEPTH nested collections
    nodes       MAX_NODES, each alias counted as all that it stands for; MAX_CHARS likewise
    numbers     MAX_NUMBER_CHARS written, 64 bits large

Aliases are the reason for counting this way: ten lines that each repeat the one before ten times stand for 10^10
values, which a constructor shares in memory but a message, a hash or a copy doesn't.

Cost: one pass of PyYAML's own composer; an ordinary file takes a millisecond.
"""

from __future__ import annotations

import os
import select
import stat
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from model.errors import SHOWN_CHARS, ConfigError, one_line, shown

MAX_BYTES: Final = 1 << 20
MAX_DEPTH: Final = 40
MAX_NODES: Final = 20_000
MAX_CHARS: Final = 4 << 20
MAX_NUMBER_CHARS: Final = 100
_PIPE_TIMEOUT_S: Final = 10
_NUMBERS: Final = tuple(f"tag:yaml.org,2002:{kind}" for kind in ("int", "float", "timestamp"))
_MERGE: Final = "tag:yaml.org,2002:merge"


class Fault(yaml.MarkedYAMLError):
    """Valid YAML that is refused: `problem` says why, `problem_mark` where."""


def read_text(path: str | Path, name: str) -> str:
    """Reads a file that a user wrote.

    Args:
        path: A file, or a pipe with something in it (`<(command)` in a shell).
        name: What the file is called in messages, e.g. `--config job.yaml`.

    Raises:
        OSError: It can't be opened.
        ConfigError: It is larger than MAX_BYTES, not UTF-8, or a pipe into which nobody writes.
    """
    try:
        # Without O_NONBLOCK, opening a FIFO waits for somebody who writes, possibly forever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError:
        raise OSError(0, "its name contains a NUL character") from None
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        is_pipe = stat.S_ISFIFO(os.fstat(descriptor).st_mode)
        data = b"".join(_chunks(file.fileno(), is_pipe, name))
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{name} is larger than {MAX_BYTES} bytes, the limit of a file of this kind")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{name}:{line} is not UTF-8: byte 0x{data[error.start]:02x}; save it as UTF-8") from None


def _chunks(descriptor: int, is_pipe: bool, name: str) -> Iterator[bytes]:
    """At most MAX_BYTES + 1 bytes, in chunks: a device may have no end."""
    left = MAX_BYTES + 1
    is_ready = not is_pipe
    while left:
        try:
            chunk = os.read(descriptor, left)
        except BlockingIOError:  # a pipe that somebody has open to write
            chunk, is_ready = b"", False
        if not chunk and is_ready:
            return
        if not chunk and not select.select([descriptor], [], [], _PIPE_TIMEOUT_S)[0]:
            raise ConfigError(f"{name} is a pipe into which nothing was written for {_PIPE_TIMEOUT_S} s")
        is_ready = True
        left -= len(chunk)
        yield chunk


def compose(text: str, name: str) -> yaml.Node | None:
    """Parses YAML within the bounds; None for an empty document.

    Raises:
        ConfigError: It isn't YAML or exceeds a bound; the message has the file's name and the line.
    """
    loader = _BoundedLoader(text, name)
    return loader.get_single_node()


def construct(node: yaml.Node, name: str) -> Any:
    """The value of a composed node. Raises ConfigError."""
    return _BoundedLoader("", name).value_of(node)


def load_yaml(text: str, name: str) -> tuple[Any, dict[str, int]]:
    """Parses YAML within the bounds.

    Returns:
        The value, and the lines of the keys of its two uppermost mappings, as `{"answer": 3, "answer.kind": 4}`.

    Raises:
        ConfigError: It isn't YAML or exceeds a bound.
    """
    node = compose(text, name)
    return (None, {}) if node is None else (construct(node, name), dict(_key_lines(node, "", 2)))


def located(name: str, lines: dict[str, int], error: object) -> ConfigError:
    """The error of a file, with the line of the key that its message names first, where there is one.

    >>> str(located("--task a.yaml", {"answer": 3, "answer.kind": 4}, "answer.kind is 'poem'"))
    "--task a.yaml:4: answer.kind is 'poem'"
    """
    words = [word.strip(":;,'\"") for word in str(error).removeprefix("unknown key ").split(" ", 2)[:2]]
    line = next((lines[key] for word in words for key in lines if _is_called(key, word)), None)
    return ConfigError(f"{name}: {error}" if line is None else f"{name}:{line}: {error}")


def _is_called(key: str, word: str) -> bool:
    return key == word or (word.endswith("...") and len(word) > SHOWN_CHARS and key.startswith(word[:-3]))


def _key_lines(node: yaml.Node, prefix: str, levels: int) -> Iterator[tuple[str, int]]:
    for key, value in node.value if isinstance(node, yaml.MappingNode) and levels else ():
        if isinstance(key, yaml.ScalarNode):
            yield f"{prefix}{key.value}", key.start_mark.line + 1
            yield from _key_lines(value, f"{prefix}{key.value}.", levels - 1)


class _BoundedLoader(yaml.SafeLoader):
    """PyYAML's safe loader, whose every fault is a ConfigError, and which counts while it composes."""

    def __init__(self, text: str, name: str):
        self._name = name
        self._depth = self._nodes = self._chars = 0
        self._sizes: dict[int, tuple[int, int]] = {}  # nodes and characters below each complete node, by its `id`
        try:
            super().__init__(text)
        except yaml.YAMLError as error:
            raise self._refused(error) from None

    def get_single_node(self) -> yaml.Node | None:
        try:
            node: yaml.Node | None = super().get_single_node()
        except (yaml.YAMLError, RecursionError, ValueError, IndexError) as error:
            raise self._refused(error) from None
        return node

    def value_of(self, node: yaml.Node) -> Any:
        try:
            return self.construct_document(node)
        except (yaml.YAMLError, RecursionError) as error:
            raise self._refused(error) from None

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event: Any = self.peek_event()
        mark = event.start_mark
        before = self._nodes, self._chars
        self._depth += 1
        self._nodes += 1
        self._chars += len(getattr(event, "value", None) or "")
        self._check_bounds(mark)
        node: Any = super().compose_node(parent, index)
        if isinstance(event, yaml.AliasEvent):
            if id(node) not in self._sizes:
                raise Fault(problem=f"*{event.anchor} stands inside what it stands for", problem_mark=mark)
            nodes, chars = self._sizes[id(node)]
            self._nodes, self._chars = self._nodes + nodes, self._chars + chars
            self._check_bounds(mark)
        else:
            self._sizes[id(node)] = self._nodes - before[0], self._chars - before[1]
        self._depth -= 1
        composed: yaml.Node = node
        return composed

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE:
                if (key.tag, key.value) in seen:
                    problem = f"{one_line(key.value, SHOWN_CHARS)} is given twice"
                    raise Fault(problem=problem, problem_mark=key.start_mark)
                seen.add((key.tag, key.value))
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        if node.tag in _NUMBERS and isinstance(node, yaml.ScalarNode) and len(node.value) > MAX_NUMBER_CHARS:
            problem = f"a number of {len(node.value)} characters; put text in quotes"
            raise Fault(problem=problem, problem_mark=node.start_mark)
        try:
            value = super().construct_object(node, deep)
        except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError):
            # PyYAML's constructors document none of these, e.g. a ValueError for the 13th month.
            kind = one_line(node.tag.rsplit(":", 1)[-1], SHOWN_CHARS)
            problem = f"{shown(node.value) if isinstance(node.value, str) else 'the value'} can't be read as {kind}"
            raise Fault(problem=problem, problem_mark=node.start_mark) from None
        if isinstance(value, str) and any("\ud800" <= char <= "\udfff" for char in value):
            problem = r"half of a character (a surrogate); write e.g. \U0001f600 instead of \ud83d\ude00"
            raise Fault(problem=problem, problem_mark=node.start_mark)
        if isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
            raise Fault(problem="a number beyond 64 bits", problem_mark=node.start_mark)
        return value

    def construct_mapping(self, node: yaml.Node, deep: bool = False) -> dict[Hashable, Any]:
        # A set's or list's constructor calls this with whatever node there is.
        if not isinstance(node, yaml.MappingNode):
            raise Fault(problem="expected a mapping", problem_mark=node.start_mark)
        return super().construct_mapping(node, deep)

    def _check_bounds(self, mark: Any) -> None:
        if self._depth > MAX_DEPTH:
            raise Fault(problem=f"values are nested more than {MAX_DEPTH} deep", problem_mark=mark)
        if self._nodes > MAX_NODES:
            raise Fault(problem=f"more than {MAX_NODES} values, aliases counted in full", problem_mark=mark)
        if self._chars > MAX_CHARS:
            raise Fault(problem=f"more than {MAX_CHARS} characters, aliases counted in full", problem_mark=mark)

    def _refused(self, error: Exception) -> ConfigError:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        place = self._name if mark is None else f"{self._name}:{mark.line + 1}"
        problem = getattr(error, "problem", None) or getattr(error, "context", None)
        if isinstance(error, yaml.reader.ReaderError):
            problem = f"character {error.position + 1} is #x{error.character:04x}, which YAML doesn't allow"
        if isinstance(error, Fault):
            return ConfigError(f"{place}: {problem}")
        return ConfigError(f"{place} is not valid YAML: {one_line(problem or type(error).__name__, SHOWN_CHARS)}")
