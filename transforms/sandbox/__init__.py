"""Runs programs that nobody has read: what a model wrote, with its tests, in eight languages.

program.py      what to run, within which limits, and what became of it
toolchains.py   how a source text becomes a program in each language
bubblewrap.py   the box: namespaces, mounts, system calls, limits of a process
supervise.py    one boxed command: its output, its deadlines
usage.py        what its processes use in sum
sandbox.py      a pool of slots that run programs
"""
