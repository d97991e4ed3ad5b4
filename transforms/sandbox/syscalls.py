"""The filter of system calls of a box: a BPF program that bubblewrap loads (seccomp).

Namespaces hide the network, processes and files, but not every door of the kernel: sockets of families that have no
namespaces (VSOCK), netlink, and calls whose faults have let programs out before. What an ordinary program needs
is allowed, threads and local sockets included. Calls of another architecture (32 bits) kill the process.
"""

from __future__ import annotations

import errno
import functools
import socket
import tempfile
from typing import Final

import pyseccomp

_DENIED: Final = (
    # other processes and their memory
    *("ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "pidfd_getfd", "kcmp"),
    # mounts and namespaces
    *(
        "mount",
        "umount2",
        "pivot_root",
        "move_mount",
        "open_tree",
        "fsopen",
        "fsmount",
        "fsconfig",
        "fspick",
        "mount_setattr",
        "setns",
        "unshare",
        "chroot",
    ),
    # files by handle, quotas, watching the whole system
    *("open_by_handle_at", "name_to_handle_at", "quotactl", "quotactl_fd", "fanotify_init"),
    # keys, kernel code, tracing
    *(
        "keyctl",
        "add_key",
        "request_key",
        "bpf",
        "perf_event_open",
        "userfaultfd",
        "init_module",
        "finit_module",
        "delete_module",
        "kexec_load",
    ),
    *("kexec_file_load", "lookup_dcookie", "syslog", "acct"),
    # io_uring makes system calls that no filter sees
    *("io_uring_setup", "io_uring_enter", "io_uring_register"),
    # the machine: clock, swap, power, ports, scheduling beside others
    *(
        "settimeofday",
        "clock_settime",
        "clock_adjtime",
        "adjtimex",
        "swapon",
        "swapoff",
        "reboot",
        "iopl",
        "ioperm",
        "sethostname",
        "setdomainname",
    ),
    *("mbind", "migrate_pages", "move_pages", "set_mempolicy", "vhangup", "personality"),
)
# Memory that belongs to no process, so that neither limits nor sums bound it. Programs go on without it.
_WITHOUT: Final = ("memfd_create", "memfd_secret", "shmget", "shmat")
_FAMILIES: Final = (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6)  # each empty in a network namespace of its own
# CLONE_NEWNS, CGROUP, UTS, IPC, USER, PID and NET (sched.h)
_NEW_NAMESPACES: Final = (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000)


@functools.cache
def filter_program() -> bytes:
    """The compiled filter, as `bwrap --seccomp` reads it.

    Raises:
        OSError: The system has no libseccomp.
    """
    rules = pyseccomp.SyscallFilter(defaction=pyseccomp.ALLOW)
    for name in _DENIED:
        if _is_known(name):
            rules.add_rule(pyseccomp.ERRNO(errno.EPERM), name)
    for name in filter(_is_known, _WITHOUT):
        rules.add_rule(pyseccomp.ERRNO(errno.ENOSYS), name)
    # clone3 hides its flags in memory; the C library goes back to clone where it isn't there.
    rules.add_rule(pyseccomp.ERRNO(errno.ENOSYS), "clone3")
    for flag in _NEW_NAMESPACES:
        rules.add_rule(pyseccomp.ERRNO(errno.EPERM), "clone", pyseccomp.Arg(0, pyseccomp.MASKED_EQ, flag, flag))
    last = max(_FAMILIES)
    for call in ("socket", "socketpair"):
        # A rule may compare an argument once. All 64 bits are compared, so none hides above the kernel's.
        rules.add_rule(pyseccomp.ERRNO(errno.EAFNOSUPPORT), call, pyseccomp.Arg(0, pyseccomp.GT, int(last)))
        for family in set(range(last)) - set(map(int, _FAMILIES)):
            rules.add_rule(pyseccomp.ERRNO(errno.EAFNOSUPPORT), call, pyseccomp.Arg(0, pyseccomp.EQ, family))
    with tempfile.TemporaryFile() as file:
        rules.export_bpf(file)
        file.seek(0)
        return file.read()


def _is_known(name: str) -> bool:
    """Whether the library knows the call on this architecture; not all have all."""
    number: int = pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, name)
    return number >= 0
