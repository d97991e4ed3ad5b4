"""Documentation in source files: its forms, its claims, checking them against the code, and inserting it.

forms    where a hole for documentation is cut, and how an answer is written in the language's form
answers  documentation out of a chat answer, whose fence or definition is taken off
facts    the claims of a documentation about parameters, result and raised types; `reading` reads them
claims   whether the claims agree with the symbol: `types` and `defaults` compare what is stated
prose    whether the text is prose worth keeping; `examples` are taken out before, and `foreign` forms are named
verify   all verdicts on a documentation, and the reasons for rejection
splice   the file with its new documentation, and the proof that its code is unchanged
"""
