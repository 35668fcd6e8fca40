"""Labelled texts: a template, and values whose places and types are known because we put them there."""

import random
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from tests.bench.detection.people import Person, in_split, mention, person
from tests.bench.detection.values import value

FOLDER = Path(__file__).with_name("templates")
DOMAINS = ("mail", "tickets", "chat", "review", "finance", "hr", "logs")
OTHERS = ("negatives", "european")
NEGATIVE_SHARE = 0.12
_PLACEHOLDER = re.compile(r"\{([a-z_]+\d?)(?:\.([a-z]+)|:([^}]*))?\}")


@dataclass(frozen=True)
class Label:
    """True data at text[start:end]."""

    entity_type: str
    start: int
    end: int


@dataclass(frozen=True)
class Document:
    """A text and everything in it that is to be found."""

    domain: str
    text: str
    labels: tuple[Label, ...]


@lru_cache
def templates(domain: str, split: str) -> list[str]:
    """The templates of a domain, only those of the split."""
    blocks = (FOLDER / f"{domain}.txt").read_text("utf-8").split("\n---\n")
    return [block.strip("\n") for block in blocks if in_split(block.strip("\n"), split)]


def documents(seed: int, split: str, count: int, domains: tuple[str, ...] = DOMAINS) -> list[Document]:
    """Texts of one seed; equal arguments give equal texts."""
    rng = random.Random(f"{split}/{seed}")
    made = []
    for _ in range(count):
        domain = "negatives" if rng.random() < NEGATIVE_SHARE else rng.choice(domains)
        made.append(render(rng, split, domain, rng.choice(templates(domain, split))))
    return made


def render(rng: random.Random, split: str, domain: str, template: str) -> Document:
    """One text from one template."""
    people: dict[str, Person] = {}
    pieces: list[tuple[str, str]] = []
    position = 0
    for match in _PLACEHOLDER.finditer(template):
        pieces.append((template[position : match.start()], ""))
        pieces += _pieces(rng, split, people, match)
        position = match.end()
    pieces.append((template[position:], ""))
    return _joined(domain, pieces)


def _pieces(
    rng: random.Random, split: str, people: dict[str, Person], match: re.Match[str]
) -> list[tuple[str, str]]:
    name, form, lead = match.groups()
    if re.fullmatch(r"p\d", name):
        who = people.setdefault(name, person(rng, split))
        return mention(rng, who, form or "full")
    before = [(f"{lead} ", "")] if lead else []
    return before + value(rng, split, name)


def _joined(domain: str, pieces: list[tuple[str, str]]) -> Document:
    text, labels = "", []
    for piece, label in pieces:
        if label:
            labels.append(Label(label, len(text), len(text) + len(piece)))
        text += piece
    return Document(domain, text, tuple(labels))
