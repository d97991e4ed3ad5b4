"""The published card's head and tables."""

from __future__ import annotations

import importlib.util
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from jobs.publication import card
from jobs.publication.card import Wording, card_head, head_fields, hub_licenses, published_card
from jobs.publication.dataset import Dataset
from jobs.publication.facts import Facts, survey
from jobs.publication.private import Scrubber
from jobs.storage.folders import OutputFolder
from transforms.corpus.notice import Attribution, Notice

SUMMARY = {"job": "filter", "models": [], "sources": [{"name": "corpus", "job": "corpus"}]}


def dataset(**summary) -> Dataset:
    return Dataset(
        output=OutputFolder("out"),
        summary=SUMMARY | summary,
        schema=pa.schema([]),
        rows=12,
        shards=("data/train-00000-of-00001.parquet",),
        rejected=(),
    )


@pytest.mark.parametrize(
    ("licenses", "has_gemma", "expected"),
    [
        ({"MIT": 3}, False, ["mit"]),
        ({"MIT": 3, "Apache-2.0": 5}, False, ["apache-2.0", "mit"]),
        ({"GPL-2.0-only": 1, "GPL-2.0-or-later": 1}, False, ["gpl-2.0"]),
        ({"MIT": 3, None: 1}, False, ["other"]),
        ({"MIT": 3, "Acme-1.0": 1}, False, ["other"]),
        ({None: 3}, False, ["unknown"]),
        ({}, False, ["unknown"]),
        ({"MIT": 3}, True, ["mit", "gemma"]),
        ({}, True, ["other"]),
    ],
)
def test_the_license_is_that_of_the_rows_where_the_hub_knows_it(licenses, has_gemma, expected):
    assert hub_licenses(Facts(licenses=Counter(licenses)), has_gemma=has_gemma) == expected


def test_rows_without_a_column_are_under_the_licenses_of_their_repositories():
    found = Facts()
    found.notice.add(Attribution("a", licenses=Counter({"MIT": 2}), rows=2))
    assert hub_licenses(found, has_gemma=False) == ["mit"]
    found.notice.add(Attribution("b", rows=1))
    assert hub_licenses(found, has_gemma=False) == ["other"]


@pytest.mark.parametrize("is_packed", [False, True])
def test_a_row_that_names_no_repository_has_no_license_of_one(tmp_path, is_packed):
    (tmp_path / "data").mkdir()
    names = ["a", "a", None]
    parts = [[{"repo_name": "a", "path": "x"}, {"repo_name": name, "path": "y"}] for name in names]
    rows = pa.table({"parts": parts} if is_packed else {"repo_name": names})
    shard = "data/train-00000-of-00001.parquet"
    pq.write_table(rows, tmp_path / shard)
    told = Notice()
    told.add(Attribution("a", licenses=Counter({"MIT": 2}), rows=2))
    pq.write_table(told.table(), tmp_path / "NOTICE.parquet")
    whole = Dataset(
        output=OutputFolder(str(tmp_path)),
        summary=SUMMARY | {"job": "pack", "columns": {"repo_name": "repo_name"}},
        schema=rows.schema,
        rows=3,
        shards=(shard,),
        rejected=(),
    )
    facts = survey(whole, Scrubber())
    assert facts.unnamed == 1 and list(facts.notice.repositories) == ["a"]
    assert hub_licenses(facts, has_gemma=False) == ["other"]
    facts.unnamed = 0
    assert hub_licenses(facts, has_gemma=False) == ["mit"]


def test_many_licenses_are_other():
    names = sorted(card._HUB_LICENSES)[:11]
    assert hub_licenses(Facts(licenses=Counter(names)), has_gemma=False) == ["other"]


def test_what_the_user_says_goes_before_what_was_found():
    wording = Wording(pretty_name="Mine", licenses=("mit",), source_datasets=("extended|bigcode/the-stack",))
    fields = head_fields(dataset(), Facts(), wording, "out")
    assert (fields["license"], fields["pretty_name"]) == ("mit", "Mine")
    assert fields["source_datasets"] == ["extended|bigcode/the-stack"]


def test_another_datasets_rows_are_an_extension():
    assert head_fields(dataset(), Facts(), Wording(), "out")["source_datasets"] == ["original"]
    extended = dataset(sources=[{"name": "stack", "job": None}])
    assert head_fields(extended, Facts(), Wording(), "out")["source_datasets"] == ["extended"]


def test_rows_that_a_model_wrote_are_tagged_and_a_gemma_models_licensed_so():
    found = Facts(licenses=Counter({"MIT": 3}), models={("codegemma-2b", "ab")})
    fields = head_fields(dataset(), found, Wording(), "out")
    assert "synthetic" in fields["tags"] and fields["license"] == ["mit", "gemma"]
    embedded = head_fields(dataset(), Facts(models={("embedded", "ab")}), Wording(), "out")
    assert "synthetic" in embedded["tags"] and embedded["license"] == "unknown"


@pytest.mark.skipif(importlib.util.find_spec("huggingface_hub") is None, reason="huggingface_hub isn't installed")
def test_the_hubs_class_and_plain_yaml_say_the_same(monkeypatch):
    fields = head_fields(dataset(), Facts(licenses=Counter({None: 1, "MIT": 2})), Wording(pretty_name="a: b"), "out")
    by_hub = yaml.safe_load(card_head(fields))
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    assert yaml.safe_load(card_head(fields)) == by_hub == fields


def test_names_from_data_are_no_markup_and_long_texts_are_cut():
    found = Facts(
        languages=Counter({"[a](b)": 2, None: 1}), samples=[{"content": "```\n" + "x" * 5000, "ids": [1] * 99}]
    )
    found.notice.add(Attribution("owner/name", rows=3))
    text = published_card("---\na: b\n---\n# Title\n", dataset(), found, Wording(), "out")
    assert "| `[a](b)` | 2 |" in text and "| unknown | 1 |" in text
    assert "````json" in text and "5,004 characters" in text and "… 91 more" in text
    assert "1 repositories" not in text and len(text) < 4000


def test_a_long_table_sums_the_rest():
    found = Facts(languages=Counter({f"L{number:02}": 1 for number in range(50)}))
    assert "| 10 others | 10 |" in published_card("---\n---\n", dataset(), found, Wording(), "out")


def test_a_row_in_which_the_filters_find_something_is_no_sample():
    key = "AKIA" + "QYLPMN5HGT3KRZVW"
    facts = Facts(samples=[{"content": "x = 1"}, {"parts": [{"text": f"aws_access_key_id = {key}"}]}])
    shown = "\n".join(card._samples(facts))
    assert "x = 1" in shown and key not in shown and shown.count("json") == 1
    assert list(card._samples(Facts(samples=facts.samples[1:]))) == []
