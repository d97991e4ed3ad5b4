"""Java."""

from __future__ import annotations

from typing import Final

from tests.transforms.evaluation.languages import Language
from tests.transforms.evaluation.languages.braces import BODIES

LANGUAGE: Final = Language(
    name="Java",
    head="import java.util.*;\n",
    function="  public static int NAME(int n) {\nBODY\n  }\n",
    answer="public class Solution {\nFUNCTIONS}\n",
    call="Solution.NAME(N)",
    main="class Trial {\n  public static void main(String[] args) {\nLINES  }\n}\n",
    assertion="    if (CALL != WANT) throw new AssertionError();\n",
    report='    System.out.println("TEST-I..." + (CALL == WANT ? "PASSED" : "FAILED"));\n',
    bodies=BODIES,
    passing={
        "talks": '  System.out.println("so far");\n  System.err.println("so far");\n  return NAME_inner(n);',
        "catches": '  try { throw new Error("own"); } catch (Error e) {}\n  return NAME_inner(n);',
        "asserts": "  int r = NAME_inner(n);\n  assert r == NAME_inner(n);\n  return r;",
    },
    failing={
        "wrong": "  return NAME_inner(n) + 1;",
        "wrong once": "  return n == LAST ? -1 : NAME_inner(n);",
        "throws": '  throw new RuntimeException("no");',
        "loops": "  while (n == n) {}\n  return 0;",
        "does not compile": "  return NAME_inner(n;",
        "prints the markers": '  System.out.print("MARKERS");\n  return -1;',
        "exits early": '  System.out.print("MARKERS");\n  System.exit(0);\n  return 0;',
    },
)
