"""Counts what the middles of packed documents are, for the dataset's card: kinds, lengths, rates by language.

Counts are sums, so those of units add up. Their names:

    middles/language/Go/psm/documents, .../tokens     by language and layout; `none` without FIM
    middles/kind/block/documents, .../tokens          by kind; also .../trivial and .../comment_only
    middles/length/16                                 middles of up to so many tokens, and more than the next lower
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from transforms.languages.lookup import find_language
from transforms.languages.triviality import is_comment_only, is_trivial
from transforms.packing.documents import Document

MIDDLES: Final = "middles/"
LENGTHS: Final = (4, 16, 64, 256)
"""Bounds of the classes of lengths, in tokens; longer ones are counted as `more`."""


def count_document(counts: Counter[str], document: Document) -> None:
    """Adds one document that is trained on to the counts."""
    file, span = document.file, document.span
    found = find_language(file.language, file.path)
    at = f"{MIDDLES}language/{found.name if found is not None else 'unknown'}/{document.fim_mode}"
    counts[f"{at}/documents"] += 1
    counts[f"{at}/tokens"] += len(document.ids)
    if span is None:
        return
    at = f"{MIDDLES}kind/{span.kind}"
    counts[f"{at}/documents"] += 1
    counts[f"{at}/tokens"] += document.middle_tokens
    counts[f"{MIDDLES}length/{length_class(document.middle_tokens)}"] += 1
    text = file.content[span.start : span.end]
    # The marks of these kinds stand outside of the middle.
    if span.kind in ("comment", "docstring") or is_comment_only(text, file.language, file.path):
        counts[f"{at}/comment_only"] += 1
    elif is_trivial(text, file.language, file.path):
        counts[f"{at}/trivial"] += 1


def length_class(num_tokens: int) -> str:
    """The name of the class of lengths to which a middle belongs.

    >>> length_class(4), length_class(5), length_class(1000)
    ('4', '16', 'more')
    """
    return next((str(bound) for bound in LENGTHS if num_tokens <= bound), "more")
