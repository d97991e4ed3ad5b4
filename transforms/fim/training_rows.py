"""Turns source files into packed rows of fill-in-the-middle examples to train on.

    file -> spans -> window around each span -> <bos> fim document <file_separator> -> packed rows

1. A file gives an example for about every `TOKENS_AN_EXAMPLE` of its tokens, so long files weigh more than short ones.
2. Each example is a hole as infill jobs choose them (`choose_spans`), a window of a random size around it as they
   cut them (`fit_window`), PSM or SPM evenly, a share of them with the line `path⏎`. `1 - fim_rate` of the
   examples are plain text instead: a run of whole lines, left to right.
3. Examples are packed into rows of one length: each row takes the longest of a pool that still fits, so
   little is padding. A segment id tells a row's examples apart.

Everything is drawn from the seed, the file's hash and the epoch. Sources: Bavarian et al., arXiv 2207.14255 (FIM,
PSM and SPM); the CodeGemma report, arXiv 2406.11409 (rates).
"""

from __future__ import annotations

import bisect
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.errors import ConfigError, RecordError
from model.tokenizer import Tokenizer
from transforms.fim.formats import fim_document, path_line_text
from transforms.fim.spans import DEFAULT_MIX, Recipe, choose_spans
from transforms.fim.windows import fit_window
from transforms.rows.row import Row, derive_seed

# A file is cut into examples as often as it would take to show each of its tokens about once.
TOKENS_AN_EXAMPLE: Final = 256
CHARS_A_TOKEN: Final = 3  # of Python in a small vocabulary, roughly
MAX_EXAMPLES_A_FILE: Final = 24
POOL: Final = 128  # examples to choose from when a row is filled


@dataclass(frozen=True, kw_only=True)
class ExampleRecipe:
    """How files become examples.

    Args:
        max_tokens: Longest example, control tokens included.
        min_tokens: The smallest budget that is drawn for one; a short file may give less.
        fim_rate: Share of the examples that are FIM; the others are plain text.
        path_rate: Share of the FIM examples that begin with the file's path.
        middle_weight: Loss weight of a middle's tokens and of its end; all others weigh 1.
        mix: Weights of the kinds of span.
    """

    max_tokens: int
    min_tokens: int = 96
    fim_rate: float = 0.9
    path_rate: float = 0.2
    middle_weight: float = 1.0
    mix: Mapping[str, float] = field(default_factory=lambda: dict(DEFAULT_MIX))

    def __post_init__(self) -> None:
        if not 32 <= self.min_tokens <= self.max_tokens:
            raise ConfigError(
                f"examples of {self.min_tokens} to {self.max_tokens} tokens: need 32 <= min_tokens <= max_tokens"
            )
        for name in ("fim_rate", "path_rate"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be between 0 and 1")


class Example(NamedTuple):
    """One training document.

    Args:
        ids: Token ids, from `<bos>` to the separator that ends it.
        weighted_from: From this index on the targets weigh `middle_weight`; the length where none do.
    """

    ids: list[int]
    weighted_from: int


class PackedRow(NamedTuple):
    """One row of the training batch; all three lists have the row's length."""

    tokens: list[int] | NDArray[np.int32]
    segment_ids: list[int] | NDArray[np.int32]
    loss_weights: list[float] | NDArray[np.float32]


def examples_of(row: Row, tokenizer: Tokenizer, recipe: ExampleRecipe, *, seed: int, epoch: int = 0) -> list[Example]:
    """The examples that a file gives in an epoch; fewer where its text offers less."""
    text = row.content
    count = max(1, min(MAX_EXAMPLES_A_FILE, len(text) // (CHARS_A_TOKEN * TOKENS_AN_EXAMPLE)))
    spans = choose_spans(
        text,
        row.language,
        path=row.path,
        job_seed=derive_seed(seed, row.content_sha256, "epoch", epoch),
        content_sha256=row.content_sha256,
        count=count,
        recipe=Recipe(mix=recipe.mix),
    )
    rng = random.Random(derive_seed(seed, row.content_sha256, "training_rows", epoch))
    found = []
    for span in spans:
        budget = rng.randint(recipe.min_tokens, recipe.max_tokens)
        if rng.random() >= recipe.fim_rate:
            found.append(_plain_example(text, span.start, tokenizer, budget))
            continue
        path = tokenizer.encode(path_line_text(row.path)) if rng.random() < recipe.path_rate else []
        mode = rng.choice(("psm", "spm"))
        middle = tokenizer.encode(text[span.start : span.end])
        room = min(max(budget, len(middle) + 64), recipe.max_tokens) - len(middle) - len(path) - 5
        if room < 1:
            continue
        try:
            window = fit_window(tokenizer, text, span.start, span.end, room)
        except RecordError:  # the hole's own line is longer than the window: another span will do
            continue
        ids = fim_document(tokenizer, mode, window.prefix_ids, middle, window.suffix_ids, path_line=path)  # type: ignore[arg-type]
        ids = [tokenizer.bos, *ids, tokenizer.file_separator]
        found.append(Example(ids, len(ids) - len(middle) - 1))
    return found


def _plain_example(text: str, around: int, tokenizer: Tokenizer, budget: int) -> Example:
    """Whole lines from the start of the line that holds `around`, as many as the budget has room for."""
    start = text.rfind("\n", 0, around) + 1
    ids = tokenizer.encode(text[start : start + 8 * budget])[: budget - 2]
    ids = [tokenizer.bos, *ids]
    if start + 8 * budget >= len(text) and len(ids) < budget - 1:
        ids.append(tokenizer.file_separator)
    return Example(ids, len(ids))


def pack(examples: Iterable[Example], length: int, *, pad: int, middle_weight: float = 1.0) -> Iterator[PackedRow]:
    """Packs examples into rows, each row the longest that fit from a pool of `POOL`.

    Nothing is lost or cut: every example is in one row, whole. Those longer than `length` are refused.

    Raises:
        ValueError: An example is longer than a row.
    """
    pool: list[Example] = []  # by length
    for example in examples:
        if len(example.ids) > length:
            raise ValueError(f"an example has {len(example.ids)} tokens, more than the row's {length}")
        bisect.insort(pool, example, key=lambda one: len(one.ids))
        if len(pool) >= POOL:
            yield _fill(pool, length, pad, middle_weight)
    while pool:
        yield _fill(pool, length, pad, middle_weight)


def _fill(pool: list[Example], length: int, pad: int, middle_weight: float) -> PackedRow:
    tokens: list[int] = []
    segments: list[int] = []
    weights: list[float] = []
    # The oldest would starve if it were neither long nor a good fit; the pool is small, so every length gets its turn.
    while (place := bisect.bisect_right(pool, length - len(tokens), key=lambda one: len(one.ids))) > 0:
        example = pool.pop(place - 1)
        segments += [segments[-1] + 1 if segments else 1] * len(example.ids)
        own = [1.0] * example.weighted_from + [middle_weight] * (len(example.ids) - example.weighted_from)
        weights += [0.0, *own[1:]]  # nothing comes before `<bos>` to predict it
        tokens += example.ids
    room = length - len(tokens)
    return PackedRow(tokens + [pad] * room, segments + [0] * room, weights + [0.0] * room)


def rows_of(
    files: Sequence[Row], tokenizer: Tokenizer, recipe: ExampleRecipe, *, length: int, seed: int, epoch: int
) -> Iterator[PackedRow]:
    """One pass over the files, in an order of its own for each epoch."""
    order = list(range(len(files)))
    random.Random(derive_seed(seed, "order", "training_rows", epoch)).shuffle(order)

    def examples() -> Iterator[Example]:
        # A file's examples would stand side by side in a batch: they wait in a buffer and come out shuffled.
        rng = random.Random(derive_seed(seed, "shuffle", "training_rows", epoch))
        waiting: list[Example] = []
        for index in order:
            waiting += examples_of(files[index], tokenizer, recipe, seed=seed, epoch=epoch)
            while len(waiting) > 1000:
                place = rng.randrange(len(waiting))
                waiting[place], waiting[-1] = waiting[-1], waiting[place]
                yield waiting.pop()
        rng.shuffle(waiting)
        yield from waiting

    return pack(examples(), length, pad=tokenizer.pad, middle_weight=recipe.middle_weight)
