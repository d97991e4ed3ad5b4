"""Checks a user's rule file in a child process, before it is read here: what it contains is a program for two engines.

TOML can be nested or dotted without end, a pattern takes as long to compile as its author likes, and Hyperscan compiles
in C. The child (`transforms.bounded`) does all of that first, within limits of time and memory.

Cost: a second for each rule file, in the process that starts the job and in each worker.
"""

from __future__ import annotations

from pathlib import Path

from model.errors import ConfigError, one_line
from transforms import bounded
from transforms.scanning.rule import RuleSet
from transforms.scanning.rules import read_rule_file
from transforms.scanning.scanner import Scanner

CPU_S = 10.0
"""Processor seconds for a rule file; the project's own four hundred rules take two."""


def check_rule_file(path: Path) -> None:
    """Raises ConfigError (one line: file, rule, reason) if a rule file can't be used, within bounds."""
    try:
        fault = bounded.call("check_rule_file", (str(path),), cpu_s=CPU_S)
    except bounded.LimitExceeded as error:
        fault = f"rule file {one_line(path.name)} was checked, but {error}; simplify its patterns"
    if fault:
        raise ConfigError(fault)


def fault_of(path: str) -> str | None:
    """What is wrong with a rule file, or None. Takes as long as its author wants: see `check_rule_file`."""
    try:
        Scanner(RuleSet(tuple(read_rule_file(Path(path))))).compile_patterns()
    except ConfigError as error:
        return str(error)
    return None
