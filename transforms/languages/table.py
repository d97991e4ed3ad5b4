"""The table of languages: names, extensions, grammar, comments and kind of text of each.

This is the only place that identifies languages by name. Names are those of GitHub's Linguist, as in The Stack v2. The
aliases add those of The Stack v1, github-code, fences in Markdown, and common usage. Look-ups ignore case, and
blanks, `-` and `_` between words: `C-Sharp`, `c_sharp` and `csharp` are one name. `transforms.languages.lookup` does
the look-ups.

The grammars are among those that `tree-sitter-language-pack==0.13.0` includes in its wheel; nothing is downloaded. A
language has none if
- its grammar rejects sound files (measured on the files of an installed system: Tcl 92%, INI 70%, Vim Script 43%,
  Makefile 24%, Fortran 15%; CSV and PowerShell reject a first line) or accepts any text (Markdown, reStructuredText);
- one name covers many dialects (Assembly, TeX);
- its scanner never returns (COBOL, and Perl on `1[m#`) or crashes the process (V). The others were given 6,900 mutated
  and random texts each, and none took a second.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["code", "script", "markup", "prose", "plain", "data"]
"""The kind of most of a language's texts.

code    expressions: a bare word is a name, and values are quoted
script  shells, builds, settings, queries, styles, templates: a bare word may be a value
markup  HTML and the like; prose  text with markup; plain  text without; data  values
"""

Comments = Literal["hash", "slash", "dash", "percent", "semicolon", "bang", "quote", "star", "rem", "markup", "none"]

COMMENT_MARKS: Final[dict[Comments, tuple[bytes, ...]]] = {
    "hash": (b"#",),
    "slash": (b"//", b"/*", b"* ", b"*/", b"<!--"),
    "dash": (b"--", b"/*", b"*"),
    "percent": (b"%",),
    "semicolon": (b";",),
    "bang": (b"!",),
    "quote": (b"'",),
    "star": (b"(*", b"* ", b"*)"),
    "rem": (b"::", b"rem ", b"REM ", b"@rem ", b"@REM "),
    "markup": (b"<!--",),
    "none": (),
}
"""How a comment line starts; no marker is a prefix of another of the same style."""


@dataclass(frozen=True, slots=True)
class Language:
    """One language.

    Args:
        name: Its Linguist name.
        aliases: Other names, normalized by `fold`.
        extensions: Its file extensions, without the dot, in lower case. An extension belongs to one language.
        grammar: The tree-sitter grammar that decides whether a text is sound; "" if there is no reliable one.
        comments: The form of its comments.
        kind: What most of its texts are.
        stand_in: A related language's grammar that finds spans in its texts, although its errors mean nothing; "" for
            `grammar` itself.
    """

    name: str
    aliases: tuple[str, ...]
    extensions: tuple[str, ...]
    grammar: str
    comments: Comments
    kind: Kind
    stand_in: str = ""

    @property
    def reader(self) -> str:
        """The grammar used to find spans and to compare a file with itself; "" for none."""
        return self.stand_in or self.grammar


def fold(name: str) -> str:
    """Normalizes a name to a key of the table: lower case, without blanks, `-` and `_` between words.

    >>> fold(" C-Sharp "), fold("Objective C"), fold("Visual Basic .NET"), fold("C--")
    ('csharp', 'objectivec', 'visualbasic.net', 'c--')
    """
    return re.sub(r"(?<=\w)[\s_-]+(?=[\w.])", "", name.strip().lower())


# name, aliases, extensions, grammar, comments, kind
_ROWS: Final[tuple[tuple[str, str, str, str, Comments, Kind], ...]] = (
    ("ActionScript", "as3", "as", "actionscript", "slash", "code"),
    ("Ada", "ada95 ada2005", "adb ads", "ada", "dash", "code"),
    ("Agda", "", "agda", "agda", "dash", "code"),
    ("Alloy", "", "als", "", "slash", "code"),
    ("ANTLR", "antlr4", "g4", "", "slash", "script"),
    ("Apex", "", "apex", "apex", "slash", "code"),
    ("AppleScript", "osascript", "applescript scpt", "", "dash", "script"),
    ("Arduino", "ino", "ino", "arduino", "slash", "code"),
    ("AsciiDoc", "adoc", "adoc asciidoc", "", "none", "prose"),
    ("Assembly", "asm nasm masm gas", "asm s", "", "semicolon", "script"),
    ("Astro", "", "astro", "astro", "markup", "script"),
    ("Augeas", "", "aug", "", "star", "script"),
    ("Awk", "gawk mawk nawk", "awk", "", "hash", "script"),
    ("Batchfile", "bat batch dosbatch winbatch cmd", "bat cmd", "", "rem", "script"),
    ("BibTeX", "bib", "bib", "bibtex", "percent", "data"),
    ("Bicep", "", "bicep", "bicep", "slash", "script"),
    ("Bluespec", "bsv", "bsv", "", "slash", "code"),
    ("C", "c11 c99", "c h", "c", "slash", "code"),
    ("C#", "csharp cs c♯ dotnet", "cs csx", "csharp", "slash", "code"),
    ("C++", "cpp cxx cc hpp c++11 c++17 c++20", "cc cpp cxx c++ hh hpp hxx h++ inl ipp tpp", "cpp", "slash", "code"),
    ("COBOL", "cbl", "cob cbl cobol", "", "none", "code"),
    ("CMake", "cmakelists", "cmake", "cmake", "hash", "script"),
    ("CSS", "", "css", "css", "slash", "script"),
    ("CSV", "", "csv", "", "none", "data"),
    ("Cairo", "", "cairo", "cairo", "slash", "code"),
    ("Cap'n Proto", "capnp", "capnp", "capnp", "hash", "script"),
    ("Clojure", "clj clojurescript cljs edn", "clj cljc cljs edn", "clojure", "semicolon", "code"),
    ("CoffeeScript", "coffee", "coffee", "", "hash", "code"),
    ("Common Lisp", "lisp cl", "lisp cl lsp", "commonlisp", "semicolon", "code"),
    ("Coq", "rocq gallina", "", "", "star", "code"),
    ("Crystal", "cr", "cr", "", "hash", "code"),
    ("Cuda", "cu cudac++ cudacpp", "cu cuh", "cuda", "slash", "code"),
    ("Cython", "pyx pyrex", "pyx pxd pxi", "", "hash", "code"),
    ("D", "dlang", "d", "d", "slash", "code"),
    ("Dart", "", "dart", "dart", "slash", "code"),
    ("Diff", "patch udiff", "diff patch", "", "none", "script"),
    ("Dockerfile", "docker containerfile", "dockerfile", "dockerfile", "hash", "script"),
    ("EJS", "", "ejs", "", "markup", "script"),
    ("Elixir", "ex exs", "ex exs", "elixir", "hash", "code"),
    ("Elm", "", "elm", "elm", "dash", "code"),
    ("Emacs Lisp", "elisp emacs el", "el", "elisp", "semicolon", "code"),
    ("Erlang", "erl escript", "erl hrl", "erlang", "percent", "code"),
    ("F#", "fsharp fs f♯", "fs fsi fsx", "fsharp", "slash", "code"),
    ("Fennel", "fnl", "fnl", "fennel", "semicolon", "code"),
    ("Fortran", "fortran90 fortran77 f90 f77", "f90 f95 f03 f08 f for", "", "bang", "code"),
    ("GDScript", "gd", "gd", "gdscript", "hash", "code"),
    ("GLSL", "shader", "glsl vert frag", "glsl", "slash", "code"),
    ("Gleam", "", "gleam", "gleam", "slash", "code"),
    ("Go", "golang", "go", "go", "slash", "code"),
    ("Go Module", "gomod", "", "gomod", "slash", "script"),
    ("GraphQL", "gql", "graphql gql", "graphql", "hash", "script"),
    ("Groovy", "gradle", "groovy gradle", "groovy", "slash", "code"),
    ("HCL", "terraform tf hashicorpconfigurationlanguage", "hcl tf tfvars", "hcl", "hash", "script"),
    ("HLSL", "", "hlsl", "hlsl", "slash", "code"),
    ("HTML", "htm html5 xhtml", "html htm xhtml", "html", "markup", "markup"),
    ("HTML+ERB", "erb rhtml htmlerb", "erb", "embeddedtemplate", "markup", "script"),
    ("Hack", "hhvm", "hack hhi", "hack", "slash", "code"),
    ("Handlebars", "hbs mustache", "hbs handlebars", "", "markup", "script"),
    ("Haskell", "hs", "hs", "haskell", "dash", "code"),
    ("Haxe", "hx", "hx", "haxe", "slash", "code"),
    ("INI", "dosini cfg", "ini cfg", "", "hash", "script"),
    ("Idris", "idris2", "idr", "", "dash", "code"),
    ("Isabelle", "", "thy", "", "star", "code"),
    ("JSON", "jsonc json5 jsonl ndjson geojson jsonwithcomments", "json geojson jsonc", "json", "slash", "data"),
    ("Java", "", "java", "java", "slash", "code"),
    ("Java Server Pages", "jsp", "jsp", "", "markup", "script"),
    ("JavaScript", "js jsx node nodejs mjs cjs es6 javascriptreact", "js cjs mjs jsx", "javascript", "slash", "code"),
    ("Jinja", "jinja2 htmljinja htmldjango django j2", "j2 jinja jinja2", "", "markup", "script"),
    ("Jsonnet", "", "jsonnet libsonnet", "jsonnet", "slash", "script"),
    ("Julia", "jl", "jl", "julia", "hash", "code"),
    ("Jupyter Notebook", "jupyter ipynb ipythonnotebook", "ipynb", "", "none", "data"),
    ("KDL", "", "kdl", "kdl", "slash", "script"),
    ("Kotlin", "kt kts", "kt kts", "kotlin", "slash", "code"),
    ("LLVM", "llvmir", "ll", "llvm", "semicolon", "script"),
    ("Lean", "lean4", "lean", "", "dash", "code"),
    ("Less", "lesscss", "less", "", "slash", "script"),
    ("Literate Agda", "", "lagda", "", "none", "prose"),
    ("Literate CoffeeScript", "litcoffee", "litcoffee", "", "none", "prose"),
    ("Literate Haskell", "lhs", "lhs", "", "none", "prose"),
    ("Log", "", "log", "", "none", "plain"),
    ("Lua", "luajit", "lua", "lua", "dash", "code"),
    ("Luau", "", "luau", "luau", "dash", "code"),
    ("M4", "", "m4", "", "hash", "script"),
    ("MATLAB", "octave", "", "matlab", "percent", "code"),
    ("Makefile", "make mk gnumake bsdmake mf", "mk mak make", "", "hash", "script"),
    ("Maple", "", "mpl", "", "hash", "code"),
    ("Markdown", "md gfm mdx commonmark", "md markdown mdx", "", "markup", "prose"),
    ("Mathematica", "wolfram wolframlanguage mma wl", "wl nb", "", "star", "code"),
    ("Mermaid", "", "mmd mermaid", "", "percent", "script"),
    ("Meson", "", "", "meson", "hash", "script"),
    ("Nim", "nimrod", "nim", "nim", "hash", "code"),
    ("Ninja", "", "ninja", "ninja", "hash", "script"),
    ("Nix", "nixos", "nix", "nix", "hash", "script"),
    ("OCaml", "ml", "ml mli", "ocaml", "star", "code"),
    ("OCaml Interface", "mli", "", "ocaml_interface", "star", "code"),
    ("Objective-C", "objc", "m", "objc", "slash", "code"),
    ("Objective-C++", "objc++ objcpp objectivecpp", "mm", "", "slash", "code"),
    ("Odin", "", "odin", "odin", "slash", "code"),
    ("Org", "orgmode", "org", "", "hash", "prose"),
    ("PHP", "inc php3 php4 php5 php7 php8", "php phtml", "php", "slash", "code"),
    ("PLSQL", "oracle", "", "", "dash", "script"),
    ("PLpgSQL", "postgresql postgres", "", "", "dash", "script"),
    ("Pascal", "delphi objectpascal freepascal", "pas pp dpr", "pascal", "slash", "code"),
    ("Perl", "pl", "pl pm", "", "hash", "code"),
    ("Pony", "", "pony", "pony", "slash", "code"),
    ("PowerShell", "ps1 posh pwsh", "ps1 psm1 psd1", "", "hash", "script"),
    ("Prisma", "", "prisma", "prisma", "slash", "script"),
    ("Prolog", "swipl", "pro", "", "percent", "code"),
    ("Protocol Buffer", "proto protobuf protocolbuffers", "proto", "proto", "slash", "script"),
    ("Pug", "jade", "pug jade", "", "slash", "script"),
    ("Puppet", "", "", "puppet", "hash", "script"),
    ("PureScript", "purs", "purs", "purescript", "dash", "code"),
    ("Python", "py python3 py3 pypy ipython cpython rusthon", "py pyi pyw", "python", "hash", "code"),
    ("QML", "qmljs", "qml", "qmljs", "slash", "code"),
    ("R", "rlang rscript splus", "r", "r", "hash", "code"),
    ("RMarkdown", "rmd", "rmd", "", "none", "prose"),
    ("Racket", "rkt", "rkt", "racket", "semicolon", "code"),
    ("Raku", "perl6", "raku", "", "hash", "code"),
    ("Ruby", "rb jruby macruby rbx rake", "rb rake gemspec", "ruby", "hash", "code"),
    ("Rust", "rs", "rs", "rust", "slash", "code"),
    ("SAS", "", "sas", "", "none", "code"),
    ("SCSS", "", "scss", "scss", "slash", "script"),
    ("SPARQL", "", "sparql rq", "sparql", "hash", "script"),
    ("SQL", "mysql sqlite ansisql", "sql", "sql", "dash", "script"),
    ("SVG", "", "svg", "xml", "markup", "data"),
    ("Sass", "", "sass", "", "slash", "script"),
    ("Scala", "", "scala sbt sc", "scala", "slash", "code"),
    ("Scheme", "scm guile", "scm ss", "scheme", "semicolon", "code"),
    ("Shell", "sh bash zsh ksh dash ash shellscript bashscript", "sh bash zsh ksh", "bash", "hash", "script"),
    ("Smali", "", "smali", "smali", "hash", "code"),
    ("Smalltalk", "squeak pharo", "", "", "none", "code"),
    ("Solidity", "sol", "sol", "solidity", "slash", "code"),
    ("Squirrel", "", "nut", "squirrel", "slash", "code"),
    ("Stan", "", "stan", "", "slash", "code"),
    ("Standard ML", "sml", "sml", "", "star", "code"),
    ("Starlark", "bazel bzl", "bzl star", "starlark", "hash", "code"),
    ("Stata", "", "ado", "", "none", "code"),
    ("Svelte", "", "svelte", "svelte", "markup", "script"),
    ("Swift", "", "swift", "swift", "slash", "code"),
    ("SystemVerilog", "sv", "sv svh", "verilog", "slash", "code"),
    ("TOML", "", "toml", "toml", "hash", "script"),
    ("TSQL", "mssql sqlserver", "", "", "dash", "script"),
    ("TSV", "", "tsv", "", "none", "data"),
    ("TSX", "typescriptreact", "tsx", "tsx", "slash", "code"),
    ("Tcl", "tclsh tk wish", "tcl", "", "hash", "script"),
    ("Tcsh", "csh", "csh tcsh", "", "hash", "script"),
    ("TeX", "latex plaintex", "tex sty cls", "", "percent", "prose"),
    ("Text", "txt plain plaintext", "txt", "", "none", "plain"),
    ("Thrift", "", "thrift", "thrift", "slash", "script"),
    ("Twig", "", "twig", "", "markup", "script"),
    ("TypeScript", "ts mts cts deno", "ts mts cts", "typescript", "slash", "code"),
    ("Typst", "typ", "typ", "", "slash", "prose"),
    ("V", "vlang", "", "", "slash", "code"),
    ("VHDL", "", "vhd vhdl", "vhdl", "dash", "code"),
    ("Vala", "", "vala vapi", "", "slash", "code"),
    ("Verilog", "", "v", "verilog", "slash", "code"),
    ("Vim Script", "vim viml nvim", "vim", "", "none", "script"),
    ("Visual Basic .NET", "visualbasic vb vb.net vbnet vba vbscript", "vb", "", "quote", "code"),
    ("Vue", "vuejs", "vue", "vue", "markup", "script"),
    ("WGSL", "", "wgsl", "wgsl", "slash", "code"),
    ("WebAssembly", "wasm wat wast", "wat wast", "wast", "semicolon", "script"),
    ("XML", "rss xsd wsdl plist", "xml xsd xsl xslt rng", "xml", "markup", "data"),
    ("XSLT", "xsl", "", "xml", "markup", "data"),
    ("YAML", "yml", "yaml yml", "yaml", "hash", "data"),
    ("Yacc", "bison", "y yy", "", "slash", "code"),
    ("Zig", "", "zig", "zig", "slash", "code"),
    ("fish", "", "fish", "fish", "hash", "script"),
    ("reStructuredText", "rst rest", "rst", "", "none", "prose"),
)  # fmt: skip

# Dialects in which a related grammar finds spans.
_STAND_INS: Final = {"Hack": "php", "PLpgSQL": "sql"}

LANGUAGES: Final[tuple[Language, ...]] = tuple(
    Language(
        name,
        tuple(map(fold, aliases.split())),
        tuple(extensions.split()),
        grammar,
        comments,
        kind,
        _STAND_INS.get(name, ""),
    )
    for name, aliases, extensions, grammar, comments, kind in _ROWS
)

BY_NAME: Final[dict[str, Language]] = {
    key: language for language in LANGUAGES for key in (fold(language.name), *language.aliases)
}
BY_EXTENSION: Final[dict[str, Language]] = {
    extension: language for language in LANGUAGES for extension in language.extensions
}
