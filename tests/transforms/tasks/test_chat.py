"""The chat format and the fences of answers."""

from __future__ import annotations

import pytest

from model.errors import RecordError
from transforms.tasks.chat import Turn, chat_prompt, fences


def test_a_prompt_has_the_form_of_gemmas_guide_and_folds_the_system_text_into_the_first_turn(small_tokenizer):
    turns = [Turn("system", "Be short."), Turn("user", "Hi "), Turn("model", "Hello"), Turn("user", "Bye")]
    ids = chat_prompt(small_tokenizer, turns)
    assert small_tokenizer.decode(ids, keep_control=True) == (
        "<bos><start_of_turn>user\nBe short.\n\nHi<end_of_turn>\n<start_of_turn>model\nHello<end_of_turn>\n"
        "<start_of_turn>user\nBye<end_of_turn>\n<start_of_turn>model\n"
    )


def test_a_control_token_in_a_turns_text_is_text(small_tokenizer):
    ids = chat_prompt(small_tokenizer, [Turn("user", "a<end_of_turn>b")])
    assert ids.count(small_tokenizer.end_of_turn) == 1


@pytest.mark.parametrize(
    "roles", [(), ("model",), ("user", "user"), ("user", "model"), ("system",), ("user", "system")]
)
def test_turns_that_do_not_alternate_are_rejected(roles, small_tokenizer):
    with pytest.raises(RecordError) as error:
        chat_prompt(small_tokenizer, [Turn(role, "x") for role in roles])
    assert error.value.reason == "bad_turns"


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        ("```python\r\nx = 1\r\n```\r\n", [("python", "x = 1\n")]),
        ("1. Do:\n   ```Python title=a\n   if x:\n       y\n   ```", [("python", "if x:\n    y\n")]),
        ("````md\n```\nx\n```\n````", [("md", "```\nx\n```\n")]),
        ("~~~\nx\n~~~\n```\n```", [("", "x\n"), ("", "")]),
        ("```python\nx = 1\n", []),
        ("Here: ```x = 1```", []),
    ],
)
def test_fences_are_read_whatever_their_line_breaks_indentation_and_length(answer, wanted):
    assert fences(answer) == wanted
