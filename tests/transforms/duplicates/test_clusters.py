from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.duplicates import clusters as clusters_module
from transforms.duplicates.clusters import Clusters
from transforms.duplicates.signatures import find_duplicates, sign


def words(count: int, seed: int) -> list[str]:
    rng = random.Random(seed)
    return [f"w{rng.randrange(10**6)}" for _ in range(count)]


def variant(seed: int, changed: int) -> str:
    """One of a few texts, with some words at its end replaced."""
    base = words(120, seed)
    return " ".join([*base[: 120 - changed], *words(changed, 1000 + seed + changed)])


def on_disk(folder, texts: list[str], threshold: float = 0.7, keep: str = "first") -> dict[str, tuple[str, str, float]]:
    found = Clusters(str(folder), len(texts))
    for number, text in enumerate(texts):
        found.add(number, text)
    members = list(found.members(threshold=threshold, keep=keep))
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
)
def test_clusters_by_way_of_disk_are_those_found_in_memory(tmp_path_factory, recipe, keep, threshold):
    texts = [variant(seed, changed) + " more" * (changed % 5) for seed, changed in recipe] + ["", "x = 1", ""]
    folder = tmp_path_factory.mktemp("clusters")
    assert on_disk(folder, texts, threshold, keep) == in_memory(texts, threshold, keep)


@pytest.mark.parametrize("keep", ["first", "longest"])
def test_the_cuts_of_spool_and_chunks_change_nothing(tmp_path, monkeypatch, keep):
    texts = [variant(seed % 5, (seed * 7) % 20) for seed in range(60)]
    monkeypatch.setattr(clusters_module, "_SPOOL_TEXTS", 3)
    monkeypatch.setattr(clusters_module, "_CHUNK_TEXTS", 7)
    assert on_disk(tmp_path, texts, keep=keep) == in_memory(texts, keep=keep)


def test_numbers_that_were_never_added_are_alone(tmp_path):
    found = Clusters(str(tmp_path), 4)
    found.add(3, variant(1, 0))
    found.add(1, variant(1, 0))
    members = {m.number: m.kept for m in found.members(threshold=0.7, keep="first")}
    assert members == {1: 1, 3: 1}
