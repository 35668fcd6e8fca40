"""Numbers with rules of their own: telephone, card, account, social security, network address, date."""

import ipaddress
import random

_AREAS = (201, 206, 212, 213, 303, 305, 312, 404, 415, 503, 512, 602, 617, 702, 713, 718, 801, 805, 919, 971)
_NORTH_AMERICAN = (
    "({a}) {b}-{c}",
    "{a}-{b}-{c}",
    "{a}.{b}.{c}",
    "{a} {b} {c}",
    "+1 {a} {b} {c}",
    "+1-{a}-{b}-{c}",
    "+1 ({a}) {b}-{c}",
    "1-{a}-{b}-{c}",
    "{a}{b}{c}",
    "({a}){b}-{c}",
    "{a}-{b}-{c} x{e}",
    "+1{a}{b}{c}",
    "001-{a}-{b}-{c}",
)
_ABROAD = (
    "+44 20 7946 0###", "020 7946 0###", "07911 1#####", "+44 7911 ######", "+49 30 2#######",
    "030/2######", "0171 2######", "+49 (0)89 5######", "+33 6 1# ## ## ##", "06 1# ## ## ##",
    "+34 612 ### ###", "+39 347 2######", "+31 6 2#######", "+46 70 2## ## ##", "+91 98### #####",
    "+61 412 ### ###", "0412 ### ###", "+55 11 9####-####", "+81 90-2###-####", "+353 87 2## ####",
)  # fmt: skip
_GERMAN = (
    "+49 30 2#######",
    "030/2######",
    "0171 2######",
    "0171-2######",
    "089 5#######",
    "+49 (0)221 2######",
)
_FRENCH = ("06 1# ## ## ##", "01.42.##.##.##", "+33 6 1# ## ## ##", "0142######", "+33 (0)1 42 ## ## ##")
_SPANISH = ("612 ### ###", "+34 612 ### ###", "91 5## ## ##", "612######", "915 ### ###")
ABROAD_SHARE = 0.35

_CARDS = (
    ("4", 16),
    ("51", 16),
    ("55", 16),
    ("2221", 16),
    ("34", 15),
    ("37", 15),
    ("6011", 16),
    ("3530", 16),
    ("36", 14),
)
_IBANS = {
    "DE": "#" * 18, "FR": "#" * 10 + "A" * 11 + "##", "GB": "WEST" + "#" * 14, "ES": "#" * 20,
    "NL": "ABNA" + "#" * 10, "IT": "X" + "#" * 10 + "A" * 12, "AT": "#" * 16, "CH": "#" * 5 + "A" * 12,
    "PL": "#" * 24, "BE": "#" * 12, "PT": "#" * 21, "SE": "#" * 20, "DK": "#" * 14, "FI": "#" * 14,
    "IE": "AIBK" + "#" * 14,
}  # fmt: skip
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December",
)  # fmt: skip


def fill(rng: random.Random, form: str) -> str:
    """`#` is a digit, `A` a capital or digit, `X` a capital."""
    alphabets = {
        "#": "0123456789",
        "A": "0123456789ABCDEFGHJKLMNPQRSTUVWXYZ",
        "X": "ABCDEFGHJKLMNPQRSTUVWXYZ",
    }
    return "".join(rng.choice(alphabets[c]) if c in alphabets else c for c in form)


def phone(rng: random.Random) -> str:
    """A number somebody could have, in one of the ways people write them."""
    if rng.random() < ABROAD_SHARE:
        return fill(rng, rng.choice(_ABROAD))
    form = rng.choice(_NORTH_AMERICAN)
    exchange = rng.choice([n for n in range(220, 999) if n % 100 != 11 and n != 555])
    return form.format(a=rng.choice(_AREAS), b=exchange, c=fill(rng, "####"), e=rng.randint(10, 9999))


def european_phone(rng: random.Random, country: str) -> str:
    """A number as written within one country."""
    return fill(rng, rng.choice({"de": _GERMAN, "fr": _FRENCH, "es": _SPANISH}[country]))


def card(rng: random.Random) -> str:
    """A number with a right check digit (ISO/IEC 7812-1)."""
    prefix, length = rng.choice(_CARDS)
    body = prefix + fill(rng, "#" * (length - len(prefix) - 1))
    digits = [int(c) for c in reversed(body)]
    total = sum(d if i % 2 else sum(divmod(d * 2, 10)) for i, d in enumerate(digits))
    number = body + str(-total % 10)
    joint = rng.choice(["", " ", "-", " "])
    cuts = (4, 10) if length in (14, 15) else (4, 8, 12)
    return joint.join(number[a:b] for a, b in zip((0, *cuts), (*cuts, length), strict=True))


def iban(rng: random.Random) -> str:
    """An account with right check digits (ISO 13616)."""
    country = rng.choice(sorted(_IBANS))
    account = fill(rng, _IBANS[country])
    moved = "".join(str(int(c, 36)) for c in account + country + "00")
    number = f"{country}{98 - int(moved) % 97:02d}{account}"
    return number if rng.random() < 0.5 else " ".join(number[i : i + 4] for i in range(0, len(number), 4))


def ssn(rng: random.Random) -> str:
    """A social security number from the ranges that were issued."""
    area = rng.choice([n for n in range(1, 773) if n != 666])
    joint = rng.choice(["-", "-", "-", " "])
    return f"{area:03d}{joint}{rng.randint(1, 99):02d}{joint}{rng.randint(1, 9999):04d}"


def ip4(rng: random.Random) -> str:
    """A host's address, private or public."""
    head = rng.choice(["10.{}", "192.168", "172.20", "84.{}", "93.{}", "203.{}"]).format(rng.randint(1, 250))
    return f"{head}.{rng.randint(0, 255)}.{rng.randint(1, 254)}"


def ip6(rng: random.Random) -> str:
    """A host's address, compressed or in full."""
    address = ipaddress.IPv6Address((0x2A02 << 112) | rng.getrandbits(64) | (rng.getrandbits(16) << 96))
    return address.compressed if rng.random() < 0.6 else address.exploded


def date(rng: random.Random, first: int = 2021, last: int = 2026) -> str:
    """A day in one of five spellings."""
    year, month, day = rng.randint(first, last), rng.randint(1, 12), rng.randint(1, 28)
    name = _MONTHS[month - 1]
    return rng.choice(
        [
            f"{year}-{month:02d}-{day:02d}",
            f"{month:02d}/{day:02d}/{year}",
            f"{day:02d}.{month:02d}.{year}",
            f"{name} {day}, {year}",
            f"{day} {name} {year}",
        ]
    )


def birth_date(rng: random.Random) -> str:
    """A day on which somebody of working age was born."""
    return date(rng, 1950, 2005)


def dotted_birth_date(rng: random.Random) -> str:
    """The same as continental Europe writes it."""
    return f"{rng.randint(1, 28):02d}.{rng.randint(1, 12):02d}.{rng.randint(1950, 2005)}"
