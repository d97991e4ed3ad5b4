"""The other tools' side of the filters' benchmark: their results on the same inputs, in the same run.

`ask` starts the interpreter in which they are installed, with this file alone; it answers one question and ends. So
none of codemill's code is loaded there, and a tool that is not installed reports that.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

NOT_ASKED_FOR = "not asked for (--others)"


def ask(others: str | None, what: str, name: str, data: object) -> object:
    """A tool's answer: a rate in MB/s (`what` "rate"), spans ("spans"), whether each row is found ("secrets"), or a
    message that says why there is none.
    """
    if others is None:
        return NOT_ASKED_FOR
    read, write = os.pipe()
    words = [others, "-W", "ignore", __file__, str(write)]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, pass_fds=(write,), text=True
    ) as child:
        os.close(write)
        child.stdin.write(json.dumps({"what": what, "name": name, "data": data}))
        child.stdin.close()
        with os.fdopen(read) as answer:
            text = answer.read()
    return json.loads(text) if text else "failed"


def serve(answers: int) -> None:
    """The other side of `ask`: one question on standard input, one answer on the file descriptor `answers`."""
    question = json.load(sys.stdin)
    try:
        if question["what"] == "rate":
            answer: object = other_rate(question["name"], question["data"])
        elif question["what"] == "spans":
            find = presidio()
            answer = [find(text) for text in question["data"]]
        else:
            answer = other_secrets(question["name"], question["data"])
    except ImportError as error:
        answer = f"not installed ({error.name})"
    except (RuntimeError, OSError) as error:
        answer = str(error)
    with os.fdopen(answers, "w") as file:
        json.dump(answer, file)


def _rate(function: Callable[[str], object], texts: list[str]) -> float:
    began = time.thread_time()
    for text in texts:
        function(text)
    return sum(len(text.encode("utf-8", "surrogatepass")) for text in texts) / (time.thread_time() - began) / 1e6


def other_rate(name: str, texts: list[str]) -> float:
    """Megabytes per second of one thread's processor time."""
    if name == "detect-secrets":
        from detect_secrets.core.scan import scan_line
        from detect_secrets.settings import default_settings

        with default_settings():
            return _rate(lambda text: [list(scan_line(line)) for line in text.splitlines()], texts)
    if name == "datatrove":
        from datatrove.pipeline.formatters import PIIFormatter

        return _rate(PIIFormatter().format, texts)
    if name == "presidio":
        return _rate(presidio(), texts)
    from datasketch import MinHash

    def sign(text: str) -> None:
        words = text.lower().split()
        sketch = MinHash(num_perm=128)
        sketch.update_batch([" ".join(words[i : i + 5]).encode() for i in range(len(words) - 4)])

    return _rate(sign, texts)


def presidio() -> Callable[[str], list[tuple[int, int]]]:
    """Presidio's own pattern recognizers, with ids of all the twelve countries that it knows, without a language model
    (which would add names and places, and time)."""
    from presidio_analyzer import predefined_recognizers as known

    kinds = [
        "EmailRecognizer", "IpRecognizer", "CreditCardRecognizer", "IbanRecognizer", "UsSsnRecognizer",
        "UsItinRecognizer", "EsNifRecognizer", "EsNieRecognizer", "ItFiscalCodeRecognizer", "PlPeselRecognizer",
        "UkNinoRecognizer", "InAadhaarRecognizer", "KrRrnRecognizer", "DeTaxIdRecognizer",
    ]  # fmt: skip
    recognizers = [getattr(known, kind)() for kind in kinds]
    regions = ("DE", "FR", "ES", "IT", "NL", "GB", "US", "BR", "JP", "KR", "IN", "PL")
    recognizers.append(known.PhoneRecognizer(supported_regions=regions))

    def find(text: str) -> list[tuple[int, int]]:
        spans = []
        for recognizer in recognizers:
            spans += [(r.start, r.end) for r in recognizer.analyze(text, recognizer.supported_entities, None) or []]
        return spans

    return find


def other_secrets(name: str, rows: list[dict]) -> list[bool]:
    """For each row, whether the tool finds anything in it, read as a file of the row's name."""
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for number, row in enumerate(rows):
            file = Path(folder) / f"{number:05}" / Path(row["path"] or "snippet.txt").name
            file.parent.mkdir()
            file.write_text(row["text"], encoding="utf-8")
            files.append(file)
        if name == "detect-secrets":
            from detect_secrets.core.scan import scan_file
            from detect_secrets.settings import default_settings

            with default_settings():
                return [any(True for _ in scan_file(str(file))) for file in files]
        out = Path(folder) / "found.json"
        program = str(Path(sys.executable).parent / "betterleaks")
        words = [
            program,
            folder,
            "--no-banner",
            "--exit-code",
            "0",
            "-o",
            str(out),
            "-l",
            "error",
            "--no-allow-signatures",
        ]
        done = subprocess.run(words, check=False, capture_output=True, text=True)
        if done.returncode or not out.exists():
            raise RuntimeError(f"betterleaks failed: {done.stderr.strip()[-200:]}")
        text = out.read_text()
        return [f"/{number:05}/" in text for number in range(len(rows))]


if __name__ == "__main__":
    serve(int(sys.argv[1]))
