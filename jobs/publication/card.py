"""The card of a published dataset: the job's own card with a head that the Hub reads, and what is in the rows.

The head's fields are those of `huggingface_hub.DatasetCardData`, which writes it where it is installed. `license` is
that of the rows where the Hub knows all of their licenses, else `other`; `language` is `code`, as for The Stack.
Source: huggingface.co/docs/hub/datasets-cards; the list of licenses: huggingface.co/docs/hub/repositories-licenses.
"""

from __future__ import annotations

import importlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import yaml

from jobs.finalize.card import size_category
from jobs.finalize.origins import EMBEDDED
from jobs.publication.dataset import Dataset
from jobs.publication.facts import Facts, all_models
from jobs.storage.folders import NOTICE
from jobs.terminal.escapes import markdown, visible
from jobs.terminal.wording import counted
from transforms.filters.showing import may_be_shown

_MOST_LICENSES: Final = 10
_MOST_TABLE_ROWS: Final = 40
_SAMPLE_CHARS: Final = 600
_SAMPLE_ITEMS: Final = 8
# The Hub's identifiers, in lower case; a GNU license's `-only` and `-or-later` are left off.
_HUB_LICENSES: Final = frozenset((
    "apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "bsd-3-clause-clear", "isc", "zlib", "bsl-1.0", "unlicense",
    "cc0-1.0", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "wtfpl",
    "postgresql", "ncsa", "artistic-2.0", "afl-3.0", "ecl-2.0", "osl-3.0", "ofl-1.1", "ms-pl", "mpl-2.0", "epl-1.0",
    "epl-2.0", "eupl-1.1", "eupl-1.2", "lppl-1.3c", "gpl-2.0", "gpl-3.0", "lgpl-2.1", "lgpl-3.0", "agpl-3.0", "gfdl",
))  # fmt: skip
_GNU_END = re.compile(r"-(?:only|or-later)$")


@dataclass(frozen=True, kw_only=True)
class Wording:
    """What the user says about the dataset; empty: what follows from the rows.

    Args:
        pretty_name: Its name for people.
        licenses: Its licenses, as the Hub names them.
        source_datasets: What it was made of, as the Hub names datasets.
    """

    pretty_name: str = ""
    licenses: tuple[str, ...] = ()
    source_datasets: tuple[str, ...] = ()


def published_card(base: str, dataset: Dataset, facts: Facts, wording: Wording, name: str) -> str:
    """The card as Markdown with its YAML head.

    Args:
        base: The job's own card.
        dataset: The dataset.
        facts: What is in its rows.
        wording: What the user says about it.
        name: The last part of where it is published.
    """
    _, _, body = base.partition("\n---\n")
    head = card_head(head_fields(dataset, facts, wording, name))
    sections = [_configs(dataset, facts), _languages(facts), _licenses(facts), _attribution(facts), _samples(facts)]
    more = "\n".join(line for section in sections for line in section)
    return f"---\n{head.strip()}\n---\n{body.rstrip()}\n\n{more}"


def card_head(fields: Mapping[str, Any]) -> str:
    """The head as YAML, from the Hub's own class where that is installed."""
    try:
        hub = importlib.import_module("huggingface_hub")
    except ImportError:
        return yaml.safe_dump(dict(fields), sort_keys=False, allow_unicode=True)
    return str(hub.DatasetCardData(**fields).to_yaml())


def head_fields(dataset: Dataset, facts: Facts, wording: Wording, name: str) -> dict[str, Any]:
    """The fields of the head, by the names that `DatasetCardData` gives them."""
    licenses = list(wording.licenses) or hub_licenses(facts, has_gemma=bool(_gemma_names(dataset, facts)))
    configs = [("default", "data/train-*.parquet")]
    configs += [("rejected", "rejected/rejected-*.parquet")] if dataset.rejected else []
    configs += [("notice", NOTICE)] if facts.notice.repositories else []
    tags = ["code", "codemill", dataset.job, *(["synthetic"] if all_models(dataset.summary, facts) else [])]
    fields: dict[str, Any] = {
        "language": ["code"],
        "license": licenses if len(licenses) > 1 else licenses[0],
        **({"license_name": "licenses-of-the-rows"} if licenses == ["other"] else {}),
        "pretty_name": wording.pretty_name or name,
        "size_categories": [size_category(dataset.rows)],
        "source_datasets": list(wording.source_datasets) or source_datasets(dataset.summary),
        "task_categories": ["text-generation"],
        "tags": tags,
    }
    fields["configs"] = [
        {"config_name": config, "data_files": [{"split": "train", "path": path}]} for config, path in configs
    ]
    return fields


def hub_licenses(facts: Facts, *, has_gemma: bool) -> list[str]:
    """The licenses as the Hub names them, the most frequent first.

    `other` if a row has none or one that the Hub doesn't know, or if there are more than ten; `unknown` if no row
    has any. Where rows have no such column, as packed ones, their repositories stand for them.
    """
    counts = facts.licenses or _of_repositories(facts)
    if not set(counts) - {None}:
        return ["other"] if has_gemma else ["unknown"]
    found = [_hub_license(name) for name, _ in counts.most_common()]
    if None in found or len(set(found)) > _MOST_LICENSES:
        return ["other"]
    return list(dict.fromkeys([name for name in found if name] + (["gemma"] if has_gemma else [])))


def _of_repositories(facts: Facts) -> Counter[str | None]:
    counts: Counter[str | None] = Counter()
    for repository in facts.notice.repositories.values():
        counts.update(dict.fromkeys(repository.licenses or (None,), repository.rows))
    if facts.unnamed:
        counts[None] += facts.unnamed
    return counts


def _hub_license(name: str | None) -> str | None:
    hub_name = _GNU_END.sub("", (name or "").lower())
    return hub_name if hub_name in _HUB_LICENSES else None


def source_datasets(summary: Mapping[str, Any]) -> list[str]:
    """`original` for what was made of files and of codemill's own datasets, `extended` for other datasets."""
    sources = summary.get("sources") or []
    return ["extended"] if any(source["job"] is None for source in sources) else ["original"]


def _gemma_names(dataset: Dataset, facts: Facts) -> list[str]:
    return [model["name"] for model in all_models(dataset.summary, facts) if model["name"] != EMBEDDED]


def _configs(dataset: Dataset, facts: Facts) -> Iterator[str]:
    yield from ("## Configurations", "", "- `default`: the rows, in `data/`")
    if dataset.rejected:
        yield "- `rejected`: what was not kept and why, in `rejected/`, without its content"
    if facts.notice.repositories:
        yield f"- `notice`: repositories with their licenses and copyright lines, in `{NOTICE}`"
    yield ""


def _languages(facts: Facts) -> Iterator[str]:
    if facts.languages:
        yield from ("## Languages", "", *_table("language", facts.languages, "unknown"), "")


def _licenses(facts: Facts) -> Iterator[str]:
    if facts.licenses:
        several = "A row with several licenses counts for each."
        yield from ("## Licenses", "", several, "", *_table("license", facts.licenses, "none recognized"), "")


def _table(heading: str, counts: Counter[str | None], unknown: str) -> Iterator[str]:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0] or ""))
    yield from (f"| {heading} | rows |", "|---|--:|")
    for name, rows in ordered[:_MOST_TABLE_ROWS]:
        yield f"| {unknown if name is None else markdown(name)} | {rows:,} |"
    if rest := ordered[_MOST_TABLE_ROWS:]:
        yield f"| {len(rest):,} others | {sum(rows for _, rows in rest):,} |"


def _attribution(facts: Facts) -> Iterator[str]:
    repositories = facts.notice.repositories.values()
    if not repositories:
        return
    named = sum(bool(repository.copyright_lines) for repository in repositories)
    yield from ("## Attribution", "")
    yield (
        f"Most licenses ask that copies keep the notice of who holds the copyright. `{NOTICE}` lists "
        f"{counted(len(repositories), 'repository', 'repositories')} with the licenses of their rows; copyright lines "
        f"were found in {named:,} of them. Pass it on with the rows."
    )
    yield ""


def _samples(facts: Facts) -> Iterator[str]:
    """Yields some rows, except those in which the filters find something: a card is copied to other places."""
    shown = [row for row in facts.samples if all(map(may_be_shown, _texts(row)))]
    if not shown:
        return
    yield from ("## Sample rows", "", "Long texts and lists are cut.", "")
    for row in shown:
        text = visible(json.dumps(_shortened(row), indent=1, ensure_ascii=False, default=str))
        fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
        yield from (f"{fence}json", text, fence, "")


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)


def _shortened(value: Any) -> Any:
    if isinstance(value, str):
        return value if len(value) <= _SAMPLE_CHARS else f"{value[:_SAMPLE_CHARS]}… ({len(value):,} characters)"
    if isinstance(value, dict):
        return {key: _shortened(one) for key, one in value.items()}
    if isinstance(value, list):
        return _shortened_list(value)
    return f"{len(value):,} bytes" if isinstance(value, bytes) else value


def _shortened_list(values: Sequence[Any]) -> list[Any]:
    rest = len(values) - _SAMPLE_ITEMS
    return [_shortened(value) for value in values[:_SAMPLE_ITEMS]] + ([f"… {rest:,} more"] if rest > 0 else [])
