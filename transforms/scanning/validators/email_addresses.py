# ruff: noqa: E501 - patterns and word lists read best unbroken
"""The validator of e-mail addresses: it distinguishes a person's address from an example, a role, and code.

    ann.lee@acme.io       an address: the domain has a dot and a known top-level domain
    \\pgf@name            TeX's private names, and Kotlin's labels, patterns, variables: no dot in the "domain"
    total+@item.name      Ruby's and Razor's variables, Kotlin's `this@Type.name`: names of code around the sign

Sources: RFC 5321 (addresses), RFC 2606 and 6761 (reserved domains), IANA's list of top-level domains.
"""

from __future__ import annotations

import re

from transforms.scanning.candidate import Candidate, Verdict

_RESERVED_DOMAIN = re.compile(
    rb"(?i)(?:^|\.)(?:example|test|invalid|localhost|local|localdomain|internal|lan|home|corp|arpa)$|(?:^|[.-])example\.(?:com|org|net|edu|[a-z]{2}|co\.[a-z]{2})$"
    rb"|^(?:domain|mydomain|yourdomain|your-domain|foo|bar|baz|foobar|test|host|server|email|mail|company|mycompany|yourcompany|somewhere|nowhere|site|mysite|website|abc|xyz|xxx|a|b|c|x|y|z|acme|smtp|my|one|two|three|four|five|malicious|evil|attacker|victim|important)\.(?:com|org|net|edu|co|de|cc|it|fr|us)$"
)
_ROLE_LOCAL = re.compile(
    rb"(?i)^(?:no-?reply|do-?not-?reply|git|hg|svn|noreply.*|.*\bnoreply|mailer-daemon|postmaster|your.*|my.?e?mail|e-?mail|user|username|name|someone|somebody|foo|bar|root|xxx+|test)$"
)
_NOREPLY_DOMAIN = re.compile(
    rb"(?i)(?:^|\.)(?:noreply\.|users\.noreply)|noreply\.(?:github|gitlab)|\.gserviceaccount\.com$"
)
_SSH_NAME = re.compile(
    rb"(?i)^(?:[a-z0-9-]*[-0-9][a-z0-9-]*|zlib|tun|eow|ping|keepalive)@(?:openssh\.com|libssh\.org|lysator\.liu\.se|ssh\.com)$"
)
"""Names of unregistered SSH algorithms and messages, which have the form of addresses (RFC 4251, section 6)."""
_COMMON_TLDS = frozenset(
    b"com org net edu gov mil int info biz name pro io dev app ai xyz online site tech store shop club blog cloud email agency academy "
    b"company digital design media network solutions systems world today life live news group team work works studio global software "
    b"technology consulting services support health care bank law photography eu asia cat jobs mobi museum tel travel coop aero".split()
)
_COUNTRY_TLDS = frozenset(
    (
        b"ac ad ae af ag ai al am ao aq ar as at au aw ax az ba bb bd be bf bg bh bi bj bm bn bo br bs bt bw by bz ca cc cd cf cg ch ci ck cl cm cn co cr cu cv cw cx cy cz "
        b"de dj dk dm do dz ec ee eg er es et eu fi fj fk fm fo fr ga gd ge gf gg gh gi gl gm gn gp gq gr gs gt gu gw gy hk hm hn hr ht hu id ie il im in iq ir is it "
        b"je jm jo jp ke kg kh ki km kn kp kr kw ky kz la lb lc li lk lr ls lt lu lv ly ma mc me mg mh mk ml mm mn mo mp mq mr ms mt mu mv mw mx my mz na nc ne nf ng ni nl no np nr nu nz "
        b"om pa pe pf pg ph pk pl pm pn pr ps pt pw qa re ro ru rw sa sb sc sd se sg sh si sk sl sm sn so sr ss st su sv sx sy sz tc td tf tg th tj tk tl tm tn to tr tt tv tw tz "
        b"ua ug uk us uy uz va vc ve vg vi vn vu wf ws ye yt za zm zw"
    ).split()
)
_OLD_TLDS = frozenset(b"com org net edu gov mil int".split())
_CODE_LOCAL = re.compile(rb"(?:this|super|return|break|continue)\Z")
"""What stands before `@` in Kotlin's labels."""
_CODE_LABEL = re.compile(
    rb"(?i)(?:model|item|items|obj|object|self|this|that|node|row|props?|state|ctx|context|req|request|res|response|event|evt|pkgs|lib|config|cfg|args|params?|options|settings|element|entry|record|query|result|value|user|users|current|_\w*|\w*_)\Z"
)
"""First labels of a "domain" that is a member of a variable: `@user.email`, `@item.name`."""
_MEMBER_TLDS = frozenset(
    b"name email id is in to at by info me my no as so do pro group team media app live run works host".split()
)
"""Top-level domains that are also common members or keywords of code."""
_TEX_PATH = re.compile(r"(?i)\.(?:tex|sty|cls|dtx|ltx|def|fd|cfg|bbx|cbx|lbx|code)$")
_TEX_LANGUAGES = ("tex", "latex")


def email_address(candidate: Candidate) -> Verdict | None:
    """Accepts an email address that can be a person's. It must have a dot and a known top-level domain. It must not
    have a reserved or placeholder domain, and must not be a role such as `git@` or noreply, an SSH algorithm, a URL's
    user, an asset name such as `icon@2x.png`, or code."""
    start, _ = candidate.span
    value = candidate.value.rstrip(b".-_")
    local, _, domain = value.rpartition(b"@")
    top = domain.rpartition(b".")[2].lower()
    while top not in _COUNTRY_TLDS and top not in _COMMON_TLDS and domain.count(b".") > 1:
        domain = domain.rpartition(b".")[0]  # the next sentence follows without a space, or a method is called on it
        top = domain.rpartition(b".")[2].lower()
    if (top not in _COUNTRY_TLDS and top not in _COMMON_TLDS) or b".." in domain or domain.startswith((b"-", b".")):
        return None
    if b"." not in domain or _is_code(candidate, local, domain, top):
        return None
    local = local.lstrip(b".-+%")
    if not local or _is_nobody(local, domain):
        return None
    before = candidate.before(80)
    after = candidate.data[start + len(candidate.value.rpartition(b"@")[0]) + 1 + len(domain) :][:12]
    if (
        re.search(rb"://[^\s/\"'<>]*$", before)
        or re.match(rb":(?:[~/]|[A-Za-z][\w.-]*/)", after)
        or after.startswith((b"(", b"@"))
    ):
        return None
    if re.search(rb"(?i)(?:message-id|in-reply-to|references)['\"]?[ :=>]{1,6}['\"<]{0,2}$", before):
        return None  # a message's id has the form of an address (RFC 5322)
    if len(local) > 3 and not re.search(rb"[A-Za-z]", local) and not local.isdigit():
        return None
    if len(local) < 2 and len(domain) < 6:
        return None
    begin = start + candidate.value.index(local)
    return Verdict(begin, begin + len(local) + 1 + len(domain))


def _is_nobody(local: bytes, domain: bytes) -> bool:
    return (
        _RESERVED_DOMAIN.search(domain) is not None
        or _ROLE_LOCAL.match(local) is not None
        or _NOREPLY_DOMAIN.search(domain) is not None
        or b"noreply" in local.lower()
        or _SSH_NAME.match(local + b"@" + domain) is not None
    )


def _is_code(candidate: Candidate, local: bytes, domain: bytes, top: bytes) -> bool:
    """Whether the sign between two names is an operator or a sigil of code."""
    before = candidate.before(1)
    if before == b"$" or _CODE_LOCAL.match(local):
        return True
    if before == b"\\" and _is_tex(candidate):
        return True
    if top in _OLD_TLDS:
        return False
    if local.endswith((b".", b"+", b"%")):
        return True
    if not domain.endswith(top) and not domain.isupper() and (top in _MEMBER_TLDS or domain[:1].isupper()):
        return True  # @Model.Name
    return top in _MEMBER_TLDS and _CODE_LABEL.match(domain.partition(b".")[0]) is not None


def _is_tex(candidate: Candidate) -> bool:
    document = candidate.document
    return document.language.lower() in _TEX_LANGUAGES or _TEX_PATH.search(document.path) is not None
