"""JavaScript: what C++, C# and Java share, but for types and the division of whole numbers."""

from __future__ import annotations

from typing import Final

from tests.transforms.evaluation.languages import Language
from tests.transforms.evaluation.languages.braces import BODIES

LANGUAGE: Final = Language(
    name="JavaScript",
    head="const assert = require('node:assert');\n",
    function="function NAME(n) {\nBODY\n}\n",
    main="function main() {\nLINES}\nmain();\n",
    assertion="  assert.strictEqual(CALL, WANT);\n",
    report="  console.log('TEST-I...' + (CALL === WANT ? 'PASSED' : 'FAILED'));\n",
    bodies={
        name: body.replace("int ", "let ").replace("n /= 10", "n = Math.floor(n / 10)") for name, body in BODIES.items()
    },
    passing={
        "talks": "  console.log('so far');\n  console.error('so far');\n  return NAME_inner(n);",
        "catches": "  try { throw new Error('own'); } catch (error) {}\n  return NAME_inner(n);",
        "asserts": "  const r = NAME_inner(n);\n  console.assert(r === NAME_inner(n));\n  return r;",
    },
    failing={
        "wrong": "  return NAME_inner(n) + 1;",
        "wrong once": "  return n === LAST ? -1 : NAME_inner(n);",
        "throws": "  throw new RangeError('no');",
        "loops": "  for (;;) {}",
        "does not compile": "  return NAME_inner(n;",
        "prints the markers": '  process.stdout.write("MARKERS");\n  return -1;',
        "exits early": '  process.stdout.write("MARKERS");\n  process.exit(0);',
    },
)
