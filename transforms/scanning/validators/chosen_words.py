# ruff: noqa: E501 - word lists read best unbroken
"""Passwords that are words, as people choose them, and words that are no password: labels, types, states, names of code.

    password: "shovelgrass"     chosen: no word of a program
    password: "required"        a state             password: "dbAdminUser"    a name of code
    password: "Passwort"        a label             password: "string"         a type

A value is split into its words at case changes, hyphens, underscores and dots. One that isn't a word of programs and
their interfaces is enough, if none is a label's.
"""

from __future__ import annotations

import re

_LABEL = re.compile(
    rb"(?i)passw|pass_?code|pass_?phrase|\bpass\b|pwd|secret|token|credential|contrase|senha|mot_?de_?passe|kennwort|wachtwoord|haslo|parol|salasana|losenord|adgangskode|jelsz|heslo|sifre|\bclave\b|sandi|mat_?khau|log_?in\b|username|user_?name|api_?key|\bkey\b|\bkeys\b|hunter\b|example|sample|placeholder|secure|mypass|fill_?in|replace|redact|prompt"
)
_CODE_WORDS = frozenset(
    (
        b"a abc able about absent accept accepted access account accounts action active actual add added address admin administrator again alert algorithm all allow allowed alpha also always an and anonymous any api app "
        b"append application apply are arg args argument arguments array as ascii ask asset assets at attribute attributes auth authenticate authenticated authentication author authority authorization auto "
        b"available await back backend bad bar base basic bean because been before below beta between binary bind blank block body bool boolean both box broken browser buffer build builder built but button by byte bytes "
        b"cache callback can cannot cert certificate change changed char character characters chars check checked child choose cipher class clear cleartext cli click client clients close closed cloud code codec color "
        b"column command comment common compare compat complete component compose compute condition conf config configuration configure configured confirm confirmation confirmed connect connection connector console "
        b"constant container content contents context control controller convert cookie copy core correct count create created creation cred creds current custom customer data database date day db debug decode decrypt "
        b"def default defaults define defined delete deleted denied deny deploy deployment deprecated desc description dest destination detail details dev developer development device dialog dict different digest "
        b"dir direct directory disable disabled disallow display do docker document domain done double down download driver dummy duplicate dynamic each edit editor element else email empty enable enabled encode "
        b"encoded encoding encrypt encrypted encryption end endpoint engine ensure enter entity entry enum env environment equal error errors event every exact except exception exec exist existing exists exit "
        b"expected expire expired export expr expression ext extend extended extension extern external extra fail failed failure fake false fetch field fields file filename files fill filter final find first fixed "
        b"flag float flow folder foo for force forgot form format found frame framework from front full func function functional general generate generated generator generic get getter given global go good grant "
        b"group groups guest handle handler has hash hashed have header headers hello help helper here hex hidden hide hint home host hostname html http https icon id identifier identity if ignore image import in "
        b"include incorrect index info init initial inline inner input insecure insert inside install instance int integer integration interface internal into invalid is issue item items it its jdbc job join json keep "
        b"kerberos keychain keyring kind label lang language last later layer layout ldap left legacy len length less letter letters level lib library like limit line link list listener lite load loader local localhost location lock locked "
        b"log logger logic logout long loop lower lowercase machine mail main major make manage manager manual map mapper mapping mask masked master match matches max maximum may md media member memory menu message "
        b"messages meta metadata method middle min minimum minor misc mismatch missing mobile mock mode model modified module mongo monitor more most move msg multi must my mysql name named names namespace native need "
        b"needed network never new next nil no node none normal not note nothing notify now null number numeric oauth obj object of off offset ok old on once one only open operation operator opt option optional "
        b"options or order org origin original other our out outer output over own owner package page pair panel param parameter parameters params parent parse parser part partial path pattern payload pem per permission "
        b"permissions person phone php pin plain plaintext plugin point policy pool popup port position post postgres prefix present preset previous primary print private process prod product production profile program "
        b"project property protected protocol provide provided provider proxy public push put query queue quick quote random range raw re read reader readonly ready real realm recover recovery redis ref reference "
        b"refresh regex region register registration registry remember remote remove removed repeat reply report repository request require required res reset resource response rest result results resume retrieve retry "
        b"return reuse right role root route row rule rules run runtime safe salt same save schema scope script search second section security see select self send sensitive separator server servers service services session set "
        b"setter setting settings setup shared shell short should show sign signature simple single site size skip socket some sort source space spec special spring sql ssh ssl staging standard start state static status step "
        b"stop storage store str stream strength strict string strings strong style sub submit subject success suffix super support switch symbol sync system tab table tag target task template temp temporary tenant test "
        b"tested tester testing tests text than that the then there these this thread time timeout title tls to too tool top total trace transform translate true trust try type types ui undefined union unique "
        b"unit unknown unlock unset unused update updated upload upper uppercase uri url usage use used user users using utf util utils uuid valid validate validated validation validator value values var variable varchar variables verified verify "
        b"version via view virtual visible void wait want warning was weak web welcome what when where which widget will window with without word words work worker wrapper write wrong xml yaml yes you your zero"
    ).split()
)
_WORDS = re.compile(rb"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[A-Z]")
_JOINED = re.compile(rb"[A-Za-z]+(?:[-_. ]?[A-Za-z]+){0,8}\Z")
_KEYBOARD = re.compile(rb"(?i)\A(?:qwert|asdf|zxcv|qazwsx|azert|qwerz)")


def is_chosen_word(value: bytes, min_letters: int = 8) -> bool:
    """Whether a value of letters is a password that someone chose.

    >>> [is_chosen_word(v) for v in (b"shovelgrass", b"letMeThrough", b"qwertzuiop", b"required", b"dbAdminUser", b"Passwort")]
    [True, True, True, False, False, False]
    """
    if not min_letters <= len(value) <= 40 or not _JOINED.match(value) or _LABEL.search(value):
        return False
    if len(set(value.lower())) < 4 or (b" " in value and (value.count(b" ") > 1 or value != value.lower())):
        return False
    words = [word.lower() for word in _WORDS.findall(value)]
    unknown = [word for word in words if word not in _CODE_WORDS and word.removesuffix(b"s") not in _CODE_WORDS]
    return _KEYBOARD.match(value) is not None or (any(len(word) > 2 for word in unknown) and len(words) <= 6)
