"""Turns source files into packed rows of fill-in-the-middle examples for training.

    file -> spans -> window around each span -> <bos> fim document <file_separator> -> packed rows

1. A file gives one example for about every `TOKENS_AN_EXAMPLE` of its tokens, so long files weigh more than short ones.
2. Each example has a span chosen as in infill jobs (`choose_spans`), a window of a random size around it cut as in
   infill jobs (`fit_window`), PSM or SPM with equal probability, and in a share of them the line `path⏎`. A share
   `1 - fim_rate` of the examples is plain text instead: a run of complete lines, left to right.
3. Examples are packed into rows of one length: each row takes the longest from a pool that still fits, so there is
   little padding. Segment ids distinguish the examples of a row.

All sampling is seeded by the seed, the file's hash and the epoch. Sources: Bavarian et al., arXiv 2207.14255 (FIM,
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
from transforms.fim.formats import document_end, fim_document, path_line_text
from transforms.fim.kinds import DEFAULT_MIX
from transforms.fim.spans import Recipe, choose_spans
from transforms.fim.windows import fit_window
from transforms.rows.row import Row, derive_seed

# The number of examples per file is such that each of its tokens is shown about once.
TOKENS_AN_EXAMPLE: Final = 256
CHARS_A_TOKEN: Final = 3  # characters per token of Python in a small vocabulary, roughly
MAX_EXAMPLES_A_FILE: Final = 24
POOL: Final = 128  # number of examples to choose from when a row is filled


@dataclass(frozen=True, kw_only=True)
class ExampleRecipe:
    """How files become examples.

    Args:
        max_tokens: Maximum length of an example, including control tokens.
        min_tokens: The smallest token budget that is sampled for an example; a short file may give a shorter one.
        fim_rate: Share of the examples that are FIM; the others are plain text.
        path_rate: Share of the FIM examples that start with the file's path.
        middle_weight: Loss weight of a middle's tokens and of its end; all others have weight 1.
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
    """One example for training.

    Args:
        ids: Token ids, from `<bos>` to the separator that ends it.
        weighted_from: Targets from this index on have weight `middle_weight`; the length if there are none.
    """

    ids: list[int]
    weighted_from: int


class PackedRow(NamedTuple):
    """One row of the training batch; all three lists have the row's length."""

    tokens: list[int] | NDArray[np.int32]
    segment_ids: list[int] | NDArray[np.int32]
    loss_weights: list[float] | NDArray[np.float32]


def examples_of(row: Row, tokenizer: Tokenizer, recipe: ExampleRecipe, *, seed: int, epoch: int = 0) -> list[Example]:
    """Returns a file's examples for an epoch; fewer if the text is too short."""
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
        except RecordError:  # the span's own line exceeds the window: try another
            continue
        ids = fim_document(tokenizer, mode, window.prefix_ids, middle, window.suffix_ids, path_line=path)  # type: ignore[arg-type]
        ids = [tokenizer.bos, *ids, document_end(tokenizer)]
        found.append(Example(ids, len(ids) - len(middle) - 1))
    return found


def _plain_example(text: str, around: int, tokenizer: Tokenizer, budget: int) -> Example:
    """Complete lines from the start of the line that contains `around`, as many as fit the budget."""
    start = text.rfind("\n", 0, around) + 1
    ids = tokenizer.encode(text[start : start + 8 * budget])[: budget - 2]
    ids = [tokenizer.bos, *ids]
    if start + 8 * budget >= len(text) and len(ids) < budget - 1:
        ids.append(document_end(tokenizer))
    return Example(ids, len(ids))


def pack(examples: Iterable[Example], length: int, *, pad: int, middle_weight: float = 1.0) -> Iterator[PackedRow]:
    """Packs examples into rows, filling each row with the longest that fit from a pool of `POOL`.

    No example is lost or split: each is in exactly one row. Examples longer than `length` are refused.

    Raises:
        ValueError: An example is longer than a row.
    """
    pool: list[Example] = []  # sorted by length
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
    # An example that is neither long nor a good fit may wait, but the pool is small, so every length gets its turn.
    while (place := bisect.bisect_right(pool, length - len(tokens), key=lambda one: len(one.ids))) > 0:
        example = pool.pop(place - 1)
        segments += [segments[-1] + 1 if segments else 1] * len(example.ids)
        own = [1.0] * example.weighted_from + [middle_weight] * (len(example.ids) - example.weighted_from)
        weights += [0.0, *own[1:]]  # nothing precedes `<bos>`, so it can't be predicted
        tokens += example.ids
    room = length - len(tokens)
    return PackedRow(tokens + [pad] * room, segments + [0] * room, weights + [0.0] * room)


def rows_of(
    files: Sequence[Row], tokenizer: Tokenizer, recipe: ExampleRecipe, *, length: int, seed: int, epoch: int
) -> Iterator[PackedRow]:
    """Makes one pass over the files, in a different order for each epoch."""
    order = list(range(len(files)))
    random.Random(derive_seed(seed, "order", "training_rows", epoch)).shuffle(order)

    def examples() -> Iterator[Example]:
        # A file's examples would be adjacent in a batch, so they go through a shuffle buffer.
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
