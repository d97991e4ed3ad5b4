"""Documentation in source files: its forms, what it says, whether that is true, and putting it in its place.

forms   where a hole for documentation is cut, and how an answer is written down in the language's form
facts   what a documentation says of parameters, result and raised types
verify  whether that agrees with the symbol, and whether the text is worth keeping
splice  the file with its new documentation, and the proof that its code is the same
"""
