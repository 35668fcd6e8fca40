"""What a detector looks for: the chart's terms, the policy's lists and recognisers, thresholds."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

from cadre_detect.entities import DEFAULT_ENTITIES


@dataclass(frozen=True, slots=True)
class Term:
    """A literal that is an entity wherever it stands: a name of the chart, an entry of a deny list."""

    text: str
    entity_type: str


@dataclass(frozen=True, slots=True)
class Recognizer:
    """A recogniser of the tenant's own: a pattern in RE2 syntax (linear time: a policy author cannot stall
    the guard), a list of words, or both.
    """

    name: str
    pattern: str
    entity: str
    data_class: str = "PII"
    checksum: str = ""
    """A check the match must pass: `luhn`, `card`, `iban` or `mod97`."""
    context: tuple[str, ...] = ()
    """Words of which one must stand within 80 characters."""
    words: tuple[str, ...] = ()
    """Literals to look for, in any case."""
    score: float = 0.95


@dataclass(frozen=True, slots=True)
class DetectConfig:
    """Everything a scan depends on; equal configurations give equal findings."""

    languages: tuple[str, ...] = ("en",)
    terms: tuple[Term, ...] = ()
    allow_list: tuple[str, ...] = ()
    deny_list: tuple[Term, ...] = ()
    released: tuple[Term, ...] = ()
    """Values that are no finding of the type (empty: of any type), unless they are denied or credentials."""
    unreleasable: frozenset[str] = frozenset()
    """Types that `released` never touches."""
    recognizers: tuple[Recognizer, ...] = ()
    entities: frozenset[str] = DEFAULT_ENTITIES
    """Built-in types to look for; ORGANIZATION and the PHI types must be named to be active."""
    thresholds: tuple[tuple[str, float], ...] = ()
    """Lowest score that counts, by entity type, where it is not `threshold`."""
    threshold: float = 0.35
    """Lowest score that counts. presidio gives a phone number 0.4 without context: above that they vanish."""
    ner: bool = True
    """People and places in prose: by lists and context, and by a language model where these leave a doubt."""
    language_model: bool = True
    """Whether `ner` may load the model (150 MB); without it what is in doubt is left alone."""
    phone_regions: tuple[str, ...] = ("US", "GB", "DE", "FR", "IN", "CA", "BR", "AU", "ES", "IT", "CH", "AT")

    def revision(self) -> bytes:
        """A digest that changes whenever findings could (cache key)."""
        fields = asdict(self) | {
            "entities": sorted(self.entities),
            "unreleasable": sorted(self.unreleasable),
            "format": 3,
        }
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).digest()
