"""Which language a text is in, as far as it decides what a capital letter means."""

from __future__ import annotations

import re


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SAMPLE = 3000
_FEWEST = 3
_TOKEN = re.compile(r"[^\W\d_]+")
_WORDS = {
    "en": _words("the and is to of a for you that with in on was are it this we not be have by from at"),
    "de": _words(
        "und der die das ist nicht ein eine mit für auf den dem von zu sich bitte wir sie am im zum"
    ),
    "fr": _words(
        "le la les et est pas un une des du pour avec vous nous votre dans sur au aux que qui ne ce à"
    ),
    "es": _words("el la los las y es no un una para con usted su en por que del al se lo le está a"),
    "it": _words("il la gli e è non un una per con lei in di che del alla si le sono"),
    "pt": _words("o a os as e é não um uma para com você em de que do da no na se ao"),
    "nl": _words("de het een en is niet van voor met op u wij je dat in te aan ook"),
}
FUNCTION_WORDS = frozenset(word for own in _WORDS.values() for word in own) | _words("""
    he she they him her i my your if so but or as do go did does has had can were who what when where how
    why which ihr ihre ihnen ihren ihrem ich er es du dir mir mich dich uns euch man wenn dass aber oder
    auch noch nur wie was wird wer wo bei nach aus über unter vor il elle je tu mon ma mes ton ta si ou mais
    donc yo tú él ella nosotros ellos mi pero como unser unsere unserem unseren mein meine meinen dein deine
    sein seine kein keine alle alles diese dieser dieses hier dort jetzt
""")
"""Little words of all these languages: never names, whatever their capital."""
_LANGUAGES_OF = {word: [code for code in _WORDS if word in _WORDS[code]] for word in FUNCTION_WORDS}


def guess(text: str) -> str:
    """The two letters of the language whose little words are most frequent; `en` where there are too few."""
    counts = dict.fromkeys(_WORDS, 0)
    for word in _TOKEN.findall(text[:_SAMPLE].lower()):
        for language in _LANGUAGES_OF.get(word, ()):
            counts[language] += 1
    best = max(counts, key=lambda language: counts[language])
    return best if counts[best] >= _FEWEST and counts[best] > counts["en"] else "en"
