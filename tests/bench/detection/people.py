"""Persons for the texts: held-out names of many countries, and the ways a text refers to one of them."""

import json
import random
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

DATA = Path(__file__).with_name("data")
CENSUS_SHARE = 0.55


@dataclass(frozen=True)
class Person:
    """Somebody with a name and an address that may or may not resemble it."""

    given: str
    family: str
    email: str
    female: bool

    @property
    def full(self) -> str:
        """Given and family name."""
        return f"{self.given} {self.family}"

    @property
    def called(self) -> str:
        """The given name without a middle initial."""
        return self.given.split()[0]


def in_split(value: str, split: str) -> bool:
    """Whether a value or template belongs to `dev` or `unseen`; fixed by its digest, half each."""
    return (sha256(b"split" + value.encode()).digest()[0] % 2 == 0) == (split == "dev")


@lru_cache
def names(split: str) -> dict[str, dict[str, list[str]]]:
    """Names by locale, only those of the split."""
    raw = json.loads((DATA / "names.json").read_text("utf-8"))
    found = {
        locale: {kind: [n for n in both[kind] if in_split(n, split)] for kind in both}
        for locale, both in raw.items()
    }
    return {locale: both for locale, both in found.items() if both["given"] and both["family"]}


@lru_cache
def places(split: str) -> list[str]:
    """Towns of the split."""
    raw: list[str] = json.loads((DATA / "places.json").read_text("utf-8"))
    return [place for place in raw if in_split(place, split)]


def person(rng: random.Random, split: str) -> Person:
    """Given and family name from one country's lists."""
    pool = names(split)
    locale = "census" if rng.random() < CENSUS_SHARE else rng.choice(sorted(pool))
    given, family = rng.choice(pool[locale]["given"]), rng.choice(pool[locale]["family"])
    if rng.random() < 0.04:
        family = f"{family}-{rng.choice(pool[locale]['family'])}"
    elif rng.random() < 0.04:
        given = f"{given} {rng.choice('ABCDEFGHJKLMNPRSTW')}."
    return Person(given, family, _email(rng, given, family), rng.random() < 0.5)


def _email(rng: random.Random, given: str, family: str) -> str:
    first, last = _ascii(given.split()[0]), _ascii(family)
    local = rng.choice(
        [f"{first}.{last}", f"{first[0]}{last}", f"{first}_{last}", f"{last}{rng.randint(1, 99)}", first]
    )
    host = rng.choice(["mail", "corp", "post", "office", "inbox", "web"])
    domain = rng.choice(["example.com", "example.org", "example.net", "northwind.example", "acme.co.uk"])
    return f"{local}@{host}.{domain}" if rng.random() < 0.3 else f"{local}@{domain}"


def _ascii(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text.lower().replace("ß", "ss"))
    return "".join(c for c in plain if c.isascii() and (c.isalnum() or c == "-")) or "user"


def mention(rng: random.Random, who: Person, form: str) -> list[tuple[str, str]]:
    """The pieces of a mention: text and label, "" where a piece is nobody's name."""
    if form == "titled":
        spoken = ("Ms. " if who.female else "Mr. ") if rng.random() < 0.5 else "Dr. "
        return [(spoken, ""), (who.family, "PERSON")]
    if form == "possessive":
        return [(who.called, "PERSON"), ("'s", "")]
    return [_FORMS[form](who)]


_FORMS: Mapping[str, Callable[[Person], tuple[str, str]]] = {
    "full": lambda who: (who.full, "PERSON"),
    "given": lambda who: (who.called, "PERSON"),
    "family": lambda who: (who.family, "PERSON"),
    "email": lambda who: (who.email, "EMAIL_ADDRESS"),
    "initial": lambda who: (f"{who.given[0]}. {who.family}", "PERSON"),
    "reversed": lambda who: (f"{who.family}, {who.given}", "PERSON"),
    "upper": lambda who: (who.full.upper(), "PERSON"),
    "lower": lambda who: (who.called.lower(), "PERSON"),
    "object": lambda who: ("her" if who.female else "him", ""),
    "user": lambda who: (_ascii(who.given)[:1] + _ascii(who.family), "IGNORE"),
}
