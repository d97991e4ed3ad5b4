from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.options import (
    CommonOptions,
    GenerationOptions,
    ModelOptions,
    OptionSet,
    all_options,
    changed_options,
    from_all_options,
    option,
    parse,
    semantic_options,
)
from model.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Mill(OptionSet):
    """Grind corn.

    The second paragraph is for readers of the code.
    """

    resumes = True

    grain: tuple[str, ...] = option(help="What to grind.", positional=True)
    output: str = option(help="Where to.", operational=True)
    stones: int = option(2, help="How many stones.", minimum=1, maximum=8)
    speed: float = option(1.5, help="Turns a second, 100% being 3.", minimum=0)
    tags: tuple[str, ...] = option((), help="Words.")
    sizes: tuple[int, ...] = option((1, 2), help="Numbers.")
    fine: bool = option(False, help="Whether to grind twice.")
    note: str | None = option(None, help="A remark.")
    kind: Literal["rye", "wheat"] = option("rye", help="Which corn.")
    slots: int | None = option(None, help="Seats.", operational="unless_exact", minimum=1)
    determinism: Literal["fast", "exact"] = option("fast", help="How.")


def parsed(*words: str) -> Mill:
    return parse(Mill, ["rye.bin", "--output", "o", *words])[0]


def refused(*words: str, base: tuple[str, ...] = ("rye.bin", "--output", "o")) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(Mill, [*base, *words], prog="mill")
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_flags_set_the_fields_of_their_names_with_their_types():
    mill = parsed("--stones", "4", "--speed=2", "--note", "x y", "--kind", "wheat")
    assert (mill.stones, mill.speed, mill.note, mill.kind) == (4, 2.0, "x y", "wheat")
    assert isinstance(mill.speed, float)


def test_what_is_not_given_has_its_default():
    assert parsed() == Mill(grain=("rye.bin",), output="o")


def test_lists_take_several_values_and_may_be_repeated_and_replace_the_default():
    mill = parsed("--tags", "a", "b", "--tags", "c", "--sizes", "7")
    assert mill.tags == ("a", "b", "c")
    assert mill.sizes == (7,)


def test_positional_lists_take_several():
    assert parse(Mill, ["a", "b", "--output", "o"])[0].grain == ("a", "b")


def test_booleans_have_a_flag_and_its_opposite():
    assert parsed("--fine").fine is True
    assert parsed("--fine", "--no-fine").fine is False


def test_a_dash_may_stand_for_an_underscore_in_a_flag():
    @dataclass(frozen=True, kw_only=True)
    class Spaced(OptionSet):
        """Names of several words."""

        unit_rows: int = option(1, help="A number.")
        dry_run: bool = option(False, help="A truth value.")
        name_list: tuple[str, ...] = option((), help="Words.")

    for words in (["--unit-rows", "2", "--dry-run"], ["--unit_rows=2", "--dry_run"], ["--unit-rows=2", "--dry-run"]):
        assert parse(Spaced, words)[0] == Spaced(unit_rows=2, dry_run=True)
    for word in ("--no-dry-run", "--no-dry_run", "--no_dry_run"):
        assert parse(Spaced, ["--dry_run", word])[0] == Spaced()
    # Values and Beam's own flags keep theirs.
    options, beam_args = parse(Spaced, ["--name-list", "a-b", "c_d", "--", "--job-name", "x-y"])
    assert (options.name_list, beam_args) == (("a-b", "c_d"), ["--job-name", "x-y"])
    with pytest.raises(ConfigError, match=r"unknown flag --unit-row; did you mean --unit_rows\?"):
        parse(Spaced, ["--unit-row", "2"])


def test_beams_options_follow_a_lone_dash_dash():
    _, beam_args = parse(Mill, ["a", "--output", "o", "--", "--runner", "FlinkRunner", "--stones=9"])
    assert beam_args == ["--runner", "FlinkRunner", "--stones=9"]


@pytest.mark.parametrize(
    ("typo", "meant"),
    [("--stone", "--stones"), ("--fien", "--fine"), ("--no-fin", "--no-fine"), ("--conifg=x", "--config")],
)
def test_an_unknown_flag_names_the_nearest_known_one(typo, meant):
    assert f"unknown flag {typo.split('=')[0]}; did you mean {meant}?" in refused(typo, "1")


def test_dashes_alone_make_no_flag_alike():
    assert "unknown flag --dine; did you mean --fine?" in refused("--dine", "1")
    assert "unknown flag --us; see" in refused("--us", "1")


def test_flags_are_never_abbreviated():
    assert "unknown flag --spee" in refused("--spee", "1")


def test_an_unknown_flag_like_no_other_names_none():
    assert refused("--zzzzqqqq") == "unknown flag --zzzzqqqq; see mill --help"


def test_a_word_without_its_flag_is_refused():
    with pytest.raises(ConfigError, match="unexpected 'stray'"):
        parse(ModelOptions, ["--seed", "stray"][1:])


def test_a_value_of_another_type_is_refused_with_what_was_expected():
    assert "--stones: expected an integer, got 'many'" in refused("--stones", "many")
    assert "--speed: expected a number, got 'fast'" in refused("--speed", "fast")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--stones", "0"), "--stones is 0, the minimum is 1"),
        (("--stones", "9"), "--stones is 9, the maximum is 8"),
        (("--speed", "nan"), "--speed is nan, the minimum is 0"),
        (("--speed", "inf"), "--speed is inf, it must be a finite number"),
        (("--slots", "0"), "--slots is 0, the minimum is 1"),
        (("--kind", "wheet"), "--kind is 'wheet', expected one of rye, wheat; did you mean wheat?"),
    ],
)
def test_a_value_beyond_its_limits_is_refused_with_the_limit(words, message):
    assert refused(*words) == message


def test_everything_that_is_missing_is_named_at_once():
    assert refused(base=()) == "missing GRAIN, --output; see mill --help"


def test_help_shows_each_option_with_its_default_and_exits_well(capsys):
    with pytest.raises(SystemExit) as caught:
        parse(Mill, ["--help"], prog="codemill mill")
    assert caught.value.code == 0
    shown = " ".join(capsys.readouterr().out.split())
    for field in dataclasses.fields(Mill):
        assert field.metadata["help"] in shown
    assert "usage: codemill mill GRAIN..." in shown
    assert "(default: 1.5)" in shown
    assert "Grind corn." in shown and "second paragraph" not in shown


def test_help_tells_what_a_resumed_job_may_change(capsys):
    with pytest.raises(SystemExit):
        parse(Mill, ["--help"])
    rows, running = capsys.readouterr().out.split("runtime options")
    assert "--stones" in rows and "--slots" in rows
    assert "--output" in running and "--stones" not in running


# --- config files ------------------------------------------------------------------------------------


def config(tmp_path: Path, text: str) -> str:
    path = tmp_path / "job.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_config_gives_the_same_options_and_flags_override_it(tmp_path):
    path = config(tmp_path, "grain: [a, b]\noutput: o\nstones: 3\nspeed: 2\nfine: true\ntags: one\nslots: 4\n")
    mill, _ = parse(Mill, ["--config", path, "--stones", "5", "--no-fine"])
    assert mill == Mill(grain=("a", "b"), output="o", stones=5, speed=2.0, fine=False, tags=("one",), slots=4)


def test_null_in_a_config_is_the_absence_of_an_optional_value(tmp_path):
    assert parsed("--config", config(tmp_path, "slots: null")).slots is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("output: o\n\nstonse: 3\n", ":3: unknown option stonse; did you mean stones?"),
        ("stones: many\n", ":1: stones: expected an integer, got 'many'"),
        ("stones: true\n", ":1: stones: expected an integer, got True"),
        ("sizes: [1, x]\n", ":1: sizes: expected an integer, got 'x'"),
        ("fine: 1\n", ":1: fine: expected true or false, got 1"),
        ("note: 2024-01-01\n", ":1: note: expected text"),
        ("stones: 1\nstones: 2\n", ":2: stones is given twice"),
        ("note: !!python/object/apply:os.getcwd []\n", ":1 is not valid YAML: could not determine a constructor"),
        ("- a\n- b\n", ":1: expected lines of the form name: value"),
        ("stones: [1\n", "is not valid YAML"),
        ("stones: 9\n", "--stones is 9, the maximum is 8"),
    ],
)
def test_a_bad_config_is_refused_with_its_line(tmp_path, text, message):
    assert message in refused("--config", config(tmp_path, text))


def test_a_config_that_is_not_there_is_one_line():
    assert refused("--config", "nowhere.yaml") == "--config nowhere.yaml can't be read: No such file or directory"


def test_an_empty_config_changes_nothing(tmp_path):
    assert parsed("--config", config(tmp_path, "# nothing\n")) == parsed()


# --- what resuming compares --------------------------------------------------------------------------


def test_runtime_options_do_not_affect_the_output():
    assert semantic_options(parsed()) == {
        "grain": ["rye.bin"],
        "stones": 2,
        "speed": 1.5,
        "tags": [],
        "sizes": [1, 2],
        "fine": False,
        "note": None,
        "kind": "rye",
        "determinism": "fast",
    }


def test_in_exact_mode_what_fixes_shapes_affects_the_output():
    assert semantic_options(parsed("--determinism", "exact", "--slots", "4"))["slots"] == 4
    assert "output" not in semantic_options(parsed("--determinism", "exact"))


def test_changed_options_name_the_flag_and_both_values():
    before, after = semantic_options(parsed("--stones", "3")), semantic_options(parsed("--fine"))
    assert changed_options(before, after) == ["--fine was False, is now True", "--stones was 3, is now 2"]
    assert changed_options(before, before) == []


_WORD = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1).filter(
    lambda word: not word.startswith("-")
)


@settings(max_examples=30)
@given(
    stones=st.integers(1, 8),
    speed=st.floats(0, 1e9),
    tags=st.lists(_WORD, min_size=1, max_size=4),
    fine=st.booleans(),
    note=st.none() | _WORD,
)
def test_flags_config_and_constructor_agree(tmp_path_factory, stones, speed, tags, fine, note):
    made = Mill(grain=("g",), output="o", stones=stones, speed=speed, tags=tuple(tags), fine=fine, note=note)
    words = ["g", "--output=o", f"--stones={stones}", f"--speed={speed!r}", "--fine" if fine else "--no-fine"]
    words += ["--tags", *tags] + ([f"--note={note}"] if note is not None else [])
    assert parse(Mill, words)[0] == made

    as_json: dict[str, Any] = json.loads(json.dumps(all_options(made)))
    path = tmp_path_factory.mktemp("config") / "job.yaml"
    path.write_text(yaml.safe_dump(as_json, allow_unicode=True), encoding="utf-8")
    assert parse(Mill, ["--config", str(path)])[0] == made


@dataclass(frozen=True, kw_only=True)
class Sealed(OptionSet):
    """With an internal option that the job sets."""

    stones: int = option(2, help="How many stones.")
    corn_sha256: str = option("", help="Hash of the corn.", internal="the corn")


def test_an_internal_option_is_frozen_and_read_back_but_no_user_can_set_it(tmp_path, capsys):
    sealed = dataclasses.replace(parse(Sealed, [])[0], corn_sha256="ab")
    assert semantic_options(sealed) == {"stones": 2, "corn_sha256": "ab"}
    assert from_all_options(Sealed, all_options(sealed)) == sealed
    with pytest.raises(ConfigError, match="unknown flag --corn_sha256"):
        parse(Sealed, ["--corn_sha256", "cd"])
    with pytest.raises(ConfigError, match="corn_sha256 is filled in by codemill; remove this line"):
        parse(Sealed, ["--config", config(tmp_path, "corn_sha256: cd")])
    with pytest.raises(SystemExit):
        parse(Sealed, ["--help"])
    assert "corn_sha256" not in capsys.readouterr().out


# --- the options that jobs share ---------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Job(ModelOptions, CommonOptions):
    """Model options and common options."""

    spans: int = option(4, help="Spans.")


def test_a_job_combines_shared_options_with_its_own():
    job, _ = parse(Job, ["--input", "a", "b/**/*.parquet", "--output", "o", "--spans", "2", "--temperature", "0.8"])
    assert job.input == ("a", "b/**/*.parquet")
    assert (job.spans, job.temperature, job.seed) == (2, 0.8, 0)


def test_every_shared_check_runs_in_a_job_that_combines_them():
    with pytest.raises(ConfigError, match="--top_p is 0"):
        Job(input=("a",), output="o", top_p=0.0)
    with pytest.raises(ConfigError, match="--unit_rows is 0, the minimum is 1"):
        Job(input=("a",), output="o", unit_rows=0)
    with pytest.raises(ConfigError, match="raise --temperature"):
        Job(input=("a",), output="o", top_k=5)


def test_what_changes_rows_affects_the_output_and_what_does_not_is_a_runtime_option():
    semantic = set(semantic_options(Job(input=("a",), output="o")))
    assert {"input", "seed", "limit", "model", "temperature", "max_prompt_tokens", "content_column"} <= semantic
    assert not semantic & {"output", "shard_mb", "slots", "progress", "break_lock", "dry_run", "unit_rows"}


def test_a_config_made_from_a_job_file_is_told_to_leave_out_what_codemill_fills_in(tmp_path):
    path = tmp_path / "job.yaml"
    path.write_text("seed: 1\npolicy_version: abc\n")
    with pytest.raises(ConfigError, match=r"job.yaml:2: policy_version is filled in by codemill; remove this line"):
        parse(GenerationOptions, ["--input", "in", "--output", "out", "--config", str(path)])
