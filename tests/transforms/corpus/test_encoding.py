from __future__ import annotations

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.errors import RecordError
from transforms.corpus.encoding import decode

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"))


def reason(data: bytes) -> str:
    with pytest.raises(RecordError) as caught:
        decode(data)
    return caught.value.reason


@given(TEXT.filter(lambda text: not text.startswith("\ufeff")))
def test_utf8_comes_back_as_it_was(text):
    decoded = decode(text.encode("utf-8"))
    assert (decoded.text, decoded.encoding) == (text, "UTF-8")


@given(
    TEXT,
    st.sampled_from(
        [
            ("UTF-8-SIG", codecs.BOM_UTF8, "utf-8"),
            ("UTF-16-LE", codecs.BOM_UTF16_LE, "utf-16-le"),
            ("UTF-16-BE", codecs.BOM_UTF16_BE, "utf-16-be"),
            ("UTF-32-LE", codecs.BOM_UTF32_LE, "utf-32-le"),
            ("UTF-32-BE", codecs.BOM_UTF32_BE, "utf-32-be"),
        ]
    ),
)
def test_a_byte_order_mark_names_the_encoding_and_is_no_part_of_the_text(text, marked):
    name, mark, codec = marked
    decoded = decode(mark + text.encode(codec))
    assert (decoded.text, decoded.encoding) == (text, name)


@given(st.binary(max_size=300))
def test_any_bytes_are_decoded_or_refused_and_never_edited(data):
    try:
        decoded = decode(data)
    except RecordError as error:
        assert error.reason in ("binary_content", "undecodable") and error.detail
        return
    assert "\0" not in decoded.text
    if not decoded.encoding.endswith(("-SIG", "-LE", "-BE")):
        assert decoded.text.encode(decoded.encoding) == data


def test_line_ends_stay_as_they_are():
    assert decode(b"a\r\nb\rc\n").text == "a\r\nb\rc\n"


def test_an_empty_file_is_an_empty_text():
    assert decode(b"").text == ""


def test_a_declared_encoding_is_honoured():
    russian = "# -*- coding: koi8-r -*-\nname = 'Познание бесконечности требует бесконечного времени'\n"
    assert decode(russian.encode("koi8-r")).text == russian
    assert decode(russian.encode("koi8-r")).encoding == "KOI8-R"


def test_latin_1_prose_is_found_without_a_declaration():
    german = "// Größe der Fläche prüfen, bevor die Länge übergeben wird\n" * 5
    assert decode(german.encode("latin-1")).text == german


def test_nul_bytes_mean_binary():
    assert reason(b"\x7fELF\0\0\0") == "binary_content"


def test_a_mark_with_something_else_behind_it_is_undecodable():
    assert reason(codecs.BOM_UTF8 + b"\xff\xfe\xfd") == "undecodable"
    assert reason(codecs.BOM_UTF16_LE + "x".encode("utf-16-le") + b"\xd8") == "undecodable"


def test_half_a_surrogate_pair_is_undecodable():
    assert reason(codecs.BOM_UTF16_LE + b"a\x00\x00\xd8b\x00") == "undecodable"
    assert reason(codecs.BOM_UTF8 + b"\xed\xa0\x80") == "undecodable"


def test_noise_is_undecodable():
    noise = bytes(range(1, 256)) * 3
    assert reason(noise) == "undecodable"
