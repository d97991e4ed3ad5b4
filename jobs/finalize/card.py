"""The dataset card: `README.md` of an output, as the Hugging Face Hub and `load_dataset` read it.

The YAML head states where the rows are. The text describes what the job did, what it rejected and why, and the terms
that apply to the rows (`jobs.finalize.terms`). `codemill publish` writes a longer head (`jobs.publication.card`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from jobs.finalize.middles import middles_section
from jobs.finalize.publishing import public_options
from jobs.finalize.summary import removed_words
from jobs.finalize.terms import terms_of
from jobs.terminal.escapes import markdown, markdown_code
from jobs.terminal.wording import counted

_SIZES = (
    (10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M"),
    (10**8, "10M<n<100M"), (10**9, "100M<n<1B"), (10**10, "1B<n<10B"), (10**11, "10B<n<100B"), (10**12, "100B<n<1T"),
)  # fmt: skip


def dataset_card(summary: Mapping[str, Any], schema: pa.Schema, options: Mapping[str, Any]) -> str:
    """The card as Markdown with its YAML head.

    Args:
        summary: The result of `jobs.finalize.summary.summarize`.
        schema: Schema of the rows in `data/`.
        options: All options of the job, including `model` if it has one.
    """
    sections = [
        _head(summary),
        _what(summary, options),
        _results(summary),
        _columns(schema),
        _counts(summary),
        middles_section(summary["counts"], max(1, len(summary.get("editions", ())))),
        _editions(summary),
        _terms(terms_of(summary, schema, options)),
        _again(summary),
    ]
    shown = filter(None, map(list, sections))
    return "\n".join(line for section in shown for line in [*section, ""])


def _head(summary: Mapping[str, Any]) -> Iterator[str]:
    yield "---"
    if summary["rows"]["output"]:
        yield from ("configs:", "- config_name: default", "  data_files:", "  - split: train")
        yield "    path: data/train-*.parquet"
    yield from ("task_categories:", "- text-generation", "tags:", "- code", "- codemill", f"- {summary['job']}")
    if summary.get("models"):
        yield "- synthetic"
    yield from ("size_categories:", f"- {size_category(summary['rows']['output'])}", "---")


def size_category(rows: int) -> str:
    """The Hub's name for a number of rows.

    >>> size_category(1000), size_category(12_000_000)
    ('1K<n<10K', '10M<n<100M')
    """
    return next((name for most, name in _SIZES if rows < most), "n>1T")


def _what(summary: Mapping[str, Any], options: Mapping[str, Any]) -> Iterator[str]:
    rows = summary["rows"]
    yield f"# Created by `codemill {summary['job']}`"
    yield ""
    yield f"{counted(rows['output'], 'row')}, from {rows['kept']:,} of {counted(rows['planned'], 'source row')}."
    yield ""
    if rows["output"]:
        yield "```python"
        yield "from datasets import load_dataset"
        yield ""
        yield 'rows = load_dataset("parquet", data_dir="PATH/data", split="train")'
        yield "```"
    else:
        yield "There are no rows, so there is no file in `data/`: a file without rows can't be loaded with `datasets`."
    if options.get("model"):
        yield ""
        yield (
            f"Model: {markdown_code(_model_name(summary['job'], options))}, "
            f"weights SHA-256 `{summary['checkpoint_sha256'] or 'unknown'}`. "
            "Each row's `lineage` column records its provenance."
        )


def _model_name(job: str, options: Mapping[str, Any]) -> str:
    # The name of the checkpoint's folder, not its local path.
    return str(public_options(job, options)["model"])


def _results(summary: Mapping[str, Any]) -> Iterator[str]:
    if lines := summary.get("results"):
        yield from ("## Results", "")
        yield from (f"- {markdown(line)}" for line in lines)


def _columns(schema: pa.Schema) -> Iterator[str]:
    yield from ("## Columns", "", "| column | type |", "|---|---|")
    for field in schema:
        yield f"| {markdown_code(field.name)} | {markdown(_type_name(field.type))} |"


def _type_name(kind: pa.DataType) -> str:
    if pa.types.is_struct(kind):
        return "struct of " + ", ".join(field.name for field in kind.fields)
    return str(kind)


def _counts(summary: Mapping[str, Any]) -> Iterator[str]:
    rows, targets = summary["rows"], summary["targets"]
    yield from ("## Kept and rejected rows", "")
    yield (
        f"Source rows: {rows['planned']:,} = {rows['kept']:,} kept + {rows['rejected']:,} rejected + "
        f"{rows['in_failed_units']:,} in failed units{removed_words(rows)}."
    )
    if targets["chosen"]:
        yield (
            f"Targets chosen in them: {targets['chosen']:,} = {targets['accepted']:,} accepted + "
            f"{targets['rejected']:,} rejected{removed_words(targets)}. A source row is kept when at least one "
            "of its targets was accepted."
        )
    if summary["units"]["failed"]:
        yield f"Failed units, listed in `summary.json`, whose rows are missing here: {summary['units']['failed']:,}."
    if summary["rejected"]:
        yield from ("", "| kind | stage | reason | count |", "|---|---|---|--:|")
        for entry in summary["rejected"]:
            kind, stage, reason = (markdown(entry[name]) for name in ("kind", "stage", "reason"))
            yield f"| {kind} | {stage} | {reason} | {entry['count']:,} |"
        yield ""
        yield "`rejected/` identifies each of them by file, row group and row, without its content."


def _editions(summary: Mapping[str, Any]) -> Iterator[str]:
    if not (editions := summary.get("editions")):
        return
    yield from ("## Editions", "", "| edition | finished | new rows | replaced | gone | opted out |")
    yield "|--:|---|--:|--:|--:|--:|"
    for one in editions:
        left = " | ".join(f"{one.get(f'rows_{what}', 0):,}" for what in ("replaced", "gone", "opted_out"))
        yield f"| {one['edition']} | {one['finished']} | {one['rows_new']:,} | {left} |"


def _terms(paragraphs: Sequence[str]) -> Iterator[str]:
    yield from ("## Terms", "", "\n\n".join(paragraphs))


def _again(summary: Mapping[str, Any]) -> Iterator[str]:
    versions = ", ".join(f"{name} {version}" for name, version in sorted(summary["versions"].items()))
    yield from ("## Reproducing this dataset", "", f"Versions: {versions}. Configuration `{summary['config_hash']}`.")
    yield from _options(public_options(summary["job"], summary["options"]))
    for step in summary.get("fused_steps", ()):
        yield from ("", f"Before that, in the same run, `codemill {step['job']}` (step {markdown_code(step['name'])}):")
        yield from _options(step["options"])


def _options(options: Mapping[str, Any]) -> Iterator[str]:
    yield from ("", "| option | value |", "|---|---|")
    for name, value in sorted(options.items()):
        if value not in (None, [], ""):
            yield f"| {markdown_code('--' + name)} | {markdown(_shown(value))} |"


def _shown(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
