"""The dataset card: `README.md` of an output, as the Hugging Face Hub and `load_dataset` read it.

Its head tells where the rows are; its text says what was done, what was left out and why, and under which terms
the rows stand. Text that a Gemma model wrote stays under the Gemma terms' use policy, and a model trained on it
can be a derivative of Gemma (Gemma Terms of Use, section 1.1, "Model Derivatives").
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

from jobs.finalize.publishing import public_options
from jobs.wording import counted

_SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M"))
EMBEDDED = "embedded"

GEMMA_TERMS = (
    "The generated columns were written by a model of the Gemma family. Under the "
    "[Gemma Terms of Use](https://ai.google.dev/gemma/terms) their creator is responsible for how they are used, "
    "which the [Prohibited Use Policy](https://ai.google.dev/gemma/prohibited_use_policy) restricts. A model that is "
    "trained on them to perform similarly to Gemma can be a *Model Derivative*, to which those terms also apply: "
    "include them when redistributing this dataset."
)
EMBEDDED_TERMS = (
    "The generated columns were written by the small model that ships with codemill: Gemma's architecture with "
    "weights trained from scratch on permissively licensed packages. It is not a Gemma model, so the "
    "Gemma terms don't apply; its model card, `model/embedded/README.md`, lists its data and licenses."
)
SOURCE_TERMS = (
    "Every row is under the license of its source file. The input's columns are kept, including its license column "
    "if it has one; this job neither checked nor changed any license."
)


def dataset_card(summary: Mapping[str, Any], schema: pa.Schema, options: Mapping[str, Any]) -> str:
    """The card as Markdown with its YAML head.

    Args:
        summary: As `jobs.finalize.summary.summarize` gives it.
        schema: Of the rows in `data/`.
        options: All options of the job; `model` among them where it has one.
    """
    sections = [
        _head(summary, "model" in options),
        _what(summary, options),
        _columns(schema),
        _counts(summary),
        _terms(options),
        _again(summary),
    ]
    return "\n".join(line for section in sections for line in [*section, ""])


def _head(summary: Mapping[str, Any], has_model: bool) -> Iterator[str]:
    yield from ("---", "configs:", "- config_name: default", "  data_files:", "  - split: train")
    yield from ("    path: data/train-*.parquet", "task_categories:", "- text-generation")
    yield from ("tags:", "- code", "- codemill", f"- {summary['job']}")
    if has_model:
        yield "- synthetic"
    rows = summary["rows"]["output"]
    yield from ("size_categories:", f"- {next((name for most, name in _SIZES if rows < most), '10M<n')}", "---")


def _what(summary: Mapping[str, Any], options: Mapping[str, Any]) -> Iterator[str]:
    rows = summary["rows"]
    yield f"# Created by `codemill {summary['job']}`"
    yield ""
    yield f"{counted(rows['output'], 'row')}, from {rows['kept']:,} of {counted(rows['planned'], 'source row')}."
    yield ""
    yield "```python"
    yield "from datasets import load_dataset"
    yield ""
    yield 'rows = load_dataset("parquet", data_dir="PATH/data", split="train")'
    yield "```"
    if "model" in options:
        yield ""
        yield (
            f"Model: `{_model_name(summary['job'], options)}`, "
            f"weights SHA-256 `{summary['checkpoint_sha256'] or 'unknown'}`. "
            "Each row's `lineage` column records its provenance."
        )


def _model_name(job: str, options: Mapping[str, Any]) -> str:
    # The name of a checkpoint's folder, not where it lies on the maker's machine.
    return str(public_options(job, options)["model"])


def _columns(schema: pa.Schema) -> Iterator[str]:
    yield from ("## Columns", "", "| column | type |", "|---|---|")
    for field in schema:
        yield f"| `{field.name}` | {_cell(_type_name(field.type))} |"


def _type_name(kind: pa.DataType) -> str:
    if pa.types.is_struct(kind):
        return "struct of " + ", ".join(field.name for field in kind.fields)
    return str(kind)


def _counts(summary: Mapping[str, Any]) -> Iterator[str]:
    rows, targets = summary["rows"], summary["targets"]
    yield from ("## Kept and rejected rows", "")
    yield (
        f"Source rows: {rows['planned']:,} = {rows['kept']:,} kept + {rows['rejected']:,} rejected + "
        f"{rows['in_failed_units']:,} in failed units."
    )
    if targets["chosen"]:
        yield (
            f"Targets chosen in them: {targets['chosen']:,} = {targets['accepted']:,} accepted + "
            f"{targets['rejected']:,} rejected. A source row is kept when at least one of its targets was accepted."
        )
    if summary["units"]["failed"]:
        yield f"Failed units, listed in `summary.json`, whose rows are missing here: {summary['units']['failed']:,}."
    if summary["rejected"]:
        yield from ("", "| kind | stage | reason | count |", "|---|---|---|--:|")
        for entry in summary["rejected"]:
            yield f"| {entry['kind']} | {_cell(entry['stage'])} | {_cell(entry['reason'])} | {entry['count']:,} |"
        yield ""
        yield "`rejected/` identifies each of them by file, row group and row, without its content."


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _terms(options: Mapping[str, Any]) -> Iterator[str]:
    yield from ("## Terms", "", SOURCE_TERMS)
    if "model" in options:
        yield ""
        yield EMBEDDED_TERMS if options["model"] == EMBEDDED else GEMMA_TERMS


def _again(summary: Mapping[str, Any]) -> Iterator[str]:
    versions = ", ".join(f"{name} {version}" for name, version in sorted(summary["versions"].items()))
    yield from ("## Reproducing this dataset", "", f"Versions: {versions}. Configuration `{summary['config_hash']}`.")
    yield from ("", "| option | value |", "|---|---|")
    for name, value in sorted(public_options(summary["job"], summary["options"]).items()):
        if value not in (None, [], ""):
            yield f"| `--{name}` | {_cell(_shown(value))} |"


def _shown(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
