"""Calls of functions in the languages whose types must be known to call them: C++, C#, Java, Kotlin, Rust.

signature.py   the types of a function's parameters, as written, and how it is called
types.py       what a type takes: numbers, texts, truth values, lists and mappings of them; nothing else is known
literals.py    values of a type as they are written in its language
programs.py    a main that makes the calls and prints each result as JSON
"""
