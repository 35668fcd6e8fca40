"""What a template's placeholders stand for, except for persons: text and label."""

import base64
import json
import random
import string
import uuid
from collections.abc import Callable
from hashlib import sha256

from tests.bench.detection import numbers
from tests.bench.detection.people import names, places

IGNORE = "IGNORE"
"""True data of a type nobody was asked to find: finding it is neither right nor wrong."""

Piece = tuple[str, str]
_LETTERS = string.ascii_letters + string.digits
_ORDERS = ("XX-#####", "########", "ORD#######", "2026-######")
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def _text(rng: random.Random, length: int, alphabet: str = _LETTERS) -> str:
    return "".join(rng.choice(alphabet) for _ in range(length))


def _encoded(rng: random.Random, payload: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(payload).encode()).decode().rstrip("=")


def _key(rng: random.Random) -> str:
    return rng.choice(
        [
            f"sk-{_text(rng, 40)}",
            f"sk_live_{_text(rng, 24)}",
            f"AIza{_text(rng, 35)}",
            f"SG.{_text(rng, 22)}.{_text(rng, 43)}",
            _text(rng, 32, "0123456789abcdef"),
        ]
    )


def _token(rng: random.Random) -> str:
    return rng.choice(
        [
            f"ghp_{_text(rng, 36)}",
            f"glpat-{_text(rng, 20)}",
            f"xoxb-{_text(rng, 12, string.digits)}-{_text(rng, 24)}",
            f"hvs.{_text(rng, 28)}",
            f"npm_{_text(rng, 36)}",
        ]
    )


def _jwt(rng: random.Random) -> str:
    head, body = (
        _encoded(rng, {"alg": "HS256"}),
        _encoded(rng, {"sub": _text(rng, 8), "iat": rng.randint(1, 9**9)}),
    )
    return f"{head}.{body}.{_text(rng, 43)}"


def _password(rng: random.Random) -> str:
    return (
        rng.choice("QWXZKJ")
        + _text(rng, 5, string.ascii_lowercase)
        + str(rng.randint(10, 9999))
        + rng.choice("!?#*")
    )


def _connection(rng: random.Random) -> str:
    scheme = rng.choice(["postgresql", "mysql", "mongodb", "redis", "amqp"])
    return f"{scheme}://app:{_text(rng, 14)}@db{rng.randint(1, 9)}.internal:{rng.randint(3000, 9000)}/main"


def _street(rng: random.Random, split: str) -> str:
    pool = names(split)["census"]["family"]
    kind = rng.choice(["Street", "Avenue", "Road", "Lane", "Drive", "Court", "St", "Ave", "Rd", "Blvd"])
    flat = rng.choice(["", "", "", f", Apt {rng.randint(1, 40)}", f", Suite {rng.randint(100, 900)}"])
    return f"{rng.randint(1, 9899)} {rng.choice(pool)} {kind}{flat}"


def _address(rng: random.Random, split: str) -> list[Piece]:
    state = rng.choice(["OH", "CA", "TX", "NY", "WA", "IL", "GA"])
    town = rng.choice(places(split))
    zipped = f"{state} {rng.randint(10000, 98999)}"
    return [(_street(rng, split), "LOCATION"), (", ", ""), (town, "LOCATION"), (", ", ""), (zipped, IGNORE)]


def _abroad(rng: random.Random, split: str, country: str) -> list[Piece]:
    name, town = rng.choice(names(split)["census"]["family"]), rng.choice(places(split))
    number = rng.randint(1, 180)
    street = {
        "de": f"{name}{rng.choice(['straße', 'weg', 'allee', 'gasse', 'str.'])} {number}",
        "fr": f"{number} {rng.choice(['rue', 'avenue', 'boulevard', 'place'])} de {name}",
        "es": f"{rng.choice(['Calle', 'Avenida', 'Plaza', 'Paseo'])} {name} {number}",
    }[country]
    return [
        (street, "LOCATION"),
        (", ", ""),
        (f"{rng.randint(10000, 79999)}", IGNORE),
        (" ", ""),
        (town, "LOCATION"),
    ]


def _company(rng: random.Random, split: str) -> str:
    name = rng.choice(names(split)["census"]["family"])
    return f"{name} {rng.choice(['Ltd', 'Inc', 'GmbH', 'Logistics', 'Partners', 'Group'])}"


def _stamp(rng: random.Random) -> str:
    moment = f"{rng.randint(0, 23):02d}:{rng.randint(0, 59):02d}:{rng.uniform(0, 59.9):06.3f}"
    return f"2026-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}T{moment}Z"


def _amount(rng: random.Random) -> str:
    return f"{rng.choice(['$', '€', 'EUR ', 'USD '])}{rng.randint(10, 90_000):,}.{rng.randint(0, 99):02d}"


def _time(rng: random.Random) -> str:
    return f"{rng.randint(6, 21):02d}:{rng.choice((0, 15, 30, 45)):02d}"


_SIMPLE: dict[str, tuple[Callable[[random.Random], str], str]] = {
    "phone": (numbers.phone, "PHONE_NUMBER"),
    "phone_de": (lambda rng: numbers.european_phone(rng, "de"), "PHONE_NUMBER"),
    "phone_fr": (lambda rng: numbers.european_phone(rng, "fr"), "PHONE_NUMBER"),
    "phone_es": (lambda rng: numbers.european_phone(rng, "es"), "PHONE_NUMBER"),
    "card": (numbers.card, "CREDIT_CARD"),
    "iban": (numbers.iban, "IBAN_CODE"),
    "ssn": (numbers.ssn, "US_SSN"),
    "ip": (numbers.ip4, "IP_ADDRESS"),
    "ip6": (numbers.ip6, "IP_ADDRESS"),
    "dob": (numbers.birth_date, "DATE_OF_BIRTH"),
    "dob_de": (numbers.dotted_birth_date, "DATE_OF_BIRTH"),
    "key": (_key, "SECRET"),
    "ghtoken": (_token, "SECRET"),
    "jwt": (_jwt, "SECRET"),
    "password": (_password, "SECRET"),
    "conn": (_connection, "SECRET"),
    "awskey": (lambda rng: f"AKIA{_text(rng, 16, string.ascii_uppercase + string.digits)}", "SECRET"),
    "awssecret": (lambda rng: _text(rng, 40, _LETTERS + "/+"), "SECRET"),
    "date": (numbers.date, IGNORE),
    "year": (lambda rng: str(rng.randint(2015, 2026)), ""),
    "time": (_time, ""),
    "stamp": (_stamp, ""),
    "amount": (_amount, ""),
    "num": (lambda rng: str(rng.randint(1, 30_000)), ""),
    "order": (lambda rng: numbers.fill(rng, rng.choice(_ORDERS)), ""),
    "uuid": (lambda rng: str(uuid.UUID(int=rng.getrandbits(128), version=4)), ""),
    "sha": (lambda rng: _text(rng, 40, "0123456789abcdef"), ""),
}  # fmt: skip


def value(rng: random.Random, split: str, kind: str) -> list[Piece]:
    """The pieces a placeholder becomes."""
    match kind:
        case "city":
            return [(rng.choice(places(split)), "LOCATION")]
        case "address":
            return _address(rng, split)
        case "address_de" | "address_fr" | "address_es":
            return _abroad(rng, split, kind[-2:])
        case "company":
            return [(_company(rng, split), IGNORE)]
        case "crypto":
            return [(bitcoin(rng), "CRYPTO")]
        case _:
            pass
    make, label = _SIMPLE[kind]
    return [(make(rng), label)]


def bitcoin(rng: random.Random) -> str:
    """An address with a right check sum (Base58Check)."""
    payload = b"\x00" + rng.randbytes(20)
    raw = payload + sha256(sha256(payload).digest()).digest()[:4]
    number, text = int.from_bytes(raw, "big"), ""
    while number:
        number, rest = divmod(number, 58)
        text = _BASE58[rest] + text
    return "1" + text
