"""Tries an answer in Python. This file runs inside the box; it uses the standard library only.

Standard input is a JSON object: `before` (the problem's text in front of the answer), `code` (the whole text), `test`,
`entry_point`, `form`, and `nonce`. The tests lie in no file, and what ends the trial is kept before the answer's first
line runs. The last line of standard output is `NONCE REASON DETAIL`. A program that doesn't get there has failed,
whatever its exit code.

A test of the form "program" is run by `python_program_test`.

What it holds against: answers that print that they have passed, exit with 0 early or late, replace `check`, change
builtins or unittest, register exit functions, return objects that equal everything, or look for the tests in files.
What a process can't hold against itself: an answer that walks the interpreter's frames or rewrites this module in
memory.
"""

import builtins
import collections
import functools
import importlib
import json
import math
import os
import sys
import traceback
import types

ANSWER = "answer.py"
TEST = "test.py"
# What a result could decide by itself when it is compared, or made a number of.
DECISIONS = {
    f"__{name}__"
    for names in (
        "eq ne lt le gt ge contains bool len add radd sub rsub mul rmul truediv rtruediv floordiv rfloordiv",
        "mod rmod divmod rdivmod pow rpow neg pos abs round float int index complex trunc floor ceil",
    )
    for name in names.split()
}
FUNCTION, CODE = types.FunctionType, types.CodeType
SLOT, ATTRIBUTE = types.MemberDescriptorType, types.GetSetDescriptorType
TEXT_ENDS = "__text_ends__"
HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE (object.h): a class that was made while the program ran
ITEMS = (dict, list, tuple, set, frozenset, collections.deque)


class Cheat(BaseException):
    """The answer returned something that decides by itself what it is equal to."""


class OwnClasses:
    """The classes that the problem's text makes, which may compare as they like while the answer leaves them alone.

    Each is kept when it has just been made, and what its functions use (names of the module, which may hide built-in
    ones) where the problem's text ends. The answer's first line runs later, so it can't put anything among them.

    Args:
        before: The problem's text in front of the answer.
        code: The whole text.
        space: The names of the module that it runs in.
    """

    def __init__(self, before, code, space):
        self.before, self.code, self.space = before, code, space
        self.kept = {}  # by id: the class itself (so that its id stays its own), its values, its functions' code
        self.used = {}  # by name: what it stood for, and that function's code

    def compiled(self):
        """The whole text, with a decorator around each of the classes and a call behind the problem's part.

        Raises:
            SyntaxError: It is no Python.
        """
        if "class" not in self.before:
            return compile(self.code, ANSWER, "exec")
        ast = importlib.import_module("ast")  # most trials need not wait for it
        tree = ast.parse(self.code, ANSWER)
        lines = self.before.count("\n")  # a last line without its end is the answer's as well
        given = [node for node in tree.body if node.end_lineno <= lines]
        for number, node in enumerate(given):
            if isinstance(node, ast.ClassDef):
                name = f"__class_{number}__"
                self.space[name] = functools.partial(self.keep, name)
                node.decorator_list.insert(0, ast.copy_location(ast.Name(name, ast.Load()), node))
        if given:
            self.space[TEXT_ENDS] = self.keep_used
            tree.body[len(given) : len(given)] = ast.parse(f"{TEXT_ENDS}()").body
        return compile(tree, ANSWER, "exec")

    def keep(self, name, kind):
        """Keeps a class that has just been made, and takes its decorator away."""
        del self.space[name]
        if isinstance(kind, type):
            values = dict(vars(kind))
            self.kept[id(kind)] = (kind, values, {key: code_of(one) for key, one in values.items()})
        return kind

    def keep_used(self):
        """Keeps what the classes' functions use, and the functions among that."""
        del self.space[TEXT_ENDS]
        waiting = [code for _, _, codes in self.kept.values() for code in codes.values() if code is not None]
        instructions = importlib.import_module("dis").get_instructions
        while waiting:
            code = waiting.pop()
            waiting += [one for one in code.co_consts if isinstance(one, CODE)]
            for name in {one.argval for one in instructions(code) if one.opname == "LOAD_GLOBAL"} - self.used.keys():
                value = self.space.get(name)
                self.used[name] = value, code_of(value)
                waiting += [one for one in self.used[name][1:] if one is not None]

    def items_of(self, one):
        """What an object of such a class holds; None: it is of another class, or its class was changed."""
        kind = type(one)
        if id(kind) not in self.kept or any(self.is_changed(base) for base in kind.__mro__):
            return None
        now = {name: self.space.get(name) for name in self.used}
        if any(now[name] is not value or code_of(value) is not code for name, (value, code) in self.used.items()):
            return None
        held = []
        for base in kind.__mro__:
            for name, value in vars(base).items():
                if isinstance(value, SLOT) and base.__flags__ & HEAP_TYPE:  # of __slots__
                    try:
                        held.append(value.__get__(one))
                    except AttributeError:
                        pass
                elif isinstance(value, ATTRIBUTE) and name == "__dict__":
                    held.append(value.__get__(one))
        return held

    def is_changed(self, kind):
        """Whether a class that was made here has other functions than the problem gave it, or items of its own."""
        if id(kind) not in self.kept:
            return decides(kind)
        _, values, codes = self.kept[id(kind)]
        now = vars(kind)
        names = {name for name in now.keys() | values.keys() if now.get(name) is not values.get(name)}
        other = [one[name] for name in names for one in (now, values) if name in one]
        return (
            not DECISIONS.isdisjoint(names)
            or any(hasattr(type(one), "__get__") or type(one).__flags__ & HEAP_TYPE for one in other)
            or any(code_of(now.get(name)) is not code for name, code in codes.items())
        )


def code_of(function):
    """The code of a function, None of what has none."""
    return getattr(function, "__code__", None) if isinstance(function, FUNCTION) else None


def decides_equality(value, own):
    """Whether a result's class, or that of one of its items, compares or reckons in a way of the answer's own."""
    waiting, seen = [value], set()
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        if (held := own.items_of(one)) is not None:
            seen.add(id(one))
            waiting.extend(held)
        elif any(decides(kind) for kind in type(one).__mro__):
            return True
        if isinstance(one, ITEMS):
            seen.add(id(one))
            # By the built-in class's own iterator: the answer's may hide some.
            iterate = next(vars(kind)["__iter__"] for kind in ITEMS if isinstance(one, kind))
            waiting.extend(iterate(one))
            waiting.extend(dict.values(one) if isinstance(one, dict) else ())
    return False


def decides(kind):
    """Whether a class decides; those of the standard library do it well, but for the ones that are made to deceive."""
    if not kind.__flags__ & HEAP_TYPE or DECISIONS.isdisjoint(vars(kind)):
        return False
    outer = str(vars(kind).get("__module__", "")).partition(".")[0]
    module = sys.modules.get(vars(kind).get("__module__"))
    is_own = getattr(module, kind.__name__, None) is kind and outer in sys.stdlib_module_names
    if is_own and outer not in ("unittest", "test"):
        return False
    return any(vars(kind)[name] is not None for name in DECISIONS & set(vars(kind)))


def guarded(function, restore, own):
    """The function, but that a result which decides its own equality is a cheat."""

    def call(*args, **keywords):
        try:
            result = function(*args, **keywords)
        finally:
            restore()
        if decides_equality(result, own):
            raise Cheat("the result decides by itself what it is equal to")
        return result

    return call if callable(function) else function


def keeper(*others):
    """Keeps what tests are written with, and returns what restores it."""
    kept = [(one, dict(vars(one))) for one in (builtins, math, *others)]

    def restore():
        for one, values in kept:
            if isinstance(one, type):
                for name, value in values.items():
                    if vars(one).get(name) is not value:
                        setattr(one, name, value)
            else:
                vars(one).update(values)

    return restore


def try_answer(given):
    """Runs the answer, then the tests; returns the reason and a line of detail."""
    entry, form = given["entry_point"], given["form"]
    if form == "program":
        # It lies beside this file in the box; it imports much, which other forms need not wait for.
        program_test = importlib.import_module("python_program_test")

        if why := program_test.nothing_to_run(given["test"]):
            return "no_test_ran", why
    module = types.ModuleType("solution")
    sys.modules["solution"] = module
    space = module.__dict__
    restore = keeper(*(program_test.KEPT if form == "program" else ()))
    own = OwnClasses(given["before"], given["code"], space)
    guard = functools.partial(guarded, restore=restore, own=own)
    try:
        exec(own.compiled(), space)
    except SystemExit as error:
        return "exited_early", f"exit code {error.code!r} before the tests"
    except SyntaxError as error:
        return "does_not_compile", f"line {error.lineno}: {error.msg}"
    finally:
        restore()
        sys.settrace(None)
        sys.setprofile(None)
    if form == "program":
        sys.modules["__main__"] = module
        space["__name__"] = "__main__"
        return program_test.ProgramTest(given["test"], TEST, space, entry, restore, guard).run()
    tests = dict(space)
    if entry in tests:
        tests[entry] = guard(tests[entry])
    exec(compile(given["test"], TEST, "exec"), tests)
    if form == "check":
        if entry not in tests:
            raise NameError(f"name {entry!r} is not defined")
        tests["check"](tests[entry])
    return "passed", ""


# --- the verdict ---------------------------------------------------------------------------------------------------


def verdict_of(given):
    """As `try_answer`, whatever it raises."""
    try:
        return try_answer(given)
    except Cheat as error:
        return "cheated", str(error)
    except SystemExit as error:
        return "exited_early", f"exit code {error.code!r} in the tests"
    except AssertionError as error:
        lines = [frame.line for frame in traceback.extract_tb(error.__traceback__) if frame.filename == TEST]
        return "wrong", str(error).split("\n")[0] or (lines[-1] if lines else "") or where(error)
    except MemoryError:
        return "out_of_memory", ""
    except BaseException as error:
        return "exception", "{}: {}".format(type(error).__name__, str(error).partition("\n")[0])


def where(error):
    """The line of the tests at which an assertion failed."""
    numbers = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == TEST]
    return f"line {numbers[-1]} of the tests" if numbers else "an assertion of the answer's own"


def main():
    """Reads the trial, runs it, and tells the verdict."""
    given = json.loads(sys.stdin.buffer.read())
    write, leave, flush = os.write, os._exit, sys.stdout.flush
    nonce = given.pop("nonce")
    reason, detail = verdict_of(given)
    try:
        flush()
    except BaseException:
        pass
    write(1, f"\n{nonce} {reason} {detail[:300]}\n".encode("utf-8", "replace"))
    leave(0 if reason == "passed" else 1)


if __name__ == "__main__":
    main()
