from __future__ import annotations

import itertools

import pytest

from transforms.corpus.neighbors import Neighbors, count_encodings

GERMAN = "// Überprüft, ob die Länge größer als das Maximum ist\n".encode("cp1252")
POLISH = "// Sprawdza, czy użytkownik jest zalogowany, błąd ścieżki\n".encode("cp1250")
UTF8 = "// Größe\n".encode()


def named(files: list[tuple[str, bytes]], path: str) -> tuple[str, ...]:
    return Neighbors(lambda: count_encodings(files)).of(path)


def test_the_nearest_folder_with_enough_files_decides():
    files = [("pl/a.c", POLISH), ("pl/b.c", POLISH), ("de/a.c", GERMAN), ("de/b.c", GERMAN), ("de/c.c", GERMAN)]
    assert named(files, "pl/x.c") == ("windows-1250",)
    assert named(files, "de/deep/x.c") == ("windows-1252",)
    assert named(files, "x.c") == ()  # in all they disagree


def test_one_file_is_not_enough_and_utf8_counts_for_nothing():
    assert named([("a.c", GERMAN), ("b.c", UTF8), ("c.c", b"x"), ("d.c", b"\0")], "x.c") == ()


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_the_order_of_reading_changes_nothing(order):
    files = [("a.c", GERMAN), ("b.c", GERMAN), ("c/d.c", POLISH)]
    assert named([files[index] for index in order], "c/x.c") == ()


def test_the_source_is_read_once_and_only_when_asked():
    reads = []

    def contents():
        reads.append(1)
        return iter([("a.c", GERMAN), ("b.c", GERMAN)])

    neighbors = Neighbors(lambda: count_encodings(contents()))
    assert reads == []
    assert neighbors.of("x.c") == neighbors.of("y/z.c") == ("windows-1252",)
    assert reads == [1]
