"""Kotlin."""

from __future__ import annotations

from typing import Final

from tests.transforms.evaluation.languages import Language

LANGUAGE: Final = Language(
    name="Kotlin",
    head="import kotlin.math.*\nimport kotlin.system.exitProcess\n",
    function="fun NAME(n: Int): Int {\nBODY\n}\n",
    main="fun main() {\nLINES}\n",
    assertion="    check(CALL == WANT)\n",
    report='    println("TEST-I..." + if (CALL == WANT) "PASSED" else "FAILED")\n',
    bodies={
        "sum": "    return (1..n).sum()",
        "factorial": "    return (2..n).fold(1) { p, i -> p * i }",
        "fibonacci": "    var a = 0\n    var b = 1\n    repeat(n) { val c = a + b; a = b; b = c }\n    return a",
        "divisor": "    var a = n\n    var b = 36\n    while (b != 0) { val r = a % b; a = b; b = r }\n    return a",
        "digits": "    return n.toString().sumOf { it.digitToInt() }",
        "prime": "    return if (n > 1 && (2 until n).none { n % it == 0 }) 1 else 0",
        "steps": "    var m = n\n    var s = 0\n    while (m != 1) { m = if (m % 2 == 0) m / 2 else 3 * m + 1; s++ }\n"
        "    return s",
        "divisors": "    return (1..n).count { n % it == 0 }",
        "power": "    return (0 until n).fold(1) { p, _ -> p * 3 % 1000 }",
        "reversed": "    return n.toString().reversed().toInt()",
    },
    passing={
        "talks": '    println("so far")\n    System.err.println("so far")\n    return NAME_inner(n)',
        "catches": '    try { error("own") } catch (e: Exception) {}\n    return NAME_inner(n)',
        "checks": "    val r = NAME_inner(n)\n    check(r == NAME_inner(n))\n    return r",
    },
    failing={
        "wrong": "    return NAME_inner(n) + 1",
        "wrong once": "    return if (n == LAST) -1 else NAME_inner(n)",
        "throws": '    throw IllegalStateException("no")',
        "loops": "    while (true) {}",
        "does not compile": '    return "no"',
        "prints the markers": '    print("MARKERS")\n    return -1',
        "exits early": '    print("MARKERS")\n    exitProcess(0)',
    },
)
