"""Whole programs in Java, Kotlin and C#; see `whole_programs`.

Each gets a class of its own whose main finds the program's by reflection, so that it may have any form that the
language allows: in any class, with arguments or none, private, suspending, a task.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Final

from transforms.evaluation.problems import Problem
from transforms.evaluation.programs.layouts import code_of, last_in, replace_code, take_out, types_around
from transforms.sandbox.program import Program
from transforms.sandbox.toolchains import Toolchain

_JAVA_PACKAGE: Final = re.compile(r"^[^\S\n]*package\s+[\w.]+\s*;", re.M)
_JAVA_IMPORT: Final = re.compile(r"(?:^|(?<=;))[^\S\n]*import\s+[^;{}]+;", re.M)
_JAVA_MAIN: Final = re.compile(r"\bstatic\s+(?:(?:public|final|synchronized)\s+)*void\s+main\s*\(")
_JAVA_PUBLIC: Final = re.compile(
    r"\bpublic\b(?=(?:\s+(?:final|abstract|sealed|non-sealed|strictfp))*\s+(?:class|interface|enum|record|@interface)\b)"
)

# An error in another thread ends that thread alone, and the program goes on until all that aren't daemons have ended.
_JAVA_TRIAL: Final = """
class Trial{nonce} {
  static volatile boolean broken = false;
  public static void main(String[] a) throws Throwable {
    java.io.PrintStream out = System.out;
    Thread.UncaughtExceptionHandler handler = (thread, error) -> { broken = true; error.printStackTrace(); };
    Thread.setDefaultUncaughtExceptionHandler(handler);
    java.lang.reflect.Method main = Class.forName("{main}").getDeclaredMethod("main", String[].class);
    main.setAccessible(true);
    try { main.invoke(null, (Object) new String[0]); }
    catch (java.lang.reflect.InvocationTargetException error) { throw error.getCause(); }
    for (boolean waits = true; waits;) {
      waits = false;
      for (Thread one : Thread.getAllStackTraces().keySet())
        if (one != Thread.currentThread() && !one.isDaemon() && one.isAlive()) { one.join(); waits = true; }
    }
    if (broken || Thread.getDefaultUncaughtExceptionHandler() != handler) System.exit(1);
    System.out.flush();
    out.println("\\n{nonce}");
    out.flush();
  }
}
"""


def java(problem: Problem, text: str, toolchain: Toolchain, nonce: str) -> Program:
    """A program in Java."""
    packages, text = take_out(text, _JAVA_PACKAGE, "Java")
    imports, text = take_out(text, _JAVA_IMPORT, "Java")
    text = "\n".join((*packages[:1], *imports)) + "\n" + without_public_types(text)
    package = "".join(packages[0].split()[1:]).rstrip(";") + "." if packages else ""
    main = java_main_class(text) or "Main"
    trial = _JAVA_TRIAL.replace("{nonce}", nonce).replace("{main}", package + main)
    program = toolchain.program(text + trial)
    run = dataclasses.replace(program.run, argv=(*program.run.argv[:-1], "-ea", f"{package}Trial{nonce}"))
    return dataclasses.replace(program, run=run)


def without_public_types(text: str) -> str:
    """A file whose outermost types aren't public, so that it may have any name and number of them."""
    return replace_code(text, _JAVA_PUBLIC, "      ", "Java", outer=True)


def java_main_class(text: str) -> str | None:
    """The binary name of the class that has the last main, without its package; None if there is no main."""
    code = code_of(text, "Java")
    main = last_in(_JAVA_MAIN, code)
    return "$".join(types_around(code, main.start())) if main else None


_KOTLIN_PACKAGE: Final = re.compile(r"^[^\S\n]*package\s+[\w.]+[^\S\n]*;?", re.M)
_KOTLIN_IMPORT: Final = re.compile(r"^[^\S\n]*import\s+[^\n;]+;?", re.M)
_KOTLIN_MAIN: Final = re.compile(r"\bfun\s+main\s*\(")
# The exception of a main that suspends comes out of the main without `suspend` that the compiler makes for it.
_KOTLIN_TRIAL: Final = """
object Trial{nonce} {
  @Volatile var broken = false
  @JvmStatic fun main(args: kotlin.Array<kotlin.String>) {
    val out = java.lang.System.out
    val handler = java.lang.Thread.UncaughtExceptionHandler { _, error -> broken = true; error.printStackTrace() }
    java.lang.Thread.setDefaultUncaughtExceptionHandler(handler)
    val main = java.lang.Class.forName("{main}").getDeclaredMethod("main", kotlin.Array<kotlin.String>::class.java)
    main.isAccessible = true
    try { main.invoke(null, kotlin.emptyArray<kotlin.String>()) }
    catch (error: java.lang.reflect.InvocationTargetException) { throw error.cause!! }
    while (true) {
      val others = java.lang.Thread.getAllStackTraces().keys.filter {
        it !== java.lang.Thread.currentThread() && !it.isDaemon && it.isAlive
      }
      if (others.isEmpty()) break
      others.forEach { it.join() }
    }
    if (broken || java.lang.Thread.getDefaultUncaughtExceptionHandler() !== handler) java.lang.System.exit(1)
    java.lang.System.out.flush()
    out.println("\\n{nonce}")
    out.flush()
  }
}
"""


def kotlin(problem: Problem, text: str, toolchain: Toolchain, nonce: str) -> Program:
    """A program in Kotlin."""
    _, text = take_out(text, _KOTLIN_PACKAGE, "Kotlin")
    imports, text = take_out(text, _KOTLIN_IMPORT, "Kotlin")
    code = code_of(text, "Kotlin")
    main = last_in(_KOTLIN_MAIN, code)
    around = types_around(code, main.start()) if main else []
    trial = _KOTLIN_TRIAL.replace("{nonce}", nonce).replace("{main}", "$".join(around) or toolchain.run[-1])
    program = toolchain.program("\n".join(imports) + "\n" + text + trial)
    run = dataclasses.replace(program.run, argv=(*program.run.argv[:-1], "-ea", f"Trial{nonce}"))
    return dataclasses.replace(program, run=run)


_CSHARP_USING: Final = re.compile(r"^[^\S\n]*(?:global\s+)?using\s+(?:static\s+)?[\w.]+\s*(?:=[^;{}]+)?;", re.M)
# A failed Debug.Assert says nothing by itself.
_CSHARP_ASSERT: Final = re.compile(r"\b(?:System\s*\.\s*Diagnostics\s*\.\s*)?Debug\s*\.\s*Assert\b")
_CSHARP_TRIAL: Final = """
static class Assert{nonce} {
  public static void That(bool held, string words = "", string more = "") {
    if (!held) throw new System.Exception("Debug.Assert " + words + " " + more);
  }
}
class Trial{nonce} {
  const System.Reflection.BindingFlags Any = System.Reflection.BindingFlags.Static
    | System.Reflection.BindingFlags.Public | System.Reflection.BindingFlags.NonPublic;
  static int Main(string[] a) {
    int called = 0;
    foreach (var type in typeof(Trial{nonce}).Assembly.GetTypes()) {
      var main = type.GetMethod("Main", Any);
      if (main == null || type == typeof(Trial{nonce})) continue;
      var code = main.Invoke(null, main.GetParameters().Length == 0 ? new object[0] : new object[] { a });
      var task = code as System.Threading.Tasks.Task;
      if (task != null) task.GetAwaiter().GetResult();
      var number = code as System.Threading.Tasks.Task<int>;
      if (number != null) code = number.Result;
      if (code is int && (int)code != 0) return (int)code;
      called++;
    }
    if (called == 0) return 1;
    System.Console.Out.Flush();
    System.Console.WriteLine("\\n{nonce}");
    return 0;
  }
}
"""


def csharp(problem: Problem, text: str, toolchain: Toolchain, nonce: str) -> Program:
    """A program in C#."""
    usings, text = take_out(text, _CSHARP_USING, "C#")
    text = replace_code(text, _CSHARP_ASSERT, f"Assert{nonce}.That", "C#")
    source = "\n".join(usings) + "\n" + text + _CSHARP_TRIAL.replace("{nonce}", nonce)
    program = toolchain.program(source)
    assert program.compile is not None
    build = dataclasses.replace(program.compile, argv=(*program.compile.argv, f"-main:Trial{nonce}"))
    return dataclasses.replace(program, compile=build)
