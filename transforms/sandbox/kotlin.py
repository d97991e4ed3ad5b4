"""Kotlin's compiler: where it is, and the program that keeps it in one virtual machine for many compilations.

Nine tenths of a compilation are the start of the compiler: class loading, and code that nothing has compiled yet. The
program below calls it again and again (`transforms.sandbox.servers`). What it says of a program names `main.kt`, as if
it had been started there, so that both ways give the same rows.
"""

from __future__ import annotations

import os
from typing import Final

from transforms.sandbox.bubblewrap import WORK
from transforms.sandbox.program import Limits, Server
from transforms.sandbox.servers import PROGRAM

KOTLIN_FOLDER_VARIABLE: Final = "KOTLIN_HOME"
COMPILER: Final = "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler"
SETTINGS: Final = ("-no-reflect", "-nowarn")
FILE: Final = "main.kt"
_FOLDERS: Final = (
    "/usr/lib/node_modules/kotlin-compiler",
    "/usr/local/lib/node_modules/kotlin-compiler",
    "/opt/kotlinc",
)
_SOURCE_FILE: Final = "KotlinServer.java"
_LIFE: Final = Limits(wall_s=3_600.0, disk_mb=256, processes=128)  # longer than its programs' limits allow
_PLACE: Final = f"{WORK}/{PROGRAM}"
# It reads a line for each program. What is printed by anything else goes with what the compiler says.
_SOURCE: Final = """
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import org.jetbrains.kotlin.cli.jvm.K2JVMCompiler;

class KotlinServer {
  public static void main(String[] arguments) throws Exception {
    PrintStream answers = System.out;
    while (true) {
      int read = System.in.read();
      if (read < 0) System.exit(0);
      if (read != 10) continue;
      ByteArrayOutputStream bytes = new ByteArrayOutputStream();
      PrintStream said = new PrintStream(bytes, true, StandardCharsets.UTF_8);
      System.setOut(said);
      System.setErr(said);
      int code = new K2JVMCompiler().exec(said, arguments).getCode();
      said.flush();
      String text = bytes.toString(StandardCharsets.UTF_8).replaceAll("(?m)^PLACE/(?=FILE:)", "");
      byte[] told = text.getBytes(StandardCharsets.UTF_8);
      answers.println(code + " " + told.length);
      answers.write(told);
      answers.flush();
    }
  }
}
""".replace("PLACE", PROGRAM).replace("FILE", FILE)


def kotlin_folder() -> str:
    """Where Kotlin's compiler is: KOTLIN_HOME, else where npm and its archive put it."""
    named = os.environ.get(KOTLIN_FOLDER_VARIABLE)
    found = [folder for folder in _FOLDERS if os.path.exists(f"{folder}/lib/kotlin-compiler.jar")]
    return named or next(iter(found), _FOLDERS[0])


def kotlin_server(java: tuple[str, ...], folder: str) -> Server:
    """The compiler that stays.

    Args:
        java: The command line that starts a virtual machine.
        folder: Where the compiler is.
    """
    settings = (f"-Dkotlin.home={folder}", "-Dkotlin.environment.keepalive=true")
    jars = f"{folder}/lib/kotlin-compiler.jar:{folder}/lib/kotlin-stdlib.jar"
    arguments = (*SETTINGS, "-d", f"{_PLACE}/out", f"{_PLACE}/{FILE}")
    return Server(
        files=((_SOURCE_FILE, _SOURCE),),
        argv=(*java, *settings, "-cp", jars, f"{WORK}/{_SOURCE_FILE}", *arguments),
        limits=_LIFE,
    )
