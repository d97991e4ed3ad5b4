"""Programs that try to get out of their box. Each prints OUT where it has succeeded.

`{...}` are places that only the test knows: a file and a folder of the host, ports and a socket it listens on.
"""

from __future__ import annotations

from typing import Final

_HEAD: Final = """
import ctypes, errno, os, signal, socket, sys, time
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
def call(number, *args):
    return libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) if isinstance(a, int) else a for a in args])
def out(why=""):
    print("OUT", why, flush=True)
def attempt(action, *args):
    try:
        result = action(*args)
    except OSError:
        return
    out(result)
"""

# Numbers of x86-64, where the tests run; elsewhere these attacks are skipped.
_BY_NUMBER: Final = {
    "ptraces": "call(101, 16, os.getppid() or 1, 0, 0) == 0 and out()",
    "traces itself for a child": "call(101, 0, 0, 0, 0) == 0 and out()",
    "reads another process's memory by call": """
pid = os.fork()
if pid == 0:
    time.sleep(2); os._exit(0)
buffer = ctypes.create_string_buffer(8)
class V(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("len", ctypes.c_size_t)]
mine, theirs = V(ctypes.addressof(buffer), 8), V(id(buffer), 8)
call(310, pid, ctypes.byref(mine), 1, ctypes.byref(theirs), 1, 0) > 0 and out()
""",
    "makes a user namespace": "call(272, 0x10000000) == 0 and out()",
    "makes a mount namespace": "call(272, 0x00020000) == 0 and out()",
    "clones into a user namespace": """
r = call(56, 0x10000000 | 17, 0, 0, 0, 0)
if r == 0:
    out(); os._exit(0)
if r > 0:
    os.waitpid(r, 0)
""",
    "clones by the newer call": "call(435, ctypes.create_string_buffer(88), 88) >= 0 and out()",
    "mounts": """call(165, b"none", b"/tmp", b"tmpfs", 0, 0) == 0 and out()""",
    "remounts /box to write": """call(165, b"none", b"/box", 0, 0x20 | 0x1000, 0) == 0 and out()""",
    "unmounts /dev": """call(166, b"/dev", 2) == 0 and out()""",
    "opens a tree by the newer mount call": """call(428, -100, b"/", 1) >= 0 and out()""",
    "changes its root": """call(161, b"/tmp") == 0 and out()""",
    "enters the namespaces of its parent": """
for kind in ("mnt", "net", "pid", "user"):
    try:
        descriptor = os.open(f"/proc/1/ns/{kind}", os.O_RDONLY)
    except OSError:
        continue
    call(308, descriptor, 0) == 0 and out(kind)
""",
    "loads a kernel program": "call(321, 5, ctypes.create_string_buffer(128), 128) >= 0 and out()",
    "watches the processor's counters": """
attr = ctypes.create_string_buffer(128); attr[4] = 128
call(298, attr, 0, -1, -1, 0) >= 0 and out()
""",
    "handles page faults itself": "call(323, 0) >= 0 and out()",
    "keeps a key in the kernel": """call(248, b"user", b"name", b"value", 5, -3) >= 0 and out()""",
    "sets up io_uring": "call(425, 8, ctypes.create_string_buffer(120)) >= 0 and out()",
    "opens a file by its handle": """
handle = ctypes.create_string_buffer(136); handle[0] = 128
mount = ctypes.c_int()
call(303, -100, b"/usr", handle, ctypes.byref(mount), 0) == 0 and out()
""",
    "sets the clock": "call(227, 0, (ctypes.c_long * 2)(1, 0)) == 0 and out()",
    "hides a socket's family in the upper half": "call(41, (1 << 32) | 40, 1, 0) >= 0 and out()",
    "hides memory in files of memory": """
kept = []
for i in range(40):
    descriptor = call(319, b"x", 0)
    if descriptor < 0:
        break
    os.write(descriptor, bytes(60_000_000)); kept.append(descriptor)
len(kept) == 40 and out()
""",
    "calls as a program of 32 bits": """
import mmap
code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
code.write(bytes.fromhex("b814000000cd80c3"))  # mov eax, 20 (getpid); int 0x80; ret
address = ctypes.addressof(ctypes.c_char.from_buffer(code))
ctypes.CFUNCTYPE(ctypes.c_int)(address)()
out()
""",
    "runs as a process of real time": """
class P(ctypes.Structure):
    _fields_ = [("priority", ctypes.c_int)]
call(144, 0, 1, ctypes.byref(P(1))) == 0 and out()
""",
}

_BY_NAME: Final = {
    "connects to a port of the host": """
attempt(lambda: socket.create_connection(("127.0.0.1", {port}), 2))
""",
    "connects by the newer protocol": """
attempt(lambda: socket.create_connection(("::1", {port}), 2))
""",
    "reaches the world": """
for address in (("192.0.2.1", 80), ("198.51.100.1", 443)):  # of documentation; there is no route to anywhere
    probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    attempt(lambda: probe.connect(address))
""",
    "connects to an abstract socket of the host": """
probe = socket.socket(socket.AF_UNIX)
attempt(lambda: probe.connect("\\0{abstract}"))
""",
    "opens a socket of a virtual machine": "attempt(lambda: socket.socket(40, socket.SOCK_STREAM))",
    "opens a netlink socket": "attempt(lambda: socket.socket(16, socket.SOCK_RAW, 0))",
    "opens a socket of packets": "attempt(lambda: socket.socket(17, socket.SOCK_RAW, 0))",
    "opens a socket of the kernel's ciphers": "attempt(lambda: socket.socket(38, socket.SOCK_SEQPACKET, 0))",
    "opens a raw socket": "attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))",
    "writes into the work folder": """attempt(lambda: open("/box/new", "w"))""",
    "writes beside it": """attempt(lambda: open("/new", "w")); attempt(lambda: os.mkdir("/other"))""",
    "writes into the system": """
for path in ("/usr/new", "/usr/local/bin/new", "/etc/new", "/etc/ld.so.cache", "/dev/new", "/proc/sys/kernel/hostname"):
    attempt(lambda: open(path, "w"))
""",
    "makes a device": """
import stat
attempt(lambda: os.mknod("/tmp/disk", stat.S_IFBLK | 0o600, os.makedev(8, 0)))
""",
    "opens devices": """
for path in ("/dev/mem", "/dev/kmsg", "/dev/sda", "/dev/vda", "/dev/kvm", "/dev/fuse", "/dev/net/tun", "/dev/vsock"):
    attempt(lambda: open(path, "rb"))
""",
    "reads a file of the host": """attempt(lambda: open("{file}").read())""",
    "lists the folder of the job": """attempt(lambda: os.listdir("{folder}"))""",
    "reads the host's users": """
for path in ("/etc/passwd", "/etc/shadow", "/etc/hosts", "/etc/hostname", "/etc/machine-id", "/root", "/home", "/var"):
    attempt(lambda: os.stat(path))
""",
    "reads the environment of what started it": """
if "{secret}" in str(os.environ):
    out("own")
for pid in os.listdir("/proc"):
    if pid.isdigit():
        try:
            if b"{secret}" in open(f"/proc/{{pid}}/environ", "rb").read():
                out(pid)
        except OSError:
            pass
""",
    "sees processes of the host": """
seen = [pid for pid in os.listdir("/proc") if pid.isdigit()]
len(seen) > 2 and out(seen)
""",
    "finds descriptors left open": """
for descriptor in range(3, 512):
    try:
        path = os.readlink(f"/proc/self/fd/{{descriptor}}")
    except OSError:
        continue
    path.startswith("/proc/") or path.startswith("/box") or out(path)
""",
    "finds other slots": """
found = [name for name in os.listdir("/tmp")]
found and out(found)
attempt(lambda: os.listdir("{boxes}"))
""",
    "kills what started it": """
for pid in (-1, {pid}):
    attempt(lambda: os.kill(pid, signal.SIGKILL))
first = os.getppid()
os.kill(first, signal.SIGKILL)  # the first process of a namespace doesn't get it
time.sleep(0.2)
os.getppid() == first or out(first)
""",
    "writes into the first process's memory": """
if os.fork() == 0:
    try:
        open("/proc/%d/mem" % {pid}, "r+b"); out()
    except OSError:
        pass
    os._exit(0)
os.wait()
""",
    "finds a process without the filter of calls": """
for pid in (entry for entry in os.listdir("/proc") if entry.isdigit()):
    "Seccomp:\\t2" in open(f"/proc/{{pid}}/status").read() or out(pid)
""",
    "becomes root": """
attempt(lambda: os.setuid(0)); attempt(lambda: os.setgroups([0])); os.geteuid() == 0 and out()
""",
    "runs a program with a root's rights": """
import subprocess
for tool in ("su", "mount", "umount", "passwd", "newgrp"):
    for folder in ("/usr/bin", "/bin"):
        path = os.path.join(folder, tool)
        if os.path.exists(path):
            done = subprocess.run([path, "--help"], capture_output=True)
status = open("/proc/self/status").read()
"NoNewPrivs:\\t1" in status or out("new privileges")
[line for line in status.splitlines() if line.startswith("Cap") and int(line.split()[1], 16)] and out("capabilities")
""",
    "lowers its nice value": "attempt(lambda: os.nice(-5))",
    "raises its limits": """
import resource
for name in ("DATA", "FSIZE", "NPROC", "CPU", "NOFILE"):
    which = getattr(resource, "RLIMIT_" + name)
    soft, hard = resource.getrlimit(which)
    try:
        resource.setrlimit(which, (hard + 1, hard + 1))
        out(which)
    except (ValueError, OSError):
        pass
""",
    "leaves by a link in /proc": """
for path in ("/proc/self/root/etc/passwd", "/proc/1/root/etc/shadow", "/proc/1/cwd/../var"):
    attempt(lambda: os.stat(path))
""",
    "reads the kernel's log and settings of others": """
for path in ("/proc/kmsg", "/proc/kcore", "/sys/kernel", "/sys/fs/cgroup", "/proc/sysrq-trigger"):
    attempt(lambda: open(path, "rb").read(1) if not os.path.isdir(path) else os.listdir(path))
""",
}

ATTACKS: Final = {**_BY_NAME, **_BY_NUMBER}


def is_by_number(name: str) -> bool:
    """Whether the attack uses numbers of system calls, which are those of x86-64."""
    return name in _BY_NUMBER


def attack(name: str, **places: object) -> str:
    """The program of an attack."""
    body = ATTACKS[name]
    return _HEAD + (body if is_by_number(name) else body.format(**places))
