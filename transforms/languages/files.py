"""Classifies a file by its path and first lines: its language, whether it was vendored, whether it was generated.

Languages have the names of `transforms.languages.table`. They are determined by the file's name, its extension, then
the interpreter line; three extensions that several languages share are distinguished by the text. All of these are
heuristics, given by the rules below; no file is dropped because of them.
"""

from __future__ import annotations

import functools
import posixpath
import re

from transforms.languages.table import BY_EXTENSION, BY_NAME, Language, fold

# Files whose full name determines the language.
_BY_FILE_NAME = {
    "build": "Starlark",
    "build.bazel": "Starlark",
    "cmakelists.txt": "CMake",
    "containerfile": "Dockerfile",
    "dockerfile": "Dockerfile",
    "gemfile": "Ruby",
    "gnumakefile": "Makefile",
    "jenkinsfile": "Groovy",
    "makefile": "Makefile",
    "rakefile": "Ruby",
    "sconscript": "Python",
    "sconstruct": "Python",
    "workspace": "Starlark",
}

_CPP_HEADER = re.compile(
    r"^\s*(?:class\s+\w+|namespace\b|template\s*<|using\s+\w|(?:public|private|protected)\s*:)", re.M
)
_OBJECTIVE_C = re.compile(r"^\s*(?:@(?:interface|implementation|protocol|end|import)\b|#import\b)", re.M)
_MATLAB = re.compile(r"^\s*(?:function\b|%|end\b)", re.M)
_PROLOG = re.compile(r"^:-|^[a-z]\w*\(.*\)\s*:-", re.M)

_VENDOR = re.compile(
    r"""(?:^|/)(?:
        node_modules | bower_components | jspm_packages | vendor | vendors | vendored | _vendor | _vendored_packages
      | third[-_]?party | 3rd[-_]?party | extern | externals? | site-packages | dist-packages
      | Godeps | Pods | Carthage | \.yarn | \.bundle
    )/
    | (?:^|/)(?: jquery | bootstrap | angular | react | d3 | lodash | moment ) [^/]* \. (?: min\. )? (?: js | css ) $
    | \.min\.(?:js|css)$
    | (?:^|/)(?: gradlew (?:\.bat)? | mvnw (?:\.cmd)? | versioneer\.py | ez_setup\.py | get-pip\.py | config\.guess
        | config\.sub | ltmain\.sh | install-sh ) $
    """,
    re.X | re.I,
)

_GENERATED_NAME = re.compile(
    r"""(?: _pb2(?:_grpc)?\.pyi? | \.pb\.(?:go|cc|h) | \.g\.dart | \.designer\.cs | \.g\.cs
      | (?:^|/)(?: package-lock\.json | yarn\.lock | pnpm-lock\.yaml | Cargo\.lock | poetry\.lock | uv\.lock
          | Pipfile\.lock | composer\.lock | Gemfile\.lock | go\.sum | flake\.lock )
      | \.(?:js|css)\.map ) $""",
    re.X | re.I,
)
# In the first lines, and as a statement about the file rather than a mention.
_GENERATED_TEXT = re.compile(
    r"""@generated\b
      | \bdo\ not\ (?:edit|modify)\b (?! \ (?:the|above|below)\b )
      | \b(?:auto[- ]?generated|automatically\ generated|machine[- ]generated)\b
      | ^\W*(?:code\ |file\ )?generated\ (?:automatically\ )?(?:by|from)\b
      | \bthis\ file\ (?:was|is|has\ been)\ generated\b""",
    re.X | re.I | re.M,
)
_GENERATED_HEAD_LINES = 10
_MINIFIED_LINE_LENGTH = 250  # mean characters per line; hand-written code stays below about 50


@functools.lru_cache(maxsize=64)  # asked for several times about one file
def extension_of(path: str) -> str:
    """Returns the extension without its dot, in lower case; "" if there is none.

    >>> extension_of("src/Main.PY"), extension_of(".gitignore"), extension_of("Makefile")
    ('py', '', '')
    """
    return posixpath.splitext(posixpath.basename(path))[1][1:].lower()


def language_of(path: str, text: str = "") -> str | None:
    """Returns the language's Linguist name, or None.

    >>> language_of("a/b.py"), language_of("bin/run", "#!/usr/bin/env python3"), language_of("data.bin")
    ('Python', 'Python', None)
    """
    name = posixpath.basename(path).lower()
    if name in _BY_FILE_NAME:
        return _BY_FILE_NAME[name]
    extension = extension_of(path)
    if extension in ("h", "m", "pl"):
        return _told_apart(extension, text)
    found = BY_EXTENSION.get(extension) if extension else _by_interpreter(text)
    return found.name if found is not None else None


def _told_apart(extension: str, text: str) -> str:
    if extension == "h":
        if _OBJECTIVE_C.search(text):
            return "Objective-C"
        return "C++" if _CPP_HEADER.search(text) else "C"
    if extension == "m":
        return "MATLAB" if _MATLAB.search(text) and not _OBJECTIVE_C.search(text) else "Objective-C"
    return "Prolog" if _PROLOG.search(text) else "Perl"


def _by_interpreter(text: str) -> Language | None:
    if not text.startswith("#!"):
        return None
    words = text[2:].split("\n", 1)[0].split()
    words = [word for word in words if not word.startswith("-") and "=" not in word]
    if words and posixpath.basename(words[0]) == "env":
        words = words[1:]
    interpreter = posixpath.basename(words[0]).lower() if words else ""
    found = BY_NAME.get(fold(interpreter.rstrip("0123456789.")))
    return found if found is not None and found.kind in ("code", "script") else None


def is_vendor(path: str) -> bool:
    """Whether the path is one where projects keep third-party code.

    >>> is_vendor("web/node_modules/x/index.js"), is_vendor("src/vendoring.py")
    (True, False)
    """
    return _VENDOR.search(path) is not None


def is_generated(path: str, text: str) -> bool:
    """Whether the file was generated: by its name, by its first lines, or because it is minified.

    >>> is_generated("x.py", "# Generated by make. DO NOT EDIT.\\n"), is_generated("x.py", "x = 1\\n")
    (True, False)
    """
    if _GENERATED_NAME.search(path):
        return True
    head = "\n".join(text[:4096].splitlines()[:_GENERATED_HEAD_LINES])
    if _may_say_generated(head) and _GENERATED_TEXT.search(head):
        return True
    is_script = extension_of(path) in ("js", "css", "mjs", "cjs")
    return is_script and len(text) > _MINIFIED_LINE_LENGTH * (text.count("\n") + 1)


def _may_say_generated(head: str) -> bool:
    """Whether a text contains words that every match of `_GENERATED_TEXT` contains; much faster than the pattern. When
    case is ignored, their letters equal no character beyond ASCII, as `s`, `k` and `i` do."""
    lowered = head.lower()
    return "generated" in lowered or "do not " in lowered
