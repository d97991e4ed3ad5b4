"""Opt-out lists: one repository or owner a line, as people write and copy them.

    owner/name                        github.com/owner/name              owner
    https://github.com/owner/name     git@github.com:owner/name.git      owner/*

Also accepted: quotes, a comma at the end, any case, a trailing slash, `.git`, what follows a repository in an address
(`/tree/main`, `?tab=readme`), comments (`#` at the start of a line or after a blank), a byte order mark, UTF-16. A line
of any other form is refused with its number: an entry that is silently not understood keeps somebody's rows.

A repository in the corpus is read the same way. Hosts are compared only where both sides name one, so that an entry
without a host means that repository on every host.
"""

from __future__ import annotations

import codecs
import functools
import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from model.errors import ConfigError

STAGE: Final = "opt_out"
REASON: Final = "repository_opted_out"
"""Stage and reason of rejected records."""
_SCHEME = re.compile(r"(?:git\+)?(?:https?|ssh|git)://(?:[^/@\s]*@)?(?P<host>[^/:\s]+)(?::\d+)?(?:/|$)", re.IGNORECASE)
_SCP = re.compile(r"[\w.-]+@(?P<host>[\w.-]+):/?(?=.)")
_HOST = re.compile(r"(?=.*[a-z])[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}", re.IGNORECASE)
_SERVICES = frozenset(
    ("github.com", "gitlab.com", "bitbucket.org", "codeberg.org", "sr.ht", "git.sr.ht", "gitee.com", "sourceforge.net",
     "huggingface.co")
)  # fmt: skip
_WITHOUT_SUBGROUPS = frozenset(("github.com", "bitbucket.org", "codeberg.org", "gitee.com"))
_NAME = re.compile(r"~?[\w.+-]+")
_COMMENT = re.compile(r"(?:^|\s)#.*")
_QUOTES = "\"'`\u201c\u201d\u2018\u2019"
# What a service's addresses put between a repository and a place in it; GitLab begins it with a dash.
_PLACES = frozenset(
    ("-", "tree", "blob", "raw", "src", "commit", "commits", "issues", "pull", "pulls", "wiki", "releases")
)
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository or owner in lower case: `path` is `owner/name`, deeper with subgroups, or the only name.

    `host` is "" where none is named.
    """

    path: str
    host: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of a list: a repository, or with `is_owner` all repositories of an owner."""

    repository: Repository
    is_owner: bool

    def __str__(self) -> str:
        host = f"{self.repository.host}/" if self.repository.host else ""
        return f"{host}{self.repository.path}{'/*' if self.is_owner else ''}"


class OptOut:
    """The entries of opt-out lists, each once, in order.

    Args:
        entries: The entries; repeated ones count once.
    """

    def __init__(self, entries: Iterable[Entry]):
        self.entries = tuple(dict.fromkeys(entries))
        self._by_path: dict[str, list[int]] = defaultdict(list)
        for number, entry in enumerate(self.entries):
            self._by_path[entry.repository.path].append(number)
        self._find = functools.lru_cache(maxsize=65536)(self._find_anew)

    def __len__(self) -> int:
        return len(self.entries)

    def __getstate__(self) -> dict[str, object]:
        return {"entries": self.entries}

    def __setstate__(self, state: dict[str, tuple[Entry, ...]]) -> None:
        self.__init__(state["entries"])  # type: ignore[misc]

    @property
    def sha256(self) -> str:
        """Hash of the entries, whatever their order and the form in which they were written."""
        return hashlib.sha256("\n".join(sorted(map(str, self.entries))).encode()).hexdigest()

    def find(self, repository: str) -> tuple[int, ...]:
        """The numbers of all entries that a corpus's repository falls under.

        >>> OptOut([parse_entry("https://github.com/Some/Thing.git")]).find("some/thing")
        (0,)
        >>> OptOut([parse_entry("some")]).find("git@github.com:some/thing.git")
        (0,)
        """
        return self._find(repository)

    def _find_anew(self, text: str) -> tuple[int, ...]:
        repository = repository_of(text)
        if repository is None:
            repository = Repository(text.strip().lower())
        parts = repository.path.split("/")
        found = []
        for length in range(1, len(parts) + 1):
            for number in self._by_path.get("/".join(parts[:length]), ()):
                entry = self.entries[number]
                is_meant = length == len(parts) or entry.is_owner
                hosts = {entry.repository.host, repository.host} - {""}
                if is_meant and len(hosts) < 2:
                    found.append(number)
        return tuple(found)


def parse_opt_out(lists: Iterable[tuple[str, bytes]]) -> OptOut:
    """Reads lists.

    Args:
        lists: Of each list its name, for messages, and its bytes.

    Raises:
        ConfigError: A list is no text, or one of its lines has no known form; the line's number is named.
    """
    entries = []
    for name, data in lists:
        for number, line in enumerate(_lines(name, data), start=1):
            text = _bare(line)
            if not text:
                continue
            entry = parse_entry(text)
            if entry is None:
                shown = line.strip() if len(line.strip()) <= _SHOWN else f"{line.strip()[:_SHOWN]}..."
                raise ConfigError(
                    f"opt-out list {name}, line {number}: {shown!r} is no repository; write owner/name, its address, "
                    "or an owner alone, one a line"
                )
            entries.append(entry)
    return OptOut(entries)


def parse_entry(text: str) -> Entry | None:
    """Reads one entry, without its comment and quotes; None if it has no known form.

    >>> str(parse_entry("git@github.com:Own/Repo.git")), str(parse_entry("own/*")), str(parse_entry("own"))
    ('github.com/own/repo', 'own/*', 'own/*')
    >>> parse_entry("two words") is None
    True
    """
    is_owner = False
    for ending in ("/*", "/**"):
        if text.endswith(ending):
            text, is_owner = text.removesuffix(ending), True
    repository = repository_of(text)
    if repository is None:
        return None
    return Entry(repository, is_owner or "/" not in repository.path)


def repository_of(text: str) -> Repository | None:
    """Reads a repository's name or address; None if it is neither.

    >>> repository_of("https://gitlab.com/group/sub/thing/-/tree/main")
    Repository(path='group/sub/thing', host='gitlab.com')
    >>> repository_of("github.com/a/b"), repository_of("@someone").path
    (Repository(path='a/b', host='github.com'), 'someone')
    """
    text, host = text.strip(), ""
    if (address := _SCHEME.match(text) or _SCP.match(text)) is not None:
        host, text = address["host"], text[address.end() :]
    text = re.split(r"[?#]", text, maxsplit=1)[0]
    parts = [part for part in text.split("/") if part]
    if not host and parts and _is_host(parts[0], len(parts)):
        host, parts = parts[0], parts[1:]
    host = host.lower().removeprefix("www.")
    parts = _without_place(parts, host)
    if not parts or (not host and len(parts) == 1 and parts[0].lower().removeprefix("www.") in _SERVICES):
        return None
    parts[0] = parts[0].removeprefix("@")
    parts[-1] = parts[-1].removesuffix(".git") or parts[-1]
    if not all(_NAME.fullmatch(part) for part in parts):
        return None
    return Repository("/".join(parts).lower(), host)


def _is_host(first: str, num_parts: int) -> bool:
    name = first.lower().removeprefix("www.")
    # A dot is usual in a repository's own name, so `a.com/b` is a host's only if something follows the owner.
    return num_parts > 1 and (name in _SERVICES or (num_parts > 2 and _HOST.fullmatch(first) is not None))


def _without_place(parts: list[str], host: str) -> list[str]:
    """Leaves out what follows a repository in an address."""
    if host == "github.com" and parts[:1] in (["orgs"], ["users"]):
        return parts[1:2]
    if host in _WITHOUT_SUBGROUPS:
        return parts[:2]
    if not host:
        return parts
    for index in range(2, len(parts)):
        if parts[index].lower() in _PLACES:
            return parts[:index]
    return parts


def _lines(name: str, data: bytes) -> list[str]:
    encoding = next((encoding for mark, encoding in _MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise ConfigError(f"opt-out list {name} is not UTF-8 text (byte {error.start}); save it as UTF-8") from None
    if "\0" in text:
        raise ConfigError(f"opt-out list {name} is no text: it holds NUL bytes; save it as UTF-8")
    return text.splitlines()


def _bare(line: str) -> str:
    """The line without comment, quotes and what ends a line of other formats."""
    text = _COMMENT.sub("", line).strip().rstrip(",;").strip()
    if text.startswith(("- ", "* ")):  # a list in YAML or Markdown
        text = text[2:].strip()
    if len(text) > 1 and text[0] in _QUOTES and text[-1] in _QUOTES:
        text = text[1:-1].strip()
    if text.startswith("<") and text.endswith(">"):
        text = text[1:-1].strip()
    return text
