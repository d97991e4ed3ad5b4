"""Damages of `tokenizer.model`."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from tests.model.checkpoint.damages.kinds import (
    Damage,
    changed,
    cut,
    dangling,
    endless,
    folder_instead,
    moved_and_linked,
    pipe,
    sparse,
    write,
)

FILE = "tokenizer.model"
damage = partial(Damage, base="vocabulary")


def another_beside(folder: Path) -> None:
    (folder / FILE).rename(folder / "a.model")
    (folder / "b.model").write_bytes((folder / "a.model").read_bytes())


DAMAGES = [
    damage("empty", apply=cut(FILE, 0), message="is no SentencePiece model"),
    damage("cut by half", apply=changed(FILE, lambda c: c[: len(c) // 2]), message="tokenizer.model"),
    damage("cut by one byte", apply=cut(FILE, -1), message="is no SentencePiece model"),
    damage("text", apply=write(FILE, b"# vocabulary\n" * 99), message="is no SentencePiece model"),
    damage("zeros", apply=write(FILE, bytes(1 << 20)), message="is no SentencePiece model"),
    damage("a length of 2^63", apply=write(FILE, b"\x0a" + b"\xff" * 9 + b"\x01"), message="is no SentencePiece model"),
    damage("HTML", apply=write(FILE, b"<!DOCTYPE html><title>Sign in</title>"), message="is no SentencePiece model"),
    damage(
        "a pointer of Git LFS", apply=write(FILE, b"version https://git-lfs.github.com/spec/v1\n"), message="is no Sent"
    ),
    damage("no pieces", apply=write(FILE, b"\x12\x02\x18\x03"), message="tokenizer.model"),
    damage(
        "a piece that is no UTF-8",
        apply=changed(FILE, lambda c: c.replace(b"<0x41>", b"\xff\xfe41>")),
        message="tokenizer",
    ),
    damage(
        "a flag's bit",
        apply=changed(FILE, lambda c: c.replace(b"<|fim_middle|>", b"<|fim_\xc3iddle|>")),
        message="token",
    ),
    damage("no byte for A", apply=changed(FILE, lambda c: c.replace(b"<0x41>", b"<1x41>")), message="tokenizer.model"),
    damage(
        "25 million empty pieces",
        apply=changed(FILE, lambda c: c + b"\x0a\x00" * (3 << 23)),
        message="has more than 1,048,576 pieces",
    ),
    damage(
        "2^22 empty names in its settings",
        apply=changed(FILE, lambda c: c + b"\x12\x80\x80\x80\x04" + b"\x0a\x00" * (1 << 22)),
        message="has 8,390,535 bytes beside its pieces",
    ),
    damage("a group", apply=changed(FILE, lambda c: c + b"\x7b" * 9999), message="is no SentencePiece model"),
    damage("a pipe", apply=pipe(FILE), message="is a pipe"),
    damage("a pipe, named", apply=pipe(FILE), message="is a pipe", target=FILE),
    damage("a folder", apply=folder_instead(FILE), message="holds no tokenizer.model"),
    damage("a link to nothing", apply=dangling(FILE), message="there is no file"),
    damage("never ends", apply=endless(FILE), message="is a pipe, a socket or a device"),
    damage("2^40 bytes", apply=sparse(FILE, 1 << 40), message="has 1,099,511,627,776 bytes"),
    damage("behind a link", apply=moved_and_linked(FILE), message=None),
    damage("missing", apply=lambda f: (f / FILE).unlink(), message="holds no tokenizer.model"),
    damage("two others", apply=another_beside, message=r"holds no tokenizer.model \(found: a.model, b.model\)"),
]
