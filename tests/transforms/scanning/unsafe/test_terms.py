from __future__ import annotations

import codecs

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.errors import ConfigError
from transforms.scanning import ContentFilter, Scanner, load_policy
from transforms.scanning.unsafe.normalized_text import NormalizedText
from transforms.scanning.unsafe.term_finder import TermFinder
from transforms.scanning.unsafe.terms import TermList, normalize_term, own_terms, term_hash, term_shape

TERM = codecs.decode("xvyy zlfrys", "rot13")  # one of codemill's own
SLUR = codecs.decode("xvxr", "rot13")
WIDE = {ord(" "): "\u3000"} | {code: chr(code + 0xFEE0) for code in range(33, 127)}


def list_of(*terms: str, finding_type: str = "code_name") -> TermList:
    normalized = [normalize_term(term) for term in terms]
    return TermList(finding_type, "listed", tuple(map(term_shape, normalized)), frozenset(map(term_hash, normalized)))


@pytest.fixture(scope="module")
def scanner() -> Scanner:
    return Scanner(load_policy("default").rules())


def found(scanner: Scanner, text: str) -> list[str]:
    for finding in scanner.scan(text, language="python"):
        encoded = text.encode("utf-8", "surrogatepass")[finding.byte_start : finding.byte_end]
        assert encoded.decode("utf-8", "surrogatepass") == text[finding.start : finding.end]
    return [text[f.start : f.end] for f in scanner.scan(text, language="python") if f.rule.endswith("-terms")]


@pytest.mark.parametrize(
    "written",
    [
        TERM,
        TERM.upper(),
        TERM.replace(" ", "_"),
        TERM.replace(" ", "  "),
        TERM.replace(" ", ""),
        TERM.title().replace(" ", ""),
        " ".join(TERM.replace(" ", "")),
        ".".join(TERM.replace(" ", "")),
        TERM.replace("i", "1"),
        TERM.replace("e", "3").replace("s", "$"),
        TERM.translate(WIDE),
        TERM[:2] + "\u200b" + TERM[2:],
        TERM[:2] + "\u00ad" + TERM[2:6] + "\u2060" + TERM[6:],
    ],
)
def test_a_term_is_found_at_its_place_however_it_is_written(scanner, written):
    for before in ("# ", "# \u00e9\U0001f600 ", "\ufeff# \u4e2d\u6587 "):
        assert found(scanner, f"{before}{written}, x\ny = 1\n") == [written]


def test_a_term_in_camel_case_is_found_within_a_name_and_a_plural_with_its_ending(scanner):
    camel = TERM.title().replace(" ", "")
    assert found(scanner, f"# let{camel}Now()") == [camel]
    assert found(scanner, f"# {SLUR}s") == [f"{SLUR}s"]


@pytest.mark.parametrize(
    "text",
    [
        f"# x{SLUR}y",  # within a word
        f"# ${SLUR[1:]}",
        f"# aGVs{SLUR.title()}bG8x/29y+Q==",  # encoded data
        f"x = {TERM.replace(' ', '_')}()",  # neither a comment nor a string
        "# I like it, " + " ".join("abcdefgh"),
        f"# the worker process can {TERM} by a signal",  # a benign phrase
    ],
)
def test_what_only_looks_like_a_term_is_left_alone(scanner, text):
    assert found(scanner, text) == []


def test_the_finder_without_hyperscan_finds_the_same():
    lists = (*own_terms(), list_of("Ödland", "проект заря", "機密"))
    text = f"# {TERM}; ÖDLAND, проект  Заря и 社外機密資料 {SLUR}s {TERM.title().replace(' ', '')}"
    fast, slow = TermFinder(lists, True).find(text), TermFinder(lists, False).find(text)
    assert fast == slow and len(fast) == 6


@given(text=st.text(alphabet="aAbＡé\u0301\u200b\ufeffß中\n ０ﬁ", max_size=40))
@settings(max_examples=60, deadline=None)
def test_every_normalized_character_has_its_place_in_the_original(text):
    view = NormalizedText(text, folds_case=True)
    spans = [view.original(i) for i in range(len(view.text))]
    assert all(0 <= start < end <= len(text) for start, end in spans)
    assert spans == sorted(spans)
    for char, (start, end) in zip(view.text, spans, strict=True):
        assert char.casefold() in NormalizedText(text[start:end], folds_case=True).text.casefold()


def policy(tmp_path, terms: str, action: str = "redact", finding_type: str = "code_name") -> str:
    (tmp_path / "names.txt").write_text(terms, encoding="utf-8")
    file = tmp_path / "policy.yaml"
    file.write_text(f"term_lists:\n  {finding_type}: names.txt\nactions:\n  {finding_type}: {action}\n")
    return str(file)


def test_a_users_terms_of_any_script_are_found_and_redacted(tmp_path):
    content_filter = ContentFilter(policy(tmp_path, "# ours\nBlue Heron\nпроект заря\nمشروع\n機密\nखगोल\n"))
    content_filter.open()
    outcome = content_filter.filter_input(
        "# blueHeron, ПРОЕКТ ЗАРЯ and مشروع; 社外機密資料 खगोल, blue herons\n", "python"
    )
    assert outcome.text == (
        "# <CODE_NAME_1>, <CODE_NAME_2> and <CODE_NAME_3>; 社外<CODE_NAME_4>資料 <CODE_NAME_5>, <CODE_NAME_6>s\n"
    )


@pytest.mark.parametrize("action", ["keep", "redact"])
def test_a_term_in_a_password_leaves_nothing_of_the_password(tmp_path, action):
    content_filter = ContentFilter(policy(tmp_path, "blue heron\n", action))
    content_filter.open()
    outcome = content_filter.filter_input('password = "blue-heron-77x!"\n', "python")
    assert {finding.type for finding in outcome.findings} == {"code_name", "secret_assignment"}
    assert outcome.text == 'password = "<SECRET_1>"\n'
    name, _ = content_filter.filter_name("a/password=blue-heron-77x!", "redact")
    assert name.startswith("a/password=<SECRET_") and "heron" not in name and "77x" not in name


def test_a_row_dropped_for_a_users_term_names_its_type(tmp_path):
    content_filter = ContentFilter(policy(tmp_path, "blue heron\n", "drop"))
    content_filter.open()
    assert content_filter.filter_input("x = 'Blue-Heron'\n").dropped == "code_name_in_input"


def test_the_lineage_changes_with_the_terms(tmp_path):
    first = ContentFilter(policy(tmp_path, "blue heron\n"))
    version = first.version
    assert ContentFilter(policy(tmp_path, "# another order\nblue heron\n")).version == version
    assert ContentFilter(policy(tmp_path, "gray heron\n")).version != version


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        ("", "has no terms; write one a line"),
        ("good name\n\nab\n", "names.txt:3: 'ab' has fewer than 3 letters; remove it"),
        ("中\n", "has fewer than 2 letters"),
        ("--- !!!\n", "has fewer than 3 letters"),
        ("x" * 101, "names.txt:1 has a term of 101 characters; the limit is 100"),
        ("".join(f"term{i}x\n" for i in range(10_001)), "has 10001 terms; the limit is 10000"),
    ],
)
def test_a_bad_list_is_refused_in_one_line(tmp_path, terms, reason):
    with pytest.raises(ConfigError, match=reason) as error:
        ContentFilter(policy(tmp_path, terms))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("term_lists: names.txt", "it must map types to files"),
        ("term_lists: {Code Name: names.txt}", "use letters, digits and `_`"),
        ("term_lists: {code_name: 3}", "term_lists.code_name is 3; it must be a file"),
        ("term_lists: {code_name: absent.txt}", "No such file"),
        ("term_lists: {}\nactions: {code_name: drop}", "unknown type 'code_name'"),
    ],
)
def test_a_bad_term_lists_entry_is_refused_in_one_line(tmp_path, line, reason):
    file = tmp_path / "policy.yaml"
    file.write_text(line + "\n")
    with pytest.raises(ConfigError, match=reason) as error:
        ContentFilter(str(file))
    assert "\n" not in str(error.value)
