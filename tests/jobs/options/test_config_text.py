"""`--print_config`: what is printed, read back as a config file, gives the same options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.catalog import JOBS, options_of
from jobs.options import OptionSet, option, parse
from jobs.options.config_text import config_text
from jobs.options.fields import fields_of


@dataclass(frozen=True, kw_only=True)
class Mill(OptionSet):
    """Grind corn."""

    resumes = True

    grain: tuple[str, ...] = option(help="What to grind.", positional=True)
    output: str = option(help="Where to.", operational=True)
    stones: int = option(2, help="How many stones.", minimum=1, maximum=8)
    speed: float = option(1.5, help="Turns a second.", minimum=0)
    sizes: tuple[int, ...] = option((1, 2), help="Numbers.")
    tags: tuple[str, ...] = option((), help="Words.")
    fine: bool = option(False, help="Whether to grind twice.")
    note: str | None = option(None, help="A remark.")
    kind: Literal["rye", "wheat"] = option("rye", help="Which corn.")


def printed(cls, words, capsys) -> str:
    with pytest.raises(SystemExit) as end:
        parse(cls, [*words, "--print_config"], prog="mill")
    assert end.value.code == 0
    return capsys.readouterr().out


_TEXTS = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=20)


@given(
    stones=st.integers(1, 8),
    speed=st.floats(0, 1e300),
    tags=st.lists(
        _TEXTS | st.sampled_from(["", "yes", "null", "1e3", "# no comment", "a: b", "line\nbreak"]), max_size=3
    ),
    fine=st.booleans(),
    note=st.none() | _TEXTS,
)
def test_a_printed_config_gives_the_same_options(tmp_path_factory, stones, speed, tags, fine, note):
    values = {"grain": ("rye",), "output": "o", "stones": stones, "speed": speed, "tags": tuple(tags)}
    values |= {"fine": fine, "note": note}
    path = tmp_path_factory.mktemp("config") / "mill.yaml"
    path.write_text(config_text(fields_of(Mill), values, prog="mill", resumes=True), encoding="utf-8")
    assert parse(Mill, ["--config", str(path)])[0] == Mill(**values)


def test_what_is_missing_stands_in_a_printed_config_as_a_comment(capsys):
    lines = printed(Mill, ["--stones", "3", "--kind", "wheat"], capsys).splitlines()
    assert lines[0] == "# mill --config FILE"
    assert "# grain:  # required: What to grind." in lines and "# note:  # A remark." in lines
    assert "stones: 3" in lines and "sizes: [1, 2]" in lines and "kind: wheat" in lines
    assert lines.index("# runtime options") < lines.index("# output:  # required: Where to.")


def test_a_config_file_is_part_of_what_is_printed_and_flags_override_it(tmp_path, capsys):
    path = tmp_path / "mill.yaml"
    path.write_text("stones: 4\nnote: old\n", encoding="utf-8")
    lines = printed(Mill, ["--config", str(path), "--note", "new"], capsys).splitlines()
    assert "stones: 4" in lines and "note: new" in lines


WORDS = {
    "inspect": ["out"],
    "browse": ["out"],
    "forget": ["out"],
    "retain": ["out", "--editions", "1"],
    "estimate": ["out"],
    "corpus": ["source", "--output", "o"],
    "train": ["--input", "i", "--output", "o", "--tokenizer", "t"],
    "work": ["out"],
    "pipeline": ["p.yaml"],
    "publish": ["out", "to"],
    "evaluate": ["--tests", "t.jsonl", "--output", "o"],
    "sandbox": ["--check"],
    "annotate": ["--task", "task.yaml", "--input", "i", "--output", "o"],
}


@pytest.mark.parametrize("job", JOBS)
def test_every_job_reads_the_config_that_it_prints(job, capsys, tmp_path):
    words = WORDS.get(job, ["--input", "i", "--output", "o"])
    path = tmp_path / "job.yaml"
    options = options_of(job)
    path.write_text(printed(options, words, capsys), encoding="utf-8")
    assert parse(options, ["--config", str(path)]) == parse(options, words)


@pytest.mark.parametrize("job", JOBS)
def test_every_job_prints_a_config_without_any_option(job, capsys):
    options = options_of(job)
    assert ("# options that affect the output" in printed(options, [], capsys)) == options.resumes


@pytest.mark.parametrize("job", JOBS)
def test_help_speaks_of_beam_and_of_resumed_jobs_only_where_there_are_some(job, capsys):
    options = options_of(job)
    with pytest.raises(SystemExit):
        parse(options, ["--help"])
    text = capsys.readouterr().out
    assert ("Beam runner options" in text) == ("BEAM_FLAGS" in text) == options.takes_beam
    assert ("a resumed job refuses" in text) == options.resumes
