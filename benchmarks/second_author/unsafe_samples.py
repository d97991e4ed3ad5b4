"""Terms that a filter for unsafe text should know, in disguises, and benign text with the same letters.

The terms themselves are kept in ROT13: nobody reads them by accident.
"""

from __future__ import annotations

import codecs
import unicodedata
from dataclasses import dataclass

# Two strong slurs, two names of abuse material, one call to suicide, one recipe, one threat.
_HIDDEN = [
    "avttre",
    "snttbg",
    "puvyq cbea",
    "xvqqvr cbea",
    "xvyy lbhefrys",
    "ubj gb znxr n cvcr obzo",
    "v jvyy xvyy lbh",
]
OWN_TERMS = ["blorptang", "grumbleflask", "квазиплюх", "ζουμπολάκι", "ぽんたくろ", "كلمةسرية", "zażółćka"]


@dataclass(frozen=True)
class Text:
    """A text, whether it is to be found, and the disguise that it has."""

    disguise: str
    text: str
    bad: bool
    own: bool = False


def _spaced(term: str) -> str:
    return " ".join(term.replace(" ", ""))


def _digits(term: str) -> str:
    return term.translate(str.maketrans("aeio", "4310"))


def _full_width(term: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in term)


def _zero_width(term: str) -> str:
    return term[:2] + "\u200b" + term[2:]


def _camel(term: str) -> str:
    first, *rest = term.split()
    return "get" + "".join(word.capitalize() for word in (first, *rest)) + "Count"


def _snake(term: str) -> str:
    return "is_" + term.replace(" ", "_") + "_flag"


_DISGUISES = {
    "plain": str, "capitals": str.upper, "spaced": _spaced, "digits for letters": _digits, "full width": _full_width,
    "zero width": _zero_width, "camel case": _camel, "snake case": _snake,
    "soft hyphen": lambda term: term[:3] + "\u00ad" + term[3:],
    "decomposed": lambda term: unicodedata.normalize("NFD", term),
}  # fmt: skip
_PLURALS = {"avttref", "snttbgf"}
_BENIGN = """kill the child process and wait for it
the parent kills its children with SIGKILL, then reaps zombies
abort the transaction; execute the statement
master and slave replication, blacklist and whitelist
Scunthorpe, Essex, Sussex, Penistone and Lightwater
assassin's class assignment passes the assertion
cockpit, cocktail, peacock and shuttlecock
analysis of the title; therapist = the_rapist.split('_')
sex: male or female, column 4 of the census
suicide prevention hotline numbers by country
bomb disposal robot arm kinematics
fork bomb protection by ulimit
zip bomb: refuse archives that expand too far
drug interaction database with doses
how to make a bar chart
how to make a pipe in bash between two commands
pipe = make_pipe(); bomb = None
adult = age >= 18; child = age < 18
dick = Dickens('David'); cum = np.cumsum(x)
hit the target, shoot the photo, attack surface, kill switch
Niger and Nigeria, snigger, niggardly budget
faggots of wood, fagot vector in graph theory
trap handler, tranny short for transmission, retarded potential
hanging indent, hangs forever, dead letter queue
nuke the cache, blow away the build folder
kill yourself a little time with this tutorial? no: the watchdog kills itself
poison pill message ends the consumer
the daemon murders performance, the suspect is the allocator
white power supply, black box, dark theme
""".strip().splitlines()  # fmt: skip


def texts() -> list[Text]:
    """Bad texts in all disguises, of the filter's own terms and of a user's, and benign ones."""
    made = []
    for hidden in _HIDDEN:
        term = codecs.decode(hidden, "rot13")
        for name, disguise in _DISGUISES.items():
            if " " in term and name in ("camel case", "snake case", "spaced") and len(term.split()) > 2:
                continue
            made.append(Text(name, f"# {disguise(term)}\nvalue = 1\n", True))
    made += [Text("plural", f"# {codecs.decode(term, 'rot13')}\n", True) for term in sorted(_PLURALS)]
    for term in OWN_TERMS:
        for name, disguise in _DISGUISES.items():
            if not term.isascii() and name in ("digits for letters", "full width"):
                continue
            made.append(Text(name, f"# {disguise(term)} here\n", True, own=True))
    made += [Text("benign", f"# {line}\n", False) for line in _BENIGN]
    return made
