"""The encoding that a file names itself: the nearest that a text comes to saying how it is to be read.

    # -*- coding: koi8-r -*-                            Python (PEP 263, the first two lines), Emacs
    # vim: set fileencoding=cp1251 :                    Vim, the first and last five lines
    <?xml version="1.0" encoding="ISO-8859-1"?>         XML, at the start
    <meta charset="gbk">, ... charset=gbk">             HTML, the first 1024 bytes; JSP's `pageEncoding="..."` too
    @charset "windows-1252";                            CSS, at the start
    \\usepackage[latin1]{inputenc}                       LaTeX, the first 4096 bytes

Only encodings of texts count, and only those that leave ASCII as it is; labels stand for what the web means by them
(`gb2312` is read as GB18030, `euc-kr` as code page 949), since writers did so too.
"""

from __future__ import annotations

import codecs
import re

_COOKIE = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)|-\*-.*?coding:[ \t]*([-\w.]+).*?-\*-")
_MODELINE = re.compile(rb"\b(?:vim?|ex):.*?\b(?:fileencoding|fenc)=([-\w.]+)")
_HEAD = re.compile(
    rb"""\A\s*<\?xml[^>]{0,200}?\bencoding\s*=\s*["']([-\w.]+)
    | <meta\b[^>]{0,200}?\bcharset\s*=\s*["']?([-\w.]+)
    | <%@[^>]{0,200}?\b(?:pageEncoding\s*=\s*["']|charset\s*=\s*)([-\w.]+)
    | \A@charset\s+"([-\w.]+)" """,
    re.I | re.X,
)
_LATEX = re.compile(rb"^[ \t]*\\usepackage\[([-\w]+)\]\{inputenc\}", re.M)
_EMACS_LINE_ENDS = re.compile(r"-(?:unix|dos|mac)$", re.I)

# Python's codec -> the codecs to read with, the first that fits, with their registered names.
_ISO_1 = (("latin-1", "ISO-8859-1"), ("cp1252", "windows-1252"))
_CHINESE = (("gb18030", "GB18030"),)
_BIG5 = (("cp950", "Big5"), ("big5hkscs", "Big5-HKSCS"))
_KOREAN = (("cp949", "EUC-KR"),)
_SHIFT_JIS = (("cp932", "Shift_JIS"), ("shift_jis_2004", "Shift_JIS-2004"))
_EUC_JP = (("euc-jp", "EUC-JP"), ("euc_jis_2004", "EUC-JIS-2004"))
_READ_WITH = {
    "ascii": _ISO_1,
    "iso8859-1": _ISO_1,
    "gb2312": _CHINESE,
    "gbk": _CHINESE,
    "gb18030": _CHINESE,
    "big5": _BIG5,
    "cp950": _BIG5,
    "big5hkscs": _BIG5,
    "euc_kr": _KOREAN,
    "cp949": _KOREAN,
    "shift_jis": _SHIFT_JIS,
    "cp932": _SHIFT_JIS,
    "shift_jis_2004": _SHIFT_JIS,
    "euc_jp": _EUC_JP,
    "euc_jis_2004": _EUC_JP,
    "iso8859-9": (("iso8859-9", "ISO-8859-9"), ("cp1254", "windows-1254")),
    "iso8859-11": (("cp874", "TIS-620"),),
    "tis-620": (("cp874", "TIS-620"),),
    "koi8-r": (("koi8-r", "KOI8-R"),),
    "koi8-u": (("koi8-u", "KOI8-U"),),
    "mac-roman": (("mac-roman", "macintosh"),),
    "mac-cyrillic": (("mac-cyrillic", "x-mac-cyrillic"),),
} | {
    **{f"iso8859-{n}": ((f"iso8859-{n}", f"ISO-8859-{n}"),) for n in (2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 15, 16)},
    **{f"cp{page}": ((f"cp{page}", f"windows-{page}"),) for page in range(1250, 1259)},
    **{f"cp{page}": ((f"cp{page}", f"IBM{page}"),) for page in (437, 737, 775, 850, 852, 855, 857, 860, 862, 866)},
}  # fmt: skip


def declared(data: bytes) -> str | None:
    r"""The label of the encoding that the file names, or None.

    >>> declared(b"#!/usr/bin/python\n# -*- coding: koi8-r -*-\n")
    'koi8-r'
    """
    first = data[:4096].splitlines()[:5]
    found = next((match for line in first[:2] if (match := _COOKIE.search(line))), None)
    found = found or _HEAD.search(data[:1024]) or _LATEX.search(data[:4096])
    if found is None:
        last = data[-4096:].splitlines()[-5:]
        found = next((match for line in (*first, *last) if (match := _MODELINE.search(line))), None)
    if found is None:
        return None
    label = next(group for group in found.groups() if group).decode("ascii", "replace")
    return _EMACS_LINE_ENDS.sub("", label)


def codecs_of(label: str) -> tuple[tuple[str, str], ...]:
    """What to read a text of that label with, the first that fits: Python's codec and the registered name.

    >>> codecs_of("GBK"), codecs_of("rot13")
    ((('gb18030', 'GB18030'),), ())
    """
    try:
        return _READ_WITH.get(codecs.lookup(label).name, ())
    except (LookupError, ValueError):
        return ()
