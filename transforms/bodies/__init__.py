"""Bodies of functions: the hole that a model fills, and whether what it wrote is a body of that function.

holes         where a body is cut out: blocks in brackets, Python's blocks, Kotlin's and C#'s expressions
answers       the body in a chat answer, and what it needs of the rest of the answer (`beside`)
placement     whether the file parses with it, and whether it stays within its place
placeholders  bodies that are still to be written
judge         what a compiler or a reader sees without running it: paths without a result (`flow`, `python_flow`,
              `rust_flow`), `await` and `yield` where the function has none, a call of itself and nothing else
"""
