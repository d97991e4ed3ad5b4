"""Checks whether a documentation agrees with its symbol and is worth keeping, as named verdicts.

Each verdict is True, False or None (not decidable from the syntax alone); `REASONS` has the rejection reason for each
False one. Agreement (`claims`): documented names are parameters (for a class: its constructor's); if it documents some
parameters, it documents all; types and defaults that it states for them are the code's; it mentions a result only if
there is one, with the right type; it names only raised types that the code can raise. Worth keeping (`prose`): prose in
the language's own form, not empty, not just the name, not cut off, not repetitive, no chatter, within the bounds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from transforms.documentation.claims import parameter_verdicts, parameters_of, raises_agree, result_agrees
from transforms.documentation.examples import without_examples
from transforms.documentation.facts import DocFacts, PythonStyle
from transforms.documentation.prose import (
    asks_again,
    copies_code,
    is_template,
    is_unfinished,
    reads_as_code,
    repeats_itself,
    repeats_name,
)
from transforms.symbols import Symbol
from transforms.talk import is_chatter

# verdict -> rejection reason, in the order in which they are checked
REASONS: Final[Mapping[str, str]] = {
    "not_empty": "empty_documentation",
    "no_chatter": "chatter",
    "is_prose": "code_for_documentation",
    "not_cut_off": "cut_off",
    "right_style": "wrong_form",
    "not_the_name": "repeats_the_name",
    "length_in_bounds": "length_out_of_bounds",
    "not_repeating": "repeats_itself",
    "no_invented_parameter": "invented_parameter",
    "no_missing_parameter": "missing_parameter",
    "parameter_types_agree": "parameter_type_disagrees",
    "defaults_agree": "default_disagrees",
    "result_agrees": "result_disagrees",
    "raises_agree": "raises_disagree",
}

# Claims of a text, which the syntax alone can't always decide (a called function may raise anything): they reject a
# text that the code contradicts, and their null verdict is published. All other checks are required.
CLAIMS: Final = frozenset(
    (
        "no_invented_parameter",
        "no_missing_parameter",
        "parameter_types_agree",
        "defaults_agree",
        "result_agrees",
        "raises_agree",
    )
)
REQUIRED: Final = tuple(check for check in REASONS if check not in CLAIMS)

# At least three letters of any script.
_LETTERS: Final = re.compile(r"(?:[\W\d_]*[^\W\d_]){3}")


@dataclass(frozen=True, kw_only=True)
class DocBounds:
    """Bounds on a documentation's length, in characters of its plain text."""

    min_chars: int = 8
    max_chars: int = 4000


def verify(
    symbol: Symbol,
    facts: DocFacts,
    grammar: str,
    *,
    body: str,
    header: str = "",
    written: str = "",
    was_cut: bool,
    style: PythonStyle | None = None,
    bounds: DocBounds = DocBounds(),
) -> dict[str, bool | None]:
    """Checks the claims of a documentation.

    Args:
        symbol: The symbol that it documents.
        facts: Its claims (`read_facts`).
        grammar: The language.
        body: The symbol's code.
        header: Its declaration.
        written: What the model wrote, if the place's own words stand before it (Go: the symbol's name): it must be
            worth keeping alone. "" if that is the whole text.
        was_cut: Whether generation stopped at its token limit.
        style: The required Python style; None accepts any one.
        bounds: Length limits.
    """
    text = facts.prose
    own = without_examples(written, grammar) if written else facts.told
    texts = (own,) if own == facts.told else (own, facts.told)
    return {
        "not_empty": _LETTERS.match(text) is not None and not any(map(is_template, texts)),
        "no_chatter": not any(is_chatter(part) or asks_again(symbol.name, part) for part in texts),
        "is_prose": not any(reads_as_code(part, grammar) or copies_code(part, f"{header}\n{body}") for part in texts),
        "not_cut_off": not was_cut and not is_unfinished(facts.told),
        "right_style": not facts.mixed_styles
        and not facts.foreign_form
        and not facts.is_broken
        and (style is None or facts.style in (None, style)),
        "length_in_bounds": bounds.min_chars <= len(text) <= bounds.max_chars,
        "not_the_name": not any(repeats_name(symbol.name, part) for part in texts),
        "not_repeating": not repeats_itself(facts.told),
        **parameter_verdicts(symbol, facts, grammar, body if symbol.constructor is not None else header),
        "result_agrees": result_agrees(symbol, facts, grammar),
        "raises_agree": raises_agree(symbol, facts, body, grammar),
    }


def explain(
    check: str, symbol: Symbol, facts: DocFacts, *, style: PythonStyle | None = None, bounds: DocBounds = DocBounds()
) -> str:
    """A one-line explanation of a failed check; it quotes neither code nor text. "" if the reason is sufficient.

    Args:
        check: A key of `REASONS`.
        symbol, facts, style, bounds: As for `verify`.
    """
    real = parameters_of(symbol)
    known = {parameter.name for parameter in real} | set(symbol.type_parameters)
    match check:
        case "no_invented_parameter":
            names = (*facts.parameters, *facts.type_parameters)
            invented = [name for name in names if name not in known]
            return f"{len(invented)} of {len(names)} documented names are not among the {len(real)} parameters"
        case "no_missing_parameter":
            missing = {parameter.name for parameter in real} - set(facts.parameters)
            return f"{len(missing)} of {len(real)} parameters are not documented, although others are"
        case "parameter_types_agree":
            return "a documented type of a parameter is not the declared one"
        case "defaults_agree":
            return "a documented default of a parameter is not the code's"
        case "length_in_bounds":
            return f"{len(facts.prose)} characters, allowed: {bounds.min_chars} to {bounds.max_chars}"
        case "result_agrees":
            return (
                "documents another result type" if symbol.returns_value else "documents a result, the code returns none"
            )
        case "raises_agree":
            return f"{len(set(facts.raises) - set(symbol.raises))} documented exceptions that the code does not raise"
        case "right_style":
            if facts.foreign_form:
                return f"{facts.foreign_form} are not this language's documentation format"
            if facts.is_broken:
                return "its sections or tags can't be parsed: section content must be indented, XML must be well-formed"
            return (
                "sections in two styles" if facts.mixed_styles else f"sections in {facts.style} style, not in {style}"
            )
    return ""
