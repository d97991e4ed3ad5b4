"""What kind of file a path is: its language, whether it was vendored, whether a machine wrote it.

Languages have the names of GitHub's Linguist, as Stack v2 has. They follow from the file's name, its
extension, then the interpreter line; three extensions that several languages share are told apart by the
text. All of it is a guess by rules that can be read below; nothing is dropped because of it.
"""

from __future__ import annotations

import posixpath
import re

_BY_EXTENSION = {
    name: language
    for language, names in {
        "Ada": "adb ads",
        "Assembly": "asm s",
        "Awk": "awk",
        "Batchfile": "bat cmd",
        "C": "c",
        "C#": "cs csx",
        "C++": "cc cpp cxx c++ hh hpp hxx h++ inl ipp tpp",
        "CMake": "cmake",
        "CSS": "css",
        "CSV": "csv",
        "Clojure": "clj cljc cljs",
        "CoffeeScript": "coffee",
        "Common Lisp": "lisp cl lsp",
        "Cuda": "cu cuh",
        "Cython": "pyx pxd pxi",
        "D": "d",
        "Dart": "dart",
        "Dockerfile": "dockerfile",
        "Elixir": "ex exs",
        "Elm": "elm",
        "Emacs Lisp": "el",
        "Erlang": "erl hrl",
        "F#": "fs fsi fsx",
        "Fortran": "f90 f95 f03 f08 f for",
        "GLSL": "glsl vert frag",
        "Go": "go",
        "GraphQL": "graphql gql",
        "Groovy": "groovy gradle",
        "HCL": "hcl tf tfvars",
        "HTML": "html htm xhtml",
        "Haskell": "hs",
        "INI": "ini cfg",
        "JSON": "json",
        "Java": "java",
        "JavaScript": "js cjs mjs jsx",
        "Jinja": "j2 jinja jinja2",
        "Julia": "jl",
        "Jupyter Notebook": "ipynb",
        "Kotlin": "kt kts",
        "Less": "less",
        "Lua": "lua",
        "M4": "m4",
        "Makefile": "mk mak make",
        "Markdown": "md markdown mdx",
        "Nim": "nim",
        "Nix": "nix",
        "OCaml": "ml mli",
        "PHP": "php phtml",
        "Pascal": "pas pp dpr",
        "Perl": "pl pm",
        "PowerShell": "ps1 psm1 psd1",
        "Prolog": "pro",
        "Protocol Buffer": "proto",
        "Python": "py pyi pyw",
        "R": "r",
        "Racket": "rkt",
        "Ruby": "rb rake gemspec",
        "Rust": "rs",
        "SCSS": "scss",
        "SQL": "sql",
        "SVG": "svg",
        "Scala": "scala sbt",
        "Scheme": "scm ss",
        "Shell": "sh bash zsh ksh",
        "Solidity": "sol",
        "Starlark": "bzl star",
        "Svelte": "svelte",
        "Swift": "swift",
        "SystemVerilog": "sv svh",
        "TOML": "toml",
        "TSX": "tsx",
        "TeX": "tex sty cls",
        "Tcl": "tcl",
        "Text": "txt",
        "TypeScript": "ts mts cts",
        "VHDL": "vhd vhdl",
        "Verilog": "v",
        "Vim Script": "vim",
        "Visual Basic .NET": "vb",
        "Vue": "vue",
        "WebAssembly": "wat wast",
        "XML": "xml xsd xsl xslt rng",
        "YAML": "yaml yml",
        "Zig": "zig",
        "reStructuredText": "rst",
    }.items()
    for name in names.split()
}

_BY_NAME = {
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

_BY_INTERPRETER = {
    "awk": "Awk",
    "bash": "Shell",
    "dash": "Shell",
    "ksh": "Shell",
    "lua": "Lua",
    "node": "JavaScript",
    "perl": "Perl",
    "php": "PHP",
    "python": "Python",
    "pypy": "Python",
    "rscript": "R",
    "ruby": "Ruby",
    "sh": "Shell",
    "tclsh": "Tcl",
    "zsh": "Shell",
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
# In the first lines, and as a statement about the file rather than in passing.
_GENERATED_TEXT = re.compile(
    r"""@generated\b
      | \bdo\ not\ (?:edit|modify)\b (?! \ (?:the|above|below)\b )
      | \b(?:auto[- ]?generated|automatically\ generated|machine[- ]generated)\b
      | ^\W*(?:code\ |file\ )?generated\ (?:automatically\ )?(?:by|from)\b
      | \bthis\ file\ (?:was|is|has\ been)\ generated\b""",
    re.X | re.I | re.M,
)
_GENERATED_HEAD_LINES = 10
_MINIFIED_LINE_LENGTH = 250  # mean characters a line; hand-written code stays below 50 or so


def extension_of(path: str) -> str:
    """The extension without its dot, in lower case; "" where there is none.

    >>> extension_of("src/Main.PY"), extension_of(".gitignore"), extension_of("Makefile")
    ('py', '', '')
    """
    return posixpath.splitext(posixpath.basename(path))[1][1:].lower()


def language_of(path: str, text: str = "") -> str | None:
    """The language's name as Linguist has it, or None.

    >>> language_of("a/b.py"), language_of("bin/run", "#!/usr/bin/env python3"), language_of("data.bin")
    ('Python', 'Python', None)
    """
    name = posixpath.basename(path).lower()
    if name in _BY_NAME:
        return _BY_NAME[name]
    extension = extension_of(path)
    if extension in ("h", "m", "pl"):
        return _told_apart(extension, text)
    return _BY_EXTENSION.get(extension) or (None if extension else _by_interpreter(text))


def _told_apart(extension: str, text: str) -> str:
    if extension == "h":
        if _OBJECTIVE_C.search(text):
            return "Objective-C"
        return "C++" if _CPP_HEADER.search(text) else "C"
    if extension == "m":
        return "MATLAB" if _MATLAB.search(text) and not _OBJECTIVE_C.search(text) else "Objective-C"
    return "Prolog" if _PROLOG.search(text) else "Perl"


def _by_interpreter(text: str) -> str | None:
    if not text.startswith("#!"):
        return None
    words = text[2:].split("\n", 1)[0].split()
    words = [word for word in words if not word.startswith("-") and "=" not in word]
    if words and posixpath.basename(words[0]) == "env":
        words = words[1:]
    interpreter = posixpath.basename(words[0]).lower() if words else ""
    return _BY_INTERPRETER.get(interpreter.rstrip("0123456789."))


def is_vendor(path: str) -> bool:
    """Whether the path is one where projects keep the code of others.

    >>> is_vendor("web/node_modules/x/index.js"), is_vendor("src/vendoring.py")
    (True, False)
    """
    return _VENDOR.search(path) is not None


def is_generated(path: str, text: str) -> bool:
    """Whether a machine wrote the file: by its name, by what its first lines say, or because it is minified.

    >>> is_generated("x.py", "# Generated by make. DO NOT EDIT.\\n"), is_generated("x.py", "x = 1\\n")
    (True, False)
    """
    if _GENERATED_NAME.search(path):
        return True
    head = "\n".join(text[:4096].splitlines()[:_GENERATED_HEAD_LINES])
    if _GENERATED_TEXT.search(head):
        return True
    is_script = extension_of(path) in ("js", "css", "mjs", "cjs")
    return is_script and len(text) > _MINIFIED_LINE_LENGTH * (text.count("\n") + 1)
