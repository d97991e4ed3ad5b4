"""Values as people make them: passwords, tokens, keys, names, hosts. Each maker takes a generator alone."""

from __future__ import annotations

import base64
import random
import string


def _words(listed: str) -> list[str]:
    return listed.split()


WORDS = _words("""
    lantern otter granite walnut thistle copper meadow harbor saddle pepper velvet cobalt juniper falcon ribbon cactus
    pigeon marble turnip bishop barrel domino ferret goblin hammer island jacket kettle lizard magnet nugget oyster
    parrot quiver rocket salmon tunnel urchin violin wizard yonder zipper anchor bramble candle dragon ember feather
    garnet hollow ivory jigsaw kernel ladder mustard nectar orchid puffin quartz raven shovel timber
""")
LONG = _words("""
    marigold tortoise mandolin hedgehog bluebell cinnamon dumpling elephant firewood gardenia hazelnut icebreaker
    jellyfish kingfisher lavender mushroom nightjar overcoat pineapple quicksand raspberry sandstone tangerine umbrella
    vineyard waterfall xylophone yardstick zeppelin butterscotch campfire dandelion
""")
GIVEN = _words("Anna Bruno Carla Dieter Elena Fatima Gregor Hanna Ivan Julia Karol Lucia Marek Nadia Oskar Petra")
FAMILY = _words("Lindqvist Okafor Moreau Brandt Castellani Nowicki Hargreave Vermeulen Albrecht Quintero Tanaka")
STOCK = _words("secret password changeme guest admin root test123")
HEX = "0123456789abcdef"
LETTERS = string.ascii_letters + string.digits


def _of(alphabet: str, length: int, rng: random.Random) -> str:
    return "".join(rng.choice(alphabet) for _ in range(length))


def two_words(rng: random.Random) -> str:
    """Words without a joint, in lower case."""
    return rng.choice(WORDS) + rng.choice(WORDS)


def long_word(rng: random.Random) -> str:
    """A word of eight letters and more."""
    return rng.choice(LONG)


def short_word(rng: random.Random) -> str:
    """A word of six and seven letters."""
    return rng.choice([word for word in WORDS if 6 <= len(word) <= 7])


def joined(rng: random.Random) -> str:
    """Two or three words and a joint."""
    return rng.choice("-_.").join(rng.sample(WORDS, rng.choice([2, 3])))


def camel(rng: random.Random) -> str:
    """A phrase in camel case."""
    first, *rest = rng.sample(WORDS, 3)
    return first + "".join(word.capitalize() for word in rest)


def name_year(rng: random.Random) -> str:
    """A name with a year."""
    return rng.choice(GIVEN) + str(rng.randint(1958, 2019)) + rng.choice(["", "!", "#"])


def keyboard(rng: random.Random) -> str:
    """A walk over the keyboard."""
    rows = ["qwertyuiop", "asdfghjkl", "zxcvbnm", "1qaz2wsx3edc", "q1w2e3r4t5", "poiuytrewq"]
    row = rng.choice(rows)
    return (row + rng.choice(["123", "!@#", "2020", rng.choice(rows)]))[: rng.randint(9, 14)]


def digits(rng: random.Random) -> str:
    """Eight to ten digits."""
    return _of(string.digits, rng.randint(8, 10), rng)


def leet(rng: random.Random) -> str:
    """A word with digits for letters, and a number."""
    word = rng.choice(LONG).translate(str.maketrans("aeio", "4310"))
    return word.capitalize() + _of(string.digits, 2, rng)


def strong(rng: random.Random) -> str:
    """What a password manager makes, without quotes and what shells or formats read."""
    return _of(LETTERS, 6, rng) + rng.choice("!%*+") + _of(LETTERS, 7, rng) + rng.choice(string.digits)


def person_password(rng: random.Random) -> str:
    """Any of these."""
    return rng.choice([two_words, long_word, joined, camel, name_year, keyboard, leet, strong])(rng)


def token(rng: random.Random) -> str:
    """40 letters and digits."""
    return _of(LETTERS, 40, rng)


def hex40(rng: random.Random) -> str:
    """A git object's id."""
    return _of(HEX, 40, rng)


def hex64(rng: random.Random) -> str:
    """256 bits."""
    return _of(HEX, 64, rng)


def digits16(rng: random.Random) -> str:
    """16 to 22 digits, of which the first isn't 0."""
    return rng.choice("123456789") + _of(string.digits, rng.randint(15, 21), rng)


def base64url(rng: random.Random) -> str:
    """32 bytes."""
    return base64.urlsafe_b64encode(rng.randbytes(32)).decode().rstrip("=")


def basic(rng: random.Random) -> str:
    """A user and a password, as HTTP's basic scheme has them."""
    return base64.b64encode(f"{rng.choice(WORDS)}:{strong(rng)}".encode()).decode()


def byte_list(rng: random.Random) -> str:
    """32 bytes in hexadecimal, one by one."""
    return ", ".join(f"0x{byte:02x}" for byte in rng.randbytes(32))


def decimal_bytes(rng: random.Random) -> str:
    """32 bytes as decimal numbers."""
    return ", ".join(str(byte) for byte in rng.randbytes(32))


def key_line(rng: random.Random) -> str:
    """The first line of a key block."""
    return "MII" + _of(LETTERS + "+/", 61, rng)


def next_line(rng: random.Random) -> str:
    """A further line of a key block."""
    return _of(LETTERS + "+/", 64, rng)


def session_cookie(rng: random.Random) -> str:
    """The cookie of connect and express-session, URL-encoded."""
    return f"s%3A{_of(LETTERS + '-_', 32, rng)}.{_of(LETTERS, 20, rng)}%2F{_of(LETTERS, 22, rng)}"


def stock(rng: random.Random) -> str:
    """A stock word."""
    return rng.choice(STOCK)


def host(rng: random.Random) -> str:
    """A host as firms have them."""
    name = f"{rng.choice(['db', 'pg1', 'cache', 'mq', 'files'])}.{rng.choice(WORDS)}{rng.choice(WORDS)}"
    return f"{name}.{rng.choice(['io', 'net', 'de', 'com'])}"


def user(rng: random.Random) -> str:
    """A user's name."""
    return rng.choice(GIVEN).lower()


def full_name(rng: random.Random) -> str:
    """A person's name."""
    return f"{rng.choice(GIVEN)} {rng.choice(FAMILY)}"


def github_token(rng: random.Random) -> str:
    """An installation's token."""
    return "gh" + "s_" + _of(LETTERS, 36, rng)


MAKERS = {
    "two": two_words, "long": long_word, "short": short_word, "joined": joined, "camel": camel, "year": name_year,
    "keyboard": keyboard, "digits": digits, "leet": leet, "strong": strong, "any": person_password, "token": token,
    "hex40": hex40, "hex64": hex64, "digits16": digits16, "b64": base64url, "basic": basic, "bytes": byte_list,
    "decimals": decimal_bytes, "key": key_line, "more": next_line, "cookie": session_cookie, "stock": stock,
    "end": lambda _: "-" * 5, "host": host, "user": user, "name": full_name, "ghs": github_token,
}  # fmt: skip
