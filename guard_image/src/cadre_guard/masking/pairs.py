"""The pairs of one session: bounded, in memory only, gone with the session."""

from collections import OrderedDict
from collections.abc import Iterable

from cadre_detect.history import MaskHistory
from cadre_detect.masking import Entity
from cadre_detect.tokens import find_tokens, suffixes
from cadre_guard.masking.rules import entity_of_token

_MAX_PAIRS = 20_000
_FORGET = 1_000


class SessionPairs:
    """Tokens of one session. `values` holds only what the agent's clearance covers."""

    def __init__(self, session_id: str, clearance: frozenset[str]) -> None:
        self.session_id = session_id
        self._clearance = clearance
        self.tokens: OrderedDict[Entity, str] = OrderedDict()
        """Every value masked so far -> its token."""
        self.values: dict[str, str] = {}
        """Token -> value, within clearance: what a restorer may use."""
        self.learned: list[Entity] = []
        """The values in the order they came; only grows, as long as `history` is the same."""
        self.history = MaskHistory()
        self.known: set[str] = set()
        """Every token issued to this session: text that has one may pass as it is."""

    def learn(self, entity: Entity, token: str, data_class: str) -> None:
        """A pair from the controller, for a value this side found."""
        value = entity[1]
        if len(self.tokens) >= _MAX_PAIRS:
            self._forget_oldest()
        self._remember(entity, token)
        self.known.add(token)
        if data_class in self._clearance:
            self.values[token] = value

    def learn_restored(self, token: str, value: str) -> None:
        """A pair the controller restored for us: it judged the clearance."""
        self._remember((entity_of_token(token), value), token)
        self.known.add(token)
        self.values[token] = value

    def admit(self, texts: Iterable[str]) -> list[str]:
        """Take note of tokens in texts that the controller sent; answers those whose value we do not have."""
        found: dict[str, None] = {}
        for text in texts:
            for match in find_tokens(text):
                found.update(dict.fromkeys(suffixes(match.text)))
        self.known.update(found)
        return [token for token in found if token not in self.values]

    def _remember(self, entity: Entity, token: str) -> None:
        if entity not in self.tokens:
            self.learned.append(entity)
        self.tokens[entity] = token

    def _forget_oldest(self) -> None:
        """What was masked with a forgotten token is masked anew, with one that can be restored."""
        for _ in range(min(_FORGET, len(self.tokens))):
            _entity, token = self.tokens.popitem(last=False)
            self.values.pop(token, None)
        self.learned, self.history = list(self.tokens), MaskHistory()
