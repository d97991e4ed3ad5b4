"""Documentation in source files: its forms, its claims, checking them against the code, and inserting it.

forms   where a hole for documentation is cut, and how an answer is written in the language's form
facts   the claims of a documentation about parameters, result and raised types
verify  whether the claims agree with the symbol, and whether the text is worth keeping
splice  the file with its new documentation, and the proof that its code is unchanged
"""
