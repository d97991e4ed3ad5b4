"""Problems of benchmarks, and whether an answer solves one.

problems.py       a problem, and the verdict on an answer
programs.py       the program that tries an answer, in each of the forms that problems have
python_trial.py   tries an answer in Python; runs inside the box, alone
judge.py          runs programs in the sandbox and reads the verdict off what became of them
scores.py         pass@k, intervals, paired differences
benchmarks/       one module per benchmark: its columns, its protocol, its problems
"""
