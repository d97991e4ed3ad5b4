from __future__ import annotations

import itertools
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.duplicates import clusters as clusters_module
from transforms.duplicates.batches import GramsFile, sign_texts
from transforms.duplicates.clusters import Clusters, in_this_process
from transforms.duplicates.comparing import Comparing
from transforms.duplicates.signatures import find_duplicates, sign


def words(count: int, seed: int) -> list[str]:
    rng = random.Random(seed)
    return [f"w{rng.randrange(10**6)}" for _ in range(count)]


def variant(seed: int, changed: int) -> str:
    """One of a few texts, with some words at its end replaced."""
    base = words(120, seed)
    return " ".join([*base[: 120 - changed], *words(changed, 1000 + seed + changed)])


def backwards(method: str, items):
    """As several processes may do it: the last item is done first, and all see the components as they are then."""
    numbered = list(enumerate(items))
    for position, item in reversed(numbered):
        yield position, getattr(Comparing(), method)(item)


def at_once(method: str, items):
    """All items are done before the first result counts."""
    yield from [(position, getattr(Comparing(), method)(item)) for position, item in enumerate(items)]


def add(clusters: Clusters, folder, texts: dict[int, str], cuts: list[int]) -> None:
    """Signs the texts in pieces, each by another of three processes, the last piece first."""
    files = [GramsFile(str(folder)) for _ in range(3)]
    numbers = list(texts)
    edges = [0, *sorted(min(cut, len(numbers)) for cut in cuts), len(numbers)]
    for turn, (begin, end) in enumerate(reversed(list(itertools.pairwise(edges)))):
        some = numbers[begin:end]
        clusters.add(sign_texts(some, [texts[number].encode() for number in some], files[turn % 3]))
    for file in files:
        file.close()


def on_disk(
    folder, texts: list[str], threshold: float = 0.7, keep: str = "first", cuts: tuple[int, ...] = (), **more
) -> dict[str, tuple[str, str, float]]:
    found = Clusters(str(folder), len(texts))
    add(found, folder, dict(enumerate(texts)), list(cuts))
    members = list(found.members(threshold=threshold, keep=keep, **more))
    assert [m.number for m in members] == sorted(m.number for m in members)
    return {f"{m.number:06}": (f"{m.kept:06}", m.kind, m.similarity, m.cluster_size) for m in members}


def in_memory(texts: list[str], threshold: float = 0.7, keep: str = "first") -> dict[str, tuple[str, str, float]]:
    signatures = [sign(f"{number:06}", text) for number, text in enumerate(texts)]
    found = find_duplicates(signatures, threshold=threshold, keep=keep)
    sizes = {kept: 1 + count for kept, count in Counter(d.kept for d in found.values()).items()}
    out = {key: (d.kept, d.kind, d.similarity, sizes[d.kept]) for key, d in found.items()}
    return out | {key: (key, "kept", 1.0, size) for key, size in sizes.items()}


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.sampled_from([0, 0, 3, 12, 40])), max_size=25),
    st.sampled_from(["first", "longest"]),
    st.sampled_from([0.5, 0.7, 0.9]),
    st.lists(st.integers(0, 28), max_size=5),
    st.sampled_from([in_this_process, backwards, at_once]),
)
def test_clusters_by_way_of_disk_are_those_found_in_memory(tmp_path_factory, recipe, keep, threshold, cuts, spread):
    texts = [variant(seed, changed) + " more" * (changed % 5) for seed, changed in recipe] + ["", "x = 1", ""]
    folder = tmp_path_factory.mktemp("clusters")
    assert on_disk(folder, texts, threshold, keep, cuts, spread=spread) == in_memory(texts, threshold, keep)


def test_a_pair_that_connected_two_texts_is_not_compared_again(tmp_path):
    again = []

    def spread(method: str, items):
        for position, item in enumerate(items):
            again.extend(item[1].tolist() if method == "similarities" else [])
            yield position, getattr(Comparing(), method)(item)

    # The last one is like the second, and not enough like the first.
    texts = [variant(1, 0), variant(1, 12), " ".join([*words(14, 77), *variant(1, 12).split()[14:]])]
    found = on_disk(tmp_path, texts, 0.7, spread=spread)
    assert found == in_memory(texts, 0.7) and set(found) == {"000000", "000001", "000002"}
    assert again == [[2, 0]]


@pytest.mark.parametrize("keep", ["first", "longest"])
def test_the_cuts_of_spool_and_chunks_change_nothing(tmp_path, monkeypatch, keep):
    texts = [variant(seed % 5, (seed * 7) % 20) for seed in range(60)]
    monkeypatch.setattr(clusters_module, "_SPOOL_KEYS", 40)
    monkeypatch.setattr(clusters_module, "_TASK_PAIRS", 2)
    monkeypatch.setattr(clusters_module, "_CHUNK_TEXTS", 7)
    assert on_disk(tmp_path, texts, keep=keep, cuts=(3, 4, 20, 33)) == in_memory(texts, keep=keep)


def test_numbers_that_were_never_added_are_alone(tmp_path):
    found = Clusters(str(tmp_path), 4)
    add(found, tmp_path, {3: variant(1, 0), 1: variant(1, 0)}, [1])
    members = {m.number: m.kept for m in found.members(threshold=0.7, keep="first")}
    assert members == {1: 1, 3: 1}
