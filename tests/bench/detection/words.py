"""Makes `data/names.json` and `data/places.json`: names and towns that the lexicon was made without.

Run like `cadre_detect.lexicon.build`, with the same packages at hand.
"""

import json
import re
from collections.abc import Iterable
from pathlib import Path

from cadre_detect.lexicon import Flags, fold, held_out, look_up, sources
from cadre_detect.names.words import Kind, kind_of

DATA = Path(__file__).with_name("data")
CENSUS_FAMILY_NAMES = 20_000
LARGE_TOWN = 150_000
_ONE_WORD = re.compile(r"[^\W\d_]{3,}\Z")


def usable(names: Iterable[str]) -> list[str]:
    """Single words from the held-out buckets of which neither the lexicon nor any rule knows anything."""
    kept = {name for name in names if _ONE_WORD.match(name) and held_out(fold(name))}
    return sorted(name for name in kept if is_unknown(name))


def is_unknown(name: str) -> bool:
    """Whether a name is in no list of the detector, whatever the list is for."""
    return look_up(name) == Flags.NONE and kind_of(name, Flags.NONE) is Kind.UNKNOWN


def names() -> dict[str, dict[str, list[str]]]:
    """Given and family names by the locale they are used in."""
    given, family = sources.names_by_locale("first"), sources.names_by_locale("last")
    found = {
        locale: {"given": usable(given[locale]), "family": usable(family.get(locale, ()))} for locale in given
    }
    first = [*sources.census("male.first"), *sources.census("female.first")]
    found["census"] = {
        "given": usable(name.capitalize() for name in first),
        "family": usable(name.capitalize() for name in sources.census("all.last")[:CENSUS_FAMILY_NAMES]),
    }
    return {locale: both for locale, both in found.items() if both["given"] and both["family"]}


def main() -> None:
    """Write both files."""
    DATA.mkdir(exist_ok=True)
    by_locale = names()
    places = usable(name for name, people in sources.cities().items() if people >= LARGE_TOWN)
    (DATA / "names.json").write_text(json.dumps(by_locale, ensure_ascii=False, indent=0), "utf-8")
    (DATA / "places.json").write_text(json.dumps(places, ensure_ascii=False, indent=0), "utf-8")
    print(
        len(by_locale), "locales,", sum(len(n) for both in by_locale.values() for n in both.values()), "names"
    )
    print(len(places), "towns")


if __name__ == "__main__":
    main()
