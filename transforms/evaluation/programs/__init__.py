"""Programs that try an answer: what a language needs around prompt, answer and test.

building.py      the program of a problem, in each of the forms that problems have
whole.py         those of setup, code and test: native.py (C++, Go, Rust), virtual_machine.py (Java, Kotlin, C#),
                 javascript.py; layouts.py finds imports and mains in their texts
python_trial.py  tries an answer in Python, with python_program_test.py for tests that users bring; both run in the box
packages.py      what a test asks for that isn't there
refusals.py      answers that aren't run, since they redefine their tests
"""
