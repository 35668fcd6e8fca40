"""What was masked in a conversation, part by part, so that a growing request costs what is new in it.

A request is read as its top-level members and the items of their lists (messages, tools). A part that was
masked before, is unchanged, and can hold no value found since, leaves as it left before. What is kept of a
part is a keyed digest, its masked form, its spans and its values; never its text.
"""

from __future__ import annotations

import hashlib
import marshal
import secrets
import threading
from collections import Counter, OrderedDict
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from cadre_detect.entities import TOKEN_LIKE
from cadre_detect.findings import Finding
from cadre_detect.jsonwalk import Json, Kind, Path, Visit, WalkRules, rewrite_at
from cadre_detect.masking import MaskPolicy, Planner, Question, Scanner, masks, question_of, replaced
from cadre_detect.needles import Entity, NeedleIndex, words_of

_MAX_BYTES = 4 * 1024 * 1024
_MAX_MARKS = 400_000
_MAX_RULES = 8


@dataclass(slots=True)
class _Settled:
    """A part as it left."""

    masked: Json
    spans: tuple[tuple[Finding, ...], ...]
    """Of each of its texts, in the order of the walk."""
    entities: frozenset[Entity]
    counts: Mapping[str, int]
    spread: int
    """How many of the conversation's values were looked for in it."""
    size: int


@dataclass(slots=True)
class _Part:
    path: Path | None
    """None: the keys of the document."""
    node: Json
    digest: bytes = b""
    size: int = 0
    settled: _Settled | None = None
    again: bool = False
    """It was settled, but a value found since may be in it."""
    counts: Mapping[str, int] = field(default_factory=dict)

    def texts(self, rules: WalkRules) -> Sequence[tuple[str, Kind]]:
        """What the walk visits, in its order."""
        found: list[tuple[str, Kind]] = []

        def visit(text: str, kind: Kind) -> str:
            found.append((text, kind))
            return text

        self.rewrite(rules, visit)
        return found

    def rewrite(self, rules: WalkRules, visit: Visit) -> Json:
        """The part with every visited text replaced."""
        if self.path is None:
            assert isinstance(self.node, list)
            return [visit(str(key), Kind.KEY) for key in self.node]
        return rewrite_at(self.node, rules, self.path, visit)


@dataclass(slots=True)
class _Epoch:
    """What is forgotten together."""

    basis: bytes
    index: NeedleIndex = field(default_factory=NeedleIndex)
    words: set[int] = field(default_factory=set)
    """Of all settled parts."""
    settled: OrderedDict[bytes, _Settled] = field(default_factory=OrderedDict)
    size: int = 0
    learned: int = 0
    """How many of the session's values are in the index."""


class MaskHistory:
    """Of one session, in memory only; bounded, and begun anew when it is full or the rules change."""

    def __init__(self, max_bytes: int = _MAX_BYTES) -> None:
        self.lock = threading.Lock()
        self._key = secrets.token_bytes(32)
        self._max_bytes = max_bytes
        self._rules: list[tuple[object, ...]] = []
        self._epoch = _Epoch(b"")

    def open(self, document: Json, rules: WalkRules, basis: bytes) -> Reading:
        """Begin to mask a document; `basis` names detector and policy: with another one nothing is known."""
        with self.lock:
            if self._epoch.basis != basis or len(self._epoch.words) > _MAX_MARKS:
                self._epoch = _Epoch(basis)
            parts = list(_parts(document))
            number = self._number(rules)
            for part in parts if number else ():
                self._recognise(part, number)
            return Reading(self, self._epoch, document, rules, parts)

    def _number(self, rules: WalkRules) -> int:
        """A name for rules that are equal; 0 for those that cannot be compared."""
        if not isinstance(rules.fixed, frozenset):
            return 0
        same = (rules.structural, rules.embedded, rules.schemas, rules.sealed, rules.fixed)
        if same not in self._rules:
            if len(self._rules) == _MAX_RULES:
                return 0
            self._rules.append(same)
        return self._rules.index(same) + 1

    def _recognise(self, part: _Part, rules: int) -> None:
        try:
            content = marshal.dumps((rules, part.path, part.node), 0)  # type: ignore[arg-type]
        except ValueError:
            return  # nested too deep, or no plain JSON: the walk judges it
        part.digest = hashlib.blake2b(content, key=self._key, digest_size=32).digest()
        part.size = len(content)
        part.settled = self._epoch.settled.get(part.digest)
        if part.settled is not None:
            self._epoch.settled.move_to_end(part.digest)

    def settle(self, epoch: _Epoch, part: _Part, settled: _Settled) -> None:
        """Remember a part."""
        if epoch is not self._epoch or not part.digest or part.size > self._max_bytes:
            return
        old = epoch.settled.pop(part.digest, None)
        epoch.settled[part.digest] = settled
        epoch.size += part.size - (old.size if old else 0)
        while epoch.size > self._max_bytes:
            epoch.size -= epoch.settled.popitem(last=False)[1].size


class Reading:
    """One document on its way: ask the `questions`, then `plan`, get tokens for `entities`, then `apply`."""

    def __init__(
        self, history: MaskHistory, epoch: _Epoch, document: Json, rules: WalkRules, parts: list[_Part]
    ) -> None:
        self._history = history
        self._epoch = epoch
        self._document = document
        self._rules = rules
        self._parts = parts
        self._spread = 0
        self._spans: Mapping[tuple[str, Kind], tuple[Finding, ...]] = {}
        self._words: set[int] = set()
        self.entities: frozenset[Entity] = frozenset()
        """What `apply` needs tokens for."""
        self.counts: Mapping[str, int] = {}
        """Findings by entity type in the whole document, those only detected included."""
        self._fresh = [(part, part.texts(rules)) for part in parts if part.settled is None]
        asked = {question_of(text, kind): None for _, texts in self._fresh for text, kind in texts}
        self.questions: Sequence[Question] = list(asked)

    def plan(
        self,
        scanner: Scanner,
        policy: MaskPolicy,
        *,
        known_tokens: Container[str] = (),
        seen: Sequence[Entity] = (),
    ) -> None:
        """Find what is to be masked. `seen`: values masked in the session, a list that only grows.

        Raises Blocked when the policy forbids a finding, DetectionError when a scan fails.
        """
        planner = Planner(scanner, policy, known_tokens)
        for part, texts in self._fresh:
            planner.counts = Counter()
            for text, kind in texts:
                planner.visit(text, kind)
            part.counts = planner.counts
        planner.refuse_blocked()
        with self._history.lock:
            self._look_for_values(planner, policy, seen)
        self._spans, self.entities = planner.spans, frozenset(planner.entities)
        self.counts = self._counted()

    def _look_for_values(self, planner: Planner, policy: MaskPolicy, seen: Sequence[Entity]) -> None:
        epoch = self._epoch
        new = [entity for entity in seen[epoch.learned :] if entity not in epoch.index]
        epoch.index.add((entity for entity in new if masks(policy, entity[0])), TOKEN_LIKE)
        epoch.learned = len(seen)
        epoch.index.add(planner.entities, TOKEN_LIKE)
        for text, _kind in planner.spans:
            self._words |= words_of(text)
        needles = epoch.index.within(self._words)
        settled = [part for part in self._parts if part.settled is not None]
        least = min((part.settled.spread for part in settled if part.settled), default=len(epoch.index))
        late = epoch.index.since(least, epoch.words)
        self._spread = len(epoch.index)
        for part in settled:
            if late:
                self._reopen(part, planner)
            elif part.settled:
                part.settled.spread = self._spread
        planner.spread([*needles, *late])

    def _reopen(self, part: _Part, planner: Planner) -> None:
        assert part.settled is not None
        part.again = True
        part.counts = part.settled.counts
        for (text, kind), findings in zip(part.texts(self._rules), part.settled.spans, strict=True):
            planner.put(text, kind, findings)

    def _counted(self) -> Mapping[str, int]:
        """As many as were found, or as there are values, whichever is more."""
        found: Counter[str] = Counter()
        for part in self._parts:
            found.update(part.settled.counts if part.settled else part.counts)
        settled = [part.settled.entities for part in self._parts if part.settled]
        distinct = Counter(kind for kind, _value in self.entities.union(*settled))
        return dict(found | distinct)

    def apply(self, tokens: Mapping[Entity, str]) -> Json:
        """The masked document; raises DetectionError(TokenMissing) rather than let a value through."""
        masked = [self._masked(part, tokens) for part in self._parts]
        return _joined(self._document, masked)

    def _masked(self, part: _Part, tokens: Mapping[Entity, str]) -> Json:
        if part.settled is not None and not part.again:
            return part.settled.masked
        spans: list[tuple[Finding, ...]] = []
        entities: set[Entity] = set()

        def visit(text: str, kind: Kind) -> str:
            found = self._spans.get((text, kind), ())
            spans.append(found)
            entities.update((f.entity_type, text[f.start : f.end]) for f in found)
            return replaced(text, found, tokens)

        masked = part.rewrite(self._rules, visit)
        # a token look-alike is judged anew every time: it may be issued meanwhile
        if not any(kind == TOKEN_LIKE for kind, _value in entities):
            settled = _Settled(
                masked, tuple(spans), frozenset(entities), part.counts, self._spread, part.size
            )
            with self._history.lock:
                self._epoch.words |= self._words
                self._history.settle(self._epoch, part, settled)
        return masked


def _parts(document: Json) -> Iterator[_Part]:
    """The keys, then the members in their order, lists by their items; what is no object is one part."""
    if not isinstance(document, dict):
        yield _Part((), document)
        return
    yield _Part(None, list(document))
    for key, value in document.items():
        if isinstance(value, list):
            yield from (_Part((key, "*"), item) for item in value)
        else:
            yield _Part((key,), value)


def _joined(document: Json, masked: Sequence[Json]) -> Json:
    if not isinstance(document, dict):
        return masked[0]
    rest = iter(masked)
    keys = next(rest)
    assert isinstance(keys, list)
    values = [
        [next(rest) for _ in value] if isinstance(value, list) else next(rest) for value in document.values()
    ]
    return dict(zip(keys, values, strict=True))
