"""`codemill browse` and the report in a real browser, headless Chromium, which runs what a page could run."""

from __future__ import annotations

import shutil
import struct
import subprocess
import zlib
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.jobs.browsing.conftest import MARKUP
from tests.jobs.terminal.test_escapes import Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed"),
    pytest.mark.timeout(600),
]
pytest.importorskip("duckdb", reason="the extra browse is not installed")


def shown(url: str, folder: Path) -> Page:
    """The page as the browser has it after all of it was loaded."""
    assert CHROMIUM is not None
    words = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}", "--dump-dom", url]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=True)
    return Page(done.stdout)


def test_a_reader_opens_the_printed_address_and_follows_a_shared_filter(address, tmp_path):
    first = shown(address, tmp_path)
    assert "60 rows; 1 to 25 shown" in first.text and "src/file_0.py" in first.text
    shared = shown(f"{address}&table=rejected&where=reason%3Ddoes_not_parse", tmp_path)
    assert "10 rows; 1 to 10 shown" in shared.text and "reason=does_not_parse ×" in shared.text
    row = shown(f"{address.replace('/?', '/row?')}&table=kept&number=7", tmp_path)
    assert "kept row 7" in row.text and "7 + 1" in row.text and "lineage.mean_logprob" in row.text


def test_markup_in_rows_and_addresses_is_text(address, tmp_path):
    hostile = quote(MARKUP)
    for query in ("&where=exact_match%3Dtrue", f"&q={hostile}", f"&where=path~{hostile}", f"&sort={hostile}"):
        page = shown(address + query, tmp_path)
        assert not {"script", "img"} & set(page.tags)
        assert MARKUP in page.text or "q=" in query  # an input's value is no text of the page
    assert MARKUP in shown(f"{address}&table=rejected", tmp_path).text


def first_pixel(png: Path) -> bytes:
    """Red, green and blue of the pixel at the top left, which no PNG filter changes."""
    data, chunks, at = png.read_bytes(), b"", 8
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        chunks += data[at + 8 : at + 8 + size] if kind == b"IDAT" else b""
        at += size + 12
    return zlib.decompress(chunks)[1:4]


def test_the_style_sheet_is_applied(address, tmp_path):
    assert CHROMIUM is not None
    png = tmp_path / "page.png"
    words = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    words += ["--window-size=1000,600", "--blink-settings=preferredColorScheme=0", f"--screenshot={png}", address]
    subprocess.run(words, capture_output=True, timeout=300, check=True)
    assert first_pixel(png) == b"\x16\x18\x1b"  # the paper in the dark; without the sheet it is white
