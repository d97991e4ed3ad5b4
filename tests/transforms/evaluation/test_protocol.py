from __future__ import annotations

from pathlib import Path

import pytest

from model.errors import ConfigError
from transforms.evaluation.benchmarks import BENCHMARKS
from transforms.evaluation.benchmarks.own_tests import OWN_TESTS
from transforms.evaluation.protocol import Stops, protocol_of, read_protocol
from transforms.sandbox.toolchains import toolchains


def test_every_benchmark_that_is_asked_has_a_protocol_with_its_source() -> None:
    for benchmark in BENCHMARKS.values():
        if benchmark.asking is not None:
            protocol = protocol_of(benchmark.asking.protocol)
            assert protocol.version and protocol.source


def test_only_what_is_filled_in_has_no_chat_form() -> None:
    for benchmark in (*BENCHMARKS.values(), OWN_TESTS):
        assert benchmark.asking is not None
        protocol = protocol_of(benchmark.asking.protocol)
        assert (protocol.chat is None) == (protocol.form == "fill")
        assert protocol.chat is None or protocol.chat.answer == ("text" if benchmark.is_text else "code")


def test_a_turn_has_the_prompt_as_it_is_and_the_languages_names() -> None:
    chat = protocol_of("babelcode").chat
    assert chat is not None
    turn = chat.turn("int f() { // {prompt} {fence}\n", "C++")
    assert turn.startswith("Write the C++ code") and turn.endswith("```cpp\nint f() { // {prompt} {fence}\n```")


def test_babelcode_says_where_an_answer_ends_in_each_language_that_is_run() -> None:
    protocol = protocol_of("babelcode")
    assert set(protocol.languages) == set(toolchains())
    assert all(ending.stops for ending in protocol.languages.values())


@pytest.mark.parametrize(
    ("language", "written", "answer"),
    [
        ("C++", "\n  return 1;\n}\nint other() {\n}", "\n  return 1;\n}"),
        ("Java", "\n        return 1;\n    }\n    int other() {\n    }\n", "\n        return 1;\n    }\n}\n"),
        ("Go", "\n\treturn 1\n}\nfunc other() {}", "\n\treturn 1\n}"),
        ("Kotlin", "\n    return 1\n}\n\nfun other() = 2", "\n    return 1\n}"),
        ("Python", "\n    return 1\n\n# end\n", "\n    return 1\n"),
        ("Rust", "\n    1", "\n    1"),
    ],
)
def test_an_answer_ends_where_its_language_says(language: str, written: str, answer: str) -> None:
    assert protocol_of("babelcode").ending_of(language, 0).cut(written, is_complete=False) == answer


def test_the_first_stop_in_the_text_ends_it_whatever_their_order() -> None:
    assert Stops(stops=("zz", "b")).cut("abzz", is_complete=False) == "a"


def test_a_model_that_ends_right_after_a_brace_has_ended_the_class_as_well() -> None:
    java = protocol_of("babelcode").ending_of("Java", 0)
    assert java.cut("\n        f();\n    }", is_complete=True).endswith("    }\n}\n")
    assert java.cut("\n        f();\n    }", is_complete=False).endswith("    }")


def test_examples_change_where_mbpp_ends() -> None:
    protocol = protocol_of("mbpp")
    assert protocol.ending_of("Python", 3).cut("def f(): pass\n[DONE]\nmore", is_complete=False) == "def f(): pass\n"
    assert "[DONE]" not in protocol.ending_of("Python", 0).stops


OWN = """version = "1"
source = "mine"
form = "continue"
answer_tokens = 9
prompt_tokens = 9
shots = 0
stops = ["x"]
"""


def test_a_protocol_of_ones_own_is_named_by_its_hash(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(OWN)
    first = read_protocol(str(path))
    path.write_text(OWN.replace('"x"', '"y"'))
    assert first.version.startswith("sha256-") and first.version != read_protocol(str(path)).version


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("form", "from"), "form is None"),
        (('"continue"', '"goon"'), "it can be continue or fill"),
        (('["x"]', '"x"'), "stops is a list of texts"),
        (('["x"]', '[""]'), "none of them empty"),
        (("shots = 0", "shots = [5, 8]"), r"shots is a whole number from 0, got \[5, 8\]"),
        (("shots = 0", "shots = -1"), "shots is a whole number from 0, got -1"),
        (("shots = 0", "shots = true"), "shots is a whole number from 0, got True"),
        (("answer_tokens = 9", "answer_tokens = 0"), "answer_tokens is a whole number from 1, got 0"),
        (("answer_tokens = 9", 'answer_tokens = "9"'), "answer_tokens is a whole number from 1, got '9'"),
        (("\nprompt_tokens = 9", "\nprompt_tokens = 9.5"), "prompt_tokens is a whole number from 1, got 9.5"),
        (("prompt_tokens = 9\n", ""), "prompt_tokens is missing"),
        (('source = "mine"', "source = 1"), "source is a text, got 1"),
        (('version = "1"', "version = 1"), "version is a text, got 1"),
        (('["x"]', '["x"]\nkeeps_stop = "no"'), "keeps_stop is true or false, got 'no'"),
        (('["x"]', '["x"]\nclosing = 1'), "closing is a text, got 1"),
        (('["x"]', '["x"]\nshot_stops = ["y"]'), r"shot_stops is a table, got \['y'\]"),
        (('["x"]', '["x"]\nlanguages = 5'), "languages is a table, got 5"),
        (('["x"]', '["x"]\n[languages]\nGo = "y"'), "languages.Go is a table, got 'y'"),
        (('["x"]', '["x"]\n[languages.Cobol]\nstops = ["y"]'), "languages: the sandbox runs no Cobol"),
        (('["x"]', '["x"]\n[languages.Go]\n[languages.golang]'), "languages: Go stands there twice"),
        (('["x"]', '["x"]\nchat = 1'), "chat is a table, got 1"),
        (('["x"]', '["x"]\n[chat]\nanswer = "code"'), "ask is missing"),
        (('["x"]', '["x"]\n[chat]\nanswer = "code"\nask = "Hello"'), r"ask must have \{prompt\} once"),
        (('["x"]', '["x"]\n[chat]\nanswer = "all"\nask = "{prompt}"'), "it can be text or code"),
        (('["x"]', '["x"]\n[chat]\nanswer = "text"\nask = "{prompt}"\nsystem = "x"'), "system"),
        (('"continue"', '"fill"\nchat = {answer = "text", ask = "{prompt}"}'), "can't ask for what the form fill asks"),
        (('source = "mine"\n', ""), "source"),
        (("stops", "ztops"), "ztops"),
        (("= 9", "= "), "line 4"),
    ],
)
def test_a_protocol_that_is_wrong_is_told_in_one_line(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    path = tmp_path / "own.toml"
    path.write_text(OWN.replace(*change, 1))
    with pytest.raises(ConfigError, match=said) as raised:
        read_protocol(str(path))
    assert "\n" not in str(raised.value)


def test_a_protocols_languages_go_by_any_of_their_names(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(OWN + '[languages.js]\nstops = ["y"]\n')
    protocol = read_protocol(str(path))
    assert protocol.ending_of("JavaScript", 0).stops == ("y",) and protocol.ending_of("Go", 0).stops == ("x",)
