"""Code in a chat model's answers: a model that is asked in a turn gives the whole function in a code block.

problem   prefix: imports, helpers | the function that is asked for, as far as it is given (the lead)
answer    a block with the whole function: as it is; a block with its body alone: behind the lead
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from model.errors import RecordError
from transforms.evaluation.problems import Problem
from transforms.languages.grammars import grammar_name
from transforms.talk import is_chatter
from transforms.tasks.chat import fences
from transforms.tasks.generate import PROSE_PARSES
from transforms.tasks.shared import code_of_answer

# Python: a definition at the margin with its decorators; elsewhere a line at the margin that begins with a word.
_PYTHON_DEFINITION: Final = re.compile(r"^(?:@.*\n)*(?:async +def|def|class)\b.*\n?", re.M)
_OTHER_DEFINITION: Final = re.compile(r"^[A-Za-z_@\[#].*\n?", re.M)
_NAME: Final = re.compile(
    r"(?:\b(?:class|struct|interface|object|enum|record|trait|impl)\s+\w+"
    r"|\b(?:const|let|var|val)\s+\w+(?=\s*[:=])"
    r"|\b(?:\w[\w<>\[\],:*&]*\s+)*\w+\s*(?=[<(]))"
)
_NO_HEAD: Final = ("/", "*", "#", "@", '"', "'", "template", "import ", "using ", "package ")  # comments and the like
_MODIFIERS: Final = re.compile(
    r"\b(?:public|private|protected|internal|static|final|export|default|async|pub|open|inline|override)\s+"
)


def code_of_turn(written: str, language: str) -> str:
    """The code in a model's turn; "" if there is none that can be told from prose.

    Args:
        written: The turn's text.
        language: The wanted language, by any of its names.

    >>> code_of_turn("Here it is:\\n```python\\nx = 1\\n```\\n", "Python")
    'x = 1\\n'
    """
    grammar = grammar_name(language) or ""
    try:
        code = code_of_answer(written, grammar)
    except RecordError:  # all of its blocks name other languages: the verdict is on what was given
        return fences(written)[0][1]
    if code is not None:
        return code
    return "" if grammar in PROSE_PARSES or is_chatter(written) else written


def with_lead(problem: Problem, lead: str) -> tuple[Problem, str]:
    """A problem whose answers are whole functions, and the lead: as much of the function as the problem gives.

    Args:
        problem: The problem, whose answers go on where its prefix ends.
        lead: What its answers begin with already.
    """
    if lead or not problem.prefix:
        return problem, lead
    pattern = _PYTHON_DEFINITION if problem.language == "Python" else _OTHER_DEFINITION
    if not (definitions := list(pattern.finditer(problem.prefix))):
        return problem, ""
    found = definitions[-1]
    if re.search(r"^[^\s#)}\"']", problem.prefix[found.end() :], re.M):
        return problem, ""
    return replace(problem, prefix=problem.prefix[: found.start()]), problem.prefix[found.start() :]


def whole_code(code: str, lead: str) -> str:
    """The code with its lead in front, unless it has the function's head itself.

    >>> whole_code("    return 1\\n", "def f():\\n"), whole_code("def f():\\n    return 2\\n", "def f():\\n")
    ('def f():\\n    return 1\\n', 'def f():\\n    return 2\\n')
    """
    head = _head(lead)
    if not lead or (head and re.search(rf"(?<!\w){re.escape(head)}(?!\w)", _collapsed(code))):
        return code
    return f"{lead}{code}" if lead[-1].isspace() or code[:1].isspace() else f"{lead}\n{code}"


def _head(lead: str) -> str:
    """The beginning of a definition up to its name, without modifiers; "" if it has no name."""
    for line in lead.splitlines():
        if not line.lstrip().startswith(_NO_HEAD) and (found := _NAME.search(_collapsed(line))):
            return found[0].strip()
    return ""


def _collapsed(text: str) -> str:
    return _MODIFIERS.sub("", " ".join(text.split()))
