"""`--print_config`: a job's options as a config file that sets them all, to keep or to start from.

    codemill infill --print_config > job.yaml
    codemill infill --config job.yaml

An option without a value stands in a comment, with what it means; every other one has the value that a job would run
with. Read back, the file gives the same options.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from jobs.options.fields import REQUIRED, Field


def config_text(fields: Sequence[Field], values: Mapping[str, Any], *, prog: str, resumes: bool) -> str:
    """Returns the config file.

    Args:
        fields: The options that a user can set, in the order of the help.
        values: Values by name, of those that were given; others have their default.
        prog: The command that reads the file.
        resumes: Whether its job can be resumed, so that some options may not change.
    """
    lines = [f"# {prog} --config FILE"]
    if not resumes:
        return "\n".join([*lines, "", *(_line(field, values) for field in fields)])
    for title, operational in (("options that affect the output", False), ("runtime options", True)):
        lines += ["", f"# {title}"]
        lines += [_line(field, values) for field in fields if (field.operational is True) == operational]
    return "\n".join(lines)


def _line(field: Field, values: Mapping[str, Any]) -> str:
    value = values.get(field.name, field.default)
    if value is None or value is REQUIRED:
        state = "required: " if field.default is REQUIRED else ""
        return f"# {field.name}:  # {state}{field.help}"
    return f"{field.name}: {_scalar(list(value) if isinstance(value, tuple) else value)}"


def _scalar(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, width=2**31, allow_unicode=False)
    return text.removesuffix("...\n").strip()
