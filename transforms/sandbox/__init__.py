"""Runs programs that nobody has read: what a model wrote, with its tests, in eight languages.

program.py      what to run, within which limits, and what became of it
toolchains.py   how a source text becomes a program in each language
kotlin.py       Kotlin's compiler, and how it stays
bubblewrap.py   the box: namespaces, mounts, system calls, limits of a process
supervise.py    one boxed command: its output, its deadlines
usage.py        what its processes use in sum
servers.py      compilers that stay between programs
sandbox.py      a pool of slots that run programs
"""
