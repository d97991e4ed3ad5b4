"""A model in packages is joined once, checked by hash, and never half there."""

from __future__ import annotations

import hashlib
import importlib
import sys
import threading
from pathlib import Path

import pytest

from model import packaged
from model.errors import ConfigError
from model.packaged import Packaged, packaged_file
from model.storage import read_bytes, resolve

PARTS = (b"one " * 400_000, b"two", b"")


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """The packages of a model `some`, and a cache of this test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for number, data in enumerate(PARTS):
        folder = tmp_path / "site" / f"codemill_test_part{number}"
        (folder / "data").mkdir(parents=True)
        (folder / "__init__.py").write_text("raise RuntimeError('the code of a package is not run')\n")
        (folder / "data" / f"part{number}").write_bytes(data)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site"), *sys.path])
    whole = b"".join(PARTS)
    parts = tuple((f"codemill_test_part{number}", f"data/part{number}") for number in range(len(PARTS)))
    some = Packaged("some-extra", parts, "some.gguf", len(whole), hashlib.sha256(whole).hexdigest())
    monkeypatch.setitem(packaged.PACKAGED, "some", some)
    importlib.invalidate_caches()
    packaged_file.cache_clear()
    yield tmp_path
    packaged_file.cache_clear()


def made(folder: Path) -> list[Path]:
    return list((folder / "cache" / "codemill" / "models").iterdir())


def test_a_name_is_the_joined_file_of_its_packages(installed):
    assert read_bytes("some") == b"".join(PARTS)
    (path,) = made(installed)
    assert resolve("some") == str(path)
    written = path.stat().st_mtime_ns
    packaged_file.cache_clear()
    assert resolve("some") == str(path) and path.stat().st_mtime_ns == written, "it is joined once"


def test_a_file_that_was_cut_off_is_joined_again(installed):
    path = Path(resolve("some"))
    path.write_bytes(b"one")
    packaged_file.cache_clear()
    assert read_bytes("some") == b"".join(PARTS)


def test_a_model_that_is_not_installed_names_the_extra(installed):
    (installed / "site" / "codemill_test_part1" / "data" / "part1").unlink()
    with pytest.raises(
        ConfigError, match=r"^the model some isn't installed; run: pip install 'codemill\[some-extra\]'$"
    ):
        resolve("some")
    assert made(installed) == []


def test_packages_with_other_files_are_refused_and_nothing_is_left(installed):
    (installed / "site" / "codemill_test_part1" / "data" / "part1").write_bytes(b"twx")
    with pytest.raises(ConfigError, match="the packages of the model some have other files than they should"):
        resolve("some")
    assert made(installed) == []


def test_without_a_folder_for_it_the_line_says_what_to_set(installed, monkeypatch):
    monkeypatch.setattr(packaged, "own_folder", lambda name: None)
    with pytest.raises(ConfigError, match="there is no folder for the model some; set XDG_CACHE_HOME"):
        resolve("some")


def test_several_at_once_all_find_the_whole_file(installed):
    found = []

    def look() -> None:
        found.append(Path(packaged_file.__wrapped__("some")).read_bytes())

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [b"".join(PARTS)] * 4 and len(made(installed)) == 1
