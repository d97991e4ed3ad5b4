"""Compilers that stay: their answers are those of a compiler by itself, and no program feels the one before it."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.transforms.sandbox.processes import running
from transforms.sandbox import servers
from transforms.sandbox.program import Command, Limits, Prepared, Program, Result, Server
from transforms.sandbox.sandbox import Sandbox
from transforms.sandbox.toolchains import begins_with_all_headers, toolchains

KOTLIN = toolchains()["Kotlin"]
CPP = toolchains()["C++"]

# Compiles as `cp program/text program/out` would; what the text says first is done instead.
_FAKE = """
import os, sys, time
count = 0
for line in sys.stdin:
    count += 1
    text = open("/box/program/text").read()
    word, _, rest = text.partition(" ")
    code, said = 0, "server"
    if word == "crash": os._exit(3)
    if word == "hang": time.sleep(100)
    if word == "spin":
        while True: pass
    if word == "eat": kept = [bytearray(b"x" * 10**7) for _ in range(99)]; time.sleep(100)
    if word == "shout": print("y" * 10**7, flush=True); time.sleep(100)
    if word == "code": code = int(rest)
    if word == "refuse": code, said = 1, "text:1: no"
    if word == "broken": code, said = 1, "exception: a fault of the compiler's own"
    if word == "link": os.rename("/box/program", "/box/other"); os.symlink("/usr", "/box/program")
    if word == "remove": os.unlink("/box/program/text"); os.rmdir("/box/program")
    if word not in ("link", "remove"): print(count, text, file=open("/box/program/out", "w"))
    print(code, len(said)); sys.stdout.write(said); sys.stdout.flush()
"""
FAKE = Server(
    files=(("server.py", _FAKE),), argv=("python3", "-B", "/box/server.py"), limits=Limits(wall_s=100, disk_mb=256)
)
ALONE = ("sh", "-c", "(printf 'alone '; cat text; echo) > out")


def fake(text: str) -> Program:
    limits = Limits(wall_s=2, memory_mb=300)
    return Program(
        files={"text": text},
        compile=Command(ALONE, limits, server=FAKE),
        run=Command(("sh", "-c", "cat out; ls /box")),
    )


@pytest.fixture
def one(sandbox: Sandbox) -> Iterator[Sandbox]:
    """A sandbox of one slot, so that programs follow each other."""
    with Sandbox(slots=1) as opened:
        yield opened
    assert is_gone()


def is_gone() -> bool:
    """Whether nothing runs any more; on a loaded machine, what was killed takes a moment to go."""
    for _ in range(100):
        if not running():
            return True
        time.sleep(0.05)
    return False


def said(result: Result) -> str:
    assert result.passed, result.last
    return result.last.stdout.splitlines()[0]


def test_programs_of_a_slot_share_one_server_and_find_only_their_own_files(one: Sandbox) -> None:
    assert [said(one.run(fake(word))) for word in ("a", "b", "c")] == ["1 a", "2 b", "3 c"]
    assert one.run(fake("d")).last.stdout.splitlines() == ["4 d", "out"]
    assert one.served == 4


@pytest.mark.parametrize("word", ["crash", "hang", "spin", "eat", "shout", "code 2", "broken", "link", "remove"])
def test_a_program_that_troubles_its_server_is_compiled_by_itself(one: Sandbox, word: str) -> None:
    assert said(one.run(fake("before"))) == "1 before"
    assert said(one.run(fake(word))) == f"alone {word}"
    assert said(one.run(fake("after"))) == "1 after"  # by another server
    assert one.served == 2


def test_a_program_that_does_not_compile_gets_what_the_server_says_of_it(one: Sandbox) -> None:
    result = one.run(fake("refuse"))
    assert result.compiled is False
    assert (result.last.exit, result.last.stderr) == (1, "text:1: no")
    assert said(one.run(fake("after"))) == "2 after"


def test_a_server_is_replaced_after_some_programs(one: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "_MOST_ASKED", 2)
    assert [said(one.run(fake("a"))) for _ in range(3)] == ["1 a", "2 a", "1 a"]


def test_a_server_without_work_is_ended(one: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    one.run(fake("a"))
    assert running()
    monkeypatch.setattr(servers, "_IDLE_S", 0.0)
    assert said(one.run(Program(files={}, run=Command(("echo", "no compiler"))))) == "no compiler"
    assert is_gone()


def test_without_a_box_nothing_stays() -> None:
    with Sandbox(slots=1, isolation="none") as bare:
        assert said(bare.run(fake("a"))) == "alone a"
        assert bare.served == 0


# --- Kotlin ------------------------------------------------------------------------------------------

_SHADOWS = "package kotlin\nclass String\nfun println(x: Any?) {}\nfun main() { println(1) }\n"
_TEXTS = (
    'fun helper() = 7\nclass Box(val v: Int)\nfun main() { println("a" + helper() + Box(1).v) }\n',
    "fun main() { println(helper()) }\n",  # of the program before it
    'class Box(val v: String)\nfun main() { println(Box("b").v) }\n',
    _SHADOWS,
    'fun main() { val s: String = "c"; println(s.length) }\n',
    "fun main() { println(1 }\n",
    'fun main() { val x: Int = "one" }\n',
    '@file:JvmName("Other")\nfun main() {}\n',
    'typealias Int = String\nfun main() { val i: Int = "d"; println(i) }\n',
    "fun main() { println(listOf(1, 2).sumOf { it * 2 }) }\n",
    "",
)


def kotlin(text: str, is_alone: bool = False) -> Program:
    program = KOTLIN.program(text)
    assert program.compile is not None and program.compile.server is not None
    if not is_alone:
        return program
    return dataclasses.replace(program, compile=dataclasses.replace(program.compile, server=None))


def became(result: Result) -> tuple[object, ...]:
    return result.compiled, result.last.exit, result.last.stdout, result.last.stderr


@pytest.mark.skipif(bool(KOTLIN.missing), reason=f"Kotlin: {', '.join(KOTLIN.missing)} missing")
def test_kotlin_compiled_by_one_that_stays_is_what_it_is_alone_in_any_order(sandbox: Sandbox, one: Sandbox) -> None:
    alone = [future.result() for future in [sandbox.submit(kotlin(text, is_alone=True)) for text in _TEXTS]]
    for places in (range(len(_TEXTS)), reversed(range(len(_TEXTS)))):
        for place in places:
            assert became(one.run(kotlin(_TEXTS[place]))) == became(alone[place]), _TEXTS[place]
    assert one.served == 2 * len(_TEXTS)


@pytest.mark.skipif(bool(KOTLIN.missing), reason=f"Kotlin: {', '.join(KOTLIN.missing)} missing")
def test_kotlin_that_its_compiler_cannot_bear_changes_nothing_for_the_next(one: Sandbox) -> None:
    deep = f"fun main() {{ println({'(' * 20_000}1{')' * 20_000}) }}\n"
    assert one.run(kotlin(deep)).compiled is False
    assert one.served == 0
    assert one.run(kotlin(KOTLIN.hello)).last.stdout == "hello\n"
    assert one.served == 1


# --- what is prepared --------------------------------------------------------------------------------


def prepared(made: str) -> Program:
    shared = Prepared(
        files=(("a", "of a file"),),
        argv=("sh", "-c", made),
        limits=Limits(disk_mb=256),
        arguments=("/prepared/b",),
    )
    return Program(files={}, run=Command(("cat",), prepared=shared), stdin="by itself")


def test_what_is_prepared_is_made_once_and_read_by_all(sandbox: Sandbox) -> None:
    program = prepared("test ! -e b && cp a b")
    assert {sandbox.run(program).last.stdout for _ in range(4)} == {"of a file"}


def test_a_program_cannot_change_what_is_prepared_for_others(sandbox: Sandbox) -> None:
    program = prepared("umask 000; cp a b; chmod 777 . a b; true")
    for write in ("echo changed > /prepared/b", "rm /prepared/b", "mv /prepared/b /prepared/c", "echo x > /prepared/d"):
        attack = dataclasses.replace(program, run=dataclasses.replace(program.run, argv=("sh", "-c", write)))
        assert not sandbox.run(attack).passed, write
    assert sandbox.run(program).last.stdout == "of a file"


def test_without_what_could_not_be_prepared_the_command_runs_by_itself(sandbox: Sandbox) -> None:
    assert sandbox.run(prepared("exit 1")).last.stdout == "by itself"


@pytest.mark.parametrize(
    ("text", "shares"),
    [
        ("#include <bits/stdc++.h>\nint x;", True),
        ("// what it does\n\n#include <map>\n# include <bits/stdc++.h>\n", True),
        ("#define private public\n#include <bits/stdc++.h>\n", False),
        ("#include <map>\nint x;\n#include <bits/stdc++.h>\n", False),
        ("// a line \\\n#include <bits/stdc++.h>\n", False),
        ("/*\n#include <bits/stdc++.h>\n*/", False),
        ('#include "mine.h"\n#include <bits/stdc++.h>\n', False),
        ("#include <map>\n", False),
        ("", False),
    ],
)
def test_the_compiled_header_is_for_texts_that_include_all_of_it_first(text: str, shares: bool) -> None:
    assert begins_with_all_headers(text) is shares


@pytest.mark.skipif(bool(CPP.missing), reason="g++ missing")
def test_cpp_with_the_compiled_header_is_what_it_is_without(sandbox: Sandbox, tmp_path: Path) -> None:
    head = "#include <iostream>\n#include <bits/stdc++.h>\nusing namespace std;\n"
    for body in ("int main() { cout << gcd(12, 18); }\n", "int main() { cout << nothing; }\n", "int main() {"):
        program = CPP.program(head + body)
        assert program.compile is not None and program.compile.prepared is not None
        alone = dataclasses.replace(program, compile=dataclasses.replace(program.compile, prepared=None))
        assert became(sandbox.run(program)) == became(sandbox.run(alone))
