"""Masking chat requests as the guard does it, cold and with its span cache, against stock presidio.

Both run in this process on the same texts, in turns, so that whatever else the machine does hits both.
"""

import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from cadre_detect import DetectConfig, Detector, MaskPolicy, SpanCache, Term, make_token
from cadre_detect.history import MaskHistory
from cadre_detect.masking import Entity
from cadre_guard.wire.openai_chat import REQUEST
from tests.bench import texts
from tests.bench.report import Table, times
from tests.bench.rival import Presidio
from tests.bench.timing import Samples

_SIZES = (1, 4, 20)
_HISTORY = 40
_SECONDS = 4.0
"""For one kind of text at one size."""
_TURN_SECONDS = 15.0
_MOST = 60
_RIVAL_TURNS = 2
_TERMS = tuple(Term(f"{first} Example-Person", "PERSON") for first in ("Anna", "Jonas", "Mira"))


@dataclass
class _Case:
    kind: str
    kilobytes: int
    bytes: int = 0
    values: int = 0
    cold: Samples = field(default_factory=Samples)
    cached: Samples = field(default_factory=Samples)
    rival: Samples = field(default_factory=Samples)

    def rows(self) -> Iterator[tuple[str | float, ...]]:
        size = self.bytes / 1000 / max(1, len(self.rival.wall))
        for label, samples in (("cold", self.cold), ("cached", self.cached), ("presidio", self.rival)):
            if not samples.wall:
                continue
            yield (
                f"{self.kind} {self.kilobytes} kB",
                label,
                samples.p50_ms,
                samples.p95_ms,
                samples.cpu_p50_ms,
                samples.cpu_p50_ms / size,
                times(self.rival.cpu_p50_ms, samples.cpu_p50_ms),
            )


class GuardMasking:
    """The guard's path over a request: parts, scan, spread, replace; only the tokens are our own."""

    def __init__(self) -> None:
        self._detector = Detector(DetectConfig(terms=_TERMS), SpanCache(secrets.token_bytes(32)))
        self._detector.warm_up()

    def session(self) -> "Session":
        """One that has seen nothing."""
        return Session(self._detector)


class Session:
    """What a guard keeps of a session."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self._history = MaskHistory()
        self._key = secrets.token_bytes(32)
        self._learned: list[Entity] = []
        self.tokens: dict[Entity, str] = {}

    def mask(self, document: dict[str, object]) -> None:
        """Mask a chat request."""
        reading = self._history.open(document, REQUEST, b"1")  # type: ignore[arg-type]
        reading.plan(self._detector, MaskPolicy(), seen=self._learned)
        for entity in reading.entities - self.tokens.keys():
            self.tokens[entity] = make_token(self._key, "1", *entity)
            self._learned.append(entity)
        reading.apply(self.tokens)


_COLUMNS = ("request", "who", "p50 ms", "p95 ms", "CPU ms", "CPU ms/kB", "presidio/this, CPU")


def masking_tables() -> list[Table]:
    """Requests of 1, 4 and 20 kB, and the last turn of a long history."""
    guard, rival = GuardMasking(), Presidio()
    cases = [_requests(guard, rival, kind, size) for kind in ("dense", "prose") for size in _SIZES]
    turns = [_last_turn(guard, rival, kind) for kind in ("dense", "prose")]
    density = cases[1].values / max(1, cases[1].bytes / 1000)
    return [
        Table(
            "guard: masking one chat request",
            _COLUMNS,
            tuple(row for case in cases for row in case.rows()),
            (
                "cold: no text was seen before; cached: the same request again (spans known, tokens issued)",
                "presidio: AnalyzerEngine, same spaCy model, all pipes, default recognizers",
                "presidio only finds; the guard also replaces",
                f"dense has {density:.0f} masked values per kB, prose has none",
            ),
        ),
        Table(
            f"guard: the last turn of a {_HISTORY} kB history (1 kB is new)",
            ("history", "who", "p50 ms", "CPU ms", "of the new text alone", "presidio/this, CPU"),
            tuple(row for case in turns for row in case.rows()),
            (
                "the new text alone: as the first request of a session, never seen before",
                "presidio has no memory of earlier turns: it reads the whole history again",
            ),
        ),
    ]


def _requests(guard: GuardMasking, rival: Presidio, kind: str, kilobytes: int) -> _Case:
    case = _Case(kind, kilobytes)
    ends = time.perf_counter() + _SECONDS
    for seed in range(_MOST):
        turns = texts.messages(kind, seed, kilobytes)
        session, document = guard.session(), texts.chat(turns)
        case.cold.measure(lambda s=session, d=document: s.mask(d))  # type: ignore[misc]
        case.cached.measure(lambda s=session, d=document: s.mask(d))  # type: ignore[misc]
        case.rival.measure(lambda t=turns: rival.analyze(t))  # type: ignore[misc]
        case.bytes += sum(map(len, turns))
        case.values += len(session.tokens)
        if time.perf_counter() > ends:
            break
    return case


@dataclass
class _Turns:
    kind: str
    last: Samples = field(default_factory=Samples)
    alone: Samples = field(default_factory=Samples)
    rival: Samples = field(default_factory=Samples)

    def rows(self) -> Iterator[tuple[str | float, ...]]:
        for label, samples in (
            ("the last turn", self.last),
            ("the new text alone", self.alone),
            ("presidio", self.rival),
        ):
            ratio = times(samples.cpu_p50_ms, self.alone.cpu_p50_ms)
            rival = times(self.rival.cpu_p50_ms, samples.cpu_p50_ms)
            yield f"{self.kind} {_HISTORY} kB", label, samples.p50_ms, samples.cpu_p50_ms, ratio, rival


def _last_turn(guard: GuardMasking, rival: Presidio, kind: str) -> _Turns:
    case = _Turns(kind)
    ends = time.perf_counter() + _TURN_SECONDS
    for seed in range(100, 100 + _MOST):
        turns = texts.messages(kind, seed, _HISTORY)
        session = guard.session()
        session.mask(texts.chat(turns[:-2]))
        session.mask(texts.chat(turns[:-1]))
        case.last.measure(lambda t=turns, s=session: s.mask(texts.chat(t)))  # type: ignore[misc]
        other = texts.chat(texts.messages(kind, 10_000 + seed, 1))
        case.alone.measure(lambda o=other: guard.session().mask(o))  # type: ignore[misc]
        if seed < 100 + _RIVAL_TURNS:
            case.rival.measure(lambda t=turns: rival.analyze(t))  # type: ignore[misc]
        if time.perf_counter() > ends:
            break
    return case
