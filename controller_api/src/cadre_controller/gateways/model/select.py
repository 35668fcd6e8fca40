"""Which models may serve a call, in which order: pure, so that every choice can be told and tested."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from urllib.parse import urlsplit

from cadre_api.protocol.base import Effect
from cadre_controller.services.models import BudgetVerdict
from cadre_core.model import EffectiveAgent, Provider

LOCAL, CLOUD = "Local", "Cloud"
_MILLION = Decimal(1_000_000)
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model at a provider with its price per million tokens."""

    provider: Provider
    model: str
    locality: str
    input_price: Decimal
    output_price: Decimal
    currency: str

    @property
    def name(self) -> str:
        """`provider/model`, for people."""
        return f"{self.provider.key}:{self.model}"

    def cost(self, input_tokens: int, output_tokens: int) -> Decimal:
        """What so many tokens cost here."""
        return (self.input_price * input_tokens + self.output_price * output_tokens) / _MILLION


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a model was not taken."""

    name: str
    reason: str
    message: str


def candidates(
    agent: EffectiveAgent,
    providers: Mapping[str, Provider],
    purpose: str,
    is_local: Callable[[str, int], bool],
) -> tuple[Candidate, ...]:
    """The agent's models for a purpose (else for `work`), in the order the profile lists them."""
    choices = agent.models.get(purpose) or agent.models.get("work") or ()
    found = ((providers[choice.provider], choice.model) for choice in choices if choice.provider in providers)
    return tuple(_candidate(provider, model, is_local) for provider, model in found)


def permitted(
    options: Iterable[Candidate], decide: Callable[[Candidate], tuple[Effect, str, str]]
) -> tuple[tuple[Candidate, ...], tuple[Rejection, ...]]:
    """What policy allows; an approval cannot be awaited inside a model call, so it counts as a refusal."""
    allowed: list[Candidate] = []
    rejected: list[Rejection] = []
    for option in options:
        effect, reason, message = decide(option)
        if effect is Effect.ALLOW:
            allowed.append(option)
        else:
            rejected.append(Rejection(option.name, reason, message))
    return tuple(allowed), tuple(rejected)


def within_budget(options: Sequence[Candidate], verdict: BudgetVerdict) -> tuple[Candidate, ...]:
    """Fewer or cheaper models as the budget runs out; none when it says stop."""
    match verdict:
        case BudgetVerdict.OK | BudgetVerdict.WARN:
            return tuple(options)
        case BudgetVerdict.DOWNSHIFT:
            return tuple(sorted(options, key=lambda option: option.cost(3, 1)))
        case BudgetVerdict.LOCAL_ONLY:
            return tuple(option for option in options if option.locality == LOCAL)
        case BudgetVerdict.STOP:
            return ()


def _candidate(provider: Provider, model: str, is_local: Callable[[str, int], bool]) -> Candidate:
    price = provider.models.get(model, {}).get("price")
    listed: Mapping[str, object] = price if isinstance(price, Mapping) else {}
    return Candidate(
        provider=provider,
        model=model,
        locality=LOCAL if is_local(*endpoint_of(provider.base_url)) else CLOUD,
        input_price=_decimal(listed.get("inputPerMillion")),
        output_price=_decimal(listed.get("outputPerMillion")),
        currency=str(listed.get("currency") or "USD"),
    )


def endpoint_of(url: str) -> tuple[str, int]:
    """Host and port of a URL; an unusable one is nobody's: ("", 0)."""
    try:
        parts = urlsplit(url)
        return parts.hostname or "", parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)
    except ValueError:
        return "", 0


def _decimal(value: object) -> Decimal:
    try:
        return Decimal(str(value)) if value is not None else Decimal(0)
    except InvalidOperation:
        return Decimal(0)
