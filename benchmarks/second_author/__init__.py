"""Samples of a second author for the filters, written from what the filters promise and not from their rules.

A form is a piece of code, settings or prose with places for values; a sample is a form with values drawn into it. All
values are made at run time, so no scanner finds one here. Half of the forms, by a hash of their names, are for
development; the others stay untouched until the end, so figures of those tell what a form nobody looked at does.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_PLACE = re.compile(r"~(=?)(\w+)~")


@dataclass(frozen=True)
class Form:
    """`text` with places `~maker~` for values that must be found and `~=maker~` for values that don't matter.

    Where there is no place of the first kind, `bad` tells whether the text as a whole is to be found; if it isn't,
    nothing of the form's kind may be.
    """

    kind: str
    name: str
    path: str
    text: str
    bad: bool = False

    @property
    def held_out(self) -> bool:
        """True for the half that isn't looked at while rules are mended."""
        return hashlib.blake2b(f"{self.kind}/{self.name}".encode(), digest_size=1).digest()[0] % 2 == 1


@dataclass(frozen=True)
class Sample:
    """One form with values; `values` are those to be found, none if the sample is negative."""

    form: Form
    path: str
    text: str
    values: tuple[str, ...]


def drawn(
    forms: list[Form], makers: dict[str, Callable[[random.Random], str]], *, draws: int, seed: int
) -> Iterator[Sample]:
    """`draws` samples of each form, always the same ones for a seed."""
    for form in forms:
        for turn in range(draws):
            rng = random.Random(f"{seed}:{form.kind}:{form.name}:{turn}")
            values: list[str] = []

            def value(place: re.Match[str], rng: random.Random = rng, values: list[str] = values) -> str:
                made = makers[place[2]](rng)
                if not place[1]:
                    values.append(made)
                return made

            text = _PLACE.sub(value, form.text)
            yield Sample(form, form.path, text, tuple(values))


def forms_of(kind: str, listed: str, *, bad: bool = False) -> list[Form]:
    """Forms written one after the other: `### name | path`, then the text up to the next such line."""
    parts = re.split(r"^### (.+?) \| (\S+)\n", listed, flags=re.MULTILINE)[1:]
    return [Form(kind, parts[i], parts[i + 1], parts[i + 2], bad) for i in range(0, len(parts), 3)]
