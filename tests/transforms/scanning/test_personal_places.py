"""Where personal data stands, and what only looks like it: code around `@`, tables of four digits."""

from __future__ import annotations

import random

import pytest

from transforms.scanning import RuleSet, Scanner, load_rules
from transforms.scanning.validators.recipes import fill

AT = "@"
NO_ADDRESSES = {
    "a.sty": ["\\def\\pgf@name{x}\n", "\\newcommand{\\tikz@id}{}\n", "\\hyper@in\n", "\\expandafter\\foo@bar.to\n"],
    "b.kt": ["run to@{ xs.forEach { if (it == 1) return@to } }\n", "val x = this@Outer.name\n", "super@Base.id\n"],
    "c.hs": ["f xs@name = name\n", "g all@is = all\n"],
    "d.rs": ["match v { all@is => is, }\n"],
    "e.rb": ["CELLAR+@name+'HEAD'\n", "total+@id\n", "x = @a+@user.name\n"],
    "f.scala": ["x match { case all@in => 2 }\n"],
    "g.cshtml": ["<p>Hello@Model.Name</p>\n", "x@user.email\n", "Dear@item.Id\n"],
    "h.yaml": ["service: queue@app\n", "host: svc@dev\n"],
    "i.nix": ["args@pkgs.lib\n", "inputs@{ self }\n"],
    "j.php": ["$mail@host.de\n"],
}
ADDRESSES = {
    "a.sty": ["% by {name}@{host}.de\n", "\\author{{{name}@{host}.org}}\n"],
    "b.py": ['mail = "{name}@{host}.com"\n', "# {name}+lists@{host}.co.uk\n", 'text = "a\\n{name}@{host}.org"\n'],
    "c.md": [
        "{name}@{host}.Com, {upper}@{upperhost}.DE\n",
        "Write to {name}@{host}.name.\n",
        "<{name}@mail.{host}.io>\n",
    ],
}
NO_CARDS = {
    "a.sch": "Wire Wire Line\n\t{card4}\n",
    "b.svg": '<path d="M {card4} L {card4} L 1050 2300"/>\n',
    "c.m": "W = [\n    [{card4}],\n]\n",
    "d.csv": "left,right\n12,{card}\n",
    "e.json": '{{"id": "{card}", "user_id": "{card}"}}\n',
    "f.txt": "{card4} 1234 5678\n1234 {card4}\n",
}
CARDS = {
    "a.csv": 'name,card_number,city\n"A, B",{card},X\n',
    "b.csv": "name;Kreditkarte card;city\nA;{card4};X\n",
    "c.py": 'number = "{card}"\n',
    "d.md": "My card: {card4}.\n",
    "e.md": "charged to {card4} today\n",
    "f.json": '{{"pan": "{card4}"}}\n',
    "g.txt": "{card-}\n",
}


@pytest.fixture(scope="module")
def scanner() -> Scanner:
    return Scanner(RuleSet(tuple(rule for rule in load_rules().rules if rule.family == "personal")))


@pytest.mark.parametrize(("path", "text"), [(path, text) for path, texts in NO_ADDRESSES.items() for text in texts])
def test_code_around_an_at_sign_is_no_address(scanner, path, text):
    assert [text[f.start : f.end] for f in scanner.scan(text, path=path)] == []


@pytest.mark.parametrize(("path", "form"), [(path, form) for path, forms in ADDRESSES.items() for form in forms])
def test_an_address_is_found_in_any_text(scanner, path, form):
    rng = random.Random(form)
    name, host = fill("{lower:6}.{lower:5}", rng), fill("{lower:9}", rng)
    text = form.format(name=name, host=host, upper=name.upper(), upperhost=host.upper())
    found = [text[f.start : f.end] for f in scanner.scan(text, path=path)]
    assert len(found) == form.count(AT) and all(AT in value and value[-1].isalpha() for value in found), (text, found)


def with_cards(form: str, seed: int) -> tuple[str, int]:
    rng = random.Random(seed)
    number = fill("{card}", rng)
    grouped = [number[at : at + 4] for at in range(0, 16, 4)]
    text = form.replace("{card}", number).replace("{card4}", " ".join(grouped)).replace("{card-}", "-".join(grouped))
    return text.replace("{{", "{").replace("}}", "}"), text.count(number) + text.count(" ".join(grouped))


@pytest.mark.parametrize("path", NO_CARDS)
def test_tables_of_four_digits_and_ids_are_no_cards(scanner, path):
    for seed in range(20):
        text, _ = with_cards(NO_CARDS[path], seed)
        assert [text[f.start : f.end] for f in scanner.scan(text, path=path) if f.type == "card"] == [], text


@pytest.mark.parametrize("path", CARDS)
def test_a_card_is_found_in_quotes_in_prose_and_in_a_column_of_cards(scanner, path):
    for seed in range(20):
        text, _ = with_cards(CARDS[path], seed)
        assert [f.type for f in scanner.scan(text, path=path)] == ["card"], text


def test_a_column_of_nothing_but_cards_is_one_without_a_name(scanner):
    rng = random.Random(3)
    cards, other = [fill("{card}", rng) for _ in range(3)], "453957876362148"
    text = "id,number\n" + "".join(f"{i},{card}\n" for i, card in enumerate(cards))
    assert [text[f.start : f.end] for f in scanner.scan(text, path="a.csv")] == cards
    assert not scanner.scan(text + f"9,{other}\n", path="a.csv") and not scanner.scan(
        text.replace("id", "u"), path="a.c"
    )


TOWNS = [
    "Birkenstraße 72, 80968 München", "29 rue Mustard, 75011 Paris", "Calle Urchin 69, 28018 Madrid",
    "Via Salmon 36, 00113 Roma", "Kerkstraat 75, 1017 AB Amsterdam", "46 Jacket Street, London SW1A 2AA",
    "98 Lantern Avenue, Springfield, IL 62713", "Rua Domino, 54, São Paulo - SP, 01313-000",
    "13 Turnip Road, Bengaluru 560010",
    "ul. Velvet 13, 00-916 Warszawa", "〒100-0013 東京都千代田区丸の内1-88", "서울특별시 종로구 세종대로 76",
]  # fmt: skip


@pytest.mark.parametrize("address", TOWNS)
def test_an_address_is_found_with_its_postal_code_and_town(scanner, address):
    text = f"Visit us: {address} on Monday.\n"
    assert [text[f.start : f.end] for f in scanner.scan(text, path="a.md")] == [address]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("home_latitude, home_longitude = 48.137154, 11.576824\n", ["48.137154, 11.576824"]),
        ("const MAX_LAT = 85.051129;\nbounds.maxLat = 48.137154;\n", []),
        ("Tél.: 0643772961\n", ["0643772961"]),
        ('LABEL maintainer="Qarla Zvensson"\n', ["Qarla Zvensson"]),
        ('s.authors = ["Qarla Zvensson"]\n', ["Qarla Zvensson"]),
        ("- Faster start (thanks to Qarla Zvensson)\n", ["Qarla Zvensson"]),
        ("- thanks to the team and Acme Inc\n", []),
    ],
)
def test_values_are_found_after_the_words_that_people_use(scanner, text, values):
    assert [text[f.start : f.end] for f in scanner.scan(text, path="a.py")] == values
