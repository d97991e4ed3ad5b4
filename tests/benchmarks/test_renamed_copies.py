from __future__ import annotations

import pytest

from benchmarks.renamed_copies import by_tokens, by_tree

SOURCE = '''def longest(words, least=2):
    """The longest word."""  # or none
    best = ""  # so far
    for word in words:
        if len(word) >= least and len(word) > len(best):
            best = word
    return best or "none"
'''


@pytest.mark.parametrize("copy", [by_tree, by_tokens])
def test_a_copy_has_other_names_and_no_comments_and_does_the_same(copy):
    renamed = copy(SOURCE)
    spaces: list[dict] = [{}, {}]
    for text, space in zip((SOURCE, renamed), spaces, strict=True):
        exec(text, space)
    (own,) = [value for name, value in spaces[1].items() if name != "__builtins__"]
    for words in (["a", "bbb", "cc"], ["a"], []):
        assert own(words) == spaces[0]["longest"](words)
    assert not [word for word in ("longest", "least", "best", "word ", "so far", "The") if word in renamed]
