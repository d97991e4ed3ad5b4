"""Each escape makes any name plain text in its medium."""

from __future__ import annotations

import sys
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from rich.console import Console
from rich.text import Text

from jobs.terminal.escapes import html, markdown, markdown_code, one_line, print_line, shown_lines, visible
from tests.jobs import hostile

# Any character, lone surrogates too, and often the ones that mean something somewhere.
NAMES = st.text(
    st.characters() | st.characters(categories=["Cs", "Cc", "Cf"]) | st.sampled_from("\\|`<>&[]()!_*\"' \n")
)
MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
ADDRESSES = ("://", "www.", "@")  # what GitHub's Markdown makes a link, in text but not in code


class Page(HTMLParser):
    def __init__(self, page: str):
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        self.tags.append("/" + tag)

    def handle_comment(self, data):
        self.tags.append("comment")

    def handle_data(self, data):
        self.text += data


def cells(markdown_table: str) -> list[list[tuple[str, str]]]:
    """The cells of the one table that the text is, as (kind, content) of what stands in them."""
    tokens = MARKDOWN.parse(markdown_table)
    assert tokens[0].type == "table_open" and tokens[-1].type == "table_close"
    assert sum(token.type == "table_open" for token in tokens) == 1
    return [[(child.type, child.content) for child in token.children] for token in tokens if token.type == "inline"]


@given(NAMES)
def test_a_name_in_a_terminal_holds_nothing_hidden_and_no_line_break(name):
    shown = one_line(name)
    assert not hostile.hidden_in(shown) and "\n" not in shown
    assert one_line(shown) == shown, "twice is the same as once"
    assert shown.encode("utf-8").decode() == shown


@given(NAMES)
def test_a_text_in_a_terminal_keeps_its_lines_and_what_was_plain(text):
    assert not hostile.hidden_in(visible(text).replace("\t", ""))
    plain = "".join(char for char in text if not hostile.is_hidden(char) and char != "\\")
    assert visible(plain) == plain
    assert all("\n" not in line and not hostile.hidden_in(line.replace("\t", "")) for line in shown_lines(text))


def test_hidden_characters_and_no_others_are_written_as_python_writes_them():
    for char in map(chr, range(sys.maxunicode + 1)):
        expected = char.encode("unicode_escape").decode() if hostile.is_hidden(char) or char == "\n" else char
        assert one_line(char) == expected


@given(NAMES)
def test_a_name_in_html_is_plain_text_in_elements_and_attributes(name):
    page = Page(f'<p title="{html(name)}">{html(name)}</p>')
    assert page.tags == ["p", "/p"] and page.text == one_line(name)


@given(NAMES | st.sampled_from(hostile.ANY))
def test_a_name_in_a_markdown_table_is_plain_text_in_its_cell(name):
    for escaped in (markdown(name), markdown_code(name)):
        found = cells(f"| a | b |\n|---|---|\n| {escaped} | end |\n")
        assert found[0] == [("text", "a")] and found[3] == [("text", "end")] and len(found) == 4
        ((kind, content),) = found[2]
        assert kind in ("text", "code_inline")
        expected = one_line(name).replace("`", r"\x60").replace("|", r"\x7c") or " "
        assert content.strip() == expected.strip()
        assert kind == "code_inline" or not any(mark in content for mark in ADDRESSES)


@pytest.mark.parametrize("name", ["not_utf8", "C++", "C#", "1.5", "Objective-C", "a, b (c)/d", "Äpfel"])
def test_plain_words_in_markdown_stay_as_they_are(name):
    assert markdown(name) == name


@pytest.mark.parametrize("name", hostile.ANY)
def test_rich_shows_an_escaped_name_as_it_is(name, capsys):
    console = Console(force_terminal=True, width=400, highlight=False)
    console.print(Text(one_line(name)))
    assert capsys.readouterr().out == one_line(name) + "\n"


def test_a_printed_line_is_one_line(capsys):
    print_line("a\n\x1b[2Jb")
    assert capsys.readouterr().out == "a\\n\\x1b[2Jb\n"
