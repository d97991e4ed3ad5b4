"""The claims of a documentation: the parameters that it names, whether it mentions a result, which types are raised.

Prose is not searched for names: only what a convention marks is a claim.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from transforms.documentation.defaults import stated_default

PythonStyle = Literal["google", "numpy", "rest", "epytext"]


@dataclass(frozen=True, kw_only=True, slots=True)
class DocFacts:
    """The claims of a documentation.

    Args:
        prose: All of its text, without XML tags.
        told: The same without examples, to be judged as prose.
        summary: Its first paragraph on one line, without tags.
        parameters: Names that it documents, in order, without stars and defaults.
        parameter_types: The types that it states for them, as written.
        defaults: The literals that it states as their defaults.
        type_parameters: Names that it documents as type parameters.
        mentioned: Names that it describes otherwise: properties (KDoc), and names in its prose that are marked as code.
        sections: Rust: which of `errors` and `panics` it has.
        has_result: Whether it mentions a returned or yielded value.
        result_type: The type that it states for that value, as written; "" if it states none.
        raises: Types that it says are raised.
        style: The Python style of its sections, or None.
        mixed_styles: Whether it has sections of more than one Python style.
        foreign_form: The other language's form in which it is written, or "".
        is_broken: Whether its sections can't be parsed, or its XML (C#) is not well-formed.
    """

    prose: str
    summary: str
    told: str = ""
    parameters: tuple[str, ...] = ()
    parameter_types: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, str] = field(default_factory=dict)
    type_parameters: tuple[str, ...] = ()
    mentioned: frozenset[str] = frozenset()
    sections: tuple[str, ...] = ()
    has_result: bool = False
    result_type: str = ""
    raises: tuple[str, ...] = ()
    style: PythonStyle | None = None
    mixed_styles: bool = False
    foreign_form: str = ""
    is_broken: bool = False


def summary_of(text: str) -> str:
    """A documentation's first paragraph on one line, without tags."""
    paragraph = re.split(r"\n\s*\n", text.strip(), maxsplit=1)[0]
    return " ".join(re.split(r"^\s*[@\\]\w+", paragraph, maxsplit=1, flags=re.M)[0].split())


def names_of(written: str) -> list[str]:
    """The parameter names in a documentation's item: `w, h : int` names two, `\\*args` is `args`, `[x=1]` is `x`."""
    bare = re.sub(r"\(.*?\)", "", written).split(":")[0]
    names = (
        re.sub(r"^[-\u2022 \[`'\"\\*&.]+|[\]`'\",\\*:]+$", "", name.split("=")[0].strip()) for name in bare.split(",")
    )
    return [name for name in names if name]


def stated_defaults(descriptions: Mapping[str, str]) -> dict[str, str]:
    """The literals that descriptions of parameters state as defaults, by name."""
    return {name: literal for name, told in descriptions.items() if (literal := stated_default(told))}
