"""People and places by lists, context and coreference, with no language model to help."""

from __future__ import annotations

import pytest

from cadre_detect import DetectConfig, Detector

PEOPLE = [
    ("Dear Mr. Rogge,", "Rogge"),
    ("we met Dr. Defoor there", "Defoor"),
    ("Hi Brunilda, are you in?", "Brunilda"),
    ("Good morning Brunilda!", "Brunilda"),
    ("reviewed by Brunilda Rogge today", "Brunilda Rogge"),
    ("the offer from J. Dochioiu is late", "J. Dochioiu"),
    ("Assigned to: Rogge, Torrie", "Torrie"),
    ("Brunilda: did you see it?", "Brunilda"),
    ("can @Brunilda have a look", "Brunilda"),
    ('"Wimmer" <office@example.org>', "Wimmer"),
    ("See you there.\n\nKind regards\nBrunilda", "Brunilda"),
    ('{"customer": "Charlsie Wimmer"}', "Charlsie Wimmer"),
    ("ask Charlsie McMinn-Wimmer", "Charlsie McMinn-Wimmer"),
    ("I saw Teun van der Zwaag leave", "Teun van der Zwaag"),
    ("my name is rigoberto and I", "rigoberto"),
    ("hey rigoberto, lunch?", "rigoberto"),
    ("SIGNED: BRUNILDA ROGGE\nBrunilda Rogge called", "BRUNILDA ROGGE"),
    ("Sehr geehrter Herr Rogge, bitte rufen Sie an, wir sind da und die Rechnung ist nicht da.", "Rogge"),
    ("Bonjour Madame Godfroid, votre dossier est complet et nous vous attendons.", "Godfroid"),
    ("Estimada señora Cisneros: la cita es el lunes y no se puede cambiar.", "Cisneros"),
    ("Megan Swift accepted", "Megan Swift"),
    ("Hi Jan, thanks", "Jan"),
]

PLACES = [
    ("she lives in Pforzheim now", "Pforzheim"),
    ("he moved from Toulouse to Kangasala", "Kangasala"),
    ("at 4821 Birchwood Avenue, Apt 4, Oxnard, CA 93030", "4821 Birchwood Avenue, Apt 4"),
    ("at 4821 Birchwood Avenue, Apt 4, Oxnard, CA 93030", "Oxnard, CA 93030"),
    ("wohnt in der Roggestraße 12, 79100 Freiburg", "Roggestraße 12"),
    ("au 14 rue de la Paix, 75002 Paris", "14 rue de la Paix"),
    ("en la Calle Cisneros 8, Madrid", "Calle Cisneros 8"),
    ("send it to Begoniasingel 13, Geleen 6163 BG", "Begoniasingel 13"),
    ("P.O. Box 255, Springfield", "P.O. Box 255"),
    ("shop near Baker Street", "Baker Street"),
    ('{"city": "Yenagoa"}', "Yenagoa"),
]

NOBODY = [
    "The Quarterly Business Review takes place in the Large Conference Room.",
    "Release of Kubernetes, Grafana and PostgreSQL; see the Upgrade Guide.",
    "Monday is a holiday, so the meeting moves to Tuesday. In May we are closed.",
    "class OrderRepository(BaseRepository): Optional[Decimal] = Field(default=None)",
    "2026-11-21T10:30:11Z WARN cache.Manager evicted Entries heap=73%",
    "Das Büro ist heute zu, bitte schicken Sie die Rechnung und den Vertrag mit der Post.",
    "Dear Customer, Hello World, hi there, Good Luck",
    "X-Request-Id, Content-Type and Retry-After are headers",
    "hi all, thanks everyone, hey team",
    "I'm sure it's fine, c'mon. Don't worry.",
]


@pytest.fixture(scope="module")
def light() -> Detector:
    return Detector(DetectConfig(language_model=False))


def _values(detector: Detector, text: str, entity_type: str) -> set[str]:
    return {text[f.start : f.end] for f in detector.scan(text) if f.entity_type == entity_type}


@pytest.mark.parametrize(("text", "name"), PEOPLE)
def test_person(light: Detector, text: str, name: str) -> None:
    assert name in _values(light, text, "PERSON")


@pytest.mark.parametrize(("text", "place"), PLACES)
def test_place(light: Detector, text: str, place: str) -> None:
    assert place in _values(light, text, "LOCATION")


@pytest.mark.parametrize("text", NOBODY)
def test_nobody(light: Detector, text: str) -> None:
    assert [(f.entity_type, text[f.start : f.end]) for f in light.scan(text)] == []


def test_half_a_name_counts_once_the_whole_was_seen(light: Detector) -> None:
    assert "Stone" not in _values(light, "Stone was used for the walls.", "PERSON")
    text = "Brunilda Stone came. Later Stone left, and brunilda stayed."
    assert [text[f.start : f.end] for f in light.scan(text)] == ["Brunilda Stone", "Stone", "brunilda"]


def test_address_in_the_text_makes_a_name_of_an_ordinary_word(light: Detector) -> None:
    assert _values(light, "Rivers wrote.", "PERSON") == set()
    assert "Rivers" in _values(light, "Rivers wrote from anne.rivers@example.org", "PERSON")


def test_company_is_an_organisation_where_that_is_wanted() -> None:
    wanted = DetectConfig().entities | {"ORGANIZATION"}
    detector = Detector(DetectConfig(language_model=False, entities=wanted))
    text = "Rogge Logistics sent the goods"
    assert [(f.entity_type, text[f.start : f.end]) for f in detector.scan(text)] == [
        ("ORGANIZATION", "Rogge")
    ]


def test_model_settles_what_lists_leave_open() -> None:
    text = "Yesterday Grace went home early."
    assert _values(Detector(DetectConfig(language_model=False)), text, "PERSON") <= {"Grace"}
    assert "Grace" in _values(Detector(DetectConfig()), text, "PERSON")


def test_languages_without_a_model_are_read_all_the_same() -> None:
    detector = Detector(DetectConfig(languages=("de",)))
    assert "Rogge" in _values(detector, "Das ist Herr Rogge, der nicht da ist.", "PERSON")
