"""Go."""

from __future__ import annotations

from typing import Final

from tests.transforms.evaluation.languages import Language

LANGUAGE: Final = Language(
    name="Go",
    head='package main\n\nimport (\n\t"fmt"\n\t"os"\n)\n\nvar _, _ = fmt.Sprint, os.Exit\n\n',
    function="func NAME(n int) int {\nBODY\n}\n\n",
    main="func main() {\nLINES}\n",
    assertion='\tif CALL != WANT {\n\t\tpanic("no")\n\t}\n',
    report='\tfmt.Printf("TEST-I...%s\\n", map[bool]string{true: "PASSED", false: "FAILED"}[CALL == WANT])\n',
    bodies={
        "sum": "\ts := 0\n\tfor i := 1; i <= n; i++ {\n\t\ts += i\n\t}\n\treturn s",
        "factorial": "\tp := 1\n\tfor i := 2; i <= n; i++ {\n\t\tp *= i\n\t}\n\treturn p",
        "fibonacci": "\ta, b := 0, 1\n\tfor ; n > 0; n-- {\n\t\ta, b = b, a+b\n\t}\n\treturn a",
        "divisor": "\tm := 36\n\tfor m != 0 {\n\t\tn, m = m, n%m\n\t}\n\treturn n",
        "digits": "\ts := 0\n\tfor n > 0 {\n\t\ts += n % 10\n\t\tn /= 10\n\t}\n\treturn s",
        "prime": "\tfor d := 2; d*d <= n; d++ {\n\t\tif n%d == 0 {\n\t\t\treturn 0\n\t\t}\n\t}\n"
        "\tif n > 1 {\n\t\treturn 1\n\t}\n\treturn 0",
        "steps": "\ts := 0\n\tfor n != 1 {\n\t\tif n%2 == 0 {\n\t\t\tn /= 2\n\t\t} else {\n"
        "\t\t\tn = 3*n + 1\n\t\t}\n\t\ts++\n\t}\n\treturn s",
        "divisors": "\ts := 0\n\tfor d := 1; d <= n; d++ {\n\t\tif n%d == 0 {\n\t\t\ts++\n\t\t}\n\t}\n\treturn s",
        "power": "\tp := 1\n\tfor i := 0; i < n; i++ {\n\t\tp = p * 3 % 1000\n\t}\n\treturn p",
        "reversed": "\tr := 0\n\tfor n > 0 {\n\t\tr = 10*r + n%10\n\t\tn /= 10\n\t}\n\treturn r",
    },
    passing={
        "talks": '\tfmt.Println("so far")\n\tfmt.Fprintln(os.Stderr, "so far")\n\treturn NAME_inner(n)',
        "catches": '\tfunc() {\n\t\tdefer func() { recover() }()\n\t\tpanic("own")\n\t}()\n\treturn NAME_inner(n)',
        "runs a goroutine": "\tc := make(chan int)\n\tgo func() { c <- NAME_inner(n) }()\n\treturn <-c",
    },
    failing={
        "wrong": "\treturn NAME_inner(n) + 1",
        "wrong once": "\tif n == LAST {\n\t\treturn -1\n\t}\n\treturn NAME_inner(n)",
        "throws": '\tpanic("no")',
        "loops": "\tfor {\n\t}",
        "does not compile": "\tunused := 1\n\treturn NAME_inner(n)",
        "prints the markers": '\tfmt.Print("MARKERS")\n\treturn -1',
        "exits early": '\tfmt.Print("MARKERS")\n\tos.Exit(0)\n\treturn 0',
    },
)
