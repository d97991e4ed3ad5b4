"""Problems of benchmarks, and whether an answer solves one.

problems.py       a problem, and the verdict on an answer
programs.py       the program that tries an answer, in each of the forms that problems have
whole_programs.py those of setup, code and test: native_ (C++, Go, Rust), virtual_machine_ (Java, Kotlin, C#) and
                  javascript_programs.py; layouts.py finds imports and mains in their texts
python_trial.py   tries an answer in Python, with python_program_test.py for tests that users bring; both run in the box
packages.py       what a test asks for that isn't there
refusals.py       answers that aren't run, since they redefine their tests
judge.py          runs programs in the sandbox and reads the verdict off what became of them
scores.py         pass@k, intervals, paired differences
benchmarks/       one module per benchmark: its columns, its protocol, its problems
"""
