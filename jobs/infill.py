"""`codemill infill`: cut spans out of source files, have the model fill them in, judge each middle, keep the lineage.

    codemill infill --input 'corpus/**/*.parquet' --output out --model codegemma-2b/

The task is `transforms.tasks.infill`; plan, units, commits and shards are the machinery's (`jobs.driver.driver`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from jobs.options import GeneratingOptions, from_all_options, option
from model.errors import ConfigError

if TYPE_CHECKING:
    from transforms.generation.work import GenerationWork


@dataclass(frozen=True, kw_only=True)
class Options(GeneratingOptions):
    """Fill in the middle of source files and judge what the model wrote."""

    span_kinds: tuple[str, ...] = option(
        (),
        help="Kinds of span with their weights, as in single_line=3 block=1; empty takes the default mix.",
        metavar="KIND=WEIGHT",
    )
    spans_per_file: int = option(1, help="Spans cut out of each file, at most.", minimum=1, metavar="SPANS")
    min_chars: int = option(3, help="Shortest span, in characters.", minimum=1, metavar="CHARS")
    max_chars: int = option(600, help="Longest span, in characters.", minimum=1, metavar="CHARS")
    max_middle_tokens: int = option(
        128, help="A span whose original text is longer than this is rejected.", minimum=1, metavar="TOKENS"
    )
    fim_format: Literal["mixed", "psm", "spm", "spm_v2"] = option(
        "mixed", help="Layout of the prompt; mixed: half psm, half spm, by each target's seed."
    )
    path_line: bool = option(False, help="Begin each prompt with the file's path on a line of its own.")
    stop_at_newline: bool = option(True, help="End a single_line middle at the first line break.")
    require: tuple[str, ...] = option(
        ("not_empty", "no_control_token", "not_cut_off", "no_suffix_echo", "parses"),
        help="Checks that reject a middle that fails them; exact_match is another.",
        metavar="CHECK",
    )


def build_work(options: Mapping[str, Any]) -> GenerationWork:
    """Makes the job's work from its options (`jobs.options.all_options`).

    Raises:
        ConfigError: An option is out of range, or the model can't be found.
    """
    from jobs.driver.generation import generation_work
    from transforms.tasks.infill import InfillTask

    o = from_all_options(Options, options)
    task = InfillTask(
        tokenizer=o.model,
        job_seed=o.seed,
        **({"mix": _parse_mix(o.span_kinds)} if o.span_kinds else {}),
        spans_per_file=o.spans_per_file,
        min_chars=o.min_chars,
        max_chars=o.max_chars,
        max_middle_tokens=o.max_middle_tokens,
        fim_format=o.fim_format,
        path_line=o.path_line,
        max_prompt_tokens=o.max_prompt_tokens,
        max_new_tokens=o.max_new_tokens,
        stop_at_newline=o.stop_at_newline,
        temperature=o.temperature,
        top_k=o.top_k,
        top_p=o.top_p,
        required_checks=o.require,
    )
    return generation_work(o, task)


def run(options: Options, beam_args: Sequence[str]) -> int:
    """Runs the job and returns the exit code."""
    from jobs.driver.generation import run_generating

    return run_generating("infill", options, beam_args, build_work)


def _parse_mix(words: Sequence[str]) -> dict[str, float]:
    """Reads `kind=weight` words.

    >>> _parse_mix(["block=2", "comment"])
    {'block': 2.0, 'comment': 1.0}
    """
    mix = {}
    for word in words:
        kind, _, weight = word.partition("=")
        try:
            mix[kind] = float(weight or 1)
        except ValueError:
            raise ConfigError(f"--span_kinds {word}: expected KIND=WEIGHT, as in single_line=3") from None
    return mix


if __name__ == "__main__":
    import sys

    from jobs.cli import main

    sys.exit(main(["infill", *sys.argv[1:]]))
