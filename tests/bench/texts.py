"""Texts to measure with: dense with personal data, or plain business prose; the same for the same seed.

Values have valid check digits and number plans, so that recognisers that verify them do their whole work.
"""

import random
import string
from collections.abc import Callable


def _words(text: str, separator: str | None = None) -> list[str]:
    return [word.strip() for word in text.split(separator)]


_FIRST = _words(
    "Hanna Luis Priya Ahmed Ingrid Wei Sofia Tomasz Grace Mateo Aiko Ruth Karim Elena Noah Fatima"
)
_LAST = _words("Keller Ortega Raman Haddad Lindqvist Zhang Marino Nowak Bennett Silva Tanaka Adeyemi Weber")
_CITIES = _words("Hamburg Lyon Boston Madrid Leeds Chicago Munich Denver Bristol Toulouse Seattle Vienna")
_DOMAINS = _words("example.com mail.example.org post.example.net corp.example.de")
_SUBJECTS = _words(
    """the quarterly plan, our supplier, the new lamp, this campaign, the warehouse, the support desk,
    the survey, a pilot customer, the packaging, the price list, the release, the forecast""",
    ",",
)
_VERBS = _words("needs changes follows delays improves replaces covers explains doubles simplifies repeats")
_OBJECTS = _words(
    """the agreed budget, two open questions, a longer test, the previous design, most of the returns,
    the delivery date, a second review, the usual margin, several smaller orders, the printed manual""",
    ",",
)
_ENDS = _words(
    """before the end of the month, without extra cost, as the team expected, although nobody asked for it,
    in most shops, when the weather turns, after a short discussion, because the parts arrived late""",
    ",",
)

Words = Callable[[random.Random], str]


def dense(seed: int, size: int) -> str:
    """About `size` bytes with some fifteen values per kB."""
    return _text(random.Random(seed), size, (*_DENSE, prose_sentence))


def prose(seed: int, size: int) -> str:
    """About `size` bytes without any value."""
    return _text(random.Random(seed), size, (prose_sentence,))


def messages(kind: Words | str, seed: int, kilobytes: int) -> list[str]:
    """A conversation of distinct texts of about 1 kB each."""
    write = dense if kind == "dense" else prose
    return [write(seed * 1000 + number, 1000) for number in range(kilobytes)]


def chat(texts: list[str]) -> dict[str, object]:
    """An OpenAI chat request whose turns are these texts."""
    roles = ("user", "assistant")
    turns: list[dict[str, str]] = [
        {"role": roles[number % 2], "content": text} for number, text in enumerate(texts)
    ]
    system = {"role": "system", "content": "You are the finance assistant. Copy codes exactly as they are."}
    return {"model": "cadre-work", "stream": True, "messages": [system, *turns]}


def prose_sentence(rng: random.Random) -> str:
    """One sentence of business prose."""
    words = (rng.choice(_SUBJECTS), rng.choice(_VERBS), rng.choice(_OBJECTS), rng.choice(_ENDS))
    return " ".join(words).capitalize() + "."


def name(rng: random.Random) -> str:
    """A person."""
    return f"{rng.choice(_FIRST)} {rng.choice(_LAST)}"


def email(rng: random.Random) -> str:
    """An address in a domain that nobody owns (RFC 2606)."""
    return (
        f"{rng.choice(_FIRST).lower()}.{rng.choice(_LAST).lower()}{rng.randrange(100)}@{rng.choice(_DOMAINS)}"
    )


def iban(rng: random.Random) -> str:
    """A German IBAN with correct check digits (ISO 13616)."""
    account = "".join(rng.choices(string.digits, k=18))
    check = 98 - int(account + "131400") % 97
    return f"DE{check:02d}{account}"


def card(rng: random.Random) -> str:
    """A Visa-shaped number that passes the Luhn check (ISO/IEC 7812-1)."""
    digits = [4, *(rng.randrange(10) for _ in range(14))]
    doubled = [digit if at % 2 else sum(divmod(2 * digit, 10)) for at, digit in enumerate(digits)]
    return "".join(map(str, digits)) + str(-sum(doubled) % 10)


def phone(rng: random.Random) -> str:
    """A Berlin or London number in international form."""
    if rng.random() < 0.5:
        return f"+49 30 {rng.randrange(200000, 999999)}"
    return f"+44 20 7946 {rng.randrange(0, 1000):04d}"


def address(rng: random.Random) -> str:
    """An IPv4 address of the documentation range (RFC 5737)."""
    return f"203.0.113.{rng.randrange(1, 255)}"


_DENSE: tuple[Words, ...] = (
    lambda r: f"Please ask {name(r)} in {r.choice(_CITIES)} about the invoice, or write to {email(r)}.",
    lambda r: f"{name(r)} confirmed the transfer from {iban(r)} and left the number {phone(r)}.",
    lambda r: f"The refund for {name(r)} went to card {card(r)}; the receipt was mailed to {email(r)}.",
    lambda r: f"Login from {address(r)} by {email(r)} was reported by {name(r)} on the phone, {phone(r)}.",
)


def _text(rng: random.Random, size: int, sentences: tuple[Words, ...]) -> str:
    pieces: list[str] = []
    length = 0
    while length < size:
        pieces.append(rng.choice(sentences)(rng))
        length += len(pieces[-1]) + 1
    return " ".join(pieces)
