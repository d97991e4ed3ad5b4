"""Takes the examples out of documentation: code that belongs to it, but isn't prose and makes no claims.

    Halves a number.                      Halves a number.
                                  ->
    ```                                   .
    assert_eq!(half(3), 1);
    ```

An example leaves a line with a full stop, so that the sentence before it (`For example:`) isn't its end.
"""

from __future__ import annotations

import re
from typing import Final

_EXAMPLES: Final = (
    r"^[ \t]*(?P<fence>`{3,}|~{3,})[^\n`]*\n.*?^[ \t]*(?P=fence)[ \t]*$",  # Markdown
    r"<(?P<tag>pre|example)\b[^>]*>.*?</(?P=tag)>",  # Javadoc, XML documentation
    r"<code>[^\n<]*\n.*?</code>",  # of several lines: one in a line is a word
    r"[@\\](?:code|verbatim)\b.*?[@\\]end(?:code|verbatim)\b",  # Doxygen
    r"^[ \t]*@example\b.*?(?=^[ \t]*@[a-z]|\Z)",  # JSDoc, TSDoc: up to the next tag
    r"^[ \t]*>>> .*?(?=\n[ \t]*\n|\Z)",  # doctests
    # reStructuredText: what is indented deeper than the directive
    r"^(?P<at>[ \t]*)\.\. (?:code(?:-block)?|sourcecode|testcode|doctest|prompt|literalinclude|ipython)::[^\n]*\n"
    r"(?:[ \t]*\n|(?P=at)[ \t]+[^\n]*(?:\n|\Z))*",
)
_ANY: Final = re.compile("|".join(_EXAMPLES), re.M | re.S)
# Lines indented as code below a blank one; a docstring's sections are indented too.
_INDENTED: Final = re.compile(r"(?<=\n)[ \t]*\n(?:(?: {4,}|\t)[^\n]*(?:\n|\Z))+")
_MAY_HAVE: Final = re.compile(r"```|~~~|<pre|<example|<code>|[@\\](?:code|verbatim|example)|>>> |\.\. \w")


def without_examples(text: str, grammar: str) -> str:
    """Returns documentation without its examples; as it is if nothing else has a letter.

    >>> without_examples("Area.\\n\\n```\\narea(1, 2)\\n```", "rust")
    'Area.\\n\\n.'
    >>> without_examples(">>> area(1, 2)\\n2", "python")
    '>>> area(1, 2)\\n2'
    """
    bare = _ANY.sub(".", text) if _MAY_HAVE.search(text) else text
    if grammar != "python" and ("\n    " in bare or "\n\t" in bare):
        bare = _INDENTED.sub("\n.\n", bare)
    return bare if bare is text or any(c.isalpha() for c in re.sub(r"<[^>]*>", "", bare)) else text
