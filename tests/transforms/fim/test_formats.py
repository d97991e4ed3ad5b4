"""Every layout reads back to the bytes it was made of, whatever the text says."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transforms.fim.documents import read_fim_document
from transforms.fim.formats import (
    FIM_MODES,
    fim_document,
    fim_prompt,
    fim_stop_ids,
    path_line_text,
    strip_final_separator,
)

NASTY = ["<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|file_separator|>", "<eos>", "<bos>", "\r\n", "\ufeff"]
NASTY += ["\t", "\x00", "    return x\n", "\u2581", "\U0001f600", "<|fim_", "middle|>"]
TEXTS = st.lists(st.one_of(st.sampled_from(NASTY), st.text(max_size=8)), max_size=8).map("".join)


@settings(max_examples=60, deadline=None)
@given(prefix=TEXTS, middle=TEXTS, suffix=TEXTS, path=st.sampled_from(["", "a/b.py", "<|fim_prefix|>.py"]))
@pytest.mark.parametrize("mode", FIM_MODES)
def test_every_layout_reads_back_to_the_original_bytes(small_tokenizer, mode, prefix, middle, suffix, path):
    encode, decode = small_tokenizer.encode, small_tokenizer.decode_bytes
    before = encode(prefix)
    ids = fim_document(
        small_tokenizer, mode, before, encode(middle), encode(suffix), path_line=encode(path_line_text(path))
    )
    parts = read_fim_document(small_tokenizer, ids, prefix_tokens=len(before))
    assert decode(parts.path_line) == path_line_text(path).encode()
    assert decode(parts.prefix) == prefix.encode()
    assert decode(parts.middle) == middle.encode()
    assert decode(parts.suffix) == suffix.encode()


def test_the_prompt_is_the_document_up_to_its_middle(small_tokenizer):
    t = small_tokenizer
    for mode in FIM_MODES:
        document = fim_document(t, mode, [10, 11], [12, 13], [14])
        assert [*fim_prompt(t, mode, [10, 11], [14]), 12, 13] == [t.bos, *document]


def test_psm_is_laid_out_as_codegemma_publishes_it(small_tokenizer):
    t = small_tokenizer
    assert fim_prompt(t, "psm", [10], [11]) == [t.bos, t.fim_prefix, 10, t.fim_suffix, 11, t.fim_middle]


def test_spm_dialects_differ_in_where_the_prefix_stands(small_tokenizer):
    t = small_tokenizer
    assert fim_prompt(t, "spm", [10], [11]) == [t.bos, t.fim_suffix, 11, t.fim_prefix, 10, t.fim_middle]
    assert fim_prompt(t, "spm_v2", [10], [11]) == [t.bos, t.fim_prefix, t.fim_suffix, 11, t.fim_middle, 10]


def test_context_files_come_first_each_ended_by_a_separator(small_tokenizer):
    t = small_tokenizer
    prompt = fim_prompt(t, "psm", [10], [], path_line=[20], context=[[21, 22], [23]])
    separator = t.file_separator
    assert prompt == [t.bos, 21, 22, separator, 23, separator, 20, t.fim_prefix, 10, t.fim_suffix, t.fim_middle]


def test_codegemma_s_control_ids_are_67_to_70(codegemma_tokenizer):
    assert fim_stop_ids(codegemma_tokenizer) == {67, 68, 69, 70, codegemma_tokenizer.eos}


def test_only_final_separators_are_stripped(small_tokenizer):
    s = small_tokenizer.file_separator
    assert strip_final_separator(small_tokenizer, [s, 10, s, 11, s, s]) == [s, 10, s, 11]


def test_a_path_that_no_line_can_hold_gives_no_path_line():
    assert path_line_text("a\nb.py") == "" == path_line_text("")
    assert path_line_text("src/a.py") == "src/a.py\n"
