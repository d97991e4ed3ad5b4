"""Questions and problems of benchmarks, and whether an answer is right.

problems.py      a problem that programs are run for, and the verdict on an answer
work.py          answers that are there already: each is tried, and kept with its verdict
answering.py     a model is asked (asker.py, question.py, protocol.py with protocols/), its answers graded (grading.py)
choosing.py      a model scores the choices of a question (language/)
programs/        the programs that try an answer; judge.py and trials.py run them in the sandbox
texts/           answers that are texts: what is extracted, and whether it is the known answer
benchmarks/      one module per benchmark: its columns, its protocol, its problems (columns.py checks files)
scores.py        pass@k, intervals, paired differences; published.py: figures of others
"""
