"""Programs of each language: sound ones pass, and each way to fail is told. Skipped where a toolchain is missing."""

from __future__ import annotations

import pytest

from model.errors import ConfigError
from transforms.sandbox.program import Limits, Program
from transforms.sandbox.sandbox import Sandbox
from transforms.sandbox.toolchains import require, toolchain_of, toolchains

ALL = toolchains()

ECHO = {
    "C++": "#include <bits/stdc++.h>\nint main() { std::string s; std::getline(std::cin, s); std::cout << s; }\n",
    "C#": "class P { static void Main() { System.Console.Write(System.Console.ReadLine()); } }\n",
    "Go": 'package main\nimport ("bufio"; "fmt"; "os")\n'
    "func main() { s, _ := bufio.NewReader(os.Stdin).ReadString(10); fmt.Print(s[:len(s)-1]) }\n",
    "Java": "import java.util.*;\npublic class Main { public static void main(String[] a) {"
    " System.out.print(new Scanner(System.in).nextLine()); } }\n",
    "JavaScript": 'process.stdout.write(require("fs").readFileSync(0, "utf8").trimEnd());\n',
    "Kotlin": "fun main() { print(readLine()) }\n",
    "Python": "print(input(), end='')\n",
    "Rust": "use std::io;\nfn main() { let mut s = String::new(); io::stdin().read_line(&mut s).unwrap();"
    ' print!("{}", s.trim_end()); }\n',
}
THROWS = {
    "C++": '#include <stdexcept>\nint main() { throw std::runtime_error("no"); }\n',
    "C#": 'class P { static void Main() { throw new System.Exception("no"); } }\n',
    "Go": 'package main\nfunc main() { panic("no") }\n',
    "Java": 'public class Main { public static void main(String[] a) { throw new RuntimeException("no"); } }\n',
    "JavaScript": 'throw new Error("no");\n',
    "Kotlin": 'fun main() { throw RuntimeException("no") }\n',
    "Python": 'raise RuntimeError("no")\n',
    "Rust": 'fn main() { panic!("no"); }\n',
}
LOOPS = {
    "C++": "int main() { volatile int i = 0; for (;;) i = i + 1; }\n",
    "C#": "class P { static void Main() { while (true) {} } }\n",
    "Go": "package main\nfunc main() { for { } }\n",
    "Java": "public class Main { public static void main(String[] a) { while (true) {} } }\n",
    "JavaScript": "for (;;) {}\n",
    "Kotlin": "fun main() { while (true) {} }\n",
    "Python": "while True: pass\n",
    "Rust": "fn main() { loop {} }\n",
}


def program(language: str, source: str, **limits: float) -> Program:
    toolchain = ALL[language]
    if toolchain.missing:
        pytest.skip(f"{language}: {', '.join(toolchain.missing)} missing; install {toolchain.packages}")
    own = toolchain.run_limits
    given = {"wall_s": own.wall_s, "processes": own.processes, **limits}
    return toolchain.program(source, stdin="said\n", run_limits=Limits(**given))  # type: ignore[arg-type]


@pytest.mark.parametrize("language", ALL)
def test_a_program_reads_and_prints(sandbox: Sandbox, language: str) -> None:
    result = sandbox.run(program(language, ECHO[language]))
    assert result.passed, result.last.stderr
    assert result.last.stdout == "said"


@pytest.mark.parametrize("language", ALL)
def test_an_exception_that_nobody_catches_fails(sandbox: Sandbox, language: str) -> None:
    result = sandbox.run(program(language, THROWS[language]))
    assert result.compiled is not False, result.last.stderr
    assert not result.passed
    assert not result.last.timed_out


@pytest.mark.parametrize("language", ALL)
def test_a_loop_without_end_runs_out_of_time(sandbox: Sandbox, language: str) -> None:
    assert sandbox.run(program(language, LOOPS[language], wall_s=2)).last.timed_out


@pytest.mark.parametrize("language", ALL)
def test_what_does_not_compile_never_runs(sandbox: Sandbox, language: str) -> None:
    result = sandbox.run(program(language, "this is ( no program"))
    assert not result.passed
    assert result.last.stderr or result.last.stdout
    assert result.compiled is (False if ALL[language].compile else None)


def test_languages_are_found_by_all_their_names() -> None:
    for name, language in {"c++": "C++", "cpp": "C++", "js": "JavaScript", "golang": "Go", "csharp": "C#"}.items():
        found = toolchain_of(name)
        assert found is not None and found.language == language
    assert toolchain_of("Cobol") is None


def test_a_language_that_nobody_runs_is_refused_with_those_that_are() -> None:
    with pytest.raises(ConfigError, match=r"no fortran; it runs C#, C\+\+, Go"):
        require(["python", "fortran"])
