"""C#."""

from __future__ import annotations

from typing import Final

from tests.transforms.evaluation.languages import Language
from tests.transforms.evaluation.languages.braces import BODIES

LANGUAGE: Final = Language(
    name="C#",
    head="using System;\nusing System.Diagnostics;\n",
    function="  public static int NAME(int n) {\nBODY\n  }\n",
    answer="class Solution {\nFUNCTIONS}\n",
    call="Solution.NAME(N)",
    main="class Program {\n  static void Main(string[] args) {\nLINES  }\n}\n",
    assertion="    Debug.Assert(CALL == WANT);\n",
    report='    Console.WriteLine("TEST-I..." + (CALL == WANT ? "PASSED" : "FAILED"));\n',
    bodies=BODIES,
    passing={
        "talks": '  Console.WriteLine("so far");\n  Console.Error.WriteLine("so far");\n  return NAME_inner(n);',
        "catches": '  try { throw new Exception("own"); } catch (Exception) {}\n  return NAME_inner(n);',
        "asserts": "  int r = NAME_inner(n);\n  Debug.Assert(r == NAME_inner(n));\n  return r;",
    },
    failing={
        "wrong": "  return NAME_inner(n) + 1;",
        "wrong once": "  return n == LAST ? -1 : NAME_inner(n);",
        "throws": '  throw new Exception("no");',
        "loops": "  while (true) {}",
        "does not compile": "  return NAME_inner(n;",
        "prints the markers": '  Console.Write("MARKERS");\n  return -1;',
        "exits early": '  Console.Write("MARKERS");\n  Environment.Exit(0);\n  return 0;',
    },
)
