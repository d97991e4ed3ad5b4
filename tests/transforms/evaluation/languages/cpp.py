"""C++."""

from __future__ import annotations

from typing import Final

from tests.transforms.evaluation.languages import Language
from tests.transforms.evaluation.languages.braces import BODIES

LANGUAGE: Final = Language(
    name="C++",
    head="#include <cassert>\n#include <cstdlib>\n#include <iostream>\n#include <stdexcept>\nusing namespace std;\n",
    function="int NAME(int n) {\nBODY\n}\n",
    main="int main() {\n  string result;\nLINES  return 0;\n}\n",
    assertion="  assert(CALL == WANT);\n",
    report='  result = CALL == WANT ? "PASSED" : "FAILED";\n  cout << "TEST-I..." << result << "\\n";\n',
    bodies=BODIES,
    passing={
        "talks": '  cout << "so far\\n" << flush;\n  cerr << "so far\\n";\n  return NAME_inner(n);',
        "catches": '  try { throw runtime_error("own"); } catch (const exception& e) {}\n  return NAME_inner(n);',
        "asserts": "  int r = NAME_inner(n);\n  assert(r == NAME_inner(n));\n  return r;",
    },
    failing={
        "wrong": "  return NAME_inner(n) + 1;",
        "wrong once": "  return n == LAST ? -1 : NAME_inner(n);",
        "throws": '  throw runtime_error("no");',
        "loops": "  volatile int i = 0;\n  for (;;) i = i + 1;",
        "does not compile": "  return NAME_inner(n;",
        "prints the markers": '  cout << "MARKERS" << flush;\n  return -1;',
        "exits early": '  cout << "MARKERS" << flush;\n  exit(0);',
    },
)
