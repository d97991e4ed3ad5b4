"""Tells lines of code from lines of prose, in any of the languages: many need no semicolon.

parts += rest.take(limit)          an assignment
defer lock.Unlock()                a call, with brackets to its end
if (done) return                   a keyword of control flow before a bracket
Return the parts (if any).         a sentence that begins with the same word
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

# What ends like this, or begins like a definition and ends in the middle of one, is code in a language with braces.
_ENDING: Final = (
    r"[;{}]\s*(?://.*|/\*.*\*/\s*)?$|(?:\|\||&&|=>)\s*$|"
    r"^\s*(?:#include|import|package|using|const|let|var|function|func|fn|def|return|public|private|static|class)"
    r"\b.*[;{(=:]\s*\S*$"
)
_BEGINNINGS: Final = (
    r"#[ ]?(?:include|define|undef|ifdef|ifndef|pragma|endif)\b",
    r"(?:\}\s*)?(?:else\s+)?(?:if|if constexpr|for|foreach|while|switch|catch|when)\s*\(",
    r"(?:if|while)\s+let\s|else\s*(?:->|\{)|\}",
    r"template\s*<",
    # Heads: with type parameters, a receiver (Go), and without a word for it, with modifiers and a result's type.
    r"(?:fun|fn|func|def|function)\s+(?:<[^()\n]*>\s*|\([^()\n]*\)\s*)?\w[\w.]*\s*(?:<[^()\n]*>)?\s*\(",
    r"(?:public|private|protected|internal)\s+(?:(?:static|final|async|override|virtual|abstract|synchronized)\s+)*"
    r"(?:<[^()\n]*>\s*)?[\w.]+(?:<[^()\n]*>)?[\[\]?]*\s+\w+\((?:\s*|[^()\n]*\w[>\]?]*\s+\w+)\)",
    r"(?:pub(?:\([^()\n]*\))?|public|private|protected|internal|export|abstract|data|sealed|final)\s+(?:\w+\s+){0,2}"
    r"(?:class|struct|interface|enum|trait|record|object)\s+[A-Z]\w*",
    r"(?:\|\||&&|\?\?|\?:)\s|\?\.\w|\.\w+(?:\.\w+)*[(\[]|\.\.\.\w+,?$|=\s+[\w(]+[.(\[{\s]|[?:]\s+[\w.]+[(.\[]",
    # Bodies that are an expression, branches, members and casts.
    r"[A-Z][\w.]*\s*->\s*[\w.]+\(.*\)$|<[^<>\n]*>::\w+\(|(?:this|self)\s+as\s+[A-Z]",
    # Declarations and assignments.
    r"\[[^\]\n]+\]\s+=\s+\S",
    r"(?:val|var|let|const|auto|final|mut)\s+(?:mut\s+)?[\w<>\[\]&*?:,. (){}]+=(?!=)",
    r"var\s+\w+(?:,\s*\w+)*\s+[\w.\[\]*{}]+$",
    r"[A-Za-z_$*&@][\w.$#]*(?:\[[^\]\n]*\]|->[\w.]+|\(\)\.\w+)*(?:,\s*[\w.]+)*\s+"
    r"(?:[-+*/%|&^:]|<<|>>|\?\?|\|\||&&)?=(?:\s+\S|$)",
    r"(?!(?:where|if|when|with|for|the|a|an|and|or|is|default|e\.g\.)\s)[A-Za-z][\w.<>\[\]&*:]*\s+[\w*&]+\s*=(?:\s*$|\s+[\w\"'(\[{&*!-])",
    r"(?:(?:override|private|public|internal|protected|suspend|inline|open|abstract|static|async|export)\s+)+"
    r"(?:fun|val|var|class|function|def|const|interface|void|int|boolean|String)\b",
    r"\w+\([^()\n]*\)\s*\([^()\n]*\)\s*\{?$",  # Go: a method of an interface
    # Imports: `use carefully` is none.
    r"(?:import|use|using|package|from)\s+[\w@{\"'*]+(?:[.:/*{}\"'][^\s]*|\s+import\s.*|\s+as\s+\w+)+;?$(?<=[\w*}\"';])",
    r"import\s+\w+$",
    # Results and exceptions: a token that an operator or a bracket follows, or one token alone.
    r"return\s+[&*!-]{0,2}[\w.:$>?!-]+(?:[(\[{\"]|\s*(?:===?|!==?|<=|>=|[-+*/%<>?]|&&|\|\||\?:)\s)",
    r"return\s+(?:\"[^\"\n]*\"|'[^'\n]*')\s*[+%]\s*\w",
    r"return\s+(?:[\w.$#]*\w[;!]?$|[\"'`\[{(].*[\"'`\])}];?$|[\w.]+(?:,\s*[^\s,]+)+$)",
    r"yield\s+(?:from\s+)?[\w.]+$|throw\s+(?:new\s+)?[\w.:]+\(|throw\s+\w+$|raise\s+[\w.]+\(|raise\s+[A-Z]\w*(?:Error|Exception)\b|\w+!\s*[(\[{]",
    r"[\w.]+\s*<-\s*\w|<-\s*\w+[.(]",  # Go: channels
    r"!?[\w.$#():]+\s+(?:===?|!==?|&&|\|\|)\s|"  # comparisons, and arithmetic of names alone
    r"[\w.()]+\s+[*/%+]\s+[\w.()]+(?:\s+[-*/%+]\s+[\w.()]+)*;?$",
)
_CODE_LINE: Final = re.compile(rf"{_ENDING}|^\s*(?:{'|'.join(_BEGINNINGS)})")
_CALL: Final = re.compile(
    r"\s*(?:(?:await|yield|return|throw|defer|go|delete|new|not|else|assert)\s+)*[!&*]*[\w.:#$]+[(\[<]"
)
_CALLED: Final = re.compile(r"[\w.:#$!?>&*-]+[;,]?")
_PREFIX: Final = re.compile(r"\A\s*(?:(?:await|yield|return|throw|defer|go|delete|new|not|else|assert)\s+)*")
_TEXT: Final = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|`[^`]*`")
_BRACKETS: Final = re.compile(r"\([^()]*\)|\[[^\[\]]*\]|<[\w, .:*&]*>(?=\()")


def is_code_line(line: str) -> bool:
    """Whether a line is a statement, or a part of one.

    >>> is_code_line("defer lock.Unlock()"), is_code_line("Return the parts (if any).")
    (True, False)
    """
    return _CODE_LINE.search(line) is not None or is_call(line)


# Words of sentences that no language has as its own.
_SENTENCE_WORD: Final = re.compile(
    r"(?<![\w.])(?:the|an?|of|to|this|that|these|be|are|was|were|been|by|on|at|which|will|would|can|should|must|may|it|"
    r"its|into|there|whether|only|all|each|any|some|when|than|then)(?![\w(.\[])",
    re.I,
)
_PLAIN_WORDS: Final = re.compile(r"(?<![\w.\"'])[A-Za-z]+(?:,? [a-z]+){3,}")
# A block's head in Python, and what continues one: `if key in known:`.
_PYTHON_HEAD: Final = re.compile(
    r"\s*(?:(?:async )?(?:if|elif|while|with|for)\s.*:|(?:else|try|finally):|except\b.*:|"
    r"(?:return|raise|assert|del) .*|(?:pass|break|continue))\s*(?:#.*)?$"
)
# A line alone that is an expression's value: a tuple, a text, what stands behind an equals sign or an arrow.
_VALUE: Final = re.compile(
    r"\s*(?:(?![^\n]*[A-Za-z] [A-Za-z])(?:\(.*,.*\)|\[.*,.*\])|\"(?:[^\"\\\n]|\\.)+\"|"
    r"=>?\s+[\w(\"'\[{*&!<].*)[;,]?\s*$"
)
_KEYWORDS: Final = re.compile(
    r"\b(?:not|in|is|and|or|if|elif|for|while|with|as|return|raise|from|import|else|except|lambda|yield|async|await|del|"
    r"assert)\b"
)


def is_sentence(line: str) -> bool:
    """Whether a line has words in a row, as sentences have and code hasn't.

    >>> is_sentence("if key not in self.tags:"), is_sentence("if the key is known:")
    (False, True)
    """
    return _SENTENCE_WORD.search(line) is not None or _PLAIN_WORDS.search(_KEYWORDS.sub("0", line)) is not None


def is_code(lines: Sequence[str], grammar: str) -> bool:
    """Whether lines are code: most of them, or at least one beside others without a sentence.

    >>> is_code(["if key not in self.tags:", "return value"], "python"), is_code(["Use this:", "x = 1"], "python")
    (True, False)
    """
    found = sum(map(is_code_line, lines))
    if 2 * found > len(lines):
        return True
    if any(map(is_sentence, lines)):
        return False
    if grammar == "python" and all(_PYTHON_HEAD.match(line) or is_code_line(line) for line in lines):
        return True
    if len(lines) == 1:
        return _VALUE.match(lines[0]) is not None
    return 2 * found == len(lines)


def is_annotation(text: str) -> bool:
    """Whether a text starts with an annotation or attribute; the tags of documentation are in lower case.

    >>> is_annotation("@Override"), is_annotation("@param w")
    (True, False)
    """
    return re.match(r"#!?\[\w|@[A-Z]\w*(?:\(|\s*$)", text, re.M) is not None


def is_call(line: str) -> bool:
    """Whether a line is one call, or a chain of calls: nothing is left between its brackets.

    `read() - reads a line (if any)` is none.
    """
    if not line.rstrip().endswith((")", ");", "),", ")?", ")!")) or not _CALL.match(line):
        return False
    bare = _TEXT.sub("", _PREFIX.sub("", line)).strip()
    while (shorter := _BRACKETS.sub("", bare)) != bare:
        bare = shorter
    return _CALLED.fullmatch(bare) is not None
