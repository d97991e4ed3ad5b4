"""A job's options: one frozen dataclass, from which flags, YAML keys and help are derived.

    @dataclass(frozen=True, kw_only=True)
    class Options(ModelOptions, CommonOptions):
        \"""Fill in the middle of files.\"""
        spans: int = option(4, help="Spans chosen in each file.", minimum=1)

    options, beam_args = parse(Options, argv)

Flags are the fields' names, parsed strictly; `--config job.yaml` gives the same options and flags override
it; Beam's own options follow `--`. Each field is *semantic* (it changes rows, so a resumed job refuses a change) unless
it is marked operational. Imports neither Beam nor JAX: help and a flag error answer at once.

Longer than most modules: what an option is, how its two spellings are read and which ones jobs share are one thing.
"""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import inspect
import math
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NoReturn, TypeVar

from model.errors import ConfigError

T = TypeVar("T", bound="OptionSet")

Operational = bool | Literal["unless_exact"]
_REQUIRED = dataclasses.MISSING
_NOUNS = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}


def option(
    default: Any = _REQUIRED,
    *,
    help: str,
    operational: Operational = False,
    choices: Sequence[str] | None = None,
    metavar: str | None = None,
    minimum: float | None = None,
    maximum: float | None = None,
    positional: bool = False,
) -> Any:
    """Declares one option as a dataclass field.

    Args:
        default: The value when neither flag nor config gives one; without it the option is required.
        help: One sentence for `--help`, with the unit where there is one.
        operational: Whether a resumed job may change it. "unless_exact": free to change with
            `--determinism fast`, part of what fixes the tokens with `exact`.
        choices: The only values allowed.
        metavar: What stands for the value in the help.
        minimum: The least value allowed, inclusive.
        maximum: The largest value allowed, inclusive.
        positional: Given without a flag (`codemill corpus SOURCE...`).
    """
    metadata = {
        "help": help,
        "operational": operational,
        "choices": tuple(choices) if choices else None,
        "metavar": metavar,
        "minimum": minimum,
        "maximum": maximum,
        "positional": positional,
    }
    return dataclasses.field(default=default, metadata=metadata, kw_only=True)


@dataclass(frozen=True)
class _Kind:
    """What a field's annotation says: the type of one value, whether many, whether None is allowed."""

    scalar: type
    is_list: bool
    is_optional: bool


def _kind(annotation: Any) -> _Kind:
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (types.UnionType, typing.Union):
        inner = [arg for arg in args if arg is not type(None)]
        assert len(inner) == 1 and len(args) == 2, f"an option is T or T | None, got {annotation}"
        return dataclasses.replace(_kind(inner[0]), is_optional=True)
    if origin is tuple:
        assert len(args) == 2 and args[1] is Ellipsis, f"a list option is tuple[T, ...], got {annotation}"
        return dataclasses.replace(_kind(args[0]), is_list=True)
    if origin is Literal:
        return _Kind(str, False, False)
    assert annotation in _NOUNS, f"an option is text, a number, a truth value or a tuple of them, got {annotation}"
    return _Kind(annotation, False, False)


@dataclass(frozen=True)
class _Field:
    """One option, resolved."""

    name: str
    kind: _Kind
    default: Any
    help: str
    operational: Operational
    choices: tuple[str, ...] | None
    metavar: str | None
    minimum: float | None
    maximum: float | None
    positional: bool

    @property
    def flag(self) -> str:
        return self.metavar or self.name.upper() if self.positional else f"--{self.name}"


def _fields(cls: type[OptionSet]) -> list[_Field]:
    """The options of `cls` in the order of the help: its own before those it inherits."""
    hints = typing.get_type_hints(cls)
    found = []
    for field in dataclasses.fields(cls):
        metadata = dict(field.metadata)
        assert "help" in metadata, f"{cls.__name__}.{field.name} must be declared with option(...)"
        if typing.get_origin(hints[field.name]) is Literal and metadata["choices"] is None:
            metadata["choices"] = typing.get_args(hints[field.name])
        found.append(_Field(name=field.name, kind=_kind(hints[field.name]), default=field.default, **metadata))
    own_first = [name for base in cls.__mro__ for name in inspect.get_annotations(base)]
    return sorted(found, key=lambda field: own_first.index(field.name))


@dataclass(frozen=True, kw_only=True)
class OptionSet:
    """Base of all options: holds every field to its choices and limits when it is made."""

    def __post_init__(self) -> None:
        for field in _fields(type(self)):
            value = getattr(self, field.name)
            for one in value if field.kind.is_list else (value,):
                if one is not None:
                    _check_value(field, one)

    @classmethod
    def description(cls) -> str:
        """The first paragraph of the class's docstring, for the help."""
        return " ".join((cls.__doc__ or "").split("\n\n")[0].split())


def _check_value(field: _Field, value: Any) -> None:
    if field.choices is not None and value not in field.choices:
        near = difflib.get_close_matches(str(value), field.choices, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ConfigError(f"{field.flag} is {value!r}, it can be {', '.join(field.choices)}{hint}")
    # `not >=` rather than `<`, which not-a-number would pass.
    if field.minimum is not None and not value >= field.minimum:
        raise ConfigError(f"{field.flag} is {value}, the least is {field.minimum}")
    if field.maximum is not None and not value <= field.maximum:
        raise ConfigError(f"{field.flag} is {value}, the most is {field.maximum}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{field.flag} is {value}, it must be a finite number")


# --- flags -----------------------------------------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        # argparse would print its usage, pages long here, and exit.
        raise ConfigError(f"{message}; see {self.prog} --help")


def _scalar_parser(field: _Field) -> Any:
    """Turns one command-line word into the field's type, with an error in the words of the config's."""

    def parse_word(word: str) -> Any:
        try:
            return field.kind.scalar(word)
        except ValueError:
            raise argparse.ArgumentTypeError(f"expected {_NOUNS[field.kind.scalar]}, got {word!r}") from None

    return parse_word


def _add_flag(group: Any, field: _Field) -> None:
    default = "" if field.default in (_REQUIRED, None, (), "") else f" (default: {_shown(field.default)})"
    required = " (required)" if field.default is _REQUIRED and not field.positional else ""
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
        # Zero are allowed here because the config may give them; `parse` asks for what is required.
        group.add_argument(field.name, nargs="*" if field.kind.is_list else "?", default=argparse.SUPPRESS, **settings)
        return
    if field.kind.is_list:
        settings |= {"action": "extend", "nargs": "+"}
    group.add_argument(f"--{field.name}", default=argparse.SUPPRESS, **settings)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _build_parser(cls: type[OptionSet], fields: Sequence[_Field], prog: str) -> _Parser:
    places = [field.flag + ("..." if field.kind.is_list else "") for field in fields if field.positional]
    parser = _Parser(
        prog=prog,
        usage=" ".join(["%(prog)s", *places, "[--FLAG VALUE...] [-- BEAM_FLAGS]"]),
        description=cls.description(),
        allow_abbrev=False,
        epilog="Options of the Beam runner follow a lone --, e.g.  -- --runner FlinkRunner",
    )
    parser.add_argument("--config", metavar="JOB.YAML", help="Read options from this file; flags override it.")
    rows = parser.add_argument_group("what the rows are", "a resumed job refuses a change of these")
    running = parser.add_argument_group("how the job runs", "free to change when a job is resumed")
    for field in fields:
        _add_flag(running if field.operational is True else rows, field)
    return parser


def _refuse_unknown(words: Sequence[str], fields: Sequence[_Field], prog: str) -> None:
    """Raises ConfigError for what argparse could not place, naming the nearest flag."""
    if not words:
        return
    known = ["--config", "--help"]
    for field in fields:
        if not field.positional:
            known.append(f"--{field.name}")
            known += [f"--no-{field.name}"] if field.kind.scalar is bool else []
    for word in words:
        if word.startswith("-"):
            flag = word.split("=", 1)[0]
            raise ConfigError(f"unknown flag {flag}{_nearest(flag, known)}; see {prog} --help")
    raise ConfigError(f"unexpected {words[0]!r}: it follows no flag that takes it; see {prog} --help")


def _nearest(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ""


# --- config file -----------------------------------------------------------------------------------


def _read_config(path: str, fields: Sequence[_Field]) -> dict[str, Any]:
    """The options that a YAML file gives. Raises ConfigError with file and line."""
    import yaml

    try:
        with open(path, encoding="utf-8") as file:
            node = yaml.compose(file, Loader=yaml.SafeLoader)
    except OSError as error:
        raise ConfigError(f"--config {path} can't be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"--config {path} is not YAML: {' '.join(str(error).split())}") from None
    if node is None:
        return {}
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError(f"{path}:{node.start_mark.line + 1}: expected lines of the form name: value")
    by_name = {field.name: field for field in fields}
    values: dict[str, Any] = {}
    for key_node, value_node in node.value:
        where, name = f"{path}:{key_node.start_mark.line + 1}", str(key_node.value)
        if name not in by_name:
            raise ConfigError(f"{where}: unknown option {name}{_nearest(name, list(by_name))}")
        if name in values:
            raise ConfigError(f"{where}: {name} is given twice")
        try:
            value = yaml.constructor.SafeConstructor().construct_document(value_node)
        except yaml.YAMLError as error:
            raise ConfigError(f"{where}: {name}: {' '.join(str(error).split())}") from None
        values[name] = _from_yaml(by_name[name], value, where)
    return values


def _from_yaml(field: _Field, value: Any, where: str) -> Any:
    if value is None and field.kind.is_optional:
        return None
    if field.kind.is_list:
        return tuple(_yaml_scalar(field, one, where) for one in (value if isinstance(value, list) else [value]))
    return _yaml_scalar(field, value, where)


def _yaml_scalar(field: _Field, value: Any, where: str) -> Any:
    wanted = field.kind.scalar
    if wanted is float and type(value) is int:
        return float(value)
    if type(value) is not wanted:  # `is`: True is an int to isinstance
        raise ConfigError(f"{where}: {field.name}: expected {_NOUNS[wanted]}, got {value!r}")
    return value


# --- the whole ---------------------------------------------------------------------------------------


def parse(cls: type[T], argv: Sequence[str], *, prog: str = "codemill") -> tuple[T, list[str]]:
    """Reads a command line.

    Args:
        cls: The job's options.
        argv: The words after the job's name.
        prog: The command as the user typed it, for messages.

    Returns:
        The options, and the words after `--`, which are Beam's.

    Raises:
        ConfigError: An unknown flag or key, a value that isn't of its type or within its limits, a missing option.
        SystemExit: After `--help` (code 0).
    """
    words = list(argv)
    beam_args: list[str] = []
    if "--" in words:
        cut = words.index("--")
        words, beam_args = words[:cut], words[cut + 1 :]
    fields = _fields(cls)
    namespace, left_over = _build_parser(cls, fields, prog).parse_known_args(words)
    _refuse_unknown(left_over, fields, prog)
    given = vars(namespace)
    config = given.pop("config")
    values = _read_config(config, fields) if config is not None else {}
    values |= {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
    missing = [field.flag for field in fields if field.default is _REQUIRED and values.get(field.name) in (None, ())]
    if missing:
        raise ConfigError(f"missing {', '.join(missing)}; see {prog} --help")
    return cls(**values), beam_args


def all_options(options: OptionSet) -> dict[str, Any]:
    """Every option by name, as JSON can hold it (lists for tuples)."""
    return {
        field.name: list(value) if isinstance(value := getattr(options, field.name), tuple) else value
        for field in _fields(type(options))
    }


def from_all_options(cls: type[T], values: Mapping[str, Any]) -> T:
    """Makes the options again that `all_options` told of, in another process.

    Raises:
        ConfigError: A value is out of its limits.
    """
    return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})


def semantic_options(options: OptionSet) -> dict[str, Any]:
    """The options that change rows, by name, as JSON can hold them: a resumed job must have the same.

    With `--determinism exact` what fixes the device's shapes counts among them.
    """
    is_exact = getattr(options, "determinism", None) == "exact"
    operational = {
        field.name
        for field in _fields(type(options))
        if field.operational is True or (field.operational == "unless_exact" and not is_exact)
    }
    return {name: value for name, value in all_options(options).items() if name not in operational}


def changed_options(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """One line per option that differs between two `semantic_options`, sorted by name.

    >>> changed_options({"seed": 0, "limit": 5}, {"seed": 1, "limit": 5})
    ['--seed was 0, is now 1']
    """
    absent = "absent"
    return [
        f"--{name} was {before.get(name, absent)}, is now {after.get(name, absent)}"
        for name in sorted({*before, *after})
        if before.get(name, absent) != after.get(name, absent)
    ]


# --- options that jobs share -------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class CommonOptions(OptionSet):
    """What every job that reads and writes Parquet takes."""

    input: tuple[str, ...] = option(
        (),
        help="Parquet files, folders and globs (** included), local or gs://; several at once. Required but with "
        "--retry_rejected.",
        metavar="GLOB",
    )
    output: str = option(help="Folder of the dataset, local or gs://.", operational=True, metavar="DIR")
    content_column: str | None = option(None, help="Column of the file's text; found by itself in the usual layouts.")
    path_column: str | None = option(None, help="Column of the file's path; found by itself in the usual layouts.")
    repo_column: str | None = option(None, help="Column of the repository's name; found by itself.")
    language_column: str | None = option(None, help="Column of the language; found by itself.")
    seed: int = option(0, help="All random choices derive from this number and each row's content.", minimum=0)
    limit: int | None = option(None, help="Take only the first so many source rows.", minimum=1, metavar="ROWS")
    max_content_mb: float = option(
        10.0, help="Reject a row whose text is longer than this many megabytes.", minimum=0.001, metavar="MB"
    )
    retry_rejected: str | None = option(
        None, help="Take the rows that this earlier output rejected, read anew from their sources.", metavar="DIR"
    )
    dry_run: bool = option(False, help="Print the plan with its counts and an estimate, and stop.", operational=True)
    shard_mb: int = option(
        256, help="Size of an output file in megabytes, at most.", operational=True, minimum=1, metavar="MB"
    )
    unit_rows: int = option(
        256, help="Rows in a unit of work, at most; settled when the plan is made.", operational=True, minimum=1
    )
    unit_mb: float = option(
        16.0,
        help="Megabytes of text in a unit of work, at most; settled when the plan is made.",
        operational=True,
        minimum=0.01,
        metavar="MB",
    )
    max_units_in_flight: int = option(
        4, help="Units that one worker process has in hand at once.", operational=True, minimum=1, metavar="UNITS"
    )
    max_mb_in_flight: float = option(
        512.0,
        help="Megabytes of text in hand at once in one worker process.",
        operational=True,
        minimum=1,
        metavar="MB",
    )
    break_lock: bool = option(
        False, help="Take over an output that another driver, known to be dead, has locked.", operational=True
    )
    progress: Literal["auto", "bar", "lines", "none"] = option(
        "auto", help="Live bar, plain lines, or nothing; auto: a bar in a terminal.", operational=True
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.input and self.retry_rejected is None:
            raise ConfigError("missing --input: the Parquet files, folders or globs to read")
        if self.input and self.retry_rejected is not None:
            raise ConfigError("--retry_rejected reads the sources that the earlier job read; leave --input out")


@dataclass(frozen=True, kw_only=True)
class ModelOptions(OptionSet):
    """What every job that runs a model takes."""

    model: str = option(
        "embedded", help="A checkpoint folder, or `embedded`, the small model that ships with codemill.", metavar="PATH"
    )
    determinism: Literal["fast", "exact"] = option(
        "fast", help="exact: the same tokens, bit for bit, on the same version, hardware and shapes."
    )
    dtype: Literal["auto", "float32", "bfloat16"] = option(
        "auto", help="Compute type; auto: float32 on a CPU, bfloat16 on TPU and GPU."
    )
    temperature: float = option(0.0, help="Divides the logits; 0 takes the likeliest token.", minimum=0.0)
    top_k: int = option(0, help="Draw among the k likeliest tokens; 0 keeps all.", minimum=0, metavar="K")
    top_p: float = option(
        1.0, help="Draw among the likeliest tokens that together reach this probability.", maximum=1.0, metavar="P"
    )
    # With max_new_tokens it fills the embedded model's context of 1,024.
    max_prompt_tokens: int = option(
        896,
        help="Longest prompt: context is cut to it, and what still doesn't fit is rejected.",
        minimum=16,
        metavar="TOKENS",
    )
    max_new_tokens: int = option(128, help="Tokens generated for a target, at most.", minimum=1, metavar="TOKENS")
    slots: int | None = option(
        None,
        help="Requests decoded at once; chosen from the memory if not given.",
        operational="unless_exact",
        minimum=1,
    )
    compile_cache: str | None = option(
        None, help="Folder of XLA's persistent compilation cache.", operational=True, metavar="DIR"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.top_p > 0:
            raise ConfigError(f"--top_p is {self.top_p}, it must be above 0 and at most 1")
        if self.temperature == 0 and (self.top_k or self.top_p < 1):
            raise ConfigError(
                "--top_k and --top_p choose among drawn tokens, but --temperature 0 draws none; raise --temperature"
            )


@dataclass(frozen=True, kw_only=True)
class GeneratingOptions(ModelOptions, CommonOptions):
    """What every job that runs a model over a corpus takes."""

    policy: str = option(
        "default",
        help="What filters do with secrets, personal and unsafe content: strict, default, annotate, none, or a file.",
    )
    row_workers: int | None = option(
        None,
        help="Processes for parsing and checking beside the engine; 0 runs them in its own; chosen if not given.",
        operational=True,
        minimum=0,
        metavar="PROCESSES",
    )
    policy_version: str = option(
        "", help="Hash of policy and rules; filled in, so that a resumed job refuses other ones.", metavar="HASH"
    )
    samples: int = option(1, help="Answers asked for per target; more than one needs --temperature.", minimum=1)
    keep: int = option(1, help="Distinct answers that are kept of each target's samples, at most.", minimum=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.samples > 1 and self.temperature == 0:
            raise ConfigError(f"--samples {self.samples} wants different answers, --temperature 0 gives one; raise it")
        if self.keep > self.samples:
            raise ConfigError(f"--keep {self.keep} is more than --samples {self.samples}")
