"""What an accepted answer must show when it is compiled or run; see `docs/tasks.md`, "Compiled and run".

trials    what is to be run for one answer: pure data, made in the row pool
verifier  runs trials in the sandbox beside the engine, and returns the evidence that the row keeps
mutants   changed versions of code, on which its tests must fail
"""
