"""A request that grows is masked as it would be at once: what was settled before is no gap."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cadre_detect import Blocked, DetectionError, Finding, MaskPolicy, Mode, apply, plan
from cadre_detect.history import MaskHistory
from cadre_detect.jsonwalk import DATA, Json, WalkRules
from cadre_detect.masking import Entity
from cadre_detect.needles import NeedleIndex, words_of
from cadre_detect.tokens import make_token
from tests.unit.detect.samples import ENCODINGS, KEY, SEEDED, patterns_only

DETECTOR = patterns_only()
RULES = WalkRules(structural=frozenset({("messages", "*", "role")}), embedded=frozenset({("arguments",)}))
LATE = "Zoltan Quimby"


class _Counting:
    """A detector that notes what it was asked; a name stands out only where it is introduced."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def scan(self, text: str, *, prose: bool = True) -> list[Finding]:
        self.asked.append(text)
        found = DETECTOR.scan(text, prose=prose)
        at = text.find(f"named {LATE}")
        if at >= 0:
            found = [*found, Finding("PERSON", at + 6, at + 6 + len(LATE), 0.8, "PII")]
        return found


class _Session:
    """What a guard keeps of a session."""

    def __init__(self) -> None:
        self.history = MaskHistory()
        self.scanner = _Counting()
        self.tokens: dict[Entity, str] = {}
        self.learned: list[Entity] = []

    def mask(self, document: Json, *, basis: bytes = b"1", policy: MaskPolicy | None = None) -> Json:
        reading = self.history.open(document, RULES, basis)
        known = frozenset(self.tokens.values())
        reading.plan(self.scanner, policy or MaskPolicy(), known_tokens=known, seen=self.learned)
        for entity in sorted(reading.entities):
            if entity not in self.tokens:
                self.tokens[entity] = make_token(KEY, "1", *entity)
                self.learned.append(entity)
        self.counts = reading.counts
        return reading.apply(self.tokens)


def _chat(texts: Sequence[str]) -> dict[str, Json]:
    return {"model": "m", "messages": [{"role": "user", "content": text} for text in texts], "n": 1}


TEXTS = st.lists(
    st.lists(
        st.sampled_from(
            [
                *SEEDED.values(),
                "plain words",
                f"named {LATE}",
                LATE,
                LATE.upper(),
                "Quimby Zoltan",
                "PRJ-12345",
            ]
            + [encode(LATE) for encode in ENCODINGS.values()]
        ),
        max_size=3,
    ).map(" and ".join),
    min_size=1,
    max_size=6,
)


@given(TEXTS)
def test_a_growing_conversation_is_masked_as_at_once(texts: list[str]) -> None:
    session = _Session()
    for size in range(1, len(texts) + 1):
        masked = session.mask(_chat(texts[:size]))
    planned = plan(_chat(texts), _Counting(), MaskPolicy(), rules=RULES, seen=session.learned)
    at_once = apply(planned, {**{e: make_token(KEY, "1", *e) for e in planned.entities}})
    assert masked == at_once
    assert list(masked) == list(_chat([]))  # type: ignore[arg-type]


def test_only_what_is_new_is_asked() -> None:
    session = _Session()
    texts = [f"Write to {SEEDED['EMAIL_ADDRESS']}, number {number}." for number in range(5)]
    session.mask(_chat(texts))
    session.scanner.asked.clear()
    session.mask(_chat([*texts, "and the next"]))
    assert set(session.scanner.asked) == {"role", "content", "user", "and the next"}
    assert session.counts["EMAIL_ADDRESS"] == 5


@pytest.mark.parametrize("encoding", sorted(ENCODINGS))
def test_a_value_found_later_is_masked_in_what_was_settled(encoding: str) -> None:
    session = _Session()
    before = f"see {ENCODINGS[encoding](LATE)} there"
    assert session.mask(_chat([before])) == _chat([before])
    masked = session.mask(_chat([before, f"The new one is named {LATE}."]))
    assert ENCODINGS[encoding](LATE) not in json.dumps(masked, ensure_ascii=False)
    assert session.mask(_chat([before, f"The new one is named {LATE}."])) == masked


def test_other_rules_of_the_policy_know_nothing() -> None:
    session = _Session()
    document = _chat([SEEDED["IBAN_CODE"]])
    assert session.mask(document) != document
    detecting = MaskPolicy(default=Mode.DETECT)
    assert session.mask(document, basis=b"2", policy=detecting) == document
    with pytest.raises(Blocked):
        session.mask(document, basis=b"3", policy=MaskPolicy(default=Mode.BLOCK))


def test_what_has_no_token_does_not_leave() -> None:
    session = _Session()
    reading = session.history.open(_chat([SEEDED["IBAN_CODE"]]), RULES, b"1")
    reading.plan(session.scanner, MaskPolicy())
    with pytest.raises(DetectionError, match="TokenMissing"):
        reading.apply({})


def test_a_token_that_was_unknown_may_become_known() -> None:
    session = _Session()
    stranger = make_token(KEY, "1", "PERSON", "somebody else")
    assert stranger not in json.dumps(session.mask(_chat([stranger])))
    session.tokens["PERSON", "somebody else"] = stranger
    assert session.mask(_chat([stranger])) == _chat([stranger])


def test_old_parts_are_forgotten_and_read_again() -> None:
    session = _Session()
    session.history = MaskHistory(max_bytes=400)
    texts = [f"{SEEDED['IBAN_CODE']} {number} {'x ' * 40}" for number in range(20)]
    assert session.mask(_chat(texts)) == session.mask(_chat(texts))
    assert SEEDED["IBAN_CODE"] not in json.dumps(session.mask(_chat(texts)))


def test_what_cannot_be_compared_is_read_each_time() -> None:
    session = _Session()
    deep: Json = "leaf"
    for _ in range(70):
        deep = [deep]
    with pytest.raises(DetectionError, match="TooDeep"):
        session.mask({"deep": deep})
    open_rules = WalkRules(fixed=["role"])
    for _ in range(2):
        reading = session.history.open(_chat(["a"]), open_rules, b"1")
        assert ("a", True) in reading.questions


def test_a_plain_text_is_a_document() -> None:
    session = _Session()
    for _ in range(2):
        assert SEEDED["IBAN_CODE"] not in str(session.mask(f"pay {SEEDED['IBAN_CODE']}"))
    assert session.mask([SEEDED["IBAN_CODE"]]) != [SEEDED["IBAN_CODE"]]


@given(st.text(max_size=30), st.text(max_size=30), st.sampled_from(["", " ", "-", "a", "_"]))
def test_the_index_misses_nothing_that_the_scanner_finds(value: str, rest: str, joint: str) -> None:
    entity = ("PERSON", value)
    text = f"{rest}{joint}{value}{joint}{rest}"
    planned = plan({"t": text}, _Nothing(), MaskPolicy(), rules=DATA, seen=[entity])
    index = NeedleIndex()
    index.add([entity], "TOKEN_LIKE")
    assert not planned.entities or index.within(words_of(text))


class _Nothing:
    def scan(self, text: str, *, prose: bool = True) -> list[Finding]:
        return []
