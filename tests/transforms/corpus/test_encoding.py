from __future__ import annotations

import codecs
import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import text_encodings
from model.errors import RecordError
from transforms.corpus import encoding
from transforms.corpus.declared import _READ_WITH, codecs_of, declared
from transforms.corpus.encoding import CONFIDENCES, decode
from transforms.corpus.evidence import CANDIDATES

CODECS = {candidate.name: candidate.codec for candidate in CANDIDATES}
CODECS |= {name: codec for ways in _READ_WITH.values() for codec, name in ways} | {"ISO-2022-JP": "iso2022_jp"}
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


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_decoded_or_refused_and_never_edited(data):
    try:
        decoded = decode(data, keep_uncertain=True)
    except RecordError as error:
        assert error.reason in ("binary_content", "undecodable", "uncertain_encoding") and error.detail
        return
    assert "\0" not in decoded.text
    assert decoded.confidence in CONFIDENCES
    if not decoded.encoding.startswith("UTF-"):
        assert decoded.text.encode(CODECS[decoded.encoding]) == data


def test_line_ends_stay_as_they_are():
    assert decode(b"a\r\nb\rc\n").text == "a\r\nb\rc\n"


def test_an_empty_file_is_an_empty_text():
    assert decode(b"").text == ""


def test_a_declared_encoding_is_honoured():
    russian = "# -*- coding: koi8-r -*-\nname = 'Познание бесконечности требует бесконечного времени'\n"
    assert decode(russian.encode("koi8-r")).text == russian
    assert decode(russian.encode("koi8-r")).encoding == "KOI8-R"
    assert decode(russian.encode("koi8-r")).confidence == "declared"


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


# --- without a declaration -----------------------------------------------------------------------------

SHORT = [
    ("// \u00a9 2004 Acme\nint x;\n", "latin-1", "ISO-8859-1"),
    ("LIMIT = 40  # \u00b0C, \u00b1 0.5\n", "latin-1", "ISO-8859-1"),
    ("// cr\u00e9\u00e9 par R\u00e9mi\n" + "int add(int a, int b);\n" * 80, "latin-1", "ISO-8859-1"),
    ("# Fun\u00e7\u00e3o que d\u00e1 a posi\u00e7\u00e3o\n" + "def f(x):\n    pass\n" * 40, "latin-1", "ISO-8859-1"),
    ("a \u2013 b \u2026 c\n", "cp1252", "windows-1252"),
    ("// \u0410\u0432\u0442\u043e\u0440\nint x;\n", "koi8-r", "KOI8-R"),
    ("/* Размер не задан */\n", "cp866", "IBM866"),
    ("# 初始化串口\nx = 1\n", "gbk", "GB18030"),
    ("# ファイルを開く\nx = 1\n", "shift_jis", "Shift_JIS"),
    ("# ファイルを開く\nx = 1\n", "euc-jp", "EUC-JP"),
    ("# 파일을 열 수 없습니다\nx = 1\n", "euc-kr", "EUC-KR"),
    ("-- Nie można otworzyć pliku, ścieżka jest błędna\n", "cp1250", "windows-1250"),
    ("-- Nie można otworzyć pliku, ścieżka jest błędna\n", "iso8859-2", "ISO-8859-2"),
    ("// Kullanıcının şifresi değiştirildi\n", "cp1254", "windows-1254"),
    ("<!-- Η συνάρτηση επιστρέφει το μήκος -->\n", "cp1253", "windows-1253"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "codec", "name"), SHORT)
def test_a_short_text_is_found_by_how_usual_it_reads(text, codec, name):
    decoded = decode(text.encode(codec))
    assert decoded.text == text
    assert (decoded.encoding, decoded.confidence) == (name, "likely")


def test_of_hundreds_of_files_hardly_one_is_wrong_unmarked_and_nearly_all_are_kept():
    counts = Counter(
        text_encodings.outcome(case)[0] for case in text_encodings.cases(7, 1) if case.size in ("one line", "1 KB")
    )
    assert counts.total() > 200
    assert counts["wrong"] < 0.01 * counts.total()
    assert counts["right"] > 0.95 * counts.total()


@pytest.mark.parametrize("codec", ["cp1252", "gb18030", "shift_jis"])
def test_what_stands_far_out_in_a_long_line_counts(codec):
    comment = {
        "cp1252": "Überprüft die Größe der Fläche",
        "gb18030": "从数据库读取下一条记录",
        "shift_jis": "ファイルを開く",
    }
    line = "x(1);" * 20_000 + f"/* {comment[codec]} */" + "y(2);" * 20_000
    assert decode(line.encode(codec)).text == line


def test_a_weak_guess_is_refused_with_what_it_may_be(monkeypatch):
    monkeypatch.setattr(encoding, "_MIN_MARGIN", 1e9)
    with pytest.raises(RecordError) as caught:
        decode("// Größe der Fläche\n".encode("latin-1"))
    assert caught.value.reason == "uncertain_encoding"
    assert "windows-1252" in caught.value.detail and "Größe" not in caught.value.detail


def test_a_weak_guess_is_kept_and_marked_where_that_is_asked_for(monkeypatch):
    monkeypatch.setattr(encoding, "_MIN_MARGIN", 1e9)
    decoded = decode("// Größe der Fläche\n".encode("latin-1"), keep_uncertain=True)
    assert (decoded.text, decoded.confidence) == ("// Größe der Fläche\n", "uncertain")


def test_neighbors_decide_between_what_is_nearly_as_good(monkeypatch):
    data = "// Pøed\n".encode("latin-1")  # Danish, or Czech `Před` in windows-1250
    monkeypatch.setattr(encoding, "_MIN_MARGIN", 1e9)
    for name, text in (("windows-1250", "// Před\n"), ("windows-1252", "// Pøed\n")):
        decoded = decode(data, lambda name=name: (name,))
        assert (decoded.text, decoded.confidence) == (text, "neighbors")
    assert reason(data) == "uncertain_encoding"
    with pytest.raises(RecordError):
        decode(data, lambda: ("Big5",))


def test_neighbors_are_asked_only_where_it_matters():
    def never():
        raise AssertionError

    assert decode("größe".encode(), never).confidence == "certain"
    assert decode("# Überprüft, ob die Länge größer ist\n".encode("latin-1"), never).confidence == "likely"


# --- declarations --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "label"),
    [
        (b"# -*- coding: koi8-r -*-", "koi8-r"),
        (b"#!/bin/sh\n# coding=cp1251", "cp1251"),
        (b"#!/bin/sh\n\n# coding=cp1251", None),
        (b";;; x.el -*- mode: lisp; coding: iso-8859-2-unix; -*-", "iso-8859-2"),
        (b"# vim: set ts=4 fileencoding=gbk :", "gbk"),
        (b"int x;\n" * 9 + b"/* vim: fenc=euc-jp ts=4 */\n", "euc-jp"),
        (b'<?xml version="1.0" encoding="ISO-8859-1"?>', "ISO-8859-1"),
        (b'<html><META http-equiv="Content-Type" content="text/html; charset=big5">', "big5"),
        (b"<meta charset='windows-1251'>", "windows-1251"),
        (b'<%@ page pageEncoding="GBK" %>', "GBK"),
        (b'@charset "shift_jis";', "shift_jis"),
        (b"\\usepackage[latin1]{inputenc}", "latin1"),
        (b"x = 'coding: gbk'", None),
    ],
)
def test_declarations_of_many_kinds_are_read(head, label):
    assert declared(head) == label


@pytest.mark.parametrize(
    "label", ["rot13", "hex", "utf-7", "unicode_escape", "idna", "utf-16", "nonsense", "a\0b", "x" * 999]
)
def test_a_label_that_is_no_encoding_of_files_counts_for_nothing(label):
    assert codecs_of(label) == ()


def test_every_declared_codec_leaves_ascii_as_it_is():
    ascii_text = "".join(map(chr, range(32, 127)))
    for ways in _READ_WITH.values():
        for codec, _ in ways:
            if not codec.startswith("shift_jis_2004"):  # its backslash is a yen sign
                assert ascii_text.encode("ascii").decode(codec) == ascii_text, codec


def test_a_declaration_that_does_not_fit_is_passed_over():
    text = "# -*- coding: ascii -*-\n# Überprüft, ob die Länge größer als das Maximum ist\n"
    assert decode(text.encode()).encoding == "UTF-8"
    text = "# -*- coding: utf-8 -*-\n# Überprüft, ob die Länge größer als das Maximum ist\n"
    assert decode(text.encode("latin-1")).confidence == "likely"


def test_a_declaration_that_the_text_contradicts_makes_it_uncertain():
    russian = (
        "# -*- coding: latin-1 -*-\n# Проверяет, что пользователь вошёл в систему\n# Ошибка: не удалось открыть файл\n"
    )
    assert reason(russian.encode("koi8-r")) == "uncertain_encoding"


# --- UTF-16 without a mark, ISO-2022, damage -------------------------------------------------------------


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_utf16_and_utf32_without_a_mark_show_by_their_nuls(codec):
    text = "int größe = 一; // Größe\r\nint x = 2;\r\nint y = 3; // and so on, for some lines\r\n"
    decoded = decode(text.encode(codec))
    assert (decoded.text, decoded.encoding, decoded.confidence) == (text, codec.upper(), "likely")


@pytest.mark.parametrize(
    "data", [b"a\0", b"\1\0" * 40, b"a\0b\0" * 40 + b"\0\0", bytes(64), b"\0\0\0\1" * 20, b"ab\0" * 40]
)
def test_other_nuls_are_binary(data):
    assert reason(data) == "binary_content"


def test_iso_2022_jp_is_read_and_not_published_as_ascii():
    text = "# ファイルを開く\nx = 1\n"
    decoded = decode(text.encode("iso2022_jp"))
    assert (decoded.text, decoded.encoding) == (text, "ISO-2022-JP")


@pytest.mark.parametrize(
    "data",
    ["# Größe und Länge".encode()[:-2] + "Länge".encode()[:2], "größe, länge".encode() + "Übermut".encode("latin-1")],
)
def test_damaged_utf8_is_not_read_as_something_else(data):
    assert reason(data) == "undecodable"


def test_loading_the_decoder_does_not_load_the_tables():
    code = (
        "from transforms.corpus import encoding, letters; encoding.decode(b'x'); "
        "print(letters._tables.cache_info().currsize)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "0\n"
