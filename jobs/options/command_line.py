"""Parses a job's options from a command line and a config file; flags, YAML keys and help are derived from the fields.

    options, beam_args = parse(Options, argv)

Flags are the fields' names, in which `-` may stand for `_`. `--config job.yaml` sets the same options, and flags
override it. Beam's own options follow `--`. Unknown names are refused, with the nearest known name. Imports neither
Beam nor JAX, so help and flag errors respond immediately.
"""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from jobs.options.fields import NOUNS, REQUIRED, Field, OptionSet, fields_of
from model.errors import SHOWN_CHARS, ConfigError, one_line, shown

if TYPE_CHECKING:
    import yaml

T = TypeVar("T", bound=OptionSet)


def parse(cls: type[T], argv: Sequence[str], *, prog: str = "codemill") -> tuple[T, list[str]]:
    """Reads a command line.

    Args:
        cls: The job's options.
        argv: The words after the job's name.
        prog: The command as the user typed it, used in messages.

    Returns:
        The options, and the words after `--`, which are Beam's.

    Raises:
        ConfigError: A flag or key is unknown, a value has the wrong type or is out of range, or an option is missing.
        SystemExit: After `--help` or `--print_config` (code 0).
    """
    words = list(argv)
    beam_args: list[str] = []
    if "--" in words:
        cut = words.index("--")
        words, beam_args = words[:cut], words[cut + 1 :]
    every = fields_of(cls)
    fields = [field for field in every if not field.internal]
    namespace, left_over = _build_parser(cls, fields, prog).parse_known_args(_with_underscores(words, fields))
    _refuse_unknown(left_over, fields, prog)
    given = vars(namespace)
    config, prints = given.pop("config"), given.pop("print_config")
    values = _read_config(config, every) if config is not None else {}
    values |= {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
    if prints:
        _print_config(cls, fields, values, prog)
    missing = [field.flag for field in fields if field.default is REQUIRED and values.get(field.name) in (None, ())]
    if missing:
        raise ConfigError(f"missing {', '.join(missing)}; see {prog} --help")
    return cls(**values), beam_args


# --- flags -----------------------------------------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        # argparse would print its usage, which is pages long here, and exit.
        raise ConfigError(f"{message}; see {self.prog} --help")


def _scalar_parser(field: Field) -> Any:
    """Converts one command-line word to the field's type; the error has the same wording as for a config file."""

    def parse_word(word: str) -> Any:
        try:
            value = field.kind.scalar(word)
        except ValueError:
            raise argparse.ArgumentTypeError(f"expected {NOUNS[field.kind.scalar]}, got {shown(word)}") from None
        if isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:  # as in a config file
            raise argparse.ArgumentTypeError(f"expected {NOUNS[int]} of 64 bits, got {shown(word)}")
        return value

    return parse_word


def _add_flag(group: Any, field: Field) -> None:
    default = "" if field.default in (REQUIRED, None, (), "") else f" (default: {_shown(field.default)})"
    required = " (required)" if field.default is REQUIRED and not field.positional else ""
    settings: dict[str, Any] = {"help": (field.help + default + required).replace("%", "%%")}
    if field.kind.scalar is bool:
        group.add_argument(
            f"--{field.name}", action=argparse.BooleanOptionalAction, default=argparse.SUPPRESS, **settings
        )
        return
    settings["type"] = _scalar_parser(field)
    choices = "{" + ",".join(field.choices) + "}" if field.choices else None
    settings["metavar"] = field.metavar or choices or field.name.rsplit("_", 1)[-1].upper()
    if field.positional:
        # Zero values are allowed here because the config may set them; `parse` checks what is required.
        group.add_argument(field.name, nargs="*" if field.kind.is_list else "?", default=argparse.SUPPRESS, **settings)
        return
    if field.kind.is_list:
        settings |= {"action": "extend", "nargs": "+"}
    group.add_argument(f"--{field.name}", default=argparse.SUPPRESS, **settings)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _with_underscores(words: Sequence[str], fields: Sequence[Field]) -> list[str]:
    """Spells flags as they are declared: `--unit-rows` and `--no-dry-run` become `--unit_rows` and `--no-dry_run`."""
    declared = {"print_config": "--print_config"}
    for field in fields:
        declared[field.name] = f"--{field.name}"
        if field.kind.scalar is bool:
            declared[f"no_{field.name}"] = f"--no-{field.name}"

    def spelled(word: str) -> str:
        flag, equals, value = word.partition("=")
        return declared.get(flag[2:].replace("-", "_"), flag) + equals + value if flag.startswith("--") else word

    return [spelled(word) for word in words]


def _build_parser(cls: type[OptionSet], fields: Sequence[Field], prog: str) -> _Parser:
    places = [field.flag + ("..." if field.kind.is_list else "") for field in fields if field.positional]
    parser = _Parser(
        prog=prog,
        usage=" ".join(["%(prog)s", *places, "[--FLAG VALUE...]", *(["[-- BEAM_FLAGS]"] if cls.takes_beam else [])]),
        description=cls.description(),
        allow_abbrev=False,
        epilog="Beam runner options follow a lone --, e.g.  -- --runner FlinkRunner" if cls.takes_beam else None,
    )
    add_flags(parser, fields, resumes=cls.resumes)
    return parser


def add_flags(parser: argparse.ArgumentParser, fields: Sequence[Field], *, resumes: bool) -> None:
    """Adds the flags of a job: its options, in two groups if it can be resumed, and those that every job has."""
    parser.add_argument("--config", metavar="JOB.YAML", help="Read options from this YAML file; flags override it.")
    parser.add_argument("--print_config", action="store_true", help="Print all options as such a file, then exit.")
    if not resumes:
        for field in fields:
            _add_flag(parser, field)
        return
    rows = parser.add_argument_group("options that affect the output", "a resumed job refuses changed values")
    running = parser.add_argument_group("runtime options", "may change when a job is resumed")
    for field in fields:
        _add_flag(running if field.operational is True else rows, field)


def _refuse_unknown(words: Sequence[str], fields: Sequence[Field], prog: str) -> None:
    """Raises ConfigError for words that argparse did not recognize, naming the nearest flag."""
    if not words:
        return
    known = ["--config", "--print_config", "--help"]
    for field in fields:
        if not field.positional:
            known.append(f"--{field.name}")
            known += [f"--no-{field.name}"] if field.kind.scalar is bool else []
    for word in words:
        if word.startswith("-"):
            flag = word.split("=", 1)[0]
            raise ConfigError(f"unknown flag {flag}{_nearest(flag, known)}; see {prog} --help")
    raise ConfigError(f"unexpected {words[0]!r}: no flag before it takes a value; see {prog} --help")


def _nearest(name: str, known: Sequence[str]) -> str:
    """The known name that is most alike; dashes in front are not counted, since all flags have them."""
    bare = {one.removeprefix("--"): one for one in known}
    near = difflib.get_close_matches(name[:100].lstrip("-"), list(bare), n=1, cutoff=0.6)
    return f"; did you mean {bare[near[0]]}?" if near else ""


# --- config file -----------------------------------------------------------------------------------


def _print_config(cls: type[OptionSet], fields: Sequence[Field], values: dict[str, Any], prog: str) -> NoReturn:
    """Prints the options as a config file and exits; values are checked when that file is read."""
    from jobs.options.config_text import config_text
    from jobs.terminal.escapes import print_text

    print_text(config_text(fields, values, prog=prog, resumes=cls.resumes))
    raise SystemExit(0)


def _read_config(path: str, fields: Sequence[Field]) -> dict[str, Any]:
    """Reads options from a YAML file. Raises ConfigError with file and line."""
    import yaml

    from transforms.user_files import compose, read_text

    shown_path = one_line(path)
    try:
        node = compose(read_text(path, f"--config {shown_path}"), f"--config {shown_path}")
    except OSError as error:
        raise ConfigError(f"--config {shown_path} can't be read: {error.strerror}") from None
    if node is None:
        return {}
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError(f"{shown_path}:{node.start_mark.line + 1}: expected lines of the form name: value")
    pairs = []
    for key_node, value_node in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            where = f"{shown_path}:{key_node.start_mark.line + 1}"
            raise ConfigError(f"{where}: expected lines of the form name: value")
        pairs.append((key_node.value, key_node, value_node))
    return option_values(pairs, fields, shown_path)


def option_values(
    pairs: Iterable[tuple[str, yaml.Node, yaml.Node]], fields: Sequence[Field], path: str
) -> dict[str, Any]:
    """Converts a YAML mapping to options.

    Args:
        pairs: Names, and the nodes of name and value.
        fields: The options.
        path: The file, for messages.

    Raises:
        ConfigError: A name is unknown or a value has the wrong type; the message names file and line.
    """
    from transforms.user_files import construct

    internal = {field.name for field in fields if field.internal}
    by_name = {field.name: field for field in fields if not field.internal}
    values: dict[str, Any] = {}
    for name, key_node, value_node in pairs:
        where = f"{path}:{key_node.start_mark.line + 1}"
        if name in internal:
            raise ConfigError(f"{where}: {name} is filled in by codemill; remove this line")
        if name not in by_name:
            raise ConfigError(f"{where}: unknown option {one_line(name, SHOWN_CHARS)}{_nearest(name, list(by_name))}")
        values[name] = _from_yaml(by_name[name], construct(value_node, path), where)
    return values


def _from_yaml(field: Field, value: Any, where: str) -> Any:
    if value is None and field.kind.is_optional:
        return None
    if field.kind.is_list:
        return tuple(_yaml_scalar(field, one, where) for one in (value if isinstance(value, list) else [value]))
    return _yaml_scalar(field, value, where)


def _yaml_scalar(field: Field, value: Any, where: str) -> Any:
    wanted = field.kind.scalar
    if wanted is float and type(value) is int:
        return float(value)
    if type(value) is not wanted:  # `is`: True is an int to isinstance
        raise ConfigError(f"{where}: {field.name}: expected {NOUNS[wanted]}, got {shown(value)}")
    return value
